// Freeze windows: the pure function over cron, time zones and clock changes, and what they hold.

import { describe, expect, test } from "vitest";
import { type Freeze, freezeProblem, frozen } from "../../src/core/freeze.ts";
import type { FreezeWindow } from "../../src/core/policy.ts";
import { policy, proven, START } from "./world.ts";

const HOUR = 3_600_000;
const window = (schedule: string, hours: number, timeZone = "UTC"): FreezeWindow => ({
  schedule,
  durationMs: hours * HOUR,
  timeZone,
});
const at = (time: string) => Date.parse(time);
const short = (found: Freeze | undefined) =>
  found &&
  `${found.active ? "frozen" : "next"} ${new Date(found.from).toISOString().slice(0, 16)} to ${new Date(found.until).toISOString().slice(0, 16)}`;

const weekend = window("0 18 * * 5", 60, "Europe/Berlin");

describe("frozen", () => {
  test.each([
    ["before it", [weekend], "2026-11-27T16:59:59Z", "next 2026-11-27T17:00 to 2026-11-30T05:00"],
    ["from the very second on", [weekend], "2026-11-27T17:00:00Z", "frozen 2026-11-27T17:00 to 2026-11-30T05:00"],
    ["in the middle", [weekend], "2026-11-29T12:34:56Z", "frozen 2026-11-27T17:00 to 2026-11-30T05:00"],
    ["no longer at its end", [weekend], "2026-11-30T05:00:00Z", "next 2026-12-04T17:00 to 2026-12-07T05:00"],
    [
      "18:00 in Berlin is an hour earlier in UTC in summer",
      [weekend],
      "2026-07-03T16:00:00Z",
      "frozen 2026-07-03T16:00 to 2026-07-06T04:00",
    ],
    [
      "a duration is time that passes: over the end of summer time it ends an hour earlier by the clock",
      [weekend],
      "2026-10-24T12:00:00Z",
      "frozen 2026-10-23T16:00 to 2026-10-26T04:00",
    ],
    [
      "a time that the clocks leave out begins when they have jumped",
      [window("30 2 * * *", 1, "Europe/Berlin")],
      "2026-03-29T01:10:00Z",
      "frozen 2026-03-29T01:00 to 2026-03-29T02:00",
    ],
    [
      "a time that comes twice begins once",
      [window("30 2 * * *", 1, "Europe/Berlin")],
      "2026-10-25T01:31:00Z",
      "next 2026-10-26T01:30 to 2026-10-26T02:30",
    ],
    [
      "windows that overlap are one hold",
      [window("0 10 * * *", 2), window("0 11 * * *", 4)],
      "2026-11-24T10:30:00Z",
      "frozen 2026-11-24T10:00 to 2026-11-24T15:00",
    ],
    [
      "windows that follow at once, too",
      [window("0 10 * * *", 2), window("0 12 * * *", 1)],
      "2026-11-24T09:00:00Z",
      "next 2026-11-24T10:00 to 2026-11-24T13:00",
    ],
    [
      "the nearest of several comes next",
      [window("0 20 * * *", 1), weekend],
      "2026-11-24T09:00:00Z",
      "next 2026-11-24T20:00 to 2026-11-24T21:00",
    ],
    ["a day that never comes freezes nothing", [window("0 0 30 2 *", 1)], "2026-11-24T09:00:00Z", undefined],
    ["no windows", [], "2026-11-24T09:00:00Z", undefined],
  ])("%s", (_words, windows, now, expected) => {
    expect(short(frozen(windows, at(now)))).toBe(expected);
  });

  test("a window that is longer than its period never ends, and looking at it does", () => {
    const found = frozen([window("0 * * * *", 2)], at("2026-11-24T09:30:00Z"));
    expect(found?.active).toBe(true);
    expect((found?.until ?? 0) - at("2026-11-24T09:30:00Z")).toBeGreaterThan(24 * HOUR);
  });

  test.each([
    ["61 * * * *", "UTC", "61"],
    ["0 18 * * 9", "UTC", "9"],
    ["0 18 * * 5", "Mars/Olympus", "Mars/Olympus"],
  ])("the schedule %s in %s can't be read, and the words name it", (schedule, timeZone, words) => {
    const problem = freezeProblem({ schedule, timeZone, durationMs: HOUR });
    expect(problem).toContain("freeze: the schedule");
    expect(problem).toContain(words);
  });

  test("what can be read has no problem", () => expect(freezeProblem(weekend)).toBeUndefined());
});

describe("freeze stops only more traffic to a candidate", () => {
  // START is a Tuesday, 10:00 UTC.
  const noon = window("2 10 * * *", 1);
  const frozenWorld = () => {
    const world = proven();
    world.policy = policy({ freeze: [noon] });
    return world.run(START + 180_000 - world.now);
  };

  test("a candidate that is ready waits until the window ends, and says until when; then it goes on by itself", () => {
    const world = frozenWorld();
    world.pin("v2").run(60_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "Frozen" });
    expect(world.condition("Reconciling")?.status).toBe("True");
    expect(world.status.message).toContain("frozen until 2026-11-24T11:02:00.000Z");
    expect(world.last?.wakeAt).toBeLessThanOrEqual(Date.parse("2026-11-24T11:02:00Z"));
    const writes = world.writes;
    world.run(60_000);
    expect(world.writes).toBe(writes);
    world.now = Date.parse("2026-11-24T11:01:58Z");
    world.run(10_000);
    expect(world.status.active?.version).toBe("v2");
  });

  test("it is shown from a day before it begins, as what it is of", () => {
    const world = proven();
    world.policy = policy({ freeze: [window("0 18 * * 3", 1, "Europe/Berlin")] });
    world.now = Date.parse("2026-11-24T16:59:00Z");
    world.run(1000);
    expect(world.status.freeze).toBeUndefined();
    world.run(61_000);
    expect(world.status.freeze).toEqual({
      active: false,
      from: "2026-11-25T17:00:00.000Z",
      until: "2026-11-25T18:00:00.000Z",
      schedule: "0 18 * * 3 (Europe/Berlin)",
    });
  });

  test("a return is never frozen, of a proven revision nor of one that bakes", () => {
    const world = frozenWorld();
    world.policy = policy();
    world.pin("v2").run(40_000);
    world.policy = policy({ freeze: [noon] });
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.5 : 0.01 });
    world.run(30_000);
    expect(world.status.freeze?.active).toBe(true);
    expect(world.status.active?.version).toBe("v1");
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("promote overrides it and is recorded", () => {
    const world = frozenWorld();
    world.pin("v2").run(20_000).request("promote", "r2").run(40_000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.status.history?.at(-1)).toMatchObject({ outcome: "Proven" });
    expect(world.status.history?.at(-1)?.message).toMatch(
      /promoted by on-call, past what held it: frozen until 2026-11-24T11:02/,
    );
  });

  test("a schedule that can't be read holds, says why, and keeps no other window from being shown", () => {
    const world = proven();
    world.policy = policy({ freeze: [window("61 * * * *", 1), noon] });
    world.pin("v2").run(20_000);
    expect(world.status.reason).toBe("Frozen");
    expect(world.status.message).toContain("61 * * * *");
    expect(world.status.freeze).toMatchObject({ active: false });
    expect(world.status.active?.version).toBe("v1");
  });
});
