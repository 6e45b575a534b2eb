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

describe("Switch: what the first traffic of a candidate waits for, and what it does not", () => {
  const dark = { kind: "Error", message: "refused" } as const;
  const of = (version: string, reading: object) => (_check: unknown, asked: string) =>
    (asked === version ? reading : good) as never;
  const drift = (severity: "Critical" | "Warning" | "Info") => check({ name: "drift", severity, fingerprint: severity });
  /** Until it passes, the candidate's sources are asked. */
  const slowProbe = (world: World) => {
    world.deployment.spec = { ...world.deployment.spec, probe: { path: "/" } as never };
    world.probe = () => (world.now - begun > 8000 ? "Passed" : "Running");
  };
  /** The active revision has no ready pod any more. */
  const alone = (world: World) => {
    const child = world.children.get(1);
    if (child) child.readyAt = Number.POSITIVE_INFINITY;
  };

  test.each<[what: string, arrange: (world: World) => unknown, waits: string | undefined]>([
    ["all is well", () => undefined, undefined],
    [
      "one of its pods is not ready",
      (world) => {
        const pods = world.cluster.pods.bind(world.cluster);
        world.cluster.pods = (...args) => pods(...args).map((pod) => (pod.name === "r2-1" ? { ...pod, ready: false } : pod));
      },
      "PodsNotReady",
    ],
    [
      "the probe inference runs",
      (world) => {
        world.deployment.spec = { ...world.deployment.spec, probe: { path: "/" } as never };
        world.probe = () => "Running";
      },
      "ProbeRunning",
    ],
    [
      "a Warning check of it is Breached",
      (world) => {
        world.policy = policy({ checks: [...policy().checks, drift("Warning")] });
        slowProbe(world);
        world.measure = (one, version) => (version === "v2" && one.name === "drift" ? bad : good);
      },
      "CheckBreached",
    ],
    [
      "an Info check of it is Breached",
      (world) => {
        world.policy = policy({ checks: [...policy().checks, drift("Info")] });
        world.measure = (one, version) => (version === "v2" && one.name === "drift" ? bad : good);
      },
      undefined,
    ],
    [
      "a source of a Critical check is in error for the active one",
      (world) => (world.measure = of("v1", dark)),
      "SourceUnavailable",
    ],
    ["… for the candidate, while the active one has ready pods", (world) => (world.measure = of("v2", dark)), undefined],
    [
      "… for the candidate, where the active one has none",
      (world) => {
        alone(world);
        slowProbe(world);
        world.measure = of("v2", dark);
      },
      "SourceUnavailable",
    ],
    [
      "… for the active one, where it has no ready pods",
      (world) => {
        alone(world);
        world.measure = of("v1", dark);
      },
      undefined,
    ],
    [
      "a source of a Warning check is in error",
      (world) => {
        world.policy = policy({ checks: [...policy().checks, drift("Warning")] });
        world.measure = (one) => (one.name === "drift" ? dark : good);
      },
      undefined,
    ],
    ["NoData of the candidate, which has no traffic", (world) => (world.measure = of("v2", silent)), undefined],
    [
      "Insufficient of the candidate, which has no traffic",
      (world) => {
        world.policy = policy({ checks: [check({ breach: { count: 50, of: 50 } }), ...policy().checks.slice(1)] });
      },
      undefined,
    ],
  ])("%s", (_what, arrange, waits) => {
    const world = proven();
    begun = world.now;
    arrange(world);
    world.run(5000);
    begun = world.now;
    world.pin("v2").run(30_000);
    expect(world.status.active?.version).toBe(waits === undefined ? "v2" : "v1");
    if (waits === undefined) return;
    expect(world.status).toMatchObject({ phase: "Progressing", reason: waits });
    expect(world.traffic).toHaveLength(1);
    expect(world.status.quarantine ?? []).toEqual([]);
  });
  let begun = 0;
});

