// Which deployments, versions and policies a change concerns: what has to be looked at again, and nothing else.

import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import type { RollguardConfig } from "../api/rollguardconfig.ts";
import { isSelected } from "../core/chooselayers.ts";
import { configMapsOf } from "../core/render.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Reflector } from "../kube/reflector.ts";
import type { CachedDeployment } from "./cached.ts";

/** The part of a reflector that is asked here. */
type Lookup<T extends KubeObject> = Pick<Reflector<T>, "get">;

export function versionsOf({ spec, status }: CachedDeployment): Set<string> {
  const refs = [status?.active, status?.candidate, status?.standby, ...(status?.quarantine ?? [])];
  return new Set([spec.version, ...refs.flatMap((ref) => (ref ? [ref.version] : []))]);
}

export const namedKey = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.namespace ?? ""}/${metadata.name}`;

/**
 * The policies whose use by this deployment began or ended, as `<kind>/<namespace>/<name>`.
 * @param exists whether it is still there
 */
export function policiesChanged(object: CachedDeployment, previous: CachedDeployment | undefined, exists: boolean): string[] {
  const used = (one: CachedDeployment | undefined) => new Set(one?.status?.policy?.names ?? []);
  const [now, before] = [used(exists ? object : undefined), used(previous)];
  const changed = [...new Set([...now, ...before])].filter((name) => now.has(name) !== before.has(name));
  return changed.map((name) => {
    const [kind = "", policy = ""] = name.split("/");
    return `${kind}/${kind === "ClusterRollbackPolicy" ? "" : (object.metadata.namespace ?? "")}/${policy}`;
  });
}

export function concernsVersion(deployment: CachedDeployment, version: string): boolean {
  const { status, spec } = deployment;
  if (spec.version === version) return true;
  return (
    [status?.active, status?.candidate, status?.standby].some((ref) => ref?.version === version) || status?.pending !== undefined
  );
}

export function namesConfigMap(deployment: CachedDeployment, name: string): boolean {
  return configMapsOf(deployment.spec.template as Record<string, unknown>).some((one) => one.name === name);
}

/** Whether a cluster policy is named by a deployment, or by the RollguardConfig for it, or selects it. */
export function concernsPolicy(
  { configs, namespaces }: { configs: Lookup<RollguardConfig & KubeObject>; namespaces: Lookup<KubeObject> },
  { metadata, spec }: CachedDeployment,
  policy: ClusterRollbackPolicy,
): boolean {
  const named = spec.policy ? spec.policy.name : configs.get(undefined, "cluster")?.spec.defaults?.policy;
  if (named === policy.metadata.name) return true;
  const namespaceLabels = namespaces.get(undefined, metadata.namespace ?? "")?.metadata.labels;
  return isSelected(policy, {
    ...(metadata.labels ? { labels: metadata.labels } : {}),
    ...(namespaceLabels ? { namespaceLabels } : {}),
  });
}
