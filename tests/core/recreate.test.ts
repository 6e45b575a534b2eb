// Recreate on decisions alone: one revision at a time, the old one gone first, and back by itself. Each test bears its promise.

import { describe, expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import { policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const never = () => Number.POSITIVE_INFINITY;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const crash = [{ name: "server", init: false, restarts: 3, terminated: { reason: "Error", exitCode: 1, message: "" } }] as never;

const strategy = { type: "Recreate", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1h" } } as const;

/** v1 is proven under Recreate; no two revisions ever have pods at once from here on. */
function recreate(spec: object = {}): World {
  const world = proven({ strategy, ...spec } as never);
  world.endMs = () => 1500;
  return world;
}

/** Which revisions had pods, ending ones included, one after the other. */
function watchPods(world: World): number[][] {
  const seen: number[][] = [];
  const pass = world.pass.bind(world);
  world.pass = () => {
    const changed = pass();
    const with_ = [...world.children.keys()].filter((revision) => world.cluster.pods(revision, world.now, world).length > 0);
    if (JSON.stringify(with_) !== JSON.stringify(seen.at(-1))) seen.push(with_);
    return changed;
  };
  return seen;
}

describe("Recreate", () => {
  test("the old one is scaled down and gone first; then the candidate is brought up, takes the traffic and is proven", () => {
    const world = recreate();
    const pods = watchPods(world);
    world.pin("v2").run(40_000);
    expect(pods).toEqual([[1], [2]]);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Proven"]);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2"]);
    expect(world.status.phase).toBe("Guarding");
    expect(world.children.get(1)?.replicas).toBe(0);
  });

  test("the candidate waits for pods of the old one that take long to end, and its own deadline does not run meanwhile", () => {
    const world = recreate();
    world.endMs = () => 50_000;
    world.startMs = () => 30_000;
    world.pin("v2").run(45_000);
    expect(world.children.get(2)?.replicas).toBe(0);
    world.run(60_000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.status.quarantine ?? []).toEqual([]);
  });

  test("old pods that never end stop it after the progress deadline: the old one comes back, and a person is told which they are", () => {
    const world = recreate();
    world.endMs = never;
    world.pin("v2").run(62_000);
    expect(world.status.rollback).toMatchObject({ trigger: "Fault", to: { version: "v1" }, strategy: "Recreate" });
    world.run(30_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "ProgressDeadlineExceeded" });
    expect(world.condition("Stalled")?.message).toContain("r1-end-0");
    expect(world.status.active?.version).toBe("v1");
    expect(world.condition("Available")?.status).toBe("True");
  });

  test("pods on a lost node are not waited for", () => {
    const world = recreate();
    world.endMs = never;
    const pods = world.cluster.pods.bind(world.cluster);
    world.cluster.pods = (...args) => pods(...args).map((pod) => (pod.terminating ? { ...pod, lost: true } : pod));
    world.pin("v2").run(40_000);
    expect(world.status.active?.version).toBe("v2");
  });

  test("meanwhile Available is False, and says for what the old one made room", () => {
    const world = recreate();
    world.startMs = () => 20_000;
    world.pin("v2").run(10_000);
    expect(world.status.phase).toBe("Progressing");
    expect(world.condition("Available")).toMatchObject({ status: "False", reason: "NotServing" });
    expect(world.condition("Available")?.message).toContain("r1 made room for r2");
    expect(world.condition("Ready")?.status).toBe("False");
  });

  test("the first revision needs no room made, and what can't start it is tried again with back-off: nothing is lost by that", () => {
    const world = new World({ strategy } as never).version("v1");
    world.startMs = never;
    world.run(70_000);
    expect(world.status.rollout?.retryAt).toBeDefined();
    world.startMs = () => 2000;
    world.run(90_000);
    expect(world.status.phase).toBe("Guarding");
  });

  test("a dry run of the candidate comes before the old one is scaled down: a refused one is InvalidTemplate, nothing is scaled down or tried again", () => {
    const world = recreate();
    world.refused = { revision: 2, attempt: 1, message: "spec.template: Invalid value" };
    world.pin("v2").run(600_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "InvalidTemplate" });
    expect(world.children.get(1)?.replicas).toBe(2);
    expect(world.status.active?.downSince).toBeUndefined();
    expect(world.status.rollout?.attempt).toBe(1);
    expect(world.status.quarantine ?? []).toEqual([]);
    expect(world.condition("Available")?.status).toBe("True");
    world.refused = undefined;
    world.run(60_000);
    expect(world.status.active?.version).toBe("v1");
    world.request("retry", "v2").run(40_000);
    expect(world.status.active?.version).toBe("v2");
  });
});

