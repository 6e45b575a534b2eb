// Crash points: some of them in each test run, all of them by `npm run simulate -- --crash-points` and in CI.

import { expect, test } from "vitest";
import { crashAt, pointsOf, SCENARIOS } from "./crashpoints.ts";

/** Every so manieth point; another number than that of the ways to crash, so that each way comes. */
const EVERY = 61;
/** A machine with much else to do needs longer for it. */
const LIMIT = 1_200_000;

test.each(Object.keys(SCENARIOS))("killed at a request and started again: the same end: %s", { timeout: LIMIT }, async (name) => {
  const { expected, points } = await pointsOf(name);
  expect(expected.broken).toEqual([]);
  expect(points.length).toBeGreaterThan(250);
  const wrong: string[] = [];
  for (let i = name.length % EVERY; i < points.length; i += EVERY) {
    const point = points[i];
    const found = point && (await crashAt(point, expected));
    if (found !== undefined) wrong.push(found);
  }
  expect(wrong).toEqual([]);
});
