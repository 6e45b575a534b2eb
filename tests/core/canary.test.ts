// Canary: the promises of "Rolling out" about shares of the traffic, by replicas and by a route, over the real decide() and plan().

import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { podsForShare } from "../../src/core/canary.ts";
import { check, policy, proven, World } from "./world.ts";

type Steps = NonNullable<ModelDeployment["spec"]["strategy"]["canary"]>["steps"];

const STEPS: Steps = [
  { weight: 20, hold: "20s" },
  { weight: 50, hold: "20s" },
];

const spec = (more: { steps?: Steps; replicas?: number; route?: boolean } = {}): Partial<ModelDeployment["spec"]> => ({
  replicas: more.replicas ?? 4,
  strategy: {
    type: "Canary",
    canary: {
      steps: more.steps ?? STEPS,
      ...(more.route ? { route: { parentRefs: [{ name: "g" }] } } : {}),
    },
    drain: "5s",
    progressDeadline: "60s",
    standby: { replicas: "100%", for: "1h" },
  },
});

const sizes = (world: World) =>
  Object.fromEntries([...world.children].map(([revision, child]) => [`r${revision}`, child.replicas]));

/** v1 is proven and serves alone; v2 has just been pinned. */
const begun = (more: Parameters<typeof spec>[0] = {}) => proven(spec(more)).pin("v2");

/** Runs until it holds. */
function until(world: World, holds: () => unknown, limitMs = 120_000): World {
  for (let passed = 0; passed <= limitMs; passed += 500) {
    if (holds()) return world;
    world.run(500);
  }
  throw new Error(`never: ${world.status.phase}: ${world.status.reason}: ${world.status.message}`);
}

const atStep = (world: World, step: number) =>
  until(world, () => world.status.rollout?.step === step && world.status.rollout.stepSince !== undefined);

