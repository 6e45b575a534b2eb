// Lint rules about a policy's times, thresholds and limits.

import { formatDuration, parseDuration } from "../api/common.ts";
import type { Check as WrittenCheck } from "../api/rollbackpolicy.ts";
import { freezeProblem, frozen } from "../core/freeze.ts";
import type { Check } from "../core/policy.ts";
import { policyProblems } from "../core/valid.ts";
import { formatThreshold, isBeyond } from "../core/verdict.ts";
import type { Found, LintRule, PolicySubject } from "./lint-rule.ts";

const DAY = 86_400_000;
/** A winter's day and half a year later: a window that is in force at both and at all ends is no window. */
const SOME_TIME = Date.parse("2026-01-14T03:00:00Z");

/** One finding for each check of the policy that has something to be said. */
function each(
  subject: PolicySubject,
  field: string,
  message: (check: Check, written: WrittenCheck) => string | undefined,
): Found[] {
  return (subject.spec.checks ?? []).flatMap((written, index) => {
    const check = subject.policy.checks.find((one) => one.name === written.name);
    const words = check ? message(check, written) : undefined;
    return words === undefined ? [] : [{ path: `spec.checks[${index}]${field}`, message: words }];
  });
}

const one = (when: boolean, path: string, message: string): Found[] => (when ? [{ path, message }] : []);

/** True where the author wrote the field; where that is not known, true as well. */
function wrote(subject: PolicySubject, check: number, ...path: string[]): boolean {
  if (!subject.written) return true;
  const checks = subject.written.checks;
  let at: unknown = Array.isArray(checks) ? checks[check] : undefined;
  for (const part of path) at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[part] : undefined;
  return at !== undefined;
}

