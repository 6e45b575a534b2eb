// `policy show`: the merged policy, each field with the layer that it comes from, and what a layer was refused. Pure: data → text.
import { DEFAULT_POLICY } from "../api/defaults.ts";
import { layerName, type MergedPolicy, refusalInWords } from "../core/layers.ts";
import { valueAt } from "../core/paths.ts";
import { RULES_OF } from "../core/tighten.ts";
import type { Refusal } from "../core/tightencheck.ts";
import { cell, facts, type Style, table } from "./output.ts";

/** The document of `policy show -o json|yaml`. */
export interface PolicyView {
  /** `<namespace>/<name>`; absent where it was merged from files alone. */
  deployment?: string;
  hash: string;
  /** False: what is written now can't be used, and the last valid one is in force. */
  current: boolean;
  message?: string;
  layers: { name: string; generation: number; enforcement?: string }[];
  fields: { field: string; value: unknown; from: string }[];
  refused: Refusal[];
}

const BUILT_IN = "built-in";

/** Every field with its value and the layer that it comes from. */
function fieldsOf({ spec, origins, broughtBy }: MergedPolicy): PolicyView["fields"] {
  const from = (field: string, otherwise: string) => origins.findLast((one) => one.field === field)?.layer ?? otherwise;
  const own = RULES_OF.policy
    .filter((rule) => rule.order.by !== "Items")
    .map(({ field }) => ({
      field,
      value: valueAt(spec, field) ?? valueAt(DEFAULT_POLICY, field),
      from: valueAt(spec, field) === undefined ? BUILT_IN : from(field, BUILT_IN),
    }));
  const freeze = (spec.freeze ?? []).map((value, index) => ({
    field: `freeze[${index}]`,
    value,
    from: from(`freeze[${index}]`, BUILT_IN),
  }));
  const checks = (spec.checks ?? []).flatMap((check) =>
    RULES_OF.check.flatMap(({ field }) => {
      const value = valueAt(check, field);
      const path = `checks[${check.name}].${field}`;
      return value === undefined ? [] : [{ field: path, value, from: from(path, broughtBy[check.name] ?? BUILT_IN) }];
    }),
  );
  return [...own, ...freeze, ...checks];
}

/** @param about of a deployment of the cluster: its name and what its status says */
export function policyView(merged: MergedPolicy, about: { deployment?: string; current: boolean; message?: string }): PolicyView {
  return {
    ...about,
    hash: merged.hash,
    layers: merged.layers.map((layer) => ({
      name: layerName(layer),
      generation: layer.generation,
      ...(layer.enforcement === undefined ? {} : { enforcement: layer.enforcement }),
    })),
    fields: fieldsOf(merged),
    refused: merged.refused,
  };
}

const inText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** The screen of `policy show`. */
export function renderPolicy(view: PolicyView, style: Style): string {
  const layers = view.layers.map(({ name, generation, enforcement }) => {
    const more = [enforcement, generation > 0 ? `generation ${generation}` : undefined].filter(Boolean).join(", ");
    return more === "" ? name : `${name} (${more})`;
  });
  const head = facts(
    [
      ...(view.deployment === undefined ? [] : [["deployment", cell(view.deployment)] as const]),
      ["in force", cell(view.current ? "as it is written" : "the last valid one", view.current ? "good" : "unsure")],
      // Of a current one it tells what was refused, which stands below.
      ...(view.message === undefined || view.current ? [] : [["because", cell(view.message, "unsure")] as const]),
      ["layers", cell(layers.length === 0 ? "none: the built-in checks" : layers.join(" < "))],
      ["hash", cell(view.hash)],
    ],
    style,
  );
  const rows = view.fields.map(({ field, value, from }) => [
    cell(field),
    cell(from, from === BUILT_IN ? "dim" : "plain"),
    cell(inText(value)),
  ]);
  const refused = view.refused.map((one) => `  ${refusalInWords(one)}\n`).join("");
  return `${head}\n${table(["FIELD", "FROM", "VALUE"], rows, style)}${refused === "" ? "" : `\nrefused\n${refused}`}`;
}
