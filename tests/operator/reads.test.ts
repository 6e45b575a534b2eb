// Reads that fail in every way that reads can fail, in simulated time.

import { describe, expect, test } from "vitest";
import type { FaultAction } from "../../src/sandbox/apiserver/index.ts";
import { begin, endOf, guardingTwo, mainJob, pinned, repeatable, version, writesFrom } from "./story.ts";

const LIMIT = 180_000;

repeatable();

describe("reads that fail", () => {
  const errors: Record<string, FaultAction> = {
    "403": { do: "refuse", status: 403, reason: "Forbidden" },
    "404": { do: "refuse", status: 404, reason: "NotFound" },
    "410": { do: "refuse", status: 410, reason: "Expired" },
    "429": { do: "refuse", status: 429, reason: "TooManyRequests", retryAfterSeconds: 1 },
    "500": { do: "refuse", status: 500, reason: "InternalError" },
    "503": { do: "refuse", status: 503, reason: "ServiceUnavailable" },
    "a cut connection": { do: "reset" },
    silence: { do: "hang" },
  };
  const kinds = [
    "modeldeployments",
    "modelversions",
    "rollbackpolicies",
    "metricsources",
    "rolloutrecords",
    "configmaps",
    "controllerrevisions",
    "deployments",
    "pods",
    "services",
    "endpointslices",
    "nodes",
    "namespaces",
  ];

  test.each(Object.keys(errors))(
    "any read error causes no change: %s, of each kind, at the start of an operator",
    {
      timeout: LIMIT,
    },
    async (name) => {
      const error = errors[name];
      const simulation = await guardingTwo();
      const before = endOf(simulation);
      const written = writesFrom(simulation);
      let old = simulation.running();
      let hit = 0;
      for (const kind of kinds) {
        simulation.onRead = (path) => {
          if (path.resource !== kind || !error) return undefined;
          hit++;
          return { before: error };
        };
        old.stop();
        old = simulation.operator();
        await simulation.clock.advance(12_000);
        expect(written(), `${kind} can't be read`).toEqual([]);
        simulation.onRead = undefined;
      }
      expect(hit).toBeGreaterThanOrEqual(kinds.length);
      await simulation.clock.advance(60_000);
      // What a new operator has not measured yet is unknown, and the status says so.
      expect(written().filter((name) => name !== "PUT modeldeployments toy status")).toEqual([]);
      expect(endOf(simulation)).toEqual(before);
    },
  );

  test.each(Object.keys(errors))(
    "any read error causes no change: %s for a minute while guarding; then what was missed is done",
    async (name) => {
      const error = errors[name];
      const simulation = await guardingTwo();
      const before = endOf(simulation);
      const written = writesFrom(simulation);
      simulation.onRead = () => (error ? { before: error } : undefined);
      simulation.server.dropWatches();
      await simulation.apply(version("v3"));
      await simulation.apply(pinned("v3"));
      await simulation.clock.advance(60_000);
      expect(written()).toEqual([]);
      expect(endOf(simulation)).toEqual(before);
      simulation.onRead = undefined;
      await simulation.until("v3 is proven", ({ status }) => status?.lastHealthy?.version === "v3");
    },
  );

  test("every other read fails during the whole job: the same end", async () => {
    const expected = await mainJob(begin());
    const simulation = begin();
    const list = Object.values(errors);
    let reads = 0;
    simulation.onRead = () => {
      const error = list[reads++ % (2 * list.length)];
      return error === undefined ? undefined : { before: error };
    };
    expect(await mainJob(simulation)).toEqual(expected);
    expect(reads).toBeGreaterThan(list.length);
  });

  test("410 and dropped watches during the whole job: the same end", async () => {
    const expected = await mainJob(begin());
    const simulation = begin();
    simulation.onWrite = (_write, index) => {
      if (index % 3 === 0) {
        simulation.server.compact();
        simulation.server.dropWatches();
      }
      return undefined;
    };
    expect(await mainJob(simulation)).toEqual(expected);
  });
});
