// Every shape of answer that a source may get, and the one kind of Reading that it becomes. Data: the tests run it against
// a real server, and the table in the docs can be made from it.

import { type AnswerCase, TRANSPORT } from "./answers-transport.ts";
import type { Shape } from "./server.ts";

const JSON_TYPE = { "content-type": "application/json" };
const METRICS = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
const OPEN_METRICS = { "content-type": "application/openmetrics-text; version=1.0.0; charset=utf-8" };

function prometheus(resultType: string, result: (now: number) => unknown): (now: number) => Shape {
  return (now) => ({
    headers: JSON_TYPE,
    body: JSON.stringify({ status: "success", data: { resultType, result: result(now) } }),
  });
}
function series(...values: string[]): (now: number) => Shape {
  return prometheus("vector", (now) => values.map((value, index) => ({ metric: { pod: `p${index}` }, value: [now, value] })));
}
function json(body: unknown): Shape {
  return { headers: JSON_TYPE, body: JSON.stringify(body) };
}
function metrics(body: string): Shape {
  return { headers: METRICS, body };
}

const PROMETHEUS: AnswerCase[] = [
  { name: "one series", source: "Prometheus", answer: series("0.25"), kind: "Value", value: 0.25 },
  {
    name: "one series, gzip",
    source: "Prometheus",
    answer: (now) => ({ ...series("0.25")(now), gzip: true }),
    kind: "Value",
    value: 0.25,
  },
  { name: "a number in exponents", source: "Prometheus", answer: series("1.5e-05"), kind: "Value", value: 0.000015 },
  { name: "a negative number", source: "Prometheus", answer: series("-3"), kind: "Value", value: -3 },
  { name: "zero", source: "Prometheus", answer: series("0"), kind: "Value", value: 0 },
  { name: "a scalar", source: "Prometheus", answer: prometheus("scalar", (now) => [now, "42"]), kind: "Value", value: 42 },
  {
    name: "warnings and infos beside a value",
    source: "Prometheus",
    answer: (now) =>
      json({
        status: "success",
        warnings: ["some store did not answer"],
        infos: ["metric might not be a counter"],
        data: { resultType: "vector", result: [{ metric: {}, value: [now, "1"] }] },
      }),
    kind: "Value",
    value: 1,
  },
  { name: "no series", source: "Prometheus", answer: series(), kind: "Empty", says: "no series" },
  { name: "NaN", source: "Prometheus", answer: series("NaN"), kind: "NotFinite", says: "NaN" },
  { name: "+Inf", source: "Prometheus", answer: series("+Inf"), kind: "NotFinite", says: "Infinity" },
  { name: "-Inf", source: "Prometheus", answer: series("-Inf"), kind: "NotFinite" },
  { name: "a scalar that is NaN", source: "Prometheus", answer: prometheus("scalar", (now) => [now, "NaN"]), kind: "NotFinite" },
  { name: "two series", source: "Prometheus", answer: series("1", "2"), kind: "TooManySeries", says: "2 series" },
  {
    name: "evaluated an hour ago: its clock is behind",
    source: "Prometheus",
    answer: (now) => series("1")(now - 3600),
    kind: "Stale",
    says: "behind",
  },
  {
    name: "evaluated in an hour: its clock is ahead",
    source: "Prometheus",
    answer: (now) => series("1")(now + 3600),
    kind: "Future",
    says: "ahead",
  },
  {
    name: "a range (matrix)",
    source: "Prometheus",
    answer: prometheus("matrix", (now) => [{ metric: {}, values: [[now, "1"]] }]),
    kind: "Error",
    says: "matrix",
  },
  { name: "a string", source: "Prometheus", answer: prometheus("string", (now) => [now, "1"]), kind: "Error", says: "string" },
  {
    name: "a native histogram",
    source: "Prometheus",
    answer: prometheus("vector", (now) => [{ metric: {}, histogram: [now, { count: "1", sum: "1" }] }]),
    kind: "Error",
    says: "native histogram",
  },
  {
    name: "a result type of the future",
    source: "Prometheus",
    answer: prometheus("tensor", () => []),
    kind: "Error",
    says: "result type",
  },
  {
    name: "a value that is a number, not a string",
    source: "Prometheus",
    answer: prometheus("vector", (now) => [{ metric: {}, value: [now, 1] }]),
    kind: "Error",
    says: "not a time and a number",
  },
  { name: "a value that is words", source: "Prometheus", answer: series("one"), kind: "Error", says: "not a time and a number" },
  { name: "a value that is empty", source: "Prometheus", answer: series(""), kind: "Error" },
  {
    name: "a sample without a time",
    source: "Prometheus",
    answer: prometheus("vector", () => [{ metric: {}, value: ["1"] }]),
    kind: "Error",
  },
  {
    name: "a result that is not a list",
    source: "Prometheus",
    answer: prometheus("vector", () => ({})),
    kind: "Error",
    says: "not a list",
  },
  { name: "a series that is not an object", source: "Prometheus", answer: prometheus("vector", () => [7]), kind: "Error" },
  { name: "JSON null", source: "Prometheus", answer: json(null), kind: "Error", says: "not Prometheus'" },
  { name: "JSON of something else", source: "Prometheus", answer: json({ ok: true }), kind: "Error", says: "not Prometheus'" },
  {
    name: "success without data",
    source: "Prometheus",
    answer: json({ status: "success" }),
    kind: "Error",
    says: "not Prometheus'",
  },
  {
    name: "JSON that is cut off",
    source: "Prometheus",
    answer: { headers: JSON_TYPE, body: '{"status":"success","data":{"resultType":"vec' },
    kind: "Error",
    says: "cut off",
  },
  {
    name: "a query that Prometheus can't read",
    source: "Prometheus",
    answer: { ...json({ status: "error", errorType: "bad_data", error: "1:5: parse error: unexpected end" }), status: 400 },
    kind: "Error",
    says: "HTTP 400, bad_data: 1:5: parse error",
  },
  {
    name: "a query that can't be executed",
    source: "Prometheus",
    answer: { ...json({ status: "error", errorType: "execution", error: "many-to-many matching" }), status: 422 },
    kind: "Error",
    says: "execution",
  },
  {
    name: "an error with status 200",
    source: "Prometheus",
    answer: json({ status: "error", errorType: "internal", error: "no" }),
    kind: "Error",
    says: "internal",
  },
  {
    name: "a success with status 500",
    source: "Prometheus",
    answer: (now) => ({ ...series("1")(now), status: 500 }),
    kind: "Error",
    says: "HTTP 500",
  },
  {
    name: "an error with terminal escapes and line breaks",
    source: "Prometheus",
    answer: { ...json({ status: "error", errorType: "bad", error: "one\n\u001b[31mtwo\u001b[0m\r\u202ethree" }), status: 400 },
    kind: "Error",
    says: "one two three",
  },
];

