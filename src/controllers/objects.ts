// The Kubernetes objects that Rollguard owns, as they are applied: everything that our field manager owns, each time.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import { ANNOTATIONS, API_VERSION, childName, configMapCopyName, LABELS, previewName, revisionLabels } from "../api/names.ts";
import type { ConfigMap, ControllerRevision, Deployment, OwnerReference, PodTemplate, Service } from "../kube/objects.ts";
import { FRESH_ANNOTATION, type KeptRevision } from "./facts.ts";

export function ownerOf(deployment: ModelDeployment): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: "ModelDeployment",
    name: deployment.metadata.name,
    uid: deployment.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Name, labels and owner of an object of ours. */
export function ownedMeta(
  deployment: ModelDeployment,
  name: string,
  labels: Record<string, string>,
  annotations: Record<string, string>,
) {
  return {
    name,
    namespace: deployment.metadata.namespace ?? "",
    labels: { "app.kubernetes.io/managed-by": "rollguard", ...labels },
    annotations,
    ownerReferences: [ownerOf(deployment)],
  };
}

/** The Deployment of one revision. Its pods are replaced one by one, never below its size: a standby has to stay warm. */
export function childDeployment(
  deployment: ModelDeployment,
  kept: KeptRevision,
  input: { revision: number; replicas: number; fresh: string; decision: number },
): Deployment {
  const labels = revisionLabels(deployment.metadata.name, input.revision);
  const template = kept.template as unknown as PodTemplate;
  const annotations = { ...template.metadata?.annotations, ...(input.fresh === "" ? {} : { [FRESH_ANNOTATION]: input.fresh }) };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: ownedMeta(deployment, childName(deployment.metadata.name, input.revision), labels, {
      [ANNOTATIONS.decision]: String(input.decision),
      [ANNOTATIONS.hash]: kept.hash,
    }),
    spec: {
      replicas: input.replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      revisionHistoryLimit: 0,
      template: {
        ...template,
        metadata: { ...template.metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
      },
    },
  };
}

/**
 * The Service of a deployment, or its preview: one write of it moves the traffic.
 * @param revision All: the pods of every revision, which then share the traffic
 */
export function service(deployment: ModelDeployment, revision: number | "All", decision: number, preview: boolean): Service {
  const { name } = deployment.metadata;
  const { port = 80, targetPort = "http" } = deployment.spec.service ?? {};
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: ownedMeta(
      deployment,
      preview ? previewName(name) : name,
      { [LABELS.deployment]: name },
      { [ANNOTATIONS.decision]: String(decision) },
    ),
    spec: {
      selector: revision === "All" ? { [LABELS.deployment]: name } : revisionLabels(name, revision),
      ports: [{ name: "http", port, targetPort, protocol: "TCP" }],
    },
  };
}

export function controllerRevision(deployment: ModelDeployment, revision: number, kept: KeptRevision): ControllerRevision {
  const { name } = deployment.metadata;
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: ownedMeta(deployment, childName(name, revision), revisionLabels(name, revision), { [ANNOTATIONS.hash]: kept.hash }),
    revision,
    data: kept,
  };
}

/** What keeps the layers of the policy in force. Its data can't be changed: other layers are another object. */
export function keptPolicy(deployment: ModelDeployment, name: string, revision: number, data: object): ControllerRevision {
  const labels = { [LABELS.deployment]: deployment.metadata.name, [LABELS.keeps]: "policy" };
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: ownedMeta(deployment, name, labels, {}),
    revision,
    data,
  };
}

/** The revision's own, immutable copy of a ConfigMap: a rollback brings the old content back even when Git pruned the original. */
export function configMapCopy(deployment: ModelDeployment, revision: number, original: ConfigMap): ConfigMap {
  const { name } = deployment.metadata;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: ownedMeta(
      deployment,
      configMapCopyName(name, revision, original.metadata.name),
      revisionLabels(name, revision),
      {},
    ),
    immutable: true,
    ...(original.data ? { data: original.data } : {}),
    ...(original.binaryData ? { binaryData: original.binaryData } : {}),
  };
}

/** True where a port of `live` has a name of ours and is another port: both together would be refused. */
export function portsInTheWay(wanted: Service, live: Service): boolean {
  const ours = wanted.spec.ports ?? [];
  return (live.spec.ports ?? []).some((port) => ours.some((one) => one.name === port.name && one.port !== port.port));
}

/**
 * Lists that Kubernetes merges item by item, and what an item is known by: other writers may have items of their own in them.
 * Every other list is one value.
 */
const ITEM_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  env: ["name"],
  volumes: ["name"],
  imagePullSecrets: ["name"],
  volumeMounts: ["mountPath"],
  ports: ["containerPort", "port"],
  ownerReferences: ["uid"],
};

/** Paths at which `live` lacks what `wanted` says; empty: nothing is to be written. What `live` has beyond it is somebody else's. */
export function differences(wanted: unknown, live: unknown, path = ""): string[] {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(live)) return [path];
    const keys = ITEM_KEYS[path.slice(path.lastIndexOf(".") + 1)];
    if (!keys && live.length !== wanted.length) return [path];
    const same = (item: unknown) => live.find((other) => keys?.every((key) => member(item, key) === member(other, key)));
    return wanted.flatMap((item, index) => differences(item, keys ? same(item) : live[index], `${path}[${index}]`));
  }
  if (typeof wanted === "object" && wanted !== null) {
    if (typeof live !== "object" || live === null) return [path];
    const members = live as Record<string, unknown>;
    // A selector is one value: one more label in it selects fewer pods.
    if (path === "spec.selector" && Object.keys(wanted).length !== Object.keys(members).length) return [path];
    return Object.entries(wanted).flatMap(([key, value]) =>
      value === undefined ? [] : differences(value, members[key], path === "" ? key : `${path}.${key}`),
    );
  }
  return wanted === live ? [] : [path];
}

function member(item: unknown, key: string): unknown {
  return typeof item === "object" && item !== null ? (item as Record<string, unknown>)[key] : undefined;
}
