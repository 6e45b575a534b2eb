// The API server's clock is set on or back by an hour, and the sources' clocks with it: nothing is waited for less long, or longer.

import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { clockStep } from "../../src/core/clockstep.ts";
import { policy, proven, type World } from "./world.ts";

const HOUR = 3_600_000;
const steps = [HOUR, -HOUR];
const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const never = () => Number.POSITIVE_INFINITY;

const canary = {
  replicas: 4,
  strategy: {
    type: "Canary",
    canary: {
      steps: [
        { weight: 25, hold: "20s" },
        { weight: 50, hold: "20s" },
      ],
    },
    drain: "5s",
    progressDeadline: "60s",
    standby: { replicas: "100%", for: "1h" },
  },
} as Partial<ModelDeployment["spec"]>;

/** The same with a step in it and without: what became of it, without times. */
function same(arrange: () => World, ms: number, what: (world: World) => unknown): void {
  const calm = arrange().run(ms);
  for (const step of steps) expect(what(arrange().stepClock(step).run(ms)), `${step / HOUR} h`).toEqual(what(calm));
}

const told = (world: World) => world.events.map((event) => event.split(":")[0]);

describe("a step of the server's clock by an hour causes nothing", { timeout: 120_000 }, () => {
  test("for a candidate whose pods are waited for: it is not rejected for it, and gets its traffic when they are ready", () => {
    const starting = (startMs: () => number) => () => {
      const world = proven();
      world.startMs = startMs;
      return world.pin("v2").run(20_000);
    };
    same(
      starting(() => 50_000),
      60_000,
      (world) => [world.status.active?.version, world.status.quarantine ?? [], told(world)],
    );
    // The deadline of 60 s goes on from where it stood.
    same(starting(never), 39_000, (world) => [world.status.phase, told(world)]);
    same(starting(never), 42_000, (world) => [world.status.phase, told(world)]);
  });

  test("for a candidate that is tried again later", () => {
    const waiting = () => {
      const world = proven();
      world.startMs = never;
      world.pin("v2").run(65_000);
      expect(world.status.rollout?.retryAt).toBeDefined();
      return world;
    };
    same(waiting, 20_000, (world) => [world.children.get(2)?.replicas, world.status.rollout?.attempt, told(world)]);
    same(waiting, 35_000, (world) => [world.children.get(2)?.replicas, world.status.rollout?.attempt, told(world)]);
  });

  test("for a return whose target starts: it is not passed over, and its record says how long it took", () => {
    const cold = { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1s" } } as const;
    const returning = () => {
      const world = proven({ strategy: cold }).pin("v2").run(60_000);
      world.startMs = () => 25_000;
      world.measure = only("v2");
      world.run(15_000);
      expect(world.status.phase).toBe("RollingBack");
      return world;
    };
    same(returning, 60_000, (world) => {
      const entry = world.status.history?.at(-1);
      const took = (from = "", to = "") => Date.parse(to) - Date.parse(from);
      return [
        world.story(),
        took(entry?.decidedAt, entry?.restoredAt),
        took(entry?.restoredAt, entry?.verifiedAt),
        world.traffic.length,
        told(world),
      ];
    });
  });

  test("for a target that is verified: neither Unverified, nor Verified sooner", () => {
    const verifying = () => {
      const world = proven().pin("v2").run(40_000);
      world.measure = only("v2");
      while (world.status.phase !== "Verifying") world.run(500);
      return world.run(2000);
    };
    same(verifying, 3000, (world) => [world.status.phase, told(world)]);
    same(verifying, 30_000, (world) => [world.story(), told(world)]);
  });

  test("for cooldown and budget", () => {
    const returned = (over: Parameters<typeof policy>[0]) => () => {
      const world = proven();
      world.policy = policy(over);
      world.pin("v2").run(40_000);
      world.measure = only("v2");
      world.run(30_000);
      world.measure = () => good;
      world.pin("v3").run(40_000);
      expect(world.status.active).toMatchObject({ version: "v3", standing: "Proven" });
      world.measure = only("v3");
      return world;
    };
    const end = (world: World) => [world.status.active?.version, world.status.reason, world.story(), told(world)];
    for (const ms of [30_000, 120_000]) {
      same(returned({ cooldownMs: 150_000 }), ms, end);
      same(returned({ cooldownMs: 0, budget: { limit: 1, perMs: 150_000 } }), ms, end);
    }
  });

  test("for the hold of a canary's step", () => {
    const held = () => proven(canary).pin("v2").run(12_000);
    expect(held().status.rollout?.stepSince).toBeDefined();
    for (const ms of [2000, 60_000]) same(held, ms, (world) => [world.status.rollout?.step, world.story(), told(world)]);
  });

  test("for missing data: a clock that is set on is no silence, and one that goes on is told in its time", () => {
    const quiet = () => {
      const world = proven();
      world.policy = policy({ missingData: { afterMs: 60_000, action: "Alert" } });
      // Judging that began within the last hour begins anew when the clock is set back.
      world.now += 2 * HOUR;
      return world.run(10_000);
    };
    same(quiet, 30_000, (world) => [world.status.missingData, told(world)]);
    const silent = () => {
      const world = quiet();
      world.measure = () => ({ kind: "Error", message: "down" });
      return world.run(20_000);
    };
    for (const ms of [30_000, 50_000]) same(silent, ms, (world) => [world.status.missingData?.alerted, told(world)]);
  });
});

test.each([
  ["both went on alike", 5000, 5000, 0],
  ["within what two clocks differ by", 50_000, 5000, 0],
  ["set on", 5000 + HOUR, 5000, HOUR],
  ["set back", 5000 - HOUR, 5000, -HOUR],
])("a step is what one clock went on and the other did not: %s", (_words, now, monotonic, step) => {
  expect(clockStep({ now: 1e12, monotonic: 7 }, 1e12 + now, 7 + monotonic)).toBe(step);
  expect(clockStep(undefined, 1e12 + now, 7 + monotonic)).toBe(0);
});
