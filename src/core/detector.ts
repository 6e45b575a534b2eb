// A change detector for a proportion, for the guard, which never ends: it says when a rate has risen above a limit (or fallen
// below one), and how rarely it may be wrong does not depend on how long it has been watching.
//
// Shiryaev-Roberts e-detector: for an alternative q, M_t = L_t·(M_{t-1} + 1) with L_t = Π f_q(x)/f_p(x) at the limit p, mixed
// over some alternatives. While the rate is within the limit E[L_t] ≤ 1, so M_t − t is a supermartingale, and the mean number of
// samples to a false alarm at M ≥ c is at least c. It has no memory of calm times, so it is as quick after months as at first.
// J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England Journal
// of Statistics in Data Science 2 (2024); A. N. Shiryaev (1963); S. W. Roberts, Technometrics 8 (1966).

import { GUARD_FALSE_ALARM } from "../api/defaults.ts";
import type { Check, Threshold } from "./policy.ts";

/** What is watched for: a rate above `max` or below `min`. */
export type Side = "max" | "min";

/** One counted sample. */
export interface Counted {
  /** ms epoch. */
  at: number;
  hits: number;
  trials: number;
}

/** All that the detector remembers of one limit. */
export interface Watch {
  side: Side;
  /** A share between 0 and 1. */
  limit: number;
  /** M for each alternative. */
  evidence: number[];
  /** What one hit and one miss add to ln L of each alternative. */
  weights: readonly { hit: number; miss: number }[];
  /** What was counted since the rate was last within the limit: for people. */
  run: { hits: number; trials: number; from?: number };
  /** When it crossed its level, ms epoch; it then stays until `of` samples in a row are within the limit, and starts anew. */
  alarmedAt?: number;
  /** Samples in a row within the limit since then. */
  calm: number;
}

/** The watches over the limits of a check's threshold. */
export type Watches = Partial<Record<Side, Watch>>;

// The alternatives, as multiples of the odds of the limit: from a little worse to a server that hardly answers.
const ODDS = [1.25, 1.5, 2, 3, 6, 20, 100];

export function newWatch(side: Side, limit: number): Watch {
  // Too few hits are what too many misses are: a lower limit is watched in a mirror.
  const p = side === "max" ? limit : 1 - limit;
  const weights = ODDS.map((factor) => {
    // Where no trial may hit, the first one that does says all; where each may, none says anything.
    if (p <= 0 || p >= 1) return { hit: p <= 0 ? Number.POSITIVE_INFINITY : 0, miss: 0 };
    const q = (factor * p) / (1 - p + factor * p);
    return { hit: Math.log(q / p), miss: Math.log((1 - q) / (1 - p)) };
  });
  return { side, limit, weights, evidence: ODDS.map(() => 0), run: { hits: 0, trials: 0 }, calm: 0 };
}

/** How many limits a check has: they share the false alarms that it is allowed. */
function limitsOf({ threshold, baseline }: Check): number {
  const up = baseline?.maxIncrease !== undefined || baseline?.maxIncreasePercent !== undefined;
  const down = baseline?.maxDecrease !== undefined || baseline?.maxDecreasePercent !== undefined;
  return [threshold?.max !== undefined, threshold?.min !== undefined, up, down].filter(Boolean).length;
}

/** The level c of each of a check's detectors, in samples: as many as there may be in the time, for each false alarm in it. */
export function levelOf(check: Check): number {
  const { atMost, perMs } = check.falseAlarm ?? GUARD_FALSE_ALARM;
  return Math.max((perMs / check.intervalMs / atMost) * limitsOf(check), 1);
}

/** Not more on the wrong side than the limit allows. */
function isWithin({ side, limit }: Watch, hits: number, trials: number): boolean {
  return side === "max" ? hits <= limit * trials : hits >= limit * trials;
}

/** The mixture of M over the alternatives after a sample. */
function mix(watch: Watch, seen: number, others: number): number {
  let sum = 0;
  watch.weights.forEach(({ hit, miss }, index) => {
    const gained = (seen === 0 ? 0 : seen * hit) + others * miss;
    const after = Math.exp(gained) * ((watch.evidence[index] ?? 0) + 1);
    watch.evidence[index] = after;
    sum += after;
  });
  return sum / watch.weights.length;
}

/**
 * Takes a sample into a watch (in place).
 *
 * @param level M at which it alarms; see `levelOf`
 * @param of so many samples in a row within the limit end an alarm
 */
export function observe(watch: Watch, sample: Counted, level: number, of: number): void {
  const { trials } = sample;
  const hits = Math.min(Math.max(sample.hits, 0), trials);
  watch.run.from ??= sample.at;
  watch.run.hits += hits;
  watch.run.trials += trials;
  if (watch.alarmedAt !== undefined) {
    watch.calm = isWithin(watch, hits, trials) ? watch.calm + 1 : 0;
    if (watch.calm < of) return;
    delete watch.alarmedAt;
    Object.assign(watch, newWatch(watch.side, watch.limit));
    return;
  }
  const evidence = watch.side === "max" ? mix(watch, hits, trials - hits) : mix(watch, trials - hits, hits);
  if (evidence >= level) watch.alarmedAt = sample.at;
  else if (isWithin(watch, watch.run.hits, watch.run.trials)) watch.run = { hits: 0, trials: 0 };
}

const SIDES: readonly Side[] = ["max", "min"];

/** Takes a sample into the watches over the limits of a threshold (in place). */
export function observeAll(watches: Watches, sample: Counted, limits: Threshold, check: Check): void {
  const level = levelOf(check);
  for (const side of SIDES) {
    const limit = limits[side];
    if (limit === undefined) continue;
    const watch = watches[side] ?? newWatch(side, limit);
    watches[side] = watch;
    observe(watch, sample, level, check.breach.of);
  }
}

/**
 * What the watches over `limits` would say had they seen `samples` alone: for limits that move, such as a baseline's.
 * It alarms no earlier than one that saw all, so it keeps the promise too.
 */
export function watchAll(samples: readonly Counted[], limits: Threshold, check: Check): Watches {
  const watches: Watches = {};
  for (const sample of samples) observeAll(watches, sample, limits, check);
  return watches;
}

/** The side whose watch has crossed its level. */
export function alarmed(watches: Watches): { side: Side; watch: Watch } | undefined {
  for (const side of SIDES) {
    const watch = watches[side];
    if (watch?.alarmedAt !== undefined) return { side, watch };
  }
  return undefined;
}
