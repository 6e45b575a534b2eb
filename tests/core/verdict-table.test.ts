// The table of docs/verdicts.md, judged row by row.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isBeyond, judge, type Stage } from "../../src/core/verdict.ts";
import { addReading, emptyWindow, type Reading } from "../../src/core/window.ts";
import { CHECKS, judgeRow, VERDICTS } from "./verdict-table.ts";

const ROWS = Object.values(VERDICTS).flat();

describe.each(Object.entries(VERDICTS))("each shape of what was measured has its one verdict: %s", (_title, rows) => {
  test.each(rows.map((row) => [`${row.check}: ${row.shape}`, row] as const))("%s", (_name, row) => {
    const judged = judgeRow(row);
    expect([judged.verdict, judged.reason], judged.message).toEqual([row.verdict, row.reason]);
    expect(judged.message).toMatch(/^[^\n]{5,250}$/);
  });
});

test("there are at least forty shapes, each named once, and each verdict and reason is among them", () => {
  expect(ROWS.length).toBeGreaterThanOrEqual(40);
  expect(new Set(ROWS.map((row) => `${row.check} ${row.shape}`)).size).toBe(ROWS.length);
  expect([...new Set(ROWS.map((row) => row.verdict))].sort()).toEqual([
    "Breached",
    "Healthy",
    "Insufficient",
    "NoData",
    "ProviderError",
  ]);
  expect(new Set(ROWS.flatMap((row) => row.reason ?? [])).size).toBe(5);
});

const MINUTE = 60_000;
/** Anything that a source may say, at any distance from what it said before. */
const reading = fc.record({
  kind: fc.constantFrom<Reading["kind"]>("Value", "Value", "Value", "Value", "Empty", "NotFinite", "Stale", "Error"),
  hits: fc.integer({ min: 0, max: 100 }),
  trials: fc.integer({ min: 100, max: 1000 }),
  after: fc.constantFrom(MINUTE, MINUTE, MINUTE, MINUTE, 0, -MINUTE, 5000, 30 * MINUTE, -60 * MINUTE, 60 * MINUTE),
});

test("whatever a source says: unknown is never Breached nor Healthy, a breach has its bad samples, nothing counts twice, and all is bounded", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("value", "range", "ratio", "sure"),
      fc.constantFrom<Stage>("Candidate", "Bake", "Guard"),
      fc.array(reading, { minLength: 1, maxLength: 150 }),
      (name, stage, readings) => {
        const { check } = CHECKS[name];
        const window = emptyWindow(check, 0);
        let at = 100 * MINUTE;
        let unusable = 0;
        for (const one of readings) {
          at = Math.max(at + one.after, 0);
          const before = window.latest;
          const value = one.hits / one.trials;
          addReading(window, check, { at, kind: one.kind, value, numerator: one.hits, denominator: one.trials });
          if (window.latest !== before) unusable = one.kind === "Value" ? 0 : unusable + 1;
        }
        const { verdict } = judge(check, window, {}, stage);
        if (unusable >= 2) expect(["NoData", "ProviderError"]).toContain(verdict);
        const bad = window.samples.filter((sample) => isBeyond(sample.value, check.threshold ?? {}));
        if (verdict === "Breached") expect(bad.length).toBeGreaterThanOrEqual(check.breach.count);
        if (bad.length === 0) expect(verdict).not.toBe("Breached");
        window.samples.forEach((sample, index) => {
          const next = window.samples[index + 1];
          if (next) expect(next.at - sample.at).toBeGreaterThanOrEqual(0.9 * check.windowMs);
        });
        expect(window.samples.length).toBeLessThanOrEqual(100);
        expect(window.coveredMs).toBeLessThanOrEqual(2 * check.intervalMs * readings.length);
      },
    ),
    { numRuns: 500, seed: 1 },
  );
});
