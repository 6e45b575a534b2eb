// Leader election by a Lease. Only the local monotonic clock counts: a leader gives up before the time that it promised has
// passed since it *sent* its last good renewal, and others take over only that time after they *saw* it.
import { type Clock, sleep } from "../clock.ts";
import type { Logger } from "../log.ts";
import { sanitizeLine } from "../text.ts";
import type { KubeClient } from "./client.ts";
import { ApiError, isKind } from "./errors.ts";
import { type Lease, microTime } from "./objects.ts";
import { RESOURCES } from "./resources.ts";

export interface ElectorOptions {
  client: KubeClient;
  namespace: string;
  name: string;
  /** Of this process alone: a pod's name and something random. Two with the same never lead at once, but may wait for each other. */
  identity: string;
  clock: Clock;
  logger: Logger;
  /**
   * How long a lease is good without renewal, ms, whole seconds; default 10 s. With it a killed leader is succeeded after at
   * most 10 s and the time in which the others learned of its last renewal, which is below a second.
   */
  leaseDurationMs?: number;
  /** Between two renewals, ms; default 3 s: three may fail before the lease is lost. */
  renewMs?: number;
  /** Given up so long before it ends, ms; default 1 s: for the difference of two clocks' rates and a late timer. */
  safetyMs?: number;
  random?: () => number;
}

export interface Leadership {
  /**
   * Called when the lease was won. `term` aborts when it is lost or when the elector is stopped; the promise is to settle when
   * nothing of it writes any more: only then is the lease released. When it settles by itself, the lease is released too.
   */
  onElected(term: AbortSignal): Promise<void>;
  /** Called at the moment when the lease is lost, after `term` was aborted. */
  onLost?(): void;
}

export type TermEnd =
  /** Stopped by the signal. */
  | "Stopped"
  /** `onElected` settled by itself. */
  | "Finished"
  /** Not renewed in time, or somebody else holds the lease. */
  | "Lost";

/** What is known of the lease, and since when by our monotonic clock. */
interface Observed {
  lease: Lease;
  /** When it was seen to change last. */
  changedAt: number;
}

/** Standing by without a sign of life of the holder for so long, ms, the lease is read again: the watch may be dead. */
const PROBE_MS = 5_000;
/** Pause before a standby asks again after its watch ended or failed, ms (with jitter down to two thirds). */
const RETRY_MS = 900;
/** One request, ms: one that hangs must leave time for others before the lease ends. */
const CALL_MS = 2_500;
/** After a loss the work has so long to end, ms; its writes are refused from the first moment. */
const LOST_MS = 5_000;

export class Elector {
  #options: Required<Omit<ElectorOptions, "random">> & { random: () => number };
  #observed: Observed | undefined;
  /** Monotonic time until which we may act as leader. */
  #leadsUntil = Number.NEGATIVE_INFINITY;
  /** The acquireTime that we wrote last: tells our own term from one of another process that has our identity. */
  #acquireTime: string | undefined;

