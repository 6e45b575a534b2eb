// The built-in kinds that the sandbox's controllers and node work with: their addresses, and the parts of their shapes
// that are read here. Objects are plain JSON as stored; what is absent has Kubernetes' default.
import type { ResourceId, StoredObject } from "../api.ts";

export const DEPLOYMENTS: ResourceId = { group: "apps", version: "v1", resource: "deployments" };
export const REPLICA_SETS: ResourceId = { group: "apps", version: "v1", resource: "replicasets" };
export const PODS: ResourceId = { group: "", version: "v1", resource: "pods" };
export const SERVICES: ResourceId = { group: "", version: "v1", resource: "services" };
export const ENDPOINT_SLICES: ResourceId = { group: "discovery.k8s.io", version: "v1", resource: "endpointslices" };
export const NODES: ResourceId = { group: "", version: "v1", resource: "nodes" };
export const NAMESPACES: ResourceId = { group: "", version: "v1", resource: "namespaces" };
export const CONFIG_MAPS: ResourceId = { group: "", version: "v1", resource: "configmaps" };
export const SECRETS: ResourceId = { group: "", version: "v1", resource: "secrets" };
export const EVENTS: ResourceId = { group: "", version: "v1", resource: "events" };

/** The label by which a Deployment tells its ReplicaSets apart. */
export const POD_TEMPLATE_HASH = "pod-template-hash";
/** The number of a ReplicaSet among those of its Deployment, and of the Deployment's newest. */
export const REVISION = "deployment.kubernetes.io/revision";

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
}

export interface ContainerPort {
  name?: string;
  containerPort: number;
  protocol?: string;
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: {
    fieldRef?: { fieldPath: string };
    resourceFieldRef?: { resource: string };
    configMapKeyRef?: { name: string; key: string; optional?: boolean };
    secretKeyRef?: { name: string; key: string; optional?: boolean };
  };
}

export interface EnvFrom {
  prefix?: string;
  configMapRef?: { name: string; optional?: boolean };
  secretRef?: { name: string; optional?: boolean };
}

export interface HttpGet {
  path?: string;
  port: number | string;
  host?: string;
  scheme?: string;
  httpHeaders?: { name: string; value: string }[];
}

export interface Probe {
  httpGet?: HttpGet;
  tcpSocket?: { port: number | string; host?: string };
  exec?: { command: string[] };
  initialDelaySeconds?: number;
  periodSeconds?: number;
  timeoutSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: EnvVar[];
  envFrom?: EnvFrom[];
  ports?: ContainerPort[];
  resources?: { limits?: Record<string, string | number>; requests?: Record<string, string | number> };
  volumeMounts?: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
  workingDir?: string;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
  startupProbe?: Probe;
  lifecycle?: { preStop?: { exec?: { command: string[] }; httpGet?: HttpGet; sleep?: { seconds: number } } };
  terminationMessagePath?: string;
  terminationMessagePolicy?: string;
  restartPolicy?: string;
}

export interface KeyToPath {
  key: string;
  path: string;
}

export interface DownwardItem {
  path: string;
  fieldRef?: { fieldPath: string };
}

export interface VolumeSource {
  configMap?: { name: string; items?: KeyToPath[]; optional?: boolean };
  secret?: { secretName?: string; name?: string; items?: KeyToPath[]; optional?: boolean };
  downwardAPI?: { items?: DownwardItem[] };
}

export interface Volume extends VolumeSource {
  name: string;
  emptyDir?: object;
  hostPath?: { path: string };
  projected?: { sources?: VolumeSource[] };
}

export interface PodSpec {
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  restartPolicy?: "Always" | "OnFailure" | "Never";
  terminationGracePeriodSeconds?: number;
  enableServiceLinks?: boolean;
  serviceAccountName?: string;
  containers: Container[];
  initContainers?: Container[];
  volumes?: Volume[];
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

export interface PodStatus {
  phase?: string;
  podIP?: string;
  conditions?: Condition[];
  [key: string]: unknown;
}

export interface Pod extends StoredObject {
  spec: PodSpec;
  status?: PodStatus;
}

export interface ReplicaSet extends StoredObject {
  spec: {
    replicas?: number;
    minReadySeconds?: number;
    selector: { matchLabels?: Record<string, string> };
    template: PodTemplate;
  };
  status?: {
    replicas?: number;
    fullyLabeledReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    observedGeneration?: number;
    conditions?: Condition[];
  };
}

export interface Deployment extends StoredObject {
  spec: {
    replicas?: number;
    paused?: boolean;
    minReadySeconds?: number;
    progressDeadlineSeconds?: number;
    revisionHistoryLimit?: number;
    selector: { matchLabels?: Record<string, string> };
    strategy?: {
      type?: "RollingUpdate" | "Recreate";
      rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string };
    };
    template: PodTemplate;
  };
  status?: { conditions?: Condition[]; observedGeneration?: number; [key: string]: unknown };
}

export interface ServicePort {
  name?: string;
  port: number;
  protocol?: string;
  targetPort?: number | string;
}

export interface Service extends StoredObject {
  spec: {
    selector?: Record<string, string>;
    ports?: ServicePort[];
    clusterIP?: string;
    type?: string;
    publishNotReadyAddresses?: boolean;
  };
}

export interface Endpoint {
  addresses: string[];
  conditions: { ready?: boolean; serving?: boolean; terminating?: boolean };
  nodeName?: string;
  targetRef?: { kind: string; namespace?: string; name: string; uid: string };
}

export interface EndpointSlice extends StoredObject {
  addressType: string;
  endpoints?: Endpoint[];
  ports?: { name?: string; port?: number; protocol?: string }[];
}

export interface Node extends StoredObject {
  spec?: { unschedulable?: boolean };
  status?: {
    allocatable?: Record<string, string | number>;
    conditions?: Condition[];
    addresses?: { type: string; address: string }[];
  };
}

/** "namespace/name", or the name alone for what has no namespace. */
export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  const { namespace, name } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf("/");
  return slash < 0 ? { namespace: undefined, name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The owner reference that says controller: true. */
export function controllerOf(object: StoredObject) {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

export function ownerReference(owner: StoredObject) {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Whether `labels` hold all of `selector`; an empty selector selects nothing, as in a Service. */
export function selects(selector: Record<string, string> | undefined, labels: Record<string, string> | undefined): boolean {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels?.[key] === value);
}

/** Kubernetes' time format: RFC 3339 in whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

export function condition(conditions: Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((each) => each.type === type);
}

/** Sets a condition in a copy of the list; the transition time moves only with the status. */
export function withCondition(conditions: Condition[] | undefined, next: Condition, now: string): Condition[] {
  const previous = condition(conditions, next.type);
  const lastTransitionTime = previous?.status === next.status ? (previous.lastTransitionTime ?? now) : now;
  const set = { ...next, lastTransitionTime };
  return previous ? (conditions ?? []).map((each) => (each.type === next.type ? set : each)) : [...(conditions ?? []), set];
}

/** The number behind a container port's name (or the number itself); undefined where the pod has no such port. */
export function containerPortOf(spec: PodSpec, port: number | string, containers = spec.containers): number | undefined {
  if (typeof port === "number") return port;
  if (/^\d+$/.test(port)) return Number(port);
  for (const container of containers) {
    const found = container.ports?.find((each) => each.name === port);
    if (found) return found.containerPort;
  }
  return undefined;
}
