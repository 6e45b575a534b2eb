// The two time limits of a fetch: for the whole of it, and for silence. Both end it by one signal whose reason is the error.
import type { Clock, Timer } from "../clock.ts";
import { ArtifactError } from "./errors.ts";

export interface Limits {
  /** Aborted with an ArtifactError: ArtifactUnavailable for a limit, Interrupted for the caller's own signal. */
  readonly signal: AbortSignal;
  /** Something moved: the silence counts from now. */
  touch(): void;
  /** No limit is reached any more. */
  end(): void;
}

const seconds = (ms: number): string => `${Number((ms / 1000).toPrecision(3))} s`;

/** Both limits in ms of `clock`'s monotonic time. */
export function startLimits(clock: Clock, timeoutMs: number, idleMs: number, signal?: AbortSignal): Limits {
  const controller = new AbortController();
  const abort = (error: ArtifactError) => controller.abort(error);
  const onAbort = () => abort(new ArtifactError("FetchInterrupted", "the fetch was ended by a signal"));
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  const whole = clock.after(timeoutMs, () =>
    abort(new ArtifactError("ArtifactUnavailable", `not finished after ${seconds(timeoutMs)}`)),
  );
  let last = clock.monotonic();
  let silence: Timer;
  // One timer that looks at the time of the last byte, rather than a new timer for each piece.
  const listen = (ms: number) => {
    silence = clock.after(ms, () => {
      const quiet = clock.monotonic() - last;
      if (quiet >= idleMs) abort(new ArtifactError("ArtifactUnavailable", `no byte for ${seconds(idleMs)}`));
      else listen(idleMs - quiet);
    });
  };
  listen(idleMs);
  return {
    signal: controller.signal,
    touch: () => {
      last = clock.monotonic();
    },
    end: () => {
      whole.cancel();
      silence.cancel();
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
