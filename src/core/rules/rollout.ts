// A candidate's way: it fails by its own fault or the cluster's, it gets the traffic, it is proven.

import { parseDuration } from "../../api/common.ts";
import { BAKE_STARVED_FACTOR } from "../../api/defaults.ts";
import type { Initiator } from "../../api/modeldeployment-status.ts";
import { canaryOf, candidateSize, hasShare, stepsLeft } from "../canary.ts";
import { isShared } from "../common.ts";
import { acted, type Context, elapsed, held, iso, isQuarantined, type Outcome, type Rule, returning, tell } from "../context.ts";
import { account, breaches, type Finding, judgingSince, nameOf } from "../evidence.ts";
import { childFault, FETCH_CONTAINER, lateFault } from "../faults.ts";
import { proveGate, switchGate } from "../gates.ts";
import { trafficWaits } from "../limits.ts";
import { recommend } from "../recommendation.ts";
import { isAsleep } from "../sleep.ts";
import type { Snapshot } from "../snapshot.ts";
import { endStall, stall } from "../stalls.ts";
import { childOf } from "../target.ts";
import { closeRollout, keepStandby, moveTraffic, quarantine, withdrawShare } from "../transitions.ts";
import { baselineOf } from "../verdict.ts";
import { isCurrent } from "../window.ts";
import { awaitRoom, halt, isDown, triesOnce, waitsForRoom } from "./recreate.ts";

const RETRY_BASE_MS = 30_000;
const RETRY_MAX_MS = 15 * 60_000;

/** How long after its first, second, … failure something is tried again, ms: half a minute at first, then twice as long each time. */
export const retryDelayMs = (failures: number): number => Math.min(RETRY_BASE_MS * 2 ** (failures - 1), RETRY_MAX_MS);

/**
 * Rejects and quarantines the candidate; whatever share of the traffic it had goes back in one write.
 * @param by the person who asked for it
 */
export function reject(context: Context, reason: string, message: string, by?: Initiator): Outcome {
  const { status } = context;
  const candidate = status.candidate;
  if (!candidate) return undefined;
  const how = isDown(context) ? "is brought up again" : "goes on serving";
  const back = status.active ? `; r${status.active.revision} ${how}` : "; nothing serves";
  quarantine(context, candidate, reason, message);
  closeRollout(context, "Rejected", reason, message, by);
  return acted(reason, `${message}${back}`);
}

/** The candidate is scaled down and tried again later; each try waits longer. */
function backOff(context: Context, reason: string, message: string): Outcome {
  const { status, now } = context;
  const rollout = status.rollout;
  if (!rollout) return undefined;
  if (triesOnce(context)) return halt(context, reason, message);
  const attempt = rollout.attempt ?? 1;
  const delay = retryDelayMs(attempt);
  withdrawShare(context);
  rollout.attempt = attempt + 1;
  rollout.retryAt = iso(now + delay);
  context.wake.push(now + delay);
  stall(context, reason, `${message}; tried again at ${rollout.retryAt}`);
  return acted(reason, message);
}

/** Waits out the back-off of a candidate that the cluster could not start. */
export const retryCandidate: Rule = {
  name: "retry-candidate",
  apply(context) {
    const { status, now } = context;
    const rollout = status.rollout;
    if (!rollout?.retryAt || !status.candidate) return undefined;
    if (now < Date.parse(rollout.retryAt)) {
      context.wake.push(Date.parse(rollout.retryAt));
      return undefined;
    }
    delete rollout.retryAt;
    rollout.readyDeadlineSince = iso(now);
    status.candidate.judgedFrom = iso(now);
    endStall(context, "Candidate");
    return acted("Retrying", `attempt ${rollout.attempt} of r${status.candidate.revision}`);
  },
};

