// histogram_quantile over classic buckets, step by step as Prometheus does it (promql/quantile.go, bucketQuantile).

import { parseNumber } from "./literals.ts";
import { type Element, labelKey } from "./series.ts";

interface Bucket {
  upper: number;
  count: number;
}

/** One element for each label set without `le`; elements without a usable `le` are left out. */
export function histogramQuantile(quantile: number, elements: readonly Element[], at: number): Element[] {
  const histograms = new Map<string, { labels: Element["labels"]; buckets: Bucket[] }>();
  for (const element of elements) {
    const { le, ...labels } = element.labels;
    const upper = le === undefined ? undefined : parseNumber(le);
    if (upper === undefined || Number.isNaN(upper)) continue;
    const key = labelKey(labels);
    const histogram = histograms.get(key) ?? { labels, buckets: [] };
    histogram.buckets.push({ upper, count: element.value });
    histograms.set(key, histogram);
  }
  return [...histograms.values()].map(({ labels, buckets }) => ({ labels, at, value: bucketQuantile(quantile, buckets) }));
}

function bucketQuantile(quantile: number, unsorted: readonly Bucket[]): number {
  if (Number.isNaN(quantile)) return Number.NaN;
  if (quantile < 0) return Number.NEGATIVE_INFINITY;
  if (quantile > 1) return Number.POSITIVE_INFINITY;
  const buckets = merged(unsorted);
  const last = buckets.at(-1);
  if (!last || last.upper !== Number.POSITIVE_INFINITY || buckets.length < 2) return Number.NaN;
  // Buckets of different pods and scrapes may not rise; a dip is filled.
  for (let i = 1, highest = buckets[0]?.count ?? 0; i < buckets.length; i++) {
    const bucket = buckets[i];
    if (!bucket) continue;
    highest = Math.max(highest, bucket.count);
    bucket.count = highest;
  }
  if (!(last.count > 0)) return Number.NaN;
  const rank = quantile * last.count;
  const index = buckets.slice(0, -1).findIndex((bucket) => bucket.count >= rank);
  if (index === -1) return buckets.at(-2)?.upper ?? Number.NaN;
  const bucket = buckets[index];
  if (!bucket) return Number.NaN;
  const below = buckets[index - 1];
  if (!below && bucket.upper <= 0) return bucket.upper;
  const start = below?.upper ?? 0;
  const inBucket = bucket.count - (below?.count ?? 0);
  return start + ((bucket.upper - start) * (rank - (below?.count ?? 0))) / inBucket;
}

/** Sorted copies, those with the same bound ("1" and "1.0") added up. */
function merged(buckets: readonly Bucket[]): Bucket[] {
  const result: Bucket[] = [];
  for (const bucket of [...buckets].sort((a, b) => a.upper - b.upper)) {
    const last = result.at(-1);
    if (last?.upper === bucket.upper) last.count += bucket.count;
    else result.push({ ...bucket });
  }
  return result;
}
