// The subset of PromQL against results worked out by hand.

import { describe, expect, it } from "vitest";
import { QueryError } from "../../src/signals/promql/ast.ts";
import { evaluate } from "../../src/signals/promql/evaluate.ts";
import { durationMs, parseNumber, unquote } from "../../src/signals/promql/literals.ts";
import { parseQuery } from "../../src/signals/promql/parse.ts";
import type { Labels, Series } from "../../src/signals/promql/series.ts";

/** A minute of samples every 15 s, the newest at 60 s. */
const TIMES = [0, 15_000, 30_000, 45_000, 60_000];
const AT = 60_000;

function made(labels: Labels, values: readonly number[], more: Partial<Series> = {}): Series {
  return { labels, times: TIMES.slice(-values.length), values, live: true, ...more };
}

const DATA: Record<string, Series[]> = {
  requests_total: [
    made({ pod: "a", code: "200" }, [0, 10, 20, 30, 40]),
    made({ pod: "a", code: "500" }, [0, 0, 1, 1, 2]),
    // Restarts after 30 s: 100 → 120 → 5 → 15; 20 + 5 + 10 within 45 s, 10 before.
    made({ pod: "b", code: "200" }, [90, 100, 120, 5, 15]),
  ],
  once_total: [made({ pod: "c" }, [7])],
  gone_total: [made({ pod: "d" }, [1, 2], { times: [0, 15_000], live: false })],
  temperature: [made({ pod: "a" }, [1, 2, 6, 3, 8]), made({ pod: "b" }, [5, 5, 5, 5, 4])],
  odd: [made({ pod: "a" }, [Number.NaN]), made({ pod: "b" }, [3])],
  latency_bucket: [
    made({ pod: "a", le: "0.1" }, [0, 0, 0, 0, 10]),
    made({ pod: "a", le: "0.5" }, [0, 0, 0, 0, 30]),
    made({ pod: "a", le: "1" }, [0, 0, 0, 0, 40]),
    made({ pod: "a", le: "+Inf" }, [0, 0, 0, 0, 40]),
    made({ pod: "b", le: "0.1" }, [0, 0, 0, 0, 0]),
    made({ pod: "b", le: "0.5" }, [0, 0, 0, 0, 10]),
    made({ pod: "b", le: "1.0" }, [0, 0, 0, 0, 50]),
    made({ pod: "b", le: "+Inf" }, [0, 0, 0, 0, 60]),
  ],
  version: [made({ pod: 'a"b', tag: "v1.2" }, [1]), made({ pod: "c", tag: "v1x2" }, [2])],
};

/** `{label: value, …} → number` for each element, or the number of a scalar. */
function ask(query: string, anchorMs = 0): number | Record<string, number> {
  const value = evaluate(parseQuery(query), {
    samples: { series: (metric) => DATA[metric] ?? [] },
    at: AT,
    anchorMs,
    minSpanMs: 0,
  });
  if (value.type === "scalar") return value.value;
  return Object.fromEntries(
    value.elements.map(({ labels, value: number }) => [
      Object.entries(labels)
        .map(([k, v]) => `${k}=${v}`)
        .sort()
        .join(","),
      number,
    ]),
  );
}

describe("selectors", () => {
  it.each<[string, Record<string, number>]>([
    ["temperature", { "pod=a": 8, "pod=b": 4 }],
    ['temperature{pod="a"}', { "pod=a": 8 }],
    ['temperature{pod!="a"}', { "pod=b": 4 }],
    ['temperature{pod=~"a|c"}', { "pod=a": 8 }],
    ['temperature{pod=~"b+"}', { "pod=b": 4 }],
    ['requests_total{code!~"2..",pod="a"}', { "code=500,pod=a": 2 }],
    ['temperature{pod=~""}', {}],
    ['temperature{missing=""}', { "pod=a": 8, "pod=b": 4 }],
    ['temperature{missing=~".+"}', {}],
    ['version{tag=~"v1\\\\.2"}', { 'pod=a"b,tag=v1.2': 1 }],
    ["version{pod='a\"b'}", { 'pod=a"b,tag=v1.2': 1 }],
    ['{__name__="temperature",pod="a"}', { "pod=a": 8 }],
    ["gone_total", {}],
    ["nothing", {}],
  ])("%s", (query, expected) => {
    expect(ask(query)).toEqual(expected);
  });
});

