// A clock that tests own: time stands still until `advance`, timers fire in order, and whatever they set off settles in between.
import type { Clock, Timer } from "../../src/clock.ts";

interface Pending {
  at: number;
  order: number;
  fn: () => void;
}

export class FakeClock implements Clock {
  #wall: number;
  #monotonic = 1000;
  #order = 0;
  #pending = new Set<Pending>();

  /** `start`: wall-clock time in ms since the epoch. */
  constructor(start: number = Date.UTC(2026, 10, 24, 12)) {
    this.#wall = start;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, fn: () => void): Timer {
    const pending: Pending = { at: this.#monotonic + Math.max(ms, 0), order: this.#order++, fn };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  /** How many timers wait: 0 after a clean stop. */
  get timers(): number {
    return this.#pending.size;
  }

  /** Steps the wall clock only, as an administrator or NTP would. */
  stepWall(ms: number): void {
    this.#wall += ms;
  }

  /** Lets `ms` milliseconds pass: fires what is due in order of time, and lets promises and streams settle before, between and after. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pending.delete(next);
      this.#move(next.at);
      next.fn();
      await settle();
    }
    this.#move(end);
    await settle();
  }

  #next(end: number): Pending | undefined {
    let first: Pending | undefined;
    for (const p of this.#pending) {
      if (p.at > end) continue;
      if (first === undefined || p.at < first.at || (p.at === first.at && p.order < first.order)) first = p;
    }
    return first;
  }

  #move(to: number): void {
    if (to <= this.#monotonic) return;
    this.#wall += to - this.#monotonic;
    this.#monotonic = to;
  }
}

/** Lets promises, streams and in-memory requests settle: a few turns of the event loop, no time. */
export async function settle(turns = 8): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
