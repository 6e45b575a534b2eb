// The arithmetic of a canary: how many pods a candidate has at a step, which share of the traffic that is, and whose pods may run
// while the Service selects every pod of the deployment. Read from spec and status alone, so that plan and rules can't disagree.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import type { Snapshot } from "./snapshot.ts";

export type Canary = NonNullable<ModelDeployment["spec"]["strategy"]["canary"]>;
export type Step = Canary["steps"][number];

/** How the traffic is shared: by weights on an HTTPRoute, or by the number of pods behind the Service. */
export type Sharing = "Route" | "Replicas";

/** The steps of a deployment that rolls out by canary; a rollout that began with another strategy has none. */
export function canaryOf(deployment: ModelDeployment, status: ModelDeploymentStatus): Canary | undefined {
  const { type, canary } = deployment.spec.strategy ?? {};
  const begun = status.candidate ? status.rollout?.strategy : undefined;
  return type === "Canary" && (begun ?? "Canary") === "Canary" ? canary : undefined;
}

/** How a deployment shares traffic; undefined: its strategy is no canary. */
export function sharingOf(deployment: ModelDeployment): Sharing | undefined {
  const { type, canary } = deployment.spec.strategy ?? {};
  return type === "Canary" && canary ? (canary.route ? "Route" : "Replicas") : undefined;
}

/** True where a candidate has part of the traffic. */
export function hasShare(status: ModelDeploymentStatus): boolean {
  return status.candidate !== undefined && status.rollout?.step !== undefined;
}

/** True where the candidate goes by steps and has some before it; false: it takes all the traffic next. */
export function stepsLeft(deployment: ModelDeployment, status: ModelDeploymentStatus): boolean {
  const canary = canaryOf(deployment, status);
  // The first revision of all has nobody to share with.
  if (!canary || !status.active) return false;
  return (status.rollout?.step ?? 0) < canary.steps.length;
}

/**
 * Pods of a candidate that is to get `weight` percent while the active revision keeps all its `replicas`: of k and R pods the
 * candidate's share is k / (k + R). At least one, at most R: a share above a half is not reached by replicas.
 */
export function podsForShare(weight: number, replicas: number): number {
  const exact = weight >= 100 ? replicas : Math.round((replicas * weight) / (100 - weight));
  return Math.min(Math.max(exact, 1), replicas);
}

/** Pods that carry `weight` percent of what `replicas` pods carry. */
function podsForWeight(weight: number, replicas: number): number {
  return Math.min(Math.max(Math.ceil((replicas * weight) / 100), 1), replicas);
}

/** Pods of the candidate at a step; after the last step, and where there are none, its full size. */
function sizeAt(deployment: ModelDeployment, canary: Canary | undefined, index: number): number {
  const replicas = deployment.spec.replicas ?? 1;
  const step = canary?.steps[index];
  if (!canary || !step) return replicas;
  return canary.route ? podsForWeight(step.weight, replicas) : podsForShare(step.weight, replicas);
}

/** How many pods the candidate has to have now. Follows `replicas` where they are changed from outside. */
export function candidateSize(deployment: ModelDeployment, status: ModelDeploymentStatus): number {
  if (!status.active) return deployment.spec.replicas ?? 1;
  return sizeAt(deployment, canaryOf(deployment, status), status.rollout?.step ?? 0);
}

/** The share in percent that a step reaches by replicas when all its pods are ready. */
export function shareAt(deployment: ModelDeployment, canary: Canary, index: number): number {
  const replicas = deployment.spec.replicas ?? 1;
  const pods = sizeAt(deployment, canary, index);
  return percent(pods, pods + replicas);
}

/** Rounded to whole percent, so that a status is not written for less. */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((100 * part) / whole);
}

/** The share that the candidate really has, in percent; undefined while nothing says. */
export function shareReached(snapshot: Snapshot, status: ModelDeploymentStatus): number | undefined {
  const { candidate, active, rollout } = status;
  if (!candidate || !active || rollout?.step === undefined) return undefined;
  if (sharingOf(snapshot.deployment) === "Route") return snapshot.route?.preview;
  const ready = snapshot.active?.ready ?? {};
  const all = Object.values(ready).reduce((sum, count) => sum + count, 0);
  return all === 0 ? undefined : percent(ready[candidate.revision] ?? 0, all);
}

/**
 * Revisions other than `kept` that have pods, those that end included; 0 stands for pods with the deployment's label and no
 * revision. A Service that selects every pod of the deployment would send them traffic.
 */
export function strangers(snapshot: Snapshot, kept: readonly (number | undefined)[]): number[] {
  const found = new Set<number>();
  for (const [revision, count] of Object.entries(snapshot.pods ?? {})) if (count > 0) found.add(Number(revision));
  for (const child of snapshot.children) if (child.replicas > 0) found.add(child.revision);
  for (const revision of kept) if (revision !== undefined) found.delete(revision);
  return [...found].sort((a, b) => a - b);
}
