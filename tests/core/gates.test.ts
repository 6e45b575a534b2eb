// The bake and the verification at their edges: what delays them, what ends them, and what leaves them alone.

import { describe, expect, test } from "vitest";
import { check, policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const silent = { kind: "Empty", message: "no series" } as const;

describe("BakeStarved: after three times bake without the samples", () => {
  /** v2 has all the traffic, and its source says nothing from then on. */
  function starving(): World {
    const world = proven();
    world.pin("v2");
    while (world.status.active?.version !== "v2") world.run(500);
    world.measure = (_check, version) => (version === "v2" ? silent : good);
    return world;
  }

  test("it is an alert, once, at three times the bake and not before; time alone proves nothing", () => {
    const world = starving().run(3 * world0.bakeMs - 1000);
    expect(world.events.join()).not.toContain("BakeStarved");
    world.run(20_000);
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "BakeStarved" });
    world.run(600_000);
    expect(world.events.filter((event) => event.startsWith("BakeStarved"))).toHaveLength(1);
    expect(world.status.active).toMatchObject({ version: "v2", baking: true, standing: "Unproven" });
  });

  test("a person's promote proves it, marked as such", () => {
    const world = starving().run(60_000);
    world.request("promote", "r2").run(2000);
    expect(world.status.active).toMatchObject({ version: "v2", standing: "Proven" });
    expect(world.status.history?.at(-1)).toMatchObject({ outcome: "Proven", reason: "Promoted" });
  });

  test("samples that come at last prove it by their own timestamps, a whole bake of them", () => {
    const world = starving().run(60_000);
    world.measure = () => good;
    world.run(world0.bakeMs - 2000);
    expect(world.status.active?.standing).toBe("Unproven");
    world.run(10_000);
    expect(world.status.history?.at(-1)).toMatchObject({ outcome: "Proven", reason: "Baked" });
  });
});

const world0 = policy();

describe("a return that can't be verified", () => {
  test("ends Unverified at the deadline for want of data; the record is written, and a waiting candidate takes the traffic", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.measure = (_check, version) => (version === "v2" ? bad : version === "v1" ? silent : good);
    world.run(10_000);
    expect(world.status.phase).toBe("Verifying");
    world.pin("v3").run(20_000);
    expect(world.status).toMatchObject({ candidate: { version: "v3" }, active: { version: "v1" } });
    world.run(60_000);
    expect(world.status.rollback?.outcome).toBeUndefined();
    world.run(60_000);
    expect(world.story()).toEqual([
      "1 Rollout v1 Proven",
      "2 Rollout v2 Proven",
      "3 Return v1 Unverified",
      "4 Rollout v3 Proven",
    ]);
  });
});

describe("a changed warm-up leaves windows alone", () => {
  test.each([1000, 60_000])("in a bake that has begun: %d ms instead of 2000", (warmupMs) => {
    const world = proven();
    world.pin("v2");
    while (world.status.active?.version !== "v2") world.run(500);
    const since = world.now;
    world.run(8000);
    world.policy = policy({ warmupMs });
    while (world.status.active?.standing !== "Proven" && world.now < since + 30_000) world.run(500);
    // Warm-up and bake as they were when the judging began, and a few intervals.
    expect(world.now - since).toBeLessThanOrEqual(16_000);
  });

  test("a breach that is one sample from complete is completed by the next one", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.run(2000);
    expect(world.status.active?.version).toBe("v2");
    world.policy = policy({ warmupMs: 60_000 });
    world.run(2000);
    expect(world.traffic.at(-1)?.version).toBe("v1");
  });
});

describe("a comparison whose baseline is missing is NoData with the reason NoBaseline", () => {
  test("it is left out of the gates and named in the message: a first version is proven without it", () => {
    const world = new World().version("v1");
    const relative = check({
      name: "latency",
      threshold: undefined,
      baseline: { from: "LastHealthy", maxIncreasePercent: 25 } as never,
    });
    world.policy = policy({ checks: [...policy().checks, relative] });
    world.run(30_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven"]);
    expect(world.status.checks?.find((one) => one.name === "latency")).toMatchObject({
      verdict: "NoData",
      message: expect.stringMatching(/baseline/),
    });
  });
});

test("observedGeneration is the deployment's, an integer, on all conditions, whatever the phase", () => {
  const world = proven();
  const seen = new Set<string>();
  world.measure = (_check, version) => (version === "v2" ? bad : good);
  world.pin("v2");
  for (let i = 0; i < 120; i++) {
    world.run(500);
    seen.add(world.status.phase ?? "");
    const { conditions = [], observedGeneration } = world.status;
    const expected = world.deployment.metadata.generation;
    expect([observedGeneration, ...conditions.map((one) => one.observedGeneration)]).toEqual(Array(9).fill(expected));
  }
  expect(seen.size).toBeGreaterThanOrEqual(4);
});
