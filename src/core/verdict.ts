// From a window of samples to a verdict: the one function that the operator, a restart and a replay judge by.
// Only Breached may cause a rollback; what is unknown never rolls back and never proves.

import { GUARD_BASELINE_MS } from "../api/defaults.ts";
import { type Baseline, baselineLimits } from "./baseline.ts";
import { position } from "./confidence.ts";
import { alarmed, type Counted, type Watches, watchAll } from "./detector.ts";
import type { Check, Threshold } from "./policy.ts";
import type { MeasuredBaseline } from "./snapshot.ts";
import { type CheckWindow, meanOf, type Sample } from "./window.ts";

/** What a check says now. */
export type Verdict =
  /** Enough samples, fewer than `count` of the last `of` bad. */
  | "Healthy"
  /** At least `count` of the last `of` conclusive samples lie beyond the threshold or the baseline. */
  | "Breached"
  /** Samples come, but too few of them to tell, or they point neither way for sure. */
  | "Insufficient"
  /** The source answers, but with nothing that can be judged. */
  | "NoData"
  /** The source does not answer, or not in its own language. */
  | "ProviderError";

/** In which part of a revision's life it is judged; a comparison and a ratio are read differently while guarding. */
export type Stage = "Candidate" | "Bake" | "Guard";

export interface Judgement {
  verdict: Verdict;
  /** The newest value, or the mean of the bad ones where it is breached. */
  value?: number;
  baseline?: number;
  /** In words, such as "≤ 0.02". */
  threshold?: string;
  /** What the breach is of: a breached comparison alone only holds while guarding, unless the policy says otherwise. */
  beyond?: "Threshold" | "Baseline";
  /** Of a breach: the times of the first and the last of its bad samples, ms epoch, and the limits that they lie beyond. */
  breach?: { from: number; to: number; limits: Threshold };
  /** Conclusive samples among the newest ones that are kept (100 at most; the API allows no larger `of`). */
  conclusive: number;
  /** Time that they cover, ms. */
  coveredMs: number;
  /** Trials counted, for a ratio. */
  trials?: number;
  reason?:
    | "NoBaseline"
    | "AwaitingBaseline"
    | "Warmup"
    | "TooFewSamples"
    | "Undecided"
    /** Guard: some of the samples of a ratio are bad, others are not, and the change detector is calm. */
    | "Chance";
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
  const { maxIncreasePercent, maxIncrease, maxDecreasePercent, maxDecrease } = check.baseline ?? {};
  const limits = [
    maxIncreasePercent === undefined ? undefined : `≤ baseline + ${maxIncreasePercent} %`,
    maxIncrease === undefined ? undefined : `≤ baseline + ${formatNumber(maxIncrease)}`,
    maxDecreasePercent === undefined ? undefined : `≥ baseline − ${maxDecreasePercent} %`,
    maxDecrease === undefined ? undefined : `≥ baseline − ${formatNumber(maxDecrease)}`,
  ].filter((limit) => limit !== undefined);
  return limits.length === 0 ? "none" : limits.join(", ");
}

/** True where the value lies beyond the threshold. */
export function isBeyond(value: number, threshold: Threshold): boolean {
  const { min, max, inclusive } = threshold;
  if (max !== undefined && (inclusive ? value >= max : value > max)) return true;
  return min !== undefined && (inclusive ? value <= min : value < min);
}

/** One sample against one set of limits; undefined while a confidence sequence can't tell. */
function find(sample: Sample, limits: Threshold, check: Check, stage: Stage): boolean | undefined {
  const beyond = isBeyond(sample.value, limits);
  const sequence = check.kind === "Ratio" && check.confidence !== undefined && stage !== "Guard";
  if (!sequence || sample.totalTrials === undefined || check.confidence === undefined) return beyond;
  const { totalHits = 0, totalTrials } = sample;
  const aboveMax = limits.max === undefined ? "Below" : position(totalHits, totalTrials, limits.max, check.confidence);
  const aboveMin = limits.min === undefined ? "Above" : position(totalHits, totalTrials, limits.min, check.confidence);
  // The sequence counts all since the beginning: after one burst a good sample must not count as a bad one.
  if (aboveMax === "Above" || aboveMin === "Below") return beyond ? true : undefined;
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
  // One unusable reading keeps what is known, also that there is too little to tell; two in a row say that the source is dark.
  if (!window.latest || (window.unusable < 2 && window.lastAt !== undefined) || window.unusable === 0) return undefined;
  const words = window.latest.message ?? window.latest.kind;
  if (window.latest.kind === "Error") return { verdict: "ProviderError", message: `the source does not answer: ${words}` };
  return { verdict: "NoData", message: `no usable data: ${words}` };
}

