// The main job on decisions alone: pin, bake, prove, breach, return, verify, quarantine. Each test bears its promise.

import { describe, expect, test } from "vitest";
import { proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;

describe("rolling out", () => {
  test("a new hash becomes the candidate, gets the traffic in one write, bakes, and is proven", () => {
    const world = proven();
    expect(world.status.phase).toBe("Guarding");
    expect(world.status.active).toMatchObject({ version: "v1", revision: 1, standing: "Proven" });
    expect(world.story()).toEqual(["1 Rollout v1 Proven"]);
    expect(world.status.lastHealthy?.baseline?.find((one) => one.name === "error-ratio")?.value).toBeCloseTo(0.01);
    world.pin("v2").run(30_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Proven"]);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2"]);
    expect(world.condition("Ready")?.status).toBe("True");
  });

  test("a pass that changes nothing writes nothing", () => {
    const world = proven();
    const before = world.writes;
    world.run(600_000);
    expect(world.writes).toBe(before);
  });

  test("a newer pin during a rollout supersedes the candidate, and going back to the active one cancels it", () => {
    const world = proven();
    world.startMs = () => Number.POSITIVE_INFINITY;
    world.pin("v2").run(5000).pin("v3").run(5000).pin("v1").run(10_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Superseded", "3 Rollout v3 Cancelled"]);
    expect(world.status.phase).toBe("Guarding");
    // Neither is a failure.
    expect(world.status.quarantine ?? []).toEqual([]);
    expect(world.traffic).toHaveLength(1);
    expect([...world.children.keys()]).toEqual([1]);
  });

  test("a pin that names a missing version touches nothing that serves, and stalls after 60 s with the names that exist", () => {
    const world = proven();
    world.pin("v9").run(30_000);
    expect(world.status.phase).toBe("Pending");
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "WaitingForVersion" });
    expect(world.condition("Reconciling")?.status).toBe("True");
    world.run(60_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True" });
    expect(world.condition("Stalled")?.message).toContain("v1, v2, v3");
    expect(world.traffic).toHaveLength(1);
    world.version("v9").run(40_000);
    expect(world.status.active?.version).toBe("v9");
  });

  test.each([
    ["another model's version", { model: "other" }, "OtherModel"],
    ["a revoked version", { revoked: true }, "VersionRevoked"],
  ])("a pin that names %s touches nothing that serves", (_words, more, reason) => {
    const world = proven().version("v9", more);
    world.pin("v9").run(10_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason });
    expect(world.status.active?.version).toBe("v1");
  });

  test("a candidate that crashes by its own fault is quarantined and never gets traffic", () => {
    const world = proven();
    world.breaks = (version) =>
      version === "v2"
        ? [{ name: "server", init: false, restarts: 3, terminated: { reason: "OOMKilled", exitCode: 137, message: "" } }]
        : undefined;
    world.pin("v2").run(20_000);
    expect(world.status.phase).toBe("RolledBack");
    expect(world.story().at(-1)).toBe("2 Rollout v2 Rejected");
    expect(world.status.quarantine?.[0]).toMatchObject({ version: "v2", reason: "OOMKilled" });
    expect(world.traffic).toHaveLength(1);
  });

  test("a candidate whose probe inference fails is quarantined", () => {
    const world = proven({ probe: { path: "/predict" } as never });
    world.probe = (version) => (version === "v2" ? "Failed" : "Passed");
    world.pin("v2").run(20_000);
    expect(world.story().at(-1)).toBe("2 Rollout v2 Rejected");
    expect(world.status.history?.at(-1)?.reason).toBe("ProbeFailed");
  });

  test("a candidate that the cluster can't start is not quarantined: it is scaled down and tried again with back-off", () => {
    const world = proven();
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(70_000);
    expect(world.status.phase).toBe("Stalled");
    expect(world.condition("Stalled")?.reason).toBe("ProgressDeadlineExceeded");
    expect(world.status.quarantine ?? []).toEqual([]);
    expect(world.children.get(2)?.replicas).toBe(0);
    world.startMs = () => 2000;
    world.run(60_000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.story().at(-1)).toBe("2 Rollout v2 Proven");
  });

  test("a first version that breaches has nothing to return to: it keeps serving, and a person is told", () => {
    const world = new World().version("v1");
    world.measure = () => bad;
    world.run(60_000);
    expect(world.status.phase).toBe("Stalled");
    expect(world.condition("Stalled")?.reason).toBe("NoTarget");
    expect(world.condition("Healthy")?.status).toBe("False");
    expect(world.condition("Available")?.status).toBe("True");
    expect(world.traffic).toHaveLength(1);
    world.measure = () => good;
    world.run(40_000);
    expect(world.status.phase).toBe("Guarding");
  });

  test("while nothing was ever proven, the last active revision that did not breach is the target, marked unproven", () => {
    const world = new World().version("v1").version("v2");
    world.policy = { ...world.policy, bakeMs: 600_000 };
    world.run(10_000).pin("v2").run(6000);
    expect(world.status.standby).toMatchObject({ version: "v1", standing: "Unproven" });
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.run(10_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.condition("RollbackReady")?.status).toBe("False");
  });
});

