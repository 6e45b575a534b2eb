// A queue of keys: one entry a key, never the same key twice at once, the earlier time wins, and a lane that overtakes.
// A key says only that something should be looked at; what changed is seen by looking (level-based, as controller-runtime).
import { backoffMs } from "../backoff.ts";
import type { Clock, Timer } from "../clock.ts";
import { DueHeap } from "./heap.ts";

/** `urgent` is handed out before `normal`, by workers of its own if need be, and its back-off stays short. */
export type QueueLane = "normal" | "urgent";

export interface QueueOptions {
  clock: Clock;
  /** Wait after the first failure of a key, ms; default 100. Doubles with each. */
  baseMs?: number;
  /** Longest wait in the normal lane, ms; default 60 s. */
  maxMs?: number;
  /** Longest wait in the urgent lane, ms; default 1 s. */
  urgentMaxMs?: number;
  /** An `add` during a back-off brings the key forward, but not nearer to its failure than this, ms; default 1 s. */
  minRetryMs?: number;
  random?: () => number;
}

/** A key handed to a worker, which must give it back by `done` or `failed`. */
export interface Work {
  readonly key: string;
  readonly lane: QueueLane;
  /** Failures in a row before this try. */
  readonly failures: number;
  /** How long it was due before a worker took it, ms. */
  readonly waitedMs: number;
}

/** When a key is to be looked at, by the monotonic clock. */
interface Due {
  at: number;
  lane: QueueLane;
}

interface Entry {
  key: string;
  /** Absent while it runs and nobody asked for more. */
  due: Due | undefined;
  running: boolean;
  failures: number;
  /** No normal pass before this: the server asked us to wait, or it has just failed. */
  notBefore: number;
}

interface Waiter {
  lanes: "any" | "urgent";
  give(work: Work | undefined): void;
}

export class WorkQueue {
  #options: Required<Omit<QueueOptions, "random">> & Pick<QueueOptions, "random">;
  #entries = new Map<string, Entry>();
  #later = new DueHeap<Entry>((entry) => entry.due?.at);
  /** In order of arrival; a Map from entry to when it became due. */
  #ready: Record<QueueLane, Map<Entry, number>> = { urgent: new Map(), normal: new Map() };
  #waiters = new Set<Waiter>();
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #running = 0;
  #closed = false;

  constructor(options: QueueOptions) {
    this.#options = { baseMs: 100, maxMs: 60_000, urgentMaxMs: 1_000, minRetryMs: 1_000, ...options };
  }

  /** To be looked at as soon as possible. In a back-off: not before the wait that the server asked for, or `minRetryMs` after the failure. */
  add(key: string): void {
    this.addAfter(key, 0);
  }

