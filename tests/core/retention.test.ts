// How long records last, as a pure function: what goes by count and by age, and what never does.

import { describe, expect, test } from "vitest";
import { prunable, type RecordNumbers } from "../../src/core/retention.ts";
import { Random } from "../support/random.ts";

const DAY = 86_400_000;
const NOW = Date.parse("2026-11-24T10:00:00Z");
const LIMITS = { keep: 5, maxAgeMs: 400 * DAY };

/** Records 1, 2, … that ended so many days ago, each with a revision of its own unless it is said. */
const ended = (days: number[], revisions: Record<number, number> = {}): RecordNumbers[] =>
  days.map((ago, index) => ({
    sequence: index + 1,
    uid: "uid",
    revision: revisions[index + 1] ?? index + 1,
    finishedAt: NOW - ago * DAY,
  }));
const recent = (count: number, revisions?: Record<number, number>) => ended(Array(count).fill(1), revisions);
const pruned = (records: RecordNumbers[], limits = LIMITS, shown: number[] = []) =>
  prunable(records, limits, new Set(shown), NOW).map(({ record, reason }) => `${record.sequence} ${reason}`);

describe("records beyond their limits by count and age are pruned, oldest first, never the last one of a deployment", () => {
  test.each<[string, RecordNumbers[], string[], number[]?]>([
    ["none", [], []],
    ["as many as are kept", recent(5), []],
    ["two more", recent(7), ["1 Count", "2 Count"]],
    ["two that are too old", ended([402, 401, 400, 3, 2]), ["1 Age", "2 Age"]],
    ["too many and too old: each is named once", ended([500, 450, 410, 3, 3, 2, 2]), ["1 Count", "2 Count", "3 Age"]],
    ["all are too old: the last one stays", ended([500, 500, 500]), ["1 Age", "2 Age"]],
    ["one alone, however old", ended([9000]), []],
    ["the one with the highest revision stays as well", recent(8, { 2: 40 }), ["1 Count", "3 Count"]],
    ["of several with the highest revision the newest", recent(8, { 1: 40, 2: 40 }), ["1 Count", "3 Count"]],
    ["what the status shows stays", recent(9), ["1 Count", "2 Count"], [3, 4, 5, 6, 7, 8, 9]],
    ["what the status shows stays, however old", ended([500, 500, 500]), ["1 Age"], [2, 3]],
    ["order is by sequence, not by time", ended([1, 1, 300, 300, 1, 1, 1]), ["1 Count", "2 Count"]],
    [
      "gaps of records that somebody deleted",
      recent(9).filter(({ sequence }) => sequence % 2 === 1 || sequence > 5),
      ["1 Count", "3 Count"],
    ],
  ])("%s", (_words, records, expected, shown) => {
    expect(pruned(records, LIMITS, shown)).toEqual(expected);
  });

  test("they come in any order, and the least that can be kept is one", () => {
    expect(pruned(recent(4).reverse(), { ...LIMITS, keep: 1 })).toEqual(["1 Count", "2 Count", "3 Count"]);
  });
});

test("whatever there is: the numbers to go on from and what is shown stay, nothing younger goes before what may go, and once is enough", () => {
  const random = new Random(20_261_124);
  let gone = 0;
  for (let round = 0; round < 2000; round++) {
    const records = Array.from({ length: random.int(0, 20) }, (_, index) => ({
      sequence: 3 * index + random.int(0, 2),
      uid: "uid",
      revision: random.int(0, 9),
      finishedAt: NOW - random.int(0, 800) * DAY,
    }));
    const limits = { keep: random.int(1, 20), maxAgeMs: random.int(1, 800) * DAY };
    const shown = new Set(records.filter(() => random.chance(0.2)).map(({ sequence }) => sequence));
    const found = new Set(prunable(records, limits, shown, NOW).map(({ record }) => record));
    const left = records.filter((one) => !found.has(one));
    const highest = (of: "sequence" | "revision", among: RecordNumbers[]) => Math.max(...among.map((one) => one[of]));
    expect(highest("sequence", left)).toBe(highest("sequence", records));
    expect(highest("revision", left)).toBe(highest("revision", records));
    for (const one of found) expect(shown).not.toContain(one.sequence);
    // Beyond the limits are only the last one, the one with the highest revision, and what is shown.
    const beyond = left.filter((one, index) => index < left.length - limits.keep || NOW - one.finishedAt > limits.maxAgeMs);
    expect(beyond.filter(({ sequence }) => !shown.has(sequence)).length).toBeLessThanOrEqual(2);
    // Either limit is a reason of its own: what is among the newest and young enough stays.
    for (const [index, one] of records.entries())
      if (index >= records.length - limits.keep && NOW - one.finishedAt <= limits.maxAgeMs) expect(left).toContain(one);
    expect(prunable(left, limits, shown, NOW)).toEqual([]);
    gone += found.size;
  }
  expect(gone).toBeGreaterThan(5000);
});
