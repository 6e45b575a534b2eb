// Every reason for `Stalled`, by a way into it, and every way out of it that the table in core/phases.ts names.

import { describe, expect, test } from "vitest";
import type { Phase } from "../../src/api/reasons.ts";
import { FETCH_EXIT } from "../../src/core/faults.ts";
import type { FaultRow } from "../../src/core/faulttable/row.ts";
import { cluster, fetched } from "../../src/core/faulttable/row.ts";
import { FAULT_TABLE } from "../../src/core/faulttable/table.ts";
import { ALWAYS, STALLS, type StallReason } from "../../src/core/phases.ts";
import { childOf } from "./faulty.ts";
import {
  bad,
  bakes,
  CRASH,
  canary,
  good,
  LIMIT_MS,
  never,
  nextPhase,
  observes,
  only,
  three,
  two,
  withQuarantined,
} from "./ways.ts";
import { check, policy, proven, World } from "./world.ts";

/** How it ends: what somebody does, or what happens, and the phase that follows. */
type Way = [how: string, act: (world: World) => unknown, to: Phase, begins?: Pick<Row, "from" | "into">];
interface Row {
  into: (world: World) => unknown;
  /** Where it begins; v2 is proven and serves, v1 is its warm target, unless it says otherwise. */
  from?: () => World;
  ways: Way[];
  /** What the table says of every reason and can't be here, with why. */
  not?: Partial<Record<Phase, string>>;
  /** What it does not leave by. */
  stays?: [how: string, act: (world: World) => unknown][];
}

const newPin: Way = ["a new pin", (world) => world.version("v5").pin("v5"), "Progressing"];
const person: Way = ["a person", (world) => world.request("rollbackTo", "v1", "asked"), "RollingBack"];
const retry = (target: string, to: Phase = "Progressing"): Way => [
  `a retry of ${target}`,
  (world) => world.request("retry", target, "asked"),
  to,
];
const pin = (version: string, to: Phase): Way => [`the pin goes to ${version}`, (world) => world.pin(version), to];

/** A pin that can't be used: as Pending, but for the words. A retry of it is refused: there is nothing to try. */
function unusable(into: (world: World) => unknown, ways: Way[] = []): Row {
  return {
    from: withQuarantined,
    into,
    ways: [
      ...ways,
      pin("v2", "Guarding"),
      pin("v3", "RolledBack"),
      pin("v8", "Pending"),
      newPin,
      person,
      ["the pin goes back to what bakes", (world) => bakes(world).pin("v2"), "Baking"],
    ],
  };
}

/** Those that are the same to every rule: shown by three of them, and of the others the way in and the back-off. */
const WHOLE: readonly StallReason[] = ["InvalidTemplate", "Unschedulable", "ProgressDeadlineExceeded"];

/** A candidate that the cluster does not start; `heals` ends that. */
function unstarted(row: FaultRow): Row {
  const faulty = new WeakSet<World>();
  const heals = (world: World) => faulty.delete(world);
  return {
    from: withQuarantined,
    into: (world) => {
      faulty.add(world);
      const facts = world.cluster.facts.bind(world.cluster);
      const child = { ...childOf(row), revision: 4 };
      world.cluster.facts = (...args) =>
        facts(...args).map((one) => (one.revision === 4 && one.replicas > 0 && faulty.has(world) ? child : one));
      world.version("v4").pin("v4");
    },
    ways: [
      ["back-off", heals, "Progressing"],
      pin("v2", "Guarding"),
      ["the pin goes back to what bakes", (world) => bakes(world).pin("v2"), "Baking"],
      pin("v3", "RolledBack"),
      pin("v8", "Pending"),
      newPin,
      retry("v4"),
      person,
    ],
  };
}

/** The reason as `rollguard fetch` gives it. */
const ofFetch = (reason: string): FaultRow =>
  cluster("", "", reason as never, fetched(FETCH_EXIT.source, reason, "the words of the fetch"));
const ofTable = (reason: string): FaultRow => FAULT_TABLE.find((row) => row.reason === reason) ?? ofFetch(reason);

