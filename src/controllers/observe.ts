// Gathers everything that one decision looks at: the only place where caches, memory and samples come together.

import type { Initiator } from "../api/modeldeployment-status.ts";
import { ANNOTATIONS, LABELS, previewName, REQUESTS } from "../api/names.ts";
import { sharingOf } from "../core/canary.ts";
import type { Child, PersonRequest, PodFacts, RequestKind, ServiceFacts, Snapshot } from "../core/snapshot.ts";
import type { EndpointSlice } from "../kube/objects.ts";
import { sanitizeLine } from "../text.ts";
import { type CachedDeployment, splitKey } from "./cached.ts";
import type { Caches } from "./caches.ts";
import {
  childFacts,
  isControlledBy,
  keptProfiles,
  knownRevision,
  personRequest,
  podFacts,
  readyByRevision,
  revisionOf,
  revisionOfPod,
  serviceFacts,
} from "./facts.ts";
import type { Memory } from "./memory.ts";
import { resolvePin } from "./pin.ts";
import type { Policies } from "./policies.ts";
import { revokerOf } from "./revocations.ts";
import { routeFacts } from "./routes.ts";
import type { Sampler } from "./sampler.ts";
import type { Storm } from "./storm.ts";

export interface Observer {
  /** What the storm breaker says of a deployment. */
  storm: Pick<Storm, "of">;
  caches: Caches;
  memory: Memory;
  sampler: Sampler;
  policies: Policies;
  /** The operator's --environment; empty: only the namespace's label counts. */
  environment: string;
  /** Whether the annotation pinned-by can't be forged. */
  trustPinnedBy: boolean;
}

/** The pods of a revision, with what may be held against the model. */
export function podsOf(caches: Caches, key: string, revision: number): PodFacts[] {
  return caches.pods
    .of(key)
    .filter((pod) => revisionOfPod(pod) === revision)
    .map((pod) => podFacts(pod, nodeReady(caches, pod.spec.nodeName)));
}

function nodeReady(caches: Caches, name: string | undefined): boolean {
  if (name === undefined) return true;
  const ready = caches.nodes.get(undefined, name)?.status?.conditions?.find((one) => one.type === "Ready");
  // Only a node that is known not to be ready excuses its pods.
  return ready === undefined || ready.status === "True";
}

function childrenOf(caches: Caches, key: string, deployment: CachedDeployment): Child[] {
  return caches.children.of(key).flatMap((object) => {
    const revision = revisionOf(object);
    if (revision === undefined) return [];
    return [childFacts(object, revision, podsOf(caches, key, revision), deployment.metadata.uid)];
  });
}

function serviceOf(caches: Caches, key: string, deployment: CachedDeployment, name: string): ServiceFacts | undefined {
  const service = caches.services.of(key).find((one) => one.metadata.name === name);
  if (!service) return undefined;
  const slices = caches.slices
    .of(key)
    .filter((slice: EndpointSlice) => slice.metadata.labels?.["kubernetes.io/service-name"] === name);
  const pods = new Map(caches.pods.of(key).map((pod) => [pod.metadata.name, revisionOfPod(pod)]));
  return serviceFacts(
    service,
    deployment as never,
    readyByRevision(slices, (pod) => pods.get(pod)),
  );
}

/** Pods that may become endpoints, by revision; 0: the label of the deployment, and made by none of its revisions. */
function podCounts(caches: Caches, key: string): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const pod of caches.pods.of(key)) {
    // What has ended for good lies about until it is collected, and never gets traffic.
    if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") continue;
    const revision = revisionOfPod(pod) ?? 0;
    counts[revision] = (counts[revision] ?? 0) + 1;
  }
  return counts;
}

/** The HTTPRoute of a deployment: the one that it wants, or one of ours that it wanted before its spec was changed. */
function routeOf(caches: Caches, deployment: CachedDeployment, services: (ServiceFacts | undefined)[]) {
  const { status, spec } = deployment;
  const shares = status?.rollout?.step !== undefined || status?.active?.tookBackAt !== undefined;
  if (spec.strategy.type !== "Canary" && !shares) return {};
  caches.routes.want();
  const { namespace, name, uid } = deployment.metadata;
  const route = caches.routes.get(namespace, name);
  const [main, preview] = services.map((one) => (typeof one?.selects === "number" ? one.selects : undefined));
  const { served } = caches.routes;
  const concerns = route && (sharingOf(deployment) === "Route" || isControlledBy(route, uid));
  return {
    ...(served === undefined ? {} : { routesServed: served }),
    ...(concerns ? { route: routeFacts(route, { name, uid }, { main, preview }) } : {}),
  };
}

function requestsOf(deployment: CachedDeployment): Partial<Record<RequestKind, PersonRequest>> {
  const found: Partial<Record<RequestKind, PersonRequest>> = {};
  for (const kind of REQUESTS) {
    const request = personRequest(deployment.metadata.annotations?.[ANNOTATIONS[kind]]);
    if (request) found[kind] = request;
  }
  return found;
}

