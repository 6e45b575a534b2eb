// What was scraped from one pod: the series that some query reads, as far back as the longest range asked. Bounded.

import { type Labels, labelKey, type Series } from "../promql/series.ts";
import { MAX_SERIES, type ScrapedSample } from "./exposition.ts";

const MAX_SCRAPES = 4000;
export const MAX_SAMPLES = 200_000;

interface Kept {
  labels: Labels;
  times: number[];
  values: number[];
}

interface Metric {
  /** Times of the scrapes in which it was looked for, oldest first, ms epoch. */
  scrapes: number[];
  /** By labels. One that has lost all its samples stays, so that it is known not to be new when it comes back. */
  series: Map<string, Kept>;
}

export class PodHistory {
  readonly #labels: Labels;
  readonly #metrics = new Map<string, Metric>();
  #lastAt = Number.NEGATIVE_INFINITY;
  #answered = false;
  #keptSince = Number.NEGATIVE_INFINITY;

  /** @param labels added to each series; one that the pod itself uses becomes `exported_…`, as in Prometheus */
  constructor(labels: Labels) {
    this.#labels = labels;
  }

  /** Series that are kept of all metrics. */
  get seriesCount(): number {
    let count = 0;
    for (const metric of this.#metrics.values()) count += metric.series.size;
    return count;
  }

  /** True where the last scrape was answered. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Samples before this time were dropped for want of room, ms epoch. */
  get keptSince(): number {
    return this.#keptSince;
  }

  /** Takes a scrape in, made at `at`, that looked for `metrics`. Returns why it is refused, or undefined. */
  record(at: number, metrics: ReadonlySet<string>, samples: readonly ScrapedSample[]): string | undefined {
    this.#answered = false;
    for (const metric of this.#metrics.keys()) if (!metrics.has(metric)) this.#metrics.delete(metric);
    for (const metric of metrics) if (!this.#metrics.has(metric)) this.#metrics.set(metric, { scrapes: [], series: new Map() });
    for (const sample of samples) {
      const metric = this.#metrics.get(sample.metric);
      if (metric) this.#add(at, metric, sample);
    }
    for (const metric of this.#metrics.values()) metric.scrapes.push(at);
    this.#lastAt = at;
    // Also series that come and go.
    if (this.seriesCount > MAX_SERIES) {
      this.refuse();
      return `more than ${MAX_SERIES} series of the metrics that are asked for`;
    }
    this.#answered = true;
    return undefined;
  }

  /** What it shows is too much. Nothing half: what would be kept would be some series of many. */
  refuse(): void {
    this.#answered = false;
    this.#metrics.clear();
  }

  /** The last scrape was not answered. */
  failed(): void {
    this.#answered = false;
  }

  /** Drops what is older than `since`, ms epoch, and what is more than may be kept: `maxSamples` at most. */
  prune(since: number, maxSamples = MAX_SAMPLES): void {
    const scrapes = Math.min(MAX_SCRAPES, Math.max(2, Math.floor(maxSamples / Math.max(this.seriesCount, 1))));
    for (const metric of this.#metrics.values()) {
      const limit = metric.scrapes.at(-scrapes) ?? since;
      if (limit > since) this.#keptSince = Math.max(this.#keptSince, limit);
      const from = Math.max(since, limit);
      dropBefore(from, metric.scrapes, metric.scrapes);
      for (const kept of metric.series.values()) dropBefore(from, kept.times, kept.times, kept.values);
    }
  }

  /** All series of a metric. */
  series(metric: string): Series[] {
    const found = this.#metrics.get(metric);
    if (!found) return [];
    return [...found.series.values()].map((kept) => ({ ...kept, live: kept.times.at(-1) === this.#lastAt }));
  }

  /** Times of the scrapes in which the metric was looked for, oldest first, ms epoch. */
  scrapesOf(metric: string): readonly number[] {
    return this.#metrics.get(metric)?.scrapes ?? [];
  }

  #add(at: number, metric: Metric, sample: ScrapedSample): void {
    const labels = this.#labelled(sample.labels);
    const key = labelKey(labels);
    let kept = metric.series.get(key);
    if (!kept) {
      kept = { labels, times: [], values: [] };
      metric.series.set(key, kept);
      // A counter's series that appears between two scrapes began at 0: without that, the first errors of a server that had
      // none so far would not be seen. One that was there at the pod's first scrape has no beginning that we know.
      const before = metric.scrapes.at(-1);
      if (sample.cumulative && before !== undefined) {
        kept.times.push(before);
        kept.values.push(0);
      }
    }
    // Twice in one scrape: the first one counts.
    if (kept.times.at(-1) === at) return;
    kept.times.push(at);
    kept.values.push(sample.value);
  }

  #labelled(own: Labels): Labels {
    const clashes = Object.keys(this.#labels).filter((name) => Object.hasOwn(own, name));
    if (clashes.length === 0) return { ...own, ...this.#labels };
    const renamed = Object.entries(own).map(([name, value]) => [clashes.includes(name) ? `exported_${name}` : name, value]);
    return { ...Object.fromEntries(renamed), ...this.#labels };
  }
}

function dropBefore(from: number, times: readonly number[], ...lists: number[][]): void {
  const first = times.findIndex((time) => time >= from);
  const count = first === -1 ? times.length : first;
  if (count > 0) for (const list of lists) list.splice(0, count);
}
