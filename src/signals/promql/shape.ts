// Whether a query may stand inside a larger one: it must be complete in itself, so that nothing of it can reach beyond its
// place, and its type must be known.

import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";

export type Shape = "scalar" | "vector";

const MAX_LENGTH = 8192;
/** Complete strings with plain escapes only; whatever else has a quote or a backslash is left over, and refused. */
const STRINGS = /"(?:[^"\\\p{Cc}]|\\[abfnrtv\\"])*"|'(?:[^'\\\p{Cc}]|\\[abfnrtv\\'])*'|`[^`\p{Cc}]*`/gu;
const OUTSIDE = /^[\w:.,=!~<>+\-*/%^@(){}[\] \t\r\n]*$/;
const CLOSES: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };
const SCALAR_FUNCTIONS = ["scalar", "time", "pi"];

/**
 * The type of a query that may be embedded, or undefined for one that must be asked alone. Strict on purpose, and twice: by its
 * characters (`isContained`), so that no difference between two parsers matters; and by the grammar.
 */
export function shapeOf(text: string): Shape | undefined {
  return isContained(text) ? typeOf(text) : undefined;
}

/** By the grammar alone. */
export function typeOf(text: string): Shape | undefined {
  const tree = parser.parse(text);
  let broken = false;
  tree.iterate({
    enter: (node) => {
      broken ||= node.type.isError;
    },
  });
  const top = tree.topNode.getChild("Expr");
  return broken || !top ? undefined : shapeOfNode(top, text);
}

/** By its characters: no comments, whole strings with plain escapes, all brackets closed. Costs little. */
export function isContained(text: string): boolean {
  if (text.length > MAX_LENGTH) return false;
  const rest = text.replace(STRINGS, "");
  if (!OUTSIDE.test(rest)) return false;
  const open: string[] = [];
  for (const char of rest) {
    if ("([{".includes(char)) open.push(char);
    else if (CLOSES[char] !== undefined && open.pop() !== CLOSES[char]) return false;
  }
  return open.length === 0;
}

function shapeOfNode(node: SyntaxNode, text: string): Shape | undefined {
  const inner = () => {
    const children = node.getChildren("Expr");
    return children.map((child) => shapeOfNode(child, text));
  };
  switch (node.name) {
    case "NumberDurationLiteral":
      return "scalar";
    case "VectorSelector":
    case "AggregateExpr":
      return "vector";
    case "FunctionCall": {
      const name = node.getChild("FunctionIdentifier");
      return name && SCALAR_FUNCTIONS.includes(text.slice(name.from, name.to)) ? "scalar" : "vector";
    }
    case "ParenExpr":
    case "UnaryExpr":
    case "OffsetExpr":
    case "StepInvariantExpr":
      return inner()[0];
    case "BinaryExpr": {
      const sides = inner();
      if (sides.length !== 2 || sides.includes(undefined)) return undefined;
      return sides.includes("vector") ? "vector" : "scalar";
    }
    default:
      // A range, a string, or something that this grammar did not know yet.
      return undefined;
  }
}
