// Writes a decision: first the status (the intent), then the cluster after it. Every write carries the resource version that it
// was decided on, so that a late leader or a stale cache changes nothing.

import { KEPT_PROVEN_REVISIONS } from "../api/defaults.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { ANNOTATIONS, childName, configMapCopyName, FIELD_MANAGER } from "../api/names.ts";
import type { Plan } from "../core/plan.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { isKind } from "../kube/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES, type Resource, resourceOf } from "../kube/resources.ts";
import { applyWhereDifferent, type Executor, mayWrite, NameTaken } from "./apply.ts";
import { writeBudget } from "./budget.ts";
import { healCopies, type LostContent, writeCopies } from "./copies.ts";
import { isControlledBy, type KeptRevision, keptOf, REVOKED_ANNOTATION } from "./facts.ts";
import { childDeployment, controllerRevision } from "./objects.ts";
import { writePreview, writeRoute, writeService } from "./traffic.ts";

/** The API server refuses the Deployment of a revision as it is: its template is not valid here, or a quota forbids it. */
export class ChildRefused extends Error {
  readonly revision: number;
  constructor(revision: number, message: string) {
    super(message);
    this.revision = revision;
  }
}

/** Takes the write-ahead step: the status, with the resource version that was decided on as its precondition. */
export async function writeStatus(
  executor: Executor,
  deployment: ModelDeployment,
  status: ModelDeployment["status"],
  urgent: boolean,
): Promise<ModelDeployment> {
  executor.assertLeading();
  const { apiVersion, kind, metadata } = deployment;
  const { name, namespace, uid, resourceVersion } = metadata;
  const body = { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, spec: deployment.spec, status };
  const written = await executor.client.replaceStatus(body as unknown as KubeObject, {
    fieldManager: FIELD_MANAGER,
    ...(urgent ? { lane: "urgent" as const } : {}),
  });
  return written as unknown as ModelDeployment;
}

/** Keeps the content of a new revision before anything runs of it. Immutable data: there is nothing to compare. */
async function writeRevision(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  revision: number,
  kept: () => KeptRevision | undefined,
): Promise<void> {
  const name = childName(deployment.metadata.name, revision);
  if (executor.caches.revisions.of(key).some((one) => one.metadata.name === name)) return;
  const content = kept();
  if (!content) return;
  await writeCopies(executor, deployment, revision, content.configMaps);
  await createIfMissing(executor, controllerRevision(deployment, revision, content));
}

async function createIfMissing(executor: Executor, object: KubeObject): Promise<void> {
  executor.assertLeading();
  try {
    await executor.client.create(object, { fieldManager: FIELD_MANAGER });
  } catch (error) {
    if (!isKind(error, "AlreadyExists")) throw error;
    const { namespace, name, ownerReferences } = object.metadata;
    const present = await executor.client.get(resourceOf(object), { namespace, name });
    if (isControlledBy(present, ownerReferences?.[0]?.uid)) return;
    throw new NameTaken(`${object.kind} ${name} exists and is not controlled by this ModelDeployment`);
  }
}

async function writeChildren(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  plan: Plan,
  kept: (revision: number) => KeptRevision | undefined,
  serviceWritten: boolean,
): Promise<void> {
  const live = executor.caches.children.of(key);
  const decision = deployment.status?.decision ?? 0;
  const { name, uid } = deployment.metadata;
  // Those that grow come first: whoever waits for them waits less.
  const size = (revision: number) => live.find((one) => one.metadata.name === childName(name, revision))?.spec.replicas ?? 0;
  const ordered = [...plan.children].sort((a, b) => b.replicas - size(b.revision) - (a.replicas - size(a.revision)));
  await eachStep(
    ordered.map((child) => async () => {
      const content = kept(child.revision);
      const early = child.afterService && !serviceWritten && child.replicas > size(child.revision);
      if (!content || early) return;
      const wanted = childDeployment(deployment, content, { ...child, decision });
      const present = live.find((one) => one.metadata.name === wanted.metadata.name);
      try {
        await applyWhereDifferent(executor, wanted, present, uid);
      } catch (error) {
        if (!isKind(error, "Invalid", "Forbidden")) throw error;
        throw new ChildRefused(child.revision, error.message);
      }
    }),
  );
}