/** Who wrote a request, as far as the field managers tell. */
function requestersOf(deployment: CachedDeployment): Snapshot["requestedBy"] {
  const found: Snapshot["requestedBy"] = {};
  for (const kind of REQUESTS) {
    const manager = deployment.annotators?.[ANNOTATIONS[kind]];
    if (manager !== undefined) found[kind] = { name: manager, source: "FieldManager" };
  }
  return found;
}

/** The revoked ones among the versions that the status names. */
function revokedAmong(deployment: CachedDeployment, isRevoked: (version: string) => boolean): Set<string> {
  const { active, candidate, standby, lastHealthy } = deployment.status ?? {};
  const names = [active, candidate, standby, lastHealthy].flatMap((ref) => (ref ? [ref.version] : []));
  return new Set(names.filter(isRevoked));
}

/** What goes on from records, also from those of an earlier object of this name. */
function recordsOf(
  caches: Caches,
  key: string,
  uid: string | undefined,
): Pick<Snapshot, "floor" | "recorded" | "earlierReturns"> {
  const records = caches.records.of(key).map(({ spec }) => spec);
  const earlier = records.filter((one) => one.uid !== uid).sort((a, b) => a.sequence - b.sequence);
  return {
    floor: {
      revision: Math.max(0, ...records.map(({ revision }) => revision)),
      sequence: Math.max(0, ...records.map(({ sequence }) => sequence)),
    },
    recorded: new Set(records.filter((one) => one.uid === uid).map(({ sequence }) => sequence)),
    earlierReturns: earlier.flatMap(({ returned }) => returned ?? []),
  };
}

function environmentOf(observer: Observer, namespace: string): string {
  const label = observer.caches.namespaces.get(undefined, namespace)?.metadata.labels?.[LABELS.environment];
  return [observer.environment, label].filter((one) => one !== undefined && one !== "").join("/");
}

function pinnerOf(deployment: CachedDeployment, trusted: boolean): Initiator {
  const name = trusted ? deployment.metadata.annotations?.[ANNOTATIONS.pinnedBy] : undefined;
  if (name) return { name: sanitizeLine(name, 253), source: "Authenticated" };
  return { name: deployment.pinManager ?? "unknown", source: "FieldManager" };
}

/** @param deployment the newest state that is known of it; see Memory */
export function observe(observer: Observer, key: string, deployment: CachedDeployment): Snapshot {
  const { caches, memory, sampler, policies } = observer;
  const { namespace } = splitKey(key);
  const isRevoked = (version: string) => caches.versions.get(namespace, version)?.spec.lifecycle === "Revoked";
  const revoker = (digest: string) => revokerOf(digest, caches.clusterPolicies.list());
  const storm = observer.storm.of(key);
  const probe = memory.probe(key, deployment.status);
  const active = serviceOf(caches, key, deployment, deployment.metadata.name);
  const preview = serviceOf(caches, key, deployment, previewName(deployment.metadata.name));
  const taken = memory.nameTaken(key);
  const refused = memory.refused(key);
  const tried = memory.tried(key);
  const cause = deployment.metadata.annotations?.[ANNOTATIONS.changeCause];
  return {
    deployment,
    pin: resolvePin(
      deployment,
      caches.versions.get(namespace, deployment.spec.version),
      () =>
        caches.versions
          .list(namespace)
          .filter((version) => version.spec.model === deployment.spec.model)
          .map((version) => version.metadata.name)
          .sort(),
      (name) => caches.configMaps.get(namespace, name)?.contentHash,
      revoker,
    ),
    policy: policies.of(key, deployment),
    // What an earlier deployment of this name left is not ours, and about to be collected.
    revisions: caches.revisions
      .of(key)
      .filter((one) => isControlledBy(one, deployment.metadata.uid))
      .flatMap((one) => {
        const known = knownRevision(one, isRevoked, revoker);
        const lost = memory.lost(key).get(one.revision);
        const more = { profile: memory.profiles(one, () => keptProfiles(one)), ...(lost ? { lost: lost.join(", ") } : {}) };
        return known ? { ...known, ...more } : [];
      }),
    revokedVersions: revokedAmong(deployment, isRevoked),
    children: childrenOf(caches, key, deployment),
    pods: podCounts(caches, key),
    ...(active ? { active } : {}),
    ...(preview ? { preview } : {}),
    ...routeOf(caches, deployment, [active, preview]),
    ...(storm ? { storm } : {}),
    windows: sampler.windows(key),
    ...(probe ? { probe } : {}),
    ...recordsOf(caches, key, deployment.metadata.uid),
    requests: requestsOf(deployment),
    pinnedBy: pinnerOf(deployment, observer.trustPinnedBy),
    requestedBy: requestersOf(deployment),
    ...(cause === undefined ? {} : { changeCause: sanitizeLine(cause, 1024) }),
    environment: environmentOf(observer, namespace),
    ...(taken === undefined ? {} : { nameTaken: taken }),
    ...(refused === undefined ? {} : { refused }),
    ...(tried === undefined ? {} : { tried }),
  };
}
