// What travels with a revision and what moves with the traffic, in simulated time: copies of ConfigMaps, replicas by the scale
// subresource, the PodDisruptionBudget.

import { describe, expect, test } from "vitest";
import { configMapsOf, renderTemplate } from "../../src/core/render.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import type { ResourceId } from "../../src/sandbox/api.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { atRest, begin, guarding, pinned, prepare, repeatable } from "./story.ts";

const MAPS: ResourceId = { group: "", version: "v1", resource: "configmaps" };
const BUDGETS: ResourceId = { group: "policy", version: "v1", resource: "poddisruptionbudgets" };

repeatable();

describe("the ConfigMaps that the template names travel with the revision", () => {
  const server = { name: "server", image: "x" };
  const ways: [string, object, boolean][] = [
    ["a volume", { containers: [server], volumes: [{ name: "v", configMap: { name: "settings" } }] }, false],
    [
      "a projected volume",
      { containers: [server], volumes: [{ name: "v", projected: { sources: [{ configMap: { name: "settings" } }] } }] },
      false,
    ],
    ["envFrom", { containers: [{ ...server, envFrom: [{ configMapRef: { name: "settings" } }] }] }, false],
    [
      "env.valueFrom",
      { containers: [{ ...server, env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "a" } } }] }] },
      false,
    ],
    [
      "an init container",
      { containers: [server], initContainers: [{ name: "i", envFrom: [{ configMapRef: { name: "settings" } }] }] },
      false,
    ],
    [
      "an optional one",
      { containers: [server], volumes: [{ name: "v", configMap: { name: "settings", optional: true } }] },
      true,
    ],
    [
      "optional in one place and needed in another",
      {
        containers: [{ ...server, envFrom: [{ configMapRef: { name: "settings" } }] }],
        volumes: [{ name: "v", configMap: { name: "settings", optional: true } }],
      },
      false,
    ],
  ];
  test.each(ways)("named by %s: found, and the pods use the copy", (_way, spec, optional) => {
    expect(configMapsOf({ spec })).toEqual([{ name: "settings", optional }]);
    const rendered = renderTemplate({
      name: "toy",
      revision: 7,
      template: { spec },
      modelPath: "/models",
      fetch: false,
      fetchImage: "",
      fetchEnv: [],
      serverEnv: [],
      sizeLimit: "1Gi",
      labels: {},
    });
    const text = JSON.stringify(rendered);
    expect(text).toContain('"toy-r7-settings"');
    expect(text).not.toContain('"settings"');
  });

  test("Secrets are neither read nor copied: what names them stays as it is", () => {
    const secret = { name: "settings" };
    const spec = {
      containers: [
        {
          ...server,
          envFrom: [{ secretRef: secret }],
          env: [{ name: "A", valueFrom: { secretKeyRef: { ...secret, key: "a" } } }],
        },
      ],
      volumes: [{ name: "v", secret: { secretName: "settings" } }],
    };
    expect(configMapsOf({ spec })).toEqual([]);
  });

  const container = {
    name: "server",
    image: "toy:1",
    ports: [{ name: "http", containerPort: 8080 }],
    envFrom: [{ configMapRef: { name: "settings" } }],
  };
  const template = { spec: { containers: [container] } };
  const settings = (value: string, name = "settings") => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default" },
    data: { SETTING: value },
  });
  const dataOf = (simulation: Simulation, name: string) =>
    (simulation.server.get(MAPS, "default", name) as { data?: Record<string, string> } | undefined)?.data?.SETTING;
  const remove = (simulation: Simulation, name: string) => simulation.server.delete(MAPS, "default", name, {});

  /** v1 serves with the old settings. */
  async function withSettings(): Promise<Simulation> {
    const simulation = begin();
    simulation.errorShare = () => 0.01;
    await prepare(simulation);
    await simulation.apply(settings("old"));
    return guardingWith(simulation);
  }
  async function guardingWith(simulation: Simulation): Promise<Simulation> {
    await simulation.apply(pinned("v1", { template }));
    await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
    await atRest(simulation);
    return simulation;
  }

  test("edited in the middle of a rollout: another revision, and each copy keeps its own content", async () => {
    const simulation = await withSettings();
    simulation.starts = (revision) => revision !== 2;
    await simulation.apply(settings("middle"));
    await simulation.until("a candidate", ({ status }) => status?.candidate?.revision === 2);
    await simulation.clock.advance(2000);
    await simulation.apply(settings("new"));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.revision === 3);
    expect(simulation.deployment()?.status?.history?.map((entry) => `${entry.to?.revision} ${entry.outcome}`)).toContain(
      "2 Superseded",
    );
    expect([dataOf(simulation, "toy-r1-settings"), dataOf(simulation, "toy-r3-settings")]).toEqual(["old", "new"]);
    for (const name of ["toy-r1-settings", "toy-r3-settings"]) {
      const copy = simulation.server.get(MAPS, "default", name);
      expect(copy).toMatchObject({
        immutable: true,
        metadata: { ownerReferences: [{ kind: "ModelDeployment", controller: true }] },
      });
    }
  });

  test("a copy that a foreign hand deleted is made again from the same content", async () => {
    const simulation = await withSettings();
    remove(simulation, "toy-r1-settings");
    await simulation.clock.advance(2000);
    expect(dataOf(simulation, "toy-r1-settings")).toBe("old");
  });

  test("where its content is nowhere any more, that is said, and other content is not put in its place; with it, it comes back", async () => {
    const simulation = await withSettings();
    const strategy = { drain: "1s", progressDeadline: "120s", standby: { for: "5s" } };
    await simulation.apply(pinned("v1", { template, strategy }));
    await simulation.apply(settings("new"));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.revision === 2 && status.phase === "Guarding");
    await atRest(simulation);
    expect(simulation.get(IDS.children, "toy-r1").spec?.replicas).toBe(0);
    const ready = () => simulation.deployment()?.status?.conditions?.find((one) => one.type === "RollbackReady");
    expect(ready()?.status).toBe("True");
    remove(simulation, "toy-r1-settings");
    await simulation.clock.advance(5000);
    expect(dataOf(simulation, "toy-r1-settings")).toBeUndefined();
    expect(ready()).toMatchObject({ status: "False", reason: "NoTarget" });
    expect(ready()?.message).toContain("r1 lost toy-r1-settings");
    const events = simulation.server.list(IDS.events, "default") as { reason?: string }[];
    expect(events.filter((event) => event.reason === "ConfigMapLost")).toHaveLength(1);
    // Somebody has it still, under whatever name.
    await simulation.apply(settings("old", "from-backup"));
    await simulation.until("ready again", () => ready()?.status === "True", 120_000);
    expect(dataOf(simulation, "toy-r1-settings")).toBe("old");
  });
});

