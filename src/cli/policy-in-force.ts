// The policy in force for a deployment of the cluster: merged from the layers that the operator keeps with it, so that it is what
// the operator decides by, and reading it needs nothing outside of the namespace.
import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { LABELS } from "../api/names.ts";
import type { RollbackPolicy, RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import type { RollguardConfig } from "../api/rollguardconfig.ts";
import { isControlledBy } from "../controllers/facts.ts";
import { keptLayers } from "../controllers/policies.ts";
import { type ChosenLayers, chooseLayers } from "../core/chooselayers.ts";
import { effectivePolicy, layerName, type MergedPolicy, mergeLayers } from "../core/layers.ts";
import type { Policy } from "../core/policy.ts";
import type { ControllerRevision, KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Session } from "./session.ts";

export interface PolicyInForce {
  /** What it is called, such as `RollbackPolicy/strict`. */
  name: string;
  spec: RollbackPolicySpec;
  merged: MergedPolicy;
  policy: Policy;
}

/** What the operator keeps; where it keeps nothing (yet), what is written in the cluster now. */
export async function policyInForce(session: Session, mdep: ModelDeployment): Promise<PolicyInForce> {
  const { namespace = "default", name, uid } = mdep.metadata;
  const { policy } = mdep.status ?? {};
  const { items } = await session.client.listAll<ControllerRevision>(RESOURCES.controllerRevisions, {
    namespace,
    labelSelector: `${LABELS.keeps}=policy,${LABELS.deployment}=${name}`,
  });
  const kept = items.filter((one) => isControlledBy(one, uid)).sort((a, b) => b.revision - a.revision);
  // The operator merges the same layers; one whose hash is not the status's is about to be replaced.
  const candidates = kept.map((one) => mergeLayers(keptLayers(one)));
  const merged = candidates.find((one) => one.hash === policy?.hash) ?? candidates[0];
  if (merged) return inForce(merged, { current: policy?.current ?? true, notices: [] });
  if (policy?.names?.length === 0) return inForce(mergeLayers([]), { current: policy.current ?? true, notices: [] });
  const { layers, current, notices } = await written(session, mdep, namespace);
  return inForce(mergeLayers(layers), { current, notices });
}

async function written({ client }: Session, mdep: ModelDeployment, namespace: string): Promise<ChosenLayers> {
  const named = mdep.spec.policy;
  const [home, config, cluster, own] = await Promise.all([
    client.find(RESOURCES.namespaces, { name: namespace }),
    client.find<RollguardConfig & KubeObject>(RESOURCES.rollguardConfigs, { name: "cluster" }),
    client.listAll<ClusterRollbackPolicy & KubeObject>(RESOURCES.clusterRollbackPolicies),
    named && named.kind !== "ClusterRollbackPolicy"
      ? client.find<RollbackPolicy & KubeObject>(RESOURCES.rollbackPolicies, { namespace, name: named.name })
      : undefined,
  ]);
  const fallback = config?.spec.defaults?.policy;
  return chooseLayers({
    ...(named ? { named } : {}),
    ...(fallback === undefined ? {} : { fallback }),
    ...(mdep.metadata.labels ? { labels: mdep.metadata.labels } : {}),
    ...(home?.metadata.labels ? { namespaceLabels: home.metadata.labels } : {}),
    cluster: cluster.items,
    namespaced: () => own,
    last: [],
  });
}

/** A merged policy as people name it. */
export function inForce(merged: MergedPolicy, more: { current: boolean; notices: readonly string[] }): PolicyInForce {
  const name = merged.layers.length === 0 ? "the built-in policy" : merged.layers.map(layerName).join(" + ");
  return { name, spec: merged.spec, merged, policy: effectivePolicy(merged, more) };
}
