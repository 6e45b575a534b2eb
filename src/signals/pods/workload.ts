// Scrapes the pods of one revision, in rounds: one round serves every check that reads at about the same time, and between
// the reads rounds go on, so that a range has samples in it.

import type { Clock, Timer } from "../../clock.ts";
import { type Expr, selectorsOf } from "../promql/ast.ts";
import type { Samples } from "../promql/evaluate.ts";
import type { PodTarget } from "../types.ts";
import type { ScrapedSample } from "./exposition.ts";
import { MAX_SAMPLES, PodHistory } from "./history.ts";

/** A range is covered by at least this many scrapes. */
const SCRAPES_PER_RANGE = 4;
const SHORTEST_INTERVAL_MS = 200;
/** A metric that nobody asked for in this time (or in three of its checks' intervals) is no longer kept. */
const FORGET_AFTER_MS = 600_000;
/** Of all pods of a revision together: a query goes over all of them at once, and other work of the process waits meanwhile. */
const MAX_SERIES_OF_ALL = 20_000;
const MAX_SAMPLES_OF_ALL = 1_000_000;

export interface ScrapeResult {
  samples?: readonly ScrapedSample[];
  failure?: string;
}

export interface WorkloadOptions {
  namespace: string;
  clock: Clock;
  now: () => number;
  /** One scrape; never rejects. */
  scrape(target: PodTarget, wanted: (metric: string) => boolean, timeoutMs: number): Promise<ScrapeResult>;
  /** The longest that one pod may take, ms. */
  timeoutMs: number;
  /** The longest time between two rounds, ms. */
  intervalMs: number;
  /** How old a round may be that a read is answered from, ms. Default: a quarter of the time between rounds, 50 to 1000. */
  reuseMs?: number;
}

/** What one round found. */
export interface Round {
  /** When it was begun, ms epoch: the time of its samples. */
  at: number;
  samples: Samples;
  /** Of the pods that answered: the times of the scrapes in which a metric was looked for. */
  scrapesOf(metric: string): readonly (readonly number[])[];
  /** Nothing before this time is kept, for want of room; ms epoch. */
  keptSince: number;
  answered: number;
  /** The pods that were left out, and why. */
  failures: readonly { pod: string; why: string }[];
  /** How far before a range its first sample may lie, ms. */
  anchorMs: number;
  /** Growth is told from scrapes at least this far apart, ms: two checks that read one after the other make no rate. */
  minSpanMs: number;
}

interface Wanted {
  askedAt: number;
  keepMs: number;
  longestMs: number;
  shortestMs: number;
}

export class Workload {
  readonly #options: WorkloadOptions;
  readonly #wanted = new Map<string, Wanted>();
  readonly #pods = new Map<
    string,
    { history: PodHistory; up: { times: number[]; values: number[] }; target: PodTarget; seenAt: number }
  >();
  #targets: readonly PodTarget[] = [];
  #running: Promise<void> | undefined;
  #last: { round: Round; startedAt: number; metrics: ReadonlySet<string>; targets: string } | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  /** True when nothing is asked for any more: it can be dropped. */
  get idle(): boolean {
    this.#forget(this.#options.clock.monotonic());
    return this.#wanted.size === 0;
  }

