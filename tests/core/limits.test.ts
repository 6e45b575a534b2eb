// What limits an automatic return, and what a breach does: modes, actions by severity, missing data, the deadline.

import { describe, expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import type { Action, Check, Severity } from "../../src/core/policy.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import { check, policy, proven, START, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const dark = { kind: "Error", message: "refused" } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const told = (world: World, reason: string) => world.events.filter((event) => event.startsWith(`${reason}:`));

/** v1 and v2 are proven, and v2 serves. */
function two(over: Parameters<typeof policy>[0] = {}): World {
  const world = proven();
  world.pin("v2").run(40_000);
  world.policy = policy(over);
  return world;
}

describe("Recommend", () => {
  const recommended = () => {
    const world = two({ mode: "Recommend" });
    world.measure = only("v2");
    return world.run(20_000);
  };

  test("it shows the decision and waits for approval", () => {
    const world = recommended();
    expect(world.status.recommendation).toMatchObject({
      action: "Return",
      mode: "Recommend",
      from: { version: "v2", revision: 2 },
      to: { version: "v1", revision: 1 },
      check: "error-ratio",
    });
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "AwaitingApproval" });
    expect(told(world, "ReturnRecommended")).toHaveLength(1);
    const { writes } = world;
    world.run(600_000);
    expect([world.writes, told(world, "ReturnRecommended").length]).toEqual([writes, 1]);
    expect(world.status.active?.version).toBe("v2");
    expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
  });

  test("approved, the return begins as the breach's, with the approver as its initiator, and is recorded", () => {
    const world = recommended();
    world.request("approve", "r2").run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.status.recommendation).toBeUndefined();
    expect(world.status.history?.at(-1)).toMatchObject({
      trigger: "Breach",
      outcome: "Verified",
      initiator: { name: "on-call" },
    });
    expect(world.status.history?.at(-1)?.message).toContain("approved by on-call");
    expect(world.status.quarantine?.[0]).toMatchObject({ version: "v2", reason: "Breached" });
    // It is the person's: cooldown and budget count what nobody asked for.
    expect(world.status.returns).toBeUndefined();
    expect(told(world, "RecommendationLapsed")).toEqual([]);
  });

  test("it never waits before taking traffic from an unproven revision", () => {
    const world = proven();
    world.policy = policy({ mode: "Recommend" });
    world.measure = only("v2");
    world.pin("v2").run(40_000);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v1"]);
    expect(told(world, "ReturnRecommended")).toEqual([]);
  });

  test("it lapses when its reason is gone, and not because nothing is known", () => {
    const world = recommended();
    world.measure = () => dark;
    world.run(20_000);
    expect(world.status.recommendation).toBeDefined();
    world.measure = () => good;
    world.run(20_000);
    expect(world.status.recommendation).toBeUndefined();
    expect(told(world, "RecommendationLapsed")).toHaveLength(1);
    expect(world.condition("Ready")?.status).toBe("True");
  });

  test("a new incident is recommended anew", () => {
    const world = recommended();
    world.measure = () => good;
    world.run(20_000);
    world.measure = only("v2");
    world.run(20_000);
    expect(told(world, "ReturnRecommended")).toHaveLength(2);
  });

  test("without a target a person is needed at once", () => {
    const world = proven();
    world.policy = policy({ mode: "Recommend" });
    world.measure = () => bad;
    world.run(20_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "NoTarget" });
    expect(world.status.recommendation).toBeUndefined();
  });

  test("Enforce again: what was recommended is done", () => {
    const world = recommended();
    world.policy = policy();
    world.run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.status.history?.at(-1)).toMatchObject({ initiator: { name: "rollguard" } });
  });
});

