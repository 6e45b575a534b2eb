// What a comparison is made with: what the last healthy revision measured (while it baked, and by the hour of the day since),
// what the active one measures at the same time, or what the version scored before it was shipped.

import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import type { Check, Threshold } from "./policy.ts";
import { HOUR_MS, hourOf } from "./profile.ts";
import type { KnownRevision, Snapshot } from "./snapshot.ts";
import type { CheckWindow } from "./window.ts";

/** What a comparison is made with. */
export interface Baseline {
  /** Undefined: there is none, and a pure comparison is NoData with the reason NoBaseline. */
  value?: number;
  /** How long it was measured, ms. */
  coversMs?: number;
  /** There will be one: what is waited for, in words. */
  awaited?: string;
}

/**
 * The limits that a baseline sets, or undefined where it can't be compared with: missing or not finite, or zero where only
 * percentages of it are given. The nearer of two limits counts.
 */
export function baselineLimits(check: Check, baseline: Baseline): Threshold | undefined {
  const { baseline: rule } = check;
  const { value } = baseline;
  if (!rule || value === undefined || !Number.isFinite(value)) return undefined;
  const size = Math.abs(value);
  const share = (percent: number | undefined) => (percent === undefined || size === 0 ? [] : [(size * percent) / 100]);
  const up = [...share(rule.maxIncreasePercent), ...(rule.maxIncrease === undefined ? [] : [rule.maxIncrease])];
  const down = [...share(rule.maxDecreasePercent), ...(rule.maxDecrease === undefined ? [] : [rule.maxDecrease])];
  if (up.length === 0 && down.length === 0) return undefined;
  return {
    ...(up.length > 0 ? { max: value + Math.min(...up) } : {}),
    ...(down.length > 0 ? { min: value - Math.min(...down) } : {}),
  };
}

/** True where a kept value is of this very check: its name stays when its query changes, and then the old value is no baseline. */
export function isOf(kept: { name: string; measures?: string | undefined }, check: Check): boolean {
  const { measures } = kept;
  return kept.name === check.name && (measures === undefined || check.measures === undefined || measures === check.measures);
}

/** The newest proven revision other than `revision`: what "LastHealthy" compares with. */
export function lastHealthyOther(revisions: readonly KnownRevision[], revision: number): KnownRevision | undefined {
  return revisions
    .filter((known) => known.provenAt !== undefined && known.revision !== revision && !known.revoked)
    .sort((a, b) => Date.parse(b.provenAt ?? "") - Date.parse(a.provenAt ?? ""))[0];
}

function windowOf(snapshot: Snapshot, revision: number, check: Check): CheckWindow | undefined {
  return snapshot.windows[revision]?.find((one) => one.check === check.name && one.fingerprint === check.fingerprint);
}

/**
 * The same hour of the day where it is known, otherwise what was measured while baking. An hour counts with as many samples as a
 * verdict looks at (`of`): a single one is no baseline, and could take back a healthy revision.
 */
function lastHealthy(check: Check, known: KnownRevision | undefined, at: number | undefined): Baseline {
  const measured = known?.baseline.find((one) => isOf(one, check));
  const profile = known?.profile?.find((one) => isOf({ ...one, name: one.check }, check));
  const bakedMs = measured?.from && measured.to ? Date.parse(measured.to) - Date.parse(measured.from) : 0;
  const hours = (profile?.hours ?? []).map((hour) => (hour && hour.count >= check.breach.of ? hour : undefined));
  const profiledMs = hours.filter((hour) => hour !== undefined).length * HOUR_MS;
  const hour = at === undefined ? undefined : hours[hourOf(at)];
  const value = hour ? hour.sum / hour.count : measured?.value;
  return value === undefined ? {} : { value, coversMs: Math.max(bakedMs, profiledMs) };
}

/** What the active revision measures while the other one is judged: of both the samples since the later of the two beginnings. */
function live(check: Check, active: CheckWindow | undefined, judged: CheckWindow | undefined): Baseline {
  const from = Math.max(active?.judgedFrom ?? 0, judged?.judgedFrom ?? 0);
  const samples = (active?.samples ?? []).filter((sample) => sample.at >= from);
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last) return { awaited: "the active revision has no sample of the same time yet" };
  const total = (of: (sample: (typeof samples)[number]) => number) => samples.reduce((sum, sample) => sum + of(sample), 0);
  const value =
    check.kind === "Ratio"
      ? total((sample) => sample.hits ?? 0) / total((sample) => sample.trials ?? 0)
      : total((sample) => sample.value) / samples.length;
  return { value, coversMs: last.at - first.at };
}

/** What a check of a revision is compared with now. */
export function baselineFor(check: Check, snapshot: Snapshot, status: ModelDeploymentStatus, revision: number): Baseline {
  const rule = check.baseline;
  if (!rule) return {};
  if (rule.from === "ValidationMetric") {
    const known = snapshot.revisions.find((one) => one.revision === revision);
    return { value: known?.validationMetrics[rule.metric ?? check.name] };
  }
  const judged = windowOf(snapshot, revision, check);
  if (rule.from === "LastHealthy") return lastHealthy(check, lastHealthyOther(snapshot.revisions, revision), judged?.lastAt);
  const { active } = status;
  if (!active || active.revision === revision) return {};
  return live(check, windowOf(snapshot, active.revision, check), judged);
}