describe("by replica share", () => {
  test.each([
    [1, 4, 1],
    [20, 4, 1],
    [25, 3, 1],
    [50, 4, 4],
    [33, 10, 5],
    [80, 4, 4],
    [100, 4, 4],
    [5, 100, 5],
    [50, 0, 0],
  ])("%i %% of %i replicas is %i pods: at least one, at most as many as the active one", (weight, replicas, pods) => {
    expect(podsForShare(weight, replicas)).toBe(pods);
  });

  test("goes by its steps, holds each, takes everything after the last, bakes and is proven", () => {
    const world = begun();
    atStep(world, 0);
    expect(world.status.phase).toBe("Shifting");
    expect(world.status.rollout).toMatchObject({ step: 0, weight: 20, share: 20 });
    expect(world.status.message).toContain("r2 (v2) has step 1 of 2: 20 % asked, 20 % reached");
    expect([world.selects, sizes(world)]).toEqual(["All", { r1: 4, r2: 1 }]);
    const since = Date.parse(world.status.rollout?.stepSince ?? "");
    atStep(world, 1);
    expect(world.now - since).toBeGreaterThanOrEqual(20_000);
    expect(world.status.rollout).toMatchObject({ weight: 50, share: 50 });
    expect(sizes(world)).toEqual({ r1: 4, r2: 4 });
    until(world, () => world.status.active?.version === "v2");
    expect([world.selects, world.status.phase, world.status.standby?.version]).toEqual([2, "Baking", "v1"]);
    expect(world.status.rollout?.step).toBeUndefined();
    until(world, () => world.status.phase === "Guarding");
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Proven"]);
  });

  test("the candidate's first pods answer the probe before the selector is widened", () => {
    const world = begun();
    world.deployment.spec = { ...world.deployment.spec, probe: { path: "/" } as never };
    world.probe = () => "Failed";
    until(world, () => world.status.phase === "RolledBack");
    expect(world.cluster.selected.map((one) => one.selects)).toEqual([1]);
    const asked = begun();
    asked.deployment.spec = { ...asked.deployment.spec, probe: { path: "/" } as never };
    asked.probe = () => "Running";
    asked.run(20_000);
    expect([asked.selects, asked.status.reason, sizes(asked)]).toEqual([1, "ProbeRunning", { r1: 4, r2: 1 }]);
    const slow = begun();
    slow.startMs = () => 30_000;
    slow.run(20_000);
    expect([slow.selects, slow.status.reason, sizes(slow)]).toEqual([1, "PodsNotReady", { r1: 4, r2: 1 }]);
  });

  test("the share that is really reached is shown, and one of more than double the step's weight holds and says so", () => {
    const world = begun({
      replicas: 3,
      steps: [
        { weight: 5, hold: "10s" },
        { weight: 50, hold: "10s" },
      ],
    });
    world.run(30_000);
    expect([world.status.reason, world.selects]).toEqual(["ShareTooCoarse", 1]);
    expect(world.status.message).toContain("5 % asked, 25 % would be reached with 3 replicas");
    world.request("promote", "r2");
    atStep(world, 0);
    expect(world.status.message).toContain("5 % asked, 25 % reached");
    // The promotion was for one step only.
    expect(world.status.rollout?.promoted).toBeUndefined();
    atStep(world, 1);
  });

  test("an older standby is gone before the selector is widened", () => {
    const world = begun();
    until(world, () => world.status.phase === "Guarding" && world.status.active?.version === "v2");
    expect(sizes(world)).toEqual({ r1: 4, r2: 4 });
    world.pin("v3");
    const seen = new Set<string>();
    until(world, () => {
      seen.add(world.status.reason ?? "");
      if (world.selects === "All") expect(sizes(world)).toEqual({ r2: 4, r3: 1 });
      return world.status.rollout?.step === 0;
    });
    expect(world.status.standby).toBeUndefined();
    expect(world.condition("RollbackReady")).toMatchObject({ status: "True", reason: "Cold" });
  });

  test("while the active one is unproven the candidate holds instead, until that one is proven", () => {
    const world = begun();
    until(world, () => world.status.active?.version === "v2");
    world.measure = (_check, version) => (version === "v2" ? { kind: "Empty" } : { kind: "Value", value: 0.01 });
    world.pin("v3").run(20_000);
    expect([world.status.reason, world.selects, world.status.standby?.version]).toEqual(["ActiveUnproven", 2, "v1"]);
    world.measure = () => ({ kind: "Value", value: 0.01 });
    until(world, () => world.status.rollout?.step === 0);
    expect(world.status.active).toMatchObject({ version: "v2", standing: "Proven" });
  });

  test("… or returned: then the candidate goes on beside the one that has the traffic back", () => {
    const world = begun();
    until(world, () => world.status.active?.version === "v2");
    world.pin("v3");
    until(world, () => world.status.reason === "ActiveUnproven");
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.5 : 0.01 });
    until(world, () => world.status.active?.version === "v1");
    until(world, () => world.status.rollout?.step === 0);
    expect(world.status.quarantine?.map((one) => one.version)).toEqual(["v2"]);
    expect([world.selects, sizes(world)]).toEqual(["All", { r1: 4, r3: 1 }]);
  });

  test("… or a person promotes it", () => {
    const world = begun();
    until(world, () => world.status.active?.version === "v2");
    world.measure = (_check, version) => (version === "v2" ? { kind: "Empty" } : { kind: "Value", value: 0.01 });
    world.pin("v3").run(20_000);
    world.request("promote", "r3");
    until(world, () => world.status.rollout?.step === 0);
    expect(sizes(world)).toEqual({ r2: 4, r3: 1 });
  });

  test("a pause waits for a person's promote", () => {
    const world = begun({
      steps: [
        { weight: 20, pause: true },
        { weight: 50, hold: "10s" },
      ],
    });
    atStep(world, 0);
    world.run(600_000);
    expect([world.status.rollout?.step, world.status.reason]).toEqual([0, "AwaitingPromotion"]);
    world.request("promote", "v2");
    atStep(world, 1);
  });

  test("replicas changed from outside during a canary: the candidate's pods follow", () => {
    const world = begun();
    atStep(world, 0);
    world.deployment.spec = { ...world.deployment.spec, replicas: 8 };
    world.run(5000);
    expect(sizes(world)).toEqual({ r1: 8, r2: 2 });
    expect(world.status).toMatchObject({ replicas: 10, readyReplicas: 10 });
    expect(world.status.selector).toBe("rollguard.dev/deployment=m,rollguard.dev/revision in (1,2)");
    world.deployment.spec = { ...world.deployment.spec, replicas: 0 };
    world.run(60_000);
    expect([sizes(world), world.status.rollout?.step]).toEqual([{ r1: 0, r2: 0 }, 0]);
    world.deployment.spec = { ...world.deployment.spec, replicas: 4 };
    until(world, () => world.status.active?.version === "v2");
  });

  test("Available as it is: while the active one has no ready pod, those of the candidate serve", () => {
    const world = begun({ steps: [{ weight: 50, hold: "60s" }] });
    atStep(world, 0);
    const child = world.children.get(1);
    if (child) world.children.set(1, { ...child, readyAt: Number.POSITIVE_INFINITY });
    world.run(500);
    expect(world.condition("Available")).toMatchObject({ status: "True", message: "r2 has ready pods" });
    expect(world.status.rollout?.share).toBe(100);
  });

  test("pods of another revision beside it take its share away at once", () => {
    const world = begun();
    atStep(world, 0);
    world.children.set(7, { replicas: 1, fresh: "", readyAt: 0 });
    world.pass();
    expect([world.selects, world.status.rollout?.step]).toEqual([1, undefined]);
    expect(world.events.some((event) => event.startsWith("ShareWithdrawn: r2 has no traffic any more: pods of r7"))).toBe(true);
    world.children.delete(7);
    atStep(world, 0);
  });
});

