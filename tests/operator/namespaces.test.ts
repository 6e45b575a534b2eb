// An operator of some namespaces writes nothing in others, and one of a single namespace needs nothing of others.

import { afterEach, expect, test } from "vitest";
import { MetricSourceSchema } from "../../src/api/metricsource.ts";
import { RollguardConfigSchema } from "../../src/api/rollguardconfig.ts";
import type { Deployment, KubeObject } from "../../src/kube/objects.ts";
import { IDS, nameOf, Simulation } from "./simulated.ts";
import { pinned, prepare, version } from "./story.ts";

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

const CLUSTER_SCOPED = ["metricsources", "clusterrollbackpolicies", "rollguardconfigs", "nodes", "namespaces"];

test("an operator with Roles in one namespace and the cluster's objects from a file proves, guards and takes back", async () => {
  simulation = new Simulation();
  const beyond: string[] = [];
  simulation.onRead = ({ namespace, resource }) => {
    if (namespace === "default" && !CLUSTER_SCOPED.includes(resource)) return undefined;
    beyond.push(`${namespace}/${resource}`);
    return { before: { do: "refuse", status: 403, reason: "Forbidden" } };
  };
  const { server } = simulation;
  await prepare(simulation);
  // What it is given is not what the API server has.
  for (const name of ["metricsources", "rollguardconfigs"]) {
    const id = { group: "rollguard.dev", version: "v1alpha1", resource: name };
    for (const { metadata } of server.list(id)) server.delete(id, undefined, metadata.name);
  }
  const spec = { type: "Prometheus", address: "http://metrics.example", namespaces: ["*"], freeQueries: true } as const;
  const source = MetricSourceSchema.parse({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "MetricSource",
    metadata: { name: "prometheus" },
    spec,
  });
  const config = RollguardConfigSchema.parse({ ...source, kind: "RollguardConfig", metadata: { name: "cluster" }, spec: {} });
  simulation.operator({ namespaces: ["default"], clusterObjects: [source, config] as unknown as KubeObject[] });
  await simulation.apply(pinned("v1"));
  await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
  await simulation.apply(pinned("v2"));
  const taken = await simulation.until("taken back", ({ status }) => status?.rollback?.outcome === "Verified");
  expect(taken.status?.active?.version).toBe("v1");
  expect(beyond).toEqual([]);
  const elsewhere = simulation.writes.filter(({ path }) => path.namespace !== "default");
  expect(elsewhere.map(nameOf)).toEqual([]);
});

test("the init container's image is that of the operator's own pod, asked for until there is an answer", async () => {
  simulation = new Simulation();
  const container = (name: string, image: string) => ({ name, image });
  await simulation.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "operator-1", namespace: "default" },
    spec: { containers: [container("mesh", "mesh:1"), container("operator", "registry.example/rollguard@sha256:0")] },
  });
  let failures = 3;
  simulation.onRead = ({ resource, name }) =>
    resource === "pods" && name === "operator-1" && failures-- > 0
      ? { before: { do: "refuse", status: 500, reason: "InternalError" } }
      : undefined;
  await prepare(simulation);
  const fetched = version("v1") as { spec: { artifact: object } };
  fetched.spec.artifact = { ...fetched.spec.artifact, load: "Fetch" };
  await simulation.apply({ ...fetched, metadata: { name: "fetched", namespace: "default" } });
  simulation.operator({ fetchImage: undefined });
  await simulation.apply(pinned("fetched"));
  await simulation.until("made", ({ status }) => status?.candidate ?? status?.active);
  await simulation.clock.advance(2_000);
  const child = simulation.get(IDS.children, "toy-r1") as unknown as Deployment;
  expect(child.spec.template.spec.initContainers?.map(({ image }) => image)).toEqual(["registry.example/rollguard@sha256:0"]);
  expect(failures).toBeLessThan(0);
});
