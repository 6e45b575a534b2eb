// What is kept and what is let go over a long life: revisions, quarantine, history.

import { afterEach, expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import type { Context } from "../../src/core/context.ts";
import { keepSmall } from "../../src/core/history.ts";
import type { KnownRevision } from "../../src/core/snapshot.ts";
import { closeReturn, openReturn, quarantine } from "../../src/core/transitions.ts";
import { check, policy, proven, type World } from "../core/world.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { atRest, begin, closeAll, guarding, pinned, prepare, version, writesFrom } from "./story.ts";

afterEach(closeAll);

const kept = (simulation: Simulation) =>
  simulation.server
    .list(IDS.revisions, "default")
    .filter((one) => !one.metadata.name.includes("policy"))
    .map((one) => one.metadata.name)
    .filter((name) => /^toy-r\d+$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));

test("the newest ten proven ones keep their ControllerRevision", { timeout: 120_000 }, async () => {
  const simulation = await guarding();
  simulation.errorShare = () => 0.01;
  for (let i = 2; i <= 12; i++) {
    await simulation.apply(version(`v${i}`));
    await simulation.apply(pinned(`v${i}`));
    await simulation.until(
      `v${i} proven`,
      ({ status }) => status?.lastHealthy?.version === `v${i}` && status.phase === "Guarding",
    );
  }
  await atRest(simulation);
  expect(kept(simulation)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((revision) => `toy-r${revision}`));
});

test("the rendered template is kept and never rendered again: another operator's fetch image restarts no model, and a return brings the old one back", async () => {
  const fetched = (name: string) => {
    const made = version(name) as { spec: { artifact: object } };
    return { ...made, spec: { ...made.spec, artifact: { ...made.spec.artifact, load: "Fetch" } } };
  };
  const simulation = begin();
  simulation.errorShare = () => 0.01;
  await prepare(simulation);
  for (const name of ["f1", "f2"]) await simulation.apply(fetched(name));
  await simulation.apply(pinned("f1"));
  await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
  await atRest(simulation);
  const image = (name: string) => {
    const { template } = simulation.get(IDS.children, name).spec as {
      template: { spec: { initContainers: { name: string; image: string }[] } };
    };
    return template.spec.initContainers.find((one) => one.name === "rollguard-fetch")?.image;
  };
  expect(image("toy-r1")).toBe("rollguard");
  simulation.running().kill();
  simulation.operator({ fetchImage: "rollguard:next" });
  const written = writesFrom(simulation);
  await simulation.clock.advance(60_000);
  expect(written().filter((name) => name !== "PUT modeldeployments toy status")).toEqual([]);
  await simulation.apply(pinned("f2"));
  await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "f2" && status.phase === "Guarding");
  expect([image("toy-r1"), image("toy-r2")]).toEqual(["rollguard", "rollguard:next"]);
  simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
  await simulation.until("returned", ({ status }) => status?.phase === "RolledBack");
  expect(image("toy-r1")).toBe("rollguard");
});

test("while nothing was ever proven, the last active one that did not breach keeps its Deployment and its ControllerRevision", async () => {
  const simulation = begin();
  // Nothing is proven without samples.
  simulation.errorShare = () => undefined;
  await prepare(simulation);
  await simulation.apply(pinned("v1"));
  await simulation.until("baking", ({ status }) => status?.phase === "Baking");
  await simulation.apply(pinned("v2"));
  await simulation.until("baking", ({ status }) => status?.active?.version === "v2");
  await atRest(simulation);
  expect(simulation.deployment()?.status?.standby).toMatchObject({ version: "v1", standing: "Unproven" });
  expect(kept(simulation)).toEqual(["toy-r1", "toy-r2"]);
  expect(simulation.get(IDS.children, "toy-r1").spec?.replicas).toBe(2);
});

