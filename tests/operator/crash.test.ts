// Kills, lost answers and conflicts at every write of the operator, in simulated time.

import { describe, expect, test } from "vitest";
import type { Faults } from "../../src/sandbox/apiserver/index.ts";
import { differences, placesIn, WAYS } from "./kills.ts";
import { IDS, nameOf, type Simulation, type Write } from "./simulated.ts";
import { begin, endOf, mainJob, repeatable, toldBy, touch } from "./story.ts";

const LIMIT = 180_000;

repeatable();

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
    const places = placesIn(whole);
    expect(places.length).toBeGreaterThan(50);
    expect(await differences(mainJob, whole, expected, places)).toEqual([]);
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

describe("events", () => {
  const play = async (simulation: Simulation) => {
    await mainJob(simulation);
    // A bake takes long while nobody leads, and that is said, too.
    return toldBy(simulation).filter((line) => !line.startsWith("BakeStarved"));
  };

  test.each(WAYS)(
    "events are told at least once, and told again they are the same one: killed at a request %s",
    async (way) => {
      const whole = begin();
      const expected = await play(whole);
      expect(expected).toEqual([
        "Proven: r1 (v1) is proven",
        "Quarantined: r2 (v2) is quarantined",
        "RolledBack: r2 (v2) is rolled back",
        "RollingBack: returning from r2 (v2) to r1 (v1), warm",
        "RolloutStarted: r1 (v1) is brought up",
        "RolloutStarted: r2 (v2) is brought up",
        "TrafficRestored: all traffic is on r1 (v1)",
        "TrafficSwitched: r1 (v1) takes the traffic and bakes",
        "TrafficSwitched: r2 (v2) takes the traffic and bakes",
        "Verified: the return to r1 (v1) is verified",
      ]);
      // The status writes that have something to tell, what is told, and the records that wait for that.
      const kinds = whole.writes.map((write) => write.path.resource);
      const tells = (place: number) => {
        const next = kinds.indexOf("modeldeployments", place + 1);
        return kinds.slice(place, next < 0 ? undefined : next).includes("events");
      };
      const places = placesIn(whole).filter((place) => {
        const kind = kinds[place] ?? "";
        return kind === "events" || kind === "rolloutrecords" || (kind === "modeldeployments" && tells(place));
      });
      expect(places.length).toBeGreaterThan(15);
      expect(await differences(play, whole, expected, places, [way])).toEqual([]);
    },
    LIMIT,
  );

  test("a status write whose answer is lost: what it said is told all the same", async () => {
    const expected = await play(begin());
    const simulation = begin();
    let lost = 0;
    simulation.onWrite = ({ path }) => {
      if (path.resource !== "modeldeployments") return undefined;
      lost++;
      return { after: { do: "reset" } };
    };
    expect(await play(simulation)).toEqual(expected);
    expect(lost).toBeGreaterThan(10);
  });

  test("an events API that is dead delays no return, and records by ten minutes at most", async () => {
    const simulation = begin();
    simulation.onWrite = ({ path }) => (path.resource === "events" ? { before: { do: "hang" } } : undefined);
    const end = await mainJob(simulation);
    expect(end).toMatchObject({ phase: "RolledBack", traffic: [1, 2, 1], records: [] });
    await simulation.clock.advance(9 * 60_000);
    expect(endOf(simulation)).toMatchObject({ records: [] });
    await simulation.clock.advance(60_000);
    const { history } = end as { history: string[] };
    expect(endOf(simulation)).toMatchObject({ records: history.map((entry, place) => `toy-${place + 1}: ${entry}`) });
    expect(toldBy(simulation)).toEqual([]);
  });

  test("an events API that is dead for five minutes: everything is told, and then recorded", async () => {
    const expected = await play(begin());
    const simulation = begin();
    simulation.onWrite = ({ path }) => (path.resource === "events" ? { before: { do: "refuse", status: 503 } } : undefined);
    await mainJob(simulation);
    await simulation.clock.advance(5 * 60_000);
    expect(endOf(simulation)).toMatchObject({ records: [] });
    simulation.onWrite = undefined;
    await simulation.clock.advance(60_000);
    expect(toldBy(simulation)).toEqual(expected);
    expect((endOf(simulation) as { records: string[] }).records).toHaveLength(3);
  });
});

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
      return toldBy(simulation);
    };
    const expected = await told(begin());
    const simulation = begin();
    const failed = new Set<string>();
    simulation.onWrite = (write) => {
      const key = `${nameOf(write)} ${simulation.deployment()?.status?.phase} ${simulation.deployment()?.status?.sequence}`;
      if (write.path.group === "rollguard.dev" || write.path.resource === "leases" || failed.has(key)) return undefined;
      failed.add(key);
      return { before: { do: "refuse", status: 500, reason: "InternalError" } };
    };
    expect(await told(simulation)).toEqual(expected);
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
