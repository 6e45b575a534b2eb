// Replay: the same decisions as the operator's, on recorded time.

import { describe, expect, test } from "vitest";
import type { RollbackPolicySpec } from "../../src/api/rollbackpolicy.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import { replayLines, replaySvg } from "../../src/trial/plot.ts";
import { formatRecording, parseRecording, RecordingError } from "../../src/trial/recording.ts";
import { replay } from "../../src/trial/replay.ts";

const START = Date.parse("2026-11-20T00:00:00Z");
const MINUTE = 60_000;

/** One sample a minute; `bad` says in which minutes it is. */
function series(minutes: number, bad: (minute: number) => boolean, value = { good: 0.2, bad: 2 }) {
  return Array.from({ length: minutes }, (_, minute) => ({
    at: START + minute * MINUTE,
    kind: "Value" as const,
    value: bad(minute) ? value.bad : value.good,
  }));
}

const policy = (over: Partial<RollbackPolicySpec> = {}, check: object = {}) =>
  resolvePolicy({
    checks: [
      { name: "latency", source: "prometheus", query: "x", threshold: { max: 0.8 }, breach: { count: 3, of: 5 }, ...check },
    ],
    ...over,
  } as RollbackPolicySpec);

const play = (bad: (minute: number) => boolean, over: Partial<Parameters<typeof replay>[0]> = {}, minutes = 240) =>
  replay({
    name: "p",
    policy: policy(),
    recording: new Map([["latency", series(minutes, bad)]]),
    fromMs: START,
    toMs: START + minutes * MINUTE,
    ...over,
  });

describe("what a policy would have done", () => {
  test("good metrics cause nothing", () => {
    const { incidents, breaches, held } = play(() => false);
    expect({ incidents, breaches, held }).toEqual({ incidents: [], breaches: [], held: [] });
  });

  test("a breach is found when it was, with the time from its first bad sample to the decision", () => {
    const { incidents, breaches } = play((minute) => minute >= 60 && minute < 90);
    expect(incidents[0]).toMatchObject({ kind: "Returned", check: "latency", firstBadAt: START + 60 * MINUTE });
    const delay = (incidents[0]?.at ?? 0) - START - 60 * MINUTE;
    expect(delay).toBeGreaterThanOrEqual(2 * MINUTE);
    expect(delay).toBeLessThan(4 * MINUTE);
    expect(breaches[0]).toMatchObject({ check: "latency", firstBadAt: START + 60 * MINUTE, seenAt: incidents[0]?.at });
  });

  test("after a return the series goes on being judged as a fresh proven revision, at most once a cooldown", () => {
    const { incidents } = play((minute) => minute >= 60 && minute < 120);
    expect(incidents.length).toBeGreaterThan(1);
    const gaps = incidents.slice(1).map((one, index) => one.at - (incidents[index]?.at ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(10 * MINUTE);
  });

  test("the budget holds what goes beyond it, and the replay says so", () => {
    const { incidents, held } = play((minute) => minute >= 30);
    const inOneHour = incidents.filter((one) => one.at < START + 90 * MINUTE);
    expect(inOneHour.length).toBe(3);
    expect(held.some((one) => one.reason === "BudgetSpent")).toBe(true);
  });

  test("one bad sample alone, and missing data, cause nothing", () => {
    expect(play((minute) => minute === 60).incidents).toEqual([]);
    const dark = series(240, () => false).map((one, minute) =>
      minute > 60 ? { at: one.at, kind: "Error" as const, message: "refused" } : one,
    );
    const { incidents, checks } = play(() => false, { recording: new Map([["latency", dark]]) });
    expect([incidents, checks[0]?.missing]).toEqual([[], 179]);
  });

  test("Observe moves nothing and notes what it would have done", () => {
    const { incidents } = play((minute) => minute >= 60, { policy: policy({ mode: "Observe" }) });
    expect(incidents.map((one) => one.kind)).toContain("Observed");
    expect(incidents.map((one) => one.kind)).not.toContain("Returned");
  });

  test("with --bake it begins with a bake, which ends in a proof or in a return", () => {
    expect(play(() => false, { bake: true }).provenAt).toBeGreaterThan(START + 10 * MINUTE);
    const failed = play((minute) => minute > 2, { bake: true }, 30);
    expect(failed.incidents[0]?.kind).toBe("Returned");
    expect(failed.provenAt).toBeUndefined();
  });

  test("LastHealthy compares with what the recording measured in its first bake", () => {
    const compared = policy(
      {},
      { threshold: undefined, baseline: { from: "LastHealthy", maxIncreasePercent: 25, guard: "Hold" } },
    );
    const { breaches, incidents } = play((minute) => minute >= 60 && minute < 90, { policy: compared });
    expect(incidents).toEqual([]);
    expect(breaches.map((one) => one.firstBadAt)).toEqual([START + 60 * MINUTE]);
  });

  test("two policies on one recording differ where their thresholds do", () => {
    const bad = (minute: number) => minute >= 60 && minute < 90;
    expect(play(bad, { policy: policy({}, { threshold: { max: 3 } }) }).incidents).toEqual([]);
    expect(play(bad).incidents.length).toBeGreaterThan(0);
  });
});

describe("recordings", () => {
  const text = `time,check,value,numerator,denominator
2026-11-20T00:00:00Z,latency,0.2,,
1763596860,errors,,3,100
2026-11-20T00:02:00Z,latency,,,
`;

  test("CSV and JSON lines say the same, and what is written is read again", () => {
    const recording = parseRecording(text);
    expect(recording.get("errors")).toEqual([
      { at: 1_763_596_860_000, kind: "Value", value: 0.03, numerator: 3, denominator: 100 },
    ]);
    expect(recording.get("latency")?.map((one) => one.kind)).toEqual(["Value", "Empty"]);
    expect(parseRecording(formatRecording(recording, "json"))).toEqual(recording);
    expect(parseRecording(formatRecording(recording, "csv"))).toEqual(recording);
  });

  test.each([
    ["", "is empty"],
    ["a,b\n1,2", "line 1: the first line must"],
    ['{"time":1,"check":"x","value":1}\nnope', "line 2: not a JSON object"],
    ["time,check,value\nsoon,x,1", "line 2: time must be"],
    ["time,check,value\n1,x,much", "line 2"],
    ['{"time":1,"check":"x","kind":"Bad"}', "kind must be one of"],
  ])("%j is refused: %s", (bad, words) => {
    expect(() => parseRecording(bad)).toThrow(RecordingError);
    expect(() => parseRecording(bad)).toThrow(words);
  });
});

describe("plots", () => {
  const recording = new Map([["latency", series(240, (minute) => minute >= 60 && minute < 90)]]);
  const made = play((minute) => minute >= 60 && minute < 90, { name: "<b>" });

  test("the picture has a line for each check, its limit, and a mark for each decision; names are text", () => {
    const svg = replaySvg([made], recording);
    expect(svg.match(/<polyline/g)).toHaveLength(1);
    expect(svg.match(/<title>/g)).toHaveLength(made.incidents.length);
    expect(svg).toContain("&lt;b&gt;");
    expect(svg).not.toContain("<b>");
  });

  test("a terminal gets blocks as wide as it is, with the decisions below", () => {
    const lines = replayLines([made], recording, 80);
    expect(lines.map((line) => line.length)).toEqual([80, 80]);
    expect(lines[0]).toMatch(/▁+█+▁+/);
    expect(lines[1]).toContain("▲");
  });
});
