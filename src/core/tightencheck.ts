// One check of a Required layer, and what a lower layer says of a check of the same name: field by field, by the table in tighten.ts.

import { isDeepStrictEqual } from "node:util";
import { type Check, RollbackPolicySpecSchema } from "../api/rollbackpolicy.ts";
import { setAt, valueAt } from "./paths.ts";
import { type FieldRule, isTighter, RULES_OF } from "./tighten.ts";
import { checkProblems } from "./valid.ts";

/** What a layer was not allowed. */
export interface Refusal {
  field: string;
  /** Who asked for it. */
  layer: string;
  asked: string;
  forbiddenBy: string;
  /** What is in force. */
  kept: string;
}

const CHECK = { name: "x", source: "x", baseline: { maxIncrease: 0 } };
const RATIO = { numerator: "x", denominator: "x" };

/** Everything that the API server fills in where it was left out, in one policy. */
const FILLED_IN = RollbackPolicySpecSchema.parse({
  available: {},
  restarts: {},
  onMissingData: {},
  rollback: { budget: {} },
  checks: [
    { ...CHECK, ratio: RATIO },
    { ...CHECK, name: "y", preset: { server: "vLLM", measure: "ErrorRatio" } },
  ],
});

/** What the API server fills in for a field of a policy (or, with `checks[].`, of a check) that is left out. */
export function filledIn(field: string): unknown {
  if (!field.startsWith("checks[].")) return valueAt(FILLED_IN, field);
  const path = field.slice("checks[].".length);
  if (path === "source" || path === "baseline.maxIncrease") return undefined;
  return valueAt(FILLED_IN.checks?.[path.startsWith("preset.") ? 1 : 0], path);
}

const inText = (value: unknown): string =>
  value === undefined ? "nothing" : (typeof value === "string" ? value : JSON.stringify(value)).slice(0, 256);

/**
 * @param input.before the check as required and tightened so far
 * @param input.more what the layer says
 * @param input.origin the layer that a field of `before` comes from
 */
export function tightenCheck(input: { before: Check; more: Check; layer: string; origin(field: string): string }): {
  check: Check;
  tightened: string[];
  refused: Refusal[];
} {
  const { before, more, layer, origin } = input;
  const at = `checks[${before.name}]`;
  const refuse = (field: string, asked: string, kept: string): Refusal => {
    const path = field === "" ? at : `${at}.${field}`;
    return { field: path, layer, asked, forbiddenBy: origin(path), kept };
  };
  const says = (path: string) => ({ was: valueAt(before, path), now: valueAt(more, path) });
  const other = RULES_OF.check
    .filter((rule) => rule.order.by === "Identity")
    .find(({ field }) => !isDeepStrictEqual(says(field).was, says(field).now));
  if (other) {
    const kept = `its own ${other.field}; name the other check differently`;
    return { check: before, tightened: [], refused: [refuse("", `with another ${other.field}`, kept)] };
  }
  const check = structuredClone(before);
  const tightened: string[] = [];
  const refused: Refusal[] = [];
  // A comparison with something else is not tighter, whatever its limits are.
  const sameBaseline =
    !before.baseline || ["baseline.from", "baseline.metric"].every((path) => isDeepStrictEqual(says(path).was, says(path).now));
  if (more.baseline && before.baseline && !sameBaseline)
    refused.push(refuse("baseline", `from ${more.baseline.from}`, `from ${before.baseline.from}`));
  const looked = (rule: FieldRule) => rule.order.by !== "Identity" && (sameBaseline || !rule.field.startsWith("baseline."));
  for (const { field, order } of RULES_OF.check.filter(looked)) {
    const { was, now } = says(field);
    if (now === undefined || isDeepStrictEqual(was, now)) continue;
    // A limit where there was none tightens; so does a baseline as a whole, with all that belongs to it.
    const isNew = was === undefined && (order.by !== "Fixed" || (field.startsWith("baseline.") && !before.baseline));
    if (isNew || isTighter(order, now, was)) {
      setAt(check as unknown as Record<string, unknown>, field, now);
      tightened.push(`${at}.${field}`);
      // What equals the API's default may never have been written: it yields without a word.
    } else if (!isDeepStrictEqual(now, filledIn(`checks[].${field}`))) refused.push(refuse(field, inText(now), inText(was)));
  }
  const problem = checkProblems(check)[0];
  if (problem === undefined) return { check, tightened, refused };
  return { check: before, tightened: [], refused: [refuse("", `in a way that makes no sense (${problem})`, "it as it is")] };
}
