// A step of the wall clock, of the API server, of the source and of the operator at once, in simulated time.

import { expect, test } from "vitest";
import { PODS } from "../../src/sandbox/controllers/kinds.ts";
import { atRest, endOf, guardingTwo, pinned, repeatable, version, writesFrom } from "./story.ts";

repeatable();

const HOUR = 3_600_000;

test("a step of the clock by an hour, there and back, moves no traffic and changes no object, and a breach after it is returned from", async () => {
  const simulation = await guardingTwo();
  await simulation.apply(pinned("v2", { strategy: { standby: { replicas: "100%", for: "8h" } } }));
  await atRest(simulation);
  const end = endOf(simulation);
  let written = writesFrom(simulation);
  // Two hours on, so that an hour back is still after the beginning of what the played source knows.
  for (const step of [2 * HOUR, -HOUR]) {
    simulation.clock.stepWall(step);
    await simulation.clock.advance(30_000);
    expect(endOf(simulation)).toEqual(end);
    // The clocks that run in the status go on from where they stood: one write of it, and nothing is told.
    expect(written().filter((name) => name !== "PUT modeldeployments toy status")).toEqual([]);
    expect(written().length).toBeLessThanOrEqual(1);
    written = writesFrom(simulation);
  }
  const before = simulation.clock.monotonic();
  simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
  await simulation.until("returned", ({ status }) => status?.rollback?.outcome !== undefined);
  expect(simulation.clock.monotonic() - before).toBeLessThan(30_000);
  await atRest(simulation);
  expect(simulation.traffic.at(-1)).toBe(1);
});

test.each([HOUR, -HOUR])("a step of the clock by %d ms while pods are waited for rejects no candidate", async (step) => {
  const simulation = await guardingTwo();
  let starts = false;
  simulation.starts = (revision) => revision !== 3 || starts;
  await simulation.apply(version("v3"));
  await simulation.apply(pinned("v3"));
  await simulation.clock.advance(20_000);
  simulation.clock.stepWall(step);
  await simulation.clock.advance(30_000);
  expect(simulation.deployment()?.status).toMatchObject({ phase: "Progressing", candidate: { version: "v3" } });
  starts = true;
  for (const pod of simulation.server.list(PODS, "default"))
    if (pod.metadata.name.startsWith("toy-r3-"))
      simulation.server.delete(PODS, "default", pod.metadata.name, { gracePeriodSeconds: 0 });
  await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v3");
  expect(simulation.traffic).toEqual([1, 2, 3]);
});