describe("a setback at any step sends all weight back in one write", () => {
  const setbacks: Record<string, (world: World) => void> = {
    "a breach of the candidate": (world) => {
      world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.5 : 0.01 });
    },
    "a crash loop of the candidate": (world) => {
      const child = world.children.get(2);
      const broken = [{ name: "server", init: false, restarts: 5, terminated: { reason: "Error", exitCode: 1, message: "" } }];
      if (child) world.children.set(2, { ...child, broken });
    },
    "the pin went back": (world) => world.pin("v1"),
    "a newer pin": (world) => world.pin("v3"),
    "its version was revoked": (world) => world.version("v2", { revoked: true }),
    "a person's rollback": (world) => world.request("rollbackTo", "r1"),
  };
  const outcomes: Record<string, string> = {
    "a breach of the candidate": "Rejected",
    "a crash loop of the candidate": "Rejected",
    "the pin went back": "Cancelled",
    "a newer pin": "Superseded",
    "its version was revoked": "Superseded",
    "a person's rollback": "Rejected",
  };
  const cases = Object.keys(setbacks).flatMap((why) =>
    [false, true].flatMap((route) => [0, 1].map((step) => ({ why, route, step }))),
  );

  test.each(cases)("$why, at step $step, with a route: $route", ({ why, route, step }) => {
    const world = begun({ route });
    atStep(world, step);
    const decision = world.status.decision ?? 0;
    const judged = world.status.active?.judgedFrom;
    setbacks[why]?.(world);
    until(world, () => world.status.rollout?.step === undefined, 20_000);
    // The very pass that decided it narrowed the Service, or gave the route its old weights.
    expect(route ? world.cluster.route?.weight : world.selects).toBe(route ? 0 : 1);
    expect(world.selects).toBe(1);
    expect(world.status.decision).toBe(decision + 1);
    expect(world.children.get(2)?.replicas).toBeGreaterThan(0);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1"]);
    expect(world.status.history?.find((entry) => entry.to?.version === "v2")?.outcome).toBe(outcomes[why]);
    expect((world.status.quarantine ?? []).some((entry) => entry.version === "v2")).toBe(outcomes[why] === "Rejected");
    world.run(4000);
    expect(world.children.has(2)).toBe(true);
    world.run(4000);
    expect(world.children.has(2)).toBe(false);
    // The active one had traffic all the time: its own judging goes on.
    expect(world.status.active?.judgedFrom).toBe(judged);
  });

  test("a person's rollback that rejects the candidate is recorded with the person and the person's reason", () => {
    const world = begun();
    atStep(world, 0);
    world.changeCause = "wrong totals, see the ticket";
    world.request("rollbackTo", "r1").run(2000);
    expect(world.status.history?.at(-1)).toMatchObject({
      outcome: "Rejected",
      reason: "RolledBackByPerson",
      message: "wrong totals, see the ticket",
      initiator: { name: "on-call" },
    });
    // Who set the pin stands where nobody else ended it.
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v3" ? 0.5 : 0.01 });
    until(world.pin("v3"), () => world.status.phase === "RolledBack" && world.status.history?.at(-1)?.to?.version === "v3");
    expect(world.status.history?.at(-1)).toMatchObject({ reason: "CheckBreached", initiator: { name: "kubectl" } });
  });

  test("the active one breached: the share is taken back, and only then the target of the return comes up", () => {
    const world = begun();
    until(world, () => world.status.phase === "Guarding" && world.status.active?.version === "v2");
    world.pin("v3");
    atStep(world, 0);
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.5 : 0.01 });
    until(world, () => world.status.phase === "RollingBack");
    expect([world.selects, world.status.rollout?.step]).toEqual([2, undefined]);
    until(world, () => world.status.active?.version === "v1");
    expect(world.cluster.selected.map((one) => one.selects)).toEqual([1, "All", 2, "All", 2, 1]);
    until(world, () => world.status.active?.version === "v3");
  });

  test("no fault of its own: without room for its pods the share goes back, and it is tried again from the first step", () => {
    const world = begun();
    atStep(world, 0);
    const child = world.children.get(2);
    if (child) world.children.set(2, { ...child, readyAt: Number.POSITIVE_INFINITY });
    until(world, () => world.status.rollout?.retryAt !== undefined, 200_000);
    expect([world.selects, world.status.rollout?.step, world.status.quarantine ?? []]).toEqual([1, undefined, []]);
    expect(world.status.stall?.reason).toBe("ProgressDeadlineExceeded");
    world.run(6000);
    expect(world.children.get(2)?.replicas).toBe(0);
    atStep(world, 0);
  });
});

