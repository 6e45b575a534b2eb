// Who wins where several rules match in one pass, and that a rule which is held passes on.

import { describe, expect, test } from "vitest";
import { decide } from "../../src/core/decide.ts";
import { policy, proven, World } from "./world.ts";

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;
const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
const CRASH = [{ name: "server", init: false, restarts: 5, terminated: { reason: "Error", exitCode: 1, message: "" } }] as never;

/** Goes on until it holds, to the very pass in which it begins to. */
function until(world: World, holds: () => unknown): World {
  for (let passed = 0; passed < 120_000; passed += 500) {
    if (holds()) return world;
    world.run(500);
  }
  throw new Error(`never: ${world.status.phase}: ${world.status.message}`);
}

/** v1 and v2 are proven, v2 serves, and v1 is its warm target. */
const two = () => proven().pin("v2").run(40_000) as World;

/** Goes on to just before the next pass in which this rule acts: everything is measured, and nothing is decided on it. */
function beforeNext(world: World, acts: string): World {
  world.decisions = [];
  for (let passed = 0; passed < 120_000; passed += 500) {
    const { deployment } = world;
    world.run(500);
    if (!world.decisions.some((one) => one.acted?.rule === acts)) continue;
    world.deployment = deployment;
    return world;
  }
  throw new Error(`${acts} never acts`);
}

const breachedNow = () => {
  const world = two();
  world.measure = only("v2");
  return beforeNext(world, "active-breached");
};

function candidateOf(world: World, startMs: number): World {
  world.startMs = () => startMs;
  return world.pin("v3").run(1000) as World;
}

/** Each with the promise's next one matching as well. */
const PAIRS: { first: string; next: string; arrange: () => World; acts: string | undefined }[] = [
  {
    first: "being deleted",
    next: "a person's rollback",
    arrange: () => {
      const world = two();
      world.deployment.metadata = { ...world.deployment.metadata, deletionTimestamp: new Date(world.now).toISOString() };
      return world.request("rollbackTo", "v1") as World;
    },
    acts: undefined,
  },
  {
    first: "a person's rollback",
    next: "revoked",
    arrange: () => two().version("v2", { revoked: true }).request("rollbackTo", "v1") as World,
    acts: "person-rollback",
  },
  {
    first: "revoked",
    next: "the active one breached",
    arrange: () => breachedNow().version("v2", { revoked: true }) as World,
    acts: "revoked",
  },
  {
    first: "the active one breached",
    next: "the candidate failed",
    arrange: () => {
      const world = candidateOf(two(), 60_000);
      world.measure = only("v2");
      beforeNext(world, "active-breached");
      const child = world.children.get(3);
      if (child) child.broken = CRASH;
      return world;
    },
    acts: "active-breached",
  },
  {
    first: "the candidate failed",
    next: "a new pin",
    arrange: () => {
      const world = candidateOf(two(), 60_000);
      const child = world.children.get(3);
      if (child) child.broken = CRASH;
      return world.version("v4").pin("v4") as World;
    },
    acts: "candidate-failed",
  },
  {
    first: "a new pin",
    next: "more traffic",
    arrange: () => beforeNext(candidateOf(two(), 5000), "more-traffic").version("v4").pin("v4") as World,
    acts: "new-pin",
  },
  {
    first: "more traffic",
    next: "prove",
    arrange: () => {
      const world = proven();
      world.pin("v2");
      until(world, () => world.status.active?.version === "v2");
      beforeNext(world, "prove");
      // In the pass that would prove v2, v3 is ready for the traffic.
      const { active } = world.status;
      expect(active).toMatchObject({ version: "v2", baking: true });
      world.pin("v3");
      world.startMs = () => 0;
      world.decisions = [];
      return world;
    },
    acts: "more-traffic",
  },
];

describe("who wins: the first rule that matches and can act now", () => {
  test.each(PAIRS)("$first goes before $next", ({ arrange, acts }) => {
    const world = arrange();
    const decision = decide(world.snapshot(), world.now);
    if (acts !== "more-traffic") expect(decision.acted?.rule).toBe(acts);
    else {
      // The candidate is opened by one pass and gets the traffic by the next: no proof comes in between.
      world.pass();
      world.decisions = [];
      world.pass();
      expect(world.decisions[0]?.acted?.rule).toBe(acts);
    }
  });
});

/** What is breached and held, by the reason that it is held with. */
const HELD: [reason: string, held: () => World][] = [
  [
    "NoTarget",
    () => {
      const world = new World().version("v1").version("v3").run(20_000);
      world.measure = only("v1");
      return world.run(10_000) as World;
    },
  ],
  ["Cooldown", () => again({ cooldownMs: 3_600_000 })],
  ["BudgetSpent", () => again({ budget: { limit: 1, perMs: 3_600_000 }, cooldownMs: 1000 })],
  [
    "StormBreaker",
    () => {
      const world = two();
      world.storm = { message: "40 % of 20 deployments went bad" };
      world.measure = only("v2");
      return world.run(10_000) as World;
    },
  ],
  [
    "AwaitingApproval",
    () => {
      const world = two();
      world.policy = policy({ mode: "Recommend" });
      world.measure = only("v2");
      return world.run(10_000) as World;
    },
  ],
  [
    "CommonCause",
    () => {
      const world = two();
      world.measure = (_check, version) => (version === "v3" ? good : bad);
      return world.run(60_000) as World;
    },
  ],
  [
    "Paused",
    () => {
      const world = two();
      world.deployment.spec = { ...world.deployment.spec, paused: true };
      world.measure = only("v2");
      return world.run(10_000) as World;
    },
  ],
];

/** v2 was returned from and proven by a retry; it breaches for the second time. */
function again(over: Parameters<typeof policy>[0]): World {
  const world = two();
  world.policy = policy(over);
  world.measure = only("v2");
  world.run(30_000);
  expect(world.status.active?.version).toBe("v1");
  world.measure = () => good;
  world.request("retry", "v2").run(40_000);
  expect(world.status.active).toMatchObject({ version: "v2", standing: "Proven" });
  world.measure = only("v2");
  return world.run(10_000) as World;
}

describe("a rule that matches and is held states its reason and passes on, so that a new pin can always mend what has nowhere to return to", () => {
  test.each(HELD)("%s", (reason, arrange) => {
    const world = arrange();
    expect(world.last?.held).toContainEqual(expect.objectContaining({ rule: "active-breached", reason }));
    const { traffic, status } = world;
    const before = traffic.length;
    const serving = status.active?.version;
    world.pin("v3").run(1000);
    if (reason === "Paused") {
      // A pause stops rollouts too, and says both.
      expect(world.last?.held.map((one) => one.message)).toEqual([
        expect.stringContaining("would roll back"),
        expect.stringContaining("would roll out v3"),
      ]);
      world.deployment.spec = { ...world.deployment.spec, paused: false };
      world.run(60_000);
      expect(world.status.active?.version).toBe("v3");
      return;
    }
    // The mend is under way, though nothing else can be done for what serves.
    expect(world.status.candidate?.version ?? world.status.active?.version).toBe("v3");
    expect(world.status.phase).not.toBe("Stalled");
    expect(world.condition("Stalled")?.status).toBe("False");
    world.run(60_000);
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v3", standing: "Proven" } });
    expect(traffic.slice(before).map((one) => one.version)).toEqual(["v3"]);
    expect(serving).not.toBe("v3");
  });
});
