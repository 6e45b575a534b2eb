// What a pod shows at /metrics, read strictly.

import fc from "fast-check";
import { Counter, Gauge, Histogram, Registry, Summary } from "prom-client";
import { describe, expect, it } from "vitest";
import { ExpositionError, MAX_SERIES, parseExposition } from "../../src/signals/pods/exposition.ts";

const all = () => true;

describe("the text format", () => {
  it("reads what its specification shows", () => {
    const body = `# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.99"} 76656
rpc_duration_seconds_sum 1.7560473e+07
`;
    const samples = parseExposition(body, all).map(({ metric, labels, value, cumulative }) => [
      metric,
      labels,
      value,
      cumulative,
    ]);
    expect(samples).toEqual([
      ["http_requests_total", { method: "post", code: "200" }, 1027, true],
      ["http_requests_total", { method: "post", code: "400" }, 3, true],
      [
        "msdos_file_access_time_seconds",
        { path: "C:\\DIR\\FILE.TXT", error: 'Cannot find file:\n"FILE.TXT"' },
        1458255915,
        false,
      ],
      ["metric_without_timestamp_and_labels", {}, 12.47, false],
      ["something_weird", { problem: "division by zero" }, Number.POSITIVE_INFINITY, false],
      ["http_request_duration_seconds_bucket", { le: "0.05" }, 24054, true],
      ["http_request_duration_seconds_bucket", { le: "+Inf" }, 144320, true],
      ["http_request_duration_seconds_sum", {}, 53423, true],
      ["http_request_duration_seconds_count", {}, 144320, true],
      ["rpc_duration_seconds", { quantile: "0.99" }, 76656, false],
      ["rpc_duration_seconds_sum", {}, 17560473, true],
    ]);
  });

  it("keeps only what is wanted", () => {
    expect(parseExposition('a 1\nb{x="y"} 2\nab 3\n', (name) => name === "b")).toEqual([
      { metric: "b", labels: { x: "y" }, value: 2, cumulative: false },
    ]);
  });

  it.each([
    ["spaces and tabs everywhere", '  x \t{ a = "b" , c="d" , } \t 1 \n', { metric: "x", labels: { a: "b", c: "d" }, value: 1 }],
    ["no space before the value", 'x{a="b"}1\n', { metric: "x", value: 1 }],
    ["empty braces", "x{} 1\n", { metric: "x", labels: {} }],
    ["a quoted name", '{"my.metric",a="b"} 1\n', { metric: "my.metric", labels: { a: "b" } }],
    ["a quoted label", 'x{"my.label"="b"} 1\n', { metric: "x", labels: { "my.label": "b" } }],
    ["braces and # in a value", 'x{a="} # {"} 1\n', { metric: "x", labels: { a: "} # {" } }],
    ["hexadecimal", "x 0x1F\n", { value: 31 }],
    ["nan in small letters", "x nan\n", { value: Number.NaN }],
    ["a label named __proto__", 'x{__proto__="b"} 1\n', { metric: "x" }],
  ])("reads %s", (_name, body, expected) => {
    expect(parseExposition(body, all)).toMatchObject([expected]);
    expect(Object.getPrototypeOf(parseExposition(body, all)[0]?.labels)).toBe(Object.prototype);
  });

  it.each([
    ["", "empty"],
    ["<html>\n", "HTML"],
    ["x\n", "not a number"],
    ["x 1 2 3\n", "text after the value"],
    ["x 1 soon\n", "text after the value"],
    ["x{a} 1\n", "= is expected"],
    ["x{a=b} 1\n", "quoted string is expected"],
    ['x{a="b" c="d"} 1\n', ", or } is expected"],
    ['x{a="b",a="c"} 1\n', "comes twice"],
    ['x{a="b"\n', ", or } is expected"],
    ['{a="b"} 1\n', "metric name is expected"],
    ["1x 1\n", "metric name is expected"],
    ["x 1_000\n", "not a number"],
    ["x 1\n# EOF\ny 2\n", "after # EOF"],
    ["x 1\ny 1", "cut off"],
    ['x{a="b} 1\n', "has no end"],
  ])("refuses %j", (body, says) => {
    expect(() => parseExposition(body, all)).toThrow(ExpositionError);
    expect(() => parseExposition(body, all)).toThrow(says);
  });

  it.each([
    ["a sample's line", `x{a="${"b".repeat(20_000)}"} 1\n`, "longer than 16384 characters"],
    ["a comment's line", `# HELP x ${"b".repeat(20_000)}\nx 1\n`, "longer than 16384 characters"],
    ["labels", `x{${Array.from({ length: 65 }, (_, index) => `l${index}="v"`).join()}} 1\n`, "more than 64 labels"],
    ["lines", "\n".repeat(200_001), "more than 200000 lines"],
  ])("refuses what has no bounds: %s", (_words, body, says) => {
    expect(() => parseExposition(body, all)).toThrow(ExpositionError);
    expect(() => parseExposition(body, all)).toThrow(says);
  });

  it("a page of more series than are kept is not read to its end", () => {
    const body = Array.from({ length: 100_000 }, (_, index) => `x{id="${index}"} 1\n`).join("");
    let asked = 0;
    const wanted = () => ++asked > 0;
    expect(() => parseExposition(body, wanted)).toThrow("more than 2000 series");
    // Each line asks twice: before its labels are read, and after.
    expect(asked).toBeLessThanOrEqual(2 * (MAX_SERIES + 1));
  });

  it("never fails in another way, whatever a pod shows", () => {
    const unit = fc.constantFrom("x", "{", "}", '"', "\\", "=", ",", " ", "1", "#", "\n", "e", "+", "\t", "é", "TYPE ");
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), (body) => {
        try {
          for (const sample of parseExposition(`${body}\n`, all)) expect(typeof sample.value).toBe("number");
        } catch (error) {
          expect(error).toBeInstanceOf(ExpositionError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe.each(["text", "OpenMetrics"] as const)("what prom-client writes, as %s", (format) => {
  it("comes back as it was, with its types", async () => {
    const registry = new Registry();
    if (format === "OpenMetrics") registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
    const registers = [registry];
    new Counter({ name: "errors_total", help: 'of "all"\nkinds', labelNames: ["why"], registers }).inc({ why: 'a\\b"c\nd' }, 3);
    new Gauge({ name: "accuracy", help: "h", registers }).set(0.25);
    const histogram = new Histogram({ name: "latency_seconds", help: "h", buckets: [0.1, 1], registers });
    for (const value of [0.05, 0.5, 5]) histogram.observe(value);
    new Summary({ name: "size", help: "h", percentiles: [0.5], registers }).observe(2);
    const samples = parseExposition(await registry.metrics(), all);
    const of = (metric: string) => samples.filter((sample) => sample.metric === metric);
    expect(of("errors_total")).toEqual([{ metric: "errors_total", labels: { why: 'a\\b"c\nd' }, value: 3, cumulative: true }]);
    expect(of("accuracy")).toMatchObject([{ value: 0.25, cumulative: false }]);
    expect(of("latency_seconds_bucket").map(({ labels, value }) => [labels.le, value])).toEqual([
      ["0.1", 1],
      ["1", 2],
      ["+Inf", 3],
    ]);
    expect(of("latency_seconds_count")).toMatchObject([{ value: 3, cumulative: true }]);
    expect(of("size")).toMatchObject([{ labels: { quantile: "0.5" }, value: 2, cumulative: false }]);
  });
});
