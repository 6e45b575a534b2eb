// The objects that should exist, from the status alone: which Services select what, which revisions run at which size, and what may go.
// Written after the status, so that a crash at any point, a stale cache or a second leader comes to the same end.

import { parseDuration } from "../api/common.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { returning } from "./context.ts";
import { needsDryRun, recreateChildren, strategyOf } from "./recreate.ts";
import type { Snapshot } from "./snapshot.ts";

export interface ChildPlan {
  revision: number;
  replicas: number;
  /** A mark in the pod template; where it changes, the pods are replaced one by one. */
  fresh: string;
}

export interface Plan {
  /** The revision that the Service selects; undefined: there is no Service yet. */
  service?: number;
  preview?: number;
  children: ChildPlan[];
  /** Revisions whose Deployment goes now. */
  remove: number[];
  /** The revision whose ControllerRevision must exist before its child; only while it is the pinned content. */
  keep?: number;
  /** Proof to be written on a ControllerRevision. */
  proof?: { revision: number; provenAt: string; baseline: unknown };
  /** The candidate whose Deployment the API server is asked about, at its full size, before anything makes room for it. */
  dryRun?: { revision: number; replicas: number };
  /** When the plan changes by time alone, ms epoch. */
  wakeAt?: number;
}

/** A number, or a share of `replicas` such as "50%", rounded up. */
export function scaled(amount: string | number | undefined, replicas: number): number {
  if (amount === undefined) return replicas;
  if (typeof amount === "number") return amount;
  const match = /^(\d+)%$/.exec(amount);
  return match ? Math.ceil((replicas * Number(match[1])) / 100) : Number(amount);
}

function standbySize(deployment: ModelDeployment, status: ModelDeploymentStatus, now: number, wake: number[]): number {
  const replicas = deployment.spec.replicas ?? 1;
  const { active } = status;
  // Until its successor is proven the standby stays at full size: that is what a warm return is.
  if (!active || active.baking || active.standing !== "Proven" || returning(status)) return replicas;
  const until = Date.parse(active.provenAt ?? "") + parseDuration(deployment.spec.strategy?.standby?.for ?? "1h");
  if (now >= until) return 0;
  wake.push(until);
  return scaled(deployment.spec.strategy?.standby?.replicas, replicas);
}

/** A standby's pods are replaced after the drain, so that no kept-alive connection keeps talking to the old model. */
function freshMark(snapshot: Snapshot, status: ModelDeploymentStatus, revision: number, due: boolean): string {
  const child = snapshot.children.find((one) => one.revision === revision);
  if (!due) return child?.fresh ?? "";
  return status.standby?.lostTrafficAt ?? child?.fresh ?? "";
}

export function plan(snapshot: Snapshot, status: ModelDeploymentStatus, now: number): Plan {
  const { deployment } = snapshot;
  const { active, candidate, standby, rollback, rollout } = status;
  if (strategyOf(deployment, status) === "Recreate")
    return { ...recreateChildren(snapshot, status), ...around(snapshot, status) };
  const replicas = deployment.spec.replicas ?? 1;
  const wake: number[] = [];
  const children = new Map<number, ChildPlan>();
  const want = (revision: number, size: number, due = false) => {
    const before = children.get(revision)?.replicas ?? 0;
    children.set(revision, { revision, replicas: Math.max(size, before), fresh: freshMark(snapshot, status, revision, due) });
  };
  const drainedAt =
    active?.settledAt === undefined
      ? undefined
      : Date.parse(active.settledAt) + parseDuration(deployment.spec.strategy?.drain ?? "30s");
  const drained = drainedAt !== undefined && now >= drainedAt;
  if (standby) want(standby.revision, standbySize(deployment, status, now, wake), drained);
  if (active) want(active.revision, replicas);
  if (candidate) want(candidate.revision, rollout?.retryAt ? 0 : replicas);
  if (returning(status) && rollback?.to) want(rollback.to.revision, replicas);
  const others = snapshot.children.filter((child) => !child.foreign && !children.has(child.revision));
  const remove: number[] = [];
  for (const child of others) {
    const wait = active !== undefined && !drained;
    if (wait) want(child.revision, child.replicas);
    else remove.push(child.revision);
  }
  if (!drained && drainedAt !== undefined && (others.length > 0 || standby)) wake.push(drainedAt);
  return {
    ...around(snapshot, status),
    children: [...children.values()].sort((a, b) => a.revision - b.revision),
    remove,
    ...(wake.length > 0 ? { wakeAt: Math.min(...wake) } : {}),
  };
}

/** What does not depend on how revisions make way for each other. */
function around(snapshot: Snapshot, status: ModelDeploymentStatus): Omit<Plan, "children" | "remove" | "wakeAt"> {
  const { active, candidate } = status;
  const known = status.lastHealthy;
  const written = snapshot.revisions.find((one) => one.revision === known?.revision)?.provenAt;
  return {
    ...(active ? { service: active.revision, preview: candidate?.revision ?? active.revision } : {}),
    ...(!active && candidate ? { preview: candidate.revision } : {}),
    ...(candidate ? { keep: candidate.revision } : {}),
    ...(candidate && needsDryRun(snapshot, status)
      ? { dryRun: { revision: candidate.revision, replicas: snapshot.deployment.spec.replicas ?? 1 } }
      : {}),
    ...(known?.provenAt && written !== known.provenAt
      ? { proof: { revision: known.revision, provenAt: known.provenAt, baseline: known.baseline ?? [] } }
      : {}),
  };
}