describe("replicas by the scale subresource", () => {
  const scale = (simulation: Simulation, replicas: number) =>
    simulation.tester.patch(
      RESOURCES.modelDeployments,
      { namespace: "default", name: "toy" },
      "merge",
      { spec: { replicas } },
      { subresource: "scale" },
    );
  const size = (simulation: Simulation, name: string) => simulation.get(IDS.children, name).spec?.replicas;

  test("what receives traffic follows; to zero and back without a rollback; its selector is that of the pods that serve", async () => {
    const simulation = await guarding();
    simulation.errorShare = () => 0.01;
    await scale(simulation, 4);
    await simulation.clock.advance(3000);
    expect(size(simulation, "toy-r1")).toBe(4);
    expect(simulation.deployment()?.status).toMatchObject({ replicas: 4, selector: expect.stringContaining("revision=1") });
    // While nothing runs, what stands before it fails every request.
    simulation.errorShare = () => 1;
    await scale(simulation, 0);
    await simulation.clock.advance(120_000);
    expect(simulation.deployment()?.status?.replicas).toBe(0);
    await scale(simulation, 2);
    await simulation.clock.advance(500);
    simulation.errorShare = () => 0.01;
    await simulation.clock.advance(30_000);
    expect(simulation.deployment()?.status).toMatchObject({ phase: "Guarding", readyReplicas: 2 });
    expect(simulation.traffic).toEqual([1]);
  });
});

describe("a PodDisruptionBudget", () => {
  const budget = (simulation: Simulation) =>
    simulation.server.get(BUDGETS, "default", "toy") as unknown as {
      spec: { minAvailable?: number; maxUnavailable?: string; selector: { matchExpressions: { values: string[] }[] } };
    };
  const covers = (simulation: Simulation) => budget(simulation).spec.selector.matchExpressions[0]?.values;

  test("is owned, moves with the traffic, changes with the spec, and goes when it is no longer asked for", async () => {
    const simulation = await guarding({ podDisruptionBudget: { minAvailable: 1 } });
    simulation.errorShare = () => 0.01;
    expect(covers(simulation)).toEqual(["1"]);
    expect(budget(simulation).spec.minAvailable).toBe(1);
    await simulation.apply(pinned("v2", { podDisruptionBudget: { minAvailable: 1 } }));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2");
    expect(covers(simulation)).toEqual(["2"]);
    await simulation.apply(pinned("v2", { podDisruptionBudget: { maxUnavailable: "50%" } }));
    await simulation.clock.advance(3000);
    expect(budget(simulation).spec).toMatchObject({ maxUnavailable: "50%" });
    expect(budget(simulation).spec.minAvailable).toBeUndefined();
    await simulation.apply(pinned("v2"));
    await simulation.clock.advance(3000);
    expect(simulation.server.get(BUDGETS, "default", "toy")).toBeUndefined();
  });
});
