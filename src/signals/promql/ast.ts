// The part of PromQL that the Pods source evaluates, as data. What isn't here can't be evaluated.

export interface Matcher {
  name: string;
  op: "=" | "!=" | "=~" | "!~";
  value: string;
  /** Whether a label's value ("" where the label is missing) fits. */
  test(value: string): boolean;
}

export interface SelectorExpr {
  type: "selector";
  metric: string;
  matchers: readonly Matcher[];
  /** Present for `metric[1m]`, ms. */
  rangeMs?: number;
}

export type AggregateOp = "sum" | "avg" | "min" | "max" | "count";
export type BinaryOp = "+" | "-" | "*" | "/" | "or";

/** Functions of one range vector. */
export type RangeFunction =
  | "rate"
  | "increase"
  | "sum_over_time"
  | "avg_over_time"
  | "min_over_time"
  | "max_over_time"
  | "count_over_time"
  | "last_over_time";
/** Functions of instant vectors and scalars. */
export type InstantFunction =
  | "histogram_quantile"
  | "timestamp"
  | "vector"
  | "scalar"
  | "time"
  | "abs"
  | "clamp_min"
  | "clamp_max";

export type Expr =
  | { type: "number"; value: number }
  | SelectorExpr
  | { type: "range"; fn: RangeFunction; selector: SelectorExpr }
  | { type: "call"; fn: InstantFunction; args: readonly Expr[] }
  | { type: "aggregate"; op: AggregateOp; grouping: "by" | "without"; labels: readonly string[]; of: Expr }
  | { type: "binary"; op: BinaryOp; left: Expr; right: Expr };

/** The query can't be evaluated: bad syntax, or outside of the subset. The message names what, in one line. */
export class QueryError extends Error {}

/** All selectors of an expression, so that a scrape keeps only what some query will read. */
export function selectorsOf(expr: Expr): SelectorExpr[] {
  switch (expr.type) {
    case "number":
      return [];
    case "selector":
      return [expr];
    case "range":
      return [expr.selector];
    case "call":
      return expr.args.flatMap(selectorsOf);
    case "aggregate":
      return selectorsOf(expr.of);
    case "binary":
      return [...selectorsOf(expr.left), ...selectorsOf(expr.right)];
  }
}

/** Whether the expression's value is a number or a set of series; a QueryError where the types don't fit. */
export function typeOf(expr: Expr): "scalar" | "vector" {
  switch (expr.type) {
    case "number":
      return "scalar";
    case "selector":
      if (expr.rangeMs !== undefined) throw new QueryError(`${expr.metric}[…] is a range; put it into rate() or increase()`);
      return "vector";
    case "range":
      return "vector";
    case "aggregate":
      expect(expr.of, "vector", expr.op);
      return "vector";
    case "binary": {
      const types = [typeOf(expr.left), typeOf(expr.right)];
      if (expr.op === "or" && types.includes("scalar"))
        throw new QueryError("or needs a vector on both sides; wrap the number in vector()");
      return types.includes("vector") ? "vector" : "scalar";
    }
    case "call":
      return typeOfCall(expr.fn, expr.args);
  }
}

const CALLS: Record<InstantFunction, { args: readonly ("scalar" | "vector")[]; gives: "scalar" | "vector" }> = {
  histogram_quantile: { args: ["scalar", "vector"], gives: "vector" },
  timestamp: { args: ["vector"], gives: "vector" },
  vector: { args: ["scalar"], gives: "vector" },
  scalar: { args: ["vector"], gives: "scalar" },
  time: { args: [], gives: "scalar" },
  abs: { args: ["vector"], gives: "vector" },
  clamp_min: { args: ["vector", "scalar"], gives: "vector" },
  clamp_max: { args: ["vector", "scalar"], gives: "vector" },
};

function typeOfCall(fn: InstantFunction, args: readonly Expr[]): "scalar" | "vector" {
  const signature = CALLS[fn];
  if (args.length !== signature.args.length) {
    throw new QueryError(`${fn}() takes ${signature.args.length} argument(s), not ${args.length}`);
  }
  for (const [index, type] of signature.args.entries()) {
    const arg = args[index];
    if (arg) expect(arg, type, fn);
  }
  return signature.gives;
}

function expect(expr: Expr, type: "scalar" | "vector", where: string): void {
  if (typeOf(expr) !== type) throw new QueryError(`${where}() needs a ${type}`);
}

export function isInstantFunction(name: string): name is InstantFunction {
  return Object.hasOwn(CALLS, name);
}

const RANGE_FUNCTIONS: Record<RangeFunction, true> = {
  rate: true,
  increase: true,
  sum_over_time: true,
  avg_over_time: true,
  min_over_time: true,
  max_over_time: true,
  count_over_time: true,
  last_over_time: true,
};

export function isRangeFunction(name: string): name is RangeFunction {
  return Object.hasOwn(RANGE_FUNCTIONS, name);
}
