// Which objects a label selector of Kubernetes selects.
import { expect, test } from "vitest";
import type { LabelSelector } from "../../src/api/clusterrollbackpolicy.ts";
import { selects } from "../../src/core/selector.ts";

const expression = (operator: "In" | "NotIn" | "Exists" | "DoesNotExist", values?: string[]): LabelSelector => ({
  matchExpressions: [{ key: "tier", operator, ...(values ? { values } : {}) }],
});

test.each<[string, LabelSelector | undefined, Record<string, string> | undefined, boolean]>([
  ["no selector selects everything", undefined, undefined, true],
  ["an empty selector selects everything", {}, { tier: "gold" }, true],
  ["equal labels", { matchLabels: { tier: "gold" } }, { tier: "gold", other: "x" }, true],
  ["another value", { matchLabels: { tier: "gold" } }, { tier: "silver" }, false],
  ["no labels at all", { matchLabels: { tier: "gold" } }, undefined, false],
  ["every label has to be there", { matchLabels: { tier: "gold", team: "a" } }, { tier: "gold" }, false],
  ["In", expression("In", ["gold", "silver"]), { tier: "silver" }, true],
  ["In, another value", expression("In", ["gold"]), { tier: "silver" }, false],
  ["In, no such label", expression("In", ["gold"]), {}, false],
  ["NotIn", expression("NotIn", ["gold"]), { tier: "silver" }, true],
  ["NotIn, a value that is listed", expression("NotIn", ["gold"]), { tier: "gold" }, false],
  ["NotIn selects what has no such label", expression("NotIn", ["gold"]), {}, true],
  ["Exists", expression("Exists"), { tier: "" }, true],
  ["Exists, no such label", expression("Exists"), { other: "x" }, false],
  ["DoesNotExist", expression("DoesNotExist"), { other: "x" }, true],
  ["DoesNotExist, there is one", expression("DoesNotExist"), { tier: "" }, false],
  ["labels and expressions both", { matchLabels: { team: "a" }, ...expression("Exists") }, { tier: "x", team: "b" }, false],
])("%s", (_words, selector, labels, expected) => {
  expect(selects(selector, labels)).toBe(expected);
});
