// Keeps the trouble of one source with that source: few requests under way at once, a bounded line of waiting ones, and
// after some failures in a row a rest in which nothing is asked.

import type { Clock, Timer } from "../clock.ts";

/** The work was not begun; the message says why. */
export class LaneFull extends Error {}

export interface LaneOptions {
  clock: Clock;
  concurrency: number;
  /** How long work may wait for its turn, ms. */
  maxWaitMs: number;
  /** How many may wait. */
  maxWaiting: number;
}

interface Waiting {
  start: () => void;
  timer: Timer;
}

export class Lane {
  readonly #options: LaneOptions;
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Runs the work when there is room; rejects with LaneFull where that takes too long. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await work();
    } finally {
      this.#running--;
      const next = this.#waiting.values().next().value;
      next?.start();
    }
  }

  #enter(): Promise<void> {
    const { clock, concurrency, maxWaitMs, maxWaiting } = this.#options;
    if (this.#running < concurrency) {
      this.#running++;
      return Promise.resolve();
    }
    if (this.#waiting.size >= maxWaiting) return Promise.reject(new LaneFull("too many requests are waiting for this source"));
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        start: () => {
          entry.timer.cancel();
          this.#waiting.delete(entry);
          this.#running++;
          resolve();
        },
        timer: clock.after(maxWaitMs, () => {
          this.#waiting.delete(entry);
          reject(new LaneFull(`not asked: earlier requests to this source take longer than ${maxWaitMs} ms`));
        }),
      };
      this.#waiting.add(entry);
    });
  }
}

/** Failures in a row after which a source is left alone for a while. */
const FAILURES = 5;
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 15_000;

/** Closed while answers come; open after FAILURES lasting failures in a row. While open, one request at a time tries again. */
export class Circuit {
  readonly #clock: Clock;
  #failures = 0;
  #restUntil = 0;
  #last = "";

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: ask. Otherwise why not, in words. */
  refusal(): string | undefined {
    const left = this.#restUntil - this.#clock.monotonic();
    if (this.#failures < FAILURES) return undefined;
    if (left > 0)
      return `not asked: the last ${this.#failures} requests failed (${this.#last}); next try in ${Math.ceil(left / 1000)} s`;
    // This one tries; others go on resting until it is back.
    this.#restUntil = this.#clock.monotonic() + this.#rest();
    return undefined;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  failed(why: string): void {
    this.#failures++;
    this.#last = why;
    if (this.#failures >= FAILURES) this.#restUntil = this.#clock.monotonic() + this.#rest();
  }

  #rest(): number {
    return Math.min(FIRST_REST_MS * 2 ** Math.max(this.#failures - FAILURES, 0), LONGEST_REST_MS);
  }
}
