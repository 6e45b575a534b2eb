// For the checker: what the pods of each revision were like, as the API server was told by the kubelet.

import type { Pod } from "../../src/sandbox/controllers/kinds.ts";
import type { Commit } from "./state.ts";

interface Seen {
  ready: boolean;
  /** Placed, started, and not on its way out. */
  counts: boolean;
  restarts: number;
}

interface Span {
  from: number;
  to: number | undefined;
}

export class PodsSeen {
  readonly #pods = new Map<string, Map<string, Seen>>();
  readonly #unready = new Map<string, Span[]>();
  readonly #restarts = new Map<string, { at: number; restarts: number }[]>();

  committed({ object, type, at }: Commit): void {
    const pod = object as unknown as Pod & { metadata: { labels?: Record<string, string> } };
    const { labels, name, deletionTimestamp } = pod.metadata;
    const deployment = labels?.["rollguard.dev/deployment"];
    if (deployment === undefined) return;
    const key = `${deployment}-r${labels?.["rollguard.dev/revision"]}`;
    const pods = this.#pods.get(key) ?? new Map<string, Seen>();
    this.#pods.set(key, pods);
    if (type === "DELETED") pods.delete(name);
    else {
      const statuses = (pod.status?.containerStatuses ?? []) as { restartCount: number }[];
      const restarts = Math.max(0, ...statuses.map((one) => one.restartCount));
      const ready = (pod.status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True");
      const before = pods.get(name);
      if (restarts > (before?.restarts ?? 0)) {
        const known = this.#restarts.get(key) ?? [];
        this.#restarts.set(key, known);
        known.push({ at, restarts });
      }
      pods.set(name, { ready, counts: statuses.length > 0 && deletionTimestamp === undefined, restarts });
    }
    const counted = [...pods.values()].filter((one) => one.counts);
    const bad = counted.length > 0 && counted.filter((one) => !one.ready).length >= counted.length / 2;
    const spans = this.#unready.get(key) ?? [];
    this.#unready.set(key, spans);
    const last = spans.at(-1);
    const open = last !== undefined && last.to === undefined;
    if (bad && !open) spans.push({ from: at, to: undefined });
    if (!bad && open && last) last.to = at;
  }

  ready(deployment: string, revision: number): number {
    const pods = this.#pods.get(`${deployment}-r${revision}`);
    return [...(pods?.values() ?? [])].filter((one) => one.ready && one.counts).length;
  }

  /** How long half of its pods or more were not ready within a time, ms. */
  unreadyMs(deployment: string, revision: number, from: number, to: number): number {
    return (this.#unready.get(`${deployment}-r${revision}`) ?? [])
      .map((span) => Math.min(span.to ?? to, to) - Math.max(span.from, from))
      .reduce((sum, ms) => sum + Math.max(ms, 0), 0);
  }

  /** The most that a container of it was started again, by a time, ms. */
  restarts(deployment: string, revision: number, by: number): number {
    const known = this.#restarts.get(`${deployment}-r${revision}`) ?? [];
    return Math.max(0, ...known.filter((one) => one.at <= by).map((one) => one.restarts));
  }
}