describe("Recreate: the old one comes back by itself", () => {
  test("a fault of the candidate's own: quarantined, and the old one is brought back, verified and recorded", () => {
    const world = recreate();
    const pods = watchPods(world);
    world.breaks = (version) => (version === "v2" ? crash : undefined);
    world.pin("v2").run(60_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Rejected", "3 Return v1 Verified"]);
    expect(world.status.quarantine?.[0]).toMatchObject({ version: "v2", reason: "CrashLoop" });
    expect(world.status.history?.at(-1)).toMatchObject({ trigger: "Fault", from: { version: "v2" }, to: { version: "v1" } });
    expect(world.status.phase).toBe("RolledBack");
    expect(world.condition("Available")?.status).toBe("True");
    expect(world.traffic).toHaveLength(1);
    expect(pods).toEqual([[1], [2], [1]]);
  });

  test("a fault of the cluster's: Stalled with the pods' reason, nothing quarantined, the old one back, and no second try by itself", () => {
    const world = recreate();
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(3_600_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "ProgressDeadlineExceeded" });
    expect(world.condition("Stalled")?.message).toContain("not tried again by itself");
    expect(world.status.quarantine ?? []).toEqual([]);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "3 Return v1 Verified"]);
    expect(world.status.rollout?.attempt).toBe(1);
    expect(world.condition("Available")?.status).toBe("True");
    const { writes } = world;
    world.run(600_000);
    expect(world.writes).toBe(writes);
  });

  test.each(["a retry", "a retry of the revision", "a new pin"])("after a fault of the cluster's, %s tries again", (what) => {
    const world = recreate();
    world.startMs = (version) => (version === "v1" ? 2000 : Number.POSITIVE_INFINITY);
    world.pin("v2").run(120_000);
    world.startMs = () => 2000;
    if (what === "a new pin") world.pin("v3");
    else world.request("retry", what === "a retry" ? "v2" : "r2");
    world.run(60_000);
    expect(world.status.active?.version).toBe(what === "a new pin" ? "v3" : "v2");
    expect(world.status.phase).toBe("Guarding");
    expect(world.status.stall).toBeUndefined();
  });

  test("the pin goes back to the old one: it is brought up again, without a fault of anyone", () => {
    const world = recreate();
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(10_000).pin("v1").run(40_000);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Cancelled", "3 Return v1 Verified"]);
    expect(world.status.history?.at(-1)?.trigger).toBe("Pin");
    expect(world.status.phase).toBe("Guarding");
    expect(world.status.quarantine ?? []).toEqual([]);
  });

  test("a pin that names nothing usable while the old one is down brings it back", () => {
    const world = recreate();
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(10_000).pin("v9").run(40_000);
    expect(world.condition("Available")?.status).toBe("True");
    expect(world.status.active?.version).toBe("v1");
  });

  test("a newer pin while the old one is down takes the room over: the old one is not started in between", () => {
    const world = recreate();
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(10_000);
    const pods = watchPods(world);
    world.pin("v3").run(40_000);
    expect(pods.flat()).not.toContain(1);
    expect(world.status.active?.version).toBe("v3");
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Superseded", "3 Rollout v3 Proven"]);
  });

  test("an old one that was revoked meanwhile does not come back: the one before it does", () => {
    const world = recreate();
    world.pin("v2").run(40_000);
    world.startMs = (version) => (version === "v3" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v3").run(10_000);
    world.version("v2", { revoked: true }).run(120_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.story().at(-1)).toBe("4 Return v1 Verified");
  });

  test("an old one that does not start again is passed over for the one before it", () => {
    const world = recreate();
    world.pin("v2").run(40_000);
    world.startMs = (version) => (version === "v1" ? 2000 : Number.POSITIVE_INFINITY);
    world.breaks = (version) => (version === "v3" ? crash : undefined);
    world.pin("v3").run(120_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.status.rollback).toMatchObject({ outcome: "Verified", passedOver: [2] });
  });

  test("where none starts, the one that served goes on being started, and the quarantined one never gets the traffic", () => {
    const world = recreate();
    world.startMs = never;
    world.breaks = (version) => (version === "v2" ? crash : undefined);
    world.pin("v2").run(200_000);
    expect(world.condition("Stalled")?.reason).toBe("ReturnFailed");
    expect(world.children.get(1)?.replicas).toBe(2);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1"]);
  });

  test("a candidate that is ready and let through by nothing is an outage too: the deadline brings the old one back", () => {
    const world = recreate({ checks: [] });
    world.measure = (_check, version) => (version === "v2" ? { kind: "Error", message: "refused" } : good);
    world.pin("v2").run(200_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.condition("Stalled")?.reason).toBe("ProgressDeadlineExceeded");
    expect(world.status.quarantine ?? []).toEqual([]);
  });

  test("what is decided survives a new operator at any step: everything follows from the status alone", () => {
    const plain = recreate();
    plain.breaks = (version) => (version === "v2" ? crash : undefined);
    plain.pin("v2").run(60_000);
    for (let killed = 500; killed <= 12_000; killed += 500) {
      const world = recreate();
      world.breaks = (version) => (version === "v2" ? crash : undefined);
      world.pin("v2").run(killed);
      // What only memory knows is gone: samples, the dry run.
      world.windows.clear();
      world.tried = undefined;
      expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
      world.run(80_000);
      expect(world.story()).toEqual(plain.story());
      expect(world.condition("Available")?.status).toBe("True");
    }
  });
});

