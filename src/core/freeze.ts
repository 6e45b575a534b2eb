// Freeze windows: times in which a candidate gets no more traffic. Pure: windows and a time in, what is in force or comes next out.
// Schedules are cron in an IANA time zone, so that 18:00 stays 18:00 when the clocks change; a duration is time that really passes.

import { Cron } from "croner";
import type { FreezeWindow } from "./policy.ts";

/** A window that is in force, or the next one. Times in ms epoch. */
export interface Freeze {
  active: boolean;
  from: number;
  /** End of the window, and of those that follow it without a gap. */
  until: number;
  /** Schedule and time zone that it is of. */
  schedule: string;
}

/** Windows that follow each other without a gap are followed for so many steps: one that is longer than its period never ends. */
const MAX_CHAIN = 64;

const cronOf = (window: FreezeWindow): Cron => new Cron(window.schedule, { timezone: window.timeZone, mode: "5-part" });

const nameOf = (window: FreezeWindow): string => `${window.schedule} (${window.timeZone})`;

/** The latest begin at or before `at`; croner asks for what is before, in whole seconds. */
function latestStart(window: FreezeWindow, at: number): number | undefined {
  const [previous] = cronOf(window).previousRuns(1, new Date(Math.floor(at / 1000) * 1000 + 1000));
  return previous?.getTime();
}

/** Why a window can't be read, in words that name what is wrong; undefined where it can. The API server checks only the form. */
export function freezeProblem(window: FreezeWindow): string | undefined {
  try {
    cronOf(window).nextRun(new Date(0));
    return undefined;
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return `freeze: the schedule ${JSON.stringify(window.schedule)} in the time zone ${JSON.stringify(window.timeZone)} can't be read: ${words.slice(0, 160)}`;
  }
}

/** The end of what is in force at `from`, with every window that begins before it has ended. */
function chainEnd(windows: readonly FreezeWindow[], end: number): number {
  let until = end;
  for (let step = 0; step < MAX_CHAIN; step++) {
    const later = windows.map((window) => (latestStart(window, until) ?? Number.NEGATIVE_INFINITY) + window.durationMs);
    const furthest = Math.max(until, ...later);
    if (furthest === until) return until;
    until = furthest;
  }
  return until;
}

/**
 * What is in force at `now`, otherwise what comes next; undefined where nothing ever does. Every window must be readable.
 * @param now ms epoch
 */
export function frozen(windows: readonly FreezeWindow[], now: number): Freeze | undefined {
  const running = windows.flatMap((window) => {
    const from = latestStart(window, now);
    return from !== undefined && now < from + window.durationMs ? [{ window, from }] : [];
  });
  const first = running.sort((a, b) => a.from - b.from)[0];
  if (first) {
    const end = Math.max(...running.map(({ window, from }) => from + window.durationMs));
    return { active: true, from: first.from, until: chainEnd(windows, end), schedule: nameOf(first.window) };
  }
  const coming = windows.flatMap((window) => {
    const from = cronOf(window).nextRun(new Date(now))?.getTime();
    return from === undefined ? [] : [{ window, from }];
  });
  const next = coming.sort((a, b) => a.from - b.from)[0];
  if (!next) return undefined;
  return {
    active: false,
    from: next.from,
    until: chainEnd(windows, next.from + next.window.durationMs),
    schedule: nameOf(next.window),
  };
}
