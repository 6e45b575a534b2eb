// Two features at once, as a review found them: each the story in which they went wrong together.

import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { Random } from "../support/random.ts";
import { check, policy, proven, type World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const available = policy().checks[1] as ReturnType<typeof check>;

const common = { drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1h" } } as const;
const recreate = { strategy: { type: "Recreate", ...common } } as Partial<ModelDeployment["spec"]>;
const canary = {
  replicas: 4,
  strategy: {
    type: "Canary",
    canary: {
      steps: [
        { weight: 20, hold: "20s" },
        { weight: 50, hold: "20s" },
      ],
    },
    ...common,
  },
} as Partial<ModelDeployment["spec"]>;

function scale(world: World, replicas: number): World {
  world.deployment.spec = { ...world.deployment.spec, replicas };
  return world;
}

/** Goes on until the candidate has reached a step. */
function atStep(world: World, step: number): World {
  for (let passed = 0; passed < 120_000; passed += 500) {
    if (world.status.rollout?.step === step && world.status.rollout.stepSince !== undefined) return world;
    world.run(500);
  }
  throw new Error(`never at step ${step}: ${world.status.message}`);
}

describe("a person's rollback while Recreate has made room", () => {
  test.each(["previous", "r2", "v2"])(
    "rollback-to %s brings back what was scaled down, and quarantines the candidate, not it",
    (target) => {
      const world = proven(recreate).pin("v2").run(40_000);
      world.startMs = (version: string) => (version === "v3" ? 50_000 : 0);
      world.pin("v3").run(5000);
      expect(world.status.active).toMatchObject({ version: "v2", downSince: expect.any(String) });
      world.request("rollbackTo", target).run(30_000);
      expect(world.status.refused).toBeUndefined();
      expect(world.status.active?.version).toBe("v2");
      expect(world.status.quarantine?.map((one) => one.version)).toEqual(["v3"]);
      expect(world.story().slice(-2)).toEqual(["3 Rollout v3 Rejected", "4 Return v2 Verified"]);
      // Both are the person's doing, and not of who set the pin, nor of the operator.
      expect(world.status.history?.slice(-2).map((entry) => entry.initiator?.name)).toEqual(["on-call", "on-call"]);
    },
  );
});

describe("when active and candidate breach the same check, it is no fault of the candidate, whose verdict comes first or not", () => {
  /** A share of failures of a hundred requests, the same at each sample. */
  const failing = (percent: number) => ({
    kind: "Value" as const,
    value: percent / 100,
    numerator: percent,
    denominator: 100,
  });
  const ratio = (more: object = {}) =>
    check({
      kind: "Ratio",
      threshold: { max: 0.02 },
      minSamples: 50,
      confidence: 0.95,
      poolMs: 10_000,
      fingerprint: "ratio",
      ...more,
    });
  /** v2 has half of the traffic, and nothing was bad yet. */
  const shared = (step: number, checks = [ratio(), available]) => {
    const world = proven(canary);
    world.policy = policy({ checks });
    world.measure = () => failing(1);
    world.run(10_000).pin("v2");
    return atStep(world, step);
  };
  const verdict = (world: World, revision: number) =>
    world.status.checks?.find((one) => one.name === "error-ratio" && one.revision === revision)?.verdict;

  test("the change detector of the active one is below its level still: the candidate is held, and goes on when it is over", () => {
    const world = shared(0);
    world.measure = () => failing(4);
    let early = 0;
    for (let i = 0; i < 40; i++) {
      world.run(500);
      if (verdict(world, 2) === "Breached" && verdict(world, 1) !== "Breached") early++;
    }
    // Or there would be nothing to show.
    expect(early).toBeGreaterThan(0);
    expect(world.status.quarantine ?? []).toEqual([]);
    expect(world.status).toMatchObject({ candidate: { version: "v2" }, rollout: { step: 0 } });
    expect(world.last?.held).toContainEqual(expect.objectContaining({ rule: "candidate-failed", reason: "CommonBreach" }));
    world.measure = () => failing(0);
    world.run(300_000);
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v2", standing: "Proven" } });
  });

  test("the samples of the active one come half an interval later: the candidate is held", () => {
    const world = shared(1, [check(), available]);
    const begun = world.now;
    // The candidate's third bad sample comes before the active one's third.
    world.measure = (_check, version) => (version === "v2" || world.now > begun + 1000 ? bad : good);
    world.run(30_000);
    expect(world.status.quarantine ?? []).toEqual([]);
    expect(world.status.candidate?.version).toBe("v2");
  });

  test("what is worse than the active one is rejected as soon as ever, also where that one has a bad sample now and then", () => {
    const took = (now: number) => {
      const world = shared(0);
      let asked = 0;
      const begun = world.now;
      world.measure = (_check, version) => failing(version === "v2" ? 8 : asked++ % 4 === 0 ? now : 1);
      while (world.status.candidate && world.now < begun + 60_000) world.run(500);
      expect(world.status.quarantine?.map((one) => one.version)).toEqual(["v2"]);
      return world.now - begun;
    };
    expect(took(3)).toBe(took(1));
  });

  test("a silent active one excuses nothing", () => {
    const world = shared(0);
    world.measure = (_check, version) => (version === "v2" ? failing(8) : { kind: "Empty" });
    world.run(30_000);
    expect(world.status.quarantine?.map((one) => one.version)).toEqual(["v2"]);
  });

  test("a comparison with what was measured before is worse for both: the candidate is held", () => {
    const relative = check({ threshold: undefined, baseline: { from: "LastHealthy", maxIncreasePercent: 50, guard: "Hold" } });
    const world = shared(1, [relative, available]);
    world.measure = () => ({ kind: "Value", value: 0.05 });
    world.run(30_000);
    expect(world.status.quarantine ?? []).toEqual([]);
    expect(world.status.candidate?.version).toBe("v2");
  });

  test("the active one is judged by its own rules: the traffic goes back, neither is quarantined, and the candidate goes on after it", () => {
    const world = proven(canary).pin("v2").run(90_000) as World;
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v2" } });
    atStep(world.pin("v3"), 1);
    world.measure = (_check, version) => (version === "v1" ? good : bad);
    while (world.status.active?.version !== "v1") world.run(500);
    world.run(500);
    world.measure = () => good;
    world.run(60_000);
    expect(world.story()).toContainEqual("4 Return v1 Verified");
    expect(world.status.quarantine ?? []).toEqual([]);
    world.run(120_000);
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v3", standing: "Proven" } });
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v1", "v3"]);
  });

  test("a candidate that does well shows that the active one has a fault of its own: that is quarantined", () => {
    const world = proven(canary).pin("v2").run(90_000) as World;
    atStep(world.pin("v3"), 1);
    world.measure = only("v2");
    world.run(60_000);
    expect(world.status.quarantine?.map((one) => one.version)).toEqual(["v2"]);
  });
});

describe("a promotion that waits", () => {
  test("a canary that breaches is set back although its next step was promoted and is held by a pause", () => {
    const world = atStep(proven(canary).pin("v2"), 0);
    world.request("pause", "m").run(1000);
    world.request("promote", "v2").run(1000);
    expect(world.status.rollout?.promoted).toBe(true);
    world.measure = only("v2");
    world.run(20_000);
    expect(world.selects).toBe(1);
    expect(world.story().at(-1)).toBe("2 Rollout v2 Rejected");
  });
});

describe("scaled to zero in a canary", () => {
  test("the candidate is judged anew when the pods are back: what was measured while they started says nothing", () => {
    const world = atStep(proven(canary).pin("v2"), 0);
    scale(world, 0).run(10_000);
    world.startMs = () => 8000;
    world.measure = only("v2");
    scale(world, 4).run(7000);
    world.measure = () => good;
    world.run(6000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven"]);
  });

  test("a hold that passed while nothing had pods does not count", () => {
    const world = proven(canary);
    world.policy = policy({ checks: [available] });
    atStep(world.pin("v2"), 0);
    scale(world, 0).run(60_000);
    scale(world, 4).run(10_000);
    expect(world.status.rollout?.step).toBe(0);
    world.run(30_000);
    expect(world.status.rollout?.step).toBe(1);
  });
});

describe("a stall ends", () => {
  test("CommonCause ends when its check is no longer asked and all others are healthy", () => {
    const world = proven().pin("v2").run(40_000);
    world.measure = (one) => (one.name === "error-ratio" ? bad : good);
    world.run(60_000);
    expect(world.status.stall?.reason).toBe("CommonCause");
    world.policy = policy({ checks: [available], hash: "another" });
    world.run(20_000);
    expect(world.status.stall).toBeUndefined();
  });

  test("a try that Recreate halted, whose candidate a pin to nothing superseded, ends when the pin goes back", () => {
    const world = proven(recreate);
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(120_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "ProgressDeadlineExceeded" });
    world.pin("v9").run(5000);
    world.pin("v1").run(60_000);
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v1" } });
  });

  test("a proof does not end what is wrong with the pin, nor is that told anew", () => {
    const world = proven();
    world.pin("v2").run(6000);
    world.version("v2", { digest: "sha256:other" }).run(1000);
    expect(world.status).toMatchObject({ reason: "VersionContentChanged", active: { version: "v2", baking: true } });
    world.run(60_000);
    expect(world.status).toMatchObject({ reason: "VersionContentChanged", active: { version: "v2", standing: "Proven" } });
    expect(world.events.filter((event) => event.startsWith("VersionContentChanged"))).toHaveLength(1);
  });

  test.each([
    [
      "CommonCause",
      (world: World) => {
        world.measure = () => bad;
      },
    ],
    [
      "ReturnFailed",
      (world: World) => {
        Object.assign(world.children.get(1) ?? {}, { replicas: 0, readyAt: Number.POSITIVE_INFINITY });
        world.startMs = () => Number.POSITIVE_INFINITY;
        world.measure = only("v2");
      },
    ],
  ])("the message of %s names the way out", (reason, breaks) => {
    const world = proven()
      .pin("v2")
      .run(reason === "CommonCause" ? 40_000 : 6000);
    breaks(world);
    world.run(120_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason });
    expect(world.condition("Stalled")?.message).toMatch(/pin another version/);
  });
});

describe("a hold is not written with each sample", () => {
  test("a candidate whose Warning check holds it, with a value that moves", () => {
    const world = proven();
    world.policy = policy({ checks: [...world.policy.checks, check({ name: "drift", severity: "Warning" })] });
    world.run(10_000);
    let sample = 0;
    world.measure = (one, version) =>
      one.name === "drift" && version === "v2" ? { kind: "Value", value: 0.5 + (sample++ % 7) / 100 } : good;
    world.pin("v2");
    world.probe = () => "Running";
    world.deployment.spec = { ...world.deployment.spec, probe: { path: "/" } as never };
    world.run(15_000);
    world.probe = () => "Passed";
    world.run(5000);
    expect(world.status.reason).toBe("CheckBreached");
    const { writes } = world;
    world.run(30_000);
    expect(world.writes - writes).toBe(0);
  });

  test("a source in error whose words are others each time", () => {
    const world = proven();
    let asked = 0;
    world.measure = () => ({ kind: "Error", message: `timeout after ${5000 + asked++} ms` });
    world.run(5000);
    world.pin("v2").run(10_000);
    expect(world.status.reason).toBe("SourceUnavailable");
    const { writes } = world;
    world.run(30_000);
    expect(world.writes - writes).toBe(0);
  });
});

test("where one breach waits for a person and another for a time, it is looked at when that time comes", () => {
  const world = proven().pin("v2").run(40_000);
  world.policy = policy({
    checks: [check(), check({ name: "limit", required: true, source: "platform", fingerprint: "r" }), available],
  });
  world.run(20_000);
  world.request("pause", "m").run(1000);
  world.status.returns = [{ at: new Date(world.now).toISOString(), check: "limit", proven: true }];
  world.measure = only("v2");
  world.run(10_000);
  expect(world.status.active?.version).toBe("v2");
  const until = Date.parse(world.status.returns?.[0]?.at ?? "") + world.policy.cooldownMs;
  expect(world.last?.wakeAt).toBe(until);
});

test("a guarded ratio within its limit, with a bad sample now and then, is written a few times a day at most", () => {
  const world = proven();
  const ratio = check({ kind: "Ratio", threshold: { max: 0.02 }, minSamples: 50, poolMs: 600_000 });
  world.policy = policy({ checks: [ratio, available] });
  // The same day in every run.
  const random = new Random(1);
  // Half of what is allowed: 1 % of 50 requests a sample.
  world.measure = () => {
    const hits = Array.from({ length: 50 }).filter(() => random.chance(0.01)).length;
    return { kind: "Value", value: hits / 50, numerator: hits, denominator: 50 };
  };
  world.run(60_000);
  const { writes } = world;
  // As many samples as a day has minutes.
  world.run(1_440_000);
  expect(world.status.phase).toBe("Guarding");
  expect(world.writes - writes).toBeLessThanOrEqual(4);
});

// ROLLGUARD_TEST_SEED=20262757 of properties.test.ts: Ready was true beside a line that said that a Critical check is breached.
test("a breached check to which its policy gives another severity or source is shown with these, not as it was when it breached", () => {
  const world = proven();
  const shown = () => world.status.checks?.find((line) => line.name === "error-ratio");
  const words = () => [world.condition("Ready")?.status, shown()?.verdict, shown()?.severity, shown()?.source];
  const actions = { Critical: "Hold", Warning: "Hold", Info: "Alert" } as const;
  world.policy = policy({ actions });
  world.measure = () => bad;
  world.run(10_000);
  expect(words()).toEqual(["False", "Breached", "Critical", "prometheus"]);
  // Judged anew and breached again before anybody looks: no verdict in between has it written.
  const { fingerprint } = check();
  world.policy = policy({ actions, checks: [check({ severity: "Info", source: "feedback", fingerprint }), available] });
  world.run(500);
  expect(words()).toEqual(["True", "Breached", "Info", "feedback"]);
  const { writes } = world;
  world.run(10_000);
  expect(world.writes - writes).toBe(0);
});
