// The status of a Deployment from its ReplicaSets, in Kubernetes' reasons and words (what `kubectl rollout status` reads).
import { type Condition, condition, type Deployment, type ReplicaSet, timestamp, withCondition } from "./kinds.ts";
import { limitsOf } from "./rollout.ts";
import { same } from "./text.ts";

const DEFAULT_DEADLINE_SECONDS = 600;

export interface StatusResult {
  status: Record<string, unknown>;
  /** The new set has its full size, and no old pod is left. */
  complete: boolean;
  /** When the progress deadline has to be looked at again. */
  againInMs: number | undefined;
}

export function deploymentStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  all: readonly ReplicaSet[],
  nowMs: number,
): StatusResult {
  const desired = deployment.spec.replicas ?? 1;
  const now = timestamp(nowMs);
  const of = (field: "replicas" | "readyReplicas" | "availableReplicas") =>
    all.reduce((total, set) => total + (set.status?.[field] ?? 0), 0);
  const available = of("availableReplicas");
  const counts = {
    replicas: of("replicas"),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: of("readyReplicas"),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, all.reduce((total, set) => total + (set.spec.replicas ?? 1), 0) - available),
  };
  const complete =
    current !== undefined &&
    counts.updatedReplicas === desired &&
    counts.replicas === desired &&
    available === desired &&
    (current.status?.observedGeneration ?? 0) >= (current.metadata.generation ?? 0);

  const previous = deployment.status?.conditions;
  const progress = progressing(deployment, current, counts, complete, nowMs);
  let conditions = withCondition(previous, availability(deployment, available, now), now);
  conditions = withCondition(conditions, progress.condition, now);
  conditions = conditions.filter((each) => each.type !== "ReplicaFailure");
  const failure = condition(current?.status?.conditions, "ReplicaFailure");
  if (failure) conditions = withCondition(conditions, { ...failure, lastUpdateTime: failure.lastTransitionTime }, now);

  // As the API's omitempty has it: a count of zero is absent.
  const shown = Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
  const status = { observedGeneration: deployment.metadata.generation ?? 1, ...shown, conditions };
  return { status, complete, againInMs: progress.againInMs };
}

function availability(deployment: Deployment, available: number, now: string): Condition {
  const enough = available >= (deployment.spec.replicas ?? 1) - limitsOf(deployment).unavailable;
  const next: Condition = enough
    ? {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  const previous = condition(deployment.status?.conditions, "Available");
  return { ...next, lastUpdateTime: previous?.status === next.status ? previous.lastUpdateTime : now };
}

function progressing(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  counts: Record<string, number>,
  complete: boolean,
  nowMs: number,
): { condition: Condition; againInMs: number | undefined } {
  const now = timestamp(nowMs);
  const name = current?.metadata.name ?? "";
  const previous = condition(deployment.status?.conditions, "Progressing");
  const make = (status: Condition["status"], reason: string, message: string, lastUpdateTime: string) => ({
    type: "Progressing",
    status,
    reason,
    message,
    lastUpdateTime,
  });
  if (complete) {
    const reason = "NewReplicaSetAvailable";
    const since = previous?.reason === reason && previous.message?.includes(`"${name}"`) ? previous.lastUpdateTime : now;
    return {
      condition: make("True", reason, `ReplicaSet "${name}" has successfully progressed.`, since ?? now),
      againInMs: undefined,
    };
  }
  const before = deployment.status ?? {};
  const moved =
    !same(counts, Object.fromEntries(Object.keys(counts).map((field) => [field, before[field] ?? 0]))) ||
    before.observedGeneration !== deployment.metadata.generation;
  if (deployment.spec.paused && !moved) {
    return { condition: previous ?? make("Unknown", "DeploymentPaused", "Deployment is paused", now), againInMs: undefined };
  }
  if (moved || !previous?.lastUpdateTime || previous.reason === "NewReplicaSetAvailable") {
    const message = current ? `ReplicaSet "${name}" is progressing.` : "Waiting for pods of the old ReplicaSet to end.";
    return { condition: make("True", "ReplicaSetUpdated", message, now), againInMs: 1000 * deadlineSeconds(deployment) };
  }
  const left = Date.parse(previous.lastUpdateTime) + 1000 * deadlineSeconds(deployment) - nowMs;
  if (left > 0) return { condition: previous, againInMs: left };
  if (previous.reason === "ProgressDeadlineExceeded") return { condition: previous, againInMs: undefined };
  const message = `ReplicaSet "${name}" has timed out progressing.`;
  return { condition: make("False", "ProgressDeadlineExceeded", message, now), againInMs: undefined };
}

function deadlineSeconds(deployment: Deployment): number {
  return deployment.spec.progressDeadlineSeconds ?? DEFAULT_DEADLINE_SECONDS;
}
