// Every step from a phase to another that the table in core/phases.ts names, by what makes it; those from Stalled are in stalls.test.ts.

import { describe, expect, test } from "vitest";
import type { Phase } from "../../src/api/reasons.ts";
import { PHASES } from "../../src/core/phases.ts";
import { bad, bakes, CANARY, good, never, nextPhase, only, three, withQuarantined } from "./ways.ts";
import { policy, World } from "./world.ts";

type Step = [to: Phase, how: string, act: (world: World) => unknown, from?: () => World];

const pins = (version: string) => (world: World) => world.pin(version);
const newPin = (world: World) => world.version("v5").pin("v5");
const breach = (version: string) => (world: World) => {
  world.measure = only(version);
};
const remade = (version: string) => (world: World) => world.version(version, { digest: "sha256:other" });
const bakesThen = (version: string) => (world: World) => bakes(world).pin(version);

/** Goes on until it is in this phase. */
function until(world: World, phase: Phase): World {
  for (let passed = 0; world.status.phase !== phase && passed < 120_000; passed += 500) world.run(500);
  expect(world.status.phase).toBe(phase);
  return world;
}

/** v2 serves, v3 is quarantined, and the candidate v4 is brought up. */
const progressing = (from = withQuarantined()) => {
  from.startMs = (version) => (version === "v4" ? 20_000 : 2000);
  return until(from.version("v4").pin("v4"), "Progressing");
};
/** As a canary, v4 has half of the traffic. */
const shifting = () => until(withQuarantined(CANARY).version("v4").pin("v4"), "Shifting");
const baking = () => until(withQuarantined().version("v4").pin("v4"), "Baking");
/** v2 was breached, and its target v1 has to be started. */
const rollingBack = () => {
  const world = withQuarantined();
  world.children.delete(1);
  world.startMs = () => 10_000;
  world.measure = only("v2");
  return until(world, "RollingBack");
};
const verifying = () => {
  const world = withQuarantined();
  world.measure = only("v2");
  return until(world, "Verifying");
};
/** v1 was never proven and has the traffic back from v2, which bakes. */
const verifyingUnproven = () => {
  const world = new World().version("v1").version("v2");
  world.policy = policy({ bakeMs: 600_000 });
  world.run(10_000).pin("v2").run(8000);
  world.measure = only("v2");
  return until(world, "Verifying");
};
/** One of two metrics of a version goes bad. */
function errs(world: World, broken: string): World {
  world.measure = (one, version) => (version === broken && one.name === "error-ratio" ? bad : good);
  return world;
}
/** v3 was breached and v2 has the traffic back, with v1 behind it. */
const rolledBack = () => {
  const world = three();
  world.policy = policy({ cooldownMs: 1000, checks: world.policy.checks });
  return until(errs(world, "v3"), "RolledBack");
};

