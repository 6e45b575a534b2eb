// Every kind that the operator talks about, with the address of its collection. Nothing is discovered at run time.
import type { KubeObject, ObjectKey } from "./objects.ts";

export interface Resource {
  /** "" is the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

function own(plural: string, kind: string, namespaced: boolean): Resource {
  return { group: "rollguard.dev", version: "v1alpha1", plural, kind, namespaced };
}

function builtIn(group: string, plural: string, kind: string, namespaced = true): Resource {
  return { group, version: "v1", plural, kind, namespaced };
}

export const RESOURCES = {
  modelVersions: own("modelversions", "ModelVersion", true),
  modelDeployments: own("modeldeployments", "ModelDeployment", true),
  rollbackPolicies: own("rollbackpolicies", "RollbackPolicy", true),
  clusterRollbackPolicies: own("clusterrollbackpolicies", "ClusterRollbackPolicy", false),
  metricSources: own("metricsources", "MetricSource", false),
  rollguardConfigs: own("rollguardconfigs", "RollguardConfig", false),
  rolloutRecords: own("rolloutrecords", "RolloutRecord", true),
  deployments: builtIn("apps", "deployments", "Deployment"),
  replicaSets: builtIn("apps", "replicasets", "ReplicaSet"),
  controllerRevisions: builtIn("apps", "controllerrevisions", "ControllerRevision"),
  pods: builtIn("", "pods", "Pod"),
  services: builtIn("", "services", "Service"),
  httpRoutes: builtIn("gateway.networking.k8s.io", "httproutes", "HTTPRoute"),
  endpointSlices: builtIn("discovery.k8s.io", "endpointslices", "EndpointSlice"),
  podDisruptionBudgets: builtIn("policy", "poddisruptionbudgets", "PodDisruptionBudget"),
  configMaps: builtIn("", "configmaps", "ConfigMap"),
  secrets: builtIn("", "secrets", "Secret"),
  namespaces: builtIn("", "namespaces", "Namespace", false),
  nodes: builtIn("", "nodes", "Node", false),
  events: builtIn("events.k8s.io", "events", "Event"),
  leases: builtIn("coordination.k8s.io", "leases", "Lease"),
  customResourceDefinitions: builtIn("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", false),
} as const satisfies Record<string, Resource>;

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** The resource of an object by its apiVersion and kind. Throws (a bug of the caller) for one that is not in RESOURCES. */
export function resourceOf(object: { apiVersion: string; kind: string }): Resource {
  for (const resource of Object.values<Resource>(RESOURCES)) {
    if (resource.kind === object.kind && apiVersionOf(resource) === object.apiVersion) return resource;
  }
  throw new Error(`no such resource: ${object.apiVersion} ${object.kind}`);
}

/** The URL path of a collection; without a namespace, over all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  if (!resource.namespaced || namespace === undefined) return `${root}/${resource.plural}`;
  return `${root}/namespaces/${segment(namespace)}/${resource.plural}`;
}

/** The URL path of one object or of a subresource of it. Throws (a bug of the caller) where a namespaced kind has no namespace. */
export function objectPath(resource: Resource, key: ObjectKey, subresource?: string): string {
  if (resource.namespaced && !key.namespace) throw new Error(`${resource.kind} ${key.name} without a namespace`);
  const path = `${collectionPath(resource, key.namespace)}/${segment(key.name)}`;
  return subresource === undefined ? path : `${path}/${segment(subresource)}`;
}

export function keyOf(object: KubeObject): ObjectKey {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? { name } : { namespace, name };
}

// A name from a spec must never reach another path: "", "." and ".." would, and a slash is encoded away.
function segment(text: string): string {
  if (text === "" || text === "." || text === "..") throw new Error(`not a name: "${text}"`);
  return encodeURIComponent(text);
}
