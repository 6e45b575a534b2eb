// The policy in force, as the deciding code reads it: durations in milliseconds, shares as fractions, built-in checks as checks.
// One pure function makes it from what users wrote; what they left out comes from the defaults of the API.

/** Of which kind a check's readings are. */
export type CheckKind = "Scalar" | "Ratio" | "Available" | "Restarts";
export type Severity = "Critical" | "Warning" | "Info";
export type Action = "Rollback" | "Hold" | "Alert";

export interface Threshold {
  min?: number;
  max?: number;
  /** The built-in checks breach when the limit is reached, not only when it is passed. */
  inclusive?: boolean;
}

export interface BaselineRule {
  from: "LastHealthy" | "Active" | "ValidationMetric";
  /** The name of the validation metric; only with ValidationMetric. */
  metric?: string;
  maxIncreasePercent?: number;
  maxDecreasePercent?: number;
  /** What a breach of the comparison does while guarding; a baseline of ten minutes says little about another hour of the day. */
  guard: "Hold" | "Rollback";
}

export interface Check {
  name: string;
  kind: CheckKind;
  /** Name of the MetricSource; undefined for the built-in checks, which read the pods' states. */
  source?: string;
  query?: string;
  numerator?: string;
  denominator?: string;
  freshness?: string;
  /** A ratio is conclusive from this many samples on, pooled over windows. */
  minSamples: number;
  /** Set: judge by a confidence sequence in rollout and bake. */
  confidence?: number;
  windowMs: number;
  intervalMs: number;
  threshold?: Threshold;
  baseline?: BaselineRule;
  breach: { count: number; of: number };
  severity: Severity;
  /** Changes when the check changes; its samples then start anew. */
  fingerprint: string;
}

export interface RestartsRule {
  failures: number;
  inMs: number;
}

export interface Policy {
  mode: "Enforce" | "Recommend" | "Observe";
  warmupMs: number;
  /** Already lengthened to what the Critical checks need. */
  bakeMs: number;
  /** Already lengthened like the bake. */
  verifyMs: number;
  deadlineMs: number;
  cooldownMs: number;
  budget: { limit: number; perMs: number };
  maxDepth: number;
  restarts: RestartsRule;
  checks: Check[];
  actions: Record<Severity, Action>;
  missingData: { afterMs: number; action: "Alert" | "Hold" };
  /** Which objects it was made of, as `Kind/name@generation`; empty: the built-in one. */
  names: string[];
  generations: number[];
  hash: string;
}
