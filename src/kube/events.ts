// Events (events.k8s.io/v1): written in the background, again and again for ten minutes where that fails, never in the way of a pass.
// The name follows from the id, so that the same event written twice is one object.
import { createHash } from "node:crypto";
import { backoffMs } from "../backoff.ts";
import { type Clock, sleep } from "../clock.ts";
import type { Logger } from "../log.ts";
import { sanitizeBytes, sanitizeLine } from "../text.ts";
import type { KubeClient } from "./client.ts";
import { ApiError, isKind } from "./errors.ts";
import { type Event, type KubeObject, microTime, type ObjectReference } from "./objects.ts";
import { RESOURCES } from "./resources.ts";

export interface EventInput {
  regarding: KubeObject;
  related?: KubeObject;
  type: "Normal" | "Warning";
  /** Why, in CamelCase; at most 128 characters. */
  reason: string;
  /** What was done or failed, in CamelCase; at most 128 characters. */
  action: string;
  /** For people: becomes one line of at most 1,024 bytes. */
  note: string;
  /** The same id for the same object is the same event, also after a restart: such as the sequence and the reason. */
  id: string;
  /**
   * It is something that goes on: told again, it is counted in the event's `series` (at most once in five minutes) rather than
   * taken for a repeated write.
   */
  ongoing?: boolean;
}

export interface EventRecorderOptions {
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  /** `rollguard.dev/operator`. */
  controller: string;
  /** The pod or process. */
  instance: string;
  /** Events that wait to be written; more are dropped and counted. Default 10,000: five of each of 2,000 deployments. */
  capacity?: number;
  random?: () => number;
}

/** Between two writes of one series, ms. */
const SERIES_MS = 300_000;
/** Series that are remembered; the oldest are forgotten and then counted anew. */
const MAX_SERIES = 1_000;
/** Tries until an event lets those behind it go first. */
const TRIES = 8;
/** How long an event that can't be written is kept, ms. */
export const KEEP_EVENT_MS = 600_000;
const BACKOFF = { baseMs: 250, maxMs: 30_000 };
const CALL_MS = 5_000;

interface Waiting {
  event: Event;
  /** Occurrences of what goes on; 0: it is not counted. */
  count: number;
  /** Monotonic, ms. */
  since: number;
  done(written: boolean): void;
}

interface Series {
  /** Occurrences that are not in the object yet. */
  pending: number;
  writtenAt: number;
}

export class EventRecorder {
  #options: EventRecorderOptions;
  #queue: Waiting[] = [];
  #series = new Map<string, Series>();
  #stop = new AbortController();
  #writing: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Events that were never written: too many, or refused by the server. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Takes the event over. Never throws: an event is never worth a pass.
   * @returns when it is known what came of it, whether the server has it; false: it was refused, there were too many, or it could not
   *   be written for ten minutes. Never rejects.
   */
  record(input: EventInput): Promise<boolean> {
    return new Promise((done) => {
      try {
        this.#take(input, done);
      } catch (error) {
        this.#drop(error, done);
      }
    });
  }

