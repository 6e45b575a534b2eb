// The only places where a draft status changes hands: opening and closing a transition, moving traffic, quarantining.
// A transition takes its sequence number when it opens and gives one history entry when it closes.

import type { HistoryEntry, ModelDeploymentStatus, RevisionIdentity, RolloutState } from "../api/modeldeployment-status.ts";
import { type Context, iso, isQuarantined } from "./context.ts";
import type { Evidence } from "./evidence.ts";
import { stallRow } from "./phases.ts";
import { strategyOf } from "./recreate.ts";
import type { KnownRevision, RevisionRef } from "./snapshot.ts";
import { endStall } from "./stalls.ts";

/** Who begins what no person asked for. */
const OPERATOR = { name: "rollguard", source: "Operator" } as const;

type Outcome = HistoryEntry["outcome"];
type Trigger = HistoryEntry["trigger"];

export function refOf(known: KnownRevision, now: number): RevisionRef {
  return {
    version: known.version,
    revision: known.revision,
    hash: known.hash,
    artifactDigest: known.artifactDigest,
    since: iso(now),
    standing: known.provenAt ? "Proven" : "Unproven",
    ...(known.provenAt ? { provenAt: known.provenAt } : {}),
  };
}

/** The short form of a revision that history, rollback and quarantine keep. */
export function pointer(ref: RevisionIdentity): RevisionIdentity {
  return { version: ref.version, revision: ref.revision, hash: ref.hash, artifactDigest: ref.artifactDigest };
}

function nextSequence(context: Context): number {
  const { status, snapshot } = context;
  status.sequence = Math.max(status.sequence ?? 0, snapshot.floor.sequence) + 1;
  return status.sequence;
}

const withBaseline = (baseline: number | undefined) => (baseline === undefined ? {} : { baseline });

/** What the checks said, as the history keeps it, and what the last healthy revision measured. */
export function measured(evidence: Evidence | undefined): NonNullable<HistoryEntry["checks"]> {
  return (evidence?.findings ?? []).map(({ check, judgement, reference }) => ({
    name: check.name,
    severity: check.severity,
    verdict: judgement.verdict,
    ...(judgement.value === undefined ? {} : { value: judgement.value }),
    ...withBaseline(judgement.baseline ?? reference),
    ...(judgement.threshold === undefined ? {} : { threshold: judgement.threshold }),
    samples: judgement.trials === undefined ? judgement.conclusive : Math.round(judgement.trials),
  }));
}

function close(context: Context, entry: HistoryEntry): void {
  const { status } = context;
  status.history = [...(status.history ?? []), entry];
}

/** Opens a rollout of `candidate`; one that is open is closed as superseded. */
export function openRollout(context: Context, candidate: RevisionRef, trigger: Trigger): void {
  const { status, snapshot, now } = context;
  if (status.rollout) closeRollout(context, "Superseded", "NewerPin", `superseded by ${candidate.version}`);
  const sequence = nextSequence(context);
  // A change-cause counts only if it changed with the pin that it explains: an old one says nothing about a new pin.
  const cause = snapshot.changeCause === status.changeCauseSeen ? undefined : snapshot.changeCause;
  if (snapshot.changeCause !== undefined) status.changeCauseSeen = snapshot.changeCause;
  status.candidate = candidate;
  status.rollout = {
    sequence,
    revision: candidate.revision,
    trigger,
    // What begins while the active one is down to make room goes on like that.
    strategy: status.active?.downSince === undefined ? (snapshot.deployment.spec.strategy?.type ?? "BlueGreen") : "Recreate",
    startedAt: iso(now),
    readyDeadlineSince: iso(now),
    attempt: 1,
    pinnedBy: snapshot.pinnedBy,
    ...(cause === undefined ? {} : { changeCause: cause }),
    to: pointer(candidate),
    ...(status.active ? { from: pointer(status.active) } : {}),
  };
  endStall(context, "Serving", "Candidate", "Pin");
}

/** Who promoted it, and what that went past, for the record. */
function promotion({ promotedBy, overrode }: RolloutState): string {
  if (!promotedBy) return "";
  return `; promoted by ${promotedBy.name}${overrode === undefined ? "" : `, past what held it: ${overrode}`}`;
}

/**
 * Takes the share of a canary back, if the candidate has one: a decision about traffic, which plan() makes one write of.
 * Its pods drain from when only those of the active revision are left behind the Services. Its judging begins anew with its traffic.
 */