describe("increase and rate are the plain growth between the samples of the window, with counter resets, not extrapolated", () => {
  it.each<[string, number, Record<string, number>]>([
    // (0 s, 60 s] holds 15 … 60 s; the sample at 0 s is the last one at its start.
    ['increase(requests_total{code="200"}[1m])', 0, { "code=200,pod=a": 40, "code=200,pod=b": 10 + 20 + 5 + 10 }],
    ['increase(requests_total{code="200"}[45s])', 0, { "code=200,pod=a": 30, "code=200,pod=b": 20 + 5 + 10 }],
    ['rate(requests_total{code="200",pod="a"}[1m])', 0, { "code=200,pod=a": 40 / 60 }],
    // Between the samples at 30 and 60 s; without an anchor the one at 30 s would be out of 20 s.
    ['increase(requests_total{code="500"}[20s])', 0, { "code=500,pod=a": 1 }],
    ['increase(requests_total{code="500"}[20s])', 15_000, { "code=500,pod=a": 1 }],
    ['rate(requests_total{code="200",pod="a"}[20s])', 15_000, { "code=200,pod=a": 20 / 30 }],
    // One sample says nothing about growth.
    ["increase(once_total[1m])", 0, {}],
    ['increase(requests_total{code="200",pod="a"}[1s])', 0, {}],
    // What is no longer shown still grew within the window.
    ["increase(gone_total[1m])", 0, { "pod=d": 1 }],
    ["sum(increase(requests_total[1m]))", 0, { "": 40 + 2 + 45 }],
    ["sum by (pod) (increase(requests_total[1m]))", 0, { "pod=a": 42, "pod=b": 45 }],
  ])("%s, anchor %i ms", (query, anchor, expected) => {
    expect(ask(query, anchor)).toEqual(expected);
  });

  it("windows that follow each other count each event once, and miss none", () => {
    const times = Array.from({ length: 200 }, (_, index) => index * 7);
    const values = times.map((_, index) => index ** 2);
    const series = [{ labels: {}, times, values, live: true }];
    const at = (time: number) =>
      evaluate(parseQuery("increase(x[98ms])"), { samples: { series: () => series }, at: time, anchorMs: 10, minSpanMs: 0 });
    let total = 0;
    for (let time = 100; time <= 100 + 98 * 12; time += 98) {
      const value = at(time);
      total += value.type === "vector" ? (value.elements[0]?.value ?? 0) : 0;
    }
    // From the last sample at or before 2 ms (index 0) to that at or before 1276 ms (index 182).
    expect(total).toBe(182 ** 2);
  });
});

