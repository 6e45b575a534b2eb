// The status of what deployments name: of policies, whether they can be used and by how many deployments they are; of metric
// sources, whether they answer. Written where it changed and nowhere else.

import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import type { Condition } from "../api/common.ts";
import type { MetricSource } from "../api/metricsource.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { FIELD_MANAGER } from "../api/names.ts";
import type { RollbackPolicy } from "../api/rollbackpolicy.ts";
import { policyProblems } from "../core/valid.ts";
import { isKind } from "../kube/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import { sanitizeLine } from "../text.ts";
import type { Executor } from "./apply.ts";
import type { Caches } from "./caches.ts";
import { differences } from "./objects.ts";
import type { SourceState } from "./sourcehealth.ts";

type Policy = RollbackPolicy | ClusterRollbackPolicy;
type Said = Pick<Condition, "status" | "reason" | "message">;

function ready(
  object: { metadata: { generation?: number | undefined }; status?: { conditions?: Condition[] | undefined } | undefined },
  said: Said,
  now: string,
) {
  const before = object.status?.conditions?.find((one) => one.type === "Ready");
  const observedGeneration = object.metadata.generation ?? 0;
  return {
    observedGeneration,
    conditions: [
      {
        type: "Ready",
        ...said,
        observedGeneration,
        lastTransitionTime: before && before.status === said.status ? before.lastTransitionTime : now,
      },
    ],
  };
}

/**
 * The status that a policy should have.
 * @param deployments those that it could be in force for
 * @param knowsSource whether there is a MetricSource of that name
 */
export function policyStatus(
  policy: Policy,
  deployments: readonly ModelDeployment[],
  knowsSource: (name: string) => boolean,
  now: string,
): NonNullable<Policy["status"]> {
  const name = `${policy.kind}/${policy.metadata.name}`;
  const usedBy = deployments.filter((one) => (one.status?.policy?.names ?? []).includes(name)).length;
  const problems = policyProblems(policy.spec);
  const unknown = (policy.spec.checks ?? []).filter((check) => !knowsSource(check.source));
  const said: Said =
    problems.length > 0
      ? { status: "False", reason: "Invalid", message: sanitizeLine(problems.join("; "), 1024) }
      : unknown.length > 0
        ? {
            status: "False",
            reason: "UnknownSource",
            message: sanitizeLine(
              unknown.map((check) => `checks[${check.name}].source: there is no MetricSource ${check.source}`).join("; "),
              1024,
            ),
          }
        : { status: "True", reason: "Valid", message: "can be used" };
  return { ...ready(policy, said, now), usedBy };
}

/** The status that a source should have; what is not known (yet) stays as it was said. */
export function sourceStatus(
  source: MetricSource,
  seen: SourceState | undefined,
  now: string,
): NonNullable<MetricSource["status"]> {
  const before = source.status?.conditions?.find((one) => one.type === "Ready");
  const known: Said | undefined = seen && {
    status: seen.state === "Answering" ? "True" : "False",
    reason: seen.state === "Answering" ? "Answering" : "NotAnswering",
    message: sanitizeLine(seen.message, 1024),
  };
  const kept = before && source.status?.observedGeneration === source.metadata.generation ? before : undefined;
  const { status, reason, message } = known ??
    kept ?? { status: "Unknown", reason: "NotAsked", message: "no check has asked it yet" };
  return ready(source, { status, reason, message }, now);
}

function wantedStatus(caches: Caches, key: string, seen: (source: string) => SourceState | undefined, now: string) {
  const [kind = "", namespace = "", name = ""] = key.split("/");
  // One that came from a file has no status.
  if (kind !== "RollbackPolicy" && !caches.hasClusterScope) return undefined;
  if (kind === "MetricSource") {
    const source = caches.sources.get(undefined, name);
    return source && { object: source, status: sourceStatus(source, seen(name), now) };
  }
  const policy = kind === "RollbackPolicy" ? caches.policies.get(namespace, name) : caches.clusterPolicies.get(undefined, name);
  const scope = kind === "RollbackPolicy" ? namespace : undefined;
  const knows = (source: string) => caches.sources.get(undefined, source) !== undefined;
  return policy && { object: policy, status: policyStatus(policy, caches.deployments.list(scope), knows, now) };
}

/** Brings one status up to date. */
export async function reconcileNamed(
  executor: Executor,
  key: string,
  seen: (source: string) => SourceState | undefined,
  now: () => number,
): Promise<void> {
  const wanted = wantedStatus(executor.caches, key, seen, new Date(now()).toISOString());
  if (!wanted || wanted.object.metadata.deletionTimestamp !== undefined) return;
  const { apiVersion, kind, metadata, spec, status } = wanted.object;
  if (differences(wanted.status, status ?? {}).length === 0) return;
  executor.assertLeading();
  const { name, namespace, uid, resourceVersion } = metadata;
  const object = { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, spec, status: wanted.status };
  try {
    await executor.client.replaceStatus(object as unknown as KubeObject, { fieldManager: FIELD_MANAGER });
  } catch (error) {
    // The next event brings the newer object.
    if (!isKind(error, "Conflict", "NotFound")) throw error;
  }
}