/** What the rules work on, over the status of a world. */
function contextOf(world: World): Context {
  const status = structuredClone(world.status);
  const snapshot = world.snapshot();
  return {
    snapshot,
    now: world.now,
    before: world.status,
    status,
    active: undefined,
    candidate: undefined,
    events: [],
    held: [],
    wake: [],
  };
}

test("a quarantine entry that matches the pin is never dropped", () => {
  const world = proven();
  world.measure = (_check, name) => ({ kind: "Value", value: name === "v2" ? 0.5 : 0.01 });
  world.pin("v2").run(40_000);
  const context = contextOf(world);
  for (let i = 0; i < 1000; i++) {
    const ref = { version: `b${i}`, revision: 10 + i, hash: `h${i}`, artifactDigest: `sha256:${i}` };
    quarantine(context, ref, "Breached", "x".repeat(256));
  }
  expect(context.status.quarantine?.[0]).toMatchObject({ version: "v2" });
  expect(context.status.quarantine?.at(-1)).toMatchObject({ version: "b999" });
  expect(JSON.stringify(context.status.quarantine).length).toBeLessThan(6 * 1024);
});

test("the status stays below 32 KiB after 10,000 rollbacks", { timeout: 120_000 }, () => {
  const world = proven();
  world.pin("v2").run(40_000);
  const context = contextOf(world);
  const { status, snapshot } = context;
  const target = snapshot.revisions.find((one) => one.revision === 1) as KnownRevision;
  const recorded = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    const message = `error-ratio 0.31 (≤ 0.02): ${"x".repeat(900)}`;
    openReturn(context, { target, trigger: "Breach", reason: "Breached", message, check: "error-ratio", warm: true });
    quarantine(
      context,
      { version: `b${i}`, revision: 10 + i, hash: `h${i}`, artifactDigest: `sha256:${"0".repeat(64)}` },
      "Breached",
      message,
    );
    closeReturn(context, "Verified", "Verified", "every Critical check is within its limits");
    keepSmall(status, 100, recorded);
    recorded.add(status.sequence ?? 0);
  }
  // The real decision writes what is derived on top of it.
  world.deployment.status = status;
  world.run(5000);
  expect(world.status.sequence).toBeGreaterThanOrEqual(10_002);
  expect(world.status.history?.at(-1)).toMatchObject({ sequence: 10_002 });
  // Few checks leave much to the history: 24 KiB of it at most, and nearly as much as there is.
  expect(size(world.status.history)).toBeLessThanOrEqual(24 * 1024);
  expect(size(world.status)).toBeGreaterThan(28 * 1024);
  small(world);
});

const size = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

function small(world: World): void {
  expect(size(world.status)).toBeLessThan(32 * 1024);
  expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
}

/** Forty checks, as many as a status has room for of each of two revisions. */
const FORTY = policy({
  checks: Array.from({ length: 40 }, (_, index) =>
    check({
      name: `latency-of-the-endpoint-number-${index}`,
      source: "prometheus-of-the-team",
      threshold: { max: 0.5 },
      measures: "12345678",
    }),
  ),
});

/** v1 is proven; its successors come by canary. */
function canaries(): World {
  const world = proven({
    replicas: 4,
    strategy: {
      type: "Canary",
      canary: {
        steps: [
          { weight: 20, hold: "20s" },
          { weight: 50, hold: "20s" },
        ],
      },
      drain: "5s",
      progressDeadline: "60s",
      standby: { replicas: "100%", for: "1h" },
    },
  });
  world.policy = FORTY;
  return world;
}

