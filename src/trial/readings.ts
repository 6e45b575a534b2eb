// What a source would say of a check in a situation: a value well within its limits, one clearly beyond them, too little, nothing.

import type { Check, Threshold } from "../core/policy.ts";
import type { StageReading } from "./stage.ts";

/** What the source of the check in question says. */
export type Data =
  /** Within the limits. */
  | "Good"
  /** Clearly beyond a limit, with as many samples as can be wished for. */
  | "Bad"
  /** Beyond a limit, but of a ratio fewer than `minSamples`, otherwise one sample alone. */
  | "TooLittle"
  /** The source answers with no series. */
  | "Missing"
  /** The source does not answer. */
  | "Silent";

/** Of a ratio: what is counted in one window. Enough to decide any confidence sequence within a few of them. */
const MANY = 2000;

/** A value within the limits of the check; a comparison is made with this very value. */
export function goodValue(check: Check): number {
  const { min, max } = check.threshold ?? {};
  if (min !== undefined && max !== undefined) return (min + max) / 2;
  if (max !== undefined) return max > 0 ? max / 4 : max - 1;
  if (min !== undefined) return check.kind === "Ratio" ? min + (1 - min) * 0.75 : min + Math.max(Math.abs(min), 1) / 2;
  return check.kind === "Ratio" ? 0.5 : 1;
}

/** The tightest limits that hold for a revision whose baseline is `good`: the farther of threshold and comparison. */
function limits(check: Check, good: number): Threshold {
  const { baseline, threshold } = check;
  const size = Math.abs(good);
  const maxes = [
    threshold?.max,
    baseline?.maxIncreasePercent === undefined ? undefined : good + (size * baseline.maxIncreasePercent) / 100,
    baseline?.maxIncrease === undefined ? undefined : good + baseline.maxIncrease,
  ].filter((one) => one !== undefined);
  const mins = [
    threshold?.min,
    baseline?.maxDecreasePercent === undefined ? undefined : good - (size * baseline.maxDecreasePercent) / 100,
    baseline?.maxDecrease === undefined ? undefined : good - baseline.maxDecrease,
  ].filter((one) => one !== undefined);
  return {
    ...(maxes.length > 0 ? { max: Math.max(...maxes) } : {}),
    ...(mins.length > 0 ? { min: Math.min(...mins) } : {}),
  };
}

/** A value that lies clearly beyond every limit of the check on one side. */
export function badValue(check: Check): number {
  const { min, max } = limits(check, goodValue(check));
  if (max !== undefined && !(check.kind === "Ratio" && max >= 1))
    return check.kind === "Ratio" ? max + (1 - max) / 2 : max + Math.max(Math.abs(max), 1e-6);
  if (min === undefined) return Number.MAX_VALUE;
  return check.kind === "Ratio" ? min / 2 : min - Math.max(Math.abs(min), 1e-6) / 2;
}

/**
 * What the source says at its `nth` asking.
 * @param spread a ratio with too little counts `minSamples` in more askings than this
 */
export function reading(check: Check, data: Data, nth: number, spread: number): StageReading | undefined {
  switch (data) {
    case "Good":
      return valued(check, goodValue(check), Math.max(MANY, check.minSamples));
    case "Bad":
      return valued(check, badValue(check), Math.max(MANY, check.minSamples));
    case "TooLittle":
      if (check.kind === "Ratio") return valued(check, badValue(check), check.minSamples / (2 * spread));
      return nth === 0 ? valued(check, badValue(check), 1) : undefined;
    case "Missing":
      return { kind: "Empty", message: "no series" };
    case "Silent":
      return { kind: "Error", message: "the connection was refused" };
  }
}

function valued(check: Check, value: number, trials: number): StageReading {
  if (check.kind !== "Ratio") return { kind: "Value", value };
  return { kind: "Value", value, numerator: value * trials, denominator: trials };
}
