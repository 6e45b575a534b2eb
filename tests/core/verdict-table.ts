// Every shape of what a check may have measured, and its one verdict. Data: the test judges it with the operator's own functions,
// and docs/verdicts.md shows it.

import type { Baseline } from "../../src/core/baseline.ts";
import type { Check } from "../../src/core/policy.ts";
import { type Judgement, judge, type Stage, type Verdict } from "../../src/core/verdict.ts";
import { addReading, emptyWindow, type Reading } from "../../src/core/window.ts";
import { check } from "./world.ts";

const MINUTE = 60_000;
const minutely = { windowMs: MINUTE, intervalMs: MINUTE };
const ratio = {
  ...minutely,
  kind: "Ratio" as const,
  query: undefined,
  threshold: { max: 0.02 },
  minSamples: 50,
  poolMs: 10 * MINUTE,
};
const increase = { from: "LastHealthy" as const, guard: "Hold" as const, maxIncreasePercent: 25 };

/** The checks of the table; what is not said is `interval: 1m`, `breach: {count: 3, of: 5}`. */
export const CHECKS = {
  value: { words: "a value, `max: 0.1`", check: check({ ...minutely }) },
  range: { words: "a value, `min: 0.1`, `max: 0.9`", check: check({ ...minutely, threshold: { min: 0.1, max: 0.9 } }) },
  available: {
    words: "the built-in `available`, 50 %",
    check: check({ ...minutely, kind: "Available", source: undefined, threshold: { max: 0.5, inclusive: true } }),
  },
  relative: {
    words: "a comparison, `maxIncreasePercent: 25`",
    check: check({ ...minutely, threshold: undefined, baseline: increase }),
  },
  absolute: {
    words: "a comparison, `maxIncrease: 0.05`",
    check: check({ ...minutely, threshold: undefined, baseline: { from: "LastHealthy", guard: "Hold", maxIncrease: 0.05 } }),
  },
  both: {
    words: "a value, `max: 10`, and `maxIncreasePercent: 25`",
    check: check({ ...minutely, threshold: { max: 10 }, baseline: increase }),
  },
  ratio: { words: "a ratio, `max: 0.02`, `minSamples: 50`", check: check(ratio) },
  sure: { words: "the same ratio with `confidence: 0.95`", check: check({ ...ratio, confidence: 0.95 }) },
} satisfies Record<string, { words: string; check: Check }>;

type Item =
  | number
  | Exclude<Reading["kind"], "Value">
  | { hits: number; of: number }
  /** At another time than the next minute, in minutes. */
  | { at: number; value: number };

export interface Row {
  check: keyof typeof CHECKS;
  shape: string;
  readings: readonly Item[];
  /** Guard, unless it says otherwise. */
  stage?: Stage;
  baseline?: Baseline;
  verdict: Verdict;
  reason?: NonNullable<Judgement["reason"]>;
}

const times = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);
const hits = (count: number, of: number): Item => ({ hits: count, of });