/** Asks the API server whether it would take the candidate's Deployment at its full size. @returns false: it was not asked */
async function tryCandidate(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  plan: Plan,
  kept: (revision: number) => KeptRevision | undefined,
): Promise<boolean> {
  const content = plan.dryRun && kept(plan.dryRun.revision);
  if (!plan.dryRun || !content) return false;
  const wanted = childDeployment(deployment, content, { ...plan.dryRun, fresh: "", decision: deployment.status?.decision ?? 0 });
  const live = executor.caches.children.of(key).find((one) => one.metadata.name === wanted.metadata.name);
  if (live && !mayWrite(live, wanted, deployment.metadata.uid))
    throw new NameTaken(`Deployment ${wanted.metadata.name} exists and is not controlled by this ModelDeployment`);
  try {
    await executor.client.apply(wanted, { fieldManager: FIELD_MANAGER, force: true, dryRun: true });
    return true;
  } catch (error) {
    if (!isKind(error, "Invalid", "Forbidden")) throw error;
    throw new ChildRefused(plan.dryRun.revision, error.message);
  }
}

async function remove(executor: Executor, resource: Resource, object: KubeObject): Promise<void> {
  executor.assertLeading();
  const { namespace, name, uid, resourceVersion } = object.metadata;
  try {
    await executor.client.delete(
      resource,
      { namespace, name },
      { preconditions: { uid, resourceVersion }, propagationPolicy: "Background" },
    );
  } catch (error) {
    if (!isKind(error, "NotFound")) throw error;
  }
}

/** Proof and revocation are kept with the revision: they outlive the status's memory and the ModelVersion. */
async function annotateRevisions(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  plan: Plan,
  snapshot: Snapshot,
): Promise<void> {
  for (const object of executor.caches.revisions.of(key)) {
    if (!isControlledBy(object, deployment.metadata.uid)) continue;
    const annotations: Record<string, string> = {};
    if (plan.proof && plan.proof.revision === object.revision) {
      annotations[ANNOTATIONS.provenAt] = plan.proof.provenAt;
      annotations[ANNOTATIONS.baseline] = JSON.stringify(plan.proof.baseline);
    }
    const known = snapshot.revisions.find((one) => one.revision === object.revision);
    if (known?.revoked && object.metadata.annotations?.[REVOKED_ANNOTATION] === undefined)
      annotations[REVOKED_ANNOTATION] = known.revokedBy ?? "true";
    if (Object.keys(annotations).length === 0) continue;
    executor.assertLeading();
    const { name, namespace, resourceVersion } = object.metadata;
    await executor.client.patch(
      RESOURCES.controllerRevisions,
      { namespace: namespace ?? deployment.metadata.namespace, name },
      "merge",
      { metadata: { annotations, resourceVersion } },
      { fieldManager: FIELD_MANAGER },
    );
  }
}

/** The revisions that something runs of, may return to, or has to be recorded. */
function keptRevisions({ status }: ModelDeployment, snapshot: Snapshot, plan: Plan): Set<number | undefined> {
  const proven = snapshot.revisions
    .filter((one) => one.provenAt !== undefined)
    .sort((a, b) => Date.parse(b.provenAt ?? "") - Date.parse(a.provenAt ?? ""))
    .slice(0, KEPT_PROVEN_REVISIONS)
    .map((one) => one.revision);
  const used = [
    status?.active,
    status?.candidate,
    status?.standby,
    status?.lastHealthy,
    status?.rollback?.to,
    status?.rollback?.from,
  ].map((ref) => ref?.revision);
  const pending = new Set(
    (status?.history ?? [])
      .filter((entry) => !snapshot.recorded.has(entry.sequence))
      .flatMap((entry) => [entry.from?.revision, entry.to?.revision]),
  );
  return new Set([...proven, ...used, ...pending, ...plan.children.map((child) => child.revision)]);
}

