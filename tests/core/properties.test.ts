// What must always hold, whatever users, metrics and pods do: random stories over the real decide() and plan().
// The world checks each step against the table of phases by itself.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import { position } from "../../src/core/confidence.ts";
import { decide } from "../../src/core/decide.ts";
import { revisionHash } from "../../src/core/hash.ts";
import { World } from "./world.ts";

// The same stories on every run, so that a red test means a change; another seed or more runs find what these do not.
fc.configureGlobal({ seed: Number(process.env.ROLLGUARD_TEST_SEED ?? 20_261_124) });

type Step =
  | { do: "pin"; version: string }
  | { do: "metric"; version: string; value: number | "dark" | "nan" }
  | { do: "start"; version: string; seconds: number }
  | { do: "wait"; seconds: number }
  | { do: "pause"; value: boolean }
  | { do: "revoke"; version: string }
  | { do: "ask"; kind: "retry" | "rollbackTo" | "promote"; target: string; token: string };

const version = fc.constantFrom("v1", "v2", "v3");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pin" as const), version }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("metric" as const),
      version,
      value: fc.constantFrom(0.01, 0.5, "dark" as const, "nan" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("start" as const), version, seconds: fc.constantFrom(1, 20, 300) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pause" as const), value: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke" as const), version: fc.constantFrom("v2", "v3") }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      kind: fc.constantFrom("retry" as const, "rollbackTo" as const, "promote" as const),
      target: fc.constantFrom("v1", "v2", "v3", "previous", "r1", "r2"),
      token: fc.constantFrom("a", "b", "c"),
    }),
  },
);

/** Plays a story and holds what must hold after every step. */
function play(story: readonly Step[]): World {
  const world = new World().version("v1").version("v2").version("v3");
  const metrics: Record<string, number | "dark" | "nan"> = {};
  const starts: Record<string, number> = {};
  world.measure = (_check, name) => {
    const value = metrics[name] ?? 0.01;
    if (value === "dark") return { kind: "Error", message: "refused" };
    return value === "nan" ? { kind: "NotFinite" } : { kind: "Value", value };
  };
  world.startMs = (name) => (starts[name] ?? 1) * 1000;
  world.run(2000);
  for (const one of story) {
    if (one.do === "pin") world.pin(one.version).run(500);
    else if (one.do === "metric") metrics[one.version] = one.value;
    else if (one.do === "start") starts[one.version] = one.seconds;
    else if (one.do === "wait") world.run(one.seconds * 1000);
    else if (one.do === "pause") world.deployment.spec = { ...world.deployment.spec, paused: one.value };
    else if (one.do === "revoke") world.version(one.version, { revoked: true });
    else world.request(one.kind, one.target, one.token).run(500);
    holds(world);
  }
  return world;
}

function holds(world: World): void {
  const { status } = world;
  const history = status.history ?? [];
  const open = [status.rollout?.sequence, status.rollback?.outcome === undefined ? status.rollback?.sequence : undefined].filter(
    (one) => one !== undefined,
  );
  // The sequence has no gaps: what was taken is finished or under way, each once.
  const all = [...history.map((entry) => entry.sequence), ...open].sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: status.sequence ?? 0 }, (_, index) => index + 1));
  // What has the traffic is what the status says, and it runs.
  if (status.active) {
    expect(world.selects).toBe(status.active.revision);
    expect(world.children.has(status.active.revision)).toBe(true);
  }
  // Nothing quarantined serves once a return has ended well.
  if (status.rollback?.outcome === "Verified" && status.rollback.to?.revision === status.active?.revision) {
    expect((status.quarantine ?? []).some((entry) => entry.hash === status.active?.hash)).toBe(false);
  }
  // Exactly the conditions of kstatus that go together.
  const is = (type: string) => world.condition(type)?.status === "True";
  if (is("Ready")) expect([is("Reconciling"), is("Stalled")]).toEqual([false, false]);
  expect(is("Stalled") && is("Reconciling")).toBe(false);
  for (const one of status.conditions ?? []) expect(Number.isInteger(one.observedGeneration)).toBe(true);
  expect(JSON.stringify(status).length).toBeLessThan(32 * 1024);
  expect(ModelDeploymentStatusSchema.safeParse(status).error).toBeUndefined();
}

