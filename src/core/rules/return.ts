// Returning traffic: when the active revision is breached or revoked, and while a return is under way.

import type { Initiator } from "../../api/modeldeployment-status.ts";
import { isShared } from "../common.ts";
import { acted, type Context, elapsed, held, iso, isQuarantined, type Outcome, type Rule, returning } from "../context.ts";
import { account, breaches, describe, type Finding, nameOf } from "../evidence.ts";
import { verifyGate } from "../gates.ts";
import { returnWaits, type Wait } from "../limits.ts";
import { recommend } from "../recommendation.ts";
import { isAsleep } from "../sleep.ts";
import type { KnownRevision } from "../snapshot.ts";
import { stall } from "../stalls.ts";
import { childOf, chooseTarget, isWarm, type TargetChoice } from "../target.ts";
import { closeReturn, moveTraffic, openReturn, pointer, quarantine, refOf, releaseCandidate } from "../transitions.ts";
import { awaitGone, beginTarget } from "./recreate.ts";
import { retryDelayMs } from "./rollout.ts";

/** How a person ends what no rule ends by itself. */
const WAY_OUT = "pin another version, retry it, or roll back to a revision of your choice";

/** A target that is not ready within this share of the deadline is passed over. */
const START_SHARE = 1 / 3;

/** Points the open return at `target` and moves the traffic at once where it is warm: traffic first, scale second. */
export function takeTarget(context: Context, target: KnownRevision, warm: boolean): void {
  const { status, now, snapshot } = context;
  const ref = refOf(target, now);
  if (status.rollback) status.rollback.warm = warm;
  if (warm) moveTraffic(context, ref, ref.standing !== "Proven");
  context.wake.push(now + snapshot.policy.deadlineMs * START_SHARE);
}

/** When a revocation whose returns failed is tried again, ms epoch: each try is a transition, and they must not follow each other without end. */
function revocationRetryAt({ status }: Context): number {
  const returns = (status.history ?? []).filter((entry) => entry.action === "Return");
  const last = returns.findLastIndex(
    ({ outcome, trigger, from }) => outcome !== "Failed" || trigger !== "Revoked" || from?.revision !== status.active?.revision,
  );
  const failed = returns.slice(last + 1);
  const end = failed.at(-1)?.finishedAt;
  return end === undefined ? 0 : Date.parse(end) + retryDelayMs(failed.length);
}

/** A revoked version leaves wherever it serves, whatever the metrics say. */
export const revoked: Rule = {
  name: "revoked",
  apply(context) {
    const { status, snapshot } = context;
    const active = status.active;
    // One that is down to make room serves nobody; it does not come back, see comeBack.
    if (!active || active.downSince !== undefined || returning(status)) return undefined;
    const known = snapshot.revisions.find((one) => one.revision === active.revision);
    if (!known?.revoked) return undefined;
    const choice = chooseTarget(snapshot, status, []);
    const by = known.revokedBy;
    const message = `${active.version} was revoked${by === undefined ? "" : ` by ${by}`}`;
    if (!choice.found) {
      stall(context, "RevokedNoTarget", `${message}, and ${choice.message}; it keeps serving`);
      return held("RevokedNoTarget", message);
    }
    const freeAt = snapshot.revocationFreeAt;
    if (freeAt !== undefined && freeAt > context.now) {
      context.wake.push(freeAt);
      return held("RevocationPaced", `${message}; it waits for its turn: returns by revocation are begun one after the other`);
    }
    const retryAt = revocationRetryAt(context);
    if (retryAt > context.now) {
      context.wake.push(retryAt);
      return held("RevocationPaced", `${message}; no target started, and it is tried again at ${iso(retryAt)}`);
    }
    openReturn(context, {
      target: choice.target,
      trigger: "Revoked",
      reason: "Revoked",
      message,
      warm: choice.warm,
      ...(by === undefined ? {} : { initiator: { name: by, source: "Declared" as const } }),
    });
    takeTarget(context, choice.target, choice.warm);
    return acted("Revoked", message);
  },
};

