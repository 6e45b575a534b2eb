// What a revision measured by the hour of the day while it was proven and healthy: it grows with each sample, follows slow
// changes, and is kept with the revision in a few kilobytes.

import type { CheckWindow } from "./window.ts";

export const HOUR_MS = 3_600_000;
/** Samples that an hour of the day remembers; at twice the count it forgets half, so that it follows slow changes. */
const REMEMBERED = 500;
/** A policy has no more checks than that; what is kept of a revision must stay small. */
const MAX_CHECKS = 40;
/** As kept: a time, and for each hour mean and count. */
const NUMBERS = 49;

/** What a check measured in one hour of the day, UTC. */
export interface HourMean {
  sum: number;
  count: number;
}

/** What a check measured by the hour of the day while its revision was proven and healthy. */
export interface CheckProfile {
  check: string;
  /** By hour, 0 to 23; a hole: nothing was measured in it. */
  hours: (HourMean | undefined)[];
  /** Time of the newest sample that was looked at, ms epoch. */
  to: number;
  /** See `Check.measures`; absent: kept before that was noted. */
  measures?: string;
}

/** The hour of the day, UTC, of a time in ms epoch. */
export const hourOf = (at: number) => Math.floor(at / HOUR_MS) % 24;

/**
 * Adds the samples that came since to what a check measured by the hour of the day.
 * @param healthy false: they are passed over
 * @returns the same object where there is nothing new
 */
export function growProfile(profile: CheckProfile | undefined, window: CheckWindow, healthy: boolean): CheckProfile | undefined {
  const since = profile?.to ?? Number.NEGATIVE_INFINITY;
  const fresh = window.samples.filter((sample) => sample.at > since);
  const newest = fresh.at(-1);
  if (!newest) return profile;
  const hours = Array.from({ length: 24 }, (_, hour) => profile?.hours[hour]);
  for (const { at, value } of healthy ? fresh : []) {
    const before = hours[hourOf(at)] ?? { sum: 0, count: 0 };
    const kept = before.count >= 2 * REMEMBERED ? { sum: before.sum / 2, count: before.count / 2 } : before;
    hours[hourOf(at)] = { sum: kept.sum + value, count: kept.count + 1 };
  }
  return { check: window.check, hours, to: newest.at };
}

/** As it is kept with the revision: for each check `[time, mean, count, mean, count, …, measures]`, a pair for each hour. */
export function writeProfiles(profiles: readonly CheckProfile[]): string {
  const pair = (one: HourMean | undefined) =>
    one ? [Number((one.sum / one.count).toPrecision(4)), Math.max(Math.round(one.count), 1)] : [0, 0];
  const kept = profiles
    .slice(0, MAX_CHECKS)
    .map(({ check, hours, to, measures }) => [
      check,
      [to, ...hours.flatMap(pair), ...(measures === undefined ? [] : [measures])],
    ]);
  return JSON.stringify(Object.fromEntries(kept));
}

function readHours(values: readonly number[]): CheckProfile["hours"] {
  return Array.from({ length: 24 }, (_, hour) => {
    const [mean = 0, count = 0] = values.slice(2 * hour, 2 * hour + 2);
    return count > 0 && count <= 2 * REMEMBERED ? { sum: mean * count, count } : undefined;
  });
}

/** What `writeProfiles` wrote; anything else is left out: people may edit it. */
export function readProfiles(text: string | undefined): CheckProfile[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text ?? "{}");
  } catch {
    return [];
  }
  if (typeof parsed !== "object" || parsed === null) return [];
  return Object.entries(parsed)
    .slice(0, MAX_CHECKS)
    .flatMap(([check, values]) => {
      if (!Array.isArray(values)) return [];
      const [to = 0, ...pairs] = values.slice(0, NUMBERS);
      const measures: unknown = values[NUMBERS];
      if (values.length < NUMBERS || ![to, ...pairs].every((value) => Number.isFinite(value))) return [];
      return [{ check, hours: readHours(pairs), to, ...(typeof measures === "string" ? { measures } : {}) }];
    });
}