describe("aggregations, arithmetic and functions", () => {
  it.each<[string, number | Record<string, number>]>([
    ["sum(temperature)", { "": 12 }],
    ["avg(temperature)", { "": 6 }],
    ["min(temperature)", { "": 4 }],
    ["max(temperature)", { "": 8 }],
    ["count(temperature)", { "": 2 }],
    ["count(nothing)", {}],
    ["sum by (code) (requests_total)", { "code=200": 55, "code=500": 2 }],
    ["sum(requests_total) by (code)", { "code=200": 55, "code=500": 2 }],
    ["sum without (pod) (requests_total)", { "code=200": 55, "code=500": 2 }],
    ["sum by (nope) (temperature)", { "": 12 }],
    ["sum(odd)", { "": Number.NaN }],
    ["max(odd)", { "": 3 }],
    ["min(odd)", { "": 3 }],
    ["1 + 2 * 3", 7],
    ["(1 + 2) * 3 - -1", 10],
    ["10 / 4", 2.5],
    ["1m / 2", 30],
    ["-temperature", { "pod=a": -8, "pod=b": -4 }],
    ["temperature * 2", { "pod=a": 16, "pod=b": 8 }],
    ["100 - temperature", { "pod=a": 92, "pod=b": 96 }],
    ["temperature / temperature", { "pod=a": 1, "pod=b": 1 }],
    ["temperature - once_total", {}],
    ["sum(temperature) / count(temperature)", { "": 6 }],
    ["sum(temperature) / 0", { "": Number.POSITIVE_INFINITY }],
    ["sum(nothing) or vector(0)", { "": 0 }],
    ["sum(temperature) or vector(0)", { "": 12 }],
    ["temperature or once_total", { "pod=a": 8, "pod=b": 4, "pod=c": 7 }],
    ["vector(3)", { "": 3 }],
    ["scalar(sum(temperature))", 12],
    ["scalar(temperature)", Number.NaN],
    ["abs(-temperature)", { "pod=a": 8, "pod=b": 4 }],
    ["clamp_min(temperature, 5)", { "pod=a": 8, "pod=b": 5 }],
    ["clamp_max(temperature, 5)", { "pod=a": 5, "pod=b": 4 }],
    ["timestamp(temperature)", { "pod=a": 60, "pod=b": 60 }],
    ["time() - max(timestamp(once_total))", { "": 0 }],
    ["avg_over_time(temperature[45s])", { "pod=a": (6 + 3 + 8) / 3, "pod=b": (5 + 5 + 4) / 3 }],
    ["max_over_time(temperature[1m])", { "pod=a": 8, "pod=b": 5 }],
    ["min_over_time(temperature[1m])", { "pod=a": 2, "pod=b": 4 }],
    ["sum_over_time(temperature[30s])", { "pod=a": 11, "pod=b": 9 }],
    ["count_over_time(temperature[30s])", { "pod=a": 2, "pod=b": 2 }],
    ["last_over_time(gone_total[1m])", { "pod=d": 2 }],
  ])("%s", (query, expected) => {
    expect(ask(query)).toEqual(expected);
  });

  it("as in Prometheus, a vector on one side of an operator may have each label set once", () => {
    expect(() => ask("(temperature or temperature * 1) / (temperature + requests_total or odd or temperature)")).not.toThrow();
    DATA.twice = [made({ pod: "a" }, [1]), made({ pod: "a" }, [2])];
    expect(() => ask("twice + temperature")).toThrow(QueryError);
  });
});

describe("histogram_quantile", () => {
  it.each<[string, Record<string, number>]>([
    // a: 10 up to 0.1, 20 more up to 0.5, 10 more up to 1. Rank 20 lies in the second bucket, half of the way.
    ['histogram_quantile(0.5, rate(latency_bucket{pod="a"}[1m]))', { "pod=a": 0.3 }],
    ['histogram_quantile(0.25, rate(latency_bucket{pod="a"}[1m]))', { "pod=a": 0.1 }],
    ['histogram_quantile(0.125, rate(latency_bucket{pod="a"}[1m]))', { "pod=a": 0.05 }],
    ['histogram_quantile(1, latency_bucket{pod="a"})', { "pod=a": 1 }],
    // b: 10 of 60 lie above 1: the last finite bound is all that can be said.
    ['histogram_quantile(0.9, latency_bucket{pod="b"})', { "pod=b": 1 }],
    // Both: 10, 40, 90, 100 ("1" and "1.0" are one bucket): rank 50 is 10 of 50 into the bucket up to 1.
    ["histogram_quantile(0.5, sum by (le) (latency_bucket))", { "": 0.6 }],
    ['histogram_quantile(0.5, latency_bucket{pod="a",le!="+Inf"})', { "pod=a": Number.NaN }],
    ['histogram_quantile(0.5, latency_bucket{le="+Inf"})', { "pod=a": Number.NaN, "pod=b": Number.NaN }],
    ['histogram_quantile(2, latency_bucket{pod="a"})', { "pod=a": Number.POSITIVE_INFINITY }],
    ['histogram_quantile(-1, latency_bucket{pod="a"})', { "pod=a": Number.NEGATIVE_INFINITY }],
    ["histogram_quantile(0.5, rate(latency_bucket[1s]))", {}],
    ["histogram_quantile(0.5, temperature)", {}],
  ])("%s", (query, expected) => {
    const found = ask(query) as Record<string, number>;
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    for (const [key, value] of Object.entries(expected)) {
      if (Number.isFinite(value)) expect(found[key]).toBeCloseTo(value, 12);
      else expect(found[key]).toBe(value);
    }
  });
});

