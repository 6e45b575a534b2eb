// A local copy of one kind, kept current by list and watch as an explicit state machine:
// Listing → Watching → (BackingOff →) Watching or Listing …, until stopped. Whatever the server does, it comes back.
import { backoffMs } from "../backoff.ts";
import { type Clock, sleep } from "../clock.ts";
import type { Logger } from "../log.ts";
import { sanitizeLine } from "../text.ts";
import type { KubeClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import type { KubeObject } from "./objects.ts";
import type { Resource } from "./resources.ts";
import { isNewer, type OnChange, Store } from "./store.ts";

export interface ReflectorOptions<T extends KubeObject> {
  client: KubeClient;
  resource: Resource;
  /** Absent: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Only these objects are held and told of; the answer must not change in an object's life. Absent: all. */
  holds?: ((object: T) => boolean) | undefined;
  /** Keeps only the named fields of an object; managedFields are dropped after it in any case. */
  trim?: (object: T) => T;
  clock: Clock;
  logger: Logger;
  /** Should only enqueue keys. What it throws is logged. */
  onChange?: OnChange<T>;
  /** A watch on which nothing comes for so long is taken for dead, ms; default 90 s. */
  silenceMs?: number;
  random?: () => number;
}

export type ReflectorState =
  | { name: "Idle" }
  | { name: "Listing" }
  /** From this resource version on. */
  | { name: "Watching"; resourceVersion: string }
  /** For `waitMs`, of which the server asked for `leastMs`; then on to `next`. */
  | { name: "BackingOff"; waitMs: number; leastMs: number; next: ReflectorState }
  | { name: "Stopped" };

/**
 * API servers send a bookmark about every minute to who asks for them, so that 90 s without anything mean a dead connection, which
 * TCP alone may not notice for a quarter of an hour. Where a server sends none, a quiet watch is reopened every 90 s from
 * where it stood: one request, no list.
 */
const SILENCE_MS = 90_000;
/** For a page of a list and for the headers of a watch, ms: a busy server may take long, and no one waits for it but us. */
const PATIENCE_MS = 30_000;
/** A watch that lived so long was a good one, ms: the failures before it are forgotten. */
const GOOD_WATCH_MS = 10_000;
const BACKOFF = { baseMs: 250, maxMs: 30_000 };
/** So many failures in a row that may be due to where we watch from, and it is listed again. */
const FAILURES_UNTIL_LIST = 3;

export class Reflector<T extends KubeObject> {
  #options: ReflectorOptions<T>;
  #store: Store<T>;
  #state: ReflectorState = { name: "Idle" };
  #synced = Promise.withResolvers<void>();
  #ended: Promise<void> = Promise.resolve();
  #stop = new AbortController();
  #lastContact: number | undefined;
  /** Ends what is waited for now: the watch, or a back-off. */
  #interrupt = new AbortController();
  /** Those who asked for a list and are not served by one that has begun. */
  #asked: PromiseWithResolvers<void>[] = [];
  /** In a row; forgotten by progress. */
  #failures = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#store = new Store<T>({ trim: options.trim, onChange: options.onChange, logger: options.logger });
    // Whether anybody waits for it or not.
    this.#synced.promise.catch(() => {});
  }

  /** Begins; to be called once. Ends when `signal` aborts or `stop` is called. */
  start(signal?: AbortSignal): void {
    if (this.#state.name !== "Idle") throw new Error(`the reflector of ${this.#options.resource.plural} was started before`);
    const end = () => this.#stop.abort(signal?.reason);
    if (signal?.aborted) end();
    else signal?.addEventListener("abort", end, { once: true });
    this.#ended = this.#run().finally(() => signal?.removeEventListener("abort", end));
  }

  /** Ends it at any moment; resolves when nothing of it runs any more. What it holds can still be read. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("stopped"));
    await this.#ended;
  }

  /** Resolves when the first list is complete; rejects with the reason of the stop when that comes first. */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  /**
   * Lists anew; resolves when what is held is of a time after the call, and rejects with the reason of the stop when that comes first.
   * To be called when it has been started.
   */
  relist(): Promise<void> {
    const asked = Promise.withResolvers<void>();
    if (this.#stop.signal.aborted) asked.reject(this.#stop.signal.reason);
    else this.#asked.push(asked);
    asked.promise.catch(() => {});
    this.#interrupt.abort();
    return asked.promise;
  }

  /** Opens the watch anew from where it stands: if it had silently died, what was missed comes now. */
  renew(): void {
    this.#interrupt.abort();
  }

  /** The held object itself: not to be changed. */
  get(namespace: string | undefined, name: string): T | undefined {
    return this.#store.get(namespace, name);
  }

  /** The held objects themselves, of one namespace or of all. */
  list(namespace?: string): T[] {
    return this.#store.list(namespace);
  }

  get size(): number {
    return this.#store.size;
  }

  get state(): ReflectorState["name"] {
    return this.#state.name;
  }

  /** Monotonic time of the latest sign of life of the server (list, event, bookmark), ms; undefined before the first. */
  get lastContact(): number | undefined {
    return this.#lastContact;
  }

  async #run(): Promise<void> {
    this.#state = { name: "Listing" };
    while (this.#state.name !== "Stopped") this.#state = await this.#step(this.#state);
    for (const waiting of [this.#synced, ...this.#asked.splice(0)]) waiting.reject(this.#stop.signal.reason);
  }

  /** Does what the state says, and says what comes next. Never rejects. */
  async #step(state: ReflectorState): Promise<ReflectorState> {
    if (this.#stop.signal.aborted) return { name: "Stopped" };
    const interrupt = new AbortController();
    this.#interrupt = interrupt;
    try {
      if (state.name === "Watching" && this.#asked.length > 0) return await this.#list();
      switch (state.name) {
        case "Listing":
          return await this.#list();
        case "Watching":
          return await this.#watch(state.resourceVersion, interrupt.signal);
        case "BackingOff":
          await sleep(this.#options.clock, state.leastMs, this.#stop.signal);
          await sleep(this.#options.clock, state.waitMs - state.leastMs, AbortSignal.any([this.#stop.signal, interrupt.signal]));
          return state.next;
        default:
          return { name: "Stopped" };
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return { name: "Stopped" };
      if (interrupt.signal.aborted && state.name === "BackingOff") return state.next;
      if (interrupt.signal.aborted && state.name === "Watching") return this.#state;
      return this.#failed(state, error);
    }
  }

  async #list(): Promise<ReflectorState> {
    const { client, resource } = this.#options;
    const served = this.#asked.splice(0);
    try {
      const all = await client.listAll<T>(resource, { ...this.#selection(), timeoutMs: PATIENCE_MS, signal: this.#stop.signal });
      this.#contact();
      const { holds } = this.#options;
      this.#store.swap(holds ? all.items.filter(holds) : all.items);
      for (const waiting of [this.#synced, ...served.splice(0)]) waiting.resolve();
      return { name: "Watching", resourceVersion: all.resourceVersion };
    } finally {
      this.#asked.unshift(...served);
    }
  }

  async #watch(from: string, interrupt: AbortSignal): Promise<ReflectorState> {
    const { client, clock, resource, holds = () => true } = this.#options;
    const opened = clock.monotonic();
    const random = this.#options.random ?? Math.random;
    const watchdog = this.#watchdog(interrupt);
    let position = from;
    try {
      // Not all at once: a hundred watches that began together should not end together.
      const timeoutSeconds = 240 + Math.floor(random() * 51);
      const at = { resourceVersion: from, timeoutSeconds, timeoutMs: PATIENCE_MS, signal: watchdog.signal };
      for await (const event of client.watch<T>(resource, { ...this.#selection(), ...at })) {
        this.#contact();
        const version = event.type === "BOOKMARK" ? event.resourceVersion : event.object.metadata.resourceVersion;
        if (event.type !== "BOOKMARK" && holds(event.object) && this.#store.apply(event, position) === "OutOfOrder") {
          throw new ApiError("Gone", `watch ${resource.plural}: an event of ${version} after ${position}`);
        }
        if (version !== undefined && isNewer(version, position) !== false) {
          position = version;
          // Kept in the state, so that whatever happens next goes on from here.
          this.#state = { name: "Watching", resourceVersion: position };
          this.#failures = 0;
        }
      }
    } finally {
      watchdog.end();
      if (clock.monotonic() - opened >= GOOD_WATCH_MS) this.#failures = 0;
    }
    if (position === from && clock.monotonic() - opened < GOOD_WATCH_MS)
      throw new ApiError("Unavailable", "the watch ended at once");
    return { name: "Watching", resourceVersion: position };
  }

  #failed(state: ReflectorState, error: unknown): ReflectorState {
    const { resource, logger, random } = this.#options;
    const kind = error instanceof ApiError ? error.kind : undefined;
    const retryAfter = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    this.#failures++;
    const text = sanitizeLine(error instanceof Error ? error.message : String(error));
    const next = this.#next(kind);
    // Too old is an answer like any other the first time: list at once. Only if that does not help, slow down.
    const waitMs =
      kind === "Gone" && this.#failures === 1
        ? 0
        : Math.max(backoffMs(this.#failures, random === undefined ? BACKOFF : { ...BACKOFF, random }), retryAfter);
    const fields = {
      resource: resource.plural,
      state: state.name,
      next: next.name,
      kind,
      error: text,
      waitMs: Math.round(waitMs),
    };
    if (this.#failures < FAILURES_UNTIL_LIST) logger.debug(fields, "list or watch failed, will be tried again");
    else logger.warn({ ...fields, failures: this.#failures }, "list or watch failed again, will be tried again");
    return waitMs === 0 ? next : { name: "BackingOff", waitMs, leastMs: retryAfter, next };
  }

  #next(kind: ApiError["kind"] | undefined): ReflectorState {
    // What was told last, also during the watch that has just failed.
    const now = this.#state;
    if (now.name !== "Watching" || kind === "Gone") return { name: "Listing" };
    switch (kind) {
      case "Network":
      case "Throttled":
      case "Unavailable":
        // Not about where we watch from: a list for each kind would only add to the server's load.
        return now;
      default:
        // Perhaps a version that the server does not know (restored from a backup), for which it has no 410.
        return this.#failures % FAILURES_UNTIL_LIST === 0 ? { name: "Listing" } : now;
    }
  }

  /** A signal that aborts when the reflector stops, by `interrupt`, or when nothing was heard for `silenceMs`. */
  #watchdog(interrupt: AbortSignal): { signal: AbortSignal; end(): void } {
    const { clock, resource, silenceMs = SILENCE_MS } = this.#options;
    const controller = new AbortController();
    const onStop = () => controller.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener("abort", onStop, { once: true });
    interrupt.addEventListener("abort", () => controller.abort(interrupt.reason), { once: true });
    const opened = clock.monotonic();
    const arm = (ms: number) =>
      clock.after(ms, () => {
        const silent = clock.monotonic() - Math.max(this.#lastContact ?? opened, opened);
        if (silent < silenceMs) timer = arm(silenceMs - silent);
        else controller.abort(new ApiError("Network", `watch ${resource.plural}: nothing came for ${silenceMs} ms`));
      });
    let timer = arm(silenceMs);
    return {
      signal: controller.signal,
      end: () => {
        timer.cancel();
        this.#stop.signal.removeEventListener("abort", onStop);
      },
    };
  }

  #selection(): { namespace?: string; labelSelector?: string; fieldSelector?: string } {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  #contact(): void {
    this.#lastContact = this.#options.clock.monotonic();
  }
}