describe("Prove: the samples and the time that they cover, of each Critical check", () => {
  /** How long v2 has all the traffic before it is proven, ms; warm-up and the arrival take up to four seconds of it. */
  function bakes(over: Parameters<typeof policy>[0], measure?: World["measure"]): number {
    const world = proven();
    world.policy = policy(over);
    if (measure) world.measure = measure;
    world.pin("v2");
    while (world.status.active?.version !== "v2") world.run(500);
    const since = world.now;
    while (world.status.active?.standing !== "Proven" && world.now < since + 100_000) world.run(500);
    return world.now - since;
  }
  const [errors, available] = world0.checks as [ReturnType<typeof check>, ReturnType<typeof check>];
  const slow = check({ name: "slow", intervalMs: 4000, windowMs: 4000, fingerprint: "slow" });

  test.each<[string, Parameters<typeof policy>[0], from: number, to: number]>([
    ["the time that they cover", { bakeMs: 20_000 }, 20_000, 25_000],
    [
      "`of` samples, where these take longer",
      { bakeMs: 1000, checks: [check({ breach: { count: 3, of: 30 } }), available] },
      29_000,
      36_000,
    ],
    [
      "the check that is asked most seldom",
      { bakeMs: 1000, checks: [errors, { ...slow, breach: { count: 3, of: 5 } }, available] },
      16_000,
      26_000,
    ],
    [
      "a Warning check that is asked seldom does not count",
      { bakeMs: 1000, checks: [errors, { ...slow, severity: "Warning" }, available] },
      0,
      10_000,
    ],
  ])("%s", (_what, over, from, to) => {
    const took = bakes(over);
    expect(took).toBeGreaterThanOrEqual(from);
    expect(took).toBeLessThanOrEqual(to);
  });

  test("samples that say too little (Insufficient) prove nothing, however many there are", () => {
    const ratio = check({ kind: "Ratio", minSamples: 50, confidence: 0.95, threshold: { max: 0.02 }, fingerprint: "r" });
    // Right at the limit: the confidence sequence never tells.
    const took = bakes({ checks: [ratio, available] }, () => ({ kind: "Value", value: 0.02, numerator: 2, denominator: 100 }));
    expect(took).toBeGreaterThanOrEqual(100_000);
  });
});

describe("Verify: the samples after the return, and its time", () => {
  test.each<[string, Parameters<typeof policy>[0], from: number, to: number]>([
    ["the time", { verifyMs: 20_000 }, 20_000, 22_000],
    [
      "`of` samples, where these take longer",
      { verifyMs: 1000, checks: [check({ breach: { count: 3, of: 30 } }), ...policy().checks.slice(1)] },
      29_000,
      36_000,
    ],
  ])("%s", (_what, over, from, to) => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.policy = policy(over);
    world.run(40_000);
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    while (world.status.rollback?.restoredAt === undefined) world.run(500);
    const since = Date.parse(world.status.rollback.restoredAt);
    while (world.status.rollback.outcome === undefined) world.run(500);
    expect(world.status.rollback.outcome).toBe("Verified");
    expect(world.now - since).toBeGreaterThanOrEqual(from);
    expect(world.now - since).toBeLessThanOrEqual(to);
  });
});

test("the progress deadline does not run while the fetch of the weights reports progress", () => {
  const world = proven();
  world.startMs = () => Number.POSITIVE_INFINITY;
  world.pin("v2").run(1000);
  const runs = (name: string) =>
    Object.assign(world.children.get(2) ?? {}, { broken: [{ name, init: name !== "server", restarts: 0, running: true }] });
  // It ends itself when nothing comes any more, so one that runs makes progress.
  runs("rollguard-fetch");
  world.run(600_000);
  expect([world.status.stall, world.status.quarantine ?? []]).toEqual([undefined, []]);
  expect(world.status.candidate?.version).toBe("v2");
  runs("server");
  world.run(65_000);
  expect(world.status.stall?.reason).toBe("ProgressDeadlineExceeded");
});

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
