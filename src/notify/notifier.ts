// Tells the sinks of RollguardConfig what happens: each what it asked for, apart from the others, and knows how each is doing.

import type { SinkSpec, SinkStatus } from "../api/notifications.ts";
import { type Announcement, type Sink, topicOf } from "./announcement.ts";
import { cloudEvent, fitting, type Message, slackLine, slackMessage } from "./messages.ts";
import { GIVE_UP_MS, Outbox, type Outcome } from "./outbox.ts";
import { Webhook, type WebhookDeps } from "./webhook.ts";

/** Requests at once. A Slack channel is read in its order, and takes about one message a second. */
const CONCURRENCY = { CloudEvents: 4, Slack: 1 } as const;

export interface NotifierDeps extends WebhookDeps {
  random?: () => number;
  /** The API server's time, ms epoch. */
  now(): number;
  /** The operator's; named in each message. Empty where nobody said. */
  environment: string;
  /** For counting, by the sink's name. */
  onOutcome(sink: string, outcome: Outcome, count: number): void;
  /** Messages that will never be delivered. */
  onGivenUp(sink: string, count: number, why: string): void;
  /** What `statuses` says has changed. */
  onChange(): void;
}

/** One sink: what waits for it, and where it goes. */
class Target {
  spec: SinkSpec;
  readonly status: SinkStatus;
  readonly outbox: Outbox<Announcement>;
  readonly #deps: NotifierDeps;
  #webhook: Webhook;

  constructor(spec: SinkSpec, deps: NotifierDeps) {
    this.spec = spec;
    this.status = { name: spec.name, state: "Idle" };
    this.#deps = deps;
    this.#webhook = new Webhook(spec, deps);
    this.outbox = new Outbox({
      clock: deps.clock,
      ...(deps.random ? { random: deps.random } : {}),
      concurrency: CONCURRENCY[spec.type],
      together: (items) => (this.spec.type === "Slack" ? fitting(items.map((item) => this.#line(item))) : 1),
      send: (items) => this.#webhook.send(this.#message(items)),
      onOutcome: (outcome, count, why) => this.#note(outcome, count, why),
    });
  }

  /** What waits goes to where it is said now. */
  configure(spec: SinkSpec): void {
    this.spec = spec;
    this.#webhook.retire();
    this.#webhook = new Webhook(spec, this.#deps);
    this.outbox.restart();
  }

  wants(announcement: Announcement): boolean {
    const { topics, namespaces } = this.spec;
    const topic = topicOf(announcement);
    if (topic === undefined || (topics && !topics.includes(topic))) return false;
    return namespaces === undefined || namespaces.includes(announcement.regarding.metadata.namespace ?? "");
  }

  /** @param known nobody will send what waits */
  close(known: boolean): void {
    this.outbox.close(known);
    this.#webhook.close();
  }

  #line(announcement: Announcement): string {
    return slackLine(announcement, this.#deps.environment);
  }

  #message(items: readonly Announcement[]): Message {
    const [first] = items;
    if (this.spec.type === "Slack" || !first) return slackMessage(items.map((item) => this.#line(item)));
    return cloudEvent(first, topicOf(first) ?? "Warning", this.#deps.environment);
  }

  #note(outcome: Outcome, count: number, why = ""): void {
    const { onOutcome, onGivenUp, onChange, now } = this.#deps;
    const { status, spec } = this;
    const { state, message, givenUp = 0 } = status;
    onOutcome(spec.name, outcome, count);
    if (outcome === "Sent") status.state = "Delivering";
    else {
      status.state = "Failing";
      status.failedAt = new Date(now()).toISOString();
      status.message = why;
    }
    const lost = outcome === "Failed" || outcome === "Dropped";
    if (lost) status.givenUp = givenUp + count;
    if (lost) onGivenUp(spec.name, count, why);
    // That it fails once more is no news.
    if (lost || status.state !== state || status.message !== message) onChange();
  }
}

export class Notifier implements Sink {
  readonly #deps: NotifierDeps;
  #targets = new Map<string, Target>();
  /** What is being told, by its id: told again meanwhile, it is the same. */
  #telling = new Map<string, Promise<void>>();
  #stopped = false;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
  }

  /** The sinks that there are from now on. What waits for one that is gone is dropped; for one that changed it goes there. */
  configure(specs: readonly SinkSpec[]): void {
    if (this.#stopped) return;
    const before = this.#targets;
    this.#targets = new Map();
    for (const spec of specs) {
      const known = before.get(spec.name);
      const same = known?.spec.type === spec.type ? known : undefined;
      if (same && JSON.stringify(same.spec) !== JSON.stringify(spec)) same.configure(spec);
      if (same) before.delete(spec.name);
      this.#targets.set(spec.name, same ?? new Target(spec, this.#deps));
    }
    for (const gone of before.values()) gone.close(true);
  }

  /**
   * Resolves when each sink that asked for it has it, or will never get it. Rejects when it was stopped before that was known.
   * What goes on for longer than a message is tried (a stall, say) was told when it began: a new operator does not tell it again. The end of
   * a transition is told whenever it was, since its record tells what was told.
   */
  tell(announcement: Announcement): Promise<void> {
    const { regarding, id, outcome, at } = announcement;
    const isEnd = outcome !== undefined && outcome !== "Stalled";
    if (!isEnd && this.#deps.now() - Date.parse(at) > GIVE_UP_MS) return Promise.resolve();
    const key = `${regarding.metadata.uid ?? regarding.metadata.name}/${id}`;
    const telling = this.#telling.get(key) ?? this.#tell(announcement).finally(() => this.#telling.delete(key));
    this.#telling.set(key, telling);
    return telling;
  }

  async #tell(announcement: Announcement): Promise<void> {
    if (this.#stopped) throw new Error("notifications were stopped");
    const targets = [...this.#targets.values()].filter((target) => target.wants(announcement));
    const known = await Promise.all(targets.map((target) => target.outbox.put(announcement)));
    if (known.includes(false)) throw new Error("notifications were stopped before it was delivered");
  }

  /** How each sink is doing, in the order of the config. */
  statuses(): SinkStatus[] {
    return [...this.#targets.values()].map(({ status }) => ({ ...status }));
  }

  /** Sends what is on its way, for at most `ms` milliseconds, then ends. Short: a successor waits for the lease. */
  async stop(ms = 500): Promise<void> {
    const { clock } = this.#deps;
    let timer: { cancel(): void } | undefined;
    const late = new Promise<void>((resolve) => {
      timer = clock.after(ms, resolve);
    });
    await Promise.race([Promise.all([...this.#targets.values()].map(({ outbox }) => outbox.atRest())), late]);
    timer?.cancel();
    this.#stopped = true;
    for (const target of this.#targets.values()) target.close(false);
  }
}
