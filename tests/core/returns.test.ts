// How traffic is taken back: to which revision, when it moves, from when on the target is judged, and how a walk ends.

import { describe, expect, test } from "vitest";
import { resolvePolicy } from "../../src/core/resolve.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import { check, policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const strategy = (standby: object) => ({ type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby }) as never;

/** v1 and v2 are proven, v2 serves. */
const two = (over: Parameters<typeof proven>[0] = {}) => proven(over).pin("v2").run(40_000) as World;

/** Goes on to the pass in which it begins to hold. */
function until(world: World, holds: () => unknown, limitMs = 300_000): World {
  for (let passed = 0; passed < limitMs; passed += 500) {
    if (holds()) return world;
    world.run(500);
  }
  throw new Error(`never: ${world.status.phase}: ${world.status.message}`);
}

const versions = (world: World) => world.traffic.map((one) => one.version);

describe("the target of a return", () => {
  test("is the revision that was proven last, by the end of its latest proof and not by its number", () => {
    const world = two();
    world.pin("v1").run(40_000).pin("v3").run(40_000);
    expect(world.revisions.filter((known) => known.provenAt).map((known) => known.version)).toEqual(["v1", "v2", "v3"]);
    expect(world.status.active).toMatchObject({ version: "v3", standing: "Proven" });
    world.measure = only("v3");
    world.run(20_000);
    expect(versions(world)).toEqual(["v1", "v2", "v1", "v3", "v1"]);
  });

  test("is passed over where its own baseline is beyond the threshold that is breached now, for one further back that is better", () => {
    const world = proven();
    const noisy = { kind: "Value", value: 0.05 } as const;
    world.measure = (_check, version) => (version === "v2" ? noisy : good);
    world.pin("v2").run(40_000).pin("v3").run(40_000);
    const [first, ...others] = world.policy.checks;
    world.policy = policy({ checks: [{ ...(first ?? check()), threshold: { max: 0.03 }, fingerprint: "tighter" }, ...others] });
    world.measure = (_check, version) => (version === "v3" ? bad : version === "v2" ? noisy : good);
    world.run(30_000);
    expect(versions(world)).toEqual(["v1", "v2", "v3", "v1"]);
  });
});

test("once something was proven, what never was is no target, though it serves as the standby", () => {
  const world = new World().version("v1").version("v2");
  world.run(6000).pin("v2");
  until(world, () => world.status.active?.standing === "Proven");
  expect(world.status.active?.version).toBe("v2");
  expect(world.status.standby).toMatchObject({ version: "v1", standing: "Unproven" });
  expect(world.condition("RollbackReady")).toMatchObject({ status: "False", reason: "NoTarget" });
  world.measure = only("v2");
  world.run(20_000);
  expect(versions(world)).toEqual(["v1", "v2"]);
  expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "NoTarget" });
});

