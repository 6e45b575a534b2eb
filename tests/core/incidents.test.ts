// What a review found, each as the story in which it happened, so that it does not happen again.

import { describe, expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import { faultOf } from "../../src/core/faults.ts";
import { check, policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const never = () => Number.POSITIVE_INFINITY;

function child(world: World, revision: number) {
  const found = world.children.get(revision);
  if (!found) throw new Error(`r${revision} has no child`);
  return found;
}

describe("revocation", () => {
  test("a candidate that is revoked while it starts gets no traffic", () => {
    const world = proven();
    world.startMs = () => 5000;
    world.pin("v2").run(2000);
    world.version("v2", { revoked: true }).run(20_000);
    expect(world.traffic).toHaveLength(1);
    expect(world.story().at(-1)).toBe("2 Rollout v2 Superseded");
  });

  test("content that was revoked under another name is not rolled out, and traffic does not swing", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.version("v1", { revoked: true });
    world.versions.v1b = { digest: "sha256:v1" };
    world.pin("v1b").run(300_000);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2"]);
    expect(world.condition("Stalled")?.reason).toBe("VersionRevoked");
  });

  test("a version that serves content first seen under another name leaves when it is revoked", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.versions.v1b = { digest: "sha256:v1" };
    world.pin("v1b").run(40_000);
    expect(world.status.active?.version).toBe("v1b");
    world.version("v1b", { revoked: true, digest: "sha256:v1" }).run(30_000);
    expect(world.status.active?.version).toBe("v2");
  });

  test("a target that is revoked during its return is passed over", () => {
    const world = proven();
    world.pin("v2").run(40_000).pin("v3").run(40_000);
    world.measure = (_check, version) => (version === "v3" ? bad : version === "v2" ? { kind: "Error", message: "x" } : good);
    world.run(6000);
    expect(world.status.rollback?.to?.version).toBe("v2");
    world.version("v2", { revoked: true }).run(60_000);
    expect(world.status.active?.version).toBe("v1");
  });
});

