// Keeps the sinks of RollguardConfig: what it configures, what its status says of them, and the event where a message was lost.

import { isDeepStrictEqual } from "node:util";
import type { Condition } from "../api/common.ts";
import { CONFIG_NAME, FIELD_MANAGER } from "../api/names.ts";
import type { SinkStatus } from "../api/notifications.ts";
import type { RollguardConfig, RollguardConfigStatus } from "../api/rollguardconfig.ts";
import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Logger } from "../log.ts";
import type { Announcement, Sink } from "../notify/announcement.ts";
import { Notifier, type NotifierDeps } from "../notify/notifier.ts";
import type { Metrics } from "../telemetry.ts";
import { sanitizeLine } from "../text.ts";
import type { Caches } from "./caches.ts";

export interface NotificationsDeps extends Omit<NotifierDeps, "onOutcome" | "onGivenUp" | "onChange"> {
  client: KubeClient;
  caches: Pick<Caches, "configs">;
  assertLeading(): void;
  events: Pick<EventRecorder, "record">;
  metrics: Pick<Metrics, "notifications">;
  logger: Logger;
  /** The status is to be written. */
  onDirty(): void;
}

/** What the status says of the sinks; what this operator has not seen yet stays as it was said. Pure. */
export function sinkStatuses(before: RollguardConfigStatus["notifications"], now: readonly SinkStatus[]): SinkStatus[] {
  return now.map((one) => {
    const known = before?.find(({ name }) => name === one.name);
    const { failedAt, message, state } = known ?? one;
    return {
      ...(failedAt === undefined ? {} : { failedAt }),
      ...(message === undefined ? {} : { message }),
      ...one,
      state: one.state === "Idle" ? state : one.state,
    };
  });
}

/** The condition NotificationsDelivered. Pure. */
export function deliveryCondition(sinks: readonly SinkStatus[]): Pick<Condition, "status" | "reason" | "message"> {
  const failing = sinks.filter(({ state }) => state === "Failing");
  if (failing.length > 0) {
    const words = failing.map(({ name, message, failedAt }) => `${name}: ${message} (${failedAt})`).join("; ");
    return { status: "False", reason: "Failing", message: sanitizeLine(words, 1024) };
  }
  const idle = sinks.every(({ state }) => state === "Idle");
  if (idle) return { status: "Unknown", reason: "NothingSent", message: "nothing was sent yet" };
  return { status: "True", reason: "Delivering", message: "what was sent last was delivered" };
}

const CONDITION = "NotificationsDelivered";

/** The whole status; what it does not know of is kept as it is. Pure. */
export function notificationsStatus(
  { status, metadata }: RollguardConfig,
  sinks: readonly SinkStatus[],
  now: number,
): RollguardConfigStatus {
  const conditions = status?.conditions ?? [];
  const { notifications: _, ...rest } = status ?? {};
  const before = conditions.find(({ type }) => type === CONDITION);
  if (sinks.length === 0) return before ? { ...rest, conditions: conditions.filter((one) => one !== before) } : rest;
  const notifications = sinkStatuses(status?.notifications, sinks);
  const said = deliveryCondition(notifications);
  const condition: Condition = {
    type: CONDITION,
    ...said,
    lastTransitionTime: before?.status === said.status ? before.lastTransitionTime : new Date(now).toISOString(),
    observedGeneration: metadata.generation ?? 0,
  };
  // In its place: the order is nobody's news.
  const inPlace = before ? conditions.map((one) => (one === before ? condition : one)) : [...conditions, condition];
  return { ...rest, notifications, conditions: inPlace };
}

export class Notifications implements Sink {
  readonly #deps: NotificationsDeps;
  readonly #notifier: Notifier;

  constructor(deps: NotificationsDeps) {
    this.#deps = deps;
    const { metrics, onDirty } = deps;
    this.#notifier = new Notifier({
      ...deps,
      onOutcome: (sink, outcome, count) => metrics.notifications.inc({ sink, outcome }, count),
      onGivenUp: (sink, count, why) => this.#givenUp(sink, count, why),
      onChange: onDirty,
    });
  }

  /** The configuration changed, or was looked at for the first time. */
  configured(): void {
    this.#notifier.configure(this.#config()?.spec.notifications ?? []);
    if (this.#config()) this.#deps.onDirty();
  }

  tell(announcement: Announcement): Promise<void> {
    return this.#notifier.tell(announcement);
  }

  /** Writes the status where it differs; for a worker, which tries again what failed. */
  async write(): Promise<void> {
    const config = this.#config();
    if (!config) return;
    const status = notificationsStatus(config, this.#notifier.statuses(), this.#deps.now());
    if (isDeepStrictEqual(status, config.status ?? {})) return;
    this.#deps.assertLeading();
    const { apiVersion, kind, metadata, spec } = config;
    const { name, uid, resourceVersion } = metadata;
    await this.#deps.client.replaceStatus(
      { apiVersion, kind, metadata: { name, uid, resourceVersion }, spec, status } as unknown as KubeObject,
      { fieldManager: FIELD_MANAGER },
    );
  }

  stop(): Promise<void> {
    return this.#notifier.stop();
  }

  #config(): (RollguardConfig & KubeObject) | undefined {
    return this.#deps.caches.configs.get(undefined, CONFIG_NAME);
  }

  #givenUp(sink: string, count: number, why: string): void {
    const { logger, events } = this.#deps;
    logger.warn({ sink, count, why }, "notifications were given up");
    const config = this.#config();
    if (!config) return;
    events.record({
      regarding: config,
      type: "Warning",
      reason: "NotificationsGivenUp",
      note: `${count === 1 ? "a message" : `${count} messages`} to ${sink} will never be delivered: ${why}`,
      action: "Notify",
      id: `notifications-${sink}`,
      ongoing: true,
    });
  }
}
