// What is kept of a pod: no more than is needed, and nothing that was not seen.

import { describe, expect, it } from "vitest";
import { MAX_SERIES, type ScrapedSample } from "../../src/signals/pods/exposition.ts";
import { PodHistory } from "../../src/signals/pods/history.ts";

const COUNT = new Set(["count"]);
const sample = (value: number, labels: Record<string, string> = {}, cumulative = true): ScrapedSample => ({
  metric: "count",
  labels,
  value,
  cumulative,
});

describe("PodHistory", () => {
  it("a counter's series that appears between two scrapes began at 0", () => {
    const history = new PodHistory({ pod: "a" });
    history.record(1000, COUNT, [sample(5, { code: "200" })]);
    history.record(2000, COUNT, [sample(6, { code: "200" }), sample(3, { code: "500" })]);
    expect(history.series("count").map(({ labels, times, values }) => [labels.code, times, values])).toEqual([
      ["200", [1000, 2000], [5, 6]],
      ["500", [1000, 2000], [0, 3]],
    ]);
  });

  it("one that was there at the first scrape, that comes back, or that is no counter, did not", () => {
    const history = new PodHistory({});
    history.record(1000, COUNT, [sample(5)]);
    history.record(2000, COUNT, []);
    history.record(3000, COUNT, [sample(50), sample(7, { kind: "gauge" }, false)]);
    expect(history.series("count").map(({ values }) => values)).toEqual([[5, 50], [7]]);
    history.prune(9000);
    history.record(10_000, COUNT, [sample(60)]);
    expect(history.series("count")[0]?.values).toEqual([60]);
  });

  it("a metric that is asked for later has no beginning before that", () => {
    const history = new PodHistory({});
    history.record(1000, new Set(["other"]), []);
    history.record(2000, new Set(["other", "count"]), [sample(500)]);
    expect(history.series("count")[0]?.values).toEqual([500]);
    expect(history.scrapesOf("count")).toEqual([2000]);
  });

  it("only what the newest scrape shows is live", () => {
    const history = new PodHistory({});
    history.record(1000, COUNT, [sample(1, { a: "1" }), sample(1, { a: "2" })]);
    history.record(2000, COUNT, [sample(2, { a: "2" })]);
    expect(history.series("count").map(({ labels, live }) => [labels.a, live])).toEqual([
      ["1", false],
      ["2", true],
    ]);
  });

  it("the same series twice in one scrape counts once", () => {
    const history = new PodHistory({});
    history.record(1000, COUNT, [sample(1), sample(2)]);
    expect(history.series("count")[0]?.values).toEqual([1]);
  });

  it("keeps a bounded number of samples, and says since when", () => {
    const history = new PodHistory({});
    const labels = Array.from({ length: MAX_SERIES }, (_, index) => ({ id: String(index) }));
    for (let at = 1; at <= 150; at++) {
      history.record(
        at,
        COUNT,
        labels.map((own) => sample(at, own)),
      );
      history.prune(0);
    }
    expect(history.series("count")[0]?.times).toHaveLength(100);
    expect(history.keptSince).toBe(51);
    history.prune(0, 10 * MAX_SERIES);
    expect(history.series("count")[0]?.times).toHaveLength(10);
    expect(history.keptSince).toBe(141);
    expect(history.record(200, COUNT, [sample(1, { id: "one more" })])).toContain("more than 2000 series");
    expect(history.answered).toBe(false);
    expect(history.series("count")).toEqual([]);
  });
});
