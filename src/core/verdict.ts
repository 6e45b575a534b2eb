// From a window of samples to a verdict: the one function that the operator, a restart and a replay judge by.
// Only Breached may cause a rollback; what is unknown never rolls back and never proves.

import { GUARD_BASELINE_MS } from "../api/defaults.ts";
import { position } from "./confidence.ts";
import type { Check, Threshold } from "./policy.ts";
import { type CheckWindow, meanOf, type Sample } from "./window.ts";

/** What a check says now. */
export type Verdict =
  /** Enough samples, fewer than `count` of the last `of` bad. */
  | "Healthy"
  /** At least `count` of the last `of` conclusive samples lie beyond the threshold or the baseline. */
  | "Breached"
  /** Samples come, but too few of them to tell. */
  | "Insufficient"
  /** The source answers, but with nothing that can be judged. */
  | "NoData"
  /** The source does not answer, or not in its own language. */
  | "ProviderError";

/** In which part of a revision's life it is judged; a comparison and a ratio are read differently while guarding. */
export type Stage = "Candidate" | "Bake" | "Guard";

/** What a comparison is made with. */
export interface Baseline {
  /** Undefined: there is none, and a pure comparison is NoData with the reason NoBaseline. */
  value?: number;
  /** How long it was measured, ms. */
  coversMs?: number;
}

export interface Judgement {
  verdict: Verdict;
  /** The newest value, or the mean of the bad ones where it is breached. */
  value?: number;
  baseline?: number;
  /** In words, such as "≤ 0.02". */
  threshold?: string;
  /** What the breach is of: a breached comparison alone only holds while guarding, unless the policy says otherwise. */
  beyond?: "Threshold" | "Baseline";
  /** Conclusive samples among the newest ones that are kept (100 at most; the API allows no larger `of`). */
  conclusive: number;
  /** Time that they cover, ms. */
  coveredMs: number;
  /** Trials counted, for a ratio. */
  trials?: number;
  reason?: "NoBaseline" | "Warmup" | "TooFewSamples" | "Undecided";
  message: string;
}

type Finding = { bad: boolean; beyond?: "Threshold" | "Baseline" } | undefined;

export function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

/** "≥ 0.8", "≤ 0.02", "0.1 to 0.9"; "baseline" where there is only a comparison. */
export function formatThreshold(check: Check): string {
  const { min, max, inclusive } = check.threshold ?? {};
  if (min !== undefined && max !== undefined) return `${formatNumber(min)} to ${formatNumber(max)}`;
  if (max !== undefined) return `${inclusive ? "<" : "≤"} ${formatNumber(max)}`;
  if (min !== undefined) return `${inclusive ? ">" : "≥"} ${formatNumber(min)}`;
  const rule = check.baseline;
  if (rule?.maxIncreasePercent !== undefined) return `≤ baseline + ${rule.maxIncreasePercent} %`;
  if (rule?.maxDecreasePercent !== undefined) return `≥ baseline − ${rule.maxDecreasePercent} %`;
  return "none";
}

/** True where the value lies beyond the threshold. */
export function isBeyond(value: number, threshold: Threshold): boolean {
  const { min, max, inclusive } = threshold;
  if (max !== undefined && (inclusive ? value >= max : value > max)) return true;
  return min !== undefined && (inclusive ? value <= min : value < min);
}

/** The limits that a baseline sets, or undefined where it can't be compared with (missing, zero or not finite). */
export function baselineLimits(check: Check, baseline: Baseline): Threshold | undefined {
  const rule = check.baseline;
  const value = baseline.value;
  if (!rule || value === undefined || value === 0 || !Number.isFinite(value)) return undefined;
  const size = Math.abs(value);
  return {
    ...(rule.maxIncreasePercent === undefined ? {} : { max: value + (size * rule.maxIncreasePercent) / 100 }),
    ...(rule.maxDecreasePercent === undefined ? {} : { min: value - (size * rule.maxDecreasePercent) / 100 }),
  };
}

/** One sample against one set of limits; undefined while a confidence sequence can't tell. */
function find(sample: Sample, limits: Threshold, check: Check, stage: Stage): boolean | undefined {
  const sequence = check.kind === "Ratio" && check.confidence !== undefined && stage !== "Guard";
  if (!sequence || sample.totalTrials === undefined || check.confidence === undefined) return isBeyond(sample.value, limits);
  const { totalHits = 0, totalTrials } = sample;
  const aboveMax = limits.max === undefined ? "Below" : position(totalHits, totalTrials, limits.max, check.confidence);
  const aboveMin = limits.min === undefined ? "Above" : position(totalHits, totalTrials, limits.min, check.confidence);
  if (aboveMax === "Above" || aboveMin === "Below") return true;
  return aboveMax === "Below" && aboveMin === "Above" ? false : undefined;
}

