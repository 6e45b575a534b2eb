// The policy in force for a deployment of the cluster: merged from the layers that the operator keeps with it, so that it is what
// the operator decides by, and reading it needs nothing outside of the namespace.
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { LABELS } from "../api/names.ts";
import type { RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import { isControlledBy } from "../controllers/facts.ts";
import { keptLayers } from "../controllers/policies.ts";
import { effectivePolicy, layerName, type MergedPolicy, mergeLayers } from "../core/layers.ts";
import type { Policy } from "../core/policy.ts";
import type { ControllerRevision } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { CliError } from "./io.ts";
import type { Session } from "./session.ts";

export interface PolicyInForce {
  /** What it is called, such as `RollbackPolicy/strict`. */
  name: string;
  spec: RollbackPolicySpec;
  merged: MergedPolicy;
  policy: Policy;
}

/** Throws where the operator has not kept any policy for it, although its status names some. */
export async function policyInForce({ client }: Session, mdep: ModelDeployment): Promise<PolicyInForce> {
  const { namespace = "default", name, uid } = mdep.metadata;
  const { items } = await client.listAll<ControllerRevision>(RESOURCES.controllerRevisions, {
    namespace,
    labelSelector: `${LABELS.keeps}=policy,${LABELS.deployment}=${name}`,
  });
  const kept = items.filter((one) => isControlledBy(one, uid)).sort((a, b) => b.revision - a.revision);
  const named = mdep.status?.policy?.names ?? [];
  // The operator merges the same layers; one whose hash is not the status's is about to be replaced.
  const candidates = kept.map((one) => mergeLayers(keptLayers(one)));
  const merged = candidates.find((one) => one.hash === mdep.status?.policy?.hash) ?? candidates[0] ?? mergeLayers([]);
  if (merged.layers.length === 0 && named.length > 0) {
    throw new CliError(`the layers of ${name}'s policy (${named.join(", ")}) are not kept yet`, [
      "the operator keeps them within a moment; try again, or look at its log",
    ]);
  }
  return inForce(merged, { current: mdep.status?.policy?.current ?? true, notices: [] });
}

/** A merged policy as people name it. */
export function inForce(merged: MergedPolicy, more: { current: boolean; notices: readonly string[] }): PolicyInForce {
  const name = merged.layers.length === 0 ? "the built-in policy" : merged.layers.map(layerName).join(" + ");
  return { name, spec: merged.spec, merged, policy: effectivePolicy(merged, more) };
}
