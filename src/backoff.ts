// How long to wait before trying again.

export interface BackoffOptions {
  /** After the first failure, ms. */
  baseMs: number;
  /** At most, ms. */
  maxMs: number;
  /** 0 to 1, Math.random unless told: injected so that a simulation can be repeated. */
  random?: () => number;
}

/**
 * Doubles with each failure up to the maximum; between half and all of that, so that those who failed together don't come again together.
 * `failures` counts from 1.
 */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const random = options.random ?? Math.random;
  // 2 ** 1023 is the last finite power.
  const full = Math.min(options.baseMs * 2 ** Math.min(Math.max(failures, 1) - 1, 1000), options.maxMs);
  return full * (0.5 + random() / 2);
}

/** A sick proxy must not silence us for a day. */
export const MAX_RETRY_AFTER_MS = 600_000;

/** How long the header Retry-After asks to wait, ms, at most ten minutes: seconds or an HTTP date (RFC 9110 10.2.3). */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Math.min(Number(header) * 1000, MAX_RETRY_AFTER_MS);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.min(Math.max(date - nowMs, 0), MAX_RETRY_AFTER_MS);
}
