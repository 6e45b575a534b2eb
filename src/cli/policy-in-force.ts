// The policy in force for a deployment of the cluster, resolved as the operator resolves it.
import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { RollbackPolicy, RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import type { Policy } from "../core/policy.ts";
import { resolvePolicy } from "../core/resolve.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Session } from "./session.ts";

export interface PolicyInForce {
  /** What it is called, such as `RollbackPolicy/strict`. */
  name: string;
  spec: RollbackPolicySpec | undefined;
  policy: Policy;
}

/** A name that does not exist (yet) leaves the built-in checks. */
export async function policyInForce({ client }: Session, mdep: ModelDeployment): Promise<PolicyInForce> {
  const wanted = mdep.spec.policy;
  const { namespace = "default" } = mdep.metadata;
  const found =
    wanted === undefined
      ? undefined
      : wanted.kind === "ClusterRollbackPolicy"
        ? await client.find<ClusterRollbackPolicy & KubeObject>(RESOURCES.clusterRollbackPolicies, { name: wanted.name })
        : await client.find<RollbackPolicy & KubeObject>(RESOURCES.rollbackPolicies, { namespace, name: wanted.name });
  if (!found) return { name: "the built-in policy", spec: undefined, policy: resolvePolicy(undefined) };
  const { kind, metadata, spec } = found;
  const policy = resolvePolicy(spec, { kind, name: metadata.name, generation: metadata.generation ?? 0 });
  return { name: `${kind}/${metadata.name}`, spec, policy };
}