/** Says that a return waits, and shows what would be done where the policy's mode says so. */
function waitFor(context: Context, found: Finding, wait: Wait, choice: TargetChoice): Outcome {
  const { active } = context.status;
  if (wait.stalls) stall(context, wait.reason, wait.message, found.check.name);
  if (wait.recommends && active) {
    const to = choice.found ? choice.target : undefined;
    recommend(context, { mode: wait.recommends, action: "Return", found, from: active, to });
  }
  return held(wait.reason, wait.message);
}

/** Breached before the return and on its target too, which never was Healthy on it: the cause is common, not the version. */
function isCommon(context: Context, { check }: Finding): boolean {
  const { rollback, stall: stalled, active } = context.status;
  if (check.source === undefined) return false;
  if (stalled?.reason === "CommonCause" && stalled.check === check.name) return true;
  if (!rollback || rollback.to?.revision !== active?.revision) return false;
  return (rollback.checks?.includes(check.name) ?? false) && !(rollback.healthyChecks ?? []).includes(check.name);
}

/** @param approver who approved it: what limits Rollguard's own decisions is not asked */
export function beginReturn(context: Context, found: readonly Finding[], approver?: Initiator): Outcome {
  const { status, snapshot } = context;
  const { active } = status;
  const own = found.filter((one) => !isCommon(context, one));
  const first = own[0];
  if (!active || !found[0]) return undefined;
  if (!first) {
    const words = nameOf(found[0]);
    stall(
      context,
      "CommonCause",
      `${words} on what was returned to as well: the cause is not the version; nothing more is rolled back until it is healthy again: mend the cause, or ${WAY_OUT}`,
      found[0].check.name,
    );
    return held("CommonCause", words);
  }
  // A walk that ended does not begin again by itself: that would be the same incident without end.
  if (status.stall?.reason === "TargetBreached" || status.stall?.reason === "ReturnFailed")
    return held(status.stall.reason, status.stall.message);
  const choice = chooseTarget(snapshot, status, own);
  const waits = approver ? [] : own.map((one) => returnWaits(context, one));
  const cause = approver ? first : own[waits.indexOf(undefined)];
  const wait = waits[0];
  // Any of them may be the one that ends first.
  for (const one of waits) if (one?.wakeAt !== undefined) context.wake.push(one.wakeAt);
  // What is only recommended needs a target as well: a person who approves must not find that there is none.
  if (!cause && wait && (choice.found || wait.reason !== "AwaitingApproval")) return waitFor(context, first, wait, choice);
  if (!choice.found) {
    stall(
      context,
      choice.reason,
      `${nameOf(first)} is breached, and ${choice.message}; r${active.revision} keeps serving`,
      first.check.name,
    );
    return held(choice.reason, choice.message);
  }
  const breached = own.map(account).join("; ");
  const message = approver ? `${breached}; approved by ${approver.name}` : breached;
  openReturn(context, {
    target: choice.target,
    trigger: "Breach",
    reason: "Breached",
    message,
    check: (cause ?? first).check.name,
    checks: own.map((one) => one.check.name),
    warm: choice.warm,
    ...(approver ? { initiator: approver } : {}),
  });
  // What a candidate measures as badly at the same time is no fault of this one's content either.
  if (!own.every((one) => isShared(one, snapshot, context.candidate))) quarantine(context, active, "Breached", breached);
  takeTarget(context, choice.target, choice.warm);
  return acted("RollingBack", message);
}

/** Ends a return whose target failed, and says what is left. */
function endFailed(context: Context, reason: string, message: string, check?: string): Outcome {
  closeReturn(context, "Failed", reason, message);
  const ends = check === undefined ? "" : `, or wait until ${check} is healthy`;
  stall(context, reason, `${message}; ${WAY_OUT}${ends}`, check);
  return acted(reason, message);
}

