// Tells people what a status says has happened, at least once: after it is written, and again by the next operator where it is not
// known whether it was told. A record is written only after its end was told, so that "no record yet" means "maybe not told".

import type { HistoryEntry } from "../api/modeldeployment-status.ts";
import type { Clock, Timer } from "../clock.ts";
import { endEvent, untold } from "../core/announce.ts";
import type { EventIntent } from "../core/context.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Logger } from "../log.ts";
import type { Announcement, Sink } from "../notify/announcement.ts";
import { sanitizeLine } from "../text.ts";
import type { CachedDeployment } from "./cached.ts";

/** How long a record waits for its end to be told, ms. Then it is written all the same. */
export const GIVE_UP_MS = 600_000;

export interface TellerOptions {
  sinks: readonly Sink[];
  clock: Clock;
  logger: Logger;
  /** A deployment whose record may be written now. */
  again(key: string): void;
}

/** Each as an Event of what it is about. */
export function eventSink(events: Pick<EventRecorder, "record">): Sink {
  return {
    async tell({ regarding, type, reason, note, id }) {
      const written = await events.record({ regarding, type, reason, note, action: "Decide", id });
      if (!written) throw new Error("the event could not be written");
    },
  };
}

export class Teller {
  #options: TellerOptions;
  /** By key: what was told by id, and what is being told. */
  #known = new Map<string, { uid: string | undefined; told: Map<string, "Telling" | "Told"> }>();
  #stopped = false;

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /**
   * Tells what the status says and this process has not told: of an operator that was killed, of a write whose answer was lost, of
   * a late leader's write. Called before anything is decided.
   */
  review(key: string, deployment: CachedDeployment, recorded: ReadonlySet<number>): void {
    const known = this.#known.get(key);
    const first = known === undefined || known.uid !== deployment.metadata.uid;
    const told = first ? new Map<string, "Telling" | "Told">() : known.told;
    if (first) this.#known.set(key, { uid: deployment.metadata.uid, told });
    const events = untold(deployment.status ?? {}, recorded);
    const ids = new Set(events.map((event) => event.id));
    for (const [id, state] of told) if (state === "Told" && !ids.has(id)) told.delete(id);
    for (const event of events) this.#tell(key, deployment, told, event);
  }

  /** Tells what was decided, when it is in the status. */
  tell(key: string, deployment: CachedDeployment, events: readonly EventIntent[]): void {
    const told = this.#known.get(key)?.told;
    if (told) for (const event of events) this.#tell(key, deployment, told, event);
  }

  /** Whether the end of this transition was told, or given up. */
  wasTold(key: string, entry: HistoryEntry): boolean {
    return this.#known.get(key)?.told.get(endEvent(entry).id) === "Told";
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  /** What is under way does not count as told any more: the next operator tells it. */
  stop(): void {
    this.#stopped = true;
  }

  #tell(key: string, regarding: CachedDeployment, told: Map<string, "Telling" | "Told">, event: EventIntent): void {
    if (told.has(event.id) || this.#stopped) return;
    told.set(event.id, "Telling");
    const announcement = { ...event, regarding };
    void Promise.all(this.#options.sinks.map((sink) => this.#through(sink, announcement))).then(() => {
      if (this.#stopped) return;
      told.set(event.id, "Told");
      // Only a record waits for it.
      if (event.outcome !== undefined && event.outcome !== "Stalled") this.#options.again(key);
    });
  }

  /** Resolves when it arrived, never will, or took too long. Never rejects. */
  async #through(sink: Sink, announcement: Announcement): Promise<void> {
    const { clock, logger } = this.#options;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = clock.after(GIVE_UP_MS, () => reject(new Error(`not told within ${GIVE_UP_MS / 60_000} minutes`)));
    });
    try {
      await Promise.race([sink.tell(announcement), late]);
    } catch (error) {
      const { namespace, name } = announcement.regarding.metadata;
      const why = sanitizeLine(error instanceof Error ? error.message : String(error));
      const fields = { deployment: `${namespace}/${name}`, event: announcement.id, error: why };
      if (!this.#stopped) logger.warn(fields, "something was not told");
    } finally {
      timer?.cancel();
    }
  }
}