  /** Writes what waits, for at most `ms` milliseconds, then ends. Nothing is recorded afterwards. */
  async stop(ms = 2_000): Promise<void> {
    const { clock } = this.#options;
    const timer = clock.after(ms, () => this.#stop.abort(new Error("stopped")));
    await this.#writing;
    timer.cancel();
    this.#stop.abort(new Error("stopped"));
    this.#dropped += this.#queue.length;
    for (const { done } of this.#queue.splice(0)) done(false);
  }

  #take(input: EventInput, done: Waiting["done"]): void {
    if (this.#stop.signal.aborted) throw new Error("stopped");
    const event = this.#build(input);
    const count = input.ongoing ? this.#count(event.metadata.name) : 1;
    if (count === 0) {
      done(true);
      return;
    }
    if (this.#queue.length >= (this.#options.capacity ?? 10_000)) throw new Error("too many events wait to be written");
    const since = this.#options.clock.monotonic();
    this.#queue.push({ event, count: input.ongoing ? count : 0, since, done });
    this.#writing ??= this.#write();
  }

  /** How many occurrences are to be written now; 0 when it is too early. */
  #count(name: string): number {
    const now = this.#options.clock.monotonic();
    const series = this.#series.get(name) ?? { pending: 0, writtenAt: Number.NEGATIVE_INFINITY };
    series.pending++;
    this.#series.delete(name);
    this.#series.set(name, series);
    const oldest = this.#series.keys().next();
    if (this.#series.size > MAX_SERIES && !oldest.done) this.#series.delete(oldest.value);
    if (now - series.writtenAt < SERIES_MS) return 0;
    const count = series.pending;
    series.pending = 0;
    series.writtenAt = now;
    return count;
  }

  #build(input: EventInput): Event {
    const { controller, instance, client } = this.#options;
    const { regarding } = input;
    const digest = createHash("sha256")
      .update(`${regarding.metadata.uid ?? regarding.metadata.name}\n${input.id}`)
      .digest("hex");
    return {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: {
        name: `${regarding.metadata.name.slice(0, 200).replace(/[^a-z0-9]+$/, "")}.${digest.slice(0, 16)}`,
        // Events about cluster-scoped objects go to default, as everywhere in Kubernetes.
        namespace: regarding.metadata.namespace ?? "default",
      },
      eventTime: microTime(client.serverNow()),
      reportingController: sanitizeLine(controller, 128),
      reportingInstance: sanitizeLine(instance, 128),
      type: input.type,
      reason: sanitizeLine(input.reason, 128),
      action: sanitizeLine(input.action, 128),
      note: sanitizeBytes(input.note, 1024),
      regarding: referenceTo(regarding),
      ...(input.related === undefined ? {} : { related: referenceTo(input.related) }),
    };
  }

  /** One after the other, in order. Never rejects. */
  async #write(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      try {
        await this.#persist(next.event, next.count);
        next.done(true);
      } catch (error) {
        if (this.#mayPass(error, next)) this.#queue.push(next);
        else this.#drop(error, next.done);
      }
    }
    // In the same turn as the last look at the queue: what comes next begins anew.
    this.#writing = undefined;
  }

  /** It may be written yet. Behind the others: one that the server chokes on must not keep them. */
  #mayPass(error: unknown, { since }: Waiting): boolean {
    return !isHopeless(error) && !this.#stop.signal.aborted && this.#options.clock.monotonic() - since < KEEP_EVENT_MS;
  }

  async #persist(event: Event, count: number): Promise<void> {
    const { clock, random } = this.#options;
    for (let failures = 1; ; failures++) {
      try {
        return await this.#put(event, count);
      } catch (error) {
        if (isHopeless(error) || failures >= TRIES || this.#stop.signal.aborted) throw error;
        const wait = backoffMs(failures, random === undefined ? BACKOFF : { ...BACKOFF, random });
        await sleep(clock, Math.max(wait, error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0), this.#stop.signal);
      }
    }
  }

  async #put(event: Event, count: number): Promise<void> {
    const { client } = this.#options;
    const limits = { timeoutMs: CALL_MS, signal: this.#stop.signal };
    try {
      await client.create(event, limits);
    } catch (error) {
      if (!isKind(error, "AlreadyExists")) throw error;
      // Written before, perhaps by us with the answer lost, or before a restart: that is what the name is for.
      if (count === 0) return;
      const key = { namespace: event.metadata.namespace ?? "default", name: event.metadata.name };
      const there = await client.get<Event>(RESOURCES.events, key, limits);
      // A series starts at two: the event itself was the first.
      const series = { count: (there.series?.count ?? 1) + count, lastObservedTime: event.eventTime };
      await client.patch(RESOURCES.events, key, "merge", { series }, limits);
    }
  }

  #drop(error: unknown, done: Waiting["done"]): void {
    this.#dropped++;
    done(false);
    const fields = { dropped: this.#dropped, error: sanitizeLine(error instanceof Error ? error.message : String(error)) };
    this.#options.logger.warn(fields, "an event was dropped");
  }
}

/** Refused for what it is: again would be refused again. */
function isHopeless(error: unknown): boolean {
  return !(error instanceof ApiError) || isKind(error, "Invalid", "Forbidden", "NotFound");
}

function referenceTo(object: KubeObject): ObjectReference {
  const { name, namespace, uid } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
  };
}