describe("warm or cold", () => {
  test.each([
    [0.2, true],
    [0.4, false],
  ])("a share of %d of the target's pods is not ready: the traffic moves at once: %s", (unready, warm) => {
    const world = two({ replicas: 5 });
    world.ails = (version) => (version === "v1" ? { unready } : {});
    world.measure = only("v2");
    until(world, () => world.status.rollback);
    expect(world.status.rollback?.warm).toBe(warm);
    expect(versions(world).at(-1)).toBe(warm ? "v1" : "v2");
    expect(world.selects).toBe(warm ? 1 : 2);
    world.run(5000);
    expect(versions(world).at(-1)).toBe(warm ? "v1" : "v2");
    // Scaled up first: it serves when it is as large as it has to be.
    world.ails = () => ({});
    world.run(30_000);
    expect(versions(world)).toEqual(["v1", "v2", "v1"]);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("where the active one has no ready pod the traffic moves at once: nothing is lost by it", () => {
    const world = two({ strategy: strategy({ replicas: "100%", for: "1s" }) });
    world.run(20_000);
    expect(world.children.get(1)?.replicas).toBe(0);
    world.startMs = () => 20_000;
    world.ails = (version) => (version === "v2" ? { unready: 1 } : {});
    until(world, () => world.status.rollback);
    expect(world.selects).toBe(1);
    world.run(60_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("until the active revision is proven the last proven one stays at its full size, whatever a standby's size is", () => {
    const world = proven({ replicas: 4, strategy: strategy({ replicas: "50%", for: "20s" }) });
    world.pin("v2");
    until(world, () => world.status.active?.version === "v2");
    while (world.status.active?.standing !== "Proven") {
      expect(world.children.get(1)?.replicas).toBe(4);
      world.run(500);
    }
    world.run(2000);
    expect(world.children.get(1)?.replicas).toBe(2);
    world.run(30_000);
    expect(world.children.get(1)?.replicas).toBe(0);
  });
});

describe("the target is judged", () => {
  test("from when it has its full size, with its warm-up: what it shows while it has less is not its doing", () => {
    const world = two({ replicas: 5 });
    world.ails = (version) => (version === "v1" ? { unready: 0.2 } : {});
    let full = Number.POSITIVE_INFINITY;
    // Too few pods have all the traffic.
    world.measure = (_check, version) => (version === "v2" || world.now < full + world.policy.warmupMs ? bad : good);
    until(world, () => world.status.rollback?.restoredAt);
    world.run(15_000);
    expect(world.status.active).toMatchObject({ version: "v1" });
    expect(world.status.active?.settledAt).toBeUndefined();
    expect(world.status.stall).toBeUndefined();
    world.ails = () => ({});
    full = world.now;
    world.run(40_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("restoredAt is when the EndpointSlices hold only ready pods of the target", () => {
    const world = two();
    world.measure = only("v2");
    const snapshot = world.snapshot.bind(world);
    let late = true;
    world.snapshot = (): Snapshot => {
      const seen = snapshot();
      if (!late || seen.active?.selects !== 1) return seen;
      return { ...seen, active: { ...seen.active, ready: { ...seen.active.ready, 2: 1 } } };
    };
    until(world, () => world.selects === 1);
    world.run(6000);
    expect(world.status.phase).toBe("RollingBack");
    expect(world.status.rollback?.restoredAt).toBeUndefined();
    late = false;
    world.run(500);
    expect(Date.parse(world.status.rollback?.restoredAt ?? "")).toBe(world.now);
    world.run(30_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });

  test("Verified needs the conclusive samples of each Critical check after the return, and the time", () => {
    const world = two();
    world.measure = only("v2");
    until(world, () => world.status.rollback?.restoredAt);
    // It was healthy for long before; that says nothing about now.
    world.measure = () => undefined;
    world.run(30_000);
    expect(world.status.phase).toBe("Verifying");
    world.measure = () => good;
    world.run(3500);
    expect(world.status.phase).toBe("Verifying");
    world.run(3000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });
});

test("if no target starts, the one that had the traffic has it again, and is started again", () => {
  const world = two({ strategy: strategy({ replicas: "100%", for: "1s" }) });
  world.run(20_000);
  world.startMs = () => Number.POSITIVE_INFINITY;
  // None of its pods is ready: the traffic moves to the target before that one has any.
  world.ails = (version) => (version === "v2" ? { unready: 1 } : {});
  until(world, () => world.selects === 1);
  world.ails = () => ({});
  until(world, () => world.status.rollback?.outcome);
  expect(world.status.rollback?.outcome).toBe("Failed");
  expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "ReturnFailed" });
  world.run(20_000);
  expect([world.selects, world.children.get(2)?.replicas]).toEqual([2, 2]);
  expect(world.condition("Available")?.status).toBe("True");
});

test("it is verified for all of verify from when the traffic was restored, however long it took to start", () => {
  const world = two({ strategy: strategy({ replicas: "100%", for: "1s" }) });
  world.policy = policy({ verifyMs: 30_000 });
  world.run(20_000);
  world.startMs = () => 35_000;
  world.measure = only("v2");
  until(world, () => world.status.rollback?.outcome);
  const { restoredAt, verifiedAt } = world.status.rollback ?? {};
  expect(world.status.rollback?.outcome).toBe("Verified");
  expect(Date.parse(verifiedAt ?? "") - Date.parse(restoredAt ?? "")).toBeGreaterThanOrEqual(30_000);
});

describe("a target that breaches as well", () => {
  const latency = check({ name: "latency", fingerprint: "latency" });
  const three = (over: Parameters<typeof policy>[0]) => {
    const world = new World().version("v1").version("v2").version("v3");
    world.policy = policy({ checks: [...policy().checks, latency], ...over });
    return world.run(20_000).pin("v2").run(40_000).pin("v3").run(40_000) as World;
  };

  test("the walk goes on in a cooldown and past a budget: it is one incident, and counts once", () => {
    const world = three({ maxDepth: 2, cooldownMs: 3_600_000, budget: { limit: 1, perMs: 3_600_000 } });
    world.measure = (one, version) =>
      (version === "v3" && one.name === "error-ratio") || (version === "v2" && one.name === "latency") ? bad : good;
    world.run(120_000);
    expect(world.story().at(-1)).toBe("4 Return v1 Verified");
    expect(world.status.returns).toHaveLength(1);
  });

  test("a breach of the same metric later is a common cause too, while it was never healthy on it; nothing more is returned", () => {
    const world = three({ cooldownMs: 1000 });
    const dark = { kind: "Error", message: "down" } as const;
    world.measure = (one, version) => (one.name !== "error-ratio" ? good : version === "v3" ? bad : dark);
    until(world, () => world.story().at(-1)?.includes("Unverified"));
    world.run(60_000);
    world.measure = (one) => (one.name === "error-ratio" ? bad : good);
    world.run(600_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "CommonCause" });
    expect(versions(world)).toEqual(["v1", "v2", "v3", "v2"]);
  });

  test.each<[string, boolean, string[]]>([
    ["its metrics", false, ["v3"]],
    ["its restarts, a fault of its own", true, ["v3", "v2"]],
  ])("is passed over for %s, and quarantined only for a fault of its own", (_words, restarts, quarantined) => {
    const worn = check({ name: "restarts", kind: "Restarts", source: undefined, threshold: { max: 0.5, inclusive: true } });
    const world = three({ checks: [...policy().checks, latency, { ...worn, breach: { count: 1, of: 1 } }] });
    const measure = (one: { name: string }, version: string) => (version === "v3" && one.name === "error-ratio" ? bad : good);
    world.measure = measure;
    until(world, () => world.status.phase === "Verifying");
    if (restarts) world.ails = (version) => (version === "v2" ? { restarts: 5 } : {});
    else world.measure = (one, version) => (version === "v2" && one.name === "latency" ? bad : measure(one, version));
    world.run(60_000);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "TargetBreached" });
    expect((world.status.quarantine ?? []).map((entry) => entry.version)).toEqual(quarantined);
  });
});

describe("from detection", () => {
  test("a return is decided and begun in the same pass, and verified within 15 minutes when warm, with the policy that nobody wrote", () => {
    const world = new World({ replicas: 4 }).version("v1").version("v2");
    world.policy = resolvePolicy(undefined);
    world.run(1_200_000).pin("v2").run(1_200_000);
    expect(world.status.active).toMatchObject({ version: "v2", standing: "Proven" });
    world.ails = (version) => (version === "v2" ? { unready: 0.5 } : {});
    until(world, () => world.status.rollback, 600_000);
    const { detectedAt, decidedAt } = world.status.rollback ?? {};
    expect(decidedAt).toBe(detectedAt);
    expect(world.selects).toBe(1);
    world.run(900_000);
    const entry = world.status.history?.at(-1);
    expect(entry).toMatchObject({ action: "Return", outcome: "Verified", warm: true });
    expect(Date.parse(entry?.verifiedAt ?? "") - Date.parse(entry?.detectedAt ?? "")).toBeLessThanOrEqual(900_000);
    expect(world.events.join()).not.toContain("DeadlineWillBeMissed");
  });

  test("the built-in checks take it back at any age", () => {
    const world = two({ strategy: strategy({ replicas: "100%", for: "2000h" }) });
    world.now += 30 * 86_400_000;
    world.run(10_000);
    world.ails = (version) => (version === "v2" ? { unready: 0.5 } : {});
    world.run(20_000);
    expect(versions(world)).toEqual(["v1", "v2", "v1"]);
  });
});

test("a revoked version without a target keeps serving, and a person is told, once", () => {
  const world = proven();
  world.version("v1", { revoked: true }).run(120_000);
  expect(world.status.active?.version).toBe("v1");
  expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "RevokedNoTarget" });
  expect(world.condition("Available")?.status).toBe("True");
  expect(world.events.filter((event) => event.startsWith("RevokedNoTarget"))).toHaveLength(1);
});