  /** To be looked at in `ms` milliseconds, or earlier when that was asked for already. */
  addAfter(key: string, ms: number): void {
    const entry = this.#entry(key);
    if (entry === undefined) return;
    const at = Math.max(this.#now() + Math.max(ms, 0), entry.notBefore);
    // What was asked for as urgent stays urgent, until it is handed out.
    if (entry.due !== undefined && entry.due.at <= at) return;
    this.#schedule(entry, { at, lane: entry.due?.lane ?? "normal" });
  }

  /** To be looked at before everything in the normal lane, back-off or not. */
  addUrgent(key: string): void {
    const entry = this.#entry(key);
    if (entry === undefined) return;
    this.#schedule(entry, { at: Math.min(entry.due?.at ?? Number.POSITIVE_INFINITY, this.#now()), lane: "urgent" });
  }

  /**
   * The next key that is due, urgent ones first; waits until there is one. Undefined once the queue is closed or `signal` aborts.
   * `urgent` waits for urgent ones only.
   */
  take(lanes: "any" | "urgent", signal?: AbortSignal): Promise<Work | undefined> {
    if (this.#closed || signal?.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const onAbort = () => waiter.give(undefined);
      const waiter: Waiter = {
        lanes,
        give: (work) => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener("abort", onAbort);
          resolve(work);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#serve();
    });
  }

  /** The pass went well: the back-off is forgotten. `requeueAfterMs`: look again then at the latest. */
  done(work: Work, requeueAfterMs?: number): void {
    const entry = this.#release(work);
    entry.failures = 0;
    entry.notBefore = 0;
    if (requeueAfterMs !== undefined) this.addAfter(work.key, requeueAfterMs);
    this.#settle(entry);
  }

  /** The pass failed: it is tried again, in its lane, after a back-off or after `retryAfterMs`, whichever is longer. */
  failed(work: Work, retryAfterMs = 0): void {
    const entry = this.#release(work);
    entry.failures++;
    const { baseMs, maxMs, urgentMaxMs, minRetryMs, random } = this.#options;
    const most = work.lane === "urgent" ? urgentMaxMs : maxMs;
    const wait = Math.max(backoffMs(entry.failures, { baseMs, maxMs: most, random }), retryAfterMs);
    entry.notBefore = this.#now() + Math.max(Math.min(wait, minRetryMs), retryAfterMs);
    const retry: Due = { at: this.#now() + wait, lane: work.lane };
    const asked = entry.due;
    if (asked?.lane === "urgent") {
      // Asked for as urgent while it ran: that request has seen no pass yet, so no back-off holds it.
      entry.due = { at: Math.min(asked.at, retry.at), lane: "urgent" };
    } else if (asked !== undefined) {
      entry.due = { at: Math.min(Math.max(asked.at, entry.notBefore), retry.at), lane: retry.lane };
    } else entry.due = retry;
    this.#settle(entry);
  }

  /** Nothing is known of this key any more (its object is gone). A pass that runs is not stopped. */
  forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.failures = 0;
    entry.notBefore = 0;
    this.#unschedule(entry);
    this.#settle(entry);
  }

  /** No more keys are taken or handed out. What runs may end. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const waiter of [...this.#waiters]) waiter.give(undefined);
  }

  /** For metrics: keys that are due in each lane, that wait for their time, that run, and that failed last. */
  stats(): { normal: number; urgent: number; waiting: number; running: number; failing: number } {
    let failing = 0;
    for (const entry of this.#entries.values()) if (entry.failures > 0) failing++;
    const { normal, urgent } = this.#ready;
    return { normal: normal.size, urgent: urgent.size, waiting: this.#later.size, running: this.#running, failing };
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  #entry(key: string): Entry | undefined {
    if (this.#closed) return undefined;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { key, due: undefined, running: false, failures: 0, notBefore: 0 };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #schedule(entry: Entry, due: Due): void {
    if (entry.running) {
      entry.due = due;
      return;
    }
    const place = this.#ready[due.lane].get(entry);
    if (place !== undefined) return;
    this.#unschedule(entry);
    entry.due = due;
    if (due.at <= this.#now()) {
      this.#ready[due.lane].set(entry, due.at);
      this.#serve();
    } else {
      this.#later.push(entry);
      this.#arm();
    }
  }

  #unschedule(entry: Entry): void {
    this.#later.remove(entry);
    this.#ready.normal.delete(entry);
    this.#ready.urgent.delete(entry);
    entry.due = undefined;
  }

  /** Hands what is due to those who wait. */
  #serve(): void {
    for (const waiter of [...this.#waiters]) {
      const lane = this.#ready.urgent.size > 0 ? "urgent" : "normal";
      if (waiter.lanes === "urgent" && lane === "normal") continue;
      const next = this.#ready[lane].entries().next();
      if (next.done) return;
      const [entry, since] = next.value;
      this.#unschedule(entry);
      entry.running = true;
      this.#running++;
      waiter.give({ key: entry.key, lane, failures: entry.failures, waitedMs: Math.max(this.#now() - since, 0) });
    }
  }

  #release(work: Work): Entry {
    const entry = this.#entries.get(work.key);
    if (entry === undefined || !entry.running) throw new Error(`${work.key} was given back twice`);
    entry.running = false;
    this.#running--;
    return entry;
  }

  /** After a pass: schedules what was asked for meanwhile, or drops an entry that holds nothing. */
  #settle(entry: Entry): void {
    const { due } = entry;
    if (entry.running) return;
    if (due !== undefined && !this.#closed) {
      this.#unschedule(entry);
      this.#schedule(entry, due);
    } else if (entry.failures === 0) this.#entries.delete(entry.key);
  }

  #arm(): void {
    const at = this.#later.peek()?.due?.at;
    if (at === undefined || at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#options.clock.after(at - this.#now(), () => this.#onTimer());
  }

  #onTimer(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#now();
    for (let entry = this.#later.peek(); entry?.due !== undefined && entry.due.at <= now; entry = this.#later.peek()) {
      this.#later.remove(entry);
      this.#ready[entry.due.lane].set(entry, entry.due.at);
    }
    this.#serve();
    this.#arm();
  }
}
