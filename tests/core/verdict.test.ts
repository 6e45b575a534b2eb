// From readings to verdicts, as tables. The same functions judge in the operator, after a restart and in a replay.

import { describe, expect, test } from "vitest";
import type { Check } from "../../src/core/policy.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import { actsFully, type Baseline, judge, type Stage } from "../../src/core/verdict.ts";
import { addReading, emptyWindow, type Reading } from "../../src/core/window.ts";
import { check } from "./world.ts";

type Value = number | Reading["kind"] | [hits: number, trials: number];

function verdict(one: Check, values: readonly Value[], baseline: Baseline = {}, stage: Stage = "Guard") {
  const window = emptyWindow(one, 0);
  values.forEach((value, index) => {
    const at = (index + 1) * one.intervalMs;
    if (typeof value === "number") addReading(window, one, { at, kind: "Value", value });
    else if (typeof value === "string") addReading(window, one, { at, kind: value });
    else addReading(window, one, { at, kind: "Value", value: value[0] / value[1], numerator: value[0], denominator: value[1] });
  });
  return judge(one, window, baseline, stage);
}

describe("breach: {count: 3, of: 5} with threshold {max: 0.1}", () => {
  test.each<[string, Value[], string]>([
    ["nothing was asked yet", [], "Insufficient"],
    ["too few samples to tell", [0.01, 0.01], "Insufficient"],
    ["healthy samples", [0.01, 0.02, 0.01], "Healthy"],
    ["a value at the threshold is within it", [0.1, 0.1, 0.1], "Healthy"],
    ["two bad ones of five", [0.5, 0.01, 0.5, 0.01, 0.01], "Healthy"],
    ["three bad ones of five", [0.5, 0.01, 0.5, 0.01, 0.5], "Breached"],
    ["bad ones that are too long ago", [0.5, 0.5, 0.01, 0.01, 0.01, 0.01, 0.01], "Healthy"],
    ["one unusable reading keeps what is known", [0.01, 0.01, 0.01, "Error"], "Healthy"],
    ["an outage", [0.01, 0.01, 0.01, "Error", "Error"], "ProviderError"],
    ["an outage after bad samples is no breach", [0.01, 0.5, 0.5, "Error", "Error"], "ProviderError"],
    ["an outage after a breach is unknown", [0.5, 0.5, 0.5, "Error", "Error"], "ProviderError"],
    ["nothing there", ["Empty", "Empty"], "NoData"],
    ["NaN", ["NotFinite", "NotFinite"], "NoData"],
    ["several series", ["TooManySeries"], "NoData"],
    ["old samples", ["Stale", "Stale"], "NoData"],
    ["samples from the future", ["Future", "Future"], "NoData"],
    ["back after an outage", [0.01, 0.01, "Error", "Error", 0.01], "Healthy"],
  ])("%s", (_words, values, expected) => {
    expect(verdict(check(), values).verdict).toBe(expected);
  });

  test("a repeated or out-of-order reading counts once: one burst must not count twice", () => {
    const one = check();
    const window = emptyWindow(one, 0);
    for (let i = 0; i < 5; i++) addReading(window, one, { at: 1000, kind: "Value", value: 0.5 });
    addReading(window, one, { at: 500, kind: "Value", value: 0.5 });
    expect(window.count).toBe(1);
  });

  test("of the time between two neighbours at most two intervals count", () => {
    const one = check();
    const window = emptyWindow(one, 0);
    for (const at of [1000, 2000, 60_000, 61_000]) addReading(window, one, { at, kind: "Value", value: 0 });
    expect(window.coveredMs).toBe(1000 + 2000 + 1000);
  });
});