/** The target itself is breached: a common cause ends the walk; otherwise the next proven one is tried, within `maxDepth`. */
function walkOn(context: Context, found: readonly Finding[]): Outcome {
  const { status, snapshot } = context;
  const rollback = status.rollback;
  const first = found[0];
  const active = status.active;
  if (!rollback || !first || !active) return undefined;
  const common = found.find((one) => isCommon(context, one));
  if (common) {
    return endFailed(
      context,
      "CommonCause",
      `${describe(common)} on r${active.revision} too: the cause is not the version`,
      common.check.name,
    );
  }
  if (found.some((one) => one.check.kind === "Restarts")) quarantine(context, active, "Breached", describe(first));
  const depth = rollback.depth ?? 1;
  if (depth >= snapshot.policy.maxDepth) {
    return endFailed(
      context,
      "TargetBreached",
      `${describe(first)} on r${active.revision} after the return; maxDepth is ${snapshot.policy.maxDepth}`,
      first.check.name,
    );
  }
  // What the next target replaces is this one: its breach counts for the common cause, too.
  rollback.checks = [...new Set([...(rollback.checks ?? []), ...found.map((one) => one.check.name)])];
  return nextTarget(context, found, `${describe(first)} on r${active.revision}`, depth + 1);
}

/** Passes the current target over and takes the next one; without one, what had the traffic is started again. */
function nextTarget(context: Context, found: readonly Finding[], why: string, depth: number): Outcome {
  const { status, snapshot, now } = context;
  const rollback = status.rollback;
  if (!rollback?.to) return undefined;
  rollback.passedOver = [...(rollback.passedOver ?? []), rollback.to.revision];
  const choice = chooseTarget(snapshot, status, found, rollback.passedOver);
  if (!choice.found) {
    const origin = snapshot.revisions.find((known) => known.revision === rollback.from?.revision);
    const served = status.active?.revision;
    // What a candidate was left for never had the traffic, and is not given it now.
    const had = rollback.trigger !== "Fault" && rollback.trigger !== "Pin";
    if (origin && had && served !== origin.revision && (childOf(snapshot, served)?.ready ?? 0) === 0) {
      moveTraffic(context, refOf(origin, now), true);
    }
    // It was scaled down for the target and starts again: judged from when it is back at its full size.
    if (rollback.strategy === "Recreate" && status.active) {
      delete status.active.arrivedAt;
      delete status.active.settledAt;
    }
    return endFailed(context, "ReturnFailed", `${why}; no other target: ${choice.message}`);
  }
  releaseCandidate(context, choice.target.revision);
  rollback.to = pointer(choice.target);
  rollback.depth = depth;
  beginTarget(rollback, now);
  rollback.healthyChecks = [];
  delete rollback.restoredAt;
  takeTarget(context, choice.target, isWarm(snapshot, status.active?.revision, choice.target.revision));
  return acted("NextTarget", `${why}; trying r${choice.target.revision}`);
}

/** A Critical breach that is returned for by nobody: the policy says so, or it is of a comparison that only holds. */
function breachHeld(context: Context): Outcome {
  const one = (context.active?.findings ?? []).find(
    ({ check, judgement }) => check.severity === "Critical" && judgement.verdict === "Breached",
  );
  if (!one) return undefined;
  const wanted = context.snapshot.policy.actions.Critical;
  const why = wanted === "Rollback" ? "a comparison with a baseline only holds" : `the policy's action is ${wanted}`;
  return held("BreachHeld", `${nameOf(one)} is breached; nothing is returned: ${why}`);
}

/** The guard, which never ends: a Critical breach of the active revision takes the traffic back. */
export const activeBreached: Rule = {
  name: "active-breached",
  apply(context) {
    const { status } = context;
    const found = breaches(context.active);
    if (!status.active) return undefined;
    if (found.length === 0) return returning(status) ? undefined : breachHeld(context);
    if (!returning(status)) return beginReturn(context, found);
    // Until its traffic has arrived, what is measured is not the target's doing.
    if (!status.rollback?.restoredAt) return undefined;
    const overdue = elapsed(context, status.rollback.detectedAt) >= context.snapshot.policy.deadlineMs;
    if (!status.active.settledAt && !overdue) return undefined;
    return status.rollback?.to?.revision === status.active.revision ? walkOn(context, found) : undefined;
  },
};

