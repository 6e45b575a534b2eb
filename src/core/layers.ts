// Merges the layers of a policy: cluster policies that are Default, those that are Required, and the deployment's own. Pure, and
// driven by the table in tighten.ts: what a Required layer says may be tightened, and neither loosened nor removed.

import { isDeepStrictEqual } from "node:util";
import { DEFAULT_POLICY } from "../api/defaults.ts";
import { SEVERITIES } from "../api/reasons.ts";
import type { Check, RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import { setAt, valueAt } from "./paths.ts";
import type { FieldOrigin, Policy } from "./policy.ts";
import { digest, resolvePolicy } from "./resolve.ts";
import { type FieldRule, isTighter, RULES_OF } from "./tighten.ts";
import { filledIn, type Refusal, tightenCheck } from "./tightencheck.ts";

/** One policy that has a say. */
export interface Layer {
  kind: "RollbackPolicy" | "ClusterRollbackPolicy";
  name: string;
  generation: number;
  /** Of a cluster policy that selects the deployment; absent: the deployment's own policy, the one that it names. */
  enforcement?: "Default" | "Required";
  spec: RollbackPolicySpec;
}

export interface MergedPolicy {
  /** As one policy would say it. */
  spec: RollbackPolicySpec;
  /** Where each field comes from that a layer said; the rest is built in. */
  origins: FieldOrigin[];
  refused: Refusal[];
  /** Checks that a Required layer brought, by name, with that layer. */
  required: Record<string, string>;
  /** Of every check, the layer that brought it. */
  broughtBy: Record<string, string>;
  /** The layers in the order in which they were merged. */
  layers: Layer[];
  /** Changes with what is in force, and with nothing else. */
  hash: string;
}

/** A status has room for 80 checks of two revisions, a record for 40 of one; the two built-in ones are among them. */
export const MAX_CHECKS = 38;

export const layerName = ({ kind, name }: Pick<Layer, "kind" | "name">): string => `${kind}/${name}`;

/** A value with the layer that said it. */
interface Said {
  value: unknown;
  layer: string;
}

const BUILT_IN_LIMIT = "Rollguard";
const MERGED_RULES = RULES_OF.policy.filter((rule) => rule.order.by !== "Items");

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value)).slice(0, 256);