export function withdrawShare(context: Context): void {
  const { rollout, active, candidate } = context.status;
  if (rollout?.step === undefined) return;
  if (candidate) candidate.judgedFrom = iso(context.now);
  forgetSteps(rollout);
  delete rollout.promoted;
  context.status.decision = (context.status.decision ?? 0) + 1;
  delete active?.arrivedAt;
  if (!active?.settledAt) return;
  delete active.settledAt;
  active.tookBackAt = iso(context.now);
}

function forgetSteps(rollout: NonNullable<ModelDeploymentStatus["rollout"]>): void {
  delete rollout.step;
  delete rollout.stepSince;
  delete rollout.weight;
  delete rollout.share;
}

/**
 * Closes the open rollout with its one outcome and takes the candidate away, if it still is one.
 * @param by the person who ended it; absent: who set the pin is recorded
 */
export function closeRollout(
  context: Context,
  outcome: Outcome,
  reason: string,
  message: string,
  by: HistoryEntry["initiator"] = context.status.rollout?.pinnedBy,
): void {
  const { status, snapshot, now } = context;
  const rollout = status.rollout;
  if (!rollout) return;
  withdrawShare(context);
  const judged = status.active?.revision === rollout.revision ? context.active : context.candidate;
  close(context, {
    sequence: rollout.sequence,
    action: "Rollout",
    ...(rollout.from ? { from: rollout.from } : {}),
    ...(rollout.to ? { to: rollout.to } : {}),
    outcome,
    trigger: rollout.trigger ?? "Pin",
    reason,
    message: `${message}${promotion(rollout)}`,
    ...(by ? { initiator: by } : {}),
    ...(rollout.changeCause === undefined ? {} : { changeCause: rollout.changeCause }),
    environment: snapshot.environment,
    startedAt: rollout.startedAt,
    finishedAt: iso(now),
    checks: measured(judged),
  });
  if (status.candidate?.revision === rollout.revision) delete status.candidate;
  // What the cluster lacked for this candidate is nobody's concern any more.
  endStall(context, "Candidate");
  delete status.rollout;
}

/** The target of a return is no candidate any more: it takes the traffic as what it was proven to be. */
export function releaseCandidate(context: Context, revision: number): void {
  if (context.status.candidate?.revision !== revision) return;
  closeRollout(context, "Superseded", "ReturnTakesOver", `r${revision} is the target of a return`);
}

/** Opens a return from the active revision to `target`. The rollout that brought the active one ends here. */
export function openReturn(
  context: Context,
  input: {
    target: KnownRevision;
    trigger: Trigger;
    reason: string;
    message: string;
    check?: string;
    checks?: string[];
    warm: boolean;
    /** A person; absent: Rollguard itself. */
    initiator?: HistoryEntry["initiator"];
    /** What is left, where it is not the active one: a candidate that the active one had made room for. */
    from?: RevisionIdentity;
  },
): void {
  const { status, snapshot, now } = context;
  const active = status.active;
  if (!active) return;
  const strategy = active.downSince === undefined ? strategyOf(snapshot.deployment, status) : "Recreate";
  // The one that serves is scaled down first: that is a decision about traffic.
  if (strategy === "Recreate") status.decision = (status.decision ?? 0) + 1;
  if (status.rollout && status.rollout.revision === active.revision)
    closeRollout(context, "RolledBack", input.reason, input.message);
  releaseCandidate(context, input.target.revision);
  withdrawShare(context);
  const sequence = nextSequence(context);
  // One that a person approved is the person's: cooldown and budget limit what nobody asked for.
  const automatic = input.trigger === "Breach" && input.initiator === undefined;
  if (automatic) {
    const entry = { at: iso(now), check: input.check ?? "", proven: active.standing === "Proven" && !active.baking };
    status.returns = [...(status.returns ?? []), entry].slice(-50);
  }
  status.rollback = {
    sequence,
    from: input.from ?? pointer(active),
    to: pointer(input.target),
    strategy,
    ...(input.check === undefined ? {} : { check: input.check, checks: input.checks ?? [input.check] }),
    depth: 1,
    passedOver: [],
    reason: input.reason,
    message: input.message,
    trigger: input.trigger,
    initiator: input.initiator ?? OPERATOR,
    detectedAt: iso(now),
    decidedAt: iso(now),
    ...(strategy === "Recreate" ? { clearingSince: iso(now) } : { targetStartedAt: iso(now) }),
    warm: input.warm,
    healthyChecks: [],
    evidence: measured(context.active),
  };
  endStall(context, "Serving");
}

