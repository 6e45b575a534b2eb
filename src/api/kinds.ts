// The seven kinds as data: names, scope, schema, printer columns. CRDs, docs, the sandbox and kubectl-rollguard read it.
import type { z } from "zod";
import { ClusterRollbackPolicySchema } from "./clusterrollbackpolicy.ts";
import type { CelRule } from "./common.ts";
import { MetricSourceSchema } from "./metricsource.ts";
import { ModelDeploymentSchema } from "./modeldeployment.ts";
import { ModelVersionSchema } from "./modelversion.ts";
import { GROUP, MAX_DEPLOYMENT_NAME, MAX_VERSION_NAME, VERSION } from "./names.ts";
import { RollbackPolicySchema } from "./rollbackpolicy.ts";
import { RollguardConfigSchema } from "./rollguardconfig.ts";
import { RolloutRecordSchema } from "./rolloutrecord.ts";

/** A column of `kubectl get`; `priority` 1 shows it with `-o wide` only. */
export interface PrinterColumn {
  name: string;
  type: "string" | "integer" | "number" | "boolean" | "date";
  jsonPath: string;
  priority?: number;
  description?: string;
}

export interface Kind {
  group: typeof GROUP;
  version: typeof VERSION;
  kind: string;
  plural: string;
  singular: string;
  shortNames: string[];
  namespaced: boolean;
  /** Whether the status is a subresource of its own. */
  status: boolean;
  scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath: string };
  /** Longest `metadata.name`. */
  maxName?: number;
  /** CEL rules on the whole object, such as those on its name. */
  rules: CelRule[];
  columns: PrinterColumn[];
  /** One sentence for the docs. */
  summary: string;
  schema: z.ZodObject;
}

const condition = (name: string, type: string, what: "status" | "reason" = "status", priority?: number): PrinterColumn => ({
  name,
  type: "string",
  jsonPath: `.status.conditions[?(@.type=="${type}")].${what}`,
  ...(priority === undefined ? {} : { priority }),
});
const age: PrinterColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };
const column = (name: string, jsonPath: string, type: PrinterColumn["type"] = "string", priority?: number): PrinterColumn => ({
  name,
  type,
  jsonPath,
  ...(priority === undefined ? {} : { priority }),
});

const base = { group: GROUP, version: VERSION, status: true, rules: [] as CelRule[] } as const;

const DEPLOYMENT_NAME_RULES: CelRule[] = [
  {
    rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message:
      "metadata.name must begin with a letter and hold only lower-case letters, digits and '-': Services and children are named after it",
    fieldPath: ".metadata.name",
  },
  {
    rule: "!self.metadata.name.endsWith('-preview')",
    message: "metadata.name must not end in -preview: that is the name of the Service of a candidate",
    fieldPath: ".metadata.name",
  },
  {
    rule: "!self.metadata.name.matches('-r[0-9]+(-|$)')",
    message: "metadata.name must not have a part -r<number>: that is how revisions are named",
    fieldPath: ".metadata.name",
  },
];

export const MODEL_VERSION: Kind = {
  ...base,
  kind: "ModelVersion",
  plural: "modelversions",
  singular: "modelversion",
  shortNames: ["mv"],
  namespaced: true,
  maxName: MAX_VERSION_NAME,
  columns: [
    column("Model", ".spec.model"),
    column("Version", ".spec.version"),
    column("Lifecycle", ".spec.lifecycle"),
    column("In-Use", ".status.inUse", "integer"),
    condition("Ready", "Ready"),
    age,
  ],
  summary:
    "What was trained: weights by digest, data, parameters, validation metrics, owner, and the serving settings that belong to them.",
  schema: ModelVersionSchema,
};