/** Default layers lowest, then Required ones, then the deployment's own; those of one sort by name. */
export function inOrder(layers: readonly Layer[]): Layer[] {
  const place = (layer: Layer) => (layer.enforcement === undefined ? 2 : layer.enforcement === "Required" ? 1 : 0);
  return [...layers].sort((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** What the last of these layers says of each field; of equals, the later name wins. */
function overridden(layers: readonly Layer[]): Map<string, Said> {
  const said = new Map<string, Said>();
  for (const layer of layers) {
    for (const { field } of MERGED_RULES) {
      const value = valueAt(layer.spec, field);
      if (value !== undefined) said.set(field, { value, layer: layerName(layer) });
    }
  }
  return said;
}

/** What all Required layers say together: of two, the tighter; where there is no order, the first by name. */
function demanded(layers: readonly Layer[], refused: Refusal[]): Map<string, Said> {
  const said = new Map<string, Said>();
  for (const layer of layers) {
    for (const rule of MERGED_RULES) {
      const value = valueAt(layer.spec, rule.field);
      if (value === undefined) continue;
      const before = said.get(rule.field);
      if (!before || isTighter(rule.order, value, before.value)) said.set(rule.field, { value, layer: layerName(layer) });
      else if (rule.order.by === "Fixed" && !isDeepStrictEqual(value, before.value))
        refused.push(refusal(rule.field, value, layerName(layer), before));
    }
  }
  return said;
}

function refusal(field: string, asked: unknown, layer: string, kept: Said): Refusal {
  return { field, layer, asked: text(asked), forbiddenBy: kept.layer, kept: text(kept.value) };
}

/** Of a Required layer's value and another one: the tighter, or the Required one. */
function bounded(rule: FieldRule, bound: Said | undefined, other: Said | undefined): Said | undefined {
  if (!bound || !other) return bound ?? other;
  return isTighter(rule.order, other.value, bound.value) ? other : bound;
}

/**
 * What a Required layer demands without saying it: its checks would be idle if a lower layer could observe only, warm up for
 * hours, or let breaches of their severity pass.
 */
function kept(rule: FieldRule, cluster: Said | undefined, required: readonly Layer[]): Said | undefined {
  const severities = required.flatMap(({ spec }) => [
    ...(spec.checks ?? []).map((check) => check.severity ?? "Critical"),
    ...(spec.available || spec.restarts ? (["Critical"] as const) : []),
  ]);
  const bringing = required.find(({ spec }) => spec.checks?.length || spec.available || spec.restarts);
  if (!rule.kept || !bringing) return undefined;
  // A check may be made more severe; what its new severity does must then not be less.
  const least = Math.max(...severities.map((one) => SEVERITIES.indexOf(one)));
  const severity = SEVERITIES.findIndex((one) => rule.field === `actions.${one}`);
  if (severity > least) return undefined;
  return { value: cluster?.value ?? valueAt(DEFAULT_POLICY, rule.field), layer: layerName(bringing) };
}

interface Checks {
  list: Check[];
  broughtBy: Map<string, string>;
  required: Map<string, string>;
  /** Origins of single fields of a check that another layer tightened. */
  tightened: FieldOrigin[];
}

function mergeChecks(required: readonly Layer[], own: readonly Layer[], defaults: readonly Layer[], refused: Refusal[]): Checks {
  const merged: Checks = { list: [], broughtBy: new Map(), required: new Map(), tightened: [] };
  const add = (check: Check, layer: string): boolean => {
    if (merged.list.length >= MAX_CHECKS) {
      const kept = { value: `${MAX_CHECKS} checks`, layer: BUILT_IN_LIMIT };
      refused.push(refusal(`checks[${check.name}]`, "one check more", layer, kept));
      return false;
    }
    merged.list.push(check);
    merged.broughtBy.set(check.name, layer);
    return true;
  };
  for (const layer of [...required, ...own]) {
    const name = layerName(layer);
    for (const check of layer.spec.checks ?? []) {
      const index = merged.list.findIndex((one) => one.name === check.name);
      const before = merged.list[index];
      if (!before) {
        if (add(check, name) && layer.enforcement === "Required") merged.required.set(check.name, name);
        continue;
      }
      const origin = (field: string) =>
        merged.tightened.findLast((one) => one.field === field)?.layer ?? merged.broughtBy.get(check.name) ?? name;
      const result = tightenCheck({ before, more: check, layer: name, origin });
      merged.list[index] = result.check;
      merged.tightened.push(...result.tightened.map((field) => ({ field, layer: name })));
      refused.push(...result.refused);
    }
  }
  // A Default layer's check is only there where no other has its name; of equals, the later name wins.
  const offered = new Map(defaults.flatMap((layer) => (layer.spec.checks ?? []).map((check) => [check.name, { check, layer }])));
  for (const { check, layer } of offered.values()) if (!merged.broughtBy.has(check.name)) add(check, layerName(layer));
  return merged;
}

type Freeze = NonNullable<RollbackPolicySpec["freeze"]>[number];

/** Required windows, and those of the deployment's own policy or else of the last Default layer that has any. */
function mergeFreeze(
  required: readonly Layer[],
  own: readonly Layer[],
  defaults: readonly Layer[],
): { value: Freeze; layer: string }[] {
  const free = [...own].reverse().find(({ spec }) => spec.freeze) ?? [...defaults].reverse().find(({ spec }) => spec.freeze);
  const all = [...required, ...(free ? [free] : [])].flatMap((layer) =>
    (layer.spec.freeze ?? []).map((value) => ({ value, layer: layerName(layer) })),
  );
  return all.filter((one, index) => all.findIndex(({ value }) => isDeepStrictEqual(value, one.value)) === index);
}

/**
 * The policy that these layers make together. What a lower layer says against a Required one is left out and named in `refused`;
 * the result of valid layers is valid.
 */
export function mergeLayers(given: readonly Layer[]): MergedPolicy {
  const layers = inOrder(given);
  const of = (enforcement: Layer["enforcement"]) => layers.filter((one) => one.enforcement === enforcement);
  const [defaults, required, own] = [of("Default"), of("Required"), of(undefined)];
  const refused: Refusal[] = [];
  const spec: Record<string, unknown> = {};
  const origins: FieldOrigin[] = [];
  const offered = overridden(defaults);
  const bounds = demanded(required, refused);
  const wanted = overridden(own);
  for (const rule of MERGED_RULES) {
    const { field } = rule;
    const cluster = bounded(rule, bounds.get(field), offered.get(field));
    const bound = bounds.get(field) ?? kept(rule, cluster, required);
    const said = wanted.get(field);
    const isFree =
      said && (!bound || isDeepStrictEqual(said.value, bound.value) || isTighter(rule.order, said.value, bound.value));
    // What equals the API's default may never have been written: it yields without a word.
    if (said && !isFree && bound && !isDeepStrictEqual(said.value, filledIn(field)))
      refused.push(refusal(field, said.value, said.layer, bound));
    const chosen = !said ? cluster : isFree ? (bound && isDeepStrictEqual(said.value, bound.value) ? bound : said) : bound;
    if (!chosen) continue;
    setAt(spec, field, chosen.value);
    origins.push({ field, layer: chosen.layer });
  }
  const checks = mergeChecks(required, own, defaults, refused);
  const freeze = mergeFreeze(required, own, defaults);
  if (checks.list.length > 0) spec.checks = checks.list;
  // An empty list of the deployment's own takes the windows of Default layers away.
  if (freeze.length > 0 || own.some((layer) => layer.spec.freeze)) spec.freeze = freeze.map(({ value }) => value);
  const brought = [...checks.broughtBy].map(([name, layer]) => ({ field: `checks[${name}]`, layer }));
  const frozen = freeze.map(({ layer }, index) => ({ field: `freeze[${index}]`, layer }));
  return {
    spec: spec as RollbackPolicySpec,
    origins: [...origins, ...frozen, ...brought, ...checks.tightened],
    refused,
    required: Object.fromEntries(checks.required),
    broughtBy: Object.fromEntries(checks.broughtBy),
    layers,
    hash: digest({ spec, required: [...checks.required.keys()].sort() }),
  };
}

/** "bake 1m of RollbackPolicy/fast is refused by ClusterRollbackPolicy/base, which keeps 10m". */
export function refusalInWords({ field, layer, asked, forbiddenBy, kept: value }: Refusal): string {
  return `${field} ${asked} of ${layer} is refused by ${forbiddenBy}, which keeps ${value}`;
}

/** Names of layers in the status are bounded. */
const MAX_NAMES = 32;

/**
 * The policy in force.
 * @param more whether every layer is what is written now, and what there is to say beside what was refused
 */
export function effectivePolicy(merged: MergedPolicy, more: { current: boolean; notices: readonly string[] }): Policy {
  const policy = resolvePolicy(merged.spec);
  const required = merged.layers.filter((one) => one.enforcement === "Required");
  const demands = (field: "available" | "restarts") => required.some(({ spec }) => spec[field] !== undefined);
  const notice = [...more.notices, ...merged.refused.map(refusalInWords)].join("; ");
  return {
    ...policy,
    checks: policy.checks.map((check) => {
      const layer = merged.broughtBy[check.name];
      const isRequired =
        check.name in merged.required || ((check.name === "available" || check.name === "restarts") && demands(check.name));
      return { ...check, ...(layer === undefined ? {} : { layer }), ...(isRequired ? { required: true } : {}) };
    }),
    names: merged.layers.slice(0, MAX_NAMES).map(layerName),
    generations: merged.layers.slice(0, MAX_NAMES).map((one) => one.generation),
    origins: merged.origins,
    current: more.current,
    ...(notice === "" ? {} : { notice: notice.slice(0, 1024) }),
    hash: merged.hash,
  };
}
