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
  /** Absolute, in the unit of the value. */
  maxIncrease?: number;
  maxDecrease?: number;
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
  /** A ratio's readings are pooled over at most this long, ms; absent: without limit. */
  poolMs?: number;
  /** Set: judge by a confidence sequence in rollout and bake. */
  confidence?: number;
  /** While guarding: how many false alarms are tolerated in how long a time, ms. */
  falseAlarm?: { atMost: number; perMs: number };
  /** Expanded from a preset: its queries name one workload of one namespace and nothing else. */
  preset?: boolean;
  /** A Required layer brought it: pausing does not stop its returns. */
  required?: boolean;
  /** `<kind>/<name>` of the layer that it comes from; absent: the only policy, or built in. */
  layer?: string;
  windowMs: number;
  intervalMs: number;
  threshold?: Threshold;
  baseline?: BaselineRule;
  breach: { count: number; of: number };
  severity: Severity;
  /** Hash of what is asked, and of which source: what another one gave is no baseline of this check. Absent: built in. */
  measures?: string;
  /** Changes when the check changes; its samples then start anew. */
  fingerprint: string;
}

export interface RestartsRule {
  failures: number;
  inMs: number;
}

/** A time in which a candidate gets no more traffic; it never stops a return. */
export interface FreezeWindow {
  /** Cron of five fields: when it begins. */
  schedule: string;
  durationMs: number;
  /** IANA name. */
  timeZone: string;
}

/** Where a field of a merged policy comes from. */
export interface FieldOrigin {
  /** Path of the field, such as `checks[error-ratio].threshold`. */
  field: string;
  /** `<kind>/<name>`. */
  layer: string;
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
  /** Times in which a candidate gets no more traffic. */
  freeze: FreezeWindow[];
  /** Which objects it was made of, as `Kind/name@generation`; empty: the built-in one. */
  names: string[];
  generations: number[];
  /** Where each field that was written comes from. */
  origins: FieldOrigin[];
  /** False: what is written now can't be used, and this is the last valid one. */
  current: boolean;
  /** What there is to say about how it was made: why it is not current, what a layer was refused. */
  notice?: string;
  hash: string;
}