describe("Recreate: what holds it before the old one goes", () => {
  test("a source in error: asked of the active one, and nothing is scaled down", () => {
    const world = recreate();
    world.measure = () => ({ kind: "Error", message: "refused" });
    world.run(5000);
    world.pin("v2").run(60_000);
    expect(world.status.active?.downSince).toBeUndefined();
    expect(world.condition("Ready")).toMatchObject({ reason: "SourceUnavailable" });
    expect(world.condition("Available")?.status).toBe("True");
  });

  test("a pause before it began holds it; one after it began does not make the outage longer", () => {
    const world = recreate();
    world.pin("v2").run(500);
    world.deployment.spec = { ...world.deployment.spec, paused: true };
    world.run(40_000);
    expect(world.status.active?.version).toBe("v2");
    const held = recreate();
    held.request("pause", "").run(1000);
    held.pin("v2").run(60_000);
    expect(held.status.active?.version).toBe("v1");
    expect(held.condition("Available")?.status).toBe("True");
  });

  test("a deployment at 0 replicas: nothing is proven, returned or brought up until there are to be pods", () => {
    const world = recreate();
    world.deployment.spec = { ...world.deployment.spec, replicas: 0 };
    world.run(10_000);
    world.pin("v2").run(600_000);
    expect(world.status.stall).toBeUndefined();
    expect(world.story()).toHaveLength(1);
    world.deployment.spec = { ...world.deployment.spec, replicas: 2 };
    world.run(60_000);
    expect(world.status.active?.version).toBe("v2");
  });
});

