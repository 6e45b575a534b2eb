// Policies for the tests of this folder, written as users write them.

import type { RollbackPolicySpec } from "../../src/api/rollbackpolicy.ts";

/** An error ratio with a confidence sequence, a latency with a comparison, an accuracy that only warns, and one that only tells. */
export const written = (over: Partial<RollbackPolicySpec> = {}): RollbackPolicySpec =>
  ({
    checks: [
      {
        name: "error-ratio",
        source: "prometheus",
        ratio: { numerator: "bad", denominator: "all", minSamples: 50, confidence: 0.95 },
        threshold: { max: 0.02 },
        breach: { count: 3, of: 5 },
      },
      {
        name: "latency",
        source: "prometheus",
        query: "p95",
        threshold: { max: 0.8 },
        baseline: { from: "LastHealthy", maxIncreasePercent: 25, guard: "Hold" },
      },
      {
        name: "compared",
        source: "prometheus",
        query: "x",
        baseline: { from: "LastHealthy", maxIncreasePercent: 25, guard: "Hold" },
      },
      {
        name: "accuracy",
        source: "feedback",
        query: "y",
        baseline: { from: "ValidationMetric", metric: "accuracy", maxDecreasePercent: 5, guard: "Hold" },
        severity: "Warning",
      },
      { name: "queue", source: "prometheus", query: "z", threshold: { max: 100 }, severity: "Info" },
    ],
    ...over,
  }) as RollbackPolicySpec;