/** v1 lost what it needs to start, and nothing of it runs; or it has it back. */
const lost = (world: World, value: string | undefined) => {
  const first = world.revisions.find((known) => known.version === "v1");
  if (first && value !== undefined) first.lost = value;
  else if (first) delete first.lost;
  if (value === undefined) return;
  world.startMs = (version) => (version === "v1" ? Number.POSITIVE_INFINITY : 2000);
  world.children.delete(1);
};
const breached = (world: World) => {
  world.measure = only("v2");
};
const overWhileItBakes = (world: World) => over(bakes(world));
const over = (world: World) => {
  world.measure = () => good;
};

const afterReturn: Way[] = [["what serves is Healthy and unquarantined", over, "RolledBack"], newPin];

/** Worlds in which somebody has given a name back. */
const free = new WeakSet<World>();
const freed = (world: World) => free.add(world);
/** Somebody has a name that is ours where `holds`; pods never get ready, so that a candidate stays one. */
const taken = (holds: (world: World) => boolean, pinned?: string) => (world: World) => {
  observes(world, () => (!free.has(world) && holds(world) ? { nameTaken: "Deployment m-r4 exists" } : {}));
  world.startMs = never;
  if (pinned !== undefined) world.version(pinned).pin(pinned);
};
const tight = (max: number) => [
  check({ threshold: { max }, fingerprint: `max ${max}` }),
  ...policy().checks.filter(({ name }) => name === "available"),
];

