// One operator succeeds another: at once after SIGTERM, with caches that were filled while it stood by, and never before.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { IDS, isRenewal, nameOf, type Simulation } from "./simulated.ts";
import { atRest, begin, closeAll, endOf, guardingTwo, pinned, version } from "./story.ts";

beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(async () => {
  await closeAll();
  vi.restoreAllMocks();
});

const LISTED = ["modeldeployments", "pods", "deployments", "services", "endpointslices", "controllerrevisions"];

/** v2 serves; of two operators the first leads. Answers to reads take as long as on a cluster with much in it. */
async function twoOperators(): Promise<Simulation> {
  const simulation = await guardingTwo(begin(2));
  simulation.onRead = ({ resource, name }) => {
    if (name !== "" || !LISTED.includes(resource)) return undefined;
    return { before: { do: "delay", ms: resource === "modeldeployments" ? 200 : 3000 } };
  };
  return simulation;
}

/** What an operator asked the server to change; telling what was decided, with an id that makes it one event, changes nothing. */
const writesOf = (simulation: Simulation, operator: string) =>
  simulation.writes
    .filter((write) => write.by.name === operator && !isRenewal(write) && write.path.resource !== "events")
    .map(nameOf);

// Two operators are played, each with all its watches.
const LIMIT = { timeout: 120_000 };

describe("the leader is ended by SIGTERM", () => {
  test("its successor acts within a second, although to list everything takes longer", async () => {
    const simulation = await twoOperators();
    await simulation.apply(version("v3"));
    simulation.writes[0]?.by.stop();
    // Nobody leads for a moment: what changes then is not lost.
    await simulation.apply(pinned("v3"));
    await simulation.clock.advance(1000);
    expect(simulation.deployment()?.status?.candidate?.version).toBe("v3");
    expect(writesOf(simulation, "operator-2")).toContain("PUT modeldeployments toy status");
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v3");
  });

  test("in the middle of a return: the successor moves the traffic within a second", async () => {
    const simulation = await twoOperators();
    let stopped = false;
    // The decision is written, and nothing of it is done.
    simulation.onWrite = (write) => {
      const decided = simulation.deployment()?.status?.phase === "RollingBack";
      if (!decided || write.by.name !== "operator-1" || isRenewal(write) || write.path.resource === "events") return undefined;
      stopped = true;
      write.by.stop();
      return { before: { do: "refuse", status: 503, reason: "ServiceUnavailable" } };
    };
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    while (!stopped) await simulation.clock.advance(50);
    expect(simulation.traffic).toEqual([1, 2]);
    await simulation.clock.advance(1000);
    expect(simulation.traffic).toEqual([1, 2, 1]);
    await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
    expect(simulation.deployment()?.status?.returns).toHaveLength(1);
  });
});

describe("an operator that stands by", LIMIT, () => {
  test("writes nothing, whatever happens around it", async () => {
    const simulation = await twoOperators();
    await simulation.apply(version("v3"));
    await simulation.apply(pinned("v3"));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v3");
    simulation.server.delete(IDS.services, "default", "toy");
    await atRest(simulation);
    expect(writesOf(simulation, "operator-2")).toEqual([]);
  });

  test("whose watches have silently died decides on what is there, and not on what it had seen", async () => {
    const simulation = begin();
    await guardingTwo(simulation);
    const standby = simulation.operator();
    await simulation.clock.advance(2000);
    // Its watches are opened and nothing comes of them; the lease's is well.
    let silent = true;
    simulation.onRead = (path, by) =>
      silent && by === standby && path.resource !== "leases" ? { before: { do: "hang" } } : undefined;
    simulation.server.dropWatches();
    await simulation.clock.advance(500);
    await simulation.apply(version("v3"));
    await simulation.apply(pinned("v3"));
    await simulation.until("v3 serves", ({ status }) => status?.active?.version === "v3" && status.phase === "Baking", 20_000);
    silent = false;
    simulation.writes[0]?.by.stop();
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v3");
    await atRest(simulation);
    expect(simulation.traffic).toEqual([1, 2, 3]);
    expect(writesOf(simulation, standby.name)).toContain("PUT modeldeployments toy status");
  });
});

describe("a leader that wakes late", LIMIT, () => {
  test.each([
    ["while it guards", "Guarding"],
    ["when its decision is written and nothing of it is done", "RollingBack"],
  ] as const)("writes nothing and ends: paused %s", async (_words, phase) => {
    const simulation = await guardingTwo(begin(2));
    const [late] = simulation.operators;
    let paused = false;
    simulation.onWrite = (write) => {
      const decides = write.path.subresource === "status" && write.body.includes(`"phase":"${phase}"`);
      if (!paused && phase === "RollingBack" && decides) {
        paused = true;
        write.by.pause();
      }
      return undefined;
    };
    if (phase === "Guarding") late?.pause();
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
    await simulation.apply(version("v3"));
    await simulation.apply(pinned("v3"));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v3");
    await atRest(simulation);
    const before = writesOf(simulation, "operator-1").length;
    const end = endOf(simulation);
    let ended = false;
    void late?.ended.then(() => {
      ended = true;
    });
    await late?.wake();
    await atRest(simulation);
    expect(writesOf(simulation, "operator-1").slice(before)).toEqual([]);
    expect(endOf(simulation)).toEqual(end);
    expect(ended).toBe(true);
    expect(simulation.traffic).toEqual([1, 2, 1, 3]);
  });
});
