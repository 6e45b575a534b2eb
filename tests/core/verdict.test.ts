// From readings to verdicts, as tables. The same functions judge in the operator, after a restart and in a replay.

import { describe, expect, test } from "vitest";
import type { Baseline } from "../../src/core/baseline.ts";
import { baselineLimits } from "../../src/core/baseline.ts";
import type { BaselineRule, Check, Threshold } from "../../src/core/policy.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import { actsFully, judge, type Stage } from "../../src/core/verdict.ts";
import { addReading, emptyWindow, type Reading } from "../../src/core/window.ts";
import { check } from "./world.ts";

type Value = number | Reading["kind"] | [hits: number, trials: number];

const rounded = (limits: Threshold) =>
  Object.fromEntries(Object.entries(limits).map(([side, value]) => [side, Number(Number(value).toPrecision(6))]));

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

  test("samples whose windows overlap count as one, from late timers and refills too", () => {
    const overlapping = resolvePolicy({
      checks: [
        {
          name: "x",
          source: "s",
          query: "q",
          interval: "10s",
          window: "1m",
          overlapping: true,
          breach: { count: 3, of: 5 },
          severity: "Critical",
          threshold: { max: 0.1 },
        },
      ],
    }).checks[0];
    if (!overlapping) throw new Error("no check");
    // Asked no oftener than the window is long, and what comes nearer is the same burst again.
    expect(overlapping.intervalMs).toBe(60_000);
    const window = emptyWindow(overlapping, 0);
    for (let second = 0; second < 180; second += 10)
      addReading(window, overlapping, { at: second * 1000, kind: "Value", value: 1 });
    expect(window.samples.map((sample) => sample.at)).toEqual([0, 60_000, 120_000]);
    // A timer that is a little early is no overlap to speak of.
    addReading(window, overlapping, { at: 179_000, kind: "Value", value: 1 });
    expect(window.count).toBe(4);
  });

  test("a step of the clock by an hour, there and back, causes nothing and does not blind", () => {
    const one = check({ windowMs: 60_000, intervalMs: 60_000 });
    const window = emptyWindow(one, 0);
    const minute = 60_000;
    const add = (at: number, value: number) => addReading(window, one, { at, kind: "Value", value });
    for (let i = 1; i <= 5; i++) add(i * minute, 0.01);
    for (let i = 6; i <= 8; i++) add((i + 60) * minute, 0.01);
    expect(judge(one, window, {}, "Guard").verdict).toBe("Healthy");
    // One late answer changes nothing; two in order are a clock that was set back.
    add(9 * minute, 0.5);
    expect(window.count).toBe(8);
    for (let i = 10; i <= 12; i++) add(i * minute, 0.5);
    expect(judge(one, window, {}, "Guard").verdict).toBe("Breached");
    expect(window.coveredMs).toBeLessThanOrEqual(12 * minute);
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
    ["one that is still awaited", { awaited: "not yet" }, 100, "Insufficient"],
  ])("%s", (_words, baseline, value, expected) => {
    const judged = verdict(relative, [value, value, value], baseline);
    expect(judged.verdict).toBe(expected);
    if (expected === "NoData") expect(judged.reason).toBe("NoBaseline");
  });

  test.each<[string, Partial<BaselineRule>, number, { min?: number; max?: number } | undefined]>([
    ["an increase in percent", { maxIncreasePercent: 25 }, 0.4, { max: 0.5 }],
    ["an increase in the value's own unit", { maxIncrease: 0.05 }, 0.4, { max: 0.45 }],
    ["a decrease in percent", { maxDecreasePercent: 50 }, 0.4, { min: 0.2 }],
    ["a decrease in the value's own unit", { maxDecrease: 0.3 }, 0.4, { min: 0.1 }],
    ["both ways", { maxIncreasePercent: 50, maxDecrease: 0.1 }, 0.4, { max: 0.6, min: 0.3 }],
    ["the nearer of two limits counts", { maxIncreasePercent: 100, maxIncrease: 0.1 }, 0.4, { max: 0.5 }],
    ["a percentage of zero is no limit", { maxIncreasePercent: 25 }, 0, undefined],
    ["an absolute increase over zero is one", { maxIncrease: 0.05 }, 0, { max: 0.05 }],
    ["of both only the absolute one counts at zero", { maxIncreasePercent: 25, maxIncrease: 0.05 }, 0, { max: 0.05 }],
    ["a value that is not finite sets none", { maxIncrease: 0.05 }, Number.POSITIVE_INFINITY, undefined],
  ])("the limits of a baseline: %s", (_words, rule, value, expected) => {
    const one = check({ baseline: { from: "LastHealthy", guard: "Hold", ...rule } });
    const limits = baselineLimits(one, { value });
    expect(limits === undefined ? undefined : rounded(limits)).toEqual(expected);
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
  });

  test("while a sequence lies beyond the threshold, a good sample is no bad one: one burst must not count twice", () => {
    const sure = { ...ratio, confidence: 0.95 };
    const burst: Value[] = [[90, 100], ...Array.from({ length: 4 }, (): Value => [0, 100])];
    expect(verdict(sure, burst, {}, "Bake")).toMatchObject({ verdict: "Insufficient", conclusive: 1 });
  });

  test("in guard, bad samples are a breach only with the evidence of the change detector; until then Insufficient", () => {
    const six: Value[] = Array.from({ length: 3 }, () => [6, 50]);
    expect(verdict(ratio, six)).toMatchObject({ verdict: "Insufficient", reason: "Undecided" });
    const twelve = verdict(ratio, [[1, 50], ...Array.from({ length: 3 }, (): Value => [30, 50])]);
    expect(twelve).toMatchObject({ verdict: "Breached", beyond: "Threshold" });
    expect(twelve.message).toBe(
      "3 of the last 4 samples beyond the threshold; the change detector crossed its level: 90 of 150 since 1970-01-01T00:00:02Z",
    );
  });

  test("in guard, one burst is no breach, however bad, nor is it remembered when it is over", () => {
    const burst: Value[] = [[900, 1000], ...Array.from({ length: 6 }, (): Value => [0, 100]), [11, 100], [11, 100], [11, 100]];
    expect(verdict(ratio, burst.slice(0, 1)).verdict).toBe("Insufficient");
    expect(verdict(ratio, burst.slice(0, 4)).verdict).toBe("Healthy");
    expect(verdict(ratio, burst).verdict).toBe("Insufficient");
  });

  test("a rate below its lower limit is caught like one above the upper", () => {
    const least = { ...ratio, threshold: { min: 0.9 } };
    const values = (hits: number): Value[] => Array.from({ length: 5 }, () => [hits, 100]);
    expect(verdict(least, values(40)).verdict).toBe("Breached");
    expect(verdict(least, values(90)).verdict).toBe("Healthy");
  });

  test("a limit that a baseline sets is guarded by the same detector", () => {
    const relative = {
      ...ratio,
      threshold: undefined,
      baseline: { from: "LastHealthy" as const, maxIncreasePercent: 100, guard: "Rollback" as const },
    };
    const values = (hits: number): Value[] => Array.from({ length: 5 }, () => [hits, 1000]);
    expect(verdict(relative, values(21), { value: 0.01 })).toMatchObject({ verdict: "Insufficient", reason: "Undecided" });
    expect(verdict(relative, values(80), { value: 0.01 })).toMatchObject({ verdict: "Breached", beyond: "Baseline" });
    expect(verdict(relative, values(10), { value: 0.01 }).verdict).toBe("Healthy");
  });

  test("readings are pooled over the bake at most: too little traffic is Insufficient, also when there was enough before", () => {
    const thin = { ...ratio, poolMs: 5000 };
    const few: Value[] = Array.from({ length: 40 }, () => [0, 5]);
    expect(verdict(thin, few).verdict).toBe("Insufficient");
    const enough: Value[] = Array.from({ length: 3 }, () => [0, 50]);
    expect(verdict(thin, enough).verdict).toBe("Healthy");
    expect(verdict(thin, [...enough, ...few])).toMatchObject({ verdict: "Insufficient", reason: "TooFewSamples" });
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
