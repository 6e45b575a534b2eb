// The decision: an ordered list of small rules over one snapshot. The first rule that can act now acts; one that is held says why
// and passes on, so that a new pin can always mend what has nowhere to return to. Pure: same snapshot, same time, same answer.

import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { news } from "./announce.ts";
import { judgeFromNow, moveClocks } from "./clockstep.ts";
import { summarize } from "./conditions.ts";
import type { Context, EventIntent, Held, Rule } from "./context.ts";
import { breaches, type Evidence, evidenceFor } from "./evidence.ts";
import { counted } from "./gates.ts";
import { keepSmall } from "./history.ts";
import { stallRow } from "./phases.ts";
import { copyOf, sameJson } from "./plain.ts";
import { lapseRecommendation } from "./recommendation.ts";
import { tellBreaches } from "./rules/alerts.ts";
import { canaryStep, keepApart, noteShare } from "./rules/canary.ts";
import { deadlineNotice } from "./rules/deadline.ts";
import { noteFreeze } from "./rules/freeze.ts";
import { noteMissingData } from "./rules/missingdata.ts";
import { malformedRequest, noteFirstTokens, pauseAndResume, personRollback, promote, retry } from "./rules/person.ts";
import { contentChanged, newPin, unusablePin } from "./rules/pin.ts";
import { approve } from "./rules/recommend.ts";
import { recovered } from "./rules/recovered.ts";
import { comeBack, makeRoom } from "./rules/recreate.ts";
import { lostContent, nameTaken, repairDecision } from "./rules/repair.ts";
import { activeBreached, noteHealthy, returnProgress, revoked } from "./rules/return.ts";
import { candidateFailed, moreTraffic, prove, retryCandidate, settle } from "./rules/rollout.ts";
import { mayBeJudged, noteSleep } from "./sleep.ts";
import type { Snapshot } from "./snapshot.ts";

/** Who wins, in this order. */
export const RULES: readonly Rule[] = [
  noteFirstTokens,
  repairDecision,
  lostContent,
  nameTaken,
  noteHealthy,
  noteMissingData,
  noteFreeze,
  malformedRequest,
  noteShare,
  pauseAndResume,
  personRollback,
  retry,
  promote,
  approve,
  revoked,
  activeBreached,
  deadlineNotice,
  returnProgress,
  recovered,
  keepApart,
  retryCandidate,
  candidateFailed,
  unusablePin,
  contentChanged,
  newPin,
  makeRoom,
  canaryStep,
  moreTraffic,
  prove,
];

export interface Decision {
  /** The next status; the very same object as in the snapshot where nothing changed. */
  status: ModelDeploymentStatus;
  /** False: nothing is to be written. */
  changed: boolean;
  /** The rule that acted. */
  acted?: { rule: string; reason: string; message: string };
  held: readonly Held[];
  events: readonly EventIntent[];
  /** When to look again at the latest, ms epoch; undefined: when something changes. */
  wakeAt?: number;
}

/**
 * Decides what the next status is.
 * @param now time of the API server, ms epoch
 */
export function decide(snapshot: Snapshot, now: number): Decision {
  const before = snapshot.deployment.status ?? {};
  if (snapshot.deployment.metadata.deletionTimestamp !== undefined)
    return { status: before, changed: false, held: [], events: [] };
  const context = begin(withRevocations(snapshot, before), before, now);
  const result = runRules(context);
  comeBack(context);
  lapse(context, result !== undefined);
  lapseRecommendation(context);
  tellBreaches(context);
  summarize(context);
  const events = [...context.events, ...news(before, context.status)];
  const changed = !sameJson(before, context.status);
  if (changed) keepSmall(context.status, snapshot.deployment.spec.historyLimit ?? 50, snapshot.recorded);
  const later = context.wake.filter((time) => time > now);
  return {
    status: changed ? context.status : before,
    changed,
    ...(result ? { acted: result } : {}),
    held: context.held,
    events,
    ...(later.length > 0 ? { wakeAt: Math.min(...later) } : {}),
  };
}

/** First what has happened to the traffic, then what the samples mean since then: a judging that begins anew forgets the old ones. */
function begin(snapshot: Snapshot, before: ModelDeploymentStatus, now: number): Context {
  const status = copyOf(before);
  const common = { snapshot, now, before, status, events: [], held: [], wake: [] };
  if (snapshot.clockStepMs) moveClocks(status, snapshot.clockStepMs);
  judgeFromNow(status, now);
  settle.apply({ ...common, active: undefined, candidate: undefined });
  noteSleep(common);
  const may = mayBeJudged(snapshot, status);
  const judged = may.active ? status.active : undefined;
  rebake(common, judged ? evidenceFor(snapshot, status, judged) : undefined);
  return {
    ...common,
    active: judged ? evidenceFor(snapshot, status, judged) : undefined,
    candidate: status.candidate && may.candidate ? evidenceFor(snapshot, status, status.candidate) : undefined,
  };
}

function runRules(context: Context): Decision["acted"] {
  for (const rule of RULES) {
    const outcome = rule.apply(context);
    if (outcome?.kind === "Acted") return { rule: rule.name, reason: outcome.reason, message: outcome.message };
    if (outcome) context.held.push({ rule: rule.name, reason: outcome.reason, message: outcome.message });
  }
  return undefined;
}

/** A derived stall that no rule said again is over. */
function lapse(context: Context, acted: boolean): void {
  const { status, before } = context;
  const reason = status.stall?.reason;
  if (!stallRow(reason)?.derived || before.stall?.reason !== reason || context.stalled === reason) return;
  // A rule that acted kept the later ones from speaking: no sign that the cause is gone.
  if (acted) return;
  if (reason === "NoTarget" || reason === "TargetNoBetter" || reason === "BudgetSpent") {
    // Not breached is not enough: after a restart, or while a source is dark, nothing is known.
    const about = (context.active?.findings ?? []).find((one) => one.check.name === status.stall?.check);
    if (about && about.judgement.verdict !== "Healthy") return;
    if (breaches(context.active).length > 0) return;
  }
  delete status.stall;
}

/** What breached while it baked and was not taken back has to bake anew when that is over: half a bake proves nothing. */
function rebake({ status, now }: Pick<Context, "status" | "now">, evidence: Evidence | undefined): void {
  const { active } = status;
  if (!active?.baking) return;
  if (breaches(evidence).some((one) => one.check.severity === "Critical")) active.breached = true;
  else if (active.breached && counted(evidence).every((one) => one.judgement.verdict === "Healthy")) {
    delete active.breached;
    active.judgedFrom = new Date(now).toISOString();
  }
}

/** A revision counts as revoked under every name that the status knows it by. */
function withRevocations(snapshot: Snapshot, status: ModelDeploymentStatus): Snapshot {
  const refs = [status.active, status.candidate, status.standby, status.lastHealthy];
  const named = (revision: number) => refs.find((ref) => ref?.revision === revision && snapshot.revokedVersions.has(ref.version));
  if (snapshot.revokedVersions.size === 0) return snapshot;
  return {
    ...snapshot,
    revisions: snapshot.revisions.map((known) => {
      const ref = named(known.revision);
      return ref ? { ...known, revoked: true, revokedBy: known.revokedBy ?? `ModelVersion ${ref.version}` } : known;
    }),
  };
}
