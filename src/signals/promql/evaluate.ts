// Evaluates an expression of ast.ts at one time over kept samples. Pure: the same samples give the same answer.
// Semantics are Prometheus', save for increase and rate, which do not extrapolate (docs/sources.md says why).

import { type BinaryOp, type Expr, QueryError, type RangeFunction, type SelectorExpr } from "./ast.ts";
import { histogramQuantile } from "./histogram.ts";
import { type Element, type Labels, labelKey, type Series } from "./series.ts";

export interface Samples {
  /** All kept series of a metric (labels without `__name__`). */
  series(metric: string): readonly Series[];
}

export type Value = { type: "scalar"; value: number } | { type: "vector"; elements: readonly Element[] };

export interface EvaluateOptions {
  samples: Samples;
  /** The time of evaluation, ms epoch. */
  at: number;
  /** How far before a range its first sample may lie, ms; see `inRange`. */
  anchorMs: number;
  /** Growth between samples that lie closer together than this says too little, ms. */
  minSpanMs: number;
}

/** Throws QueryError where two elements of an answer have the same labels. */
export function evaluate(expr: Expr, options: EvaluateOptions): Value {
  switch (expr.type) {
    case "number":
      return { type: "scalar", value: expr.value };
    case "selector":
      return { type: "vector", elements: instant(expr, options) };
    case "range":
      return { type: "vector", elements: overRange(expr.fn, expr.selector, options) };
    case "aggregate":
      return { type: "vector", elements: aggregate(expr, elementsOf(evaluate(expr.of, options))) };
    case "binary":
      return binary(expr.op, evaluate(expr.left, options), evaluate(expr.right, options), options.at);
    case "call":
      return call(expr, options);
  }
}

function elementsOf(value: Value): readonly Element[] {
  return value.type === "vector" ? value.elements : [];
}

function scalarOf(value: Value | undefined): number {
  return value?.type === "scalar" ? value.value : Number.NaN;
}

function matching(expr: SelectorExpr, samples: Samples): Series[] {
  return samples
    .series(expr.metric)
    .filter((series) =>
      expr.matchers.every((matcher) =>
        matcher.test(matcher.name === "__name__" ? expr.metric : (series.labels[matcher.name] ?? "")),
      ),
    );
}

function instant(expr: SelectorExpr, { samples }: EvaluateOptions): Element[] {
  return matching(expr, samples).flatMap((series) => {
    const value = series.values.at(-1);
    const at = series.times.at(-1);
    return series.live && value !== undefined && at !== undefined
      ? [{ metric: expr.metric, labels: series.labels, value, at }]
      : [];
  });
}

/**
 * The samples of a range: those after its start, and the last one at or before it if it is at most `anchorMs` older.
 * So ranges that follow each other miss nothing between their samples and count nothing twice.
 */
function inRange(series: Series, expr: SelectorExpr, { at, anchorMs }: EvaluateOptions): { times: number[]; values: number[] } {
  const start = at - (expr.rangeMs ?? 0);
  let first = series.times.findIndex((time) => time > start);
  if (first === -1) first = series.times.length;
  const before = series.times[first - 1];
  if (before !== undefined && start - before <= anchorMs) first--;
  let end = series.times.findIndex((time) => time > at);
  if (end === -1) end = series.times.length;
  return { times: series.times.slice(first, end), values: series.values.slice(first, end) };
}

function overRange(fn: RangeFunction, expr: SelectorExpr, options: EvaluateOptions): Element[] {
  const counter = fn === "rate" || fn === "increase";
  const exact = counter ? options : { ...options, anchorMs: Number.NEGATIVE_INFINITY };
  return matching(expr, options.samples).flatMap((series) => {
    const { times, values } = inRange(series, expr, exact);
    const value = counter ? growth(fn, times, values, options.minSpanMs) : reduce(fn, values);
    return value === undefined ? [] : [{ labels: series.labels, value, at: options.at }];
  });
}

/** What a counter grew by between the first and the last sample; a value below its predecessor is a restart from 0. */
function growth(
  fn: "rate" | "increase",
  times: readonly number[],
  values: readonly number[],
  minSpanMs: number,
): number | undefined {
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined || values.length < 2 || last - first < Math.max(minSpanMs, 1)) return undefined;
  let total = 0;
  for (let i = 1; i < values.length; i++) {
    const now = values[i] ?? Number.NaN;
    const before = values[i - 1] ?? Number.NaN;
    total += now < before ? now : now - before;
  }
  return fn === "increase" ? total : total / ((last - first) / 1000);
}

