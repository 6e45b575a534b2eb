// From what users wrote to the policy that the core reads: defaults filled in, durations in milliseconds, shares as fractions,
// built-in checks as checks, and the bake lengthened to what the checks need.

import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { parseDuration, parsePercent } from "../api/common.ts";
import { DEFAULT_POLICY } from "../api/defaults.ts";
import type { RollbackPolicySpec, Check as WrittenCheck } from "../api/rollbackpolicy.ts";
import type { Check, Policy } from "./policy.ts";
import { presetQueries } from "./presets.ts";

/** Where a policy comes from; none: the built-in one. */
export interface PolicyOrigin {
  kind: string;
  name: string;
  generation: number;
}

/** A short hash of plain data, whatever the order of its members. */
export function digest(value: unknown): string {
  return createHash("sha256")
    .update(canonicalize(JSON.parse(JSON.stringify(value))) ?? "")
    .digest("hex")
    .slice(0, 16);
}

function written(check: WrittenCheck): Check {
  const { preset, baseline } = check;
  const queries = preset ? presetQueries(preset.server, preset.measure) : check;
  const ratio = queries.ratio && { ...preset, ...queries.ratio };
  return {
    name: check.name,
    kind: ratio ? "Ratio" : "Scalar",
    source: check.source,
    ...(preset ? { preset: true } : {}),
    ...(queries.query === undefined ? {} : { query: queries.query }),
    ...(ratio ? { numerator: ratio.numerator, denominator: ratio.denominator } : {}),
    ...(check.freshness === undefined ? {} : { freshness: check.freshness }),
    minSamples: ratio?.minSamples ?? (ratio ? 50 : 1),
    ...(ratio?.confidence === undefined ? {} : { confidence: ratio.confidence }),
    ...(ratio?.falseAlarm ? { falseAlarm: { atMost: ratio.falseAlarm.atMost, perMs: parseDuration(ratio.falseAlarm.per) } } : {}),
    windowMs: parseDuration(check.window ?? "1m"),
    // Samples whose windows overlap count as one: with an interval below the window, the window is the distance that counts.
    intervalMs: Math.max(parseDuration(check.interval ?? "1m"), parseDuration(check.window ?? "1m")),
    ...(check.threshold ? { threshold: { ...check.threshold } } : {}),
    ...(baseline ? { baseline: { ...baseline, from: baseline.from ?? "LastHealthy", guard: baseline.guard ?? "Hold" } } : {}),
    breach: { count: check.breach?.count ?? 3, of: check.breach?.of ?? 5 },
    severity: check.severity ?? "Critical",
    measures: digest([check.source, queries.query, ratio?.numerator, ratio?.denominator]).slice(0, 8),
    fingerprint: digest(preset ? { ...check, ...queries } : check),
  };
}

/** `available` breaches when the share was reached in every sample of its time; `restarts` in the very sample that shows it. */
function builtIn(spec: RollbackPolicySpec): Check[] {
  const every = parseDuration(spec.builtInInterval ?? DEFAULT_POLICY.builtInInterval);
  const available = { ...DEFAULT_POLICY.available, ...spec.available };
  const restarts = { ...DEFAULT_POLICY.restarts, ...spec.restarts };
  const of = Math.min(Math.max(Math.ceil(parseDuration(available.for) / every), 1), 60);
  const common = { minSamples: 1, windowMs: every, intervalMs: every, severity: "Critical" as const };
  return [
    {
      ...common,
      name: "available",
      kind: "Available",
      // A long `for` is sampled less often rather than with a longer memory.
      intervalMs: Math.max(every, Math.ceil(parseDuration(available.for) / of)),
      threshold: { max: parsePercent(available.unready), inclusive: true },
      breach: { count: of, of },
      fingerprint: digest({ available, every }),
    },
    {
      ...common,
      name: "restarts",
      kind: "Restarts",
      threshold: { max: parsePercent(restarts.pods), inclusive: true },
      breach: { count: 1, of: 1 },
      fingerprint: digest({ restarts, every }),
    },
  ];
}

/**
 * The policy in force for a deployment.
 * @param spec what the deployment's policy says; undefined: the built-in checks with their defaults, Enforce
 */
export function resolvePolicy(spec: RollbackPolicySpec | undefined, origin?: PolicyOrigin): Policy {
  const said = spec ?? {};
  const checks = [...(said.checks ?? []).map(written), ...builtIn(said)];
  const warmupMs = parseDuration(said.warmup ?? DEFAULT_POLICY.warmup);
  const needed = checks
    .filter((check) => check.severity === "Critical")
    .map((check) => warmupMs + check.intervalMs * check.breach.of);
  const least = Math.max(warmupMs, ...needed);
  const limits = { ...DEFAULT_POLICY.rollback, ...said.rollback };
  const restarts = { ...DEFAULT_POLICY.restarts, ...said.restarts };
  const missing = { ...DEFAULT_POLICY.onMissingData, ...said.onMissingData };
  const bakeMs = Math.max(parseDuration(said.bake ?? DEFAULT_POLICY.bake), least);
  return {
    mode: said.mode ?? DEFAULT_POLICY.mode,
    warmupMs,
    bakeMs,
    verifyMs: Math.max(parseDuration(limits.verify), least),
    deadlineMs: parseDuration(limits.deadline),
    cooldownMs: parseDuration(limits.cooldown),
    budget: { limit: limits.budget.limit ?? 3, perMs: parseDuration(limits.budget.per ?? "1h") },
    maxDepth: limits.maxDepth,
    restarts: { failures: restarts.failures, inMs: parseDuration(restarts.in) },
    checks: checks.map((check) => (check.kind === "Ratio" ? { ...check, poolMs: bakeMs } : check)),
    actions: { ...DEFAULT_POLICY.actions, ...said.actions },
    missingData: { afterMs: parseDuration(missing.after), action: missing.action },
    freeze: (said.freeze ?? DEFAULT_POLICY.freeze).map((one) => ({
      schedule: one.schedule,
      durationMs: parseDuration(one.duration),
      timeZone: one.timeZone,
    })),
    origins: [],
    current: true,
    names: origin ? [`${origin.kind}/${origin.name}`] : [],
    generations: origin ? [origin.generation] : [],
    hash: digest(said),
  };
}
