// From the objects of the API server to the facts that the core decides on. Pure; reads named fields only.

import { ANNOTATIONS, childName, LABELS } from "../api/names.ts";
import { type CheckProfile, readProfiles } from "../core/profile.ts";
import type {
  Child,
  ContainerFacts,
  KnownRevision,
  MeasuredBaseline,
  PersonRequest,
  PodFacts,
  ServiceFacts,
} from "../core/snapshot.ts";
import type {
  ContainerStatus,
  ControllerRevision,
  Deployment,
  EndpointSlice,
  KubeObject,
  Pod,
  Service,
} from "../kube/objects.ts";
import { sanitizeLine } from "../text.ts";

/** What a ControllerRevision keeps of a revision, in `data`. */
export interface KeptRevision {
  hash: string;
  version: string;
  artifactDigest: string;
  /** The whole spec of the ModelVersion, so that it outlives it. */
  versionSpec: Record<string, unknown>;
  /** Rendered pod template, never rendered again. */
  template: Record<string, unknown>;
  /** ConfigMaps that the template names, as they were: name and hash of the content. */
  configMaps: Record<string, string>;
  replicas?: number;
}

export function revisionOf(object: KubeObject): number | undefined {
  const number = Number(object.metadata.labels?.[LABELS.revision]);
  return Number.isInteger(number) && number > 0 ? number : undefined;
}

/**
 * The revision that a pod is of: of the one that its labels name, where the ReplicaSet of that revision's Deployment made it. A pod
 * that only bears our labels is nobody's revision: it must not count as ready, be measured or be asked. That the ReplicaSet which a
 * pod names is there and of that Deployment is kept true by Kubernetes: a pod whose owner is not there is collected, and a
 * ReplicaSet of these labels without another controller is taken over and emptied by the Deployment.
 */
export function revisionOfPod(pod: Pod): number | undefined {
  const revision = revisionOf(pod);
  const { labels, ownerReferences = [] } = pod.metadata;
  const [deployment, hash] = [labels?.[LABELS.deployment], labels?.["pod-template-hash"]];
  if (revision === undefined || deployment === undefined || hash === undefined) return undefined;
  const maker = ownerReferences.find((owner) => owner.controller === true);
  return maker?.kind === "ReplicaSet" && maker.name === `${childName(deployment, revision)}-${hash}` ? revision : undefined;
}

/** True where `object` is controlled by the object with this uid. */
export function isControlledBy(object: KubeObject, uid: string | undefined): boolean {
  return (object.metadata.ownerReferences ?? []).some((owner) => owner.controller === true && owner.uid === uid);
}

export function decisionOf(object: KubeObject): number {
  const number = Number(object.metadata.annotations?.[ANNOTATIONS.decision] ?? 0);
  // A number without room above it is none of ours: counting on from it would make the status unwritable.
  return Number.isSafeInteger(number) && number >= 0 && number < 2 ** 50 ? number : 0;
}

