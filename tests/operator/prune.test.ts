// The audit trail within its limits, with the real operator: what is deleted, at which pace, by whom, and what is never.

import { afterEach, describe, expect, test } from "vitest";
import { PRUNE_AT_ONCE, PRUNE_EVERY_MS } from "../../src/controllers/prune.ts";
import type { StoredObject } from "../../src/sandbox/api.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { begin, closeAll, guardingTwo, pinned, prepare } from "./story.ts";

afterEach(closeAll);

const DAY = 86_400_000;

/** A record of a transition of `name` that ended so many days ago, as an earlier operator left it. */
async function record(simulation: Simulation, name: string, sequence: number, daysAgo: number, revision = 1): Promise<void> {
  const at = new Date(simulation.clock.now() - daysAgo * DAY).toISOString();
  await simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RolloutRecord",
    metadata: { name: `${name}-${sequence}`, namespace: "default", labels: { "rollguard.dev/deployment": name } },
    spec: {
      deployment: { name, uid: "an-earlier-one" },
      sequence,
      action: "Rollout",
      outcome: "Proven",
      trigger: "Pin",
      reason: "Proven",
      to: { version: "v1", revision, hash: "0", artifactDigest: `sha256:${"1".padStart(64, "0")}` },
      startedAt: at,
      finishedAt: at,
    },
  });
}

const keeping = (simulation: Simulation, records: { keep?: number; maxAge?: string }) =>
  simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RollguardConfig",
    metadata: { name: "cluster" },
    spec: { records },
  });

const records = ({ server }: Simulation) =>
  server.list(IDS.records) as unknown as (StoredObject & { spec: { sequence: number } })[];
const left = (simulation: Simulation, name: string) =>
  records(simulation)
    .filter((one) => one.metadata.labels?.["rollguard.dev/deployment"] === name)
    .map((one) => one.spec.sequence)
    .sort((a, b) => a - b);
const deletions = ({ writes }: Simulation) =>
  writes.filter(({ method, path }) => method === "DELETE" && path.resource === "rolloutrecords");

describe("records beyond their limits are pruned", () => {
  test("by count and age, oldest first, never the last one, the one with the highest revision, or what a status shows", async () => {
    const simulation = begin();
    await prepare(simulation);
    for (const sequence of [1, 2, 3, 4, 5, 6, 7]) await record(simulation, "busy", sequence, 1, sequence);
    for (const sequence of [1, 2, 3]) await record(simulation, "idle", sequence, 401, sequence === 1 ? 9 : sequence);
    await record(simulation, "toy", 1, 500, 1);
    await guardingTwo(simulation);
    expect(simulation.deployment()?.status?.history?.map((entry) => entry.sequence)).toEqual([2, 3]);
    await keeping(simulation, { keep: 1 });
    await simulation.clock.advance(PRUNE_EVERY_MS);
    // The last one, and the one with the highest revision: of the idle one another than of the busy one.
    expect(left(simulation, "busy")).toEqual([7]);
    expect(left(simulation, "idle")).toEqual([1, 3]);
    expect(left(simulation, "toy")).toEqual([2, 3]);
    const [first, ...others] = deletions(simulation).map(({ path }) => path.name);
    expect([first, others[0]]).toEqual(["toy-1", "idle-2"]);
    expect(others.slice(1)).toEqual([1, 2, 3, 4, 5, 6].map((sequence) => `busy-${sequence}`));
    // What was shown was not deleted and made anew either.
    const before = simulation.writes.length;
    await simulation.clock.advance(3 * PRUNE_EVERY_MS);
    expect(simulation.writes.slice(before).filter(({ path }) => path.resource === "rolloutrecords")).toEqual([]);
  });

  test("without a RollguardConfig by its defaults, 1000 records and 400 days; numbers go on from what is left", async () => {
    const simulation = begin();
    await prepare(simulation);
    for (const sequence of [1, 2, 3]) await record(simulation, "toy", sequence, 401, 10 - sequence);
    await record(simulation, "other", 1, 399);
    await record(simulation, "other", 2, 1);
    await simulation.clock.advance(2 * PRUNE_EVERY_MS);
    expect(left(simulation, "toy")).toEqual([1, 3]);
    expect(left(simulation, "other")).toEqual([1, 2]);
    await simulation.apply(pinned("v1"));
    const { status } = await simulation.until("proven", (one) => one.status?.phase === "Guarding");
    expect([status?.sequence, status?.active?.revision]).toEqual([4, 10]);
  });
});

describe("what is pruned is pruned with care", () => {
  /** So many that one look does not do. */
  const MANY = 2 * PRUNE_AT_ONCE + 11;

  async function many(operators = 1): Promise<Simulation> {
    const simulation = begin(0);
    for (let sequence = 1; sequence <= MANY; sequence++) await record(simulation, "busy", sequence, 1);
    await keeping(simulation, { keep: 1 });
    // They find what is beyond the limits when they begin.
    for (let count = 0; count < operators; count++) simulation.operator();
    return simulation;
  }

  test("at a pace: none in the first minute, then no more than so many a minute, by the leader alone", async () => {
    const simulation = await many(2);
    await simulation.clock.advance(PRUNE_EVERY_MS - 5000);
    expect(left(simulation, "busy")).toHaveLength(MANY);
    const counts: number[] = [];
    for (let minute = 0; minute < 4; minute++) {
      await simulation.clock.advance(PRUNE_EVERY_MS);
      counts.push(left(simulation, "busy").length);
    }
    expect(counts).toEqual([MANY - PRUNE_AT_ONCE, MANY - 2 * PRUNE_AT_ONCE, 1, 1]);
    expect(new Set(deletions(simulation).map(({ by }) => by.name)).size).toBe(1);
  });

  test("only what was looked at: each deletion names uid and resource version, and one that was made anew stays", async () => {
    const simulation = await many();
    const uidOf = (name: string) => simulation.get(IDS.records, name).metadata.uid;
    const before = uidOf("busy-1");
    let remade = false;
    simulation.onWrite = ({ method, path }) => {
      if (remade || method !== "DELETE" || path.name !== "busy-1") return undefined;
      remade = true;
      const live = simulation.get(IDS.records, "busy-1");
      simulation.server.delete(IDS.records, "default", "busy-1");
      const { uid: _uid, resourceVersion: _version, ...metadata } = live.metadata;
      simulation.server.create(IDS.records, { ...live, metadata } as never);
      return undefined;
    };
    await simulation.clock.advance(PRUNE_EVERY_MS + 5000);
    expect(remade).toBe(true);
    expect(left(simulation, "busy")).toHaveLength(MANY - PRUNE_AT_ONCE + 1);
    expect(uidOf("busy-1")).not.toBe(before);
    for (const { body } of deletions(simulation))
      expect(JSON.parse(body).preconditions).toEqual({ uid: expect.any(String), resourceVersion: expect.any(String) });
  });

  test("what fails is not tried again before the next look", async () => {
    const simulation = await many();
    simulation.onWrite = ({ method }) => (method === "DELETE" ? { before: { do: "refuse", status: 500 } } : undefined);
    await simulation.clock.advance(PRUNE_EVERY_MS + 30_000);
    expect(left(simulation, "busy")).toHaveLength(MANY);
    expect(deletions(simulation).length).toBeLessThanOrEqual(3);
    simulation.onWrite = undefined;
    await simulation.clock.advance(PRUNE_EVERY_MS);
    expect(left(simulation, "busy")).toHaveLength(MANY - PRUNE_AT_ONCE);
  });
});
