// The two statistical methods, shown on simulated traffic: how often they are wrong, and how quickly they see what is there.
// measured.ts keeps the numbers, so that the docs show what the tests saw.

import { describe, expect, test } from "vitest";
import { levelOf } from "../../src/core/detector.ts";
import { judge } from "../../src/core/verdict.ts";
import { addReading, type CheckWindow, emptyWindow } from "../../src/core/window.ts";
import { MEASURED } from "./measured.ts";
import { chance, delays, doubling, falseAlarms, healthySeries, Traffic } from "./series.ts";
import { check } from "./world.ts";

const DAY_MS = 86_400_000;

describe("candidate and bake: the confidence sequence at confidence 0.95", () => {
  test("over 10,000 healthy series of 1,000 looks each, at most 5 % are ever breached", () => {
    const measured = healthySeries();
    expect(measured).toMatchObject({ series: 10_000, looks: 1000 });
    expect(measured.sequence).toBeLessThanOrEqual(0.05);
    // Looked at as often, an interval for a fixed sample is wrong in every third series.
    expect(measured.fixed).toBeGreaterThan(0.2);
    expect(measured).toEqual(MEASURED.healthy);
  }, 60_000);

  test("it catches a doubling of a 1 % error rate, with more requests than an interval that may look once", () => {
    const measured = doubling();
    expect(measured.sequence.most).toBeLessThan(5000);
    expect(measured.sequence.most).toBeLessThan(4 * measured.fixed.most);
    expect(measured).toEqual(MEASURED.doubling);
  });
});

describe("guard: the change detector", () => {
  test.each(MEASURED.falseAlarms)(
    "the mean time to a false alarm is at least the promised one: $perSample requests a sample",
    (row) => {
      const measured = falseAlarms(row.perSample);
      expect(measured.mean).toBeGreaterThanOrEqual(measured.promised);
      expect(measured).toEqual(row);
    },
    60_000,
  );

  test.each([0.005, 0.01])(
    "the delay to catch a doubling of a 1 % error rate is the same on day 1 and on day 90: %d before",
    (before) => {
      const [first, last] = [delays(before, 1), delays(before, 90)];
      expect(Math.abs(last.mean - first.mean) / first.mean).toBeLessThan(0.15);
      expect([first, last]).toEqual(MEASURED.delays.filter((row) => row.before === before));
    },
    60_000,
  );

  test("a false alarm once in the promised time means as many samples as there are in it, for each limit", () => {
    const per = { windowMs: 60_000, intervalMs: 60_000 };
    expect(levelOf(check({ ...per, threshold: { max: 0.1 } }))).toBe(90 * 24 * 60);
    expect(levelOf(check({ ...per, threshold: { max: 0.1 }, falseAlarm: { atMost: 3, perMs: DAY_MS } }))).toBe(480);
    expect(levelOf(check({ ...per, threshold: { min: 0.1, max: 0.9 } }))).toBe(2 * 90 * 24 * 60);
  });

  /** Minutes until breached, asking once a minute; undefined: not within `most`. */
  function minutes(window: CheckWindow, traffic: Traffic, requests: number, most: number): number | undefined {
    for (let minute = 1; minute <= most; minute++) {
      const at = (window.lastAt ?? 0) + 60_000;
      const hits = traffic.hits(requests);
      addReading(window, guarded, { at, kind: "Value", value: hits / requests, numerator: hits, denominator: requests });
      if (judge(guarded, window, {}, "Guard").verdict === "Breached") return minute;
    }
    return undefined;
  }
  const guarded = check({
    kind: "Ratio",
    windowMs: 60_000,
    intervalMs: 60_000,
    minSamples: 50,
    poolMs: 600_000,
    threshold: { max: 0.01 },
  });

  test("an hour of low traffic is no breach, and what doubles after it is caught after as many requests as before it", () => {
    const random = chance(7);
    const after = { calm: [] as number[], low: [] as number[] };
    for (let series = 0; series < 100; series++)
      for (const kind of ["calm", "low"] as const) {
        const window = emptyWindow(guarded, 0);
        const traffic = new Traffic(random, 0.005);
        expect(minutes(window, traffic, 600, 120)).toBeUndefined();
        if (kind === "low") expect(minutes(window, traffic, 6, 60)).toBeUndefined();
        traffic.rate = 0.02;
        after[kind].push(minutes(window, traffic, 600, 240) ?? Number.POSITIVE_INFINITY);
      }
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(after.calm)).toBeLessThan(10);
    expect(Math.abs(mean(after.low) - mean(after.calm))).toBeLessThan(1);
  });

  test("what it remembers does not grow with the life that it guards", () => {
    const window = emptyWindow(guarded, 0);
    const traffic = new Traffic(chance(8), 0.005);
    minutes(window, traffic, 600, 200);
    const early = JSON.stringify(window).length;
    minutes(window, traffic, 600, 20_000);
    expect(JSON.stringify(window).length).toBeLessThan(1.2 * early);
  });

  test("a server that fails outright is breached by the samples that a breach needs", () => {
    const window = emptyWindow(guarded, 0);
    const traffic = new Traffic(chance(9), 0.001);
    minutes(window, traffic, 100, 1000);
    traffic.rate = 0.5;
    expect(minutes(window, traffic, 100, 10)).toBe(guarded.breach.count);
  });
});
