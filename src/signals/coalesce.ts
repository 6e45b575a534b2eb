// The same question asked twice at about the same time is asked once.

import type { Clock } from "../clock.ts";

export class Coalescer<T> {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #answers = new Map<string, Promise<T>>();

  /** @param keepMs how long an answer that came is given again; one under way is shared however long it takes */
  constructor(clock: Clock, keepMs: number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  ask(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(key);
    if (known) return known;
    const answer = work();
    this.#answers.set(key, answer);
    const forget = () => this.#answers.delete(key);
    const later = () => this.#clock.after(this.#keepMs, forget);
    answer.then(later, later);
    return answer;
  }
}

/** `promise`, or the signal's reason as soon as it is aborted; the work itself goes on for the others that wait for it. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