describe("Observe only records what would have happened", () => {
  test("to a proven revision, to one that bakes: one event an incident, and nothing moves", () => {
    for (const baking of [false, true]) {
      const world = proven();
      world.policy = policy({ mode: "Observe" });
      world.pin("v2").run(baking ? 6000 : 40_000);
      expect(world.status.active).toMatchObject({ version: "v2" });
      world.measure = only("v2");
      world.run(60_000);
      expect(world.status.recommendation).toMatchObject({ mode: "Observe", from: { revision: 2 }, to: { revision: 1 } });
      expect(told(world, "WouldAct")).toHaveLength(1);
      expect(world.status.active?.version).toBe("v2");
      world.measure = () => good;
      world.run(60_000);
      expect(world.status.recommendation).toBeUndefined();
      expect(told(world, "RecommendationLapsed")).toHaveLength(1);
    }
  });

  test("to a candidate: its checks neither reject nor hold it", () => {
    const world = proven();
    world.measure = only("v2");
    world.pin("v2");
    world.policy = policy({ mode: "Observe", freeze: [{ schedule: "0 10 * * *", durationMs: 120_000, timeZone: "UTC" }] });
    world.run(30_000);
    expect(world.status.recommendation).toMatchObject({ action: "Reject", from: { revision: 2 }, to: { revision: 1 } });
    world.run(90_000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.status.quarantine ?? []).toEqual([]);
    // As a candidate and as what bakes: two incidents.
    expect(told(world, "WouldAct")).toHaveLength(2);
  });

  test("a dark source holds no candidate either", () => {
    const world = proven();
    world.policy = policy({ mode: "Observe" });
    world.measure = () => dark;
    world.run(5000).pin("v2").run(20_000);
    expect(world.status.active?.version).toBe("v2");
  });

  test("a candidate that can't serve is rejected all the same", () => {
    const world = proven();
    world.policy = policy({ mode: "Observe" });
    const ended = { reason: "Error", exitCode: 1, message: "" };
    world.breaks = (version) =>
      version === "v2" ? [{ name: "server", init: false, restarts: 5, terminated: ended }] : undefined;
    world.pin("v2").run(20_000);
    expect(world.story().at(-1)).toBe("2 Rollout v2 Rejected");
  });
});

describe("actions by severity", () => {
  const stages = ["Candidate", "Bake", "Guard"] as const;
  type Stage = (typeof stages)[number];
  /** What a breach leads to: the candidate rejected or held, the active one returned from, kept unproven, or left alone. */
  type End = "rejected" | "held" | "returned" | "unproven" | "stays";

  function play(severity: Severity, action: Action, stage: Stage): { world: World; end: End } {
    const world = proven();
    const about = check({ name: "about", severity, fingerprint: `${severity}${action}` });
    world.policy = policy({
      checks: [...policy().checks, about],
      actions: { ...policy().actions, [severity]: action },
      ...(stage === "Candidate" ? { freeze: [{ schedule: "0 10 * * *", durationMs: 90_000, timeZone: "UTC" }] } : {}),
    });
    const breach = (one: Check, version: string) => (one.name === "about" && version === "v2" ? bad : good);
    if (stage === "Candidate") world.measure = breach;
    world.pin("v2").run(stage === "Guard" ? 40_000 : stage === "Bake" ? 5000 : 30_000);
    world.measure = breach;
    world.run(100_000);
    const { status } = world;
    if (status.history?.some((entry) => entry.outcome === "Rejected")) return { world, end: "rejected" };
    if (status.history?.some((entry) => entry.action === "Return")) return { world, end: "returned" };
    if (status.candidate) return { world, end: "held" };
    return { world, end: status.active?.standing === "Proven" ? "stays" : "unproven" };
  }

  test.each<[Severity, Action, Record<Stage, End>]>([
    ["Critical", "Rollback", { Candidate: "rejected", Bake: "returned", Guard: "returned" }],
    ["Critical", "Hold", { Candidate: "held", Bake: "unproven", Guard: "stays" }],
    ["Critical", "Alert", { Candidate: "unproven", Bake: "unproven", Guard: "stays" }],
    ["Warning", "Rollback", { Candidate: "rejected", Bake: "returned", Guard: "returned" }],
    ["Warning", "Hold", { Candidate: "held", Bake: "stays", Guard: "stays" }],
    ["Warning", "Alert", { Candidate: "stays", Bake: "stays", Guard: "stays" }],
    ["Info", "Rollback", { Candidate: "rejected", Bake: "returned", Guard: "returned" }],
    ["Info", "Hold", { Candidate: "held", Bake: "stays", Guard: "stays" }],
    ["Info", "Alert", { Candidate: "stays", Bake: "stays", Guard: "stays" }],
  ])("%s: %s", (severity, action, expected) => {
    const found = Object.fromEntries(stages.map((stage) => [stage, play(severity, action, stage).end]));
    expect(found).toEqual(expected);
  });

  test.each(["Hold", "Alert"] as const)(
    "Critical: %s never rolls back, and the breach is told once and seen in Ready",
    (action) => {
      const { world } = play("Critical", action, "Guard");
      expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "BreachHeld" });
      expect(world.condition("Reconciling")?.status).toBe("True");
      expect(told(world, "CheckBreached")).toHaveLength(1);
    },
  );

  test.each(["Warning", "Info"] as const)("a %s sets Healthy=False only", (severity) => {
    const { world } = play(severity, "Alert", "Guard");
    expect(world.condition("Ready")?.status).toBe("True");
    expect(world.condition("Healthy")?.status).toBe("False");
    expect(told(world, "CheckBreached")).toHaveLength(1);
  });

  test("a breach that comes again is told again", () => {
    const { world } = play("Warning", "Alert", "Guard");
    world.measure = () => good;
    world.run(20_000);
    world.measure = () => bad;
    world.policy = { ...world.policy, mode: "Observe" };
    world.run(20_000);
    expect(told(world, "CheckBreached").filter((event) => event.includes("about"))).toHaveLength(2);
  });
});

