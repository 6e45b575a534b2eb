// PromQL text → the expressions of ast.ts, by Prometheus' own grammar (lezer-promql). What is outside of the subset is
// refused by name, so that nobody gets a number that Prometheus would not give.

import type { SyntaxNode, Tree } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";
import { RE2JS } from "re2js";
import {
  type AggregateOp,
  type BinaryOp,
  type Expr,
  isInstantFunction,
  isRangeFunction,
  type Matcher,
  QueryError,
  type SelectorExpr,
  typeOf,
} from "./ast.ts";
import { durationMs, parseNumber, unquote } from "./literals.ts";

/** Longer queries are refused: parsing and evaluating must stay a matter of microseconds. */
const MAX_LENGTH = 8192;
const MAX_DEPTH = 64;

const AGGREGATES: Record<string, AggregateOp> = { sum: "sum", avg: "avg", min: "min", max: "max", count: "count" };
const BINARIES: Record<string, BinaryOp> = { Add: "+", Sub: "-", Mul: "*", Div: "/", Or: "or" };

function errorAt(tree: Tree): number | undefined {
  let found: number | undefined;
  tree.iterate({
    enter(node) {
      if (node.type.isError) found ??= node.from;
    },
  });
  return found;
}

/** Where Prometheus' own grammar refuses the text, counted from 0; undefined where it doesn't. Knows the whole language. */
export function syntaxErrorAt(text: string): number | undefined {
  return text.trim() === "" ? 0 : errorAt(parser.parse(text));
}

/** Parses and type-checks; throws QueryError. */
export function parseQuery(text: string): Expr {
  if (text.length > MAX_LENGTH) throw new QueryError(`the query is longer than ${MAX_LENGTH} characters`);
  const tree = parser.parse(text);
  const at = errorAt(tree);
  if (at !== undefined) throw new QueryError(`syntax error at character ${at + 1}`);
  const top = tree.topNode.getChild("Expr");
  if (!top) throw new QueryError("the query is empty");
  const expr = convert(top, text, 0);
  typeOf(expr);
  return expr;
}

function convert(node: SyntaxNode, text: string, depth: number): Expr {
  if (depth > MAX_DEPTH) throw new QueryError("the query is nested too deeply");
  const deeper = (child: SyntaxNode) => convert(child, text, depth + 1);
  const source = text.slice(node.from, node.to);
  switch (node.name) {
    case "NumberDurationLiteral":
      return { type: "number", value: number(source) };
    case "ParenExpr":
      return deeper(only(node));
    case "UnaryExpr": {
      const of = deeper(only(node));
      if (text[node.from] === "+") return of;
      return of.type === "number"
        ? { type: "number", value: -of.value }
        : { type: "binary", op: "*", left: { type: "number", value: -1 }, right: of };
    }
    case "VectorSelector":
      return selector(node, text);
    case "MatrixSelector":
      return range(node, text);
    case "AggregateExpr":
      return aggregate(node, text, deeper);
    case "FunctionCall":
      return call(node, text, deeper);
    case "BinaryExpr":
      return binary(node, deeper);
    case "OffsetExpr":
      throw unsupported("offset");
    case "StepInvariantExpr":
      throw unsupported("the @ modifier");
    case "SubqueryExpr":
      throw unsupported("a subquery");
    case "StringLiteral":
      throw unsupported("a string");
    default:
      throw unsupported(node.name);
  }
}

function unsupported(what: string): QueryError {
  return new QueryError(`${what} is not supported by a Pods source`);
}

function number(source: string): number {
  const value = parseNumber(source);
  if (value !== undefined) return value;
  // A duration is also a number: of seconds.
  const sign = source.startsWith("-") ? -1 : 1;
  const ms = durationMs(source.replace(/^[+-]/, ""));
  if (ms === undefined) throw new QueryError(`${source} is not a number`);
  return (sign * ms) / 1000;
}

function only(node: SyntaxNode): SyntaxNode {
  const children = node.getChildren("Expr");
  if (children.length !== 1 || !children[0]) throw new QueryError("syntax error");
  return children[0];
}