/** Brings an open return to its end: target ready → traffic → restored → verified. */
export const returnProgress: Rule = {
  name: "return-progress",
  apply(context) {
    const { status, snapshot, now } = context;
    const rollback = status.rollback;
    if (!rollback?.to || rollback.outcome !== undefined) return undefined;
    const target = snapshot.revisions.find((known) => known.revision === rollback.to?.revision);
    if (!target) return nextTarget(context, [], `r${rollback.to.revision} is gone`, rollback.depth ?? 1);
    const lost = target.revoked ? "was revoked" : isQuarantined(status, target.hash) ? "was quarantined" : undefined;
    if (lost) return nextTarget(context, breaches(context.active), `r${target.revision} ${lost}`, rollback.depth ?? 1);
    if (status.active?.revision !== target.revision && isWarm(snapshot, status.active?.revision, target.revision)) {
      moveTraffic(context, refOf(target, now), target.provenAt === undefined);
      return acted("TrafficReturned", `r${target.revision} is ready and takes the traffic`);
    }
    if (!rollback.restoredAt) return startOrPassOver(context);
    if (isAsleep(status)) return held("Verifying", "scaled to 0; it is verified when it has its full size again");
    const missing = verifyGate(context.active, snapshot.policy, elapsed(context, rollback.restoredAt));
    if (!missing) return finish(context, "Verified", "verified: every Critical check is within its limits");
    // A target that came late in a walk is verified all the same.
    const { deadlineMs, verifyMs, warmupMs } = snapshot.policy;
    const overdue =
      elapsed(context, rollback.detectedAt) >= deadlineMs && elapsed(context, rollback.restoredAt) >= verifyMs + warmupMs;
    if (overdue) return finish(context, "Unverified", `not verified by the deadline: ${missing.message}`);
    context.wake.push(Date.parse(rollback.detectedAt ?? iso(now)) + snapshot.policy.deadlineMs);
    context.wake.push(Date.parse(rollback.restoredAt) + verifyMs, Date.parse(rollback.restoredAt) + verifyMs + warmupMs);
    return held("Verifying", missing.message);
  },
};

function startOrPassOver(context: Context): Outcome {
  const { status, snapshot, now } = context;
  const rollback = status.rollback;
  if (!rollback?.to) return undefined;
  const ready = childOf(snapshot, rollback.to.revision)?.ready ?? 0;
  // It has its pods and the traffic was moved: only the EndpointSlices are waited for, and passing it over would mend nothing.
  if (ready > 0 && status.active?.revision === rollback.to.revision) return held("RollingBack", "the traffic is moving");
  if ((snapshot.deployment.spec.replicas ?? 1) === 0) {
    // Nothing can get ready at this size: the clock of its start runs from the scaling up.
    delete rollback.targetStartedAt;
    return held("RollingBack", "scaled to 0; it goes on when there are pods");
  }
  const limit = snapshot.policy.deadlineMs * START_SHARE;
  const waiting = awaitGone(context, limit);
  if (waiting) return waiting;
  rollback.targetStartedAt ??= iso(now);
  const waited = elapsed(context, rollback.targetStartedAt);
  if (waited >= limit)
    return nextTarget(context, breaches(context.active), `r${rollback.to.revision} did not get ready`, rollback.depth ?? 1);
  context.wake.push(now + limit - waited);
  return held("RollingBack", `${ready} pods of r${rollback.to.revision} are ready`);
}

/** Remembers on which checks the target was Healthy, also after its return: a later breach of those is not the common cause. */
export const noteHealthy: Rule = {
  name: "note-healthy",
  apply(context) {
    const { rollback, active } = context.status;
    if (!rollback || !active || rollback.to?.revision !== active.revision) return undefined;
    const healthy = (context.active?.findings ?? [])
      .filter(({ check, judgement }) => judgement.verdict === "Healthy" && judgement.conclusive >= check.breach.of)
      .map(({ check }) => check.name)
      .filter((name) => rollback.checks?.includes(name) && !(rollback.healthyChecks ?? []).includes(name));
    if (healthy.length > 0) rollback.healthyChecks = [...(rollback.healthyChecks ?? []), ...healthy];
    return undefined;
  },
};

function finish(context: Context, outcome: "Verified" | "Unverified", message: string): Outcome {
  closeReturn(context, outcome, outcome, message);
  return acted(outcome, message);
}
