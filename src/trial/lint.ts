// Lint: what is likely wrong in a policy or a deployment that the API server accepts. The rules are data; the docs are made from them.

import type { MetricSourceSpec } from "../api/metricsource.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import type { Policy } from "../core/policy.ts";
import { DEPLOYMENT_RULES } from "./lint-deployment.ts";
import { POLICY_RULES } from "./lint-policy.ts";
import { QUERY_RULES } from "./lint-queries.ts";

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

export interface LintFinding extends Found {
  rule: string;
  severity: LintSeverity;
  mend: string;
}

export const RULES_FOR_POLICIES: readonly LintRule<PolicySubject>[] = [...QUERY_RULES, ...POLICY_RULES];
export const RULES_FOR_DEPLOYMENTS: readonly LintRule<DeploymentSubject>[] = DEPLOYMENT_RULES;

function apply<Subject>(rules: readonly LintRule<Subject>[], subject: Subject): LintFinding[] {
  return rules.flatMap((rule) =>
    rule.find(subject).map((found) => ({ rule: rule.id, severity: rule.severity, ...found, mend: rule.mend })),
  );
}

export const lintPolicy = (subject: PolicySubject): LintFinding[] => apply(RULES_FOR_POLICIES, subject);
export const lintDeployment = (subject: DeploymentSubject): LintFinding[] => apply(RULES_FOR_DEPLOYMENTS, subject);