describe("nothing is written again and again", () => {
  test("two stalls at once do not take turns", () => {
    const world = new World().version("v1").run(20_000);
    world.version("v1", { revoked: true });
    world.measure = () => bad;
    world.run(20_000);
    const { writes } = world;
    const told = world.events.length;
    world.run(20_000);
    expect([world.writes, world.events.length]).toEqual([writes, told]);
  });

  test.each(["Observe", "Enforce"] as const)(
    "a noisy breach that is held (%s, no target) is not written with each sample",
    (mode) => {
      const world = new World().version("v1");
      world.policy = policy({ mode });
      world.run(20_000);
      let sample = 0;
      world.measure = () => ({ kind: "Value", value: 0.5 + (sample++ % 7) / 100 });
      world.run(20_000);
      const { writes } = world;
      world.run(20_000);
      expect(world.writes).toBe(writes);
    },
  );

  test("a walk that found no target does not begin again by itself", () => {
    const world = proven();
    world.pin("v2").run(6000);
    Object.assign(child(world, 1), { replicas: 0, readyAt: Number.POSITIVE_INFINITY });
    world.startMs = never;
    world.measure = only("v2");
    world.run(600_000);
    expect(world.status.sequence).toBe(3);
    expect(world.condition("Stalled")?.reason).toBe("ReturnFailed");
  });

  test("a revoked version whose targets do not start is tried again with back-off: each try is a transition", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    Object.assign(child(world, 1), { replicas: 0, readyAt: Number.POSITIVE_INFINITY });
    world.startMs = never;
    world.version("v2", { revoked: true }).run(3_600_000);
    const tries = (world.status.history ?? [])
      .filter((entry) => entry.action === "Return")
      .map(({ startedAt }) => Date.parse(startedAt));
    const gaps = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
    expect(gaps.length).toBeGreaterThanOrEqual(4);
    expect(gaps).toEqual([...gaps].sort((a, b) => a - b));
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(15 * 60_000);
    // It leaves as soon as it can.
    world.startMs = () => 2000;
    world.run(20 * 60_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("150 rejected versions leave a status that the API takes, below 32 KiB", () => {
    const world = proven();
    world.breaks = (version) =>
      version.startsWith("b")
        ? [
            {
              name: "rollguard-fetch",
              init: true,
              restarts: 1,
              terminated: { reason: "Error", exitCode: 65, message: "x".repeat(400) },
            },
          ]
        : undefined;
    for (let i = 0; i < 150; i++) world.version(`b${i}`).pin(`b${i}`).run(1500);
    expect(JSON.stringify(world.status).length).toBeLessThan(32 * 1024);
    expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
    expect(world.status.quarantine?.at(-1)?.version).toBe("b149");
  });
});

describe("each transition is its own", () => {
  test("a proof closes its own rollout and no other", () => {
    const world = proven();
    world.pin("v2").run(6000);
    world.startMs = never;
    world.pin("v3").run(30_000);
    expect(world.story().join()).not.toContain("v3 Proven");
    expect(world.status.candidate?.version).toBe("v3");
  });

  test("promoting a candidate does not prove the one that bakes", () => {
    const world = proven();
    world.pin("v2").run(6000);
    world.startMs = () => 60_000;
    world.pin("v3").run(1000);
    world.request("promote", "r3").run(2000);
    expect(world.revisions.find((known) => known.version === "v2")?.provenAt).toBeUndefined();
  });

  test("a person's rollback is credited to who asked for it, with the reason that was given for it", () => {
    const world = proven();
    world.changeCause = "october data";
    world.pin("v2").run(40_000);
    world.request("rollbackTo", "previous").run(30_000);
    expect(world.status.history?.at(-1)).toMatchObject({ trigger: "Person", initiator: { name: "on-call" } });
    expect(world.status.history?.at(-1)?.message).not.toContain("october");
  });

  test("a stall of a candidate ends with the candidate", () => {
    const world = proven();
    world.startMs = never;
    world.pin("v2").run(65_000).pin("v9").run(2000);
    world.pin("v1").run(60_000);
    expect(world.status.phase).toBe("Guarding");
  });

  test("a quarantined revision is never proven", () => {
    const world = proven();
    world.pin("v2").run(6000);
    child(world, 1).readyAt = Number.POSITIVE_INFINITY;
    world.startMs = never;
    world.measure = only("v2");
    world.run(20_000);
    world.measure = () => good;
    world.run(120_000);
    expect(world.status.active?.standing).toBe("Unproven");
  });
});

describe("the guard stays armed", () => {
  test("after a return that ended Unverified, a later breach on a check that was healthy since is returned from", () => {
    const world = proven();
    world.pin("v2").run(40_000).pin("v3").run(40_000);
    world.measure = (_check, version) => (version === "v3" ? bad : version === "v2" ? { kind: "Error", message: "x" } : good);
    world.run(150_000);
    expect(world.story().at(-1)).toContain("Unverified");
    world.measure = () => good;
    world.run(600_000);
    world.measure = only("v2");
    world.run(30_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("a common cause of one check does not silence the others", () => {
    const world = new World().version("v1").version("v2").version("v3");
    world.policy = policy({ checks: [...policy().checks, check({ name: "latency", fingerprint: "latency" })], cooldownMs: 1000 });
    world.run(20_000).pin("v2").run(40_000).pin("v3").run(40_000);
    world.measure = (one) => (one.name === "error-ratio" ? bad : good);
    world.run(80_000);
    expect(world.condition("Stalled")?.reason).toBe("CommonCause");
    expect(world.status.active?.version).toBe("v2");
    world.measure = () => bad;
    world.run(120_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("a cold target is not judged before its traffic has arrived", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    Object.assign(child(world, 1), { replicas: 0, readyAt: world.now + 30_000 });
    world.startMs = () => 30_000;
    child(world, 2).broken = [{ name: "server", init: false, restarts: 5 }];
    const begun = world.now;
    world.measure = (_check, version) => (version === "v2" || world.now < begun + 30_000 ? bad : good);
    world.run(100_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("what breached while it baked bakes anew: half a bake proves nothing", () => {
    const world = new World().version("v1");
    world.policy = policy({ mode: "Observe" });
    world.run(8500);
    world.measure = () => bad;
    world.run(4000);
    world.measure = () => good;
    world.run(6000);
    expect(world.story()).toEqual([]);
    world.run(30_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven"]);
  });

  test("the progress deadline counts only while pods are being waited for", () => {
    const world = proven();
    world.startMs = () => 5000;
    world.pin("v2").run(2000);
    world.deployment.spec = { ...world.deployment.spec, paused: true };
    world.run(300_000);
    child(world, 2).readyAt = world.now + 3000;
    world.run(2000);
    expect(world.status.stall).toBeUndefined();
    expect(world.status.quarantine ?? []).toEqual([]);
  });
});

describe("faults", () => {
  const pod = { name: "p", ready: false, terminating: false, accountable: true, createdAt: "2020-01-01T00:00:00Z" };
  test("restarts of a pod that is ready are its past", () => {
    expect(faultOf([{ ...pod, ready: true, containers: [{ name: "s", init: false, restarts: 30 }] }], 3)).toBeUndefined();
  });

  test("escapes in a termination message do not come to life", () => {
    const message = '{"reason":"X","message":"a\\n\\u001b[31mb"}';
    const container = {
      name: "rollguard-fetch",
      init: true,
      restarts: 1,
      terminated: { reason: "Error", exitCode: 65, message },
    };
    expect(faultOf([{ ...pod, containers: [container] }], 3)?.message).not.toMatch(/[\n\u001b]/);
  });

  test("a Deployment that the API server refuses is InvalidTemplate, with back-off, and quarantines nothing", () => {
    const world = proven();
    world.startMs = never;
    world.refused = { revision: 2, attempt: 1, message: "spec.template: Invalid value" };
    world.pin("v2").run(3000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "InvalidTemplate" });
    expect(world.status.quarantine ?? []).toEqual([]);
    world.refused = undefined;
    world.startMs = () => 1000;
    world.run(60_000);
    expect(world.status.active?.version).toBe("v2");
  });
});

describe("walking back within maxDepth", () => {
  const walk = (maxDepth: number) => {
    const world = new World().version("v1").version("v2").version("v3");
    world.policy = policy({ maxDepth, checks: [...policy().checks, check({ name: "latency", fingerprint: "latency" })] });
    world.run(20_000).pin("v2").run(40_000).pin("v3").run(40_000);
    expect(world.status.lastHealthy?.version).toBe("v3");
    // v3 fails on errors; v2, which was healthy when it was proven, now fails on something else.
    world.measure = (one, version) =>
      (version === "v3" && one.name === "error-ratio") || (version === "v2" && one.name === "latency") ? bad : good;
    world.run(120_000);
    return world;
  };

  test("maxDepth 1: the walk ends at the first target, and a person is told", () => {
    const world = walk(1);
    expect(world.story().at(-1)).toBe("4 Return v2 Failed");
    expect(world.condition("Stalled")?.reason).toBe("TargetBreached");
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v3", "v2"]);
  });

  test("maxDepth 2: the next proven one is tried, in the same return and the same record", () => {
    const world = walk(2);
    expect(world.story().at(-1)).toBe("4 Return v1 Verified");
    expect(world.status.rollback).toMatchObject({ depth: 2, passedOver: [2] });
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v3", "v2", "v1"]);
    // v2 was passed over for this incident, and is not quarantined: it has no fault of its own.
    expect((world.status.quarantine ?? []).map((entry) => entry.version)).toEqual(["v3"]);
  });
});

describe("scaled to nothing", () => {
  test("a return at 0 replicas waits, and traffic never goes back to the quarantined revision", () => {
    const world = proven();
    world.pin("v2").run(40_000);
    world.deployment.spec = { ...world.deployment.spec, replicas: 0 };
    world.run(20_000);
    world.request("rollbackTo", "v1").run(125_000);
    world.deployment.spec = { ...world.deployment.spec, replicas: 2 };
    world.run(60_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("a candidate without pods takes no traffic", () => {
    const world = proven();
    world.deployment.spec = { ...world.deployment.spec, replicas: 0 };
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(10_000);
    expect(world.traffic).toHaveLength(1);
    world.deployment.spec = { ...world.deployment.spec, replicas: 2 };
    world.run(300_000);
    expect(world.status.active?.version).toBe("v1");
  });
});

describe("nothing is concluded from emptiness", () => {
  test.each(["a restart", "a dark source"])("a stalled breach stays Ready=False after %s", (what) => {
    const world = new World().version("v1").run(20_000);
    world.measure = () => bad;
    world.run(20_000);
    expect(world.condition("Ready")?.status).toBe("False");
    if (what === "a restart") world.windows.clear();
    else world.measure = () => ({ kind: "Error", message: "x" });
    world.pass();
    if (what !== "a restart") world.run(10_000);
    expect(world.condition("Ready")?.status).toBe("False");
  });
});

describe("candidate and target", () => {
  const cold = {
    strategy: { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1s" } },
  } as never;

  test("pinning back to the target of a return opens no rollout that never ends", () => {
    const world = proven(cold).pin("v2").run(60_000);
    world.startMs = () => 10_000;
    world.measure = only("v2");
    world.run(6000);
    world.pin("v1").run(60_000);
    expect(world.status.rollout).toBeUndefined();
    expect(world.status.phase).toBe("Guarding");
    expect((world.status.history ?? []).map((entry) => entry.sequence)).toEqual([1, 2, 3]);
  });

  test("a candidate that becomes the target of a return ends its rollout as superseded", () => {
    const world = proven(cold).pin("v2").run(60_000);
    world.startMs = () => 10_000;
    world.pin("v1").run(1000);
    world.measure = only("v2");
    world.run(60_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.status.rollout).toBeUndefined();
    const sequences = (world.status.history ?? []).map((entry) => entry.sequence).sort();
    expect(sequences).toEqual(sequences.map((_, index) => index + 1));
  });

  test("content that is made again while another stall stands still waits for a person", () => {
    const world = new World().version("v1").run(20_000);
    world.measure = () => bad;
    world.run(20_000);
    world.versions.v1 = { digest: "sha256:other" };
    world.run(10_000);
    expect(world.traffic).toHaveLength(1);
  });

  test("an old return does not make a later rollout's breach a common cause", () => {
    const world = proven().pin("v2").run(40_000);
    world.measure = (_check, version) => (version === "v2" ? bad : version === "v1" ? { kind: "Error", message: "x" } : good);
    world.run(150_000);
    expect(world.story().at(-1)).toContain("Unverified");
    world.pin("v3").run(5000).request("promote", "r3").run(60_000);
    expect(world.status.lastHealthy?.version).toBe("v3");
    world.measure = only("v1");
    world.pin("v1").run(60_000);
    expect(world.status.active?.version).toBe("v3");
  });
});

test("a baseline of extrapolated counts is whole, as the API wants it", () => {
  const world = new World().version("v1");
  world.policy = policy({
    checks: [check({ kind: "Ratio", query: undefined, numerator: "n", denominator: "d", minSamples: 10, fingerprint: "r" })],
  });
  world.measure = () => ({ kind: "Value", value: 0.01, numerator: 0.5, denominator: 50.37 });
  world.run(30_000);
  expect(world.status.phase).toBe("Guarding");
  expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
});
