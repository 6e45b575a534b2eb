// A restart neither forgets a breach nor invents one: the operator ends at the worst moment and another one goes on, with the
// source's history or without it.

import { afterEach, describe, expect, test } from "vitest";
import { RESOURCES } from "../../src/kube/resources.ts";
import type { ApiRequest } from "../../src/sandbox/apiserver/http.ts";
import type { ApiResponse } from "../../src/sandbox/apiserver/index.ts";
import type { Simulation } from "./simulated.ts";
import { atRest, closeAll, guarding, guardingTwo, pinned, writesFrom } from "./story.ts";

afterEach(closeAll);

const UNAVAILABLE: ApiResponse = { status: 404, headers: {}, body: "no such path" };

/** Refuses one kind of query from here on. */
function refuse(simulation: Simulation, kind: "query" | "query_range"): void {
  const answer = simulation.answerQuery.bind(simulation);
  simulation.answerQuery = (request: ApiRequest) => {
    const range = request.url.includes("/query_range");
    return range === (kind === "query_range") ? Promise.resolve(UNAVAILABLE) : answer(request);
  };
}

/** Revision 2 was healthy for long, and is bad for two samples; the operator ends after the first of them. */
async function endedBeforeTheSecond(simulation: Simulation, how: "killed" | "stopped"): Promise<void> {
  const from = simulation.clock.now();
  let seen = 0;
  simulation.errorShare = (revision, at) => {
    const bad = revision === 2 && at >= from && at < from + 2100;
    if (bad) seen++;
    return bad ? 0.5 : 0.01;
  };
  while (seen === 0) await simulation.clock.advance(50);
  await simulation.clock.advance(50);
  expect(simulation.deployment()?.status?.rollback).toBeUndefined();
  if (how === "killed") simulation.running().kill();
  else simulation.running().stop();
}

describe("killed one sample before the breach is complete", () => {
  test("A restart does not forget a breach: the successor takes the traffic back as if nothing had happened", async () => {
    const simulation = await guardingTwo();
    await endedBeforeTheSecond(simulation, "stopped");
    simulation.operator();
    const { status } = await simulation.until("returned", (one) => one.status?.phase === "RolledBack", 20_000);
    expect(simulation.traffic).toEqual([1, 2, 1]);
    expect(status?.rollback).toMatchObject({ trigger: "Breach", check: "errors" });
  });

  test("the same while the new version bakes", async () => {
    const simulation = await guarding();
    simulation.errorShare = () => 0.01;
    await simulation.apply(pinned("v2"));
    await simulation.until("baking", ({ status }) => status?.phase === "Baking" && status.active?.version === "v2");
    await simulation.clock.advance(2500);
    await endedBeforeTheSecond(simulation, "stopped");
    simulation.operator();
    await simulation.until("returned", (one) => one.status?.phase === "RolledBack", 20_000);
    expect(simulation.traffic).toEqual([1, 2, 1]);
  });

  test("it is the history that it remembers by: a source without one begins anew, and does not return", async () => {
    const simulation = await guardingTwo();
    await endedBeforeTheSecond(simulation, "stopped");
    refuse(simulation, "query_range");
    simulation.operator();
    await simulation.clock.advance(30_000);
    expect(simulation.traffic).toEqual([1, 2]);
    expect(simulation.deployment()?.status).toMatchObject({ phase: "Guarding", active: { version: "v2" } });
  });
});

describe("killed while all is healthy", () => {
  test("A restart writes nothing for a deployment in sync, with the source's history or without it", async () => {
    for (const history of [true, false]) {
      const simulation = await guardingTwo();
      if (!history) refuse(simulation, "query_range");
      const written = writesFrom(simulation);
      simulation.running().kill();
      simulation.operator();
      await simulation.clock.advance(120_000);
      expect(written()).toEqual([]);
    }
  });

  test("A restart invents no breach: nothing is done, and the next breach counts as ever", async () => {
    const simulation = await guardingTwo();
    const written = writesFrom(simulation);
    simulation.running().kill();
    simulation.operator();
    await simulation.clock.advance(60_000);
    expect(written()).toEqual([]);
    expect(simulation.traffic).toEqual([1, 2]);
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.until("returned", ({ status }) => status?.phase === "RolledBack", 20_000);
    expect(simulation.traffic).toEqual([1, 2, 1]);
  });

  test("what was measured under a policy is not judged by a tighter one after a restart", async () => {
    const simulation = await guardingTwo();
    const edited = simulation.clock.now() + 10_000;
    simulation.errorShare = (_revision, at) => (at < edited ? 0.08 : 0.01);
    await simulation.clock.advance(10_500);
    const live = await simulation.tester.get(RESOURCES.rollbackPolicies, { namespace: "default", name: "toy" });
    const { spec } = live as unknown as { spec: { checks: { threshold: object }[] } };
    const { apiVersion, kind, metadata } = live;
    const checks = spec.checks.map((check) => ({ ...check, threshold: { max: 0.05 } }));
    await simulation.apply({
      apiVersion,
      kind,
      metadata: { name: metadata.name, namespace: metadata.namespace },
      spec: { ...spec, checks },
    });
    await simulation.clock.advance(600);
    simulation.running().stop();
    simulation.operator();
    await atRest(simulation);
    expect(simulation.traffic).toEqual([1, 2]);
    expect(simulation.deployment()?.status?.checks?.[0]).toMatchObject({ verdict: "Healthy", threshold: "≤ 0.05" });
  });

  test("one bad sample of the past is one bad sample, however often it is read", async () => {
    const simulation = await guardingTwo();
    const from = simulation.clock.now();
    // In the windows of one sample each second: once.
    simulation.errorShare = (revision, at) => (revision === 2 && at >= from && at < from + 900 ? 0.5 : 0.01);
    await simulation.clock.advance(1000);
    for (let i = 0; i < 3; i++) {
      simulation.running().stop();
      simulation.operator();
      await simulation.clock.advance(300);
    }
    await atRest(simulation);
    expect(simulation.traffic).toEqual([1, 2]);
  });
});