describe("checks are judged at each step", () => {
  test("when active and candidate breach the same check, it is no fault of the candidate", () => {
    const world = begun();
    atStep(world, 0);
    world.measure = () => ({ kind: "Value", value: 0.5 });
    world.run(40_000);
    expect(world.status.quarantine ?? []).toEqual([]);
    expect([world.status.rollout?.step, world.selects]).toEqual([0, "All"]);
    expect(world.decisions.at(-1)?.held.map((one) => one.reason)).toContain("CommonBreach");
  });

  test("where the policy only observes, nothing acts on checks: the steps go by their holds", () => {
    const world = begun();
    world.policy = policy({ mode: "Observe" });
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.5 : 0.01 });
    until(world, () => world.status.active?.version === "v2");
    expect(world.status.quarantine ?? []).toEqual([]);
  });

  test.each([
    ["NoData", { kind: "Empty" as const }, "AwaitingData"],
    ["ProviderError", { kind: "Error" as const, message: "refused" }, "SourceUnavailable"],
  ])("missing data holds the step with its reason: %s", (verdict, reading, reason) => {
    const world = begun();
    atStep(world, 0);
    world.measure = (_check, version) => (version === "v2" ? reading : { kind: "Value", value: 0.01 });
    world.run(120_000);
    expect([world.status.rollout?.step, world.status.reason]).toEqual([0, reason]);
    expect(world.status.message).toContain(`error-ratio is ${verdict}`);
    world.measure = () => ({ kind: "Value", value: 0.01 });
    atStep(world, 1);
  });

  test("a candidate with a share of the traffic is judged by the built-in checks, too", () => {
    const world = begun();
    world.ails = (version) => (version === "v2" ? { unready: 1 } : {});
    // Without traffic it only waits for its pods.
    world.run(30_000);
    expect([world.status.candidate?.version, world.status.reason]).toEqual(["v2", "PodsNotReady"]);
    expect(world.status.checks?.map((line) => [line.name, line.revision])).toEqual([
      ["error-ratio", 1],
      ["available", 1],
      ["error-ratio", 2],
    ]);
    world.ails = () => ({});
    atStep(world, 0);
    world.ails = (version) => (version === "v2" ? { unready: 1 } : {});
    until(world, () => world.status.phase === "RolledBack", 20_000);
    expect(world.status.history?.at(-1)).toMatchObject({ outcome: "Rejected", reason: "CheckBreached" });
    expect(world.status.history?.at(-1)?.message).toContain("available 1 (< 0.5)");
    expect([world.selects, world.status.active?.version]).toEqual([1, "v1"]);
  });

  test("a built-in check without samples yet, as after a restart of the operator, holds no step", () => {
    const world = begun();
    const builtIn = world.policy.checks.find((one) => one.source === undefined);
    if (!builtIn) throw new Error("no built-in check");
    world.policy = policy({ checks: [check(), { ...builtIn, intervalMs: 60_000 }] });
    atStep(world, 0);
    const since = world.now;
    until(world, () => world.status.rollout?.step === 1);
    expect(world.now - since).toBeLessThan(25_000);
    expect(world.status.checks?.find((line) => line.name === "available" && line.revision === 2)?.verdict).toBe("Insufficient");
  });

  test("one sequence over all steps: the judging begins with the first traffic and not anew with each step", () => {
    const world = begun();
    const pinned = world.status.candidate?.judgedFrom;
    atStep(world, 0);
    const first = world.status.candidate?.judgedFrom;
    expect(first).not.toBe(pinned);
    atStep(world, 1);
    expect(world.status.candidate?.judgedFrom).toBe(first);
  });

  test("a baseline from the active revision is live, with a window of both", () => {
    const world = begun();
    world.policy = policy({
      checks: [check({ threshold: undefined, baseline: { from: "Active", maxIncreasePercent: 50, guard: "Hold" } })],
    });
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.05 : 0.01 });
    until(world, () => world.status.phase === "RolledBack");
    expect(world.status.history?.at(-1)).toMatchObject({ outcome: "Rejected", reason: "CheckBreached" });
    expect(world.cluster.selected.map((one) => one.selects)).toEqual([1, "All", 1]);
  });
});