function reduce(fn: Exclude<RangeFunction, "rate" | "increase">, values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sum = () => values.reduce((a, b) => a + b, 0);
  switch (fn) {
    case "sum_over_time":
      return sum();
    case "avg_over_time":
      return sum() / values.length;
    case "min_over_time":
      return values.reduce(smaller);
    case "max_over_time":
      return values.reduce(larger);
    case "count_over_time":
      return values.length;
    case "last_over_time":
      return values.at(-1);
  }
}

// As in Prometheus, NaN loses against any number.
const smaller = (a: number, b: number) => (b < a || Number.isNaN(a) ? b : a);
const larger = (a: number, b: number) => (b > a || Number.isNaN(a) ? b : a);

function aggregate(expr: Extract<Expr, { type: "aggregate" }>, elements: readonly Element[]): Element[] {
  const names = new Set(expr.labels);
  const groups = new Map<string, { labels: Labels; values: number[]; at: number }>();
  for (const element of elements) {
    // The name is dropped by `without`, and by `by` unless it is asked for.
    const own =
      element.metric !== undefined && expr.grouping === "by" ? { ...element.labels, __name__: element.metric } : element.labels;
    const labels = Object.fromEntries(Object.entries(own).filter(([name]) => names.has(name) === (expr.grouping === "by")));
    const key = labelKey(labels);
    const group = groups.get(key) ?? { labels, values: [], at: element.at };
    group.values.push(element.value);
    group.at = Math.max(group.at, element.at);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ labels, values, at }) => ({ labels, at, value: combine(expr.op, values) }));
}

function combine(op: Extract<Expr, { type: "aggregate" }>["op"], values: readonly number[]): number {
  switch (op) {
    case "sum":
      return values.reduce((a, b) => a + b, 0);
    case "avg":
      return values.reduce((a, b) => a + b, 0) / values.length;
    case "min":
      return values.reduce(smaller);
    case "max":
      return values.reduce(larger);
    case "count":
      return values.length;
  }
}

function arithmetic(op: Exclude<BinaryOp, "or">, a: number, b: number): number {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
  }
}

function binary(op: BinaryOp, left: Value, right: Value, at: number): Value {
  if (op === "or") {
    const taken = new Set(elementsOf(left).map((element) => labelKey(element.labels)));
    return {
      type: "vector",
      elements: [...elementsOf(left), ...elementsOf(right).filter((element) => !taken.has(labelKey(element.labels)))],
    };
  }
  if (left.type === "scalar" && right.type === "scalar")
    return { type: "scalar", value: arithmetic(op, left.value, right.value) };
  if (left.type === "scalar") {
    return map(right, (value) => arithmetic(op, left.value, value), at);
  }
  if (right.type === "scalar") return map(left, (value) => arithmetic(op, value, right.value), at);
  const others = byLabels(right.elements);
  const elements = [...byLabels(left.elements)].flatMap(([key, element]) => {
    const other = others.get(key);
    return other ? [{ labels: element.labels, value: arithmetic(op, element.value, other.value), at }] : [];
  });
  return { type: "vector", elements };
}

function byLabels(elements: readonly Element[]): Map<string, Element> {
  const found = new Map<string, Element>();
  for (const element of elements) {
    const key = labelKey(element.labels);
    if (found.has(key)) throw new QueryError("two series with the same labels on one side of an operator");
    found.set(key, element);
  }
  return found;
}

/** Whatever is computed from a series is no longer that metric: the name goes. */
function map(value: Value | undefined, change: (value: number, element: Element) => number, at: number): Value {
  const elements = value ? elementsOf(value) : [];
  return {
    type: "vector",
    elements: elements.map((element) => ({ labels: element.labels, value: change(element.value, element), at })),
  };
}

function call(expr: Extract<Expr, { type: "call" }>, options: EvaluateOptions): Value {
  const [first, second] = expr.args.map((arg) => evaluate(arg, options));
  const at = options.at;
  switch (expr.fn) {
    case "time":
      return { type: "scalar", value: at / 1000 };
    case "vector":
      return { type: "vector", elements: [{ labels: {}, value: scalarOf(first), at }] };
    case "scalar": {
      const elements = first ? elementsOf(first) : [];
      return { type: "scalar", value: elements.length === 1 && elements[0] ? elements[0].value : Number.NaN };
    }
    case "timestamp":
      return map(first, (_, element) => element.at / 1000, at);
    case "abs":
      return map(first, Math.abs, at);
    case "clamp_min":
      return map(first, (value) => Math.max(value, scalarOf(second)), at);
    case "clamp_max":
      return map(first, (value) => Math.min(value, scalarOf(second)), at);
    case "histogram_quantile":
      return { type: "vector", elements: histogramQuantile(scalarOf(first), second ? elementsOf(second) : [], at) };
  }
}
