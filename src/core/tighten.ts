// What is tighter, for every field of a policy, as data: the merge of layers is driven by this table, and docs/policy-layers.md
// and the tests are made from it. Tighter is what protects sooner or proves harder; where neither way is safer, there is no order.

import { parseDuration, parsePercent } from "../api/common.ts";

/** How two values of a field compare. */
export type Order =
  /** By their place in the list, loosest first. */
  | { by: "Rank"; loosestFirst: readonly string[] }
  | { by: "Duration"; tighter: "Shorter" | "Longer" }
  | { by: "Number" | "Percent"; tighter: "Lower" | "Higher" }
  /** Neither way is tighter: what a Required layer says stands as it is. */
  | { by: "Fixed" }
  /** It says what is measured: a check of the same name that says otherwise is another check, and is refused as a whole. */
  | { by: "Identity" }
  /** A list: items may be added, and none removed. */
  | { by: "Items" };

export interface FieldRule {
  /** Path in the spec; `checks[].` for a field of each check. */
  field: string;
  order: Order;
  /** A Required layer that brings checks keeps this too, also where it does not say it: without it, its checks could be made idle. */
  kept?: true;
  why: string;
}

const longer: Order = { by: "Duration", tighter: "Longer" };
const shorter: Order = { by: "Duration", tighter: "Shorter" };
const lower: Order = { by: "Number", tighter: "Lower" };
const higher: Order = { by: "Number", tighter: "Higher" };
const lowerShare: Order = { by: "Percent", tighter: "Lower" };
const fixed: Order = { by: "Fixed" };
const identity: Order = { by: "Identity" };
const action: Order = { by: "Rank", loosestFirst: ["Alert", "Hold", "Rollback"] };

const POLICY_FIELDS: readonly FieldRule[] = [
  {
    field: "mode",
    order: { by: "Rank", loosestFirst: ["Observe", "Recommend", "Enforce"] },
    kept: true,
    why: "Observe only records, Recommend waits for a person, Enforce acts.",
  },
  { field: "warmup", order: shorter, kept: true, why: "Nothing is judged in the warm-up: a long one blinds every check." },
  { field: "bake", order: longer, why: "A longer bake proves more." },
  { field: "checks", order: { by: "Items" }, why: "A check more sees more." },
  { field: "builtInInterval", order: shorter, why: "A failure is seen sooner." },
  { field: "available.unready", order: lowerShare, why: "A smaller share of unready pods is a breach." },
  { field: "available.for", order: shorter, why: "The breach is said sooner." },
  { field: "restarts.failures", order: lower, why: "Fewer failures are a breach." },
  { field: "restarts.in", order: longer, why: "More failures fall into a longer time." },
  { field: "restarts.pods", order: lowerShare, why: "A smaller share of pods is a breach." },
  {
    field: "actions.Critical",
    order: action,
    kept: true,
    why: "Alert tells, Hold stops promoting, Rollback takes traffic away.",
  },
  { field: "actions.Warning", order: action, kept: true, why: "As above." },
  { field: "actions.Info", order: action, kept: true, why: "As above." },
  { field: "onMissingData.after", order: shorter, why: "A silent source is said sooner." },
  {
    field: "onMissingData.action",
    order: { by: "Rank", loosestFirst: ["Alert", "Hold"] },
    why: "Hold gives no traffic on unknown data.",
  },
  {
    field: "rollback.cooldown",
    order: fixed,
    why: "A longer one leaves a breach in traffic, a shorter one lets a swinging metric move it more often.",
  },
  {
    field: "rollback.budget",
    order: fixed,
    why: "A larger one lets more go wrong by itself, a smaller one leaves more to a person.",
  },
  {
    field: "rollback.maxDepth",
    order: fixed,
    why: "A deeper walk may help, or walk a common cause through every revision.",
  },
  { field: "rollback.verify", order: longer, why: "A return is verified for longer." },
  {
    field: "rollback.deadline",
    order: fixed,
    why: "A longer one tells a person later; a short one passes over targets that would have started.",
  },
  { field: "freeze", order: { by: "Items" }, why: "A freeze holds traffic to candidates and never a return: one more is safer." },
];

