// What the checks say of the revisions that are judged: the verdicts of the active one and of the candidate, each with its stage,
// baseline and action, computed once per decision.

import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { baselineFor, isOf, lastHealthyOther } from "./baseline.ts";
import { hasShare } from "./canary.ts";
import type { Action, Check, Policy } from "./policy.ts";
import type { RevisionRef, Snapshot } from "./snapshot.ts";
import { actsFully, type Judgement, judge, type Stage } from "./verdict.ts";
import { isCatchingUp, isCurrent } from "./window.ts";

/** One check of one revision, judged. */
export interface Finding {
  check: Check;
  judgement: Judgement;
  stage: Stage;
  /** What a breach of it does now. */
  action: Action;
  /**
   * Nothing is known yet since this process took the judging over from another: what the status says of the check still stands.
   * For people; nothing is decided by it.
   */
  resumed?: true;
  /** What the last healthy revision measured, also where the check does not compare with it: people and records do. */
  reference?: number;
}

export interface Evidence {
  revision: number;
  stage: Stage;
  findings: readonly Finding[];
}

/** The checks that a revision is judged by: a candidate without traffic is not blamed for pods that are still starting. */
export function checksFor(policy: Policy, status: ModelDeploymentStatus, revision: number): Check[] {
  const serves = stageOf(status, revision) !== "Candidate" || hasShare(status);
  return serves ? policy.checks : policy.checks.filter((check) => check.source !== undefined);
}

export function stageOf(status: ModelDeploymentStatus, revision: number): Stage {
  if (status.active?.revision !== revision) return "Candidate";
  // A return is verified like a bake: everything since it took the traffic counts together.
  const verifying =
    status.rollback !== undefined && status.rollback.outcome === undefined && status.rollback.to?.revision === revision;
  return status.active.baking || verifying ? "Bake" : "Guard";
}

/** When the judging of a revision began, ms epoch; see the field `judgedFrom`. */
export function judgingSince(ref: RevisionRef): number {
  return Date.parse(ref.judgedFrom ?? ref.since ?? new Date(0).toISOString());
}

/** From when on a revision's samples count, ms epoch: after its warm-up. */
export function judgedFrom(ref: RevisionRef, policy: Policy): number {
  return judgingSince(ref) + policy.warmupMs;
}

/** Judges every check of one revision that the status names. */
export function evidenceFor(snapshot: Snapshot, status: ModelDeploymentStatus, ref: RevisionRef): Evidence {
  const { policy } = snapshot;
  const stage = stageOf(status, ref.revision);
  const since = judgingSince(ref);
  const healthy = lastHealthyOther(snapshot.revisions, ref.revision)?.baseline ?? [];
  const findings = checksFor(policy, status, ref.revision).map((check): Finding => {
    const window = snapshot.windows[ref.revision]?.find((one) => one.check === check.name && isCurrent(one, check, since));
    const baseline = baselineFor(check, snapshot, status, ref.revision);
    const judgement = judge(check, window, baseline, stage);
    const wanted = policy.actions[check.severity];
    const action = wanted === "Rollback" && !actsFully(check, judgement, stage, baseline) ? "Hold" : wanted;
    const reference = healthy.find((one) => isOf(one, check))?.value;
    const asked = snapshot.windows[ref.revision] !== undefined;
    const few = judgement.verdict === "Insufficient" && judgement.reason !== "Undecided" && judgement.reason !== "Chance";
    const resumed = few && (window ? isCatchingUp(window, check) : !asked);
    return {
      check,
      judgement,
      stage,
      action,
      ...(resumed ? { resumed: true } : {}),
      ...(reference === undefined ? {} : { reference }),
    };
  });
  return { revision: ref.revision, stage, findings };
}

/** The findings that may take traffic away. */
export function breaches(evidence: Evidence | undefined): Finding[] {
  return (evidence?.findings ?? []).filter((one) => one.judgement.verdict === "Breached" && one.action === "Rollback");
}

/** The findings that stop promoting, those that roll back included. */
export function blockers(evidence: Evidence | undefined): Finding[] {
  return (evidence?.findings ?? []).filter((one) => one.judgement.verdict === "Breached" && one.action !== "Alert");
}

/** "error-ratio (≤ 0.02)": without its value, for what is said again with every sample: a status must not be written for that. */
export function nameOf({ check, judgement }: Finding): string {
  return `${check.name} (${judgement.threshold})`;
}

/** "error-ratio 0.31 (≤ 0.02): 41 of 130 in all": with what was counted, for a decision that is made once. */
export function account(finding: Finding): string {
  return `${describe(finding)}: ${finding.judgement.message}`;
}

/** "error-ratio 0.31 (≤ 0.02)": a finding in a few words, for messages and events. */
export function describe({ check, judgement }: Finding): string {
  const value = judgement.value === undefined ? "no value" : Number(judgement.value.toPrecision(4));
  return `${check.name} ${value} (${judgement.threshold})`;
}
