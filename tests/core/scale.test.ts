// Replicas that others change (a person, an HPA, KEDA) while something is under way, and a scale to nothing and back.

import { describe, expect, test } from "vitest";
import { policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);

function scale(world: World, replicas: number): World {
  world.deployment.spec = { ...world.deployment.spec, replicas };
  return world;
}
const sizes = (world: World) => Object.fromEntries([...world.children].map(([revision, { replicas }]) => [revision, replicas]));
const standby = (replicas: number | string, life = "1h") =>
  ({ strategy: { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas, for: life } } }) as never;

describe("what receives traffic follows the replicas", () => {
  test.each([
    ["up while the candidate starts", 5, 5],
    ["down while the candidate starts", 1, 1],
  ])("%s: both sizes follow, and the traffic moves at the full size", (_what, replicas, size) => {
    const world = proven();
    world.startMs = () => 5000;
    world.pin("v2").run(2000);
    scale(world, replicas).run(1000);
    expect(sizes(world)).toEqual({ 1: size, 2: size });
    expect(world.traffic).toHaveLength(1);
    world.run(40_000);
    expect(world.story().at(-1)).toBe("2 Rollout v2 Proven");
  });

  test.each(["while it bakes", "while it is guarded", "while it is verified"])("%s: no return, no new bake", (when) => {
    const world = proven().pin("v2");
    world.run(6000);
    if (when === "while it is guarded") world.run(40_000);
    if (when === "while it is verified") {
      world.run(40_000);
      world.measure = only("v2");
      world.run(6000);
      expect(world.status.phase).toBe("Verifying");
    }
    const returns = (world.status.history ?? []).filter((entry) => entry.action === "Return").length;
    scale(world, 6).run(1000);
    scale(world, 3).run(60_000);
    expect(sizes(world)[world.status.active?.revision ?? 0]).toBe(3);
    const now = (world.status.history ?? []).filter((entry) => entry.action === "Return").length;
    expect(now - returns).toBe(when === "while it is verified" ? 1 : 0);
    expect(["Guarding", "RolledBack"]).toContain(world.status.phase);
  });

  test("during a cold return the target comes up at the new size", () => {
    const world = proven(standby("100%", "1s")).pin("v2").run(60_000);
    world.startMs = () => 10_000;
    world.measure = only("v2");
    world.run(8000);
    expect(world.status.phase).toBe("RollingBack");
    scale(world, 4).run(60_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
    expect(sizes(world)[1]).toBe(4);
  });
});

describe("the pods that lost the traffic stay for `drain` after the EndpointSlices hold only ready pods of the new one", () => {
  /** One of the target's pods never gets ready, for want of the room that the others take, say. */
  function withoutOne(world: World): void {
    const pods = world.cluster.pods.bind(world.cluster);
    world.cluster.pods = (...args) => pods(...args).map((pod) => (pod.name === "r1-4" ? { ...pod, ready: false } : pod));
  }

  test("they go when the drain is over, and not before", () => {
    const world = proven().pin("v2").run(40_000);
    world.measure = only("v2");
    while (world.status.rollback?.restoredAt === undefined) world.run(500);
    const since = Date.parse(world.status.rollback.restoredAt);
    while (world.children.has(2)) world.run(500);
    expect(world.now - since).toBeGreaterThanOrEqual(5000);
    expect(world.now - since).toBeLessThanOrEqual(6000);
  });

  test("they go although a pod of the new one never gets ready, and a condition says which it is and what waits for it", () => {
    const world = scale(proven(), 5).run(10_000).pin("v2").run(40_000) as World;
    withoutOne(world);
    world.run(5000);
    world.measure = only("v2");
    world.run(20_000);
    // 4 of 5: warm enough for the traffic, and not for the judging.
    expect(world.status.active).toMatchObject({ version: "v1", arrivedAt: expect.any(String) });
    expect(world.status.active?.settledAt).toBeUndefined();
    expect(world.children.has(2)).toBe(false);
    const said = world.condition("Available");
    expect(said).toMatchObject({ status: "True", message: expect.stringContaining("4 of 5 are ready") });
    expect(said?.message).toContain("not ready: r1-4");
    const { writes } = world;
    world.run(5000);
    expect(world.writes - writes).toBeLessThanOrEqual(1);
  });

  test("where all are ready nothing is said of that, in no moment of a rollout or a return", () => {
    const world = proven();
    const said = new Set<string>();
    world.onDecision = ({ status }) => said.add(status.conditions?.find((one) => one.type === "Available")?.message ?? "");
    world.pin("v2").run(40_000);
    world.measure = only("v2");
    world.run(40_000);
    expect([...said].sort()).toEqual(["r1 has ready pods", "r2 has ready pods"]);
  });
});

describe("the standby's size", () => {
  test.each([
    ["100%", 4, 4],
    ["50%", 4, 2],
    ["50%", 3, 2],
    ["1%", 4, 1],
    [1, 4, 1],
    [10, 4, 4],
    [0, 4, 0],
  ])("replicas %s of %i is %i pods after the next one was proven, and follows", (amount, replicas, size) => {
    const world = scale(proven(standby(amount)), replicas);
    world.pin("v2").run(8000);
    // Until its successor is proven it stays at full size: that is what a warm return is.
    expect(world.status.active?.baking).toBe(true);
    expect(sizes(world)[1]).toBe(replicas);
    world.run(40_000);
    expect(world.status.active?.standing).toBe("Proven");
    expect(sizes(world)[1]).toBe(size);
    scale(world, 2 * replicas).run(2000);
    expect(sizes(world)[1]).toBe(
      typeof amount === "number" ? Math.min(amount, 2 * replicas) : Math.ceil((2 * replicas * Number(amount.slice(0, -1))) / 100),
    );
  });

  test("after standby.for it is scaled to zero, and its return is cold: the record says so, with the times", () => {
    const world = proven(standby("100%", "30s")).pin("v2").run(25_000);
    expect(world.condition("RollbackReady")).toMatchObject({ status: "True", reason: "Warm" });
    expect(world.condition("RollbackReady")?.message).toContain("until");
    world.run(60_000);
    expect(sizes(world)[1]).toBe(0);
    expect(world.condition("RollbackReady")).toMatchObject({ status: "True", reason: "Cold" });
    world.startMs = () => 7000;
    world.measure = only("v2");
    world.run(60_000);
    const entry = world.status.history?.at(-1);
    expect(entry).toMatchObject({ outcome: "Verified", warm: false });
    const times = [entry?.detectedAt, entry?.decidedAt, entry?.restoredAt, entry?.verifiedAt].map((time) =>
      Date.parse(time ?? ""),
    );
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(7000);
    // What it cost is known for the next time.
    world.measure = () => good;
    world.pin("v3").run(120_000);
    expect(world.condition("RollbackReady")?.message).toMatch(/last cold return to it took \d+ s/);
  });

  test("a warm return says so as well, and takes no start of pods", () => {
    const world = proven().pin("v2").run(40_000);
    world.measure = only("v2");
    world.run(40_000);
    const entry = world.status.history?.at(-1);
    expect(entry?.warm).toBe(true);
    expect(Date.parse(entry?.restoredAt ?? "") - Date.parse(entry?.decidedAt ?? "")).toBeLessThanOrEqual(1000);
  });

  test("RollbackReady names what is missing: what was proven and can't be returned to", () => {
    const world = proven().pin("v2").run(40_000);
    world.version("v1", { revoked: true }).run(2000);
    expect(world.condition("RollbackReady")).toMatchObject({ status: "False", reason: "NoTarget" });
    expect(world.condition("RollbackReady")?.message).toContain("r1 was revoked");
  });
});

describe("a scale to zero and back (KEDA)", () => {
  const gatewayFails = (world: World) => {
    // What stands before the pods answers 503 while there are none, and while they start.
    world.measure = (_check, version) => {
      const revision = world.revisions.find((known) => known.version === version)?.revision ?? 0;
      const ready = world.cluster.pods(revision, world.now, world).filter((pod) => pod.ready).length;
      return ready < (world.deployment.spec.replicas ?? 1) || ready === 0 ? bad : good;
    };
    world.startMs = () => 8000;
  };

  test("guarding: no breach, no return while there are no pods and while they start; judged again after", () => {
    const world = proven().pin("v2").run(40_000);
    gatewayFails(world);
    scale(world, 0).run(600_000);
    expect(world.condition("Available")).toMatchObject({ status: "False", message: "scaled to 0" });
    const { writes } = world;
    world.run(600_000);
    expect(world.writes).toBe(writes);
    scale(world, 3).run(120_000);
    expect(world.status.phase).toBe("Guarding");
    expect(world.condition("Healthy")?.status).toBe("True");
    expect(world.story()).toHaveLength(2);
    world.measure = only("v2");
    world.run(30_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("baking: nothing is proven without pods, nor is anyone told that it starves; the bake begins anew", () => {
    const world = proven();
    world.pin("v2").run(6000);
    expect(world.status.active?.baking).toBe(true);
    // Stale samples look healthy.
    scale(world, 0).run(600_000);
    expect(world.status.active?.standing).toBe("Unproven");
    expect(world.events.join()).not.toContain("BakeStarved");
    scale(world, 2).run(3000);
    expect(world.status.active?.standing).toBe("Unproven");
    world.run(40_000);
    expect(world.status.active?.standing).toBe("Proven");
  });

  test("verifying: the return is not ended without pods, and verified after", () => {
    const world = proven().pin("v2").run(40_000);
    world.measure = only("v2");
    world.run(6000);
    expect(world.status.phase).toBe("Verifying");
    scale(world, 0).run(600_000);
    expect(world.status.rollback?.outcome).toBeUndefined();
    scale(world, 2).run(60_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("one that does not come back from zero is judged after the progress deadline: it was not meant to stay asleep", () => {
    const world = proven().pin("v2").run(40_000);
    scale(world, 0).run(10_000);
    world.startMs = (version) => (version === "v2" ? 2000 : 2000);
    world.ails = (version) => (version === "v2" ? { unready: 1 } : {});
    scale(world, 2).run(50_000);
    expect(world.status.active?.version).toBe("v2");
    world.run(60_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("a revision that was woken is not judged by what it measured before", () => {
    const world = proven().pin("v2").run(40_000);
    world.policy = policy({ cooldownMs: 1000 });
    world.measure = only("v2");
    world.run(1500);
    scale(world, 0).run(60_000);
    world.measure = () => good;
    scale(world, 2).run(60_000);
    expect(world.status.active?.version).toBe("v2");
  });

  test("a person's rollback while there are no pods goes ahead when there are", () => {
    const world = proven().pin("v2").run(40_000);
    scale(world, 0).run(10_000);
    world.request("rollbackTo", "v1").run(60_000);
    scale(world, 2).run(60_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });
});

describe("a PodDisruptionBudget", () => {
  test("covers the pods that receive traffic, and moves with it", () => {
    const world = proven({ podDisruptionBudget: { minAvailable: "50%" } } as never);
    expect(world.lastPlan?.budget).toEqual([1]);
    world.startMs = () => 5000;
    world.pin("v2").run(3000);
    expect(world.lastPlan?.budget).toEqual([1]);
    world.run(10_000);
    expect(world.lastPlan?.budget).toEqual([2]);
  });

  test("none where none is asked for, nor before anything serves", () => {
    expect(proven().lastPlan?.budget).toBeUndefined();
    const world = new World({ podDisruptionBudget: { maxUnavailable: 1 } } as never).version("v1");
    world.run(1000);
    expect(world.lastPlan?.budget).toBeUndefined();
  });
});
