// What people ask for: tokens, pauses, versions that are deprecated, revoked or deleted.

import { describe, expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import type { RequestKind } from "../../src/api/names.ts";
import { policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const never = () => Number.POSITIVE_INFINITY;
const told = (world: World, reason: string) => world.events.filter((event) => event.startsWith(`${reason}:`));

function two(): World {
  return proven().pin("v2").run(40_000) as World;
}

describe("every refused token says why", () => {
  const rejected = () => {
    const world = proven();
    world.measure = only("v2");
    world.pin("v2").run(40_000);
    world.measure = () => good;
    return world;
  };
  const recommended = (mode: "Recommend" | "Observe") => {
    const world = two();
    world.policy = policy({ mode });
    world.measure = only("v2");
    return world.run(20_000);
  };

  test.each<[RequestKind, string, string, () => World, string]>([
    ["retry", "v1", "what is neither quarantined nor stalled", two, "v1 is neither quarantined nor stalled"],
    ["retry", "r9", "a revision that is unknown", two, "r9 is neither quarantined nor stalled"],
    ["rollbackTo", "v9", "a version that never was", two, "known: r1 (v1)"],
    ["rollbackTo", "r2", "what serves already", two, "r2 (v2) serves already; known: r1 (v1)"],
    ["rollbackTo", "v2", "what serves already, by its version", two, "r2 (v2) serves already; known: r1 (v1)"],
    ["rollbackTo", "v2", "what is quarantined", rejected, "r2 is quarantined; retry it first"],
    ["rollbackTo", "previous", "where there is none", () => proven(), "no such revision to return to; known: none"],
    ["rollbackTo", "v1", "what was revoked", () => two().version("v1", { revoked: true }) as World, "r1 was revoked"],
    [
      "rollbackTo",
      "v1",
      "while nothing serves",
      () => {
        const world = new World().version("v1");
        world.startMs = never;
        return world.run(1000);
      },
      "nothing serves yet",
    ],
    [
      "rollbackTo",
      "v3",
      "the candidate",
      () => {
        const world = two();
        world.startMs = never;
        return world.pin("v3").run(1000) as World;
      },
      "r3 is the candidate; promote it instead",
    ],
    ["promote", "r1", "what is neither the candidate nor baking", two, "r1 is neither the candidate nor baking"],
    ["promote", "r2", "what is proven already", two, "r2 is neither the candidate nor baking"],
    ["approve", "r2", "where nothing is recommended", two, "nothing is recommended now"],
    ["approve", "r1", "another revision", () => recommended("Recommend"), "what is recommended is to leave r2"],
    ["approve", "r2", "what is only observed", () => recommended("Observe"), "the policy's mode is Observe"],
    ["pause", "other", "another deployment", two, "it names other; this is m"],
    ["resume", "m", "what is not paused", two, "it is not paused"],
    ["resume", "m", "what the spec pauses", () => proven({ paused: false }).run(1) as World, "it is not paused"],
  ])("%s %s: %s", (kind, target, _words, arrange, why) => {
    const world = arrange();
    const traffic = world.traffic.length;
    world.request(kind, target, "asked").run(2000);
    expect(world.status.refused).toMatchObject({ kind, request: `${target}/asked` });
    expect(world.status.refused?.message).toContain(why);
    expect(told(world, "RequestRefused")).toHaveLength(1);
    expect(told(world, "RequestRefused")[0]).toContain(why);
    expect(world.status.handled?.[kind]).toBe(`${target}/asked`);
    expect(world.traffic).toHaveLength(traffic);
    const { refused } = world.status;
    world.run(5000);
    expect(told(world, "RequestRefused")).toHaveLength(1);
    expect(world.status.refused).toEqual(refused);
    expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
  });

  test("resume can't undo spec.paused, and says where it was set", () => {
    const world = two();
    world.deployment.spec = { ...world.deployment.spec, paused: true };
    world.request("resume", "m").run(1000);
    expect(world.status.refused?.message).toContain("spec.paused is true");
  });

  test("pausing twice is refused, once each", () => {
    const world = two();
    world.request("pause", "m", "a").run(1000).request("pause", "m", "b").run(1000);
    expect(world.status.refused).toMatchObject({ request: "m/b", message: "it is paused already" });
    expect(world.status.paused).toBe(true);
  });

  test("an approval that comes when the recommendation has just lapsed is refused with that reason", () => {
    const world = recommended("Recommend");
    world.measure = () => good;
    // The sample that ends the breach and the token are seen by the same pass.
    while (world.status.recommendation && world.status.refused === undefined) {
      const before = world.status;
      world.run(500);
      if (world.status.recommendation) continue;
      world.deployment = { ...world.deployment, status: before };
      world.request("approve", "r2").run(500);
    }
    expect(world.status.refused?.message).toBe("the recommendation has lapsed: error-ratio of r2 is healthy again");
    expect(world.status.active?.version).toBe("v2");
  });

  test.each<[RequestKind, string, string]>([
    ["promote", "", "r2"],
    ["promote", "r2", ""],
    ["rollbackTo", "", "previous"],
    ["retry", "v1", ""],
    ["approve", "", "r2"],
    ["pause", "m", ""],
  ])("%s with the target '%s' and the token '%s' is no request", (kind, target, token) => {
    const world = two();
    world.requests = { [kind]: { target, token, raw: `${target}/${token}` } };
    world.run(1000);
    expect(world.status.refused?.message).toContain("must be <target>/<token>");
    expect(world.status.paused ?? false).toBe(false);
    expect(world.status.active?.version).toBe("v2");
  });
});

describe("tokens are handled once", () => {
  test("those that are there when the object is first seen are noted, not acted on", () => {
    const world = new World().version("v1").version("v2");
    world.request("pause", "m").request("rollbackTo", "v1").request("promote", "r1").request("approve", "r1");
    world.run(20_000);
    expect(world.status.paused ?? false).toBe(false);
    expect(world.status.handled).toMatchObject({ pause: "m/t", rollbackTo: "v1/t", promote: "r1/t", approve: "r1/t" });
    expect(world.status.refused).toBeUndefined();
    expect(world.story()).toEqual(["1 Rollout v1 Proven"]);
    expect(world.status.history?.[0]?.reason).toBe("Baked");
  });

  test("their removal means nothing", () => {
    const world = two();
    world.request("pause", "m").run(1000);
    world.requests = {};
    world.run(10_000);
    expect(world.status.paused).toBe(true);
    expect(world.status.handled?.pause).toBe("m/t");
    // Put back by Git: it was handled.
    world.request("resume", "m").run(1000).request("pause", "m").run(10_000);
    expect(world.status.paused).toBe(false);
  });

  test("a person's rollback is quarantined and recorded with the person's reason", () => {
    const world = two();
    world.changeCause = "refunds are refused";
    world.request("rollbackTo", "previous").run(30_000);
    expect(world.status.quarantine?.[0]).toMatchObject({ version: "v2", reason: "RolledBackByPerson" });
    expect(world.status.history?.at(-1)).toMatchObject({
      trigger: "Person",
      outcome: "Verified",
      initiator: { name: "on-call" },
    });
    expect(world.status.history?.at(-1)?.message).toContain("refunds are refused");
  });
});

describe("paused", () => {
  const paused = (world: World) => world.request("pause", "m").run(500) as World;

  test.each<[string, () => World, (world: World) => void, string]>([
    ["Guarding: a new pin", two, (world) => world.pin("v3").run(20_000), "would roll out v3"],
    [
      "Guarding: a breach",
      two,
      (world) => {
        world.measure = only("v2");
        world.run(20_000);
      },
      "would roll back: error-ratio",
    ],
    [
      "Progressing: a candidate that is ready",
      () => {
        const world = two();
        world.startMs = () => 5000;
        return world.pin("v3").run(1000) as World;
      },
      (world) => world.run(20_000),
      "r3 is ready for the traffic",
    ],
    [
      "Baking: a breach",
      () => two().pin("v3").run(5000) as World,
      (world) => {
        world.measure = only("v3");
        world.run(20_000);
      },
      "would roll back: error-ratio",
    ],
    [
      "RolledBack: a breach of what serves again",
      () => {
        const world = two().pin("v3").run(40_000) as World;
        world.request("rollbackTo", "v2").run(30_000);
        return world;
      },
      (world) => {
        world.measure = only("v2");
        world.run(30_000);
      },
      "would roll back: error-ratio",
    ],
  ])("%s waits, and it says what it would do; resumed, it is done", (_words, arrange, act, says) => {
    const world = paused(arrange());
    const traffic = world.traffic.length;
    act(world);
    expect(world.traffic).toHaveLength(traffic);
    expect(world.status.message).toContain(says);
    const { writes } = world;
    world.run(3000);
    expect(world.writes).toBe(writes);
    world.request("resume", "m").run(60_000);
    expect(world.traffic.length).toBe(traffic + 1);
    expect(world.status.paused).toBe(false);
  });

  test("it does not stop scaling", () => {
    const world = paused(two());
    world.deployment.spec = { ...world.deployment.spec, replicas: 5 };
    world.run(5000);
    expect(world.children.get(2)?.replicas).toBe(5);
  });

  test("it does not stop healing: a Service that was turned elsewhere is turned back", () => {
    const world = paused(two());
    world.cluster.selects = 1;
    world.run(500);
    expect(world.selects).toBe(2);
  });

  test("it does not stop a revocation", () => {
    const world = paused(two());
    world.version("v2", { revoked: true }).run(20_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("it does not stop a person's rollback", () => {
    const world = paused(two());
    world.request("rollbackTo", "v1").run(20_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("it does not stop a return that has begun", () => {
    const world = two();
    world.measure = only("v2");
    while (world.status.rollback === undefined) world.run(500);
    paused(world).run(30_000);
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });
});

describe("versions", () => {
  test("Deprecated warns once a pin and in the conditions, and goes on serving", () => {
    const world = proven().version("v2", { deprecated: true }).pin("v2").run(40_000) as World;
    expect(world.status.active).toMatchObject({ version: "v2", standing: "Proven" });
    expect(world.condition("Ready")).toMatchObject({ status: "True" });
    expect(world.condition("Ready")?.message).toContain("v2 is deprecated");
    world.run(60_000);
    expect(told(world, "DeprecatedVersion")).toHaveLength(1);
    world.pin("v1").run(40_000).pin("v2").run(40_000);
    expect(told(world, "DeprecatedVersion")).toHaveLength(2);
  });

  test("a version that is deprecated while it is pinned warns then", () => {
    const world = two().version("v2", { deprecated: true }).run(20_000) as World;
    expect(told(world, "DeprecatedVersion")).toHaveLength(1);
    world.version("v2").run(5000);
    expect(world.condition("Ready")?.message).not.toContain("deprecated");
  });

  test("a revoked version leaves, recorded with who revoked it; revocation is kept with the revision", () => {
    const world = two();
    world.version("v2", { revoked: true, revokedBy: "ClusterRollbackPolicy security" }).run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.status.history?.at(-1)).toMatchObject({
      trigger: "Revoked",
      initiator: { name: "ClusterRollbackPolicy security" },
    });
    expect(world.status.history?.at(-1)?.message).toContain("revoked by ClusterRollbackPolicy security");
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "VersionRevoked" });
    expect(world.condition("Stalled")?.message).toContain("revoked by ClusterRollbackPolicy security");
    // Taken back in the policy; the revision stays revoked.
    const known = world.revisions.find((one) => one.version === "v2");
    if (known) Object.assign(known, { revoked: true, revokedBy: "ClusterRollbackPolicy security" });
    world.version("v2").run(60_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.condition("Stalled")?.reason).toBe("VersionRevoked");
  });

  test("deleting a version that serves: it goes on serving, guarded, and says so", () => {
    const world = two();
    delete world.versions.v2;
    world.run(90_000);
    expect(world.status.active?.version).toBe("v2");
    expect(world.condition("Available")?.status).toBe("True");
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "WaitingForVersion" });
    expect(world.condition("Stalled")?.message).toContain("r2 (v2) serves");
    world.measure = only("v2");
    world.run(30_000);
    expect(world.status.active?.version).toBe("v1");
  });

  test("deleting the version of the target: the target survives", () => {
    const world = two();
    delete world.versions.v1;
    world.run(5000);
    expect(world.condition("RollbackReady")?.status).toBe("True");
    world.measure = only("v2");
    world.run(30_000);
    expect(world.status.active?.version).toBe("v1");
    expect(world.story().at(-1)).toBe("3 Return v1 Verified");
  });
});

describe("a promotion is recorded with who made it", () => {
  test.each<[string, () => World]>([
    ["a candidate past its checks", () => proven().pin("v2").run(500) as World],
    [
      "one that starves while it bakes",
      () => {
        const world = proven().pin("v2").run(5000) as World;
        world.measure = () => ({ kind: "Empty" });
        return world.run(60_000);
      },
    ],
  ])("%s", (_words, arrange) => {
    const world = arrange();
    world.request("promote", "r2").run(60_000);
    expect(world.story().at(-1)).toBe("2 Rollout v2 Proven");
    expect(world.status.history?.at(-1)?.message).toContain("promoted by on-call");
  });
});
