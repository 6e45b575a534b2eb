// The columns of `kubectl get` for built-in kinds (k8s.io/kubernetes/pkg/printers/internalversion/printers.go).
import type { StoredObject } from "../api.ts";
import { arrayAt, at, isObject, objectAt, textAt } from "./json.ts";
import type { Column } from "./resources.ts";
import { selectorText } from "./selectors.ts";

const NAME: Column = { name: "Name", type: "string", format: "name", value: (object) => object.metadata.name };
const AGE: Column = { name: "Age", type: "string", value: (object, now) => age(object.metadata.creationTimestamp, now) };

function column(name: string, value: Column["value"], type = "string", priority = 0): Column {
  return { name, type, priority, value };
}

function wide(name: string, value: Column["value"]): Column {
  return column(name, value, "string", 1);
}

/** By kind; "default" for those that have none of their own. */
export const COLUMNS: Readonly<Record<string, Column[]>> = {
  default: [NAME, { name: "Created At", type: "date", value: (object) => object.metadata.creationTimestamp }],
  Namespace: [NAME, column("Status", (object) => textAt(object, "status.phase")), AGE],
  Node: [
    NAME,
    column("Status", (object) => (conditionStatus(object, "Ready") === "True" ? "Ready" : "NotReady")),
    column("Roles", () => "<none>"),
    AGE,
    column("Version", (object) => textAt(object, "status.nodeInfo.kubeletVersion")),
  ],
  Pod: [
    NAME,
    column("Ready", readyContainers),
    column("Status", podStatus),
    column("Restarts", (object) => String(restarts(object))),
    AGE,
    wide("IP", (object) => textAt(object, "status.podIP") || "<none>"),
    wide("Node", (object) => textAt(object, "spec.nodeName") || "<none>"),
  ],
  Service: [
    NAME,
    column("Type", (object) => textAt(object, "spec.type")),
    column("Cluster-IP", (object) => textAt(object, "spec.clusterIP") || "<none>"),
    column("External-IP", (object) => textAt(object, "spec.externalName") || "<none>"),
    column("Port(s)", servicePorts),
    AGE,
    wide("Selector", (object) => equalities(objectAt(object, "spec.selector"))),
  ],
  ConfigMap: [NAME, column("Data", (object) => Object.keys(objectAt(object, "data")).length, "integer"), AGE],
  Secret: [
    NAME,
    column("Type", (object) => textAt(object, "type")),
    column("Data", (object) => Object.keys(objectAt(object, "data")).length, "integer"),
    AGE,
  ],
  ServiceAccount: [NAME, column("Secrets", (object) => arrayAt(object, "secrets").length, "integer"), AGE],
  Event: [
    column("Last Seen", (object, now) => age(lastSeen(object), now)),
    column("Type", (object) => textAt(object, "type")),
    column("Reason", (object) => textAt(object, "reason")),
    column("Object", (object) => {
      const subject = objectAt(object, object.regarding === undefined ? "involvedObject" : "regarding");
      return `${String(subject.kind ?? "").toLowerCase()}/${String(subject.name ?? "")}`;
    }),
    column("Message", (object) => (textAt(object, "message") || textAt(object, "note")).trim()),
    { ...wide("Name", (object) => object.metadata.name), format: "name" },
  ],
  Deployment: [
    NAME,
    column("Ready", (object) => `${Number(at(object, "status.readyReplicas") ?? 0)}/${Number(at(object, "spec.replicas") ?? 0)}`),
    column("Up-to-date", (object) => Number(at(object, "status.updatedReplicas") ?? 0), "integer"),
    column("Available", (object) => Number(at(object, "status.availableReplicas") ?? 0), "integer"),
    AGE,
    wide("Containers", (object) => containers(object, "name")),
    wide("Images", (object) => containers(object, "image")),
    wide("Selector", (object) => selectorText(object.spec?.selector)),
  ],
  ReplicaSet: [
    NAME,
    column("Desired", (object) => Number(at(object, "spec.replicas") ?? 0), "integer"),
    column("Current", (object) => Number(at(object, "status.replicas") ?? 0), "integer"),
    column("Ready", (object) => Number(at(object, "status.readyReplicas") ?? 0), "integer"),
    AGE,
    wide("Containers", (object) => containers(object, "name")),
    wide("Images", (object) => containers(object, "image")),
    wide("Selector", (object) => selectorText(object.spec?.selector)),
  ],
  ControllerRevision: [
    NAME,
    column("Controller", (object) => {
      const owner = object.metadata.ownerReferences?.find((reference) => reference.controller);
      return owner === undefined ? "<none>" : `${owner.kind.toLowerCase()}/${owner.name}`;
    }),
    column("Revision", (object) => Number(object.revision ?? 0), "integer"),
    AGE,
  ],
  EndpointSlice: [
    NAME,
    column("AddressType", (object) => textAt(object, "addressType")),
    column(
      "Ports",
      (object) =>
        arrayAt(object, "ports")
          .map((port) => textAt(port, "port"))
          .join(",") || "<unset>",
    ),
    column(
      "Endpoints",
      (object) =>
        arrayAt(object, "endpoints")
          .flatMap((item) => arrayAt(item, "addresses"))
          .join(",") || "<unset>",
    ),
    AGE,
  ],
  Lease: [NAME, column("Holder", (object) => textAt(object, "spec.holderIdentity")), AGE],
};