describe("Recreate: returning goes the same way", () => {
  test("the breached one is scaled down, its pods are awaited gone, and only then the clock of the target's start runs", () => {
    const world = recreate();
    world.pin("v2").run(40_000);
    const pods = watchPods(world);
    world.endMs = () => 10_000;
    world.measure = only("v2");
    world.run(5000);
    expect(world.status.phase).toBe("RollingBack");
    expect(world.status.rollback?.targetStartedAt).toBeUndefined();
    expect(world.status.rollback).toMatchObject({ warm: false, strategy: "Recreate" });
    expect(world.children.get(2)?.replicas).toBe(0);
    expect(world.children.get(1)?.replicas).toBe(0);
    expect(world.selects).toBe(2);
    world.run(40_000);
    expect(pods).toEqual([[2], [1]]);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
    expect(world.status.history?.at(-1)?.warm).toBe(false);
    expect(world.status.phase).toBe("RolledBack");
  });

  test("no ready pod of the active one is no reason to move the traffic to nothing", () => {
    const world = recreate();
    world.pin("v2").run(40_000);
    world.startMs = () => 10_000;
    world.measure = only("v2");
    world.run(8000);
    expect(world.status.rollback?.restoredAt).toBeUndefined();
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2"]);
    world.run(30_000);
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v1"]);
  });

  test("a pin during a return is brought up after the return", () => {
    const world = recreate();
    world.pin("v2").run(40_000);
    world.measure = only("v2");
    world.startMs = () => 5000;
    world.run(5000);
    expect(world.status.phase).toBe("RollingBack");
    const pods = watchPods(world);
    world.pin("v3").run(60_000);
    expect(pods.filter((one) => one.length > 1)).toEqual([]);
    expect(world.story()).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Proven", "3 Return v1 Verified", "4 Rollout v3 Proven"]);
  });

  test("a target that does not start is passed over; where none does, the breached one is started again", () => {
    const world = recreate();
    world.pin("v2").run(40_000);
    world.measure = only("v2");
    world.startMs = (version) => (version === "v1" ? Number.POSITIVE_INFINITY : 2000);
    world.run(120_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Failed");
    expect(world.condition("Stalled")?.reason).toBe("ReturnFailed");
    expect(world.children.get(2)?.replicas).toBe(2);
    expect(world.condition("Available")?.status).toBe("True");
  });

  test("a person's rollback and a revocation go the same way", () => {
    const world = recreate();
    world.pin("v2").run(40_000);
    const pods = watchPods(world);
    world.request("rollbackTo", "v1").run(30_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
    world.request("retry", "v2").run(40_000);
    world.version("v2", { revoked: true }).run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(pods.filter((one) => one.length > 1)).toEqual([]);
  });

  test("RollbackReady is Cold at all times: no standby is kept", () => {
    const world = recreate();
    world.pin("v2").run(8000);
    expect(world.status.active?.baking).toBe(true);
    expect(world.condition("RollbackReady")).toMatchObject({ status: "True", reason: "Cold" });
    expect(world.children.get(1)?.replicas).toBe(0);
  });

  test("while nothing was ever proven, the first one is the target here as well", () => {
    const world = new World({ strategy } as never).version("v1").version("v2");
    world.policy = policy({ bakeMs: 600_000 });
    world.run(10_000).pin("v2").run(8000);
    world.measure = only("v2");
    world.run(20_000);
    expect(world.status.active?.version).toBe("v1");
  });
});

describe("another strategy in the middle", () => {
  const to = (world: World, type: string) => {
    world.deployment.spec = {
      ...world.deployment.spec,
      strategy: { ...world.deployment.spec.strategy, type } as never,
    };
  };

  test("a rollout keeps the strategy that it began with: Recreate stays one at a time", () => {
    const world = recreate();
    world.startMs = () => 5000;
    world.pin("v2").run(2000);
    const pods = watchPods(world);
    to(world, "BlueGreen");
    world.run(8000);
    expect(pods.filter((one) => one.length > 1)).toEqual([]);
    expect(world.status.active?.version).toBe("v2");
  });

  test("a rollout keeps the strategy that it began with: BlueGreen scales nothing down, and its standby stays warm until the proof", () => {
    const world = proven();
    world.startMs = () => 5000;
    world.pin("v2").run(2000);
    to(world, "Recreate");
    world.run(6000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.status.active?.baking).toBe(true);
    expect(world.condition("RollbackReady")?.reason).toBe("Warm");
    world.run(60_000);
    expect(world.status.phase).toBe("Guarding");
    expect(world.children.get(1)?.replicas).toBe(0);
    expect(world.condition("RollbackReady")?.reason).toBe("Cold");
  });

  test("what takes over while the old one is down goes on one at a time", () => {
    const world = recreate();
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    world.pin("v2").run(10_000);
    to(world, "BlueGreen");
    const pods = watchPods(world);
    world.pin("v3").run(8000);
    expect(pods.filter((one) => one.length > 1)).toEqual([]);
    expect(world.status.active?.version).toBe("v3");
  });

  test("a return keeps the strategy of what it takes back", () => {
    const world = recreate();
    world.pin("v2").run(8000);
    to(world, "BlueGreen");
    const pods = watchPods(world);
    world.measure = only("v2");
    world.run(4000);
    expect(world.status.rollback?.strategy).toBe("Recreate");
    world.run(30_000);
    expect(pods.filter((one) => one.length > 1)).toEqual([]);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });
});
