// When a check is asked: at once where a judging begins, spread over the interval after a restart, and then exactly at its
// interval. Deployments that share a slot are asked together, so that a source is asked few queries.

import type { Check, Policy } from "../core/policy.ts";
import type { Stage } from "../core/verdict.ts";
import type { RangeSpan } from "../signals/types.ts";

/** Slots of an interval. More would make smaller groups, fewer larger bursts. */
const SLOTS = 10;
/** What a refill asks for at most: more than a window keeps while guarding, and a bake of a week at a minute. */
const MOST_GUARDING = 1000;
const MOST_BAKING = 10_000;
/** The change detector of a guarded ratio gathers its evidence over this many at least; no `of` is larger. */
const LEAST_RATIO = 100;
/** Times of a refill are multiples of this, ms, so that those of many deployments are one query. */
const GRAIN_MS = 100;

/** 0 to SLOTS - 1, by FNV-1a (32 bit). */
export function slotOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % SLOTS;
}

/**
 * In how many ms the first sample of a judging that just begins is due: at the first slot after it, which is at most a tenth of
 * an interval later. A tick of the same phase before that is taken where there is one.
 *
 * @param monotonic the clock that the slots are on, ms
 * @param beginsInMs when samples begin to count, from now on; negative: they do already
 */
export function firstOfJudging(monotonic: number, beginsInMs: number, intervalMs: number): number {
  const slotMs = intervalMs / SLOTS;
  const first = Math.ceil((monotonic + Math.max(beginsInMs, 0)) / slotMs) * slotMs;
  return Math.round((first - monotonic) % intervalMs);
}

/** In how many ms the next slot of this deployment is. */
export function nextSlot(key: string, monotonic: number, intervalMs: number): number {
  const phase = (slotOf(key) * intervalMs) / SLOTS;
  return Math.round((((phase - monotonic) % intervalMs) + intervalMs) % intervalMs);
}

/**
 * The past that a window is filled with: as many intervals as it needs, the last of them one interval before the first live
 * sample, so that no two overlap. While guarding `of` intervals, or the length of the bake where that is more (samples of a
 * ratio may be pooled so long), of a ratio at least 100, since its change detector gathers evidence, at most 1,000 intervals; while baking and verifying all of it, at most 10,000.
 *
 * @param countsFrom samples before it are not judged, ms epoch
 * @param firstAt when the first live sample is due, ms epoch
 */
export function refillSpan(
  check: Check,
  policy: Policy,
  stage: Stage,
  countsFrom: number,
  firstAt: number,
): RangeSpan | undefined {
  const stepMs = check.intervalMs;
  const toMs = Math.floor((firstAt - stepMs) / GRAIN_MS) * GRAIN_MS;
  const least = check.kind === "Ratio" ? LEAST_RATIO : check.breach.of;
  const needed = Math.min(Math.max(Math.ceil(policy.bakeMs / stepMs), least), MOST_GUARDING);
  const most = stage === "Guard" ? needed : MOST_BAKING;
  const steps = Math.min(Math.floor((toMs - countsFrom) / stepMs), most - 1);
  return steps < 0 ? undefined : { fromMs: toMs - steps * stepMs, toMs, stepMs };
}