const VALUES: Row[] = [
  { check: "value", shape: "nothing was asked yet", readings: [], verdict: "Insufficient", reason: "Warmup" },
  {
    check: "value",
    shape: "two good samples where a breach takes three",
    readings: [0.01, 0.01],
    verdict: "Insufficient",
    reason: "TooFewSamples",
  },
  {
    check: "value",
    shape: "two bad samples where a breach takes three",
    readings: [0.5, 0.5],
    verdict: "Insufficient",
    reason: "TooFewSamples",
  },
  { check: "value", shape: "three good samples", readings: [0.01, 0.02, 0.01], verdict: "Healthy" },
  { check: "value", shape: "exactly at the threshold", readings: times(5, 0.1), verdict: "Healthy" },
  { check: "value", shape: "two bad ones of five", readings: [0.5, 0.01, 0.5, 0.01, 0.01], verdict: "Healthy" },
  { check: "value", shape: "three bad ones of five, not in a row", readings: [0.5, 0.01, 0.5, 0.01, 0.5], verdict: "Breached" },
  {
    check: "value",
    shape: "the third bad one has just left the last five",
    readings: [0.5, 0.5, 0.5, 0.01, 0.01, 0.01],
    verdict: "Healthy",
  },
  { check: "value", shape: "all bad", readings: times(8, 0.5), verdict: "Breached" },
  { check: "value", shape: "a breach that is over", readings: [...times(8, 0.5), ...times(3, 0.01)], verdict: "Healthy" },
  { check: "value", shape: "zero", readings: times(3, 0), verdict: "Healthy" },
  { check: "value", shape: "a negative number", readings: times(3, -4), verdict: "Healthy" },
  { check: "range", shape: "below the lower limit", readings: times(3, 0.05), verdict: "Breached" },
  { check: "range", shape: "now below, now above", readings: [0.05, 0.95, 0.05], verdict: "Breached" },
  { check: "range", shape: "between the limits", readings: [0.1, 0.5, 0.9], verdict: "Healthy" },
  { check: "available", shape: "exactly at the limit of a built-in check", readings: times(3, 0.5), verdict: "Breached" },
  { check: "available", shape: "no pod is scheduled and started", readings: times(2, "Empty" as const), verdict: "NoData" },
];

const UNKNOWN: Row[] = [
  {
    check: "value",
    shape: "one outage of one reading, after good samples",
    readings: [...times(3, 0.01), "Error"],
    verdict: "Healthy",
  },
  {
    check: "value",
    shape: "one outage of one reading, after a breach",
    readings: [...times(3, 0.5), "Error"],
    verdict: "Breached",
  },
  {
    check: "value",
    shape: "two errors in a row, after good samples",
    readings: [...times(3, 0.01), "Error", "Error"],
    verdict: "ProviderError",
  },
  {
    check: "value",
    shape: "two errors in a row, after two bad samples",
    readings: [0.5, 0.5, "Error", "Error"],
    verdict: "ProviderError",
  },
  {
    check: "value",
    shape: "two errors in a row, after a breach",
    readings: [...times(3, 0.5), "Error", "Error"],
    verdict: "ProviderError",
  },
  { check: "value", shape: "nothing but one error", readings: ["Error"], verdict: "ProviderError" },
  {
    check: "value",
    shape: "errors and samples by turns",
    readings: [0.01, "Error", 0.01, "Error", 0.01, "Error"],
    verdict: "Healthy",
  },
  { check: "value", shape: "bad samples and errors by turns", readings: [0.5, "Error", 0.5, "Error", 0.5], verdict: "Breached" },
  { check: "value", shape: "back after an outage", readings: [0.01, 0.01, "Error", "Error", 0.01], verdict: "Healthy" },
  {
    check: "value",
    shape: "an error, then an empty answer: the newest says which",
    readings: [0.01, "Error", "Empty"],
    verdict: "NoData",
  },
  { check: "value", shape: "no series, twice", readings: ["Empty", "Empty"], verdict: "NoData" },
  { check: "value", shape: "NaN or ±Inf, twice", readings: ["NotFinite", "NotFinite"], verdict: "NoData" },
  { check: "value", shape: "more than one series, twice", readings: ["TooManySeries", "TooManySeries"], verdict: "NoData" },
  { check: "value", shape: "samples that are too old, twice", readings: ["Stale", "Stale"], verdict: "NoData" },
  { check: "value", shape: "samples from the future, twice", readings: ["Future", "Future"], verdict: "NoData" },
  {
    check: "value",
    shape: "old samples for ever, after a breach",
    readings: [...times(3, 0.5), ...times(9, "Stale" as const)],
    verdict: "NoData",
  },
];

