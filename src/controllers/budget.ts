// The PodDisruptionBudget of a deployment, where one is asked for: it covers the pods that receive traffic, and moves with it.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import { LABELS } from "../api/names.ts";
import type { PodDisruptionBudget } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { applyWhereDifferent, type Executor } from "./apply.ts";
import { isControlledBy } from "./facts.ts";
import { ownedMeta } from "./objects.ts";

/** @param revisions those that receive traffic */
export function disruptionBudget(deployment: ModelDeployment, revisions: readonly number[]): PodDisruptionBudget {
  const { name } = deployment.metadata;
  const labels = { [LABELS.deployment]: name };
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: ownedMeta(deployment, name, labels, {}),
    spec: {
      ...deployment.spec.podDisruptionBudget,
      selector: {
        matchLabels: labels,
        matchExpressions: [{ key: LABELS.revision, operator: "In", values: revisions.map(String) }],
      },
    },
  };
}

/** Writes the budget where it is wanted and differs; one of ours that is no longer asked for goes. */
export async function writeBudget(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  revisions: readonly number[] | undefined,
): Promise<void> {
  const { name, namespace, uid } = deployment.metadata;
  const live = executor.caches.budgets.of(key).find((one) => one.metadata.name === name);
  if (revisions) {
    const wanted = disruptionBudget(deployment, revisions);
    // Of the two limits one may be set, and apply takes away only what we own: the other one is made again without it.
    const other = deployment.spec.podDisruptionBudget?.minAvailable === undefined ? "minAvailable" : "maxUnavailable";
    if (!live || live.spec[other] === undefined || !isControlledBy(live, uid)) {
      await applyWhereDifferent(executor, wanted, live, uid);
      return;
    }
  }
  if (!live || !isControlledBy(live, uid)) return;
  executor.assertLeading();
  await executor.client.delete(
    RESOURCES.podDisruptionBudgets,
    { namespace, name },
    { preconditions: { uid: live.metadata.uid, resourceVersion: live.metadata.resourceVersion } },
  );
}
