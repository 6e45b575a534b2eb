// The built-in kinds that the operator, its pods and kubectl need, as one table.
import { COLUMNS } from "./columns.ts";
import { decodeBuiltin } from "./decode.ts";
import { applyDefaults } from "./defaults.ts";
import { eventFromStorage, eventToStorage } from "./events.ts";
import type { Models } from "./models.ts";
import type { ResourceDef, ScalePaths } from "./resources.ts";
import { HOOKS, type Hooks } from "./strategies.ts";

interface Row {
  group?: string;
  resource: string;
  kind: string;
  model: string;
  short?: string[];
  all?: boolean;
  cluster?: boolean;
  status?: boolean;
  generation?: ResourceDef["generation"];
  scale?: ScalePaths;
  /** A PUT needs a resourceVersion. */
  conditional?: boolean;
}

const SCALE: ScalePaths = { specReplicas: ".spec.replicas", statusReplicas: ".status.replicas" };

const ROWS: readonly Row[] = [
  { resource: "namespaces", kind: "Namespace", model: "V1Namespace", short: ["ns"], cluster: true, status: true },
  { resource: "nodes", kind: "Node", model: "V1Node", short: ["no"], cluster: true, status: true },
  { resource: "pods", kind: "Pod", model: "V1Pod", short: ["po"], all: true, status: true },
  { resource: "services", kind: "Service", model: "V1Service", short: ["svc"], all: true, status: true },
  { resource: "configmaps", kind: "ConfigMap", model: "V1ConfigMap", short: ["cm"] },
  { resource: "secrets", kind: "Secret", model: "V1Secret" },
  { resource: "serviceaccounts", kind: "ServiceAccount", model: "V1ServiceAccount", short: ["sa"] },
  { resource: "endpoints", kind: "Endpoints", model: "V1Endpoints", short: ["ep"] },
  { resource: "events", kind: "Event", model: "CoreV1Event", short: ["ev"] },
  {
    group: "apps",
    resource: "deployments",
    kind: "Deployment",
    model: "V1Deployment",
    short: ["deploy"],
    all: true,
    status: true,
    generation: "spec and annotations",
    scale: SCALE,
  },
  {
    group: "apps",
    resource: "replicasets",
    kind: "ReplicaSet",
    model: "V1ReplicaSet",
    short: ["rs"],
    all: true,
    status: true,
    generation: "spec",
    scale: SCALE,
  },
  { group: "apps", resource: "controllerrevisions", kind: "ControllerRevision", model: "V1ControllerRevision" },
  {
    group: "discovery.k8s.io",
    resource: "endpointslices",
    kind: "EndpointSlice",
    model: "V1EndpointSlice",
    generation: "spec",
  },
  {
    group: "policy",
    resource: "poddisruptionbudgets",
    kind: "PodDisruptionBudget",
    model: "V1PodDisruptionBudget",
    short: ["pdb"],
    status: true,
    generation: "spec",
  },
  { group: "coordination.k8s.io", resource: "leases", kind: "Lease", model: "V1Lease", conditional: true },
  { group: "events.k8s.io", resource: "events", kind: "Event", model: "EventsV1Event", short: ["ev"], conditional: true },
  {
    group: "apiextensions.k8s.io",
    resource: "customresourcedefinitions",
    kind: "CustomResourceDefinition",
    model: "V1CustomResourceDefinition",
    short: ["crd", "crds"],
    cluster: true,
    status: true,
    generation: "spec",
    conditional: true,
  },
];

/** The definitions of all built-in kinds. `allocateServiceIp` gives each new Service its clusterIP. */
export function builtins(models: Models, allocateServiceIp: () => string): ResourceDef[] {
  const hooks: Record<string, Hooks | undefined> = HOOKS(allocateServiceIp);
  return ROWS.map((row): ResourceDef => {
    const group = row.group ?? "";
    const schema = models.get(row.model);
    const isEvent = row.kind === "Event";
    return {
      group,
      version: "v1",
      resource: row.resource,
      singular: row.kind.toLowerCase(),
      kind: row.kind,
      namespaced: row.cluster !== true,
      shortNames: row.short ?? [],
      categories: row.all === true ? ["all"] : [],
      storage: isEvent ? "events" : group === "" ? row.resource : `${row.resource}.${group}`,
      custom: false,
      hasStatus: row.status === true,
      keepsStatusOnCreate: row.kind === "Node",
      ...(row.scale === undefined ? {} : { scale: row.scale }),
      generation: row.generation ?? "none",
      unconditionalUpdate: row.conditional !== true,
      columns: COLUMNS[row.kind] ?? COLUMNS.default ?? [],
      schema,
      strategy: {
        decode: (object) => decodeBuiltin(object, schema, row.kind, "v1"),
        applyDefaults: (object) => applyDefaults(row.kind, object),
        validate: () => [],
        ...hooks[row.kind],
        ...(isEvent ? { toStorage: eventToStorage, fromStorage: group === "" ? undefined : eventFromStorage } : {}),
      },
    };
  });
}