/** What nothing can return to goes: the ControllerRevision and the copies of its ConfigMaps. */
async function prune(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  kept: ReadonlySet<number | undefined>,
): Promise<void> {
  for (const object of executor.caches.revisions.of(key)) {
    if (kept.has(object.revision) || !isControlledBy(object, deployment.metadata.uid)) continue;
    for (const name of Object.keys(keptOf(object)?.configMaps ?? {})) {
      const copyName = configMapCopyName(deployment.metadata.name, object.revision, name);
      const copy = executor.caches.configMaps.get(object.metadata.namespace, copyName);
      // A ConfigMap of a user may have such a name too.
      if (copy && isControlledBy(copy, deployment.metadata.uid)) await remove(executor, RESOURCES.configMaps, copy);
    }
    await remove(executor, RESOURCES.controllerRevisions, object);
  }
}

/** Runs every step, whatever becomes of the others, and throws the first error at the end. */
export async function eachStep(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => errors.push(error));
  if (errors.length > 0) throw errors.find((error) => error instanceof ChildRefused || error instanceof NameTaken) ?? errors[0];
}

/**
 * Makes the cluster what the plan says. Level-based: what is right already is not written, what failed is tried in the next pass.
 * One refused object holds up no other: a bad candidate must not keep the target of a return from being scaled up.
 * @param render the content of a revision that is not kept yet
 * @returns tried: a dry run of the candidate's Deployment was accepted; lost: content of ConfigMaps that is nowhere any more
 */
export async function carryOut(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  snapshot: Snapshot,
  plan: Plan,
  render: (revision: number) => KeptRevision | undefined,
): Promise<{ tried: boolean; lost: LostContent }> {
  const fresh = new Map<number, KeptRevision>();
  const kept = (revision: number): KeptRevision | undefined => {
    const object = executor.caches.revisions.of(key).find((one) => one.revision === revision);
    return (object && keptOf(object)) ?? fresh.get(revision);
  };
  let tried = false;
  let lost: LostContent = new Map();
  const keep = keptRevisions(deployment, snapshot, plan);
  const keepCandidate = async () => {
    const revision = plan.keep;
    if (revision === undefined) return;
    const content = render(revision);
    await writeRevision(executor, key, deployment, revision, () => content);
    // Only now: nothing may run of a revision that is not kept.
    if (content) fresh.set(revision, content);
  };
  let routeWritten = false;
  let serviceWritten = false;
  await eachStep([
    async () => {
      await writeRoute(executor, deployment, plan);
      routeWritten = true;
    },
    async () => {
      await writeService(executor, key, deployment, plan);
      serviceWritten = true;
    },
    // Only after the route: what it still sends to the preview Service must not reach another candidate.
    async () => {
      if (routeWritten) await writePreview(executor, key, deployment, plan);
    },
    keepCandidate,
    async () => {
      lost = await healCopies(executor, key, deployment, keep);
    },
    () => annotateRevisions(executor, key, deployment, plan, snapshot),
    async () => {
      tried = await tryCandidate(executor, key, deployment, plan, kept);
    },
    () => writeChildren(executor, key, deployment, plan, kept, serviceWritten),
    () => writeBudget(executor, key, deployment, plan.budget),
    () => removeChildren(executor, key, deployment, plan),
    () => prune(executor, key, deployment, keep),
  ]);
  return { tried, lost };
}

async function removeChildren(executor: Executor, key: string, deployment: ModelDeployment, plan: Plan): Promise<void> {
  for (const revision of plan.remove) {
    const name = childName(deployment.metadata.name, revision);
    const object = executor.caches.children.of(key).find((one) => one.metadata.name === name);
    if (object && isControlledBy(object, deployment.metadata.uid)) await remove(executor, RESOURCES.deployments, object);
  }
}
