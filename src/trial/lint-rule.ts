// What a lint rule is: whom it looks at, and what it says.

import type { MetricSourceSpec } from "../api/metricsource.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import type { Policy } from "../core/policy.ts";

/** Error: it will not do what it says. Warning: it will, and that is seldom what is meant. */
export type LintSeverity = "Error" | "Warning";

/** What a rule found: where, and what. */
export interface Found {
  /** Path of the field, such as `spec.checks[0].query`. */
  path: string;
  message: string;
}

export interface PolicySubject {
  spec: RollbackPolicySpec;
  /** As its author wrote it, without defaults; absent: not known. */
  written?: Record<string, unknown>;
  policy: Policy;
  /** The namespace that uses it; absent: many may. */
  namespace?: string;
  /** The MetricSources that there are, by name; absent: not known. */
  sources?: ReadonlyMap<string, MetricSourceSpec>;
  /** What a healthy revision measured, or a version scored, by the name of the check. */
  measured?: Readonly<Record<string, number>>;
}

export interface DeploymentSubject {
  spec: ModelDeployment["spec"];
  written?: Record<string, unknown>;
  /** The policy in force; absent: not known. */
  policy?: Policy;
  /** False: it names a policy that is not there; absent: not known. */
  policyFound?: boolean;
}

export interface LintRule<Subject> {
  id: string;
  severity: LintSeverity;
  /** What is wrong, for the docs. */
  about: string;
  mend: string;
  find(subject: Subject): Found[];
}
