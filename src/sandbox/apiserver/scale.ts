// The scale subresource: an autoscaling/v1 Scale over an object's own fields.
import type { StoredObject } from "../api.ts";
import { badRequest, noSuchPath } from "./errors.ts";
import { at, copy, isObject, type JsonObject, setAt } from "./json.ts";
import type { ResourceDef } from "./resources.ts";
import { selectorText } from "./selectors.ts";

/** The Scale of an object. Throws 404 where the kind has none. */
export function toScale(def: ResourceDef, object: StoredObject): JsonObject {
  const paths = def.scale;
  if (paths === undefined) throw noSuchPath();
  const selector = paths.selector === undefined ? selectorText(object.spec?.selector) : at(object, paths.selector);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: at(object, paths.specReplicas) ?? 0 },
    status: {
      replicas: at(object, paths.statusReplicas) ?? 0,
      ...(selector ? { selector } : {}),
    },
  };
}

/** A copy of the object with the replicas of `scale`, and its resourceVersion as the precondition. Throws 400. */
export function fromScale(def: ResourceDef, object: StoredObject, scale: unknown): StoredObject {
  if (def.scale === undefined) throw noSuchPath();
  const replicas = at(scale, "spec.replicas") ?? 0;
  if (!isObject(scale) || !Number.isInteger(replicas)) throw badRequest("Scale: spec.replicas must be an integer");
  const next = copy(object);
  setAt(next, def.scale.specReplicas, replicas);
  const version = at(scale, "metadata.resourceVersion");
  next.metadata.resourceVersion = typeof version === "string" ? version : "";
  return next;
}