const ROWS: Record<StallReason, Row> = {
  VersionContentChanged: {
    into: (world) => world.version("v2", { digest: "sha256:other" }),
    ways: [retry("v2"), newPin, person],
    stays: [
      ["its old content is made again", (world) => world.version("v2")],
      [
        "it is deleted, and its old content is made again",
        (world) => {
          delete world.versions.v2;
          world.run(1000).version("v2");
        },
      ],
      ["a pause", (world) => world.request("pause", "m", "asked")],
    ],
  },
  WaitingForVersion: unusable(
    (world) => world.pin("v9"),
    [["the version is made", (world) => world.version("v9"), "Progressing"]],
  ),
  WaitingForConfigMap: unusable((world) => {
    world.version("v9").pin("v9");
    observes(world, () =>
      world.deployment.spec.version === "v9"
        ? { pin: { state: "ConfigMapMissing", version: "v9", names: ["settings"] } as const }
        : {},
    );
  }),
  OtherModel: unusable((world) => world.version("v9", { model: "other" }).pin("v9")),
  VersionRevoked: unusable((world) => world.version("v9", { revoked: true }).pin("v9")),
  NameTaken: {
    from: withQuarantined,
    into: taken(({ status }) => status.candidate?.revision === 4, "v4"),
    ways: [
      ["the name is free, and the candidate is brought up", freed, "Progressing"],
      ["the name is free, and the canary goes on", freed, "Shifting", { from: canary, into: taken(() => true) }],
      pin("v2", "Guarding"),
      pin("v3", "RolledBack"),
      pin("v8", "Pending"),
      ["the pin goes back to what bakes", (world) => bakes(world).pin("v2"), "Baking"],
      newPin,
      person,
    ],
  },
  InvalidTemplate: {
    ...unstarted(ofTable("Unschedulable")),
    into: (world) => {
      world.refused = { revision: 4, attempt: 1, message: "spec.template: Invalid value" };
      world.version("v4").pin("v4");
    },
  },
  Unschedulable: unstarted(ofTable("Unschedulable")),
  SchedulingGated: unstarted(ofTable("SchedulingGated")),
  NodeRejected: unstarted(ofTable("NodeRejected")),
  NodeLost: unstarted(ofTable("NodeLost")),
  Evicted: unstarted(ofTable("Evicted")),
  QuotaExceeded: unstarted(ofTable("QuotaExceeded")),
  AdmissionRefused: unstarted(ofTable("AdmissionRefused")),
  PodNotStarted: unstarted(ofTable("PodNotStarted")),
  CreateContainerConfigError: unstarted(ofTable("CreateContainerConfigError")),
  ContainerNotStarted: unstarted(ofTable("ContainerNotStarted")),
  ImageUnavailable: unstarted(ofTable("ImageUnavailable")),
  ArtifactUnavailable: unstarted(ofTable("ArtifactUnavailable")),
  ArtifactUnauthorized: unstarted(ofTable("ArtifactUnauthorized")),
  DiskFull: unstarted(ofTable("DiskFull")),
  VolumeUnavailable: unstarted(ofTable("VolumeUnavailable")),
  FetchInterrupted: unstarted(ofTable("FetchInterrupted")),
  FetchMisconfigured: unstarted(ofTable("FetchMisconfigured")),
  ProgressDeadlineExceeded: unstarted(ofTable("ProgressDeadlineExceeded")),
  Rejected: {
    from: () => new World(),
    into: (world) => {
      world.breaks = (version) => (version === "v1" ? CRASH : undefined);
      world.version("v1");
    },
    ways: [newPin, retry("v1")],
    not: { RollingBack: "nothing serves, and there is nothing to go back to" },
  },
  NoTarget: {
    into: (world) => {
      lost(world, "m-r1-settings");
      breached(world);
    },
    ways: [
      ["the breach is over", over, "Guarding"],
      ["the breach of what bakes is over", overWhileItBakes, "Baking"],
      ["there is a target", (world) => lost(world, undefined), "RollingBack"],
      newPin,
      person,
    ],
    stays: [
      [
        "nothing is known any more",
        (world) => {
          world.measure = () => ({ kind: "Error", message: "refused" });
        },
      ],
      ["a pause", (world) => world.request("pause", "m", "asked")],
    ],
  },
  TargetNoBetter: {
    into: (world) => {
      world.policy = policy({ checks: tight(0.005) });
    },
    ways: [
      [
        "the breach is over",
        (world) => {
          world.measure = () => ({ kind: "Value", value: 0.001 });
        },
        "Guarding",
      ],
      [
        "the breach of what bakes is over",
        (world) => {
          bakes(world).measure = () => ({ kind: "Value", value: 0.001 });
        },
        "Baking",
      ],
      [
        "there is a target that is better",
        (world) => {
          for (const known of world.revisions) for (const one of known.baseline) one.value = 0.001;
        },
        "RollingBack",
      ],
      newPin,
      person,
    ],
  },
  CommonCause: {
    into: (world) => {
      world.measure = () => bad;
    },
    ways: [...afterReturn, retry("v2")],
    not: { RollingBack: "what a person could go back to is quarantined: v2 is" },
    stays: [
      [
        "nothing is known any more",
        (world) => {
          world.measure = () => ({ kind: "Error", message: "refused" });
        },
      ],
    ],
  },
  TargetBreached: {
    from: three,
    into: (world) => {
      world.measure = (one, version) =>
        (version === "v3" && one.name === "error-ratio") || (version === "v2" && one.name === "latency") ? bad : good;
    },
    ways: [...afterReturn, retry("v3"), person],
    stays: [
      [
        "what serves is Healthy and quarantined",
        (world) => {
          over(world);
          const { active } = world.status;
          const since = new Date(world.now).toISOString();
          if (active)
            world.deployment.status = {
              ...world.status,
              quarantine: [...(world.status.quarantine ?? []), { ...active, reason: "Breached", since }],
            };
        },
      ],
    ],
  },
  ReturnFailed: {
    // With Recreate what served is started again, and has no fault of its own.
    from: () => proven({ strategy: { type: "Recreate", drain: "5s", progressDeadline: "60s" } } as never),
    into: (world) => {
      world.startMs = never;
      world.breaks = (version) => (version === "v2" ? CRASH : undefined);
      world.pin("v2");
    },
    ways: [
      [
        "what serves is started, Healthy and unquarantined",
        (world) => {
          const child = world.children.get(1);
          if (child) child.readyAt = world.now;
        },
        "RolledBack",
      ],
      newPin,
      retry("v2"),
    ],
    not: { RollingBack: "there is no other revision" },
  },
  BudgetSpent: {
    from: () => {
      const world = two();
      world.policy = policy({ budget: { limit: 1, perMs: 600_000 }, cooldownMs: 1000 });
      world.measure = only("v2");
      world.run(30_000);
      expect(world.status.rollback?.outcome).toBe("Verified");
      world.measure = () => good;
      return world.pin("v3").run(40_000) as World;
    },
    into: (world) => {
      world.measure = only("v3");
    },
    ways: [
      ["the budget is free", (world) => world.run(600_000), "RollingBack"],
      ["the breach is over", over, "Guarding"],
      [
        "the breach is over, and the pin is quarantined",
        (world) => {
          world.pin("v2").run(1000);
          over(world);
        },
        "RolledBack",
      ],
      newPin,
      person,
    ],
  },
  RevokedNoTarget: {
    into: (world) => {
      lost(world, "m-r1-settings");
      world.version("v2", { revoked: true });
    },
    ways: [["there is a target", (world) => lost(world, undefined), "RollingBack"], newPin, person],
    stays: [
      ["a pause", (world) => world.request("pause", "m", "asked")],
      ["all is healthy", over],
    ],
  },
};

