// What one check has measured of one revision since its judging began: the last conclusive samples, and the sums that
// proof and baseline are made of. Bounded, whatever the length of the guard.

import type { Check } from "./policy.ts";

/** What a source answered at one time. Structurally what `signals/` gives; the core imports nothing from there. */
export interface Reading {
  /** The source's own time of the sample, milliseconds since the epoch. */
  at: number;
  kind: "Value" | "Empty" | "NotFinite" | "TooManySeries" | "Stale" | "Future" | "Error";
  value?: number;
  numerator?: number;
  denominator?: number;
  message?: string;
}

/** One usable value; for a ratio, pooled over readings until it had enough samples. */
export interface Sample {
  at: number;
  value: number;
  /** Ratio only: everything counted since judging began, at this sample. */
  totalHits?: number;
  totalTrials?: number;
}

export interface CheckWindow {
  check: string;
  fingerprint: string;
  /** Readings before this time were not judged (warm-up), ms epoch. */
  judgedFrom: number;
  /** The newest usable samples, oldest first; at most KEPT. */
  samples: Sample[];
  /** Usable samples since judging began. */
  count: number;
  sum: number;
  /** Time covered by usable samples by their own timestamps, ms. */
  coveredMs: number;
  firstAt?: number;
  lastAt?: number;
  hits: number;
  trials: number;
  /** Ratio: readings that wait to be pooled into a sample. */
  pending: { hits: number; trials: number; coveredMs: number; from: number };
  /** The newest reading that was looked at, usable or not. */
  latest?: { at: number; kind: Reading["kind"]; message?: string };
  /** How many readings in a row were not usable. */
  unusable: number;
}

/** More than any `of` that the API allows, so that a verdict never lacks the samples that it counts. */
const KEPT = 100;

export function emptyWindow(check: Check, judgedFrom: number): CheckWindow {
  return {
    check: check.name,
    fingerprint: check.fingerprint,
    judgedFrom,
    samples: [],
    count: 0,
    sum: 0,
    coveredMs: 0,
    hits: 0,
    trials: 0,
    pending: { hits: 0, trials: 0, coveredMs: 0, from: judgedFrom },
    unusable: 0,
  };
}

/** True where the window's samples were taken for this very check and this judging. */
export function isCurrent(window: CheckWindow, check: Check, judgedFrom: number): boolean {
  return window.fingerprint === check.fingerprint && window.judgedFrom === judgedFrom;
}

/**
 * Takes one reading into the window (in place; a window has one owner).
 * Readings from before `judgedFrom` and repeated or out-of-order ones change nothing: a burst must not count twice.
 */
export function addReading(window: CheckWindow, check: Check, reading: Reading): void {
  if (reading.at < window.judgedFrom) return;
  if (window.latest && reading.kind === "Value" && window.lastAt !== undefined && reading.at <= window.lastAt) return;
  window.latest = { at: reading.at, kind: reading.kind, ...(reading.message ? { message: reading.message } : {}) };
  if (reading.kind !== "Value" || reading.value === undefined || !Number.isFinite(reading.value)) {
    window.unusable++;
    return;
  }
  // Of the time between two neighbours at most two intervals count: a gap proves nothing.
  const covered = window.lastAt === undefined ? 0 : Math.min(reading.at - window.lastAt, 2 * check.intervalMs);
  window.lastAt = reading.at;
  window.unusable = 0;
  window.firstAt ??= reading.at;
  if (check.kind === "Ratio") addRatio(window, check, reading, covered);
  else push(window, { at: reading.at, value: reading.value }, covered);
}

function addRatio(window: CheckWindow, check: Check, reading: Reading, covered: number): void {
  const trials = Math.max(reading.denominator ?? 0, 0);
  const hits = Math.max(reading.numerator ?? 0, 0);
  const pending = window.pending;
  pending.hits += hits;
  pending.trials += trials;
  pending.coveredMs += covered;
  window.hits += hits;
  window.trials += trials;
  if (pending.trials < check.minSamples || pending.trials <= 0) return;
  const sample = { at: reading.at, value: pending.hits / pending.trials, totalHits: window.hits, totalTrials: window.trials };
  const pooledMs = pending.coveredMs;
  window.pending = { hits: 0, trials: 0, coveredMs: 0, from: reading.at };
  push(window, sample, pooledMs);
}

function push(window: CheckWindow, sample: Sample, covered: number): void {
  window.samples.push(sample);
  if (window.samples.length > KEPT) window.samples.shift();
  window.count++;
  window.sum += sample.value;
  window.coveredMs += covered;
}

/** The mean of what was measured: of a ratio over all that was counted, otherwise over the samples; undefined without any. */
export function meanOf(window: CheckWindow, check: Check): number | undefined {
  if (check.kind === "Ratio") return window.trials > 0 ? window.hits / window.trials : undefined;
  return window.count > 0 ? window.sum / window.count : undefined;
}
