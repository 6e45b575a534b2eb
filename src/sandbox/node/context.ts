// What the parts of the node share, and the events that they write.
import type { Clock } from "../../clock.ts";
import type { SandboxApi } from "../api.ts";
import { EVENTS, type Pod, timestamp } from "../controllers/kinds.ts";
import { safeHash } from "../controllers/text.ts";
import type { MemoryWatch } from "./memory.ts";
import type { Processes } from "./processes.ts";

export interface NodeContext {
  api: SandboxApi;
  clock: Clock;
  processes: Processes;
  memory: MemoryWatch;
  /** Image name → the command that stands for its entry point. */
  images: Readonly<Record<string, readonly string[]>>;
  /** Images that a registry would not have. */
  missingImages: ReadonlySet<string>;
  /** Where containers without a workingDir run. */
  cwd: string;
  /** The second restart waits this long, then twice as long each time (10 s in a real kubelet). */
  restartBackoffMs: number;
  record(pod: Pod, type: "Normal" | "Warning", reason: string, message: string): void;
}

/** Writes core/v1 Events about pods; the same one again only counts. Never throws: an event is no reason to fail. */
export function eventWriter(api: SandboxApi, clock: Clock): NodeContext["record"] {
  return (pod, type, reason, message) => {
    const now = timestamp(clock.now());
    const { name, namespace, uid } = pod.metadata;
    const eventName = `${name}.${safeHash(`${uid}/${reason}/${message}`, 12)}`;
    try {
      const known = api.get(EVENTS, namespace, eventName);
      if (known) {
        api.update(EVENTS, { ...known, count: Number(known.count ?? 1) + 1, lastTimestamp: now });
        return;
      }
      api.create(EVENTS, {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: eventName, namespace },
        involvedObject: { apiVersion: "v1", kind: "Pod", name, namespace, uid },
        type,
        reason,
        message,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component: "kubelet", host: pod.spec.nodeName },
        reportingComponent: "kubelet",
        reportingInstance: pod.spec.nodeName,
      });
    } catch {
      // The namespace is ending, for instance.
    }
  };
}
