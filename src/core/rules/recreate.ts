// Recreate, step by step: the old one makes room, the candidate is brought up, and whatever ends that rollout before it has the
// traffic brings the old one back. Each try is an outage, so nothing is tried again by itself.

import { parseDuration } from "../../api/common.ts";
import { acted, type Context, elapsed, held, iso, isQuarantined, type Outcome, type Rule, returning, tell } from "../context.ts";
import { trafficWaits } from "../limits.ts";
import { hasRoom, needsDryRun, podsInTheWay } from "../recreate.ts";
import type { KnownRevision } from "../snapshot.ts";
import { stall } from "../stalls.ts";
import { chooseTarget } from "../target.ts";
import { openReturn, pointer } from "../transitions.ts";

/** True where the active one is down to make room: nothing serves, and only the candidate can change that. */
export function isDown({ status }: Context): boolean {
  return status.active?.downSince !== undefined;
}

/** True where a try that the cluster failed is not repeated by itself. Where nothing served before, a try costs nothing. */
export function triesOnce({ status }: Context): boolean {
  return status.rollout?.strategy === "Recreate" && status.active !== undefined;
}

/** Ends this try for good: what served comes back, and a person is needed. */
export function halt(context: Context, reason: string, message: string): Outcome {
  const { status, now } = context;
  if (!status.rollout) return undefined;
  status.rollout.halted = { reason, message: message.slice(0, 512), since: iso(now) };
  delete status.rollout.retryAt;
  delete status.rollout.readyDeadlineSince;
  sayHalted(context);
  return acted(reason, message);
}

function sayHalted(context: Context): void {
  const { status } = context;
  const { halted } = status.rollout ?? {};
  if (!halted || !status.candidate) return;
  const how = "with Recreate each try is an outage, so it is not tried again by itself: retry it or pin another version";
  stall(context, halted.reason, `${halted.message}; ${how}`);
}

/** Waiting for the pods of the old one to end has the same limit as waiting for those of the new one to begin. */
export function awaitRoom(context: Context): Outcome {
  const { status, snapshot, now } = context;
  if (!status.candidate || !isDown(context)) return undefined;
  const limit = parseDuration(snapshot.deployment.spec.strategy?.progressDeadline ?? "10m");
  const waited = elapsed(context, status.active?.downSince);
  if (waited < limit) {
    context.wake.push(now + limit - waited);
    return undefined;
  }
  const names = podsInTheWay(snapshot, status.candidate.revision).slice(0, 3).join(", ");
  return halt(context, "ProgressDeadlineExceeded", `the pods of r${status.active?.revision} did not end: ${names}`);
}

/** True where a Recreate candidate has nothing to start with yet: no deadline of its own runs. */
export function waitsForRoom(context: Context): boolean {
  const { status, snapshot } = context;
  if (!triesOnce(context)) return false;
  return !isDown(context) || !hasRoom(snapshot, status.candidate?.revision);
}

/** The old one is scaled down: only when the API server took the candidate as it is, and when nothing holds the rollout. */
export const makeRoom: Rule = {
  name: "make-room",
  apply(context) {
    const { status, snapshot, now } = context;
    const { active, candidate, rollout } = status;
    if (!candidate || rollout?.strategy !== "Recreate") return undefined;
    if (rollout.halted) {
      if (!returning(status)) sayHalted(context);
      return held(rollout.halted.reason, rollout.halted.message);
    }
    if (!active || isDown(context)) return undefined;
    if (returning(status)) return held("ReturnUnderWay", `r${candidate.revision} is brought up when the return has ended`);
    if ((snapshot.deployment.spec.replicas ?? 1) === 0)
      return held("PodsNotReady", "scaled to 0; it goes on when there are to be pods");
    const dark = context.active?.findings.find(
      ({ check, judgement }) => check.severity === "Critical" && judgement.verdict === "ProviderError",
    );
    if (dark && !rollout.promoted && snapshot.policy.mode !== "Observe")
      return held(
        "SourceUnavailable",
        `the source of ${dark.check.name} does not answer; see status.checks; r${active.revision} is not scaled down`,
      );
    if (needsDryRun(snapshot, status))
      return held("DryRun", `the API server is asked whether it would take the Deployment of r${candidate.revision}`);
    const wait = trafficWaits(context);
    if (wait) return held(wait.reason, wait.message);
    status.decision = (status.decision ?? 0) + 1;
    active.downSince = iso(now);
    delete rollout.readyDeadlineSince;
    const message = `r${active.revision} (${active.version}) is scaled down to make room for r${candidate.revision} (${candidate.version})`;
    tell(context, "Normal", "MakingRoom", `${message}; nothing serves until it is ready`, `${rollout.sequence}`);
    return acted("MakingRoom", message);
  },
};

/**
 * What was scaled down to make room comes back when there is no candidate any more to make it for: after each pass, whatever
 * ended that rollout. It is a return like any other: verified, recorded, and with the next target where the old one does not start.
 */
export function comeBack(context: Context): void {
  const { status, snapshot, before } = context;
  const { active, candidate, rollout } = status;
  if (!active || !isDown(context) || returning(status)) return;
  if (candidate && rollout && !rollout.halted) return;
  const ended = (status.history ?? []).find((entry) => entry.sequence === before.rollout?.sequence);
  const from = rollout?.halted && candidate ? pointer(candidate) : ended?.to;
  const failed = rollout?.halted !== undefined || ended?.outcome === "Rejected";
  const message = rollout?.halted?.message ?? ended?.message ?? "its successor is gone";
  const own = snapshot.revisions.find((known) => known.revision === active.revision);
  const choice = own && !own.revoked && !isQuarantined(status, own.hash) ? undefined : chooseTarget(snapshot, status, []);
  const target: KnownRevision = (choice?.found ? choice.target : own) ?? {
    ...pointer(active),
    baseline: [],
    validationMetrics: {},
    revoked: false,
  };
  openReturn(context, {
    target,
    trigger: failed ? "Fault" : "Pin",
    reason: rollout?.halted?.reason ?? ended?.reason ?? "Gone",
    message,
    warm: false,
    ...(from ? { from } : {}),
    ...(ended?.reason === "RolledBackByPerson" && ended.initiator ? { initiator: ended.initiator } : {}),
  });
  if (target.revision === active.revision) {
    delete active.downSince;
    delete active.arrivedAt;
    delete active.settledAt;
  }
}

/** The clock of a target's start; with Recreate it runs only when the pods of the others are gone. */
export function beginTarget(rollback: NonNullable<Context["status"]["rollback"]>, now: number): void {
  delete rollback.targetStartedAt;
  if (rollback.strategy === "Recreate") rollback.clearingSince = iso(now);
  else rollback.targetStartedAt = iso(now);
}

/** With Recreate the pods of what is left are awaited gone, as long as a start may take; what hangs then is no longer waited for. */
export function awaitGone(context: Context, limit: number): Outcome {
  const { status, snapshot, now } = context;
  const rollback = status.rollback;
  if (!rollback?.to || rollback.strategy !== "Recreate" || rollback.targetStartedAt !== undefined) return undefined;
  if (hasRoom(snapshot, rollback.to.revision)) return undefined;
  const waited = elapsed(context, rollback.clearingSince);
  if (waited >= limit) return undefined;
  context.wake.push(now + limit - waited);
  return held("RollingBack", `r${rollback.to.revision} is scaled up when the pods of the others are gone`);
}