  /**
   * Calls `use`, at once and before anything changes, with a round that is no older than a tick and looked in these pods for
   * all that the expressions read. Undefined once closed.
   */
  async read<T>(
    exprs: readonly Expr[],
    targets: readonly PodTarget[],
    intervalMs: number,
    use: (round: Round) => T,
  ): Promise<T | undefined> {
    const selectors = exprs.flatMap(selectorsOf);
    for (const { metric, rangeMs = 0 } of selectors) this.#want(metric, rangeMs, intervalMs);
    const asked = this.#options.clock.monotonic();
    const key = targetsKey(targets);
    // Other checks that are asked in this turn of the event loop join the round before it begins.
    await Promise.resolve();
    while (!this.#closed) {
      const last = this.#running ? undefined : this.#last;
      const recent = last && last.startedAt >= asked - this.#reuseMs() && last.targets === key;
      if (last && recent && selectors.every(({ metric }) => last.metrics.has(metric))) return use(last.round);
      if (!this.#running) this.#targets = targets;
      await this.#begin();
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#wanted.clear();
    this.#pods.clear();
  }

  #want(metric: string, rangeMs: number, intervalMs: number): void {
    const known = this.#wanted.get(metric);
    const keepMs = Math.max(FORGET_AFTER_MS, 3 * intervalMs, 3 * rangeMs, known?.keepMs ?? 0);
    // The shortest range of all decides how often is scraped, the longest how much is kept.
    this.#wanted.set(metric, {
      askedAt: this.#options.clock.monotonic(),
      keepMs,
      longestMs: Math.max(rangeMs, known?.longestMs ?? 0),
      shortestMs: Math.min(rangeMs > 0 ? rangeMs : Number.POSITIVE_INFINITY, known?.shortestMs ?? Number.POSITIVE_INFINITY),
    });
  }

  /** The shortest range of all; infinite where none is asked. */
  #shortestMs(): number {
    return Math.min(...[...this.#wanted.values()].map((wanted) => wanted.shortestMs));
  }

  #intervalMs(): number {
    return Math.min(Math.max(this.#shortestMs() / SCRAPES_PER_RANGE, SHORTEST_INTERVAL_MS), this.#options.intervalMs);
  }

  /** Joins the round under way, or begins one. */
  #begin(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
    return this.#running;
  }

  #reuseMs(): number {
    return this.#options.reuseMs ?? Math.min(Math.max(this.#intervalMs() / 4, 50), 1000);
  }

  async #round(): Promise<void> {
    const { clock, now, namespace } = this.#options;
    const startedAt = clock.monotonic();
    const at = Math.max(now(), (this.#last?.round.at ?? 0) + 1);
    this.#forget(startedAt);
    const metrics = new Set(this.#wanted.keys());
    const targets = [...this.#targets];
    // A pod that takes longer than the time between two scrapes would hold up the others of its revision.
    const timeoutMs = Math.min(this.#options.timeoutMs, Math.max(this.#intervalMs(), 1000));
    const failures: { pod: string; why: string }[] = [];
    await Promise.all(
      targets.map(async (target) => {
        const pod = this.#pod(target, namespace, startedAt);
        const result = await this.#options.scrape(target, (metric) => metrics.has(metric), timeoutMs);
        const failure = result.failure ?? pod.history.record(at, metrics, result.samples ?? []);
        if (failure !== undefined) {
          pod.history.failed();
          failures.push({ pod: target.name, why: failure });
        }
        pod.up.times.push(at);
        pod.up.values.push(failure === undefined ? 1 : 0);
      }),
    );
    this.#bound(targets, failures);
    this.#prune(at, startedAt);
    this.#last = { round: this.#roundOf(at, targets, failures), startedAt, metrics, targets: targetsKey(targets) };
  }

  /** Refuses what the pods show together where it is too much: some pods of many would be no answer. */
  #bound(targets: readonly PodTarget[], failures: { pod: string; why: string }[]): void {
    const answering = targets.flatMap((target) => this.#pods.get(podKey(target)) ?? []).filter((pod) => pod.history.answered);
    const count = answering.reduce((sum, pod) => sum + pod.history.seriesCount, 0);
    if (count <= MAX_SERIES_OF_ALL) return;
    const why = `the pods together show more than ${MAX_SERIES_OF_ALL} series of the metrics that are asked for`;
    for (const pod of answering) {
      pod.history.refuse();
      failures.push({ pod: pod.target.name, why });
    }
  }

  #pod(target: PodTarget, namespace: string, seenAt: number) {
    const key = podKey(target);
    const known = this.#pods.get(key);
    if (known) {
      known.seenAt = seenAt;
      return known;
    }
    const labels = { namespace, pod: target.name, instance: instanceOf(target) };
    const pod = { history: new PodHistory(labels), up: { times: [], values: [] }, target, seenAt };
    this.#pods.set(key, pod);
    return pod;
  }

  #roundOf(at: number, targets: readonly PodTarget[], failures: readonly { pod: string; why: string }[]): Round {
    const pods = targets.flatMap((target) => this.#pods.get(podKey(target)) ?? []);
    const answering = pods.filter((pod) => pod.history.answered);
    const up = () =>
      pods.map((pod) => ({
        labels: { namespace: this.#options.namespace, pod: pod.target.name, instance: instanceOf(pod.target) },
        ...pod.up,
        live: true,
      }));
    return {
      at,
      // `up` is made here, as Prometheus makes it; one that a pod shows itself does not count.
      samples: { series: (metric) => (metric === "up" ? up() : answering.flatMap((pod) => pod.history.series(metric))) },
      scrapesOf: (metric) => answering.map((pod) => (metric === "up" ? pod.up.times : pod.history.scrapesOf(metric))),
      keptSince: Math.max(Number.NEGATIVE_INFINITY, ...answering.map((pod) => pod.history.keptSince)),
      answered: answering.length,
      failures,
      anchorMs: 1.5 * this.#intervalMs(),
      minSpanMs: this.#intervalMs() / 2,
    };
  }

  #forget(monotonic: number): void {
    for (const [metric, wanted] of this.#wanted) {
      if (monotonic - wanted.askedAt > wanted.keepMs) this.#wanted.delete(metric);
    }
  }

  #prune(at: number, monotonic: number): void {
    const longest = Math.max(0, ...[...this.#wanted.values()].map((wanted) => wanted.longestMs));
    const keepMs = longest + 2 * this.#intervalMs();
    for (const [key, pod] of this.#pods) {
      if (monotonic - pod.seenAt > keepMs) this.#pods.delete(key);
      pod.history.prune(at - keepMs, Math.min(MAX_SAMPLES, Math.floor(MAX_SAMPLES_OF_ALL / this.#pods.size)));
      const first = pod.up.times.findIndex((time) => time >= at - keepMs);
      if (first > 0) for (const list of [pod.up.times, pod.up.values]) list.splice(0, first);
    }
  }

  /** The next round by itself, only where some range needs it. */
  #schedule(): void {
    this.#timer?.cancel();
    if (this.#closed || this.#shortestMs() === Number.POSITIVE_INFINITY) return;
    const since = this.#last ? this.#options.clock.monotonic() - this.#last.startedAt : 0;
    this.#timer = this.#options.clock.after(Math.max(this.#intervalMs() - since, SHORTEST_INTERVAL_MS / 2), () => {
      this.#forget(this.#options.clock.monotonic());
      if (this.#closed || this.#running || this.idle) return;
      // A bug must not end the process; the next read meets it again, and reports it.
      this.#begin().catch(() => {});
    });
  }
}

/** `ip:port`, the label `instance`. */
export function instanceOf(target: PodTarget): string {
  return `${target.ip.includes(":") ? `[${target.ip}]` : target.ip}:${target.port ?? 0}`;
}

function podKey(target: PodTarget): string {
  return JSON.stringify([target.name, target.ip, target.port, target.path]);
}

function targetsKey(targets: readonly PodTarget[]): string {
  return JSON.stringify(targets.map(podKey).sort());
}
