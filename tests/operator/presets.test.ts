// Presets end to end: on a source that answers nothing else, a preset takes a bad version back, and a query of one's own is refused.

import { afterEach, expect, test } from "vitest";
import { RESOURCES } from "../../src/kube/resources.ts";
import type { Simulation } from "./simulated.ts";
import { begin, closeAll, pinned, prepare, SOURCE } from "./story.ts";

afterEach(closeAll);

/** The source answers presets only, and the policy's one check is this. */
async function withCheck(check: object): Promise<Simulation> {
  const simulation = begin();
  await prepare(simulation);
  const live = await simulation.tester.get(RESOURCES.rollbackPolicies, { namespace: "default", name: "toy" });
  const { spec } = live as unknown as { spec: object };
  await simulation.apply({ ...SOURCE, spec: { ...SOURCE.spec, freeQueries: false } });
  const common = { name: "errors", source: "prometheus", window: "1s", interval: "1s", threshold: { max: 0.1 } };
  await simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RollbackPolicy",
    metadata: { name: "toy", namespace: "default" },
    spec: { ...spec, checks: [{ ...common, breach: { count: 2, of: 3 }, ...check }] },
  });
  await simulation.apply(pinned("v1"));
  return simulation;
}

const LATENCY = { preset: { server: "HTTP", measure: "LatencyP95" } };

test("a source without tenancy and free queries may be used with presets", async () => {
  const simulation = await withCheck(LATENCY);
  await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
  await simulation.apply(pinned("v2"));
  await simulation.until("returned", ({ status }) => status?.phase === "RolledBack");
  expect(simulation.traffic).toEqual([1, 2, 1]);
});

test.each([
  ["the very query of a preset, written by oneself", { query: 'error_share{pod=~"${workload}-.+"}' }],
  ["a freshness of one's own beside a preset", { ...LATENCY, freshness: "max(timestamp(up))" }],
])("but not with %s", async (_name, check) => {
  const simulation = await withCheck(check);
  const { status } = await simulation.until(
    "told",
    (one) => one.status?.conditions?.some((each) => each.type === "MetricsAvailable" && each.status === "False"),
    60_000,
  );
  expect(JSON.stringify(status?.checks)).toContain("answers presets only");
  expect(simulation.queries).toBe(0);
});