function classify(sample: Sample, check: Check, limits: Threshold | undefined, stage: Stage): Finding {
  const absolute = check.threshold ? find(sample, check.threshold, check, stage) : false;
  if (absolute === true) return { bad: true, beyond: "Threshold" };
  const relative = limits ? find(sample, limits, check, stage) : false;
  if (relative === true) return { bad: true, beyond: "Baseline" };
  return absolute === undefined || relative === undefined ? undefined : { bad: false };
}

function silence(window: CheckWindow): { verdict: Verdict; message: string } | undefined {
  // One unusable reading keeps what is known; two in a row say that the source is dark.
  if (!window.latest || (window.unusable < 2 && window.samples.length > 0) || window.unusable === 0) return undefined;
  const words = window.latest.message ?? window.latest.kind;
  if (window.latest.kind === "Error") return { verdict: "ProviderError", message: `the source does not answer: ${words}` };
  return { verdict: "NoData", message: `no usable data: ${words}` };
}

/**
 * Judges one check of one revision.
 *
 * @param window what was measured since judging began; undefined: nothing was asked yet
 * @param stage Candidate and Bake read a ratio by its confidence sequence, Guard by its pooled samples
 */
export function judge(check: Check, window: CheckWindow | undefined, baseline: Baseline, stage: Stage): Judgement {
  const limits = baselineLimits(check, baseline);
  const common = {
    threshold: formatThreshold(check),
    ...(baseline.value === undefined ? {} : { baseline: baseline.value }),
  };
  if (!window || (window.count === 0 && window.unusable === 0)) {
    return { ...common, verdict: "Insufficient", reason: "Warmup", conclusive: 0, coveredMs: 0, message: "no sample yet" };
  }
  const progress = {
    ...common,
    coveredMs: window.coveredMs,
    ...(check.kind === "Ratio" ? { trials: window.trials } : {}),
    ...(window.samples.length > 0 ? { value: window.samples.at(-1)?.value } : {}),
  };
  if (!check.threshold && !limits) {
    return {
      ...progress,
      verdict: "NoData",
      reason: "NoBaseline",
      conclusive: 0,
      message: `nothing to compare with: no usable baseline (${check.baseline?.from ?? "none"})`,
    };
  }
  const found = window.samples.map((sample) => ({ sample, finding: classify(sample, check, limits, stage) }));
  const conclusive = found.filter((entry) => entry.finding !== undefined);
  const count = conclusive.length;
  const dark = silence(window);
  if (dark) return { ...progress, conclusive: count, ...dark };
  const last = conclusive.slice(-check.breach.of);
  const bad = last.filter((entry) => entry.finding?.bad);
  if (bad.length >= check.breach.count) {
    const byThreshold = bad.filter((entry) => entry.finding?.beyond === "Threshold").length;
    const beyond = byThreshold >= check.breach.count ? "Threshold" : "Baseline";
    const value = bad.at(-1)?.sample.value;
    return {
      ...progress,
      ...(value === undefined ? {} : { value }),
      verdict: "Breached",
      beyond,
      conclusive: count,
      message: `${bad.length} of the last ${last.length} conclusive samples beyond the ${beyond.toLowerCase()}`,
    };
  }
  const undecided = found.at(-1)?.finding === undefined;
  if (conclusive.length < check.breach.count || undecided) {
    const reason = undecided && window.samples.length > 0 ? "Undecided" : "TooFewSamples";
    const words = reason === "Undecided" ? "the confidence sequence still covers the threshold" : "too few samples to tell";
    return { ...progress, verdict: "Insufficient", reason, conclusive: count, message: words };
  }
  const relativeMissing = check.baseline !== undefined && limits === undefined;
  return {
    ...progress,
    verdict: "Healthy",
    ...(relativeMissing ? { reason: "NoBaseline" as const } : {}),
    conclusive: count,
    message: relativeMissing ? "within the threshold; there is no baseline to compare with" : "within the limits",
  };
}

/** True where a breach of this judgement may act as the check's severity says, rather than only hold. */
export function actsFully(check: Check, judgement: Judgement, stage: Stage, baseline: Baseline): boolean {
  if (judgement.beyond !== "Baseline" || stage !== "Guard") return true;
  return check.baseline?.guard === "Rollback" && (baseline.coversMs ?? 0) >= GUARD_BASELINE_MS;
}

/** The value that this revision will be compared by later: the mean of what it measured. Extrapolated counts are no whole numbers; the API's are. */
export function baselineOf(check: Check, window: CheckWindow): { name: string; value: number; samples: number } | undefined {
  const value = meanOf(window, check);
  if (value === undefined || !Number.isFinite(value)) return undefined;
  return { name: check.name, value, samples: check.kind === "Ratio" ? Math.round(window.trials) : window.count };
}
