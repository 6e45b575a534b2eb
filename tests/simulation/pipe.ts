// One watch on its way from the server to a process: its events come in order, later than they happened, and may be held up, lost
// or repeated, or the connection may go dead without a word.

import type { WorldClock } from "./clock.ts";
import type { Caller } from "./network.ts";

export interface PipeParts {
  clock: WorldClock;
  caller: Caller;
  resource: string;
  source: AsyncIterable<string>;
  /** Of the next event, ms. */
  delay(): number;
  /** Ends the watch at the server. */
  cut(): void;
}

export class Pipe implements AsyncIterable<Uint8Array> {
  readonly #parts: PipeParts;
  readonly #queue: string[] = [];
  readonly #onEnd: (() => void)[] = [];
  #wake: (() => void) | undefined;
  #over = false;
  #error: unknown;
  #failed = false;
  #lastAt = 0;
  /** Nothing arrives before this, ms. */
  #heldUntil = 0;
  #extra = 0;
  #extraUntil = 0;
  #skipping = false;
  #repeats = 0;
  #deaf = false;

  constructor(parts: PipeParts) {
    this.#parts = parts;
    void this.#pump();
  }

  get resource(): string {
    return this.#parts.resource;
  }

  get caller(): Caller {
    return this.#parts.caller;
  }

  /** As undici's body; nobody listens. */
  on(): this {
    return this;
  }

  destroy(): this {
    this.end();
    return this;
  }

  onEnd(fn: () => void): void {
    this.#onEnd.push(fn);
  }

  /** Nothing arrives for a while; then all of it. */
  hold(ms: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, this.#parts.clock.monotonic() + ms);
  }

  /** Each event comes so much later, for a while. */
  slow(ms: number, forMs: number): void {
    this.#extra = ms;
    this.#extraUntil = this.#parts.clock.monotonic() + forMs;
  }

  /** The other end is gone, and nobody says so. */
  deafen(): void {
    this.#deaf = true;
  }

  /** The next events are told twice. */
  repeat(count: number): void {
    this.#repeats = count;
  }

  /** What happens in this time is never told; then the server says that it can't go on from here. */
  skip(ms: number): void {
    this.#skipping = true;
    this.#parts.clock.after(ms, () => this.gone());
  }

  /** The server no longer knows the changes since. */
  gone(): void {
    const status = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "Expired", code: 410, message: "too old" };
    this.#send(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
    this.#finish();
  }

  /** The server ends it in order. */
  finish(): void {
    this.#finish();
  }

  calm(): void {
    this.#extra = 0;
    this.#repeats = 0;
  }

  /** The client lets go. */
  fail(reason: unknown): void {
    this.#failed = true;
    this.#error = reason;
    this.end();
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#parts.cut();
    for (const fn of this.#onEnd) fn();
    this.#wake?.();
  }

  async #pump(): Promise<void> {
    for await (const text of this.#parts.source) if (!this.#skipping) this.#send(text);
    if (!this.#skipping) this.#finish();
  }

  #send(text: string): void {
    let arrives = text;
    if (this.#repeats > 0) {
      this.#repeats--;
      arrives += text;
    }
    this.#later(() => {
      this.#queue.push(arrives);
      this.#wake?.();
    });
  }

  #finish(): void {
    this.#parts.cut();
    this.#later(() => this.end());
  }

  #later(fn: () => void): void {
    const { clock, caller } = this.#parts;
    const now = clock.monotonic();
    const extra = now < this.#extraUntil ? this.#extra : 0;
    const at = Math.max(now + this.#parts.delay() + extra, this.#heldUntil, this.#lastAt);
    this.#lastAt = at;
    const arrive = () => {
      if (!this.#deaf) caller.clock.deliver(fn);
    };
    if (at <= now) arrive();
    else clock.after(at - now, arrive);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#failed) throw this.#error;
        if (this.#queue.length > 0) yield Buffer.from(this.#queue.splice(0).join(""));
        else if (this.#over) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      this.end();
    }
  }
}
