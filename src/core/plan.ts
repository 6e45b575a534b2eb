// The objects that should exist, from the status alone: which Services select what, which revisions run at which size, and what may go.
// Written after the status, so that a crash at any point, a stale cache or a second leader comes to the same end.

import { parseDuration } from "../api/common.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { candidateSize, hasShare, sharingOf } from "./canary.ts";
import type { ChildPlan } from "./childplan.ts";
import { returning } from "./context.ts";
import { needsDryRun, recreateChildren, strategyOf } from "./recreate.ts";
import type { Snapshot } from "./snapshot.ts";

export interface Plan {
  /** The revision that the Service selects; All: every pod of the deployment; undefined: there is no Service yet. */
  service?: number | "All";
  preview?: number;
  /** Weight of the candidate's Service in percent, on the HTTPRoute; undefined: no route is wanted. */
  routeWeight?: number;
  children: ChildPlan[];
  /** Revisions whose Deployment goes now. */
  remove: number[];
  /** The revision whose ControllerRevision must exist before its child; only while it is the pinned content. */
  keep?: number;
  /** Proof to be written on a ControllerRevision. */
  proof?: { revision: number; provenAt: string; baseline: unknown };
  /** The candidate whose Deployment the API server is asked about, at its full size, before anything makes room for it. */
  dryRun?: { revision: number; replicas: number };
  /** The revisions that a PodDisruptionBudget covers: those that receive traffic; undefined: none is asked for. */
  budget?: number[];
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

/** When the standby is scaled to 0, ms epoch; undefined: not before the active revision is proven. */
export function standbyUntil(deployment: ModelDeployment, { active }: ModelDeploymentStatus): number | undefined {
  if (!active?.provenAt || active.baking || active.standing !== "Proven") return undefined;
  return Date.parse(active.provenAt) + parseDuration(deployment.spec.strategy?.standby?.for ?? "1h");
}

function standbySize(deployment: ModelDeployment, status: ModelDeploymentStatus, now: number, wake: number[]): number {
  const replicas = deployment.spec.replicas ?? 1;
  const { active } = status;
  // Until its successor is proven the standby stays at full size: that is what a warm return is.
  if (!active || active.baking || active.standing !== "Proven" || returning(status)) return replicas;
  const until = standbyUntil(deployment, status) ?? now;
  if (now >= until) return 0;
  wake.push(until);
  // What nobody wants of the active one nobody wants of its standby either.
  return Math.min(scaled(deployment.spec.strategy?.standby?.replicas, replicas), replicas);
}

/** A standby's pods are replaced after the drain, so that no kept-alive connection keeps talking to the old model. */
function freshMark(snapshot: Snapshot, status: ModelDeploymentStatus, revision: number, due: boolean): string {
  const child = snapshot.children.find((one) => one.revision === revision);
  if (!due) return child?.fresh ?? "";
  return status.standby?.lostTrafficAt ?? child?.fresh ?? "";
}

/** What the Services select and the route weighs: the candidate gets a share only by a step that the status names. */
function trafficOf(snapshot: Snapshot, status: ModelDeploymentStatus): Pick<Plan, "service" | "preview" | "routeWeight"> {
  const { active, candidate, rollout } = status;
  if (!active) return candidate ? { preview: candidate.revision } : {};
  const sharing = sharingOf(snapshot.deployment);
  const shared = hasShare(status) && !returning(status);
  const byRoute = shared && sharing === "Route";
  // A Gateway may go on sending the old weight to the preview Service for a while: until the weight is known to be 0 that
  // Service leads to the active revision, so that no later candidate gets it.
  const { route } = snapshot;
  const atRest = route === undefined || (route.preview === 0 && (route.generationSeen || sharing !== "Route"));
  const preview = candidate && (byRoute || atRest) ? candidate.revision : active.revision;
  // A route that the spec does not want any more is only brought to rest.
  const wanted = sharing === "Route" || (route !== undefined && route.preview > 0);
  return {
    service: shared && sharing === "Replicas" ? "All" : active.revision,
    preview,
    ...(wanted ? { routeWeight: byRoute ? (rollout?.weight ?? 0) : 0 } : {}),
  };
}

export function plan(snapshot: Snapshot, status: ModelDeploymentStatus, now: number): Plan {
  const { deployment } = snapshot;
  const { active, candidate, standby, rollback, rollout } = status;
  if (strategyOf(deployment, status) === "Recreate")
    return { ...recreateChildren(snapshot, status), ...around(snapshot, status) };
  const traffic = trafficOf(snapshot, status);
  const sharing = sharingOf(deployment);
  const replicas = deployment.spec.replicas ?? 1;
  const wake: number[] = [];
  const children = new Map<number, ChildPlan>();
  const want = (revision: number, size: number, due = false) => {
    const before = children.get(revision)?.replicas ?? 0;
    const fresh = freshMark(snapshot, status, revision, due);
    const apart =
      sharing === "Replicas" && revision !== active?.revision && !(traffic.service === "All" && revision === candidate?.revision);
    children.set(revision, { revision, replicas: Math.max(size, before), fresh, ...(apart ? { afterService: true } : {}) });
  };
  const drainedAt =
    active?.arrivedAt === undefined
      ? undefined
      : Date.parse(active.arrivedAt) + parseDuration(deployment.spec.strategy?.drain ?? "30s");
  const drained = drainedAt !== undefined && now >= drainedAt;
  /** A candidate that lost its share, or waits for its next try, shrinks only when what was sent to its pods is done. */
  const sizeOfCandidate = () => {
    const size = rollout?.retryAt ? 0 : candidateSize(deployment, status);
    if (!sharing || !active || drained || hasShare(status)) return size;
    return Math.max(size, snapshot.children.find((child) => child.revision === candidate?.revision)?.replicas ?? 0);
  };
  if (standby) want(standby.revision, standbySize(deployment, status, now, wake), drained);
  if (active) want(active.revision, replicas);
  if (candidate) want(candidate.revision, sizeOfCandidate());
  if (returning(status) && rollback?.to) want(rollback.to.revision, replicas);
  const others = snapshot.children.filter((child) => !child.foreign && !children.has(child.revision));
  const remove: number[] = [];
  for (const child of others) {
    const wait = active !== undefined && !drained;
    if (wait) want(child.revision, child.replicas);
    else remove.push(child.revision);
  }
  if (!drained && drainedAt !== undefined && (others.length > 0 || standby || (sharing && candidate))) wake.push(drainedAt);
  return {
    ...around(snapshot, status),
    children: [...children.values()].sort((a, b) => a.revision - b.revision),
    remove,
    ...(wake.length > 0 ? { wakeAt: Math.min(...wake) } : {}),
  };
}

function budgetOf(snapshot: Snapshot, status: ModelDeploymentStatus): Pick<Plan, "budget"> {
  const { active, candidate } = status;
  if (!active || snapshot.deployment.spec.podDisruptionBudget === undefined) return {};
  const shared = candidate && hasShare(status) && !returning(status) ? [candidate.revision] : [];
  return { budget: [active.revision, ...shared] };
}

/** What does not depend on how revisions make way for each other. */
function around(snapshot: Snapshot, status: ModelDeploymentStatus): Omit<Plan, "children" | "remove" | "wakeAt"> {
  const { candidate } = status;
  const known = status.lastHealthy;
  const written = snapshot.revisions.find((one) => one.revision === known?.revision)?.provenAt;
  return {
    ...trafficOf(snapshot, status),
    ...budgetOf(snapshot, status),
    ...(candidate ? { keep: candidate.revision } : {}),
    ...(candidate && needsDryRun(snapshot, status)
      ? { dryRun: { revision: candidate.revision, replicas: snapshot.deployment.spec.replicas ?? 1 } }
      : {}),
    ...(known?.provenAt && written !== known.provenAt
      ? { proof: { revision: known.revision, provenAt: known.provenAt, baseline: known.baseline ?? [] } }
      : {}),
  };
}