  constructor(options: ElectorOptions) {
    this.#options = {
      leaseDurationMs: 10_000,
      renewMs: 3_000,
      safetyMs: 1_000,
      ...options,
      random: options.random ?? Math.random,
    };
  }

  /** How much longer we surely lead, ms; 0 when we don't. A write's time limit must be shorter than this. */
  remainingMs(): number {
    return Math.max(this.#leadsUntil - this.#options.clock.monotonic(), 0);
  }

  /**
   * Stands by until it leads, and leads until `signal` aborts, the term ends or the lease is lost. It does not stand again: a
   * leader that lost its lease should exit. Rejects only with what `onElected` rejects with.
   */
  async run(signal: AbortSignal, leadership: Leadership): Promise<TermEnd> {
    try {
      await this.#standBy(signal);
    } catch (error) {
      if (signal.aborted) return "Stopped";
      throw error;
    }
    this.#options.logger.info({ identity: this.#options.identity }, "leading");
    return this.#lead(signal, leadership);
  }

  /** Resolves when the lease is ours; rejects with the signal's reason. */
  async #standBy(signal: AbortSignal): Promise<void> {
    const { clock, logger, random } = this.#options;
    for (;;) {
      try {
        const lease = await this.#read(signal);
        // One that somebody deleted is still its holder's until it would have run out: that one makes it again.
        const known = lease ?? this.#observed?.lease;
        if (known === undefined || this.#isFree(known)) {
          if (await this.#take(lease, signal)) return;
        } else if (lease === undefined) await sleep(clock, RETRY_MS, signal);
        else if ((await this.#untilChange(lease, signal)) === "Now") continue;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        logger.warn({ error: said(error) }, "the lease could not be read or taken");
      }
      await sleep(clock, RETRY_MS * (2 / 3 + random() / 3), signal);
    }
  }

  async #read(signal?: AbortSignal): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options;
    const lease = await client.find<Lease>(RESOURCES.leases, { namespace, name }, limits(CALL_MS, signal));
    if (lease !== undefined) this.#observe(lease);
    return lease;
  }

  /** Notes when the lease was seen to change: its own times are another machine's clock. */
  #observe(lease: Lease): void {
    if (this.#observed?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.#observed = { lease, changedAt: this.#options.clock.monotonic() };
  }

  #isFree(lease: Lease): boolean {
    return !lease.spec?.holderIdentity || this.#isOurs(lease) || this.#options.clock.monotonic() >= this.#expiry(lease);
  }

  /** Also when the answer to our own write was lost. */
  #isOurs(lease: Lease): boolean {
    const { holderIdentity, acquireTime } = lease.spec ?? {};
    return acquireTime !== undefined && holderIdentity === this.#options.identity && acquireTime === this.#acquireTime;
  }

  #expiry(lease: Lease): number {
    const seconds = lease.spec?.leaseDurationSeconds;
    const promised = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : this.#options.leaseDurationMs;
    return (this.#observed?.changedAt ?? this.#options.clock.monotonic()) + promised;
  }

  /**
   * Watches the lease: a release is seen at once, and a living holder costs no request. Resolves Now when it should be read again
   * at once, Later when the watch is no help.
   */
  async #untilChange(lease: Lease, signal: AbortSignal): Promise<"Now" | "Later"> {
    const { client, clock, namespace, name, logger } = this.#options;
    const over = new AbortController();
    let last = lease;
    let heardAt = clock.monotonic();
    // It has run out, which only a fresh read may confirm; or the holder, or the watch, has gone quiet.
    const due = () => Math.min(this.#expiry(last), heardAt + PROBE_MS);
    const arm = () =>
      clock.after(due() - clock.monotonic(), () => {
        if (clock.monotonic() >= due()) over.abort();
        else timer = arm();
      });
    let timer = arm();
    const onStop = () => over.abort(signal.reason);
    signal.addEventListener("abort", onStop, { once: true });
    try {
      const from = {
        resourceVersion: lease.metadata.resourceVersion ?? "",
        timeoutSeconds: 290,
        fieldSelector: `metadata.name=${name}`,
      };
      const events = client.watch<Lease>(RESOURCES.leases, { namespace, ...from, ...limits(CALL_MS, over.signal) });
      for await (const event of events) {
        if (event.type === "BOOKMARK" || event.object.metadata.name !== name) continue;
        if (event.type === "DELETED") return "Now";
        heardAt = clock.monotonic();
        last = event.object;
        this.#observe(last);
        if (this.#isFree(last)) return "Now";
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (over.signal.aborted) return "Now";
      logger.debug({ error: said(error) }, "the watch on the lease broke");
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onStop);
    }
    return "Later";
  }

  /** Tries to make the lease ours, on exactly what was read. False when somebody was faster. */
  async #take(lease: Lease | undefined, signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity, clock } = this.#options;
    const now = microTime(client.serverNow());
    const transitions = lease === undefined ? 0 : (lease.spec?.leaseTransitions ?? 0) + 1;
    const spec = { ...this.#spec(now), holderIdentity: identity, acquireTime: now, leaseTransitions: transitions };
    const sentAt = clock.monotonic();
    this.#acquireTime = now;
    try {
      const options = limits(CALL_MS, signal);
      const metadata = lease?.metadata ?? { namespace, name };
      const object: Lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec };
      this.#won(lease === undefined ? await client.create(object, options) : await client.replace(object, options), sentAt);
      return true;
    } catch (error) {
      // Not found while it is made: its namespace is missing, which a person has to hear of.
      if (isKind(error, "NotFound") && lease === undefined) throw error;
      if (isKind(error, "Conflict", "AlreadyExists", "NotFound")) return false;
      throw error;
    }
  }

  #won(lease: Lease, sentAt: number): void {
    const { leaseDurationMs, safetyMs } = this.#options;
    this.#observe(lease);
    this.#leadsUntil = sentAt + leaseDurationMs - safetyMs;
  }

  async #lead(signal: AbortSignal, leadership: Leadership): Promise<TermEnd> {
    const term = new AbortController();
    let settled = false;
    const work = (async () => leadership.onElected(term.signal))().finally(() => {
      settled = true;
      ended.abort();
    });
    work.catch(() => {});
    // Ends the renewals: the work has ended, or the lease has run out.
    const ended = new AbortController();
    const onStop = () => term.abort(signal.reason);
    if (signal.aborted) onStop();
    else signal.addEventListener("abort", onStop, { once: true });
    try {
      await this.#renew(ended.signal);
    } finally {
      signal.removeEventListener("abort", onStop);
    }
    if (!settled) {
      // The lease is lost while the work goes on: it is told, waited for, and nothing is released.
      this.#leadsUntil = Number.NEGATIVE_INFINITY;
      const { clock, logger, identity } = this.#options;
      logger.error({ identity }, "the lease is lost");
      term.abort(new Error("the lease is lost"));
      leadership.onLost?.();
      await sleep(clock, LOST_MS, ended.signal).catch(() => {});
      return "Lost";
    }
    await this.#release();
    try {
      await work;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return signal.aborted ? "Stopped" : "Finished";
  }

  /** Renews until `ended` aborts (resolves at once) or the lease can't be held any longer. */
  async #renew(ended: AbortSignal): Promise<void> {
    const { clock, renewMs, logger, random } = this.#options;
    let wait = renewMs;
    while (!ended.aborted) {
      const pause = Math.min(wait, this.remainingMs());
      await sleep(clock, pause, ended).catch(() => {});
      if (ended.aborted || this.remainingMs() === 0) return;
      try {
        if (!(await this.#renewOnce(ended))) return;
        wait = renewMs;
      } catch (error) {
        if (ended.aborted) return;
        const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
        // As long as the server asks for, but for one last try before the end.
        wait = Math.max(200 + 300 * random(), Math.min(asked, this.remainingMs() - CALL_MS));
        logger.warn({ error: said(error), remainingMs: Math.round(this.remainingMs()) }, "the lease could not be renewed");
      }
    }
  }

  /** False when somebody else holds it. Throws what hinders it. */
  async #renewOnce(ended: AbortSignal): Promise<boolean> {
    const { client, clock } = this.#options;
    const held = this.#observed?.lease;
    if (held === undefined) return false;
    // An answer after the lease's end is no use.
    const options = limits(Math.min(CALL_MS, this.remainingMs()), ended);
    const sentAt = clock.monotonic();
    try {
      const spec = { ...held.spec, ...this.#spec(microTime(client.serverNow())) };
      this.#won(await client.replace<Lease>({ ...held, spec }, options), sentAt);
      return true;
    } catch (error) {
      if (!isKind(error, "Conflict", "NotFound")) throw error;
      // Changed by somebody, or by a renewal of ours whose answer was lost: then it is still ours, and is renewed on what is there now.
      const lease = await this.#read(ended);
      // Somebody deleted it: those who saw it wait until ours would have run out.
      if (lease === undefined) return this.#take(undefined, ended);
      if (!this.#isOurs(lease)) return false;
      if (lease.metadata.resourceVersion === held.metadata.resourceVersion) throw error;
      return this.#renewOnce(ended);
    }
  }

  /** Gives the lease up, so that a successor need not wait; only called when nothing of ours writes any more. */
  async #release(): Promise<void> {
    const { client, clock, logger, identity } = this.#options;
    const held = this.#observed?.lease;
    const remaining = this.remainingMs();
    this.#leadsUntil = Number.NEGATIVE_INFINITY;
    if (held === undefined || remaining === 0) return;
    // One second: for clients that take an empty holder for a held one.
    const spec = { ...held.spec, ...this.#spec(microTime(client.serverNow())), holderIdentity: "", leaseDurationSeconds: 1 };
    const until = clock.monotonic() + Math.min(remaining, CALL_MS);
    try {
      for (let lease: Lease | undefined = held; lease && this.#isOurs(lease) && clock.monotonic() < until; ) {
        try {
          await client.replace<Lease>({ ...lease, spec }, limits(until - clock.monotonic()));
          logger.info({ identity }, "the lease is released");
          return;
        } catch (error) {
          if (!isKind(error, "Conflict")) throw error;
          // A renewal was under way when we stopped.
          lease = await this.#read();
        }
      }
    } catch (error) {
      logger.warn({ error: said(error) }, "the lease could not be released; it runs out by itself");
    }
  }

  #spec(now: string): { leaseDurationSeconds: number; renewTime: string } {
    return { leaseDurationSeconds: Math.ceil(this.#options.leaseDurationMs / 1000), renewTime: now };
  }
}

// Never behind ordinary calls: thousands of passes must not cost the lease.
function limits(timeoutMs: number, signal?: AbortSignal): { timeoutMs: number; lane: "urgent"; signal?: AbortSignal } {
  return { timeoutMs, lane: "urgent", ...(signal === undefined ? {} : { signal }) };
}

function said(error: unknown): string {
  return sanitizeLine(error instanceof Error ? error.message : String(error));
}