/** Closes the open return with its one outcome. `status.rollback` stays, as the answer to "why was it rolled back". */
export function closeReturn(context: Context, outcome: Outcome, reason: string, message: string): void {
  const { status, snapshot, now } = context;
  const rollback = status.rollback;
  if (!rollback || rollback.outcome !== undefined) return;
  rollback.outcome = outcome;
  if (outcome === "Verified") rollback.verifiedAt = iso(now);
  close(context, {
    sequence: rollback.sequence,
    action: "Return",
    from: rollback.from,
    to: rollback.to,
    outcome,
    trigger: rollback.trigger ?? "Breach",
    reason: rollback.reason ?? reason,
    message: `${rollback.message ?? ""}; ${message}`,
    initiator: rollback.initiator ?? OPERATOR,
    environment: snapshot.environment,
    startedAt: rollback.decidedAt ?? iso(now),
    finishedAt: iso(now),
    ...(rollback.detectedAt ? { detectedAt: rollback.detectedAt } : {}),
    ...(rollback.decidedAt ? { decidedAt: rollback.decidedAt } : {}),
    ...(rollback.restoredAt ? { restoredAt: rollback.restoredAt } : {}),
    ...(rollback.verifiedAt ? { verifiedAt: rollback.verifiedAt } : {}),
    ...(rollback.warm === undefined ? {} : { warm: rollback.warm }),
    // What was breached when it was decided: the record says how it compared.
    checks: rollback.evidence ?? [],
  });
  delete rollback.evidence;
}

/**
 * Gives all the traffic to `ref` in one write: the decision's number rises, so that a late leader's write fails.
 * @param bake whether it now has to earn its standing (again)
 */
export function moveTraffic(context: Context, ref: RevisionRef, bake: boolean): void {
  const { status, now } = context;
  status.decision = (status.decision ?? 0) + 1;
  const active: RevisionRef = { ...ref, since: iso(now), judgedFrom: iso(now) };
  for (const field of ["arrivedAt", "settledAt", "tookBackAt", "baking"] as const) delete active[field];
  if (bake) active.baking = true;
  status.active = active;
  // What was wrong with the one that served is over, whatever was said of it in this pass.
  if (stallRow(status.stall?.reason)?.about === "Serving") delete status.stall;
  if (status.standby?.revision === ref.revision) delete status.standby;
  if (status.candidate?.revision === ref.revision) delete status.candidate;
  if (status.rollout) forgetSteps(status.rollout);
}

/** Keeps the one that loses the traffic to a new candidate as the standby: the last proven, or while none was, the last unbreached. */
export function keepStandby(context: Context, breached: boolean): void {
  const { status, snapshot } = context;
  const old = status.active;
  if (!old || isQuarantined(status, old.hash)) return;
  const everProven = snapshot.revisions.some((known) => known.provenAt !== undefined);
  if (old.standing !== "Proven" && (everProven || breached)) return;
  status.standby = { ...old, lostTrafficAt: iso(context.now) };
  for (const field of ["downSince", "asleepSince", "wokenAt"] as const) delete status.standby[field];
  delete status.standby.tookBackAt;
}

/** More entries than the API allows would make the status unwritable, and then nothing could be returned any more. */
const MAX_QUARANTINE = 100;
const MAX_QUARANTINE_BYTES = 5 * 1024;

/** Never rolled out again until its content changes or a person says retry. The entry that matches the pin is never dropped. */
export function quarantine(context: Context, ref: RevisionIdentity, reason: string, message?: string): void {
  const { status, snapshot, now } = context;
  if (isQuarantined(status, ref.hash)) return;
  const entry = {
    ...pointer(ref),
    reason: reason.slice(0, 128),
    ...(message ? { message: message.slice(0, 256) } : {}),
    since: iso(now),
  };
  const entries = [...(status.quarantine ?? []), entry];
  const pinned = snapshot.pin.state === "Usable" ? snapshot.pin.hash : undefined;
  while (entries.length > MAX_QUARANTINE || JSON.stringify(entries).length > MAX_QUARANTINE_BYTES) {
    entries.splice(
      Math.max(
        entries.findIndex((one) => one.hash !== pinned && one.hash !== ref.hash),
        0,
      ),
      1,
    );
  }
  status.quarantine = entries;
}