describe("whatever happens", () => {
  test("sequences have no gaps, phases follow the table, traffic is where the status says, passes come to rest", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), (story) => void play(story)),
      { numRuns: 60 },
    );
  });

  test("no healthy revision is rolled back by itself: with good or unknown metrics no return begins", () => {
    const harmless = step.filter(
      (one) =>
        one.do !== "revoke" && !(one.do === "ask" && one.kind === "rollbackTo") && !(one.do === "metric" && one.value === 0.5),
    );
    fc.assert(
      fc.property(fc.array(harmless, { minLength: 5, maxLength: 25 }), (story) => {
        const world = play(story);
        expect((world.status.history ?? []).filter((entry) => entry.action === "Return")).toEqual([]);
        expect(world.status.quarantine ?? []).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  test("nothing is proven on unknown data", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 3, maxLength: 20 }), (story) => {
        const dark = story.filter((one) => one.do !== "metric" && !(one.do === "ask" && one.kind === "promote"));
        const world = new World().version("v1").version("v2").version("v3");
        world.measure = () => ({ kind: "Error", message: "refused" });
        world.run(2000);
        for (const one of dark) {
          if (one.do === "pin") world.pin(one.version);
          world.run(one.do === "wait" ? one.seconds * 1000 : 500);
        }
        expect(world.revisions.filter((known) => known.provenAt !== undefined)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  test("deciding is pure: the same snapshot at the same time gives the same answer and is left as it was", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 3, maxLength: 15 }), (story) => {
        const world = play(story);
        const snapshot = world.snapshot();
        const before = JSON.stringify(snapshot);
        expect(decide(snapshot, world.now)).toEqual(decide(snapshot, world.now));
        expect(JSON.stringify(snapshot)).toBe(before);
      }),
      { numRuns: 30 },
    );
  });
});

test("a metric that swings around its threshold at any period causes at most one incident a cooldown, and never A→B→A→B", () => {
  for (const period of [2, 5, 11, 30, 61]) {
    const world = new World().version("v1").version("v2").run(20_000).pin("v2").run(40_000);
    const start = world.now;
    world.measure = () => ({ kind: "Value", value: Math.floor((world.now - start) / (period * 1000)) % 2 === 0 ? 0.5 : 0.01 });
    world.run(180_000);
    const moves = world.traffic.slice(2).map((one) => one.version);
    expect(moves.length).toBeLessThanOrEqual(1);
  }
});

test("a ratio's confidence sequence errs at most 5 % over all looks together", () => {
  let wrong = 0;
  let seed = 7;
  const random = () => {
    // mulberry32: small, fixed, and the same everywhere.
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  for (let series = 0; series < 400; series++) {
    let hits = 0;
    for (let look = 1; look <= 300; look++) {
      for (let i = 0; i < 10; i++) hits += random() < 0.02 ? 1 : 0;
      if (position(hits, look * 10, 0.02, 0.95) === "Above") {
        wrong++;
        break;
      }
    }
  }
  expect(wrong / 400).toBeLessThanOrEqual(0.05);
});

describe("the hash of a revision", () => {
  const content = {
    artifact: { uri: "s3://b/m.onnx", digest: `sha256:${"a".repeat(64)}`, format: "onnx", load: "Fetch" },
    template: { spec: { containers: [{ name: "server" }] } },
    modelPath: "/models",
    configMaps: {},
  };

  test("is fixed by golden values", () => {
    expect(revisionHash(content)).toBe("be150567346da8a0");
  });

  test("covers what would run and nothing else", () => {
    expect(revisionHash({ ...content, configMaps: { settings: "1" } })).not.toBe(revisionHash(content));
    expect(revisionHash({ ...content, serving: { args: ["--threads=2"] } })).not.toBe(revisionHash(content));
    expect(revisionHash({ ...content, artifact: { ...content.artifact, digest: `sha256:${"b".repeat(64)}` } })).not.toBe(
      revisionHash(content),
    );
    expect(revisionHash({ modelPath: "/models", configMaps: {}, template: content.template, artifact: content.artifact })).toBe(
      revisionHash(content),
    );
  });
});