/** RFC 3339 to the second, for people on call. */
function clock(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** What the change detector adds while a ratio is guarded: undefined where it is calm. */
function alarmOf(watches: Watches): string | undefined {
  const alarm = alarmed(watches);
  if (!alarm) return undefined;
  const { hits, trials, from = 0 } = alarm.watch.run;
  return `the change detector crossed its level: ${formatNumber(hits)} of ${formatNumber(trials)} since ${clock(from)}`;
}

/** Why the samples of a ratio are no breach, or what makes them one in words. */
type Proof = { proven: boolean; words: string };

/** Bad samples of a ratio are a breach only with the evidence of its stage; those of other checks by themselves. */
function proofOf(check: Check, window: CheckWindow, beyond: "Threshold" | "Baseline", limits: Threshold, stage: Stage): Proof {
  if (check.kind !== "Ratio") return { proven: true, words: "" };
  const all = `, ${formatNumber(window.hits)} of ${formatNumber(window.trials)} in all`;
  if (stage !== "Guard") return { proven: true, words: all };
  const counted = window.samples.filter((sample): sample is Sample & Counted => sample.trials !== undefined);
  const words = alarmOf(beyond === "Threshold" ? window.watches : watchAll(counted, limits, check));
  return words === undefined
    ? { proven: false, words: "the change detector is below its level" }
    : { proven: true, words: `; ${words}` };
}

/** Insufficient for want of samples, or undefined. */
function tooFew(
  check: Check,
  window: CheckWindow,
  conclusive: number,
  undecided: boolean,
): Pick<Judgement, "reason" | "message"> | undefined {
  const { pending, lastAt = 0 } = window;
  const last = window.samples.at(-1);
  const thin = check.kind === "Ratio" && last !== undefined && lastAt - last.at > (check.poolMs ?? Number.POSITIVE_INFINITY);
  const counted = check.kind === "Ratio" ? `; ${formatNumber(pending.trials)} of ${check.minSamples} for the next one` : "";
  if (thin) return { reason: "TooFewSamples", message: `too little traffic to tell${counted}` };
  if (undecided && last) {
    const words = `the confidence sequence still covers the threshold: ${formatNumber(window.hits)} of ${formatNumber(window.trials)}`;
    return { reason: "Undecided", message: words };
  }
  if (conclusive >= check.breach.count) return undefined;
  const words = `too few conclusive samples to tell: ${conclusive} of ${check.breach.count}${counted}`;
  return { reason: "TooFewSamples", message: words };
}

/**
 * How far apart the samples of one breach may lie, ms: twice as long as `of` of them take. What was measured before an outage of
 * the source, or of the operator, does not count together with what is measured after it.
 */
function togetherMs(check: Check): number {
  const apart = check.kind === "Ratio" ? Math.max(check.intervalMs, check.poolMs ?? Number.POSITIVE_INFINITY) : check.intervalMs;
  return 2 * check.breach.of * apart + check.windowMs;
}

/**
 * Judges one check of one revision.
 *
 * @param window what was measured since judging began; undefined: nothing was asked yet
 * @param stage Candidate and Bake read a ratio by its confidence sequence, Guard by its change detector
 */
export function judge(check: Check, window: CheckWindow | undefined, baseline: Baseline, stage: Stage): Judgement {
  const limits = baselineLimits(check, baseline);
  const common = {
    threshold: formatThreshold(check),
    ...(baseline.value === undefined ? {} : { baseline: baseline.value }),
  };
  const noLimits = !check.threshold && !limits;
  const noBaseline = {
    verdict: "NoData",
    reason: "NoBaseline",
    message: `nothing to compare with: no usable baseline (${check.baseline?.from ?? "none"})`,
    conclusive: 0,
  } as const;
  if (!window || (window.count === 0 && window.unusable === 0)) {
    // No sample would tell more.
    if (noLimits && baseline.awaited === undefined) return { ...common, ...noBaseline, coveredMs: 0 };
    const words = window && window.trials > 0 ? tooFew(check, window, 0, false)?.message : undefined;
    return {
      ...common,
      verdict: "Insufficient",
      reason: "Warmup",
      conclusive: 0,
      coveredMs: 0,
      message: words ?? "no sample yet",
    };
  }
  const progress = {
    ...common,
    coveredMs: window.coveredMs,
    ...(check.kind === "Ratio" ? { trials: window.trials } : {}),
    ...(window.samples.length > 0 ? { value: window.samples.at(-1)?.value } : {}),
  };
  if (noLimits) {
    if (baseline.awaited !== undefined)
      return { ...progress, verdict: "Insufficient", reason: "AwaitingBaseline", conclusive: 0, message: baseline.awaited };
    return { ...progress, ...noBaseline };
  }
  const found = window.samples.map((sample) => ({ sample, finding: classify(sample, check, limits, stage) }));
  const conclusive = found.filter((entry) => entry.finding !== undefined);
  const count = conclusive.length;
  const dark = silence(window);
  if (dark) return { ...progress, conclusive: count, ...dark };
  const last = conclusive.slice(-check.breach.of);
  const bad = last.filter((entry) => entry.finding?.bad);
  const counted = `${bad.length} of the last ${last.length} samples`;
  if (bad.length >= check.breach.count) {
    const since = (window.samples.at(-1)?.at ?? 0) - togetherMs(check);
    const together = bad.filter((entry) => entry.sample.at >= since);
    if (together.length < check.breach.count) {
      const message = `${counted} beyond their limits, but ${bad.length - together.length} of these are from before a gap`;
      return { ...progress, verdict: "Insufficient", reason: "TooFewSamples", conclusive: count, message };
    }
    const byThreshold = together.filter((entry) => entry.finding?.beyond === "Threshold").length;
    const beyond = byThreshold >= check.breach.count ? "Threshold" : "Baseline";
    const passed = (beyond === "Threshold" ? check.threshold : limits) ?? {};
    const proof = proofOf(check, window, beyond, passed, stage);
    const words = `${counted} beyond the ${beyond.toLowerCase()}`;
    if (!proof.proven)
      return {
        ...progress,
        verdict: "Insufficient",
        reason: bad.length < last.length ? "Chance" : "Undecided",
        conclusive: count,
        message: `${words}, but ${proof.words}`,
      };
    const value = bad.at(-1)?.sample.value;
    const measured = value === undefined ? {} : { value };
    const [from = since, to = from] = [together[0]?.sample.at, together.at(-1)?.sample.at];
    const breach = { from, to, limits: passed };
    return { ...progress, ...measured, verdict: "Breached", beyond, breach, conclusive: count, message: words + proof.words };
  }
  const short = tooFew(check, window, count, found.at(-1)?.finding === undefined);
  if (short) return { ...progress, verdict: "Insufficient", conclusive: count, ...short };
  if (check.baseline && !limits && baseline.awaited !== undefined)
    return { ...progress, verdict: "Insufficient", reason: "AwaitingBaseline", conclusive: count, message: baseline.awaited };
  const relativeMissing = check.baseline !== undefined && limits === undefined;
  return {
    ...progress,
    verdict: "Healthy",
    ...(relativeMissing ? { reason: "NoBaseline" as const } : {}),
    conclusive: count,
    message: relativeMissing
      ? "within the threshold; there is no baseline to compare with"
      : `within the limits; ${counted} beyond`,
  };
}

/** True where a breach of this judgement may act as the check's severity says, rather than only hold. */
export function actsFully(check: Check, judgement: Judgement, stage: Stage, baseline: Baseline): boolean {
  if (judgement.beyond !== "Baseline" || stage !== "Guard") return true;
  return check.baseline?.guard === "Rollback" && (baseline.coversMs ?? 0) >= GUARD_BASELINE_MS;
}

/** The value that this revision will be compared by later: the mean of what it measured. Extrapolated counts are no whole numbers; the API's are. */
export function baselineOf(check: Check, window: CheckWindow): MeasuredBaseline | undefined {
  const value = meanOf(window, check);
  if (value === undefined || !Number.isFinite(value)) return undefined;
  const samples = check.kind === "Ratio" ? Math.round(window.trials) : window.count;
  return { name: check.name, value, samples, ...(check.measures === undefined ? {} : { measures: check.measures }) };
}
