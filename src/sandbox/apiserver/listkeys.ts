// How lists and maps of the built-in kinds are merged (from the +listType, +listMapKey and +patchMergeKey markers in
// k8s.io/api): by "Model.field". A list that is not named here is atomic.
import type { JsonSchema } from "./jsonschema.ts";

/** Merged by one or several key fields; strategic merge knows only one, the first. */
function byKey(...keys: string[]): JsonSchema {
  return {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": keys,
    "x-kubernetes-patch-merge-key": keys[0] ?? "",
    "x-kubernetes-patch-strategy": "merge",
  };
}

const SET: JsonSchema = { "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge" };
const ATOMIC_MAP: JsonSchema = { "x-kubernetes-map-type": "atomic" };
const CONTAINERS = byKey("name");

export const LIST_KEYS: Readonly<Record<string, JsonSchema>> = {
  "V1ObjectMeta.finalizers": SET,
  "V1ObjectMeta.ownerReferences": byKey("uid"),
  "V1PodSpec.containers": CONTAINERS,
  "V1PodSpec.initContainers": CONTAINERS,
  "V1PodSpec.ephemeralContainers": CONTAINERS,
  "V1PodSpec.volumes": { ...byKey("name"), "x-kubernetes-patch-strategy": "merge,retainKeys" },
  "V1PodSpec.imagePullSecrets": byKey("name"),
  "V1PodSpec.hostAliases": byKey("ip"),
  "V1PodSpec.nodeSelector": ATOMIC_MAP,
  "V1PodSpec.topologySpreadConstraints": byKey("topologyKey", "whenUnsatisfiable"),
  "V1Container.env": byKey("name"),
  "V1Container.ports": byKey("containerPort", "protocol"),
  "V1Container.volumeMounts": byKey("mountPath"),
  "V1Container.volumeDevices": byKey("devicePath"),
  "V1PodStatus.conditions": byKey("type"),
  "V1PodStatus.podIPs": byKey("ip"),
  "V1ServiceSpec.ports": byKey("port", "protocol"),
  "V1ServiceSpec.selector": ATOMIC_MAP,
  "V1ServiceStatus.conditions": byKey("type"),
  "V1DeploymentSpec.strategy": { "x-kubernetes-patch-strategy": "retainKeys" },
  "V1DeploymentSpec.selector": ATOMIC_MAP,
  "V1DeploymentStatus.conditions": byKey("type"),
  "V1ReplicaSetSpec.selector": ATOMIC_MAP,
  "V1ReplicaSetStatus.conditions": byKey("type"),
  "V1NodeStatus.conditions": byKey("type"),
  "V1NodeStatus.addresses": byKey("type"),
  "V1NamespaceStatus.conditions": byKey("type"),
  "V1EndpointSlice.endpoints": { "x-kubernetes-list-type": "atomic" },
  "V1ServiceAccount.secrets": byKey("name"),
  "V1CustomResourceDefinitionStatus.conditions": byKey("type"),
  "V1CustomResourceDefinitionSpec.versions": { "x-kubernetes-list-type": "atomic" },
};

/** Fields that hold a resource.Quantity, which may be a number in JSON. */
export const QUANTITIES: ReadonlySet<string> = new Set([
  "V1ResourceRequirements.limits",
  "V1ResourceRequirements.requests",
  "V1VolumeResourceRequirements.limits",
  "V1VolumeResourceRequirements.requests",
  "V1NodeStatus.capacity",
  "V1NodeStatus.allocatable",
  "V1PodSpec.overhead",
  "V1EmptyDirVolumeSource.sizeLimit",
  "V1ResourceFieldSelector.divisor",
]);