/** The candidate's own faults quarantine it; the cluster's make it wait. */
export const candidateFailed: Rule = {
  name: "candidate-failed",
  apply(context) {
    const { status, snapshot } = context;
    const { candidate, rollout } = status;
    if (!candidate || !rollout || rollout.retryAt || rollout.halted) return undefined;
    const { refused } = snapshot;
    if (refused?.revision === candidate.revision && refused.attempt === (rollout.attempt ?? 1)) {
      return backOff(
        context,
        "InvalidTemplate",
        `the API server refuses the Deployment of r${candidate.revision}: ${refused.message}`,
      );
    }
    const child = childOf(snapshot, candidate.revision);
    const fault = child ? childFault(child, snapshot.policy.restarts.failures) : undefined;
    if (fault?.of === "Own") return reject(context, fault.reason, fault.message);
    if (snapshot.probe?.revision === candidate.revision && snapshot.probe.outcome === "Failed") {
      return reject(context, "ProbeFailed", snapshot.probe.message);
    }
    const found = breaches(context.candidate);
    // While a return is under way nothing comparable is measured; the candidate has no traffic, and gets none.
    const own = returning(status) ? undefined : found.find((one) => !isShared(one, snapshot, context.active));
    if (own && snapshot.policy.mode === "Observe") return observed(context, own);
    // Who promotes it without traffic accepts what its checks say; a share that it has is taken back all the same.
    if (own && (!rollout.promoted || hasShare(status))) return reject(context, "CheckBreached", account(own));
    const late = overdue(context, fault ? { reason: fault.reason, message: fault.message } : undefined);
    if (late || own || !found[0] || returning(status)) return late;
    return held("CommonBreach", `${nameOf(found[0])} is beyond its limit on the active revision too: no fault of the candidate`);
  },
};

/** Nothing acts on checks: what would have happened to the candidate is said, and it goes on. */
function observed(context: Context, found: Finding): Outcome {
  const { candidate, active } = context.status;
  if (candidate) recommend(context, { mode: "Observe", action: "Reject", found, from: candidate, to: active });
  return overdue(context, undefined) ?? held("Observe", `would reject r${candidate?.revision}: ${nameOf(found)}`);
}

/** The deadline counts only while pods are being waited for. */
function overdue(context: Context, fault: { reason: string; message: string } | undefined): Outcome {
  const { status, snapshot, now } = context;
  const { candidate, rollout } = status;
  if (!candidate || !rollout) return undefined;
  if (waitsForRoom(context)) {
    delete rollout.readyDeadlineSince;
    return awaitRoom(context);
  }
  const child = childOf(snapshot, candidate.revision);
  const replicas = candidateSize(snapshot.deployment, status);
  // While nothing serves, being ready and not let through is an outage as well: the deadline runs on.
  if ((child?.current ?? 0) >= replicas && !isDown(context)) {
    // The deadline counts only while pods are being waited for: not through holds, pauses and bakes.
    delete rollout.readyDeadlineSince;
    return undefined;
  }
  rollout.readyDeadlineSince ??= iso(now);
  const limit = parseDuration(snapshot.deployment.spec.strategy?.progressDeadline ?? "10m");
  // What the cluster lacks gets a shorter patience: it is tried again anyway, and a person should hear of it.
  const patience = fault ? Math.min(limit, 2 * RETRY_BASE_MS) : limit;
  const waited = elapsed(context, rollout.readyDeadlineSince);
  if (waited < patience) {
    context.wake.push(now + patience - waited);
    return undefined;
  }
  if (fault) return backOff(context, fault.reason, fault.message);
  const pods = child?.pods ?? [];
  // A fetch ends itself when nothing comes any more, so one that runs makes progress: waiting begins anew.
  if (pods.some((pod) => pod.containers.some((one) => one.name === FETCH_CONTAINER && one.running))) {
    rollout.readyDeadlineSince = iso(now);
    context.wake.push(now + patience);
    return undefined;
  }
  const unready = pods.filter((pod) => pod.accountable && !pod.ready);
  if (unready.length > 0)
    return reject(
      context,
      "NeverReady",
      `${unready[0]?.name}: its container started and did not get ready within ${limit / 1000} s`,
    );
  const late = lateFault(pods);
  if (late) return backOff(context, late.reason, late.message);
  const message = `${child?.current ?? 0} of ${replicas} pods of r${candidate.revision} got ready within ${limit / 1000} s`;
  return backOff(context, "ProgressDeadlineExceeded", message);
}

