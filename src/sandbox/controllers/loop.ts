// A level-based loop: watches only mark keys, which are handled in a later turn of the clock, each at most once a turn.
// With a fake clock the order is that of marking, so a simulation repeats itself exactly.
import type { Clock, Timer } from "../../clock.ts";

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 10_000;

export class KeyLoop {
  readonly #clock: Clock;
  readonly #handle: (key: string) => number | undefined;
  readonly #onError: (key: string, error: unknown) => void;
  readonly #marked = new Set<string>();
  readonly #later = new Map<string, { at: number; timer: Timer }>();
  readonly #failures = new Map<string, number>();
  #turn: Timer | undefined;
  #stopped = false;

  /** `handle` may return after how many milliseconds to look again; what it throws is retried with back-off. */
  constructor(
    clock: Clock,
    handle: (key: string) => number | undefined,
    onError: (key: string, error: unknown) => void = () => {},
  ) {
    this.#clock = clock;
    this.#handle = handle;
    this.#onError = onError;
  }

  mark(key: string): void {
    if (this.#stopped) return;
    this.#marked.add(key);
    this.#turn ??= this.#clock.after(0, () => this.#drain());
  }

  /** The earlier time wins. */
  markAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    const at = this.#clock.monotonic() + ms;
    const known = this.#later.get(key);
    if (known && known.at <= at) return;
    known?.timer.cancel();
    const timer = this.#clock.after(ms, () => {
      this.#later.delete(key);
      this.mark(key);
    });
    this.#later.set(key, { at, timer });
  }

  stop(): void {
    this.#stopped = true;
    this.#turn?.cancel();
    for (const { timer } of this.#later.values()) timer.cancel();
    this.#later.clear();
    this.#marked.clear();
  }

  #drain(): void {
    this.#turn = undefined;
    const keys = [...this.#marked];
    this.#marked.clear();
    for (const key of keys) {
      if (this.#stopped) return;
      try {
        const again = this.#handle(key);
        this.#failures.delete(key);
        if (again !== undefined) this.markAfter(key, again);
      } catch (error) {
        const failures = (this.#failures.get(key) ?? 0) + 1;
        this.#failures.set(key, failures);
        this.#onError(key, error);
        this.markAfter(key, Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS));
      }
    }
  }
}