const STEPS: Record<Exclude<Phase, "Stalled">, { from: () => World; steps: Step[] }> = {
  Pending: {
    from: () => until(withQuarantined().pin("v9"), "Pending"),
    steps: [
      ["Progressing", "the version is made", (world) => world.version("v9")],
      ["Guarding", "the pin is the active one", pins("v2")],
      ["Baking", "the pin is the active one, which bakes", bakesThen("v2")],
      ["RolledBack", "the pin is quarantined", pins("v3")],
      ["RollingBack", "what serves is breached", breach("v2")],
      ["Stalled", "it stays missing for 60 s", () => undefined],
    ],
  },
  Progressing: {
    from: progressing,
    steps: [
      ["Shifting", "a canary gets its first share", () => undefined, () => progressing(withQuarantined(CANARY))],
      ["Baking", "it gets all the traffic", () => undefined],
      ["Guarding", "cancelled", pins("v2")],
      ["Baking", "cancelled, and what serves bakes", bakesThen("v2")],
      ["Pending", "the pin names nothing", pins("v9")],
      [
        "RolledBack",
        "rejected",
        (world) => {
          world.probe = () => "Failed";
          world.deployment.spec = { ...world.deployment.spec, probe: { path: "/" } as never };
        },
      ],
      ["RollingBack", "the active one is breached", breach("v2")],
      [
        "Stalled",
        "it never starts",
        (world) => {
          const child = world.children.get(4);
          if (child) child.readyAt = Number.POSITIVE_INFINITY;
        },
      ],
    ],
  },
  Shifting: {
    from: shifting,
    steps: [
      ["Baking", "the last step is over", () => undefined],
      ["Guarding", "cancelled", pins("v2")],
      ["Baking", "cancelled, and what serves bakes", bakesThen("v2")],
      ["Progressing", "superseded", newPin],
      ["Pending", "the pin names nothing", pins("v9")],
      ["RolledBack", "rejected", breach("v4")],
      ["RollingBack", "the active one is breached", breach("v2")],
      ["Stalled", "its version is made again with other content", remade("v4")],
    ],
  },
  Baking: {
    from: baking,
    steps: [
      ["Guarding", "proven", () => undefined],
      ["Progressing", "a new pin", newPin],
      ["Pending", "the pin names nothing", pins("v9")],
      ["RolledBack", "the pin moved to a quarantined one", pins("v3")],
      ["RollingBack", "breached", breach("v4")],
      ["Stalled", "its version is made again with other content", remade("v4")],
    ],
  },
  Guarding: {
    from: withQuarantined,
    steps: [
      ["Progressing", "a new pin", newPin],
      ["Pending", "the pin names nothing", pins("v9")],
      ["RolledBack", "the pin moved to a quarantined one", pins("v3")],
      ["RollingBack", "breached", breach("v2")],
      ["Stalled", "its version is made again with other content", remade("v2")],
    ],
  },
  RollingBack: {
    from: rollingBack,
    steps: [
      ["Verifying", "the target has the traffic", () => undefined],
      [
        "Stalled",
        "no target starts",
        (world) => {
          world.startMs = never;
          const child = world.children.get(1);
          if (child) child.readyAt = Number.POSITIVE_INFINITY;
        },
      ],
    ],
  },
  Verifying: {
    from: verifying,
    steps: [
      ["RolledBack", "verified", () => undefined],
      ["Guarding", "verified, and the pin is the target", pins("v1")],
      ["Baking", "verified, and the pin is the target, which was never proven", pins("v1"), verifyingUnproven],
      ["Progressing", "verified, and a pin came meanwhile", (world) => newPin(Object.assign(world, { startMs: never }))],
      ["Pending", "verified, and the pin names nothing", pins("v9")],
      [
        "RollingBack",
        "the next target",
        (world) => {
          world.measure = (one) => (one.name === "latency" ? bad : good);
          world.policy = { ...world.policy, maxDepth: 2 };
          // It has to be started first.
          world.children.delete(1);
          world.startMs = () => 10_000;
        },
        () => until(errs(three(), "v3"), "Verifying"),
      ],
      [
        "Stalled",
        "a common cause",
        (world) => {
          world.measure = () => bad;
        },
      ],
    ],
  },
  RolledBack: {
    from: rolledBack,
    steps: [
      ["Progressing", "a new hash", newPin],
      ["Guarding", "the pin is the active one", pins("v2")],
      ["Baking", "the pin is the active one, which bakes", bakesThen("v2")],
      ["Pending", "the pin names nothing", pins("v9")],
      [
        "RollingBack",
        "breached",
        (world) => {
          world.measure = (one, version) => (version === "v2" && one.name === "latency" ? bad : good);
        },
      ],
      [
        "Stalled",
        "breached, without a target",
        (world) => {
          world.version("v1", { revoked: true });
          world.measure = (one, version) => (version === "v2" && one.name === "latency" ? bad : good);
        },
      ],
    ],
  },
};