const TIMES: Row[] = [
  {
    check: "value",
    shape: "the same bad reading five times",
    readings: times(5, { at: 1, value: 0.5 }),
    verdict: "Insufficient",
    reason: "TooFewSamples",
  },
  {
    check: "value",
    shape: "a burst whose windows overlap: seven bad readings within a minute",
    readings: times(7, 0).map((_, index) => ({ at: 1 + index / 8, value: 0.5 })),
    verdict: "Insufficient",
    reason: "TooFewSamples",
  },
  {
    check: "value",
    shape: "bad readings from before the warm-up ended",
    readings: [-3, -2, -1].map((at) => ({ at, value: 0.5 })),
    verdict: "Insufficient",
    reason: "Warmup",
  },
  {
    check: "value",
    shape: "a late answer, out of order",
    readings: [0.01, 0.01, 0.01, { at: 1.5, value: 0.5 }],
    verdict: "Healthy",
  },
  {
    check: "value",
    shape: "two bad samples, a gap of an hour, and a bad one",
    readings: [0.01, 0.01, 0.5, 0.5, { at: 64, value: 0.5 }],
    verdict: "Insufficient",
    reason: "TooFewSamples",
  },
  {
    check: "value",
    shape: "three bad samples after a gap of an hour",
    readings: [0.5, 0.5, { at: 64, value: 0.5 }, { at: 65, value: 0.5 }, { at: 66, value: 0.5 }],
    verdict: "Breached",
  },
  {
    check: "value",
    shape: "three bad samples, of which every other reading was lost",
    readings: [0.5, "Error", 0.5, "Error", 0.5],
    verdict: "Breached",
  },
  {
    check: "value",
    shape: "a gap of an hour between good samples",
    readings: [0.01, 0.01, { at: 62, value: 0.01 }],
    verdict: "Healthy",
  },
  {
    check: "value",
    shape: "bad after the clock was set back by an hour",
    readings: [...[61, 62, 63].map((at) => ({ at, value: 0.01 })), ...[4, 5, 6, 7].map((at) => ({ at, value: 0.5 }))],
    verdict: "Breached",
  },
];

const BASELINES: Row[] = [
  { check: "relative", shape: "within the increase", readings: times(3, 1.2), baseline: { value: 1 }, verdict: "Healthy" },
  { check: "relative", shape: "beyond the increase", readings: times(3, 1.3), baseline: { value: 1 }, verdict: "Breached" },
  { check: "relative", shape: "no baseline", readings: times(3, 100), verdict: "NoData", reason: "NoBaseline" },
  {
    check: "relative",
    shape: "a baseline of zero",
    readings: times(3, 100),
    baseline: { value: 0 },
    verdict: "NoData",
    reason: "NoBaseline",
  },
  {
    check: "relative",
    shape: "a baseline that is not finite",
    readings: times(3, 100),
    baseline: { value: Number.NaN },
    verdict: "NoData",
    reason: "NoBaseline",
  },
  {
    check: "relative",
    shape: "a negative baseline: the limits widen by its size",
    readings: times(3, -0.8),
    baseline: { value: -1 },
    verdict: "Healthy",
  },
  {
    check: "relative",
    shape: "the active revision has no sample of the same time yet",
    readings: times(3, 100),
    baseline: { awaited: "the active revision has no sample of the same time yet" },
    verdict: "Insufficient",
    reason: "AwaitingBaseline",
  },
  {
    check: "absolute",
    shape: "an absolute increase over zero",
    readings: times(3, 0.06),
    baseline: { value: 0 },
    verdict: "Breached",
  },
  {
    check: "absolute",
    shape: "within an absolute increase over zero",
    readings: times(3, 0.04),
    baseline: { value: 0 },
    verdict: "Healthy",
  },
  {
    check: "both",
    shape: "within the threshold, beyond the baseline",
    readings: times(3, 2),
    baseline: { value: 1 },
    verdict: "Breached",
  },
  { check: "both", shape: "beyond the threshold, no baseline", readings: times(3, 11), verdict: "Breached" },
  { check: "both", shape: "within the threshold, no baseline", readings: times(3, 2), verdict: "Healthy", reason: "NoBaseline" },
  {
    check: "both",
    shape: "one beyond the threshold, two beyond the baseline",
    readings: [11, 2, 2],
    baseline: { value: 1 },
    verdict: "Breached",
  },
];