describe("comparisons", () => {
  const relative = check({ threshold: undefined, baseline: { from: "LastHealthy", maxIncreasePercent: 25, guard: "Hold" } });
  test.each<[string, Baseline, number, string]>([
    ["within the increase", { value: 1 }, 1.2, "Healthy"],
    ["beyond the increase", { value: 1 }, 1.3, "Breached"],
    ["a missing baseline", {}, 100, "NoData"],
    ["a baseline of zero", { value: 0 }, 100, "NoData"],
    ["a baseline that is not finite", { value: Number.NaN }, 100, "NoData"],
    ["a negative baseline widens by its size", { value: -1 }, -0.8, "Healthy"],
  ])("%s", (_words, baseline, value, expected) => {
    const judged = verdict(relative, [value, value, value], baseline);
    expect(judged.verdict).toBe(expected);
    if (expected === "NoData") expect(judged.reason).toBe("NoBaseline");
  });

  test("where a check has a threshold and a baseline, either may breach it", () => {
    const both = check({ threshold: { max: 10 }, baseline: { from: "LastHealthy", maxIncreasePercent: 25, guard: "Hold" } });
    expect(verdict(both, [2, 2, 2], { value: 1 })).toMatchObject({ verdict: "Breached", beyond: "Baseline" });
    expect(verdict(both, [11, 11, 11], {})).toMatchObject({ verdict: "Breached", beyond: "Threshold" });
    expect(verdict(both, [2, 2, 2], {})).toMatchObject({ verdict: "Healthy", reason: "NoBaseline" });
  });

  test("in guard a relative check acts as Hold, unless it says guard: Rollback and its baseline covers at least 24 hours", () => {
    const breached = verdict(relative, [2, 2, 2], { value: 1 });
    const day = 86_400_000;
    const rollback = {
      ...relative,
      baseline: { from: "LastHealthy" as const, maxIncreasePercent: 25, guard: "Rollback" as const },
    };
    expect(actsFully(relative, breached, "Bake", { value: 1 })).toBe(true);
    expect(actsFully(relative, breached, "Guard", { value: 1, coversMs: 2 * day })).toBe(false);
    expect(actsFully(rollback, breached, "Guard", { value: 1, coversMs: day - 1 })).toBe(false);
    expect(actsFully(rollback, breached, "Guard", { value: 1, coversMs: day })).toBe(true);
    expect(actsFully(relative, verdict(check(), [1, 1, 1]), "Guard", {})).toBe(true);
  });
});

describe("ratios", () => {
  const ratio = check({ kind: "Ratio", query: undefined, numerator: "n", denominator: "d", minSamples: 50 });
  test("little traffic is Insufficient, not Breached: readings are pooled until minSamples is reached", () => {
    expect(
      verdict(ratio, [
        [5, 10],
        [5, 10],
        [5, 10],
      ]).verdict,
    ).toBe("Insufficient");
    const pooled = verdict(
      ratio,
      Array.from({ length: 15 }, (): Value => [5, 10]),
    );
    expect(pooled).toMatchObject({ verdict: "Breached", value: 0.5, trials: 150 });
  });

  test("with confidence, the whole sequence must lie beyond the threshold in rollout and bake, and within it to be Healthy", () => {
    const sure = { ...ratio, confidence: 0.95 };
    const three = (hits: number, trials: number): Value[] => [
      [hits, trials],
      [hits, trials],
      [hits, trials],
    ];
    expect(verdict(sure, three(6, 50), {}, "Bake").verdict).toBe("Insufficient");
    expect(verdict(sure, three(60, 100), {}, "Bake").verdict).toBe("Breached");
    expect(verdict(sure, three(1, 200), {}, "Bake").verdict).toBe("Healthy");
    // The guard compares the pooled sample as it is.
    expect(verdict(sure, three(6, 50), {}, "Guard").verdict).toBe("Breached");
  });
});

describe("the policy as it is read", () => {
  test("without a policy the built-in checks apply with their defaults, Enforce", () => {
    const policy = resolvePolicy(undefined);
    expect(policy.mode).toBe("Enforce");
    expect(policy.checks.map((one) => [one.name, one.severity, one.threshold, one.breach, one.intervalMs])).toEqual([
      ["available", "Critical", { max: 0.5, inclusive: true }, { count: 8, of: 8 }, 15_000],
      ["restarts", "Critical", { max: 0.5, inclusive: true }, { count: 1, of: 1 }, 15_000],
    ]);
    expect(policy.bakeMs).toBe(600_000);
  });

  test("a bake shorter than warmup + interval × of of a Critical check is lengthened, and so is verify", () => {
    const one = {
      name: "x",
      source: "s",
      query: "q",
      interval: "1m",
      window: "1m",
      overlapping: false,
      breach: { count: 3, of: 5 },
      severity: "Critical" as const,
      threshold: { max: 1 },
    };
    const policy = resolvePolicy({ warmup: "30s", bake: "10s", checks: [one], rollback: { verify: "1s" } });
    expect(policy.bakeMs).toBe(330_000);
    expect(policy.verifyMs).toBe(330_000);
  });

  test("when a check changes, its samples start anew; changes of other fields leave them alone", () => {
    const one = {
      name: "x",
      source: "s",
      query: "q",
      interval: "1m",
      window: "1m",
      overlapping: false,
      breach: { count: 3, of: 5 },
      severity: "Critical" as const,
      threshold: { max: 1 },
    };
    const fingerprint = (policy: object) => resolvePolicy(policy).checks[0]?.fingerprint;
    expect(fingerprint({ checks: [one] })).toBe(fingerprint({ checks: [one], bake: "1h" }));
    expect(fingerprint({ checks: [one] })).not.toBe(fingerprint({ checks: [{ ...one, threshold: { max: 0.5 } }] }));
  });
});
