// What can be wrong with a policy although the API server took it: rules between fields, and cron expressions.
// Each problem names the field and says how to mend it.

import { parseDuration } from "../api/common.ts";
import { presetProblem } from "../api/reasons.ts";
import type { Check, RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import { freezeProblem } from "./freeze.ts";

/** What can't hold within one check. */
export function checkProblems(check: Check): string[] {
  const { threshold, breach, ratio, preset } = check;
  const at = `checks[${check.name}]`;
  const found: string[] = [];
  if (threshold?.min !== undefined && threshold.max !== undefined && threshold.min > threshold.max)
    found.push(`${at}.threshold: min ${threshold.min} is above max ${threshold.max}, so that no value is healthy; lower min`);
  if ((breach?.count ?? 3) > (breach?.of ?? 5))
    found.push(`${at}.breach: count ${breach?.count} is above of ${breach?.of}, so that it never breaches; lower count`);
  const [window, interval] = [check.window ?? "1m", check.interval ?? "1m"];
  if (!check.overlapping && parseDuration(window) > parseDuration(interval))
    found.push(`${at}.interval: ${interval} is shorter than the window ${window}; lengthen it, or set overlapping`);
  if (check.overlapping && (ratio?.confidence ?? preset?.confidence) !== undefined)
    found.push(`${at}.overlapping: overlapping samples are not independent; remove it or the confidence`);
  const unmeasured = preset && presetProblem(preset.server, preset.measure);
  if (unmeasured !== undefined) found.push(`${at}.preset.measure: ${unmeasured}`);
  return found;
}

/** Why a policy can't be used; empty: it can. */
export function policyProblems(spec: RollbackPolicySpec): string[] {
  const checks = spec.checks ?? [];
  const twice = checks.filter((check, index) => checks.findIndex((one) => one.name === check.name) !== index);
  return [
    ...twice.map((check) => `checks[${check.name}]: there are two of that name; rename one`),
    ...checks.flatMap(checkProblems),
    ...(spec.freeze ?? []).flatMap(({ schedule, duration, timeZone = "UTC" }, index) => {
      const problem = freezeProblem({ schedule, durationMs: parseDuration(duration), timeZone });
      return problem === undefined ? [] : [problem.replace(/^freeze/, `freeze[${index}]`)];
    }),
  ];
}
