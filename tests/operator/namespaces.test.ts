// An operator of some namespaces writes nothing in others.

import { afterEach, expect, test } from "vitest";
import { Simulation } from "./simulated.ts";
import { version } from "./story.ts";

let simulation: Simulation | undefined;
afterEach(async () => {
  await simulation?.close();
  simulation = undefined;
});

test("with --namespaces, versions and policies of other namespaces get no status", async () => {
  simulation = new Simulation();
  const { server } = simulation;
  for (const name of ["ours", "theirs"]) {
    await simulation.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    const made = version("v1") as { metadata: object };
    await simulation.apply({ ...made, metadata: { ...made.metadata, namespace: name } });
    await simulation.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "RollbackPolicy",
      metadata: { name: "policy", namespace: name },
      spec: {},
    });
  }
  simulation.operator({ namespaces: ["default", "ours"] });
  await simulation.clock.advance(10_000);
  const status = (namespace: string, resource: string, name: string) =>
    server.get({ group: "rollguard.dev", version: "v1alpha1", resource }, namespace, name)?.status;
  expect(status("ours", "modelversions", "v1")).toBeDefined();
  expect(status("ours", "rollbackpolicies", "policy")).toBeDefined();
  expect(status("theirs", "modelversions", "v1")).toBeUndefined();
  expect(status("theirs", "rollbackpolicies", "policy")).toBeUndefined();
  expect(simulation.writes.filter(({ path }) => path.namespace === "theirs")).toEqual([]);
});
