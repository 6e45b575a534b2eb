// Reads off a stage what became of a situation: the outcome, the decision's own reason and words, and the times.

import { formatDuration } from "../api/common.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import type { Check } from "../core/policy.ts";
import type { Moment, Situation } from "./situations.ts";
import type { Stage } from "./stage.ts";

/** What became of a situation. */
export const OUTCOMES = {
  Returns: "the traffic goes back to a proven revision",
  Recommends: "the return is shown and waits for a person's approval",
  Observes: "the return that would have been is shown; nothing is moved",
  Rejects: "the candidate is quarantined and gets no traffic (a canary's goes back in one write); what serves goes on",
  Holds: "nothing is moved; the reason says what keeps it",
  Stalls: "nothing is moved, and a person is told",
  Tells: "the breach is shown (Healthy=False); traffic stays where it is",
  Switches: "the candidate takes the traffic",
  Proves: "the revision is proven",
  Nothing: "nothing happens: what is not known neither rolls back nor proves",
} as const;
export type Outcome = keyof typeof OUTCOMES;

export interface Cell {
  situation: Situation;
  outcome: Outcome;
  /** The decision's own reason, or the check's verdict. */
  reason: string;
  /** The decision's own words; times are relative to the first bad sample. */
  message: string;
  /** From the first bad sample to the decision, ms. */
  decidedMs?: number;
  /** From the first bad sample until the traffic was moved, ms. */
  switchedMs?: number;
}

const iso = (ms: number) => new Date(ms).toISOString();

/** A return under way in this situation, not in the one before it. */
function opened(stage: Stage, before: ModelDeploymentStatus) {
  const { rollback } = stage.status;
  if (!rollback?.to) return undefined;
  const walked = before.rollback?.sequence === rollback.sequence && before.rollback?.to?.revision !== rollback.to.revision;
  return rollback.sequence > (before.rollback?.sequence ?? 0) || walked ? rollback : undefined;
}

/** The hold of a breach of the active revision: that is an answer; others may still pass. */
function heldBreach(stage: Stage) {
  return stage.last?.held.find((one) => one.rule === "active-breached");
}

/** How a rollout ended without all the traffic, since `before`. */
function rejected(stage: Stage, before: ModelDeploymentStatus) {
  const known = new Set((before.history ?? []).map((one) => one.sequence));
  const ends = (stage.status.history ?? []).filter((one) => one.action === "Rollout" && !known.has(one.sequence));
  return ends.find((one) => one.outcome === "Rejected" || one.outcome === "RolledBack");
}

/** True where there is an answer: nothing more is waited for. */
export function ended(stage: Stage, before: ModelDeploymentStatus): boolean {
  const rollback = opened(stage, before);
  if (rollback) return stage.cluster.selects === rollback.to?.revision;
  return Boolean(
    rejected(stage, before) || stage.status.recommendation || (stage.status.stall && !before.stall) || heldBreach(stage),
  );
}

/** Moments in which it is a candidate that is judged. */
const CANDIDATES: ReadonlySet<Moment> = new Set(["Rollout", "Shift"]);

export type CheckLine = NonNullable<ModelDeploymentStatus["checks"]>[number];

/** What the status says of a check of one revision. */
export function lineOf({ status }: Stage, check: Check, revision: number | undefined): CheckLine | undefined {
  return (status.checks ?? []).find((one) => one.name === check.name && one.revision === revision);
}

/** What the operator's own decisions made of a situation whose first bad sample came at `began`. */
export function judged(
  stage: Stage,
  situation: Situation,
  line: CheckLine | undefined,
  before: ModelDeploymentStatus,
  began: number,
): Cell {
  const { status } = stage;
  const rollback = opened(stage, before);
  if (rollback) {
    const decided = Date.parse(rollback.decidedAt ?? iso(stage.now));
    const switched = stage.cluster.selects === rollback.to?.revision ? { switched: stage.now } : {};
    return cell(situation, "Returns", rollback.reason ?? "Breached", rollback.message ?? "", began, { decided, ...switched });
  }
  const rejection = rejected(stage, before);
  const at = { decided: stage.now };
  if (rejection) return cell(situation, "Rejects", rejection.reason, rejection.message ?? "", began, at);
  if (status.recommendation) {
    const { reason, message, mode } = status.recommendation;
    return cell(situation, mode === "Observe" ? "Observes" : "Recommends", reason ?? "Recommended", message ?? "", began, at);
  }
  const held = heldBreach(stage);
  if (status.stall) return cell(situation, "Stalls", status.stall.reason, status.stall.message ?? "", began, at);
  if (held) return cell(situation, "Holds", held.reason, held.message, began, at);
  const blocked = CANDIDATES.has(situation.moment) ? stage.last?.held.find((one) => one.rule === "more-traffic") : undefined;
  if (blocked && blocked.reason !== "ProbeRunning") return cell(situation, "Holds", blocked.reason, blocked.message, began);
  const waits = situation.moment === "Shift" && !line ? stage.last?.held.at(-1) : undefined;
  if (waits) return cell(situation, "Holds", waits.reason, waits.message, began);
  if (situation.moment === "Rollout" && status.active?.revision === 3)
    return cell(situation, "Switches", line?.verdict ?? "TrafficSwitched", line?.message ?? "", began);
  if (line?.verdict === "Breached") return cell(situation, "Tells", "Breached", line.message ?? "", began, {});
  if (situation.moment === "Bake" && !status.active?.baking)
    return cell(situation, "Proves", line?.verdict ?? "Proven", line?.message ?? "", began);
  return cell(situation, "Nothing", line?.verdict ?? "Unknown", line?.message ?? "", began);
}

const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;

export function cell(
  situation: Situation,
  outcome: Outcome,
  reason: string,
  message: string,
  began: number,
  times: { decided?: number; switched?: number } = {},
): Cell {
  const relative = (text: string) => `+${formatDuration(Math.max(Math.round((Date.parse(text) - began) / 1000), 0) * 1000)}`;
  return {
    situation,
    outcome,
    reason,
    message: message.replace(TIME, relative),
    ...(times.decided === undefined ? {} : { decidedMs: times.decided - began }),
    ...(times.switched === undefined ? {} : { switchedMs: times.switched - began }),
  };
}