const WEB: AnswerCase[] = [
  { name: "a number", source: "Web", answer: json({ score: 0.9 }), kind: "Value", value: 0.9 },
  { name: "a number as a string", source: "Web", answer: json({ score: "0.9" }), kind: "Value", value: 0.9 },
  { name: "nothing at the path", source: "Web", answer: json({ other: 1 }), kind: "Empty", says: "nothing at the JSONPath" },
  { name: "null at the path", source: "Web", answer: json({ score: null }), kind: "Empty" },
  {
    name: "two values",
    source: "Web",
    answer: json({ score: [1, 2] }),
    query: "/stats#$.score[*]",
    kind: "TooManySeries",
    says: "2 values",
  },
  {
    name: "one value by a filter",
    source: "Web",
    answer: json({
      models: [
        { name: "a", x: 1 },
        { name: "scorer-r7", x: 2 },
      ],
    }),
    query: '/stats#$.models[?@.name=="${workload}"].x',
    kind: "Value",
    value: 2,
  },
  { name: "NaN as a string", source: "Web", answer: json({ score: "NaN" }), kind: "NotFinite" },
  {
    name: "a number too large to be one",
    source: "Web",
    answer: { headers: JSON_TYPE, body: '{"score": 1e999}' },
    kind: "NotFinite",
  },
  { name: "words", source: "Web", answer: json({ score: "good" }), kind: "Error", says: "not a number" },
  { name: "true", source: "Web", answer: json({ score: true }), kind: "Error", says: "not a number" },
  { name: "an object", source: "Web", answer: json({ score: {} }), kind: "Error", says: "not a number" },
  { name: "a list", source: "Web", answer: json({ score: [1] }), kind: "Error", says: "not a number" },
  {
    name: "JSON that is cut off",
    source: "Web",
    answer: { headers: JSON_TYPE, body: '{"score": 0.' },
    kind: "Error",
    says: "cut off",
  },
];

