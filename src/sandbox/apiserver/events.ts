// Events are one store seen through two groups: kept as core/v1, served as events.k8s.io/v1 too
// (k8s.io/kubernetes/pkg/apis/events/v1/conversion.go).
import type { StoredObject } from "../api.ts";
import type { JsonObject } from "./json.ts";

/** New name → core/v1 name. */
const NAMES: readonly (readonly [string, string])[] = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["reportingController", "reportingComponent"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
];

function renamed(object: JsonObject, from: 0 | 1): JsonObject {
  const out: JsonObject = { ...object };
  for (const pair of NAMES) {
    const [source, target] = [pair[from], pair[1 - from] ?? ""];
    if (out[source] === undefined) continue;
    out[target] = out[source];
    delete out[source];
  }
  return out;
}

/** To core/v1; an object that is core/v1 stays as it is. */
export function eventToStorage(object: JsonObject): JsonObject {
  return { ...renamed(object, 0), apiVersion: "v1" };
}

/** From core/v1 to events.k8s.io/v1. */
export function eventFromStorage(object: StoredObject): StoredObject {
  return { ...renamed(object, 1), apiVersion: "events.k8s.io/v1" } as unknown as StoredObject;
}