/** Ready · Reconciling · Stalled, as kstatus reads them. */
const KSTATUS: Record<keyof typeof STEPS, string> = {
  Pending: "False True False",
  Progressing: "False True False",
  Shifting: "False True False",
  Baking: "False True False",
  Guarding: "True False False",
  RollingBack: "False True False",
  Verifying: "False True False",
  RolledBack: "False False True",
};

type From = keyof typeof STEPS;
const phases = Object.keys(STEPS) as From[];

describe("kubectl wait and kstatus tell the truth in every phase", () => {
  const said = (world: World) => ["Ready", "Reconciling", "Stalled"].map((type) => world.condition(type)?.status).join(" ");
  test.each(phases)("%s", (phase) => {
    const world = STEPS[phase].from();
    expect(said(world)).toBe(KSTATUS[phase]);
  });

  test("Pending after 60 s is Stalled, and Guarding while a Critical breach is held is Reconciling", () => {
    expect(said(STEPS.Pending.from().run(61_000) as World)).toBe("False False True");
    const world = withQuarantined();
    world.policy = policy({ mode: "Observe" });
    world.run(10_000);
    world.measure = only("v2");
    world.run(10_000);
    expect(world.status.phase).toBe("Guarding");
    expect(said(world)).toBe("False True False");
  });
});

describe("a transition takes its number when it begins, and has one outcome when it ends", () => {
  const ended = (world: World, how: (world: World) => unknown) => {
    how(world);
    world.run(200_000);
    return world;
  };
  test.each<[outcome: string, of: "Rollout" | "Return", from: () => World, how: (world: World) => unknown]>([
    ["Proven", "Rollout", progressing, () => undefined],
    ["Rejected", "Rollout", shifting, breach("v4")],
    ["RolledBack", "Rollout", baking, breach("v4")],
    ["Superseded", "Rollout", progressing, newPin],
    ["Cancelled", "Rollout", progressing, pins("v2")],
    ["Verified", "Return", verifying, () => undefined],
    [
      "Unverified",
      "Return",
      verifying,
      (world) => {
        world.measure = (_check, version) => (version === "v1" ? { kind: "Empty" } : bad);
      },
    ],
    [
      "Failed",
      "Return",
      verifying,
      (world) => {
        world.measure = () => bad;
      },
    ],
  ])("%s, of a %s", (outcome, action, from, how) => {
    const world = from();
    const { sequence } = world.status;
    expect((world.status.history ?? []).map((entry) => entry.sequence)).not.toContain(sequence);
    const entries = (ended(world, how).status.history ?? []).filter((entry) => entry.sequence === sequence);
    expect(entries).toMatchObject([{ action, outcome }]);
  });
});

describe("each phase leads where its row says", () => {
  const all = phases.flatMap((phase) =>
    STEPS[phase].steps.map(([to, how, act, from = STEPS[phase].from]) => ({ phase, to, how, act, from })),
  );
  test.each(all)("$phase to $to: $how", ({ phase, to, act, from }) => {
    const world = from();
    expect(world.status.phase).toBe(phase);
    expect(nextPhase(world, act)).toBe(to);
    expect(PHASES[phase].leadsTo).toContain(to);
  });

  test("Progressing to Progressing: superseded, and RollingBack to RollingBack: the next target", () => {
    const superseded = progressing().version("v5").pin("v5").run(1000);
    expect(superseded.status).toMatchObject({ phase: "Progressing", candidate: { version: "v5" } });
    const world = three();
    world.children.delete(2);
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 10_000);
    world.measure = only("v3");
    until(world, "RollingBack");
    expect(world.status.rollback?.to?.version).toBe("v2");
    world.children.delete(1);
    world.run(45_000);
    expect(world.status).toMatchObject({ phase: "RollingBack", rollback: { to: { version: "v1" }, passedOver: [2] } });
  });

  test.each(phases)("%s has a step to every phase of its row", (phase) => {
    const shown = new Set<string>(STEPS[phase].steps.map(([to]) => to));
    expect(PHASES[phase].leadsTo.filter((to) => to !== phase && !shown.has(to))).toEqual([]);
  });
});