describe("guarding and rolling back", () => {
  test("a breach while baking returns the traffic in one write, verifies, quarantines and records both transitions", () => {
    const world = proven();
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.pin("v2").run(40_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 RolledBack", "3 Return v1 Verified"]);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v1"]);
    expect(world.status.rollback).toMatchObject({ check: "error-ratio", warm: true, outcome: "Verified" });
    expect(world.status.phase).toBe("RolledBack");
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "RolledBack" });
    expect(world.condition("Stalled")?.status).toBe("True");
    expect(world.condition("Available")?.status).toBe("True");
    expect(world.status.history?.at(-1)?.checks?.[0]).toMatchObject({
      name: "error-ratio",
      verdict: "Breached",
      value: 0.5,
      threshold: "≤ 0.1",
    });
    expect([...world.children.keys()]).toEqual([1]);
  });

  test("the guard never ends: a breach a month after promotion rolls back within the same time as one during a rollout", () => {
    const took = (age: number) => {
      const world = proven({
        strategy: { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "2000h" } },
      });
      world.pin("v2").run(40_000);
      // A month of nothing: the clock moves, the windows stay.
      world.now += age;
      world.run(10_000);
      world.measure = (_check, version) => (version === "v2" ? bad : good);
      const since = world.now;
      world.run(20_000);
      return (world.traffic.at(-1)?.at ?? 0) - since;
    };
    // Within one interval: where in it the breach begins differs by the jump of the clock.
    expect(Math.abs(took(30 * 86_400_000) - took(0))).toBeLessThanOrEqual(1000);
  });

  test("the same pin, synced again, changes nothing and writes nothing; a new hash or a retry is tried", () => {
    const world = proven();
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.pin("v2").run(60_000);
    const before = world.writes;
    for (let i = 0; i < 20; i++) {
      world.deployment = { ...world.deployment, spec: { ...world.deployment.spec } };
      world.run(3000);
    }
    expect(world.writes).toBe(before);
    world.measure = () => good;
    world.request("retry", "v2").run(40_000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.status.active?.revision).toBe(2);
    expect(world.story().at(-1)).toBe("4 Rollout v2 Proven");
  });

  test("a cold return scales the target up first; until then the breached one serves", () => {
    const world = proven({
      strategy: { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1s" } },
    });
    world.pin("v2").run(60_000);
    expect(world.children.get(1)?.replicas).toBe(0);
    world.startMs = () => 10_000;
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.run(8000);
    expect(world.status.phase).toBe("RollingBack");
    expect(world.status.active?.version).toBe("v2");
    expect(world.status.rollback?.warm).toBe(false);
    world.run(40_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("a target that breaches the same check in verify is the common cause: the walk ends and a person is told", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.measure = () => bad;
    world.run(60_000);
    expect(world.status.phase).toBe("Stalled");
    expect(world.condition("Stalled")?.reason).toBe("CommonCause");
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v1"]);
    world.run(600_000);
    expect(world.traffic).toHaveLength(3);
    world.measure = () => good;
    world.run(20_000);
    expect(world.status.phase).toBe("RolledBack");
  });

  test("a target that is not ready within a third of the deadline is passed over, and the one that had the traffic goes on", () => {
    const world = proven({
      strategy: { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1s" } },
    });
    world.pin("v2").run(60_000);
    world.startMs = () => Number.POSITIVE_INFINITY;
    world.measure = () => bad;
    world.run(60_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Failed");
    expect(world.condition("Stalled")?.reason).toBe("ReturnFailed");
    expect(world.status.active?.version).toBe("v2");
  });

  test("one whose own baseline lies beyond the breached threshold is passed over", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.policy = {
      ...world.policy,
      checks: [
        { ...(world.policy.checks[0] as never as object), threshold: { max: 0.005 }, fingerprint: "tight" } as never,
        ...world.policy.checks.slice(1),
      ],
    };
    world.run(20_000);
    expect(world.condition("Stalled")?.reason).toBe("TargetNoBetter");
    expect(world.status.active?.version).toBe("v2");
  });

  test("cooldown protects a proven active revision from a second automatic rollback, never a baking one", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.run(30_000);
    expect(world.status.active?.version).toBe("v1");
    world.measure = (_check, version) => (version === "v3" ? bad : good);
    world.pin("v3").run(20_000);
    // v3 bakes within the cooldown, and is taken back all the same.
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v1", "v3", "v1"]);
  });

  test("budget counts and holds only automatic returns from a proven active revision", () => {
    const world = proven();
    world.policy = { ...world.policy, budget: { limit: 1, perMs: 3_600_000 }, cooldownMs: 1000 };
    world.pin("v2").run(40_000);
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.run(30_000);
    world.measure = () => good;
    world.pin("v3").run(40_000);
    expect(world.status.active?.version).toBe("v3");
    world.measure = (_check, version) => (version === "v3" ? bad : good);
    world.run(30_000);
    expect(world.condition("Stalled")?.reason).toBe("BudgetSpent");
    expect(world.status.active?.version).toBe("v3");
    world.run(3_600_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("a revoked version leaves wherever it serves, whatever the metrics say; with no target it keeps serving", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.version("v2", { revoked: true }).run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
    world.version("v1", { revoked: true }).run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.condition("Stalled")?.reason).toBe("RevokedNoTarget");
  });

  test("a person's rollback is a rollback like any other: quarantined, recorded, with the person's reason", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.changeCause = "customers complain";
    world.request("rollbackTo", "previous").run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.status.quarantine?.[0]).toMatchObject({ version: "v2", reason: "RolledBackByPerson" });
    expect(world.status.history?.at(-1)).toMatchObject({ trigger: "Person", outcome: "Verified" });
    const writes = world.writes;
    world.run(60_000);
    expect(world.writes).toBe(writes);
  });

  test("a pin during a return gets traffic only when the return has ended", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.run(4000);
    expect(["RollingBack", "Verifying"]).toContain(world.status.phase);
    world.pin("v3").run(40_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Proven", "3 Return v1 Verified", "4 Rollout v3 Proven"]);
  });

  test.each<[string, () => World]>([
    ["NoTarget", () => new World().version("v1").version("v3")],
    ["CommonCause", () => proven().pin("v2").run(40_000)],
    [
      "BudgetSpent",
      () => {
        const world = proven().pin("v2").run(40_000);
        world.policy = { ...world.policy, budget: { limit: 1, perMs: 3_600_000 } };
        world.status.returns = [{ at: new Date(world.now - 1_800_000).toISOString(), proven: true }];
        return world;
      },
    ],
    [
      "TargetNoBetter",
      () => {
        const world = proven().pin("v2").run(40_000);
        for (const known of world.cluster.revisions) known.baseline = [{ name: "error-ratio", value: 0.4, samples: 20 }];
        return world;
      },
    ],
    ["RevokedNoTarget", () => proven().version("v1", { revoked: true })],
  ])("a new pin mends what has nowhere to return to: %s", (reason, begin) => {
    const world = begin();
    world.measure = (_check, version) => (version === "v3" ? good : bad);
    world.run(60_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason });
    const moved = world.traffic.length;
    world.pin("v3").run(60_000);
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v3", standing: "Proven" } });
    expect(world.condition("Ready")?.status).toBe("True");
    // At once, and by nothing else.
    expect(world.traffic.slice(moved).map((one) => one.version)).toEqual(["v3"]);
  });

  test("paused stops automatic rollbacks and says what it would do; a person's rollback goes on", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.deployment.spec = { ...world.deployment.spec, paused: true };
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.run(30_000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "Paused" });
    expect(world.condition("Ready")?.message).toContain("would roll back");
    world.request("rollbackTo", "v1").run(20_000);
    expect(world.status.active?.version).toBe("v1");
  });
});

describe("sick data is not a sick model", () => {
  test.each(["Empty", "NotFinite", "TooManySeries", "Stale", "Future", "Error"] as const)(
    "an outage of a source (%s) rolls nothing back, proves nothing, and says so within two intervals",
    (kind) => {
      const world = proven();
      world.measure = () => ({ kind, message: "dark" });
      world.run(2500);
      expect(world.condition("MetricsAvailable")?.status).toBe("False");
      world.run(600_000);
      expect(world.status.active?.version).toBe("v1");
      world.pin("v2").run(120_000);
      expect(world.status.history).toHaveLength(1);
      expect(world.status.active?.standing === "Unproven" || world.status.candidate?.version === "v2").toBe(true);
      world.measure = () => good;
      world.run(60_000);
      expect(world.story().at(-1)).toBe("2 Rollout v2 Proven");
      expect(world.condition("MetricsAvailable")?.status).toBe("True");
    },
  );
});
