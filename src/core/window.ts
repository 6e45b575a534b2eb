// What one check has measured of one revision since its judging began: the last conclusive samples, and the sums that
// proof and baseline are made of. Bounded, whatever the length of the guard.

import { observeAll, type Watches } from "./detector.ts";
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
  /** Ratio only: what this sample counted. */
  hits?: number;
  trials?: number;
  /** Ratio only: everything counted since judging began, at this sample. */
  totalHits?: number;
  totalTrials?: number;
}

export interface CheckWindow {
  check: string;
  fingerprint: string;
  /** When this judging began, ms epoch: what tells it from the one before. */
  since: number;
  /** Another process began this judging: what it had seen is not here, unless the source has a history. */
  resumed?: true;
  /** Readings before this time were not judged: the warm-up, as it was when the judging began, ms epoch. */
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
  /** Ratio: the change detector over the limits of the threshold. */
  watches: Watches;
  /** What is added to the times of readings since the clock behind them was set back, ms. */
  shiftMs: number;
  /** Time of the newest reading, if it was far behind the samples before it. */
  behind?: number;
  /** The newest reading that was looked at, usable or not. */
  latest?: { at: number; kind: Reading["kind"]; message?: string };
  /** How many readings in a row were not usable. */
  unusable: number;
  /** How many readings came since the last sample, whatever they said. */
  waited: number;
}

/** More than any `of` that the API allows, so that a verdict never lacks the samples that it counts. */
const KEPT = 100;
/** Readings this far behind the newest sample are no late answers: a clock was set back. ms. */
const STEP_MS = 60_000;
/** Of two samples nearer than this share of their window the later one is the same burst again; timers are late by less. */
const DISTANCE = 0.9;

export function emptyWindow(check: Check, judgedFrom: number, since = judgedFrom): CheckWindow {
  return {
    check: check.name,
    fingerprint: check.fingerprint,
    since,
    judgedFrom,
    samples: [],
    count: 0,
    sum: 0,
    coveredMs: 0,
    hits: 0,
    trials: 0,
    pending: { hits: 0, trials: 0, coveredMs: 0, from: judgedFrom },
    watches: {},
    shiftMs: 0,
    unusable: 0,
    waited: 0,
  };
}

/**
 * True where the window's samples were taken for this very check and this judging.
 * @param since when the judging began, without the warm-up: another warm-up leaves windows alone
 */
export function isCurrent(window: CheckWindow, check: Check, since: number): boolean {
  return window.fingerprint === check.fingerprint && window.since === since;
}

/**
 * True while a window that a new process began has not had the time for as many samples as a verdict counts: that it says little
 * is no news then.
 */
export function isCatchingUp(window: CheckWindow, check: Check): boolean {
  const { resumed, firstAt, lastAt } = window;
  return resumed === true && (lastAt ?? 0) - (firstAt ?? 0) <= 2 * check.breach.of * check.intervalMs;
}

/**
 * The time of a reading on the window's own time line, or undefined for one that says nothing new. A clock that was set back
 * shows in two readings that are far behind the samples and in order among themselves; from then on the times are shifted.
 */
function timeOf(window: CheckWindow, check: Check, reading: Reading): number | undefined {
  const at = reading.at + window.shiftMs;
  if (reading.kind !== "Value" || window.lastAt === undefined || at > window.lastAt) return at;
  const stepped = window.behind !== undefined && at > window.behind && window.lastAt - at > STEP_MS;
  if (!stepped) {
    if (window.lastAt - at > STEP_MS) window.behind = at;
    return undefined;
  }
  const next = window.lastAt + check.intervalMs;
  window.shiftMs += next - at;
  return next;
}

/**
 * Takes one reading into the window (in place; a window has one owner). Readings come in the order of their times, those of a
 * refill from a source's history before the live ones.
 * Readings from before `judgedFrom`, repeated and out-of-order ones, and those whose ranges overlap with the last sample's change
 * nothing: one burst must not count twice.
 */
export function addReading(window: CheckWindow, check: Check, reading: Reading): void {
  const at = timeOf(window, check, reading);
  // Once samples count, a time before that is one of a clock that was set back.
  if (at !== undefined && at < window.judgedFrom && window.lastAt === undefined) return;
  window.waited++;
  if (at === undefined) return;
  const usable = reading.kind === "Value" && reading.value !== undefined && Number.isFinite(reading.value);
  window.latest = { at, kind: reading.kind, ...(reading.message ? { message: reading.message } : {}) };
  if (!usable) {
    window.unusable++;
    return;
  }
  window.unusable = 0;
  delete window.behind;
  const { lastAt } = window;
  if (lastAt !== undefined && at - lastAt < DISTANCE * check.windowMs) return;
  // Of the time between two neighbours at most two intervals count: a gap proves nothing.
  const covered = lastAt === undefined ? 0 : Math.min(at - lastAt, 2 * check.intervalMs);
  window.lastAt = at;
  window.firstAt ??= at;
  if (check.kind === "Ratio") addRatio(window, check, { ...reading, at }, covered);
  else push(window, { at, value: reading.value ?? 0 }, covered);
}

function addRatio(window: CheckWindow, check: Check, reading: Reading, covered: number): void {
  const trials = Math.max(reading.denominator ?? 0, 0);
  const hits = Math.max(reading.numerator ?? 0, 0);
  // What came in too thinly to be judged in its time is not judged later.
  if (reading.at - window.pending.from > (check.poolMs ?? Number.POSITIVE_INFINITY))
    window.pending = { hits: 0, trials: 0, coveredMs: 0, from: reading.at };
  const pending = window.pending;
  pending.hits += hits;
  pending.trials += trials;
  pending.coveredMs += covered;
  window.hits += hits;
  window.trials += trials;
  if (pending.trials < check.minSamples || pending.trials <= 0) return;
  const counted = { at: reading.at, hits: pending.hits, trials: pending.trials };
  const pooledMs = pending.coveredMs;
  window.pending = { hits: 0, trials: 0, coveredMs: 0, from: reading.at };
  if (check.threshold) observeAll(window.watches, counted, check.threshold, check);
  const value = counted.hits / counted.trials;
  push(window, { ...counted, value, totalHits: window.hits, totalTrials: window.trials }, pooledMs);
}

function push(window: CheckWindow, sample: Sample, covered: number): void {
  window.samples.push(sample);
  if (window.samples.length > KEPT) window.samples.shift();
  window.waited = 0;
  window.count++;
  window.sum += sample.value;
  window.coveredMs += covered;
}

/** The mean of what was measured: of a ratio over all that was counted, otherwise over the samples; undefined without any. */
export function meanOf(window: CheckWindow, check: Check): number | undefined {
  if (check.kind === "Ratio") return window.trials > 0 ? window.hits / window.trials : undefined;
  return window.count > 0 ? window.sum / window.count : undefined;
}
