// What waits to be sent to one sink: bounded, tried again with back-off for ten minutes, and then given up. While a sink fails it rests,
// and one request at a time tries again: what waits must not beat on a server that is in trouble.

import { backoffMs } from "../backoff.ts";
import type { Clock, Timer } from "../clock.ts";
import type { Attempt } from "./webhook.ts";

/** How many may wait for one sink; more are dropped. */
export const CAPACITY = 1000;
/** How long something is tried, ms; then it is given up. */
export const GIVE_UP_MS = 600_000;
const BACKOFF = { baseMs: 1000, maxMs: 60_000 };

export type Outcome =
  | "Sent"
  /** A request that failed, and may be made again. */
  | "Retried"
  /** Given up: refused, or tried for ten minutes. */
  | "Failed"
  /** Not even tried: too much waits. */
  | "Dropped";

export interface OutboxOptions<T> {
  clock: Clock;
  random?: () => number;
  /** Requests at once. */
  concurrency: number;
  /** How many of these, from the first on, go in one request. */
  together(items: readonly T[]): number;
  /** Never rejects. */
  send(items: readonly T[]): Promise<Attempt>;
  /** @param why absent where it was sent */
  onOutcome(outcome: Outcome, count: number, why?: string): void;
}

interface Entry<T> {
  item: T;
  failures: number;
  /** Monotonic, ms. */
  notBefore: number;
  until: number;
  underWay: boolean;
  /** @param known false: the outbox was closed before */
  done(known: boolean): void;
}

export class Outbox<T> {
  readonly #options: OutboxOptions<T>;
  /** In the order in which they are tried. */
  #entries: Entry<T>[] = [];
  #underWay = 0;
  /** Requests in a row that failed. */
  #failures = 0;
  #restUntil = 0;
  #why = "";
  #timer: Timer | undefined;
  #closed = false;
  #onRest: (() => void)[] = [];

  constructor(options: OutboxOptions<T>) {
    this.#options = options;
  }

  /** Resolves when it was sent or given up: true. False: the outbox was closed before that was known. */
  put(item: T): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    if (this.#entries.length >= CAPACITY) {
      this.#options.onOutcome("Dropped", 1, `more than ${CAPACITY} messages wait`);
      return Promise.resolve(true);
    }
    const now = this.#options.clock.monotonic();
    return new Promise((done) => {
      this.#entries.push({ item, failures: 0, notBefore: now, until: now + GIVE_UP_MS, underWay: false, done });
      this.#pump();
    });
  }

  /** Where it goes has changed: no reason to wait any longer. */
  restart(): void {
    this.#restUntil = 0;
    for (const entry of this.#entries) entry.notBefore = 0;
    this.#pump();
  }

  /** Resolves when nothing waits any more, what waits has to wait since the sink fails, or it is closed. */
  async atRest(): Promise<void> {
    if (this.#entries.length > 0 && this.#failures === 0) await new Promise<void>((resolve) => this.#onRest.push(resolve));
  }

  /** @param known nothing that waits will ever be sent, by anybody */
  close(known: boolean): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const { done } of this.#entries.splice(0)) done(known);
    this.#tellRest();
  }

  #pump(): void {
    if (this.#closed) return;
    const { clock, concurrency, together } = this.#options;
    const now = clock.monotonic();
    const late = this.#entries.filter((entry) => !entry.underWay && entry.until <= now);
    if (late.length > 0) this.#finish(late, "Failed", this.#why);
    while (this.#underWay < (this.#failures > 0 ? 1 : concurrency) && this.#restUntil <= now) {
      const due = this.#entries.filter((entry) => !entry.underWay && entry.notBefore <= now);
      if (due.length === 0) break;
      void this.#run(due.slice(0, together(due.map(({ item }) => item))));
    }
    this.#schedule(now);
  }

  /** When there may be something to do without anybody coming by. */
  #schedule(now: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const waiting = this.#entries.filter((entry) => !entry.underWay);
    if (waiting.length === 0) return;
    const times = waiting.flatMap((entry) => {
      const due = Math.max(entry.notBefore, this.#restUntil);
      // What is due and has no room goes when a request ends.
      return due > now ? [due, entry.until] : [entry.until];
    });
    this.#timer = this.#options.clock.after(Math.max(Math.min(...times) - now, 0), () => this.#pump());
  }

  async #run(batch: Entry<T>[]): Promise<void> {
    for (const entry of batch) entry.underWay = true;
    this.#underWay++;
    const attempt = await this.#options.send(batch.map(({ item }) => item));
    this.#underWay--;
    if (this.#closed) return;
    for (const entry of batch) entry.underWay = false;
    if (attempt.outcome === "Again") this.#failed(batch, attempt);
    else {
      this.#failures = 0;
      this.#restUntil = 0;
      this.#finish(batch, attempt.outcome === "Delivered" ? "Sent" : "Failed", "why" in attempt ? attempt.why : undefined);
    }
    this.#pump();
  }

  #failed(batch: readonly Entry<T>[], { why, waitMs = 0 }: Extract<Attempt, { outcome: "Again" }>): void {
    const { clock, random, onOutcome } = this.#options;
    const now = clock.monotonic();
    const wait = (failures: number) => Math.max(backoffMs(failures, random ? { ...BACKOFF, random } : BACKOFF), waitMs);
    this.#why = why;
    this.#failures++;
    this.#restUntil = Math.max(this.#restUntil, now + wait(this.#failures));
    onOutcome("Retried", batch.length, why);
    for (const entry of batch) {
      entry.failures++;
      entry.notBefore = now + wait(entry.failures);
    }
    // Behind the others: one that the server chokes on must not keep them.
    this.#entries = [...this.#entries.filter((entry) => !batch.includes(entry)), ...batch];
    this.#tellRest();
  }

  #finish(entries: readonly Entry<T>[], outcome: "Sent" | "Failed", why: string | undefined): void {
    const gone = new Set(entries);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
    this.#options.onOutcome(outcome, entries.length, why);
    for (const { done } of entries) done(true);
    this.#tellRest();
  }

  #tellRest(): void {
    if (this.#entries.length === 0 || this.#failures > 0) for (const wake of this.#onRest.splice(0)) wake();
  }
}