const CHECK_FIELDS: readonly FieldRule[] = [
  { field: "source", order: identity, why: "Another source measures something else." },
  { field: "query", order: identity, why: "Another query measures something else." },
  { field: "ratio.numerator", order: identity, why: "As query." },
  { field: "ratio.denominator", order: identity, why: "As query." },
  { field: "preset.server", order: identity, why: "As query." },
  { field: "preset.measure", order: identity, why: "As query." },
  { field: "ratio.minSamples", order: lower, why: "A high one makes every sample Insufficient, and the check idle." },
  { field: "preset.minSamples", order: lower, why: "As ratio.minSamples." },
  { field: "ratio.confidence", order: fixed, why: "A lower one breaches sooner, and also proves sooner." },
  { field: "preset.confidence", order: fixed, why: "As ratio.confidence." },
  { field: "ratio.falseAlarm", order: fixed, why: "It trades false alarms against the time to see a breach." },
  { field: "preset.falseAlarm", order: fixed, why: "As ratio.falseAlarm." },
  { field: "window", order: fixed, why: "A longer one smooths a burst away, a shorter one sees noise." },
  {
    field: "freshness",
    order: fixed,
    why: "A query that answers with an old time makes every sample stale, and the check idle.",
  },
  { field: "interval", order: shorter, why: "A breach is seen sooner." },
  { field: "overlapping", order: fixed, why: "Overlapping samples count as one." },
  { field: "threshold.max", order: lower, why: "Less is allowed." },
  { field: "threshold.min", order: higher, why: "More is demanded." },
  { field: "baseline.from", order: fixed, why: "Another baseline is another comparison." },
  { field: "baseline.metric", order: fixed, why: "As baseline.from." },
  { field: "baseline.maxIncreasePercent", order: lower, why: "Less is allowed." },
  { field: "baseline.maxDecreasePercent", order: lower, why: "Less is allowed." },
  { field: "baseline.maxIncrease", order: lower, why: "Less is allowed." },
  { field: "baseline.maxDecrease", order: lower, why: "Less is allowed." },
  {
    field: "baseline.guard",
    order: { by: "Rank", loosestFirst: ["Hold", "Rollback"] },
    why: "Rollback takes traffic away, also from a proven revision.",
  },
  { field: "breach.count", order: lower, why: "Fewer bad samples are a breach." },
  { field: "breach.of", order: higher, why: "Bad samples are counted among more, and more healthy ones are needed to prove." },
  {
    field: "severity",
    order: { by: "Rank", loosestFirst: ["Info", "Warning", "Critical"] },
    why: "Critical proves and rolls back.",
  },
];

/** Every field of a policy, in the order of the reference; those of a check begin with `checks[].`. */
export const FIELD_RULES: readonly FieldRule[] = [
  ...POLICY_FIELDS,
  ...CHECK_FIELDS.map((rule) => ({ ...rule, field: `checks[].${rule.field}` })),
];

/** The rules of a policy's own fields, and those of each of its checks with the path within the check. */
export const RULES_OF: { readonly policy: readonly FieldRule[]; readonly check: readonly FieldRule[] } = {
  policy: POLICY_FIELDS,
  check: CHECK_FIELDS,
};

/** True where `a` is tighter than `b`. Never where there is no order. */
export function isTighter(order: Order, a: unknown, b: unknown): boolean {
  switch (order.by) {
    case "Rank":
      return order.loosestFirst.indexOf(String(a)) > order.loosestFirst.indexOf(String(b));
    case "Duration": {
      const more = parseDuration(String(a)) - parseDuration(String(b));
      return order.tighter === "Longer" ? more > 0 : more < 0;
    }
    case "Percent":
    case "Number": {
      const of = (value: unknown) => (order.by === "Percent" ? parsePercent(String(value)) : Number(value));
      return order.tighter === "Higher" ? of(a) > of(b) : of(a) < of(b);
    }
    default:
      return false;
  }
}

/** What tightens a field, in a few words, for people. */
export function inWords(order: Order): string {
  switch (order.by) {
    case "Rank":
      return order.loosestFirst.join(" < ");
    case "Duration":
    case "Number":
    case "Percent":
      return order.tighter.toLowerCase();
    case "Fixed":
      return "fixed: no order";
    case "Identity":
      return "fixed: what is measured";
    case "Items":
      return "added to";
  }
}
