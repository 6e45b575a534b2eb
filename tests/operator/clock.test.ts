// A step of the wall clock, of the API server, of the source and of the operator at once, in simulated time.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { atRest, closeAll, endOf, guardingTwo, pinned, writesFrom } from "./story.ts";

beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(async () => {
  await closeAll();
  vi.restoreAllMocks();
});

const HOUR = 3_600_000;

test("a step of the clock by an hour, there and back, moves no traffic and changes no object, and a breach after it is returned from", async () => {
  const simulation = await guardingTwo();
  await simulation.apply(pinned("v2", { strategy: { standby: { replicas: "100%", for: "8h" } } }));
  await atRest(simulation);
  const end = endOf(simulation);
  const written = writesFrom(simulation);
  // Two hours on, so that an hour back is still after the beginning of what the played source knows.
  for (const step of [2 * HOUR, -HOUR]) {
    simulation.clock.stepWall(step);
    await simulation.clock.advance(30_000);
    expect(endOf(simulation)).toEqual(end);
    // A clock that is set forward looks like a silence of that length, which is told, for as long as no sample has come.
    expect(written().filter((name) => !/status$|events/.test(name))).toEqual([]);
  }
  const before = simulation.clock.monotonic();
  simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
  await simulation.until("returned", ({ status }) => status?.rollback?.outcome !== undefined);
  expect(simulation.clock.monotonic() - before).toBeLessThan(30_000);
  await atRest(simulation);
  expect(simulation.traffic.at(-1)).toBe(1);
});
