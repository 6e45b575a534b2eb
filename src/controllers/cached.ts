// What is kept of an object in the caches, and the key of a deployment.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import { GROUP } from "../api/names.ts";
import type { RolloutRecord } from "../api/rolloutrecord.ts";
import { configMapHash } from "../core/hash.ts";
import type { RecordNumbers } from "../core/retention.ts";
import type { ConfigMap, KubeObject, Node, Pod } from "../kube/objects.ts";

/** A ModelDeployment as cached: who owns the field of its pin is read before the managed fields are dropped. */
export type CachedDeployment = ModelDeployment & {
  pinManager?: string;
  /** Who wrote each of our annotations, by annotation. */
  annotators?: Readonly<Record<string, string>>;
};

/** A ConfigMap as cached: its content is read again when it is copied. */
export type CachedConfigMap = KubeObject & { contentHash: string };

/** A RolloutRecord as cached: what was recorded is read again where it is shown. */
export type CachedRecord = KubeObject & { spec: RecordNumbers };

export const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ""}/${object.metadata.name}`;

export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

function pinManager(object: KubeObject): string | undefined {
  const owners = (object.metadata.managedFields ?? []).filter((entry) => {
    const spec = entry.subresource === undefined ? entry.fieldsV1?.["f:spec"] : undefined;
    return typeof spec === "object" && spec !== null && "f:version" in spec;
  });
  return owners.sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? 1 : -1))[0]?.manager;
}

function annotatorsOf(object: KubeObject): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of object.metadata.managedFields ?? []) {
    const metadata = entry.fieldsV1?.["f:metadata"] as Record<string, unknown> | undefined;
    const annotations = metadata?.["f:annotations"];
    if (typeof annotations !== "object" || annotations === null) continue;
    for (const key of Object.keys(annotations))
      if (key.startsWith(`f:${GROUP}/`)) found[key.slice(2)] = entry.manager ?? "unknown";
  }
  return found;
}

export function trimDeployment(object: CachedDeployment): CachedDeployment {
  const manager = pinManager(object as KubeObject);
  const annotators = annotatorsOf(object as KubeObject);
  return { ...object, ...(manager === undefined ? {} : { pinManager: manager }), annotators };
}

export function trimConfigMap(object: ConfigMap): CachedConfigMap {
  const { apiVersion, kind, metadata } = object;
  return { apiVersion, kind, metadata, contentHash: configMapHash(object) };
}

export function trimRecord({ apiVersion, kind, metadata, ...rest }: KubeObject): CachedRecord {
  const { sequence, deployment, to, finishedAt, decidedAt, leftProven, check } = (rest as unknown as RolloutRecord).spec;
  const returned = { at: decidedAt ?? finishedAt, ...(check === undefined ? {} : { check }), proven: leftProven ?? false };
  const numbers: RecordNumbers = {
    sequence,
    uid: deployment.uid,
    revision: to?.revision ?? 0,
    finishedAt: Date.parse(finishedAt),
    ...(leftProven === undefined ? {} : { returned }),
  };
  return { apiVersion, kind, metadata, spec: numbers };
}

/** Of a node only whether it is ready: what it says of its images alone is larger than a pod. */
export function trimNode({ apiVersion, kind, metadata, status }: Node): Node {
  const { name, uid, resourceVersion } = metadata;
  const conditions = (status?.conditions ?? []).filter((one) => one.type === "Ready");
  return { apiVersion, kind, metadata: { name, uid, resourceVersion }, status: { conditions } };
}

/** Of a pod what its facts are made of, and of its owners the one that made it. */
export function trimPod(pod: Pod): Pod {
  const { apiVersion, kind, metadata, spec, status } = pod;
  const { name, namespace, uid, labels, annotations, creationTimestamp, deletionTimestamp, resourceVersion } = metadata;
  const ownerReferences = pod.metadata.ownerReferences?.filter((owner) => owner.controller === true) ?? [];
  const scrape = Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => key.startsWith("prometheus.io/")));
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace,
      uid,
      labels,
      annotations: scrape,
      ownerReferences,
      creationTimestamp,
      deletionTimestamp,
      resourceVersion,
    },
    spec: {
      nodeName: spec.nodeName,
      containers: spec.containers.map(({ name: container, ports }) => ({ name: container, ports })),
    },
    status,
  };
}