describe("by HTTPRoute", () => {
  test("the route shares the traffic by its weights, and the standby stays", () => {
    const world = begun({
      route: true,
      steps: [
        { weight: 5, hold: "10s" },
        { weight: 60, hold: "10s" },
      ],
    });
    atStep(world, 0);
    expect([world.selects, world.lastPlan?.preview, world.cluster.route?.weight, sizes(world)]).toEqual([
      1,
      2,
      5,
      { r1: 4, r2: 1 },
    ]);
    atStep(world, 1);
    expect([world.cluster.route?.weight, sizes(world)]).toEqual([60, { r1: 4, r2: 3 }]);
    // Full size before it gets everything.
    until(world, () => world.status.active?.version === "v2");
    expect(world.children.get(2)?.replicas).toBe(4);
    expect([world.selects, world.cluster.route?.weight]).toEqual([2, 0]);
    until(world, () => world.status.phase === "Guarding");
    world.pin("v3");
    atStep(world, 0);
    expect(sizes(world)).toEqual({ r1: 4, r2: 4, r3: 1 });
  });

  test("a route that is not accepted holds the rollout and says so", () => {
    const world = begun({ route: true });
    world.cluster.route = { weight: 0, accepted: false };
    world.run(30_000);
    expect([world.status.reason, world.status.rollout?.step]).toEqual(["RouteNotAccepted", undefined]);
    expect(world.status.message).toContain("NotAllowedByListeners");
    world.cluster.route = { weight: 0, accepted: true };
    atStep(world, 0);
    world.cluster.route = { weight: 20, accepted: false };
    world.run(60_000);
    expect([world.status.reason, world.status.rollout?.step]).toEqual(["RouteNotAccepted", 0]);
  });
});

test("paused: no step is taken, and what has a share keeps it", () => {
  const world = begun();
  atStep(world, 0);
  world.deployment.spec = { ...world.deployment.spec, paused: true };
  world.run(120_000);
  expect([world.status.rollout?.step, world.status.reason, world.selects]).toEqual([0, "Paused", "All"]);
});

test("the first version of all has nobody to share with", () => {
  const world = new World(spec()).version("v1").run(10_000);
  expect([world.selects, world.children.get(1)?.replicas]).toEqual([1, 4]);
});
