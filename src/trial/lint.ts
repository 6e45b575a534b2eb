// Lint: what is likely wrong in a policy or a deployment that the API server accepts. The rules are data; the docs are made from them.

import { DEPLOYMENT_RULES } from "./lint-deployment.ts";
import { POLICY_RULES } from "./lint-policy.ts";
import { QUERY_RULES } from "./lint-queries.ts";
import type { DeploymentSubject, Found, LintRule, LintSeverity, PolicySubject } from "./lint-rule.ts";

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
