// ReplicaSet → Pods: as many as wanted, those that serve least go first; counts of ready and available pods in the status.
import type { Clock } from "../../clock.ts";
import { type SandboxApi, StatusError } from "../api.ts";
import {
  type Condition,
  condition,
  controllerOf,
  keyOf,
  ownerReference,
  PODS,
  type Pod,
  type PodTemplate,
  REPLICA_SETS,
  type ReplicaSet,
  timestamp,
  withCondition,
} from "./kinds.ts";
import { KeyLoop } from "./loop.ts";
import { Mirror } from "./mirror.ts";
import { safeHash, same } from "./text.ts";

const RETRY_MS = 1000;

export interface ReplicaSetController {
  stop(): void;
}

export function replicaSetController(
  api: SandboxApi,
  clock: Clock,
  pods: Mirror<Pod>,
  listen: (onPod: (pod: Pod) => void) => void,
  onError: (key: string, error: unknown) => void,
  rewrite: (template: PodTemplate) => PodTemplate = (template) => template,
): ReplicaSetController {
  const loop = new KeyLoop(clock, reconcile, onError);
  const sets = new Mirror<ReplicaSet>(api, REPLICA_SETS, (set) => loop.mark(keyOf(set)));
  let serial = 0;
  listen((pod) => {
    const owner = controllerOf(pod);
    if (owner?.kind === "ReplicaSet") loop.mark(`${pod.metadata.namespace}/${owner.name}`);
  });

  function reconcile(key: string): number | undefined {
    const set = sets.get(key);
    if (!set) return undefined;
    const alive = activePods(set);
    const missing = (set.spec.replicas ?? 1) - alive.length;
    let failure: Condition | undefined;
    if (!set.metadata.deletionTimestamp) {
      if (missing > 0) failure = createPods(set, missing);
      if (missing < 0) deletePods(alive, -missing);
    }
    const again = writeStatus(key, failure);
    return failure ? RETRY_MS : again;
  }

  function activePods(set: ReplicaSet): Pod[] {
    return pods
      .ownedBy(set.metadata.uid)
      .filter((pod) => !pod.metadata.deletionTimestamp && pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed");
  }

  function createPods(set: ReplicaSet, count: number): Condition | undefined {
    for (let i = 0; i < count; i++) {
      const template = rewrite(set.spec.template);
      let name: string;
      do name = `${set.metadata.name}-${safeHash(`${set.metadata.uid}/${serial}`, 5)}`;
      while (pods.get(`${set.metadata.namespace}/${name}`) && ++serial);
      const metadata = {
        ...template.metadata,
        name,
        generateName: `${set.metadata.name}-`,
        namespace: set.metadata.namespace,
        ownerReferences: [ownerReference(set)],
      };
      try {
        api.create(PODS, { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec });
        serial++;
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        // Refused (a quota, a bad template): told in the status and tried again, as Kubernetes does. The name stays the
        // same, so that the message does too: a status that changed at each try would cause the next one at once.
        return { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: error.message };
      }
    }
    return undefined;
  }

  function deletePods(alive: Pod[], count: number): void {
    const ordered = [...alive].sort(worthLess);
    for (const pod of ordered.slice(0, count)) {
      api.delete(PODS, pod.metadata.namespace, pod.metadata.name, { uid: pod.metadata.uid });
    }
  }

  function writeStatus(key: string, failure: Condition | undefined): number | undefined {
    const set = sets.get(key);
    if (!set) return undefined;
    const now = clock.now();
    const alive = activePods(set);
    const ready = alive.filter(isReady);
    const minReadyMs = 1000 * (set.spec.minReadySeconds ?? 0);
    const waits = ready.map((pod) => readySince(pod) + minReadyMs - now).filter((left) => minReadyMs > 0 && left > 0);
    const available = ready.length - waits.length;
    const others = (set.status?.conditions ?? []).filter((each) => each.type !== "ReplicaFailure");
    const previous = condition(set.status?.conditions, "ReplicaFailure");
    const conditions = failure ? withCondition(previous ? [...others, previous] : others, failure, timestamp(now)) : others;
    const status = {
      replicas: alive.length,
      ...(alive.length > 0 ? { fullyLabeledReplicas: alive.length } : {}),
      ...(ready.length > 0 ? { readyReplicas: ready.length } : {}),
      ...(available > 0 ? { availableReplicas: available } : {}),
      observedGeneration: set.metadata.generation ?? 1,
      ...(conditions.length > 0 ? { conditions } : {}),
    };
    if (!same(status, set.status ?? {})) api.updateStatus(REPLICA_SETS, { ...set, status });
    return waits.length > 0 ? Math.min(...waits) : undefined;
  }

  return {
    stop() {
      loop.stop();
      sets.stop();
    },
  };
}

export function isReady(pod: Pod): boolean {
  return condition(pod.status?.conditions, "Ready")?.status === "True";
}

function readySince(pod: Pod): number {
  return Date.parse(condition(pod.status?.conditions, "Ready")?.lastTransitionTime ?? pod.metadata.creationTimestamp);
}

/** Kubernetes' order of deletion: unassigned, pending, not ready, ready for a shorter time, younger. */
function worthLess(a: Pod, b: Pod): number {
  const rank = (pod: Pod) => (!pod.spec.nodeName ? 0 : pod.status?.phase !== "Running" ? 1 : isReady(pod) ? 3 : 2);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (rank(a) === 3 && readySince(a) !== readySince(b)) return readySince(b) - readySince(a);
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp
    ? 1
    : a.metadata.creationTimestamp > b.metadata.creationTimestamp
      ? -1
      : 0;
}
