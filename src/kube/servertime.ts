// The API server's time, learned from the Date of its answers: times in a status must not depend on the wall clock of our machine.
import type { Clock } from "../clock.ts";

/**
 * A Date header has whole seconds, so an answer only bounds the offset between our monotonic clock and the server's time: it was
 * written after we asked and before we had it. The estimate moves no further than these bounds force it to, so that it stays
 * within milliseconds where both clocks are right, and never jumps when our wall clock is stepped.
 */
export class ServerTime {
  #clock: Clock;
  #offset: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = clock.now() - clock.monotonic();
  }

  /** Milliseconds since the epoch. Before the first answer: our own wall clock at the start. */
  now(): number {
    return this.#clock.monotonic() + this.#offset;
  }

  /** `sentAt`: monotonic time when the request went out; `date`: the answer's Date header. */
  learn(sentAt: number, date: string | undefined): void {
    const server = date === undefined ? Number.NaN : Date.parse(date);
    if (Number.isNaN(server)) return;
    const lowest = server - this.#clock.monotonic();
    const highest = server + 999 - sentAt;
    this.#offset = Math.min(Math.max(this.#offset, lowest), highest);
  }
}