export const POLICY_RULES: readonly LintRule<PolicySubject>[] = [
  {
    id: "invalid-policy",
    severity: "Error",
    about: "What the API server can't see is wrong: the policy would not be taken, and the last valid one would stay in force.",
    mend: "correct the field that is named",
    find: ({ spec }) => policyProblems(spec).map((message) => ({ path: "spec", message })),
  },
  {
    id: "threshold-breached-by-baseline",
    severity: "Error",
    about: "What a healthy revision measured, or the version scored, lies beyond the threshold already.",
    mend: "move the threshold to the other side of what is healthy",
    find: (subject) =>
      each(subject, ".threshold", (check) => {
        const value = subject.measured?.[check.name];
        if (value === undefined || !check.threshold || !isBeyond(value, check.threshold)) return undefined;
        return `a healthy revision measured ${Number(value.toPrecision(4))}, which is not ${formatThreshold(check)}`;
      }),
  },
  {
    id: "window-longer-than-bake",
    severity: "Warning",
    about: "A sample's range is longer than the bake: it is proven on what was measured before it had the traffic.",
    mend: "lengthen spec.bake, or shorten the window",
    find: (subject) =>
      each(subject, ".window", (check) => {
        const bake = parseDuration(subject.spec.bake ?? "10m");
        return check.windowMs > bake
          ? `${formatDuration(check.windowMs)} is longer than the bake of ${formatDuration(bake)}`
          : undefined;
      }),
  },
  {
    id: "bake-too-short",
    severity: "Warning",
    about: "A bake shorter than warmup + interval × `of` of each Critical check can't be judged; it is lengthened.",
    mend: "write the time that is meant, or ask less of the checks",
    find: ({ spec, policy }) => {
      const bake = parseDuration(spec.bake ?? "10m");
      return one(
        policy.bakeMs > bake,
        "spec.bake",
        `${formatDuration(bake)} will be lengthened to ${formatDuration(policy.bakeMs)}`,
      );
    },
  },
  {
    id: "ratio-default-samples",
    severity: "Warning",
    about: "A ratio without `minSamples` takes 50, whatever the traffic is.",
    mend: "write minSamples: how many requests make a sample that means something",
    find: (subject) =>
      (subject.spec.checks ?? []).flatMap((check, index) =>
        check.ratio && !wrote(subject, index, "ratio", "minSamples")
          ? [{ path: `spec.checks[${index}].ratio.minSamples`, message: "not set: 50 is taken" }]
          : [],
      ),
  },
  {
    id: "one-error-breaches",
    severity: "Warning",
    about: "`minSamples` is so small that a single error in a sample lies beyond the threshold.",
    mend: "raise minSamples above 1 / max, or use confidence",
    find: (subject) =>
      each(subject, ".ratio.minSamples", (check) => {
        const max = check.threshold?.max;
        if (check.kind !== "Ratio" || max === undefined || max <= 0 || 1 / check.minSamples <= max) return undefined;
        return `one of ${check.minSamples} is ${Number((1 / check.minSamples).toPrecision(3))}, beyond ${max}`;
      }),
  },
  {
    id: "ratio-without-confidence",
    severity: "Warning",
    about: "A ratio without `confidence` compares the plain value: little traffic is then chance.",
    mend: "set ratio.confidence, such as 0.95",
    find: (subject) =>
      each(subject, ".ratio.confidence", (check) =>
        check.kind === "Ratio" && check.confidence === undefined ? "not set: the plain value is compared" : undefined,
      ),
  },
  {
    id: "comparison-only",
    severity: "Warning",
    about:
      "A Critical check with nothing but a comparison: the first version has nothing to be compared with, and drift is never seen.",
    mend: "add a threshold that no version may pass",
    find: (subject) =>
      each(subject, ".threshold", (check) =>
        check.baseline && check.baseline.from !== "ValidationMetric" && !check.threshold && check.severity === "Critical"
          ? `only compared with ${check.baseline.from}; without a baseline it says nothing`
          : undefined,
      ),
  },
  {
    id: "comparison-holds-in-guard",
    severity: "Warning",
    about: "A Critical comparison that only holds while guarding: once proven, a breach of it rolls nothing back.",
    mend: "add a threshold, or say baseline.guard: Rollback",
    find: (subject) =>
      each(subject, ".baseline.guard", (check) =>
        check.baseline?.guard === "Hold" && !check.threshold && check.severity === "Critical"
          ? "Critical, but while guarding a breach only holds"
          : undefined,
      ),
  },
  {
    id: "critical-does-not-roll-back",
    severity: "Warning",
    about: "A breach of a Critical check rolls nothing back.",
    mend: "actions.Critical: Rollback; for what should not roll back use severity Warning",
    find: ({ policy: { actions } }) =>
      one(
        actions.Critical !== "Rollback",
        "spec.actions.Critical",
        `Critical checks ${actions.Critical === "Alert" ? "only alert" : "only hold"}`,
      ),
  },
  {
    id: "no-metric-check",
    severity: "Warning",
    about: "No Critical check asks a metric: only pods that fail would be noticed, never a model that answers wrongly.",
    mend: "add a check of what users notice: errors, latency, quality",
    find: ({ policy }) =>
      one(
        !policy.checks.some((check) => check.source !== undefined && check.severity === "Critical"),
        "spec.checks",
        "no Critical check asks a metric",
      ),
  },
  {
    id: "verify-longer-than-deadline",
    severity: "Error",
    about: "A return can't be verified before its deadline: each would end Unverified.",
    mend: "lengthen rollback.deadline, or shorten rollback.verify (lengthened like the bake)",
    find: ({ policy: { verifyMs, deadlineMs } }) =>
      one(
        verifyMs > deadlineMs,
        "spec.rollback.deadline",
        `verifying takes ${formatDuration(verifyMs)}, and the deadline is ${formatDuration(deadlineMs)}`,
      ),
  },
  {
    id: "cooldown-zero",
    severity: "Warning",
    about: "Without a cooldown a metric that swings around its threshold goes through the proven revisions one by one.",
    mend: "set rollback.cooldown, such as 10m",
    find: ({ policy }) => one(policy.cooldownMs === 0, "spec.rollback.cooldown", "there is no cooldown"),
  },
  {
    id: "budget-never-spent",
    severity: "Warning",
    about: "The cooldown alone keeps the returns below the budget, which never limits anything.",
    mend: "lengthen budget.per beyond limit × cooldown, or shorten the cooldown",
    find: ({ policy: { cooldownMs, budget } }) =>
      one(
        cooldownMs * budget.limit >= budget.perMs,
        "spec.rollback.budget",
        `${budget.limit} returns with a cooldown of ${formatDuration(cooldownMs)} can't happen in ${formatDuration(budget.perMs)}`,
      ),
  },
  {
    id: "freeze-never-ends",
    severity: "Error",
    about: "A freeze window lasts until its next one begins: no candidate ever gets traffic.",
    mend: "shorten the duration, or let it begin more seldom",
    find: ({ policy }) =>
      policy.freeze.flatMap((window, index) => {
        if (freezeProblem(window) !== undefined) return [];
        // From the begin of one, so that a rare window is not mistaken for one that never ends.
        const begin = frozen([window], SOME_TIME)?.from;
        const inForce = begin === undefined ? undefined : frozen([window], begin + 1000);
        const endless = inForce !== undefined && inForce.until - inForce.from > 40 * window.durationMs;
        return one(
          endless,
          `spec.freeze[${index}].duration`,
          `${window.schedule} for ${formatDuration(window.durationMs)} never ends`,
        );
      }),
  },
  {
    id: "observes",
    severity: "Warning",
    about: "Mode Observe rolls nothing back; it is for the first days of a policy.",
    mend: "mode: Recommend or Enforce, when `replay` and the observed returns are trusted",
    find: ({ policy }) => one(policy.mode === "Observe", "spec.mode", "Observe: nothing is ever rolled back"),
  },
  {
    id: "guard-slower-than-a-day",
    severity: "Warning",
    about: "A Critical check that needs more than a day to breach protects nobody.",
    mend: "ask more often, or take a smaller breach.count",
    find: (subject) =>
      each(subject, ".breach", (check) =>
        check.severity === "Critical" && check.intervalMs * check.breach.count > DAY
          ? `${check.breach.count} samples every ${formatDuration(check.intervalMs)} take ${formatDuration(check.intervalMs * check.breach.count)}`
          : undefined,
      ),
  },
];
