// Scaled to 0 and back, by a person, an HPA or KEDA: what has no pods is neither judged nor proven, and what wakes is judged from when
// it is at its full size. What a gateway answers for pods that still start says nothing about the model.

import { parseDuration } from "../api/common.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { type Context, iso, returning } from "./context.ts";
import type { Snapshot } from "./snapshot.ts";
import { childOf } from "./target.ts";

/** True where the active revision has no pods because nobody wants any, or is just getting them back. */
export function isAsleep({ active }: ModelDeploymentStatus): boolean {
  return active?.asleepSince !== undefined || active?.wokenAt !== undefined;
}

/** True where a revision may be judged: it is not down to make room, not asleep, and has not just woken. */
export function mayBeJudged(snapshot: Snapshot, status: ModelDeploymentStatus): { active: boolean; candidate: boolean } {
  const wanted = (snapshot.deployment.spec.replicas ?? 1) > 0;
  return { active: status.active?.downSince === undefined && !isAsleep(status), candidate: wanted && !isAsleep(status) };
}

/** Notes in the draft that the active revision fell asleep, woke, or is awake: at its full size, or late. */
export function noteSleep({ status, snapshot, now, wake }: Pick<Context, "status" | "snapshot" | "now" | "wake">): void {
  const { active, rollback } = status;
  if (!active || active.downSince !== undefined) return;
  const { replicas = 1, strategy } = snapshot.deployment.spec;
  if (replicas === 0) {
    if (active.asleepSince !== undefined) return;
    active.asleepSince = iso(now);
    delete active.wokenAt;
    delete active.settledAt;
    // A hold that passes without traffic shows nothing.
    delete status.rollout?.stepSince;
    // What a return had restored is gone: it is verified when it is there again.
    if (returning(status) && rollback?.to?.revision === active.revision) delete rollback.restoredAt;
    return;
  }
  if (active.asleepSince !== undefined) {
    delete active.asleepSince;
    active.wokenAt = iso(now);
  }
  if (active.wokenAt === undefined) return;
  const late = Date.parse(active.wokenAt) + parseDuration(strategy?.progressDeadline ?? "10m");
  const full = (childOf(snapshot, active.revision)?.ready ?? 0) >= replicas;
  if (!full && now < late) {
    wake.push(late);
    return;
  }
  delete active.wokenAt;
  active.judgedFrom = iso(now);
  if (status.candidate) status.candidate.judgedFrom = active.judgedFrom;
}