function stalled(reason: StallReason, begins: Pick<Row, "from" | "into"> = ROWS[reason]): World {
  const { from = two, into } = begins;
  const world = from();
  into(world);
  for (let passed = 0; world.condition("Stalled")?.reason !== reason && passed < LIMIT_MS; passed += 500) world.run(500);
  if (world.status.phase !== "Stalled") world.run(61_000);
  expect(world.condition("Stalled")).toMatchObject({ status: "True", reason });
  expect(world.status.phase).toBe("Stalled");
  return world;
}

const reasons = Object.keys(STALLS) as StallReason[];

describe("Stalled by every reason: what serves goes on", () => {
  test.each(reasons)("%s", (reason) => {
    const world = stalled(reason);
    const { length } = world.traffic;
    const told = world.events.filter((event) => event.startsWith(`${reason}:`)).length;
    if (reason !== "ReturnFailed" && reason !== "Rejected") expect(world.condition("Available")?.status).toBe("True");
    world.run(5000);
    expect(world.traffic).toHaveLength(length);
    // A person is told once, and not with every pass; of a first version that was rejected, by the end of its rollout.
    expect(told).toBe(1);
    expect(world.events.filter((event) => event.startsWith(`${reason}:`))).toHaveLength(told);
    expect(world.condition("Stalled")?.status).toBe("True");
  });
});

describe("each Stalled reason leads where the table says", () => {
  const ways = reasons.flatMap((reason) => {
    const shared = STALLS[reason] === STALLS.Unschedulable && !WHOLE.includes(reason);
    const shown = ROWS[reason].ways.slice(0, shared ? 1 : undefined);
    return shown.map(([how, act, to, begins]) => ({ reason, how, act, to, begins }));
  });
  test.each(ways)("$reason: $how: $to", ({ reason, act, to, begins }) => {
    const world = stalled(reason, begins);
    expect(nextPhase(world, act)).toBe(to);
    expect([...ALWAYS, ...STALLS[reason].leadsTo]).toContain(to);
  });

  const staying = reasons.flatMap((reason) => (ROWS[reason].stays ?? []).map(([how, act]) => ({ reason, how, act })));
  test.each(staying)("$reason stays: $how", ({ reason, act }) => {
    const world = stalled(reason);
    const phases = new Set<string>();
    const note = world.onDecision;
    world.onDecision = (decision, before) => {
      note?.(decision, before);
      phases.add(`${decision.status.phase} ${decision.status.reason}`);
    };
    const told = world.events.filter((event) => event.startsWith(`${reason}:`)).length;
    act(world);
    world.run(100_000);
    expect([...phases]).toEqual([`Stalled ${reason}`]);
    expect(world.events.filter((event) => event.startsWith(`${reason}:`))).toHaveLength(told);
  });

  test.each(reasons)("%s has a way to every phase of its row", (reason) => {
    const shown = new Set([...ROWS[reason].ways.map(([, , to]) => to), ...Object.keys(ROWS[reason].not ?? {})]);
    expect([...ALWAYS, ...STALLS[reason].leadsTo].filter((phase) => !shown.has(phase))).toEqual([]);
  });
});
