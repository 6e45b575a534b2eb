// Recreate with the real operator in simulated time: never two revisions at once, killed at any write, refused before anything is lost.

import { describe, expect, test } from "vitest";
import { PODS, type Pod } from "../../src/sandbox/controllers/kinds.ts";
import { differences, placesIn } from "./kills.ts";
import { nameOf, type Simulation } from "./simulated.ts";
import { atRest, begin, endOf, guarding, pinned, prepare, repeatable } from "./story.ts";

const strategy = { type: "Recreate", drain: "1s", progressDeadline: "20s" };

repeatable();

/** Notes when pods of two revisions exist at once, ending ones included. */
function watchRoom(simulation: Simulation): () => string[] {
  const alive = new Map<string, string>();
  const together = new Set<string>();
  simulation.server.watch(PODS, ({ type, object }) => {
    const revision = (object as Pod).metadata.labels?.["rollguard.dev/revision"] ?? "";
    if (type === "DELETED") alive.delete(object.metadata.uid);
    else alive.set(object.metadata.uid, revision);
    const now = [...new Set(alive.values())].sort();
    if (now.length > 1) together.add(now.join(" and "));
  });
  return () => [...together];
}

/** v1 is proven; v2 takes its room and does not get ready, and v1 has the room back. */
async function failing(simulation: Simulation): Promise<object> {
  const room = watchRoom(simulation);
  simulation.starts = (revision) => revision !== 2;
  await prepare(simulation);
  await simulation.apply(pinned("v1", { strategy }));
  await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v1" && status.phase === "Guarding");
  await simulation.apply(pinned("v2", { strategy }));
  await simulation.until("back", ({ status }) => status?.phase === "Stalled" && status.rollback?.outcome === "Verified");
  await atRest(simulation);
  return { ...endOf(simulation), together: room() };
}

/** v1 is proven; v2 takes its room, breaches, and v1 has the room and the traffic back. */
async function story(simulation: Simulation): Promise<object> {
  const room = watchRoom(simulation);
  await prepare(simulation);
  await simulation.apply(pinned("v1", { strategy }));
  await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v1" && status.phase === "Guarding");
  await simulation.apply(pinned("v2", { strategy }));
  await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
  await atRest(simulation);
  return { ...endOf(simulation), together: room() };
}

describe("Recreate", () => {
  test("Killed after any request: the old one is gone first, it comes back by itself, and the end is the same", {
    timeout: 180_000,
  }, async () => {
    const whole = begin();
    const expected = await story(whole);
    expect(expected).toMatchObject({
      together: [],
      phase: "RolledBack",
      traffic: [1, 2, 1],
      history: [
        "1 Rollout  to r1 v1 Proven Pin",
        "2 Rollout r1 v1 to r2 v2 RolledBack Pin",
        "3 Return r2 v2 to r1 v1 Verified Breach",
      ],
      children: ["toy-r1 2"],
    });
    expect(await differences(story, whole, expected, placesIn(whole, 0, 3))).toEqual([]);
  });

  test("Killed after any request while the candidate does not get ready: the old one comes back by itself, once", {
    timeout: 180_000,
  }, async () => {
    const whole = begin();
    const expected = await failing(whole);
    expect(expected).toMatchObject({
      together: [],
      phase: "Stalled",
      traffic: [1],
      history: ["1 Rollout  to r1 v1 Proven Pin", "3 Return r2 v2 to r1 v1 Verified Fault"],
      children: ["toy-r1 2", "toy-r2 0"],
    });
    // What comes before is the same as above.
    const first = whole.writes.findIndex(({ path }) => path.resource === "deployments" && path.name === "toy-r2");
    expect(await differences(failing, whole, expected, placesIn(whole, first, 3))).toEqual([]);
  });

  test("a candidate that the API server refuses: a dry run says so before anything is scaled down, and nothing is tried again by itself", async () => {
    const simulation = await guarding({ strategy });
    const refused: string[] = [];
    simulation.onWrite = (write) => {
      if (write.path.resource !== "deployments" || write.path.name !== "toy-r2") return undefined;
      refused.push(nameOf(write));
      return { before: { do: "refuse", status: 422, reason: "Invalid" } };
    };
    await simulation.apply(pinned("v2", { strategy }));
    await simulation.until("stalled", ({ status }) => status?.reason === "InvalidTemplate");
    await simulation.clock.advance(120_000);
    expect(simulation.get({ group: "apps", version: "v1", resource: "deployments" }, "toy-r1").spec?.replicas).toBe(2);
    const many = refused.length;
    expect(many).toBeGreaterThan(0);
    await simulation.clock.advance(600_000);
    expect(refused.length).toBe(many);
    // The template is good again; only a person's retry tries it.
    simulation.onWrite = undefined;
    simulation.errorShare = () => 0.01;
    await simulation.clock.advance(120_000);
    expect(simulation.traffic).toEqual([1]);
    await simulation.apply(pinned("v2", { strategy }, { annotations: { "rollguard.dev/retry": "v2/1" } }));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2");
  });

  test("a candidate whose pods the cluster can't start: the old one comes back, and it is not tried again", async () => {
    const simulation = await guarding({ strategy });
    const room = watchRoom(simulation);
    simulation.starts = (revision) => revision !== 2;
    await simulation.apply(pinned("v2", { strategy }));
    await simulation.until("back", ({ status }) => status?.phase === "Stalled" && status.rollback?.outcome === "Verified");
    expect(simulation.deployment()?.status).toMatchObject({
      reason: "PodNotStarted",
      rollback: { trigger: "Fault", from: { version: "v2" }, to: { version: "v1" }, warm: false },
    });
    expect(simulation.deployment()?.status?.quarantine ?? []).toEqual([]);
    expect(simulation.traffic).toEqual([1]);
    expect(room()).toEqual([]);
    const made = simulation.writes.length;
    simulation.starts = () => true;
    await simulation.clock.advance(600_000);
    expect(simulation.traffic).toEqual([1]);
    expect(simulation.writes.slice(made).filter((write) => write.path.resource !== "leases")).toEqual([]);
  });
});
