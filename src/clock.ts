// The one seam through which time enters: everything that waits or asks for the time takes a Clock,
// so that tests and the simulation can own it.

/** A pending callback; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, milliseconds since the epoch. May step; never use it to measure how long something took. */
  now(): number;
  /** Monotonic time in milliseconds from an arbitrary origin. Never steps. */
  monotonic(): number;
  /** Calls `fn` once after `ms` milliseconds (0 or less: in a later turn of the event loop). Does not keep the process alive. */
  after(ms: number, fn: () => void): Timer;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    // setTimeout overflows above 2^31-1 ms and would fire at once.
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), 2_147_483_647));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Resolves after `ms` milliseconds of `clock`; rejects with the signal's reason when aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