/** The time since an RFC 3339 time stamp as kubectl prints it, such as "5m10s" (apimachinery/pkg/util/duration). */
export function age(timestamp: unknown, now: number): string {
  const then = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
  if (Number.isNaN(then)) return "<unknown>";
  const seconds = Math.floor((now - then) / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  const pair = (big: number, unit: string, small: number, smaller: string) =>
    small === 0 ? `${big}${unit}` : `${big}${unit}${small}${smaller}`;
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return pair(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return pair(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  return days < 2920 ? pair(Math.floor(days / 365), "y", days % 365, "d") : `${Math.floor(days / 365)}y`;
}

function conditionStatus(object: StoredObject, type: string): string {
  return textAt(
    arrayAt(object, "status.conditions").find((condition) => at(condition, "type") === type),
    "status",
  );
}

function readyContainers(pod: StoredObject): string {
  const ready = arrayAt(pod, "status.containerStatuses").filter((status) => at(status, "ready") === true).length;
  return `${ready}/${arrayAt(pod, "spec.containers").length}`;
}

function restarts(pod: StoredObject): number {
  return arrayAt(pod, "status.containerStatuses").reduce<number>(
    (sum, status) => sum + Number(at(status, "restartCount") ?? 0),
    0,
  );
}

function podStatus(pod: StoredObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating";
  const init = arrayAt(pod, "status.initContainerStatuses");
  for (const [i, status] of init.entries()) {
    const terminated = objectAt(status, "state.terminated");
    if (terminated.exitCode === 0) continue;
    const waiting = textAt(status, "state.waiting.reason");
    if (terminated.exitCode !== undefined) return `Init:${String(terminated.reason || `ExitCode:${terminated.exitCode}`)}`;
    return waiting !== "" && waiting !== "PodInitializing" ? `Init:${waiting}` : `Init:${i}/${init.length}`;
  }
  let reason = textAt(pod, "status.reason") || textAt(pod, "status.phase") || "Unknown";
  for (const status of arrayAt(pod, "status.containerStatuses")) {
    const terminated = objectAt(status, "state.terminated");
    const waiting = textAt(status, "state.waiting.reason");
    if (waiting !== "") reason = waiting;
    else if (terminated.exitCode !== undefined) reason = String(terminated.reason || `ExitCode:${terminated.exitCode}`);
  }
  return reason;
}

function servicePorts(service: StoredObject): string {
  const ports = arrayAt(service, "spec.ports").map((port) => `${textAt(port, "port")}/${textAt(port, "protocol")}`);
  return ports.join(",") || "<none>";
}

function containers(object: StoredObject, field: string): string {
  return arrayAt(object, "spec.template.spec.containers")
    .map((item) => textAt(item, field))
    .join(",");
}

function equalities(labels: Record<string, unknown>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.join(",") || "<none>";
}

function lastSeen(event: StoredObject): unknown {
  const series = isObject(event.series) ? event.series.lastObservedTime : undefined;
  return series ?? event.lastTimestamp ?? event.deprecatedLastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
}
