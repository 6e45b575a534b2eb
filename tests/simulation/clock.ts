// Time that the simulation owns: it moves from one timer to the next, and only when nothing is left to run.

import type { Clock, Timer } from "../../src/clock.ts";

/** Where every simulated run begins. */
export const START = Date.UTC(2026, 10, 24, 12);

/** So many turns without time passing, and somebody goes round in a circle. */
const MOST_TURNS = 20_000;

interface Entry {
  at: number;
  order: number;
  /** Undefined: cancelled. */
  fn: (() => void) | undefined;
}

/** True time: that of the API server, the network, the kubelet and the sources. */
export class WorldClock implements Clock {
  #at = 0;
  #order = 0;
  readonly #heap: Entry[] = [];

  now(): number {
    return START + this.#at;
  }

  monotonic(): number {
    return this.#at;
  }

  after(ms: number, fn: () => void): Timer {
    const entry: Entry = { at: Math.ceil(this.#at + Math.max(ms, 0)), order: this.#order++, fn };
    push(this.#heap, entry);
    return {
      cancel: () => {
        entry.fn = undefined;
      },
    };
  }

  /**
   * Runs until `ms` have passed or `done` says so (asked whenever time is about to move). Nothing in a simulated run waits for
   * anything but this clock, so that one turn of the event loop runs all that can run: the order is the same each time.
   */
  async run(ms: number, done: () => boolean = () => false): Promise<void> {
    const end = this.#at + ms;
    for (let turns = 0; ; turns++) {
      await turn();
      if (done()) return;
      const at = this.#next();
      if (at === undefined || at > end) break;
      if (at > this.#at) turns = 0;
      else if (turns > MOST_TURNS)
        throw new Error(`time stands still at ${at} ms: something is asked for again and again at once`);
      this.#at = at;
      // All that is due now, in the order in which it was asked for; what that asks for at once comes after the turn.
      const due: Entry[] = [];
      while (this.#heap[0]?.at === at) due.push(pop(this.#heap) as Entry);
      for (const entry of due) entry.fn?.();
    }
    this.#at = end;
  }

  #next(): number | undefined {
    while (this.#heap[0] && this.#heap[0].fn === undefined) pop(this.#heap);
    return this.#heap[0]?.at;
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The clocks of one machine: a wall clock that may be off and may step, a monotonic one, and timers that end or wait with the process. */
export class ProcessClock implements Clock {
  readonly #world: WorldClock;
  readonly #origin: number;
  #offset: number;
  #dead = false;
  /** What came due while the process was stopped; undefined while it runs. */
  #held: (() => void)[] | undefined;

  /** @param offsetMs how far the wall clock is off */
  constructor(world: WorldClock, offsetMs: number) {
    this.#world = world;
    this.#offset = offsetMs;
    this.#origin = world.monotonic() - 1000;
  }

  now(): number {
    return this.#world.now() + this.#offset;
  }

  monotonic(): number {
    return this.#world.monotonic() - this.#origin;
  }

  after(ms: number, fn: () => void): Timer {
    let cancelled = false;
    const run = () => {
      if (!cancelled) fn();
    };
    const timer = this.#world.after(ms, () => this.deliver(run));
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** Hands something to the process: now, when it is woken, or never. */
  deliver(fn: () => void): void {
    if (this.#dead) return;
    if (this.#held) this.#held.push(fn);
    else fn();
  }

  stepWall(ms: number): void {
    this.#offset += ms;
  }

  get paused(): boolean {
    return this.#held !== undefined;
  }

  pause(): void {
    this.#held ??= [];
  }

  wake(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const fn of held) this.deliver(fn);
  }

  kill(): void {
    this.#dead = true;
    this.#held = undefined;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Entry[], entry: Entry): void {
  let place = heap.length;
  heap.push(entry);
  while (place > 0) {
    const above = (place - 1) >> 1;
    const parent = heap[above] as Entry;
    if (!isBefore(entry, parent)) break;
    heap[place] = parent;
    place = above;
  }
  heap[place] = entry;
}

function pop(heap: Entry[]): Entry | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let place = 0;
  for (;;) {
    let below = 2 * place + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isBefore(heap[below + 1] as Entry, heap[below] as Entry)) below++;
    const child = heap[below] as Entry;
    if (!isBefore(child, last)) break;
    heap[place] = child;
    place = below;
  }
  heap[place] = last;
  return first;
}