export const MODEL_DEPLOYMENT: Kind = {
  ...base,
  kind: "ModelDeployment",
  plural: "modeldeployments",
  singular: "modeldeployment",
  shortNames: ["mdep"],
  namespaced: true,
  maxName: MAX_DEPLOYMENT_NAME,
  rules: DEPLOYMENT_NAME_RULES,
  scale: {
    specReplicasPath: ".spec.replicas",
    statusReplicasPath: ".status.replicas",
    labelSelectorPath: ".status.selector",
  },
  columns: [
    column("Desired", ".spec.version"),
    column("Active", ".status.active.version"),
    column("Phase", ".status.phase"),
    condition("Health", "Healthy"),
    condition("Ready", "Ready"),
    column("Last-Rollback", ".status.rollback.decidedAt", "date"),
    age,
    condition("Reason", "Ready", "reason", 1),
    column("Revision", ".status.active.revision", "integer", 1),
  ],
  summary: "What should serve: the pin, the pods, how traffic moves, and which policy guards it.",
  schema: ModelDeploymentSchema,
};

const policyColumns = [
  column("Mode", ".spec.mode"),
  column("Bake", ".spec.bake"),
  column("Used-By", ".status.usedBy", "integer"),
  condition("Ready", "Ready"),
  age,
];

export const ROLLBACK_POLICY: Kind = {
  ...base,
  kind: "RollbackPolicy",
  plural: "rollbackpolicies",
  singular: "rollbackpolicy",
  shortNames: ["rbp"],
  namespaced: true,
  columns: policyColumns,
  summary: "When to go back: which metrics, which thresholds, which action.",
  schema: RollbackPolicySchema,
};

export const CLUSTER_ROLLBACK_POLICY: Kind = {
  ...base,
  kind: "ClusterRollbackPolicy",
  plural: "clusterrollbackpolicies",
  singular: "clusterrollbackpolicy",
  shortNames: ["crbp"],
  namespaced: false,
  columns: [column("Enforcement", ".spec.enforcement"), ...policyColumns],
  summary: "When to go back, for many namespaces: defaults, and limits that tenants may tighten and not loosen.",
  schema: ClusterRollbackPolicySchema,
};

export const METRIC_SOURCE: Kind = {
  ...base,
  kind: "MetricSource",
  plural: "metricsources",
  singular: "metricsource",
  shortNames: ["msrc"],
  namespaced: false,
  columns: [column("Type", ".spec.type"), column("Address", ".spec.address"), condition("Ready", "Ready"), age],
  summary: "Where numbers come from, and who may ask.",
  schema: MetricSourceSchema,
};

export const ROLLGUARD_CONFIG: Kind = {
  ...base,
  kind: "RollguardConfig",
  plural: "rollguardconfigs",
  singular: "rollguardconfig",
  shortNames: ["rgc"],
  namespaced: false,
  maxName: 253,
  rules: [
    {
      rule: "self.metadata.name == 'cluster'",
      message: "metadata.name must be cluster: there is one RollguardConfig",
      fieldPath: ".metadata.name",
    },
  ],
  columns: [column("Storm", ".status.storm.active", "boolean"), condition("Ready", "Ready"), age],
  summary: "What belongs to the whole installation: the storm breaker, notifications, hosts of weights, defaults.",
  schema: RollguardConfigSchema,
};

export const ROLLOUT_RECORD: Kind = {
  ...base,
  kind: "RolloutRecord",
  plural: "rolloutrecords",
  singular: "rolloutrecord",
  shortNames: ["rrec"],
  namespaced: true,
  status: false,
  columns: [
    column("Deployment", ".spec.deployment.name"),
    column("Seq", ".spec.sequence", "integer"),
    column("Action", ".spec.action"),
    column("From", ".spec.from.version"),
    column("To", ".spec.to.version"),
    column("Outcome", ".spec.outcome"),
    column("Reason", ".spec.reason", "string", 1),
    column("Finished", ".spec.finishedAt", "date"),
  ],
  summary: "The audit trail: one immutable object for every finished transition.",
  schema: RolloutRecordSchema,
};

export const KINDS: readonly Kind[] = [
  MODEL_VERSION,
  MODEL_DEPLOYMENT,
  ROLLBACK_POLICY,
  CLUSTER_ROLLBACK_POLICY,
  METRIC_SOURCE,
  ROLLGUARD_CONFIG,
  ROLLOUT_RECORD,
];