describe("what is outside of the subset is refused by its name", () => {
  it.each([
    ["topk(3, x)", "topk() is not supported"],
    ["quantile(0.5, x)", "quantile() is not supported"],
    ["irate(x[1m])", "irate() is not supported"],
    ["delta(x[1m])", "delta() is not supported"],
    ['label_replace(x, "a", "b", "c", "d")', "label_replace() is not supported"],
    ["predict_linear(x[1m], 5)", "predict_linear() is not supported"],
    ["x offset 5m", "offset is not supported"],
    ["x @ 5", "the @ modifier is not supported"],
    ["rate(x[5m:1m])", "a subquery is not supported"],
    ["x > 1", "the operator Gtr is not supported"],
    ["x == bool 1", "bool"],
    ["x / on(a) y", "on, ignoring"],
    ["x / ignoring(a) group_left y", "group_left"],
    ["x and y", "the operator And"],
    ["x ^ 2", "the operator Pow"],
    ['{job="a"}', "without a metric name"],
    ['"words"', "a string is not supported"],
    ["x[1m]", "is a range"],
    ["rate(x)", "needs one range"],
    ["sum(x[1m])", "is a range"],
    ["sum(1)", "needs a vector"],
    ["vector(x)", "needs a scalar"],
    ["1 or x", "or needs a vector"],
    ["timestamp()", "takes 1 argument"],
    ["rate(x[0s])", "not a duration"],
    ['x{a=~"("}', "not a regular expression"],
    ["sum(x", "syntax error"],
    ["nosuch(x)", "syntax error"],
    ["", "syntax error"],
    [`${"-(".repeat(200)}x${")".repeat(200)}`, "nested too deeply"],
    ["x + ".repeat(3000), "longer than"],
  ])("%s", (query, says) => {
    expect(() => parseQuery(query)).toThrow(QueryError);
    expect(() => parseQuery(query)).toThrow(says);
  });

  it("a regular expression takes time in proportion to its input", () => {
    const [matcher] = [parseQuery('x{a=~"(a+)+$"}')].flatMap((expr) => (expr.type === "selector" ? expr.matchers : []));
    expect(matcher?.test(`${"a".repeat(50_000)}!`)).toBe(false);
  });
});

describe("literals", () => {
  it.each([
    ['"a\\\\b\\"c\\n\\t"', 'a\\b"c\n\t'],
    ["'it\\'s'", "it's"],
    ["`raw \\n`", "raw \\n"],
    ['"\\x41\\u00e9\\U0001F600\\101"', "Aé😀A"],
  ])("%s", (literal, text) => {
    expect(unquote(literal)).toBe(text);
  });
  it.each([
    ["1m", 60_000],
    ["1h30m", 5_400_000],
    ["500ms", 500],
    ["1m500ms", 60_500],
    ["1w1d", 691_200_000],
    ["30m1h", undefined],
    ["1", undefined],
    ["", undefined],
    ["1.5s", undefined],
  ])("the duration %s", (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });
  it.each([
    ["1e3", 1000],
    [".5", 0.5],
    ["-Inf", Number.NEGATIVE_INFINITY],
    ["NaN", Number.NaN],
    ["0x10", 16],
    ["1_000", undefined],
    ["", undefined],
    [" 1", undefined],
    ["1,5", undefined],
  ])("the number %s", (text, value) => {
    expect(parseNumber(text)).toBe(value);
  });
});
