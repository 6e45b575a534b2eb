// The storm breaker as a pure function: when it opens, at what, when it closes, and what a restart and a person change.

import { describe, expect, test } from "vitest";
import {
  assess,
  type BreakerSettings,
  type BreakerState,
  concerns,
  type Doubt,
  type Guarded,
  resumeBreaker,
  wider,
} from "../../src/core/breaker.ts";

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

/** The same deployments in another namespace. */
const inside = (namespace: string, guarded: Guarded[]): Guarded[] =>
  guarded.map((one) => ({ ...one, key: one.key.replace("ns/", `${namespace}/`) }));
const doubtOf = ({ open, source, namespace }: BreakerState) => (open ? [source ?? "all", namespace ?? "everywhere"] : "no storm");

describe("a storm that is one namespace's is in doubt there only", () => {
  test.each<[string, Guarded[], ReturnType<typeof doubtOf>]>([
    ["a fleet of one namespace", fleet(10, 6), ["prometheus", "ns"]],
    ["all 40 bad ones of 100", [...fleet(40, 40), ...inside("b", fleet(60, 0))], ["prometheus", "ns"]],
    ["one stray elsewhere", [...fleet(6, 6), ...inside("b", fleet(4, 1))], ["prometheus", "ns"]],
    ["half of the few others", [...fleet(10, 10), ...inside("b", fleet(4, 2))], ["prometheus", "everywhere"]],
    ["an incident of eight others among 60", [...fleet(40, 40), ...inside("b", fleet(60, 8))], ["prometheus", "ns"]],
    ["more than a fifth are elsewhere", [...fleet(40, 40), ...inside("b", fleet(60, 11))], ["prometheus", "everywhere"]],
    [
      "five namespaces alike",
      ["a", "b", "c", "d", "e"].flatMap((name) => inside(name, fleet(20, 7))),
      ["prometheus", "everywhere"],
    ],
    ["by the built-in checks", built([...fleet(6, 6), ...inside("b", fleet(4, 0))]), ["all", "ns"]],
    [
      "at two sources of its own",
      [...fleet(6, 6, 1000, "p", "p"), ...fleet(6, 6, 1000, "q", "q"), ...inside("b", fleet(20, 1))],
      ["all", "ns"],
    ],
    [
      "and another source's storm elsewhere: it is not one namespace's",
      [...fleet(40, 40), ...inside("b", fleet(6, 6, 1000, "small")), ...inside("c", fleet(60, 0))],
      ["all", "everywhere"],
    ],
    ["few of the fleet, though all of the namespace", [...fleet(10, 10), ...inside("b", fleet(60, 0))], "no storm"],
  ])("%s", (_words, guarded, expected) => {
    expect(doubtOf(says(guarded).state)).toEqual(expected);
  });

  const OPEN: BreakerState = { open: true, since: NOW - 3_600_000, source: "prometheus", namespace: "ns" };

  test("it counts those that are held", () => {
    const { guarded, bad } = says([...fleet(6, 6), ...inside("b", fleet(4, 1))]);
    expect([guarded, bad]).toEqual([6, ["ns/m0", "ns/m1", "ns/m2", "ns/m3", "ns/m4", "ns/m5"]]);
  });

  test("while it is open it grows to the others when they go bad, and never back", () => {
    const grown = says([...fleet(10, 10), ...inside("b", fleet(10, 6))], OPEN).state;
    expect(grown).toEqual({ open: true, since: OPEN.since, source: "prometheus" });
    expect(says([...fleet(10, 10), ...inside("b", fleet(10, 0))], grown).state).toEqual(grown);
  });

  test("it closes when no more than half of what opens it over all is left", () => {
    const left = (bad: number) => [...fleet(40, bad, 3_600_000), ...inside("b", fleet(60, 0))];
    expect(says(left(16), OPEN).state).toEqual(OPEN);
    expect(says(left(15), OPEN).state).toEqual({ ...OPEN, calmSince: NOW });
  });

  test("it closes whatever the others do that are not held", () => {
    const others = inside("b", fleet(60, 60, 3_600_000));
    expect(says([...fleet(40, 0), ...others], OPEN).state).toEqual({ ...OPEN, calmSince: NOW });
  });

  test.each<[string, Doubt, Doubt, Doubt]>([
    ["the same", { source: "a", namespace: "n" }, { source: "a", namespace: "n" }, { source: "a", namespace: "n" }],
    ["another source", { source: "a", namespace: "n" }, { source: "b", namespace: "n" }, { namespace: "n" }],
    ["another namespace", { source: "a", namespace: "n" }, { source: "a", namespace: "m" }, { source: "a" }],
    ["everywhere", { source: "a", namespace: "n" }, { source: "a" }, { source: "a" }],
    ["both others", { source: "a", namespace: "n" }, { source: "b", namespace: "m" }, {}],
    ["everything", {}, { source: "a", namespace: "n" }, {}],
  ])("what is in doubt with another doubt: %s", (_words, one, other, expected) => {
    expect(wider(one, other)).toEqual(expected);
  });

  test("a doubt concerns the deployments of its namespace, and none whose namespace begins alike", () => {
    expect(["ns/m", "ns2/m", "n/s"].map((key) => concerns({ namespace: "ns" }, key))).toEqual([true, false, false]);
    expect(concerns({ source: "a" }, "ns2/m")).toBe(true);
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
