// Simulated traffic for the tests of the statistics, and what they measure. All chance comes from a seed, so that the numbers in
// the docs are the ones that the tests see. The methods are the operator's own.

import { position } from "../../src/core/confidence.ts";
import { levelOf, newWatch, observe } from "../../src/core/detector.ts";
import { Random } from "../support/random.ts";
import { check } from "./world.ts";

const DAY_MS = 86_400_000;

/** Numbers from 0 to below 1. */
export function chance(seed: number): () => number {
  const random = new Random(seed);
  return () => random.next();
}

/** Requests that each fail with probability `rate`: says how many of the next `count` do. By gaps, since failures are rare. */
export class Traffic {
  #random: () => number;
  #rate = 0;
  #gap = 0;

  constructor(random: () => number, rate: number) {
    this.#random = random;
    this.rate = rate;
  }

  set rate(rate: number) {
    this.#rate = rate;
    this.#gap = this.#next();
  }

  #next(): number {
    return Math.floor(Math.log(1 - this.#random()) / Math.log(1 - this.#rate));
  }

  hits(count: number): number {
    let left = count;
    let hits = 0;
    while (this.#gap < left) {
      left -= this.#gap + 1;
      hits++;
      this.#gap = this.#next();
    }
    this.#gap -= left;
    return hits;
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}

const rounded = (value: number, digits = 3) => Number(value.toPrecision(digits));

/** Lower bound of Wilson's interval, two-sided 95 %; E. B. Wilson, J. Am. Stat. Assoc. 22 (1927). */
export function wilsonLower(hits: number, trials: number): number {
  const z = 1.959964;
  const p = hits / trials;
  const middle = p + (z * z) / (2 * trials);
  const half = z * Math.sqrt((p * (1 - p)) / trials + (z * z) / (4 * trials * trials));
  return (middle - half) / (1 + (z * z) / trials);
}

const LIMIT = 0.01;
const PER_LOOK = 50;

/** Series at the limit itself, the worst of what is healthy: the share that ever looked breached, by either method. */
export function healthySeries(series = 10_000, looks = 1000) {
  const random = chance(1);
  let sequence = 0;
  let fixed = 0;
  for (let one = 0; one < series; one++) {
    const traffic = new Traffic(random, LIMIT);
    let hits = 0;
    let above = false;
    let wilson = false;
    for (let look = 1; look <= looks && !(above && wilson); look++) {
      hits += traffic.hits(PER_LOOK);
      const trials = look * PER_LOOK;
      above ||= position(hits, trials, LIMIT, 0.95) === "Above";
      wilson ||= wilsonLower(hits, trials) > LIMIT;
    }
    if (above) sequence++;
    if (wilson) fixed++;
  }
  return { series, looks, sequence: rounded(sequence / series), fixed: rounded(fixed / series) };
}

/** Requests until a doubling of the rate is seen: the sequence looks all the time, the interval once, at a size planned before. */
export function doubling(series = 2000) {
  const random = chance(2);
  const needed = Array.from({ length: series }, () => {
    const traffic = new Traffic(random, 2 * LIMIT);
    let hits = 0;
    let trials = 0;
    do {
      hits += traffic.hits(PER_LOOK);
      trials += PER_LOOK;
    } while (position(hits, trials, LIMIT, 0.95) !== "Above");
    return trials;
  });
  return {
    series,
    sequence: { half: quantile(needed, 0.5), most: quantile(needed, 0.9) },
    // What is planned for one look is wrong this often, if it is one.
    fixed: { half: planned(0.5), most: planned(0.9), once: rounded(wilsonAbove(planned(0.9), LIMIT)) },
  };
}

/** The probability that Wilson's interval lies above the limit after so many trials, exactly. */
function wilsonAbove(trials: number, rate: number): number {
  let hits = 0;
  while (wilsonLower(hits, trials) <= LIMIT) hits++;
  let below = 0;
  let term = (1 - rate) ** trials;
  for (let k = 0; k < hits; k++) {
    below += term;
    term *= ((trials - k) / (k + 1)) * (rate / (1 - rate));
  }
  return 1 - below;
}

/** The sample size at which Wilson's interval lies above the limit with this probability when the rate has doubled. */
function planned(power: number): number {
  let trials = PER_LOOK;
  while (wilsonAbove(trials, 2 * LIMIT) < power) trials += PER_LOOK;
  return trials;
}

/** Samples until the detector alarms although the rate is the limit, where one in 1000 samples is promised. */
export function falseAlarms(perSample: number, series = 500) {
  const random = chance(3);
  const promised = 1000;
  const runs = Array.from({ length: series }, () => {
    const traffic = new Traffic(random, LIMIT);
    const watch = newWatch("max", LIMIT);
    let samples = 0;
    while (watch.alarmedAt === undefined) {
      samples++;
      observe(watch, { at: samples, hits: traffic.hits(perSample), trials: perSample }, promised, 5);
    }
    return samples;
  });
  return { perSample, promised, mean: Math.round(runs.reduce((sum, run) => sum + run, 0) / series) };
}

/** The guard of the examples below: a sample of 500 requests each 5 minutes, one false alarm in 90 days. */
const guarded = check({
  kind: "Ratio",
  windowMs: 300_000,
  intervalMs: 300_000,
  threshold: { max: LIMIT },
  falseAlarm: { atMost: 1, perMs: 90 * DAY_MS },
});

/** Samples from the moment at which the rate becomes 2 % until the alarm. */
export function delays(before: number, days: number, series = 200) {
  const random = chance(4 + days);
  const level = levelOf(guarded);
  const perSample = 500;
  const found: number[] = [];
  let falseAlarms = 0;
  while (found.length < series) {
    const traffic = new Traffic(random, before);
    const watch = newWatch("max", LIMIT);
    let at = 0;
    const step = () => observe(watch, { at: ++at, hits: traffic.hits(perSample), trials: perSample }, level, 5);
    const calm = (days * DAY_MS) / guarded.intervalMs;
    while (at < calm && watch.alarmedAt === undefined) step();
    if (watch.alarmedAt !== undefined) {
      falseAlarms++;
      continue;
    }
    traffic.rate = 2 * LIMIT;
    while (watch.alarmedAt === undefined) step();
    found.push((at - calm) * perSample);
  }
  return {
    before,
    days,
    mean: Math.round(found.reduce((sum, one) => sum + one, 0) / found.length),
    half: quantile(found, 0.5),
    most: quantile(found, 0.9),
    falseAlarms,
    series,
  };
}
