// The storm breaker as a pure function: when it opens, at what, when it closes, and what a restart and a person change.

import { describe, expect, test } from "vitest";
import { assess, type BreakerSettings, type BreakerState, type Guarded, resumeBreaker } from "../../src/core/breaker.ts";

const SETTINGS: BreakerSettings = { enabled: true, share: 0.3, atLeast: 5, withinMs: 600_000 };
const NOW = Date.parse("2026-11-24T10:00:00Z");
const LONG_AGO = NOW - 30 * 86_400_000;
const CLOSED: BreakerState = { open: false };

/** So many deployments at one source, of which some went bad so long ago, ms. */
function fleet(size: number, bad: number, agoMs = 1000, source = "prometheus", name = "m"): Guarded[] {
  return Array.from({ length: size }, (_, index) => ({
    key: `ns/${name}${index}`,
    sources: [source],
    runs: index < bad ? [{ since: NOW - agoMs, source }] : [],
    heard: true,
  }));
}
const built = (guarded: Guarded[]): Guarded[] =>
  guarded.map((one) => ({ ...one, runs: one.runs.map(({ since }) => ({ since })) }));
const says = (guarded: Guarded[], state = CLOSED, settings = SETTINGS, now = NOW) =>
  assess(settings, state, guarded, now, LONG_AGO);

describe("it opens when more than the share, and at least so many, went bad within the time", () => {
  test.each<[string, Guarded[], Partial<BreakerSettings>, string | false]>([
    ["6 of 10", fleet(10, 6), {}, "prometheus"],
    ["5 of 10", fleet(10, 5), {}, "prometheus"],
    ["4 of 10 are too few by number", fleet(10, 4), {}, false],
    ["5 of 5", fleet(5, 5), {}, "prometheus"],
    ["30 of 100 are not more than 30 %", fleet(100, 30), {}, false],
    ["31 of 100 are", fleet(100, 31), {}, "prometheus"],
    ["1 of 10", fleet(10, 1), {}, false],
    ["nobody", [], {}, false],
    ["6 of 10, but longer ago than that", fleet(10, 6, 600_001), {}, false],
    ["6 of 10, at the very end of the time", fleet(10, 6, 600_000), {}, "prometheus"],
    ["6 of 10 by the built-in checks: no source explains it", built(fleet(10, 6)), {}, "the fleet"],
    [
      "all 6 of a source, among 40 that use another: it is a storm of that source",
      [...fleet(6, 6, 1000, "small", "s"), ...fleet(40, 0, 1000, "large", "l")],
      {},
      "small",
    ],
    [
      "3 of 5 at each of two sources: one of the fleet",
      [...fleet(5, 3, 1000, "a", "a"), ...fleet(5, 3, 1000, "b", "b")],
      {},
      "the fleet",
    ],
    ["two sources at once: the fleet", [...fleet(6, 6, 1000, "a", "a"), ...fleet(6, 6, 1000, "b", "b")], {}, "the fleet"],
    ["limits of its own", fleet(10, 2), { share: 0.1, atLeast: 2 }, "prometheus"],
    ["switched off", fleet(10, 10), { enabled: false }, false],
  ])("%s", (_words, guarded, more, expected) => {
    const { state } = says(guarded, CLOSED, { ...SETTINGS, ...more });
    expect(state.open ? (state.source ?? "the fleet") : false).toBe(expected);
  });

  test("it names the bad ones and of how many", () => {
    expect(says(fleet(10, 5))).toMatchObject({ guarded: 10, bad: ["ns/m0", "ns/m1", "ns/m2", "ns/m3", "ns/m4"] });
  });
});

describe("it stays open while they stay bad, and closes by itself", () => {
  const OPEN: BreakerState = { open: true, since: NOW - 3_600_000, source: "prometheus" };

  test("what went bad an hour ago keeps it open", () => {
    expect(says(fleet(10, 6, 3_600_000), OPEN).state.open).toBe(true);
  });

  test("it does not close at the very edge at which it opens", () => {
    expect(says(fleet(10, 4, 3_600_000), OPEN).state).toEqual(OPEN);
    expect(says(fleet(10, 3, 3_600_000), OPEN).state).toEqual(OPEN);
  });

  test("it closes when half of that is left, for a tenth of the time", () => {
    const calm = says(fleet(10, 2, 3_600_000), OPEN).state;
    expect(calm).toEqual({ ...OPEN, calmSince: NOW });
    expect(says(fleet(10, 2, 3_600_000), calm, SETTINGS, NOW + 59_000).state.open).toBe(true);
    expect(says(fleet(10, 2, 3_600_000), calm, SETTINGS, NOW + 60_000).state).toEqual({ open: false, since: NOW + 60_000 });
  });

  test("a relapse while it calms begins the calm anew", () => {
    const calm = says(fleet(10, 2), OPEN).state;
    expect(says(fleet(10, 6), calm).state).toEqual(OPEN);
  });

  test("a storm of one source that reaches others becomes one of the fleet, since the same time", () => {
    const wider = [...fleet(10, 6, 3_600_000), ...fleet(10, 8, 1000, "other", "o")];
    expect(says(wider, OPEN).state).toEqual({ open: true, since: OPEN.since });
  });

  test("switching it off closes it", () => {
    expect(says(fleet(10, 10), OPEN, { ...SETTINGS, enabled: false }).state).toEqual({ open: false, since: NOW });
  });

  test("after a restart whom nobody has heard yet counts as bad, for as long as the time says", () => {
    const silent = fleet(10, 0).map((one) => ({ ...one, heard: false }));
    expect(assess(SETTINGS, OPEN, silent, NOW, NOW - 1000).state).toEqual(OPEN);
    expect(assess(SETTINGS, OPEN, silent, NOW, NOW - 600_000).state.calmSince).toBe(NOW);
  });
});

describe("a person says to go on", () => {
  test("it closes, and what was bad by then opens it no more", () => {
    const resumed = resumeBreaker({ open: true, since: NOW - 60_000, source: "prometheus" }, NOW);
    expect(resumed).toEqual({ open: false, since: NOW, resumedAt: NOW });
    expect(says(fleet(10, 10), resumed, SETTINGS, NOW + 5000).state.open).toBe(false);
  });

  test("what goes bad afterwards does", () => {
    const resumed = resumeBreaker({ open: true, since: NOW - 60_000 }, NOW);
    const later = fleet(10, 6).map((one) => ({ ...one, runs: one.runs.map((run) => ({ ...run, since: NOW + 1000 })) }));
    expect(says(later, resumed, SETTINGS, NOW + 2000).state).toMatchObject({ open: true, resumedAt: NOW });
  });
});