test("the status stays below 32 KiB with 40 checks of two revisions during a canary, and each transition is recorded", {
  timeout: 120_000,
}, () => {
  const world = canaries();
  let most = 0;
  for (let i = 2; i < 10; i++) {
    // Every other one is taken back at its second step.
    const bad = (version: string) => i % 2 === 1 && version === `v${i}` && world.status.rollout?.step === 1;
    world.measure = (_check, version) => ({ kind: "Value", value: bad(version) ? 0.612345678901234 : 0.012345678901234 * i });
    world.version(`v${i}`).pin(`v${i}`);
    for (let passed = 0; passed < 90_000; passed += 500) {
      world.run(500);
      most = Math.max(most, world.status.checks?.length ?? 0);
      small(world);
    }
  }
  expect(most).toBe(80);
  expect(world.status.sequence).toBe(9);
  expect([...world.cluster.recorded].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  // What is left is the history's.
  expect(world.status.history?.at(-1)).toMatchObject({ sequence: 9, outcome: "Rejected" });
  expect(world.status.history?.at(-1)?.checks).toHaveLength(40);
});

test("80 checks with long messages: the longest are shortened, and the status stays below 32 KiB", { timeout: 120_000 }, () => {
  const world = canaries();
  world.pin("v2");
  while (world.status.checks?.length !== 80) world.run(500);
  const message = `dial tcp: lookup prometheus-of-the-team.monitoring.svc.cluster.local: ${"no such host; ".repeat(20)}`;
  world.measure = (one) => ({ kind: "Error", message: one.name.endsWith("-7") ? "refused" : message });
  for (let passed = 0; passed < 20_000; passed += 500) {
    world.run(500);
    small(world);
  }
  const lines = world.status.checks ?? [];
  expect(lines).toHaveLength(80);
  expect(new Set(lines.map((line) => line.verdict))).toEqual(new Set(["ProviderError"]));
  // They still begin as they did, and the short ones are whole as long as the others have something to give.
  for (const line of lines) expect(line.message).toMatch(/^the source does/);
  const told = world.writes;
  world.run(20_000);
  expect(world.writes).toBe(told);
});

test("a return with 40 checks while the next candidate is judged too: below 32 KiB, and recorded with what was breached", {
  timeout: 120_000,
}, () => {
  const world = canaries();
  world.measure = () => ({ kind: "Value", value: 0.012345678901234 });
  world.pin("v2").run(120_000);
  expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v2" } });
  const first = FORTY.checks[0]?.name;
  world.measure = (one, version) => ({ kind: "Value", value: version === "v2" && one.name === first ? 0.9 : 0.012345678901234 });
  while (!world.status.rollback) world.run(500);
  world.pin("v3");
  let most = 0;
  while (world.status.rollback?.outcome === undefined) {
    world.run(500);
    most = Math.max(most, world.status.checks?.length ?? 0);
    small(world);
  }
  expect(most).toBe(80);
  const entry = world.status.history?.find((one) => one.action === "Return");
  expect(entry).toMatchObject({ outcome: "Verified" });
  expect(entry?.checks).toContainEqual(expect.objectContaining({ name: first, verdict: "Breached" }));
});

test("entries without a record go last, and the newest of them never", () => {
  const { status, now } = proven();
  const entries = Array.from({ length: 12 }, (_, index) => ({
    ...(status.history ?? [])[0],
    sequence: index + 1,
    message: "x".repeat(1000),
  })) as NonNullable<typeof status.history>;
  const recorded = new Set([1, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
  const left = (limit: number, more: object = {}, history = entries) => {
    const draft = { ...structuredClone(status), history, ...more };
    keepSmall(draft, limit, recorded);
    return draft.history.map((entry) => entry.sequence);
  };
  expect(left(100)).toEqual(entries.map((entry) => entry.sequence));
  expect(left(4)).toEqual([3, 10, 11, 12]);
  expect(left(1)).toEqual([12]);
  // A status that has room for no more than 4 KiB of it, and for less than the newest: what nobody has recorded yet is not lost.
  const name = "n".repeat(63);
  const line = { name, source: "s".repeat(253), severity: "Critical", verdict: "Healthy", revision: 1, since: String(now) };
  const full = { checks: Array(80).fill(line) };
  expect(left(100, full)).toEqual([3, 12]);
  const large = entries.map((entry) => ({ ...entry, message: "x".repeat(5000) }));
  expect(left(100, full, large)).toEqual([12]);
});
