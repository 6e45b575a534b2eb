// Recreate: one revision at a time, for accelerators without room for two. Which one may have pods follows from the status alone;
// it is scaled up when the pods of all others are gone.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import type { StrategyType } from "../api/reasons.ts";
import type { ChildPlan } from "./childplan.ts";
import { returning } from "./context.ts";
import type { Child, Snapshot } from "./snapshot.ts";

/** The strategy in force: a transition keeps the one that it began with, whatever the spec says by now. */
export function strategyOf(deployment: ModelDeployment, status: ModelDeploymentStatus): StrategyType {
  const begun = returning(status) ? status.rollback?.strategy : status.rollout?.strategy;
  return begun ?? deployment.spec.strategy?.type ?? "BlueGreen";
}

/** The revision that may have pods: the target of a return, a candidate that the active one made room for, or the active one. */
export function runnerOf(status: ModelDeploymentStatus): number | undefined {
  const { active, candidate, rollout, rollback } = status;
  if (returning(status) && rollback?.to) return rollback.to.revision;
  const mayRun = rollout?.retryAt === undefined && rollout?.halted === undefined;
  if (candidate && mayRun && (!active || active.downSince !== undefined)) return candidate.revision;
  return active?.revision;
}

/** The pods of all revisions but `runner` that still hold their resources; those on a lost node hold nothing that could be had. */
export function podsInTheWay(snapshot: Snapshot, runner: number | undefined): string[] {
  return snapshot.children
    .filter((child) => !child.foreign && child.revision !== runner)
    .flatMap((child) => child.pods.filter((pod) => !pod.lost).map((pod) => pod.name));
}

/** True where nothing holds what `runner` needs, and no Deployment may make such a pod any more. */
export function hasRoom(snapshot: Snapshot, runner: number | undefined): boolean {
  const others = snapshot.children.filter((child) => !child.foreign && child.revision !== runner);
  return others.every((child) => child.replicas === 0 && child.unseen !== true) && podsInTheWay(snapshot, runner).length === 0;
}

/** True where the Deployment of the candidate must be tried with the API server before the active one makes room for it. */
export function needsDryRun(snapshot: Snapshot, status: ModelDeploymentStatus): boolean {
  const { active, candidate, rollout } = status;
  if (!candidate || !rollout || rollout.strategy !== "Recreate" || rollout.halted || returning(status)) return false;
  if (!active || active.downSince !== undefined) return false;
  const { tried } = snapshot;
  return !(
    tried?.revision === candidate.revision &&
    tried.sequence === rollout.sequence &&
    tried.attempt === (rollout.attempt ?? 1)
  );
}

/** The Deployments under Recreate: all are at 0 but the one that runs, and those that nothing names go when their pods are gone. */
export function recreateChildren(snapshot: Snapshot, status: ModelDeploymentStatus): { children: ChildPlan[]; remove: number[] } {
  const { active, candidate, standby, rollback, rollout } = status;
  const runner = runnerOf(status);
  const childOf = (revision: number): Child | undefined => snapshot.children.find((one) => one.revision === revision);
  const started = returning(status) && rollback?.targetStartedAt !== undefined;
  const replicas = snapshot.deployment.spec.replicas ?? 1;
  const named = new Set<number>();
  for (const ref of [active, standby, returning(status) ? rollback?.to : undefined]) if (ref) named.add(ref.revision);
  // What the API server refused is not sent to it again by itself.
  if (candidate && (!rollout?.halted || childOf(candidate.revision))) named.add(candidate.revision);
  const ending = snapshot.children.filter((child) => !child.foreign && !named.has(child.revision));
  const emptied = ending.filter((child) => child.replicas === 0 && child.pods.length === 0);
  for (const child of ending) if (!emptied.includes(child)) named.add(child.revision);
  const children = [...named].map((revision): ChildPlan => {
    const child = childOf(revision);
    const size = started || hasRoom(snapshot, runner) ? replicas : (child?.replicas ?? 0);
    return { revision, replicas: revision === runner ? size : 0, fresh: child?.fresh ?? "" };
  });
  return { children: children.sort((a, b) => a.revision - b.revision), remove: emptied.map((child) => child.revision) };
}
