// What the sources answered lately, over all checks that ask them: a source that answers anybody is there.

import type { Clock } from "../clock.ts";

export interface SourceState {
  state: "Answering" | "Silent";
  message: string;
}

/** So long nothing but errors, ms: a source that restarts is no news. */
const SILENT_AFTER_MS = 60_000;

interface Seen extends SourceState {
  /** Monotonic time since when there are only errors; undefined: the latest answer was one. */
  errorsSince?: number;
}

export class SourceHealth {
  #clock: Clock;
  #onChange: (source: string) => void;
  #seen = new Map<string, Seen | { errorsSince: number; state?: undefined }>();

  /** @param onChange the state of a source has changed */
  constructor(clock: Clock, onChange: (source: string) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Of a source that was asked; undefined: not asked yet, or not for long enough to tell. */
  of(source: string): SourceState | undefined {
    const seen = this.#seen.get(source);
    return seen?.state === undefined ? undefined : seen;
  }

  /** @param error what went wrong; undefined: it answered, whatever the answer was */
  note(source: string, error: string | undefined): void {
    const before = this.#seen.get(source);
    if (error === undefined) {
      if (before?.state === "Answering") delete before.errorsSince;
      else this.#change(source, { state: "Answering", message: "it answers" });
      return;
    }
    if (before?.state === "Silent") return;
    const now = this.#clock.monotonic();
    if (!before) this.#seen.set(source, { errorsSince: now });
    else if (before.errorsSince === undefined) before.errorsSince = now;
    else if (now - before.errorsSince >= SILENT_AFTER_MS)
      this.#change(source, { state: "Silent", message: `nothing but errors for ${SILENT_AFTER_MS / 1000} s: ${error}` });
  }

  #change(source: string, next: Seen): void {
    this.#seen.set(source, next);
    this.#onChange(source);
  }
}
