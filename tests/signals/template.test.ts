// A value of a variable stands for itself: whatever it is, the query around it keeps its structure.

import { parser } from "@prometheus-io/lezer-promql";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { selectorsOf } from "../../src/signals/promql/ast.ts";
import { unquote } from "../../src/signals/promql/literals.ts";
import { parseQuery } from "../../src/signals/promql/parse.ts";
import { expandJsonPath, expandPromql, expandUrl, TemplateError } from "../../src/signals/template.ts";
import { VARIABLES } from "./support.ts";

/** The tree of a query without positions, and its string literals. */
function shapeOf(query: string): { tree: string; strings: string[] } {
  let tree = "";
  const strings: string[] = [];
  parser.parse(query).iterate({
    enter(node) {
      tree += `(${node.name}${node.type.isError ? "BROKEN" : ""}`;
      if (node.name === "StringLiteral") strings.push(query.slice(node.from, node.to));
      // Names and operators are part of the structure.
      else if (!node.node.firstChild) tree += `:${query.slice(node.from, node.to)}`;
    },
    leave() {
      tree += ")";
    },
  });
  return { tree, strings };
}

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom('"', "'", "`", "\\", "}", "{", "$", "\n", "#", "|", ".", "a", "0", "\u2028", "\ud800"),
    maxLength: 12,
  }),
);

const TEMPLATES = [
  'sum(rate(http_total{namespace="${namespace}",pod=~"${workload}-.+",code!~"5.."}[1m])) / 2 > 0',
  "x{a='${name}', b=\"${name}\", c=~'(${name}|other)'} or y{z!=\"pre${name}post\"}",
  'label_replace(x{a="${version}"}, "dst", "$1", "src", "(.*)")',
  'x{a="\\"${name}\\\\"} # a comment on ${name}\n + y',
];

describe("Variables in a query are escaped as label values", () => {
  it.each(TEMPLATES)("no value changes the structure of %s", (template) => {
    const plain = shapeOf(expandPromql(template, VARIABLES));
    expect(plain.tree).not.toContain("BROKEN");
    fc.assert(
      fc.property(anyText, (text) => {
        const variables = { ...VARIABLES, namespace: text, name: text, version: text, workload: text };
        const found = shapeOf(expandPromql(template, variables));
        expect(found.tree.replace(/LineComment:[^)]*/, "LineComment")).toBe(
          plain.tree.replace(/LineComment:[^)]*/, "LineComment"),
        );
        expect(found.strings).toHaveLength(plain.strings.length);
      }),
      { numRuns: 500 },
    );
  });

  it("a value in = stands for itself, exactly", () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom('"', "'"), (name, quote) => {
        const [literal] = shapeOf(expandPromql(`x{a=${quote}\${name}${quote}}`, { ...VARIABLES, name })).strings;
        expect(unquote(literal ?? "")).toBe(name.toWellFormed());
      }),
      { numRuns: 1000 },
    );
  });

  it("a value in =~ matches itself and nothing else", () => {
    fc.assert(
      fc.property(anyText, anyText, fc.constantFrom('"', "'"), (name, other, quote) => {
        const [selector] = selectorsOf(parseQuery(expandPromql(`x{a=~${quote}\${name}${quote}}`, { ...VARIABLES, name })));
        const matcher = selector?.matchers[0];
        expect(matcher?.test(name.toWellFormed())).toBe(true);
        if (other.toWellFormed() !== name.toWellFormed()) expect(matcher?.test(other.toWellFormed())).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['x{a="${workload}"}', { workload: 'a"} or y{b="' }, 'x{a="a\\"} or y{b=\\""}'],
    ["x{a='${workload}'}", { workload: `a"'` }, `x{a='a"\\''}`],
    ['x{a="${workload}"}', { workload: "a\\" }, 'x{a="a\\\\"}'],
    ['x{a="${workload}"}', { workload: "a\nb" }, 'x{a="a\\u000ab"}'],
    ['x{a="${workload}"}', { workload: "${name}" }, 'x{a="${name}"}'],
    ['x{pod=~"${workload}-.+"}', { workload: "scorer-r7" }, 'x{pod=~"scorer-r7-.+"}'],
    ['x{a=~"${version}"}', { version: "scorer-2.1.0" }, 'x{a=~"scorer-2\\\\.1\\\\.0"}'],
    ['x{a!~ "${version}"}', { version: ".*|x" }, 'x{a!~ "\\\\.\\\\*\\\\|x"}'],
    ["x{a=~`${version}`}", { version: "2.1" }, "x{a=~`2\\.1`}"],
    ['rate(x{r="${revision}"}[${window}]) * ${revision}', {}, 'rate(x{r="7"}[1m]) * 7'],
  ])("%s with %o", (template, values, expected) => {
    expect(expandPromql(template, { ...VARIABLES, ...values })).toBe(expected);
  });

  it.each([
    ['x{a="${workloads}"}', {}, "unknown variable ${workloads}"],
    ['x{a="${}"}', {}, "unknown variable"],
    ['x{a="${__proto__}"}', {}, "unknown variable"],
    ['x{a="${constructor}"}', {}, "unknown variable"],
    ['x{a="${workload"', {}, "has no }"],
    ["${workload}", {}, "must stand in quotes"],
    ["x{${name}}", {}, "must stand in quotes"],
    ["rate(x[${window}])", { window: "1m]) or vector(1)" }, "is not a duration"],
    ["rate(x[${window}])", { window: "" }, "is not a duration"],
    ["x * ${revision}", { revision: "7 or y" }, "is not a number"],
    ["x{a=`${name}`}", { name: "a`b" }, "backquotes"],
    ['x{a="${name}', {}, "without an end"],
    ['x{a="${name}"}', { name: "x".repeat(2000) }, "longer than"],
  ])("refuses %s", (template, values, says) => {
    expect(() => expandPromql(template, { ...VARIABLES, ...values })).toThrow(TemplateError);
    expect(() => expandPromql(template, { ...VARIABLES, ...values })).toThrow(says);
  });

  it("leaves a $ without { alone", () => {
    expect(expandPromql('label_replace(x, "a", "$1", "b", "(.*)$")', VARIABLES)).toBe(
      'label_replace(x, "a", "$1", "b", "(.*)$")',
    );
  });
});

describe("in a URL and in JSONPath", () => {
  it("a value stays one piece of a path or of a query", () => {
    fc.assert(
      fc.property(anyText, (name) => {
        const url = new URL(`http://host${expandUrl("/a/x${name}y?b=${name}&c=1", { ...VARIABLES, name })}`);
        expect(url.pathname.split("/")).toHaveLength(3);
        expect(url.searchParams.get("b")).toBe(name.toWellFormed());
        expect([...url.searchParams.keys()]).toEqual(["b", "c"]);
        expect(url.hash).toBe("");
      }),
    );
  });

  it("a value stays one string of JSONPath", () => {
    expect(expandJsonPath("$['${name}'].x[?@.a==\"${name}\"]", { ...VARIABLES, name: `a'"\\` })).toBe(
      `$['a\\'"\\\\'].x[?@.a=="a'\\"\\\\"]`,
    );
    expect(() => expandJsonPath("$.${name}", VARIABLES)).toThrow("must stand in quotes");
  });
});