/** All the traffic for the candidate, in one write; a canary's comes to this after its last step. */
export const moreTraffic: Rule = {
  name: "more-traffic",
  apply(context) {
    const { status, snapshot } = context;
    const { candidate, rollout } = status;
    if (!candidate || !rollout || rollout.retryAt || rollout.halted || stepsLeft(snapshot.deployment, status)) return undefined;
    if (rollout.strategy === "Recreate" && status.active && !isDown(context)) return undefined;
    if (returning(status)) return held("ReturnUnderWay", `r${candidate.revision} waits until the return has ended`);
    const activeServes = (childOf(snapshot, status.active?.revision)?.ready ?? 0) > 0;
    const missing = switchGate({
      child: childOf(snapshot, candidate.revision),
      replicas: snapshot.deployment.spec.replicas ?? 1,
      probe: snapshot.probe?.revision === candidate.revision ? snapshot.probe : undefined,
      probeWanted: snapshot.deployment.spec.probe !== undefined,
      candidate: context.candidate,
      sources: activeServes ? context.active : context.candidate,
      // Where checks are only observed they hold nothing either.
      promoted: rollout.promoted || snapshot.policy.mode === "Observe",
    });
    if (missing) return held(missing.reason, missing.message);
    // Once the old one made room, waiting would only make the outage longer.
    const wait = isDown(context) ? undefined : trafficWaits(context);
    if (wait) return held(wait.reason, wait.message);
    keepStandby(context, breaches(context.active).length > 0);
    rollout.switchedAt = iso(context.now);
    // An older return says nothing about what is reached by a rollout.
    delete status.rollback?.checks;
    delete status.rollback?.healthyChecks;
    // The steps of a canary have their own promote; all the traffic proves nothing yet.
    if (canaryOf(snapshot.deployment, status)) delete rollout.promoted;
    moveTraffic(context, { ...candidate }, true);
    endStall(context, "Candidate");
    const message = `r${candidate.revision} (${candidate.version}) takes the traffic and bakes`;
    return acted("TrafficSwitched", message);
  },
};

/** The bake is over: the revision is proven, and what it measured is its baseline. */
export const prove: Rule = {
  name: "prove",
  apply(context) {
    const { status, snapshot, now } = context;
    const active = status.active;
    if (!active?.baking || returning(status) || isQuarantined(status, active.hash)) return undefined;
    // The last proof must have reached its ControllerRevision first: the status keeps the baseline of one revision only.
    const last = status.lastHealthy;
    if (last && snapshot.revisions.some((known) => known.revision === last.revision && known.provenAt !== last.provenAt)) {
      return held("RecordingProof", `the proof of r${last.revision} is being written`);
    }
    if (isAsleep(status)) return held("PodsNotReady", "scaled to 0; it is judged again when it has its full size");
    const own = status.rollout?.revision === active.revision ? status.rollout : undefined;
    const promoted = own?.promoted || active.promoted;
    const missing = proveGate(context.active, snapshot.policy);
    if (missing && !(promoted && active.settledAt !== undefined && breaches(context.active).length === 0))
      return starved(context, missing);
    const provenAt = iso(now);
    active.standing = "Proven";
    active.provenAt = provenAt;
    delete active.baking;
    delete active.promoted;
    delete active.starved;
    delete active.breached;
    status.lastHealthy = { ...active, baseline: measureBaseline(context) };
    const message = missing
      ? `promoted by a person before its bake was over (${missing.message})`
      : "every Critical check stayed healthy for the bake";
    if (own) closeRollout(context, "Proven", missing ? "Promoted" : "Baked", message);
    else {
      // One that bakes again has no rollout whose end would tell it.
      const note = `r${active.revision} (${active.version}) is proven: ${message}`;
      tell(context, "Normal", "Proven", note, `${active.revision}-${provenAt}`);
    }
    // What keeps another candidate waiting is not over with this proof, nor what the pin names.
    endStall(context, "Serving");
    return acted("Proven", message);
  },
};