function selector(node: SyntaxNode, text: string): SelectorExpr {
  const of = (child: SyntaxNode) => text.slice(child.from, child.to);
  const identifier = node.getChild("Identifier");
  const list = node.getChild("LabelMatchers");
  const quoted = list?.getChild("QuotedLabelName");
  const matchers: Matcher[] = [];
  for (const child of [
    ...(list?.getChildren("UnquotedLabelMatcher") ?? []),
    ...(list?.getChildren("QuotedLabelMatcher") ?? []),
  ]) {
    const unquoted = child.getChild("LabelName");
    const quotedName = child.getChild("QuotedLabelName");
    const op = child.getChild("MatchOp");
    const value = child.getChild("StringLiteral");
    if (!op || !value || !(unquoted || quotedName)) throw new QueryError("syntax error in a label matcher");
    const name = unquoted ? of(unquoted) : unquote(quotedName ? of(quotedName) : "");
    matchers.push(matcher(name, of(op), unquote(of(value))));
  }
  const byName = matchers.find((entry) => entry.name === "__name__" && entry.op === "=");
  const metric = identifier ? of(identifier) : quoted ? unquote(of(quoted)) : byName?.value;
  if (!metric) throw unsupported("a selector without a metric name");
  return { type: "selector", metric, matchers: matchers.filter((entry) => entry !== byName) };
}

function matcher(name: string, op: string, value: string): Matcher {
  if (op === "=") return { name, op, value, test: (label) => label === value };
  if (op === "!=") return { name, op, value, test: (label) => label !== value };
  if (op !== "=~" && op !== "!~") throw unsupported(`the matcher ${op}`);
  // RE2, as in Prometheus: linear in time, so that no policy can hang the operator. It is anchored, and . fits a line break.
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(value, RE2JS.DOTALL);
  } catch {
    throw new QueryError(`${name}${op}${JSON.stringify(value)} is not a regular expression`);
  }
  const wanted = op === "=~";
  return { name, op, value, test: (label) => pattern.matches(label) === wanted };
}

function range(node: SyntaxNode, text: string): SelectorExpr {
  const inner = node.getChild("VectorSelector");
  const duration = node.getChild("DurationExpr");
  if (!inner || !duration) throw unsupported("a range of an expression");
  const source = text.slice(duration.from, duration.to).trim();
  // Since Prometheus 3 a plain number is a number of seconds.
  const seconds = parseNumber(source);
  const rangeMs = seconds === undefined ? durationMs(source) : seconds * 1000;
  if (rangeMs === undefined || !(rangeMs > 0) || !Number.isFinite(rangeMs)) throw new QueryError(`[${source}] is not a duration`);
  return { ...selector(inner, text), rangeMs };
}

function aggregate(node: SyntaxNode, text: string, deeper: (child: SyntaxNode) => Expr): Expr {
  const opNode = node.getChild("AggregateOp");
  const name = opNode ? text.slice(opNode.from, opNode.to).toLowerCase() : "";
  const op = Object.hasOwn(AGGREGATES, name) ? AGGREGATES[name] : undefined;
  if (!op) throw unsupported(`${name}()`);
  const args = node.getChild("FunctionCallBody")?.getChildren("Expr") ?? [];
  if (args.length !== 1 || !args[0]) throw new QueryError(`${name}() takes one argument`);
  const modifier = node.getChild("AggregateModifier");
  const grouping = modifier?.getChild("Without") ? "without" : "by";
  const list = modifier?.getChild("GroupingLabels");
  const labels = [
    ...(list?.getChildren("LabelName") ?? []).map((child) => text.slice(child.from, child.to)),
    ...(list?.getChildren("QuotedLabelName") ?? []).map((child) => unquote(text.slice(child.from, child.to))),
  ];
  return { type: "aggregate", op, grouping, labels, of: deeper(args[0]) };
}

function call(node: SyntaxNode, text: string, deeper: (child: SyntaxNode) => Expr): Expr {
  const identifier = node.getChild("FunctionIdentifier");
  const fn = identifier ? text.slice(identifier.from, identifier.to) : "";
  const args = node.getChild("FunctionCallBody")?.getChildren("Expr") ?? [];
  if (isRangeFunction(fn)) {
    const arg = args.length === 1 && args[0] ? deeper(args[0]) : undefined;
    if (arg?.type !== "selector" || arg.rangeMs === undefined)
      throw new QueryError(`${fn}() needs one range, such as metric[1m]`);
    return { type: "range", fn, selector: arg };
  }
  if (!isInstantFunction(fn)) throw unsupported(`${fn}()`);
  return { type: "call", fn, args: args.map(deeper) };
}

function binary(node: SyntaxNode, deeper: (child: SyntaxNode) => Expr): Expr {
  for (const modifier of ["BoolModifier", "MatchingModifierClause", "FillModifier"]) {
    if (node.getChild(modifier)) throw unsupported("bool, on, ignoring or group_left");
  }
  const [left, right] = node.getChildren("Expr");
  if (!left || !right) throw new QueryError("syntax error");
  for (const [name, op] of Object.entries(BINARIES)) {
    if (node.getChild(name)) return { type: "binary", op, left: deeper(left), right: deeper(right) };
  }
  throw unsupported(`the operator ${left.nextSibling?.name ?? ""}`);
}