function isReady(pod: Pod): boolean {
  return (pod.status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True");
}

function container(status: ContainerStatus, init: boolean): ContainerFacts {
  const waiting = status.state?.waiting;
  const ended = status.state?.terminated ?? status.lastState?.terminated;
  return {
    name: status.name,
    init,
    restarts: status.restartCount,
    ...(status.state?.running ? { running: true } : {}),
    ...(waiting ? { waiting: { reason: waiting.reason ?? "", message: sanitizeLine(waiting.message ?? "", 512) } } : {}),
    ...(ended
      ? {
          terminated: {
            reason: ended.reason ?? "",
            exitCode: ended.exitCode,
            message: sanitizeLine(ended.message ?? "", 512),
            ...(ended.finishedAt === undefined ? {} : { finishedAt: ended.finishedAt }),
          },
        }
      : {}),
  };
}

/** @param nodeReady false only where the pod's node is known not to be ready */
export function podFacts(pod: Pod, nodeReady: boolean): PodFacts {
  const scheduled = (pod.status?.conditions ?? []).find((one) => one.type === "PodScheduled");
  const unschedulable =
    scheduled?.status === "False" && scheduled.reason === "Unschedulable"
      ? sanitizeLine(scheduled.message ?? "no node fits", 512)
      : undefined;
  const gated = scheduled?.status === "False" && scheduled.reason === "SchedulingGated";
  const init = pod.status?.initContainerStatuses ?? [];
  const main = pod.status?.containerStatuses ?? [];
  const started = main.some((one) => one.state?.running !== undefined || one.restartCount > 0);
  const evicted = pod.status?.reason === "Evicted" || pod.status?.reason === "NodeLost";
  return {
    name: pod.metadata.name,
    ...(pod.status?.podIP ? { ip: pod.status.podIP } : {}),
    ready: isReady(pod) && pod.metadata.deletionTimestamp === undefined,
    terminating: pod.metadata.deletionTimestamp !== undefined,
    ...(nodeReady ? {} : { lost: true }),
    accountable: started && nodeReady && !evicted,
    createdAt: pod.metadata.creationTimestamp ?? new Date(0).toISOString(),
    ...(pod.status?.reason === undefined ? {} : { reason: pod.status.reason }),
    ...(pod.status?.message === undefined ? {} : { message: sanitizeLine(pod.status.message, 512) }),
    ...(gated ? { gated: sanitizeLine(scheduled.message ?? "a scheduling gate holds it", 512) } : {}),
    ...(pod.spec.nodeName === undefined ? {} : { placed: true }),
    ...(unschedulable === undefined ? {} : { unschedulable }),
    containers: [...init.map((one) => container(one, true)), ...main.map((one) => container(one, false))],
  };
}

/** The mark in a child's pod template whose change replaces its pods. */
export const FRESH_ANNOTATION = "rollguard.dev/fresh";

export function childFacts(deployment: Deployment, revision: number, pods: PodFacts[], owner: string | undefined): Child {
  const { status, spec, metadata } = deployment;
  const seen = (status?.observedGeneration ?? -1) >= (metadata.generation ?? 0);
  const ready = pods.filter((pod) => pod.ready).length;
  return {
    revision,
    foreign: !isControlledBy(deployment, owner),
    replicas: spec.replicas ?? 1,
    ready,
    current: seen ? Math.min(status?.updatedReplicas ?? 0, ready) : 0,
    decision: decisionOf(deployment),
    fresh: spec.template.metadata?.annotations?.[FRESH_ANNOTATION] ?? "",
    pods,
    ...(seen ? {} : { unseen: true }),
    ...troubleOf(deployment),
  };
}

/** Why the controller can't make pods, in its own words: quota, admission, Pod Security. */
function troubleOf({ status }: Deployment): Pick<Child, "trouble"> {
  const failure = status?.conditions?.find((one) => one.type === "ReplicaFailure" && one.status === "True");
  if (!failure) return {};
  return { trouble: { reason: failure.reason ?? "ReplicaFailure", message: sanitizeLine(failure.message ?? "", 512) } };
}

/** Ready endpoints by revision; the revision of an endpoint is its pod's. */
export function readyByRevision(
  slices: readonly EndpointSlice[],
  podRevision: (podName: string) => number | undefined,
): Record<number, number> {
  const ready: Record<number, number> = {};
  for (const endpoint of slices.flatMap((slice) => slice.endpoints ?? [])) {
    // By the API's contract an unset `ready` means ready.
    if (endpoint.conditions?.ready === false || endpoint.targetRef?.name === undefined) continue;
    const revision = podRevision(endpoint.targetRef.name);
    // A pod that the cache does not know (any more) must not count as somebody else's traffic, nor as ours.
    if (revision !== undefined) ready[revision] = (ready[revision] ?? 0) + endpoint.addresses.length;
  }
  return ready;
}

/** The revision that a Service selects; All: every pod of the deployment; undefined: it selects by something else. */
export function selectedBy(service: Service, deployment: string): number | "All" | undefined {
  const selector = service.spec.selector ?? {};
  if (selector[LABELS.deployment] !== deployment) return undefined;
  if (Object.keys(selector).length === 1) return "All";
  const revision = Number(selector[LABELS.revision]);
  return Number.isInteger(revision) ? revision : undefined;
}

export function serviceFacts(service: Service, deployment: KubeObject, ready: Record<number, number>): ServiceFacts {
  const ours = isControlledBy(service, deployment.metadata.uid);
  const adoptable = service.metadata.annotations?.[ANNOTATIONS.adopt] === deployment.metadata.name;
  const selects = selectedBy(service, deployment.metadata.name);
  return {
    owner: ours ? "Ours" : adoptable ? "Adoptable" : "Foreign",
    ...(selects === undefined ? {} : { selects }),
    decision: decisionOf(service),
    ready,
  };
}

function parseBaseline(text: string | undefined): MeasuredBaseline[] {
  if (text === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(text);
    if (!Array.isArray(parsed)) return [];
    return parsed.filter((one): one is MeasuredBaseline => typeof one?.name === "string" && Number.isFinite(one?.value));
  } catch {
    return [];
  }
}

export function keptOf(revision: ControllerRevision): KeptRevision | undefined {
  const data = revision.data as Partial<KeptRevision> | undefined;
  return data?.hash && data.template && data.version ? (data as KeptRevision) : undefined;
}

/** What a revision measured by the hour of the day, as its ControllerRevision keeps it. */
export function keptProfiles(object: ControllerRevision): CheckProfile[] {
  return readProfiles(object.metadata.annotations?.[ANNOTATIONS.baselineHours]);
}

/**
 * @param isRevoked of a version by its name, now; a revocation that was once seen is kept in an annotation
 * @param revoker what revokes weights of that digest everywhere, now
 */
export function knownRevision(
  object: ControllerRevision,
  isRevoked: (version: string) => boolean,
  revoker: (digest: string) => string | undefined,
): KnownRevision | undefined {
  const kept = keptOf(object);
  if (!kept) return undefined;
  const annotations = object.metadata.annotations ?? {};
  const metrics = Array.isArray(kept.versionSpec?.validationMetrics) ? kept.versionSpec.validationMetrics : [];
  return {
    revision: object.revision,
    hash: kept.hash,
    version: kept.version,
    artifactDigest: kept.artifactDigest,
    ...(annotations[ANNOTATIONS.provenAt] ? { provenAt: annotations[ANNOTATIONS.provenAt] } : {}),
    baseline: parseBaseline(annotations[ANNOTATIONS.baseline]),
    validationMetrics: Object.fromEntries(metrics.map((one: { name: string; value: number }) => [one.name, one.value])),
    ...revocationOf(annotations[REVOKED_ANNOTATION], kept, isRevoked, revoker),
  };
}

/** What was once revoked stays so, and by whom it first was. */
function revocationOf(
  noted: string | undefined,
  kept: KeptRevision,
  isRevoked: (version: string) => boolean,
  revoker: (digest: string) => string | undefined,
): Pick<KnownRevision, "revoked" | "revokedBy"> {
  if (noted !== undefined) return { revoked: true, ...(noted === "true" ? {} : { revokedBy: noted }) };
  const by = isRevoked(kept.version) ? `ModelVersion ${kept.version}` : revoker(kept.artifactDigest);
  return by === undefined ? { revoked: false } : { revoked: true, revokedBy: by };
}

/** On a ControllerRevision: what revoked it; outlives the ModelVersion and what a policy says later. */
export const REVOKED_ANNOTATION = "rollguard.dev/revoked";

/**
 * `<target>/<token>`; the target of pause and resume may be left out by people, so a value without a slash is all token.
 * One that is too long has no token, and is refused by the rules.
 */
export function personRequest(raw: string | undefined): PersonRequest | undefined {
  if (raw === undefined || raw === "") return undefined;
  const clean = sanitizeLine(raw, 256);
  if (raw.length > 256) return { target: "", token: "", raw: clean };
  const slash = clean.indexOf("/");
  if (slash < 0) return { target: "", token: clean, raw: clean };
  return { target: clean.slice(0, slash), token: clean.slice(slash + 1), raw: clean };
}