function measureBaseline(context: Context) {
  const { status, snapshot, now } = context;
  const active = status.active;
  if (!active) return [];
  const since = judgingSince(active);
  return snapshot.policy.checks.flatMap((check) => {
    const window = snapshot.windows[active.revision]?.find((one) => one.check === check.name && isCurrent(one, check, since));
    const measured = window ? baselineOf(check, window) : undefined;
    return measured ? [{ ...measured, from: iso(window?.firstAt ?? now), to: iso(window?.lastAt ?? now) }] : [];
  });
}

function starved(context: Context, missing: { reason: string; message: string }): Outcome {
  const { status, snapshot, now } = context;
  const active = status.active;
  if (!active) return undefined;
  const limit = BAKE_STARVED_FACTOR * snapshot.policy.bakeMs;
  const waited = elapsed(context, active.judgedFrom ?? active.since);
  if (waited < limit) {
    context.wake.push(now + limit - waited);
    return held(missing.reason, missing.message);
  }
  const message = `r${active.revision} has baked ${Math.round(waited / 1000)} s without proof: ${missing.message}; promote it with rollguard.dev/promote: r${active.revision}/<token>`;
  if (!active.starved) tell(context, "Warning", "BakeStarved", message, `${active.revision}-${active.since}`);
  active.starved = true;
  return held("BakeStarved", message);
}

/** The traffic has arrived: the EndpointSlices hold only ready pods of the active revision. */
export const settle: Rule = {
  name: "settle",
  apply(context) {
    const { status, snapshot, now } = context;
    const active = status.active;
    const ready = snapshot.active?.ready ?? {};
    if (!active || active.downSince !== undefined) return undefined;
    if (Object.entries(ready).some(([revision, count]) => Number(revision) !== active.revision && count > 0)) return undefined;
    if (!routeSettled(snapshot, active.revision)) return undefined;
    if (active.tookBackAt !== undefined && snapshot.active?.selects === active.revision) {
      // It had traffic all the time: its samples go on counting, whatever its size.
      active.settledAt = iso(now);
      active.arrivedAt = active.settledAt;
      delete active.tookBackAt;
    }
    if ((ready[active.revision] ?? 0) === 0) return undefined;
    // Endpoints of pods that are gone already are still on their way out of the cache.
    if ((childOf(snapshot, active.revision)?.ready ?? 0) === 0) return undefined;
    active.arrivedAt ??= iso(now);
    const rollback = status.rollback;
    if (returning(status) && rollback?.to?.revision === active.revision && !rollback.restoredAt) {
      rollback.restoredAt = iso(now);
      // What was measured while it was still starting is not its doing.
      active.judgedFrom = iso(now);
    }
    if (active.settledAt) return undefined;
    const full = (childOf(snapshot, active.revision)?.ready ?? 0) >= (snapshot.deployment.spec.replicas ?? 1);
    if (!full) return undefined;
    active.settledAt = iso(now);
    // Judging begins, with its warm-up, when the traffic is there and the revision has its full size.
    active.judgedFrom = active.settledAt;
    return undefined;
  },
};

/** Neither backend of the route leads to pods of another revision than `active`. */
function routeSettled({ route, preview }: Snapshot, active: number): boolean {
  if (!route || (route.preview === 0 && route.generationSeen)) return true;
  // A route that no Gateway looks at any more: then what stands behind the preview Service counts.
  return !Object.entries(preview?.ready ?? {}).some(([revision, count]) => Number(revision) !== active && count > 0);
}
