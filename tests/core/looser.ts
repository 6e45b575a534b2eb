// What is looser, written by hand and apart from the table that merges: only fields where no reader could think otherwise.

import { parseDuration } from "../../src/api/common.ts";
import { DEFAULT_POLICY } from "../../src/api/defaults.ts";
import type { RollbackPolicySpec } from "../../src/api/rollbackpolicy.ts";

const MODES = ["Observe", "Recommend", "Enforce"];
const ACTIONS = ["Alert", "Hold", "Rollback"];

/** The first field of `merged` that is looser than a Required layer says; undefined: none is. */
export function isLooser(merged: RollbackPolicySpec, required: RollbackPolicySpec): string | undefined {
  const has = (value: unknown) => value !== undefined;
  const ms = (text: string | undefined, otherwise: string) => parseDuration(text ?? otherwise);
  if (has(required.mode) && MODES.indexOf(merged.mode ?? "Enforce") < MODES.indexOf(required.mode ?? "Observe")) return "mode";
  if (has(required.warmup) && ms(merged.warmup, "24h") > ms(required.warmup, "0s")) return "warmup";
  if (has(required.bake) && ms(merged.bake, "0s") < ms(required.bake, "0s")) return "bake";
  for (const severity of ["Critical", "Warning", "Info"] as const) {
    const bound = required.actions?.[severity];
    const action = merged.actions?.[severity] ?? DEFAULT_POLICY.actions[severity];
    if (bound !== undefined && ACTIONS.indexOf(action) < ACTIONS.indexOf(bound)) return `actions.${severity}`;
  }
  const { verify, deadline } = required.rollback ?? {};
  if (has(verify) && ms(merged.rollback?.verify, "0s") < ms(verify, "0s")) return "rollback.verify";
  if (has(deadline) && ms(merged.rollback?.deadline, "24h") > ms(deadline, "0s")) return "rollback.deadline";
  for (const bound of required.checks ?? []) {
    const check = merged.checks?.find((one) => one.name === bound.name);
    if (!check) return `checks[${bound.name}]`;
    const { max, min } = bound.threshold ?? {};
    if (max !== undefined && (check.threshold?.max ?? Number.POSITIVE_INFINITY) > max)
      return `checks[${bound.name}].threshold.max`;
    if (min !== undefined && (check.threshold?.min ?? Number.NEGATIVE_INFINITY) < min)
      return `checks[${bound.name}].threshold.min`;
    const severity = ["Info", "Warning", "Critical"];
    if (severity.indexOf(check.severity ?? "Critical") < severity.indexOf(bound.severity ?? "Critical"))
      return `checks[${bound.name}].severity`;
  }
  return undefined;
}