const RATIOS: Row[] = [
  { check: "ratio", shape: "no traffic at all", readings: ["Empty", "Empty"], verdict: "NoData" },
  {
    check: "ratio",
    shape: "30 requests, all failed",
    readings: times(3, hits(10, 10)),
    verdict: "Insufficient",
    reason: "Warmup",
  },
  {
    check: "ratio",
    shape: "150 requests in pools of 50, 8 % failed",
    readings: times(15, hits(1, 10)).map((one, i) => (i % 5 === 0 ? hits(0, 10) : one)),
    verdict: "Insufficient",
    reason: "Undecided",
  },
  { check: "ratio", shape: "three samples of 100, none failed", readings: times(3, hits(0, 100)), verdict: "Healthy" },
  {
    check: "ratio",
    shape: "three samples a little beyond: 3 of 100",
    readings: times(3, hits(3, 100)),
    verdict: "Insufficient",
    reason: "Undecided",
  },
  { check: "ratio", shape: "the same for two hours", readings: times(120, hits(3, 100)), verdict: "Breached" },
  {
    check: "ratio",
    shape: "half of 100 fail, three times",
    readings: [...times(5, hits(1, 100)), ...times(3, hits(50, 100))],
    verdict: "Breached",
  },
  {
    check: "ratio",
    shape: "one burst: 90 of 100 once, then none",
    readings: [hits(90, 100), ...times(4, hits(0, 100))],
    verdict: "Healthy",
  },
  {
    check: "ratio",
    shape: "enough traffic, and then too little for longer than a bake",
    readings: [...times(3, hits(0, 100)), ...times(12, hits(0, 1))],
    verdict: "Insufficient",
    reason: "TooFewSamples",
  },
  {
    check: "ratio",
    shape: "three samples of 50 without confidence while it bakes, 6 failed in each",
    readings: times(3, hits(6, 50)),
    stage: "Bake",
    verdict: "Breached",
  },
  {
    check: "sure",
    shape: "while it bakes, 2 of 50 in each sample",
    readings: times(3, hits(2, 50)),
    stage: "Bake",
    verdict: "Insufficient",
    reason: "Undecided",
  },
  {
    check: "sure",
    shape: "while it bakes, 30 of 50 in each sample",
    readings: times(3, hits(30, 50)),
    stage: "Bake",
    verdict: "Breached",
  },
  {
    check: "sure",
    shape: "while it bakes, 1 of 200 in each sample, for five samples",
    readings: times(5, hits(1, 200)),
    stage: "Bake",
    verdict: "Insufficient",
    reason: "TooFewSamples",
  },
  { check: "sure", shape: "the same for twenty samples", readings: times(20, hits(1, 200)), stage: "Bake", verdict: "Healthy" },
  {
    check: "sure",
    shape: "while it bakes, one burst of 90 of 100, then none of 400",
    readings: [hits(90, 100), ...times(4, hits(0, 100))],
    stage: "Bake",
    verdict: "Insufficient",
    reason: "Undecided",
  },
];

/** The table, by what it is about. */
export const VERDICTS: Readonly<Record<string, readonly Row[]>> = {
  Values: VALUES,
  "What is unknown": UNKNOWN,
  Times: TIMES,
  Comparisons: BASELINES,
  Ratios: RATIOS,
};

/** Judges a row with the operator's own functions: minute for minute, with an end of the warm-up at minute 0. */
export function judgeRow(row: Row): Judgement {
  const one: Check = CHECKS[row.check].check;
  const window = emptyWindow(one, 0);
  row.readings.forEach((item, index) => {
    const at = (index + 1) * MINUTE;
    if (typeof item === "number") addReading(window, one, { at, kind: "Value", value: item });
    else if (typeof item === "string") addReading(window, one, { at, kind: item, message: `(${item})` });
    else if ("hits" in item)
      addReading(window, one, { at, kind: "Value", value: item.hits / item.of, numerator: item.hits, denominator: item.of });
    else addReading(window, one, { at: item.at * MINUTE, kind: "Value", value: item.value });
  });
  return judge(one, row.readings.length === 0 ? undefined : window, row.baseline ?? {}, row.stage ?? "Guard");
}