const PODS: AnswerCase[] = [
  { name: "one series", source: "Pods", answer: metrics("# TYPE score gauge\nscore 0.9\n"), kind: "Value", value: 0.9 },
  {
    name: "one series among others, gzip",
    source: "Pods",
    answer: { ...metrics('other{a="b"} 1\nscore{a="x,y}\\"\\n"} 9e-1\n'), gzip: true },
    kind: "Value",
    value: 0.9,
  },
  {
    name: "OpenMetrics with an exemplar",
    source: "Pods",
    answer: {
      headers: OPEN_METRICS,
      body: '# TYPE score gauge\nscore 0.9 1700000000.123 # {trace_id="a b"} 0.9 1700000000\n# EOF\n',
    },
    kind: "Value",
    value: 0.9,
  },
  { name: "line ends as on Windows", source: "Pods", answer: metrics("score 0.9\r\n"), kind: "Value", value: 0.9 },
  { name: "no such series", source: "Pods", answer: metrics("other 1\n"), kind: "Empty", says: "no series" },
  { name: "only comments", source: "Pods", answer: metrics("# HELP nothing yet\n"), kind: "Empty" },
  { name: "NaN", source: "Pods", answer: metrics("score NaN\n"), kind: "NotFinite" },
  { name: "+Inf", source: "Pods", answer: metrics("score +Inf\n"), kind: "NotFinite" },
  {
    name: "two series",
    source: "Pods",
    answer: metrics('score{a="1"} 1\nscore{a="2"} 2\n'),
    kind: "TooManySeries",
    says: "2 series",
  },
  {
    name: "a last line without an end",
    source: "Pods",
    answer: metrics("score 0.9\nscore_total 12"),
    kind: "Error",
    says: "cut off",
  },
  {
    name: "OpenMetrics without its end",
    source: "Pods",
    answer: { headers: OPEN_METRICS, body: "score 0.9\n" },
    kind: "Error",
    says: "# EOF",
  },
  { name: "a line that is no metric", source: "Pods", answer: metrics("score 0.9\n!!\n"), kind: "Error", says: "line 2" },
  { name: "a value that is words", source: "Pods", answer: metrics("score good\n"), kind: "Error", says: "not a number" },
  { name: "JSON instead of metrics", source: "Pods", answer: json({ score: 1 }), kind: "Error" },
  { name: "a label without an end", source: "Pods", answer: metrics('score{a="b} 1\n'), kind: "Error", says: "no end" },
  {
    name: "a range after one scrape",
    source: "Pods",
    answer: metrics("# TYPE x_total counter\nx_total 5\n"),
    query: "rate(x_total[1m])",
    kind: "Empty",
    says: "not covered yet",
  },
  {
    name: "a function outside of the subset",
    source: "Pods",
    answer: metrics("score 1\n"),
    query: "topk(1, score)",
    kind: "Error",
    says: "topk() is not supported",
  },
];

export const ANSWERS: readonly AnswerCase[] = [...TRANSPORT, ...PROMETHEUS, ...WEB, ...PODS];
