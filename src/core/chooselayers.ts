// Which policies have a say for a deployment: those that select it, the one that it names, and where one of them can't be used,
// the last valid content of it. Pure.

import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import type { RollbackPolicy } from "../api/rollbackpolicy.ts";
import { type Layer, layerName } from "./layers.ts";
import { selects } from "./selector.ts";
import { policyProblems } from "./valid.ts";

export interface LayerChoice {
  /** What the deployment names; without a kind it is a RollbackPolicy. */
  named?: { kind?: Layer["kind"] | undefined; name: string };
  /** The ClusterRollbackPolicy in the RollguardConfig's defaults, for a deployment that names none. */
  fallback?: string;
  labels?: Readonly<Record<string, string>>;
  namespaceLabels?: Readonly<Record<string, string>>;
  /** All of them. */
  cluster: readonly ClusterRollbackPolicy[];
  /** The RollbackPolicies of the deployment's namespace, by name. */
  namespaced(name: string): RollbackPolicy | undefined;
  /** The layers that were in force until now. */
  last: readonly Layer[];
  /** Why a policy can't be used; see core/valid.ts. */
  problems?: typeof policyProblems;
}

export interface ChosenLayers {
  layers: Layer[];
  /** False: what is written now can't be used, and something else is in force. */
  current: boolean;
  /** Why not, one for each. */
  notices: string[];
}

type Written = ClusterRollbackPolicy | RollbackPolicy;

function layerOf(policy: Written, enforcement?: Layer["enforcement"]): Layer {
  return {
    kind: policy.kind,
    name: policy.metadata.name,
    generation: policy.metadata.generation ?? 0,
    ...(enforcement === undefined ? {} : { enforcement }),
    spec: policy.spec,
  };
}

/** Whether a cluster policy's selectors select a deployment. */
export function isSelected(
  { spec }: ClusterRollbackPolicy,
  of: { labels?: Readonly<Record<string, string>>; namespaceLabels?: Readonly<Record<string, string>> },
): boolean {
  return selects(spec.namespaceSelector, of.namespaceLabels) && selects(spec.selector, of.labels);
}

/** The layers of a deployment, and whether they are what is written now. */
export function chooseLayers(choice: LayerChoice): ChosenLayers {
  const { cluster, last, fallback, problems = policyProblems } = choice;
  const named = choice.named
    ? { kind: choice.named.kind ?? ("RollbackPolicy" as const), name: choice.named.name }
    : fallback === undefined
      ? undefined
      : { kind: "ClusterRollbackPolicy" as const, name: fallback };
  const chosen: ChosenLayers = { layers: [], current: true, notices: [] };
  const usable = (policy: Written | undefined, what: string, layer: (policy: Written) => Layer, before: Layer | undefined) => {
    const wrong = policy && problems(policy.spec)[0];
    if (policy && wrong === undefined) return layer(policy);
    const why = policy ? `${what} can't be used (${wrong})` : `${what} does not exist`;
    const then = before
      ? `the last valid one, ${layerName(before)} of generation ${before.generation}, stays in force`
      : "the built-in checks and the other layers are in force";
    chosen.current = false;
    chosen.notices.push(`${why}; ${then}`);
    return before;
  };
  const add = (layer: Layer | undefined) => {
    if (layer) chosen.layers.push(layer);
  };
  // One that is named is no Default layer besides; one that is Required and selects the deployment stays Required.
  const isNamed = (policy: ClusterRollbackPolicy) =>
    named?.kind === "ClusterRollbackPolicy" && policy.metadata.name === named.name && policy.spec.enforcement !== "Required";
  const selected = cluster.filter((policy) => isSelected(policy, choice) && !isNamed(policy));
  for (const policy of selected) {
    const { name } = policy.metadata;
    const before = last.find((one) => one.kind === policy.kind && one.name === name && one.enforcement !== undefined);
    const enforcement = policy.spec.enforcement ?? "Default";
    add(usable(policy, `ClusterRollbackPolicy/${name}`, (one) => layerOf(one, enforcement), before));
  }
  if (!named || selected.some((one) => one.kind === named.kind && one.metadata.name === named.name)) return chosen;
  const policy =
    named.kind === "RollbackPolicy" ? choice.namespaced(named.name) : cluster.find((one) => one.metadata.name === named.name);
  // One that was Required and is gone stays what it was.
  const before =
    last.find((one) => one.kind === named.kind && one.name === named.name && (!policy || one.enforcement === undefined)) ??
    last.find((one) => one.enforcement === undefined);
  const by = choice.named ? "" : " (named by the RollguardConfig)";
  add(usable(policy, `${layerName(named)}${by}`, (one) => layerOf(one), before));
  return chosen;
}