describe("limits of automatic returns", () => {
  const breached = (world: World, ms = 20_000) => {
    world.measure = only("v2");
    return world.run(ms);
  };

  test.each<[string, (world: World) => void, string]>([
    ["paused", (world) => Object.assign(world.deployment.spec, { paused: true }), "Paused"],
    ["the storm breaker is open", (world) => Object.assign(world, { storm: { message: "6 of 10 are bad" } }), "StormBreaker"],
    [
      "in cooldown",
      (world) => Object.assign(world.status, { returns: [{ at: new Date(world.now).toISOString(), proven: false }] }),
      "Cooldown",
    ],
    [
      "the budget is spent",
      (world) => {
        world.policy = policy({ cooldownMs: 0, budget: { limit: 1, perMs: 3_600_000 } });
        Object.assign(world.status, { returns: [{ at: new Date(world.now).toISOString(), proven: true }] });
      },
      "BudgetSpent",
    ],
  ])(
    "%s: a return from a proven revision waits and says why, one from an unproven revision does not wait for limits",
    (_words, arrange, reason) => {
      const world = two();
      arrange(world);
      breached(world);
      expect(world.status.active?.version).toBe("v2");
      expect(world.status.reason).toBe(reason);
      const unproven = proven();
      unproven.pin("v2").run(5000);
      arrange(unproven);
      breached(unproven, 30_000);
      // Pausing is a person's word about everything that is automatic.
      expect(unproven.status.active?.version).toBe(reason === "Paused" ? "v2" : "v1");
    },
  );

  test("the storm breaker of one source holds only what that source measures", () => {
    const world = two();
    world.storm = { message: "storm at other", source: "other" };
    breached(world, 30_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("when the breaker closes, what is still breached returns at once", () => {
    const world = two();
    world.storm = { message: "storm", source: "prometheus" };
    breached(world);
    expect(world.status.message).toContain("storm");
    world.storm = undefined;
    world.run(500);
    expect(world.status.active?.version).toBe("v1");
  });

  test("a storm holds no person's rollback and no revocation", () => {
    for (const act of [
      (world: World) => world.request("rollbackTo", "v1"),
      (world: World) => world.version("v2", { revoked: true }),
    ]) {
      const world = two();
      world.storm = { message: "storm" };
      act(world).run(20_000);
      expect(world.status.active?.version).toBe("v1");
    }
  });

  test("pausing does not stop the returns of a Required policy", () => {
    const world = two({ checks: policy().checks.map((one) => ({ ...one, required: true })) });
    world.deployment.spec = { ...world.deployment.spec, paused: true };
    breached(world, 30_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("a required check returns also beside a tenant's own, which pausing holds", () => {
    const world = two();
    world.policy = policy({
      checks: [check({ name: "tenants", fingerprint: "t" }), check({ name: "platforms", fingerprint: "p", required: true })],
    });
    world.deployment.spec = { ...world.deployment.spec, paused: true };
    breached(world, 30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.status.rollback?.check).toBe("platforms");
  });

  test("a budget that was lowered frees up when so many are old enough that it fits again", () => {
    const world = two({ cooldownMs: 0, budget: { limit: 1, perMs: 3_600_000 } });
    const ago = (minutes: number) => ({ at: new Date(world.now - minutes * 60_000).toISOString(), proven: true });
    Object.assign(world.status, { returns: [ago(50), ago(30), ago(10)] });
    breached(world, 12 * 60_000);
    expect(world.status.active?.version).toBe("v2");
    breached(world, 40 * 60_000);
    expect(world.status.active?.version).toBe("v1");
  });
});

describe("a deployment that is made again under its name", () => {
  /** As its records tell of the object before it. */
  const madeAgain = (earlier: Snapshot["earlierReturns"], over: Parameters<typeof policy>[0]) => {
    const world = two(over);
    const snapshot = world.snapshot.bind(world);
    world.snapshot = () => ({ ...snapshot(), ...(earlier ? { earlierReturns: earlier } : {}) });
    world.measure = only("v2");
    return world;
  };
  const ago = (ms: number, isProven = true) => ({ at: new Date(START + 60_000 - ms).toISOString(), proven: isProven });

  test("its cooldown goes on", () => {
    const world = madeAgain([ago(100_000), ago(0)], { cooldownMs: 60_000 });
    world.run(20_000);
    expect(world.status.reason).toBe("Cooldown");
    expect(world.status.rollback).toBeUndefined();
    world.run(60_000);
    expect(world.status.rollback).toMatchObject({ to: { version: "v1" } });
  });

  test("its budget goes on; returns of what was not proven don't count", () => {
    const limited = { cooldownMs: 0, budget: { limit: 2, perMs: 3_600_000 } };
    const spent = madeAgain([ago(100_000), ago(50_000)], limited).run(20_000);
    expect(spent.status.stall?.reason).toBe("BudgetSpent");
    const left = madeAgain([ago(100_000, false), ago(50_000)], limited).run(20_000);
    expect(left.status.rollback).toMatchObject({ to: { version: "v1" } });
  });
});

describe("missing data", () => {
  const silent = (action: "Alert" | "Hold") => {
    const world = proven();
    world.policy = policy({ missingData: { afterMs: 60_000, action } });
    world.measure = () => dark;
    return world;
  };

  test("it is noted at once, told once after onMissingData.after, never rolls back, and ends by itself", () => {
    const world = silent("Alert").run(10_000);
    expect(world.status.missingData).toMatchObject({ checks: ["error-ratio"] });
    expect(told(world, "MissingData")).toEqual([]);
    world.run(60_000);
    expect(world.status.missingData).toMatchObject({ alerted: true });
    expect(told(world, "MissingData")).toHaveLength(1);
    const { writes } = world;
    world.run(3_600_000);
    expect([world.writes, told(world, "MissingData").length]).toEqual([writes, 1]);
    expect(world.story()).toEqual(["1 Rollout v1 Proven"]);
    world.measure = () => good;
    world.run(10_000);
    expect(world.status.missingData).toBeUndefined();
    expect(told(world, "DataIsBack")).toHaveLength(1);
  });

  test("a source that is dark within two intervals is MetricsAvailable=False", () => {
    const world = silent("Alert").run(2500);
    expect(world.condition("MetricsAvailable")).toMatchObject({ status: "False", reason: "ProviderError" });
  });

  test.each([
    ["while it is guarded", { kind: "Value", value: 0.01, numerator: 1, denominator: 100 }],
    ["with too little traffic for a first sample", { kind: "Value", value: 0, numerator: 0, denominator: 1 }],
  ] as const)("a flap of a source that is shorter than two intervals writes nothing: %s", (_when, answer) => {
    const ratio = check({ name: "ratio", kind: "Ratio", minSamples: 1000, poolMs: 3_600_000 });
    const world = two({ checks: [check(), { ...ratio, minSamples: answer.denominator === 1 ? 1000 : 10 }] });
    world.measure = () => answer;
    world.run(30_000);
    const { writes } = world;
    for (let flaps = 0; flaps < 20; flaps++) {
      world.measure = () => dark;
      world.run(1000);
      world.measure = () => answer;
      world.run(3000);
    }
    expect(world.writes).toBe(writes);
    expect(world.condition("MetricsAvailable")).toMatchObject({ status: "True" });
    world.measure = () => dark;
    world.run(2500);
    expect(world.condition("MetricsAvailable")).toMatchObject({ status: "False", reason: "ProviderError" });
  });

  test.each(["Alert", "Hold"] as const)("%s: a candidate waits for missing data only where the policy says so", (action) => {
    const world = silent(action).run(90_000);
    // The source answers, and has nothing: that alone holds no traffic.
    world.measure = () => ({ kind: "Empty" });
    world.pin("v2").run(30_000);
    expect(world.status.active?.version).toBe(action === "Hold" ? "v1" : "v2");
    if (action === "Hold") expect(world.status.reason).toBe("MissingData");
    world.measure = () => good;
    world.run(60_000);
    expect(world.status.active).toMatchObject({ version: "v2", standing: "Proven" });
  });

  test("traffic that is too little to judge is missing data as well, after its time", () => {
    const world = new World().version("v1");
    const ratio = check({ kind: "Ratio", numerator: "n", denominator: "d", query: undefined, minSamples: 100, fingerprint: "r" });
    world.policy = policy({ checks: [ratio], missingData: { afterMs: 60_000, action: "Alert" } });
    world.measure = () => ({ kind: "Value", value: 0, numerator: 0, denominator: 200 });
    world.run(30_000);
    world.measure = () => ({ kind: "Value", value: 0, numerator: 0, denominator: 0 });
    world.run(50_000);
    expect(world.status.missingData).toBeUndefined();
    world.run(20_000);
    expect(world.status.missingData).toMatchObject({ alerted: true });
  });

  test("after a restart nothing is missing yet: windows begin anew", () => {
    const world = proven();
    world.policy = policy({ missingData: { afterMs: 60_000, action: "Alert" } });
    world.run(300_000);
    world.windows.clear();
    world.pass();
    world.run(5000);
    expect(told(world, "MissingData")).toEqual([]);
    expect(world.status.missingData).toBeUndefined();
  });

  test("what is scaled to nothing misses nothing", () => {
    const world = silent("Alert");
    world.deployment.spec = { ...world.deployment.spec, replicas: 0 };
    world.run(200_000);
    expect(told(world, "MissingData")).toEqual([]);
  });
});

describe("the deadline", () => {
  const cold = {
    strategy: { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1s" } },
  } as never;
  /** v2 is proven and breaches; v1 is its cold target. */
  const returning = (arrange: (world: World) => void) => {
    const world = proven(cold);
    world.pin("v2").run(60_000);
    world.measure = only("v2");
    arrange(world);
    while (world.status.rollback === undefined) world.run(500);
    return { world, begun: world.now };
  };
  const notice = "DeadlineWillBeMissed";

  test.each<[string, (world: World) => void, number, string]>([
    [
      "verifying alone takes longer",
      (world) => {
        world.policy = policy({ verifyMs: 130_000 });
      },
      1000,
      "verifying takes 2m10s at least",
    ],
    [
      "a cold start takes so long that verifying can't end in time",
      (world) => {
        world.startMs = () => 39_000;
        world.policy = policy({ verifyMs: 100_000 });
      },
      22_000,
      "0 of 2 pods of r1 are ready",
    ],
    [
      "the pods of the target show a fault that stays",
      (world) => {
        world.startMs = () => Number.POSITIVE_INFINITY;
        world.breaks = (version) =>
          version === "v1"
            ? [{ name: "server", init: false, restarts: 0, waiting: { reason: "ImagePullBackOff", message: "i/o timeout" } }]
            : undefined;
      },
      22_000,
      "ImageUnavailable",
    ],
    [
      "a check gives no data on the target",
      (world) => {
        world.startMs = () => 1000;
        world.measure = (_check, version) => (version === "v2" ? bad : dark);
      },
      117_000,
      "error-ratio: 0 of 5 conclusive samples",
    ],
  ])("%s: a person is told at once, once, before the deadline, with what is in the way", (_words, arrange, withinMs, words) => {
    const { world, begun } = returning(arrange);
    while (told(world, notice).length === 0 && world.now - begun < 200_000) world.run(500);
    expect(world.now - begun).toBeLessThanOrEqual(withinMs);
    expect(told(world, notice)[0]).toContain(words);
    world.run(200_000);
    expect(told(world, notice)).toHaveLength(1);
  });

  test("a return that is in time is told nothing of", () => {
    const { world } = returning((one) => {
      one.startMs = () => 10_000;
    });
    world.run(200_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
    expect(told(world, notice)).toEqual([]);
  });

  test("the next return is told of anew", () => {
    const { world } = returning((one) => {
      one.policy = policy({ verifyMs: 130_000 });
    });
    world.run(300_000);
    expect(world.status.rollback?.deadlineTold).toBe(true);
    world.measure = () => good;
    world.pin("v3").run(60_000).request("rollbackTo", "v1").run(5000);
    expect(told(world, notice)).toHaveLength(2);
  });
});
