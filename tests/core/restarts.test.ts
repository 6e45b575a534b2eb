// A new operator knows of no sample yet. That is no news: it neither writes it nor unsays what the status says.

import { describe, expect, test } from "vitest";
import { check, policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const silent = { kind: "Error", message: "down" } as const;

/** What is written and told from the restart on. */
function sinceRestart(world: World, ms: number): { writes: number; events: string[] } {
  const { writes } = world;
  const told = world.events.length;
  world.restart().run(ms);
  return { writes: world.writes - writes, events: world.events.slice(told) };
}

const compared = check({
  name: "latency",
  threshold: undefined,
  baseline: { from: "ValidationMetric", maxIncreasePercent: 25, guard: "Hold" },
});

describe("a restart", () => {
  test("A restart writes nothing for a deployment in sync", () => {
    const world = proven().run(60_000);
    expect(world.condition("Ready")?.status).toBe("True");
    expect(sinceRestart(world, 60_000)).toEqual({ writes: 0, events: [] });
    expect(world.status.checks?.map((line) => line.verdict)).toEqual(["Healthy", "Healthy"]);
  });

  test("nor for one whose comparison has no baseline", () => {
    const world = new World().version("v1");
    world.policy = policy({ checks: [...world.policy.checks, compared] });
    world.run(60_000);
    expect(world.status.checks?.at(-1)?.verdict).toBe("NoData");
    expect(sinceRestart(world, 60_000)).toEqual({ writes: 0, events: [] });
  });

  test("nor for one whose breach nobody returns from: it does not become Ready for a moment, and nobody is told again", () => {
    const world = proven();
    world.policy = policy({ actions: { Critical: "Hold", Warning: "Hold", Info: "Alert" } });
    world.measure = (one) => (one.name === "error-ratio" ? bad : good);
    world.run(60_000);
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "BreachHeld" });
    expect(sinceRestart(world, 60_000)).toEqual({ writes: 0, events: [] });
  });

  test("nor for one whose source is dark, and that it is goes on from when it began", () => {
    const world = proven();
    world.policy = policy({ missingData: { afterMs: 30_000, action: "Alert" } });
    world.measure = () => silent;
    world.run(20_000);
    const since = world.status.missingData?.since;
    expect(since).toBeDefined();
    const { events } = sinceRestart(world, 15_000);
    expect(world.status.missingData).toMatchObject({ since, alerted: true });
    expect(events).toEqual([expect.stringContaining("MissingData")]);
    expect(sinceRestart(world, 60_000)).toEqual({ writes: 0, events: [] });
  });

  test("what is not so any more is written when it is known", () => {
    const world = proven().run(60_000);
    world.measure = (one) => (one.name === "error-ratio" ? silent : good);
    expect(sinceRestart(world, 5000).writes).toBeGreaterThan(0);
    expect(world.status.checks?.[0]?.verdict).toBe("ProviderError");
  });

  test("what was known does not stand for ever where too little comes to know it anew", () => {
    const world = new World().version("v1");
    const ratio = check({ kind: "Ratio", minSamples: 50, poolMs: 600_000 });
    world.policy = policy({ checks: [ratio] });
    world.measure = () => ({ kind: "Value", value: 0, numerator: 0, denominator: 100 });
    world.run(60_000);
    expect(world.status.checks?.[0]?.verdict).toBe("Healthy");
    world.measure = () => ({ kind: "Value", value: 0, numerator: 0, denominator: 1 });
    world.restart().run(9000);
    expect(world.status.checks?.[0]?.verdict).toBe("Healthy");
    world.run(6000);
    expect(world.status.checks?.[0]?.verdict).toBe("Insufficient");
  });

  test("under a policy that changed meanwhile nothing stands of what was known", () => {
    const world = proven().run(60_000);
    world.policy = policy({ hash: "another" });
    world.restart();
    expect(world.status.checks?.[0]?.verdict).toBe("Insufficient");
  });

  test("what only stands decides nothing: a bake is not proven by it", () => {
    const world = proven().pin("v2").run(8000);
    expect(world.status.active).toMatchObject({ version: "v2", baking: true });
    expect(world.status.checks?.[0]?.verdict).toBe("Healthy");
    world.measure = () => undefined;
    world.restart().run(60_000);
    expect(world.status.active?.standing).toBe("Unproven");
  });
});
