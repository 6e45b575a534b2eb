// Kills, lost answers and conflicts at every write of the operator, in simulated time.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Faults } from "../../src/sandbox/apiserver/index.ts";
import { IDS, nameOf, Simulation, type Write } from "./simulated.ts";
import { begin, closeAll, mainJob, touch } from "./story.ts";

// Set, every write is tried in every way; otherwise each write in one of the ways, in turn, which takes a third of the time.
const EVERY_WAY = process.env.ROLLGUARD_TEST_EVERY_CRASH !== undefined;
const LIMIT = 180_000;

beforeEach(() => {
  // What is random (back-off, jitter) must repeat, so that the n-th write of one run is the n-th of the next.
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(async () => {
  await closeAll();
  vi.restoreAllMocks();
});

const WAYS = ["before it is committed", "after it is committed", "and it is committed after the successor began"] as const;

describe("killed at any request", () => {
  test("Killed after any request, before or after the server committed it: the same end state as without the kill, no double rollback, no lost entry", {
    timeout: LIMIT,
  }, async () => {
    const whole = begin();
    const expected = await mainJob(whole);
    expect(expected).toMatchObject({
      phase: "RolledBack",
      traffic: [1, 2, 1],
      history: [
        "1 Rollout  to r1 v1 Proven Pin",
        "2 Rollout r1 v1 to r2 v2 RolledBack Pin",
        "3 Return r2 v2 to r1 v1 Verified Breach",
      ],
      records: [
        "toy-1: 1 Rollout  to r1 v1 Proven Pin",
        "toy-2: 2 Rollout r1 v1 to r2 v2 RolledBack Pin",
        "toy-3: 3 Return r2 v2 to r1 v1 Verified Breach",
      ],
      quarantine: ["r2 v2 Breached"],
      children: ["toy-r1 2"],
    });
    // What comes after the last record are renewals of the lease.
    const last = whole.writes.findLastIndex((write) => write.path.resource !== "leases");
    const points = whole.writes.slice(0, last + 1).map(nameOf);
    expect(points.length).toBeGreaterThan(50);
    const different: string[] = [];
    for (const [index, name] of points.entries()) {
      for (const [place, way] of WAYS.entries()) {
        if (!EVERY_WAY && place !== index % WAYS.length) continue;
        const { end, killed } = await killedAt(index, way);
        // A run that never came to this write proves nothing.
        if (killed !== name) different.push(`write ${index}: ${killed} in place of ${name}`);
        else if (!equals(end, expected)) different.push(`killed at write ${index} (${name}) ${way}: ${JSON.stringify(end)}`);
      }
    }
    expect(different).toEqual([]);
  });

  test("on SIGTERM the lease is released and the successor goes on where it stands, in the middle of a return", async () => {
    const simulation = begin();
    let stopped = 0;
    simulation.onWrite = (write) => {
      if (stopped === 0 && simulation.deployment()?.status?.phase === "RollingBack" && write.path.resource === "services") {
        stopped = simulation.clock.monotonic();
        write.by.stop();
        simulation.operator();
      }
      return undefined;
    };
    const end = await mainJob(simulation);
    expect(stopped).toBeGreaterThan(0);
    expect(end).toMatchObject({ phase: "RolledBack", traffic: [1, 2, 1], returns: 1 });
    const successor = simulation.writes.find((write) => write.by.name === "operator-2");
    expect(successor).toBeDefined();
  });

  test("two operators, of which one leads: the same end", async () => {
    expect(await mainJob(begin(2))).toEqual(await mainJob(begin()));
  });
});

async function killedAt(index: number, way: (typeof WAYS)[number]): Promise<{ end: object; killed: string }> {
  const simulation = new Simulation();
  simulation.operator();
  let killed = "";
  simulation.onWrite = (write, place) => {
    if (killed !== "" || place !== index) return undefined;
    killed = nameOf(write);
    write.by.kill();
    simulation.operator();
    switch (way) {
      case "before it is committed":
        return { before: { do: "hang" } };
      case "after it is committed":
        return undefined;
      default:
        // The lease is good for ten seconds; then the successor acts, and only then does this one arrive.
        return { before: { do: "delay", ms: 11_500 } };
    }
  };
  try {
    return { end: await mainJob(simulation), killed };
  } catch (error) {
    return { end: { error: String(error) }, killed };
  } finally {
    await simulation.close();
  }
}

function equals(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

describe("answers that say nothing", () => {
  /** The end without any fault; made once. */
  let expected: object | undefined;
  const about: Record<string, (write: Write) => boolean> = {
    "status writes": ({ path }) => path.resource === "modeldeployments",
    "Service writes": ({ path }) => path.resource === "services",
    "child writes": ({ path }) => path.resource === "deployments",
    "ControllerRevision writes": ({ path }) => path.resource === "controllerrevisions",
    "record writes": ({ path }) => path.resource === "rolloutrecords",
    "all writes": ({ path }) => path.resource !== "leases",
  };
  const lost: Record<string, Faults> = {
    "500 after the commit": { after: { do: "refuse", status: 500, reason: "InternalError" } },
    "500 before the commit": { before: { do: "refuse", status: 500, reason: "InternalError" } },
    "429 with Retry-After": { before: { do: "refuse", status: 429, reason: "TooManyRequests", retryAfterSeconds: 2 } },
    "a cut connection after the commit": { after: { do: "reset" } },
    "no answer at all": { after: { do: "hang" } },
  };
  const cases = Object.keys(about).flatMap((what) => Object.keys(lost).map((how) => ({ what, how })));

  test.each(cases)("$how, at every other of the $what: the same end", async ({ what, how }) => {
    expected ??= await mainJob(begin());
    const simulation = begin();
    let met = 0;
    let hit = 0;
    simulation.onWrite = (write) => {
      if (!about[what]?.(write) || met++ % 2 === 1) return undefined;
      hit++;
      return lost[how];
    };
    expect(await mainJob(simulation)).toEqual(expected);
    expect(hit).toBeGreaterThan(1);
  });

  test("every event is told, also where what follows the decision fails at first", async () => {
    const told = async (simulation: Simulation) => {
      await mainJob(simulation);
      return simulation.server.list(IDS.events, "default").map((event) => (event as { reason?: string }).reason);
    };
    const expected = (await told(begin())).sort();
    const simulation = begin();
    const failed = new Set<string>();
    simulation.onWrite = (write) => {
      const key = `${nameOf(write)} ${simulation.deployment()?.status?.phase} ${simulation.deployment()?.status?.sequence}`;
      if (write.path.group === "rollguard.dev" || write.path.resource === "leases" || failed.has(key)) return undefined;
      failed.add(key);
      return { before: { do: "refuse", status: 500, reason: "InternalError" } };
    };
    expect((await told(simulation)).sort()).toEqual(expected);
  });

  test.each([
    ["modeldeployments", IDS.deployments],
    ["services", IDS.services],
    ["deployments", IDS.children],
    ["controllerrevisions", IDS.revisions],
  ] as const)("409 is retried on fresh data: %s change under every other write of them", async (resource, id) => {
    expected ??= await mainJob(begin());
    const simulation = begin();
    let met = 0;
    simulation.onWrite = ({ path, method }) => {
      if (path.resource !== resource || method === "POST" || met++ % 2 === 1) return undefined;
      const live = simulation.server.get(id, "default", path.name);
      if (live) touch(simulation, id, live, String(met));
      return undefined;
    };
    expect(await mainJob(simulation)).toEqual(expected);
    expect(simulation.conflicts).toBeGreaterThan(0);
  });
});
