// Layers of policies in a running operator: what is refused, and what counts when a policy changes, vanishes or becomes invalid.

import { afterEach, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { RolloutRecord } from "../../src/api/rolloutrecord.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import type { ResourceId } from "../../src/sandbox/api.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { atRest, begin, closeAll, guarding, pinned, prepare, writesFrom } from "./story.ts";

afterEach(closeAll);

const ERRORS = {
  name: "errors",
  source: "prometheus",
  query: 'error_share{revision="${revision}"}',
  window: "1s",
  interval: "1s",
  threshold: { max: 0.1 },
  breach: { count: 2, of: 3 },
};

/** What the deployment's own policy of story.ts says, and more. */
const own = (more: object = {}, checks: object[] = [ERRORS], name = "toy"): object => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "RollbackPolicy",
  metadata: { name, namespace: "default" },
  spec: {
    warmup: "1s",
    bake: "4s",
    builtInInterval: "1s",
    available: { unready: "50%", for: "3s" },
    checks,
    rollback: { cooldown: "5s", verify: "2s", deadline: "120s" },
    ...more,
  },
});

const cluster = (name: string, spec: object): object => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ClusterRollbackPolicy",
  metadata: { name },
  spec,
});

const required = (spec: object, name = "base") => cluster(name, { enforcement: "Required", ...spec });

const removePolicy = (simulation: Simulation, name = "toy") =>
  simulation.tester.delete(RESOURCES.rollbackPolicies, { namespace: "default", name });

const policyOf = (deployment: ModelDeployment | undefined) => deployment?.status?.policy;
const kept = (simulation: Simulation) =>
  simulation.server.list(IDS.revisions, "default").filter((one) => one.metadata.name.startsWith("toy-policy-"));
const notes = (simulation: Simulation, reason: string) =>
  (simulation.server.list(IDS.events, "default") as unknown as { reason: string; note: string; type: string }[])
    .filter((one) => one.reason === reason)
    .map((one) => `${one.type}: ${one.note}`);

const POLICIES: ResourceId = { group: "rollguard.dev", version: "v1alpha1", resource: "rollbackpolicies" };
const CLUSTER_POLICIES: ResourceId = { ...POLICIES, resource: "clusterrollbackpolicies" };
const SOURCES: ResourceId = { ...POLICIES, resource: "metricsources" };

function statusOf(simulation: Simulation, id: ResourceId, name: string): Record<string, unknown> & { ready?: object } {
  const object = simulation.server.get(id, id.resource === "rollbackpolicies" ? "default" : undefined, name);
  const status = (object as { status?: { conditions?: { type: string }[] } } | undefined)?.status ?? {};
  return { ...status, ready: status.conditions?.find((one) => one.type === "Ready") };
}

test("a policy of the tenant that loosens a Required one is refused in that, and the Required limit rolls back", async () => {
  const simulation = begin();
  await simulation.apply(required({ checks: [{ ...ERRORS, threshold: { max: 0.05 } }] }));
  await guarding({}, simulation);
  expect(policyOf(simulation.deployment())).toMatchObject({
    names: ["ClusterRollbackPolicy/base", "RollbackPolicy/toy"],
    current: true,
    message: expect.stringContaining(
      "checks[errors].threshold.max 0.1 of RollbackPolicy/toy is refused by ClusterRollbackPolicy/base, which keeps 0.05",
    ),
  });
  expect(notes(simulation, "PolicyRefused")).toHaveLength(1);
  // Between the two limits.
  simulation.errorShare = (revision) => (revision === 2 ? 0.07 : 0.01);
  await simulation.apply(pinned("v2"));
  await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
  await atRest(simulation);
  const records = simulation.server.list(IDS.records, "default") as unknown as RolloutRecord[];
  expect(records.at(-1)?.spec.policy).toMatchObject({
    names: ["ClusterRollbackPolicy/base", "RollbackPolicy/toy"],
    origins: expect.arrayContaining([
      { field: "bake", layer: "RollbackPolicy/toy" },
      { field: "checks[errors]", layer: "ClusterRollbackPolicy/base" },
    ]),
  });
});

test("a policy that vanishes in a rollout counts as it last was valid: the candidate is still taken back by its check", async () => {
  const simulation = await guarding();
  await simulation.apply(pinned("v2"));
  await simulation.until("under way", ({ status }) => status?.candidate);
  await removePolicy(simulation);
  await simulation.until("told", ({ status }) => status?.policy?.current === false);
  expect(policyOf(simulation.deployment())?.message).toBe(
    "RollbackPolicy/toy does not exist; the last valid one, RollbackPolicy/toy of generation 1, stays in force",
  );
  const { status } = await simulation.until("rolled back", (one) => one.status?.phase === "RolledBack");
  expect(status?.rollback?.check ?? status?.quarantine?.[0]?.message).toContain("errors");
  expect(notes(simulation, "PolicyNotCurrent")).toHaveLength(1);
  // Made again, it counts as it is written.
  await simulation.apply(own({ bake: "6s" }));
  await simulation.until("current", (one) => one.status?.policy?.current === true);
  expect(policyOf(simulation.deployment())?.message).toBeUndefined();
});

test("the last valid policy survives a restart", async () => {
  const simulation = await guarding();
  expect(kept(simulation)).toHaveLength(1);
  simulation.running().kill();
  await removePolicy(simulation);
  simulation.operator();
  await simulation.until("told", ({ status }) => status?.policy?.current === false);
  await simulation.apply(pinned("v2"));
  await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
  expect(policyOf(simulation.deployment())).toMatchObject({ names: ["RollbackPolicy/toy"], generations: [1], current: false });
});

test("a policy that becomes invalid counts as it last was valid, and its own status says why", async () => {
  const simulation = await guarding();
  await simulation.apply(own({ bake: "1s", freeze: [{ schedule: "99 18 * * 5", duration: "1h" }] }));
  await simulation.until("told", ({ status }) => status?.policy?.current === false);
  const { message, generations } = policyOf(simulation.deployment()) ?? {};
  expect(generations).toEqual([1]);
  expect(message).toContain("RollbackPolicy/toy can't be used (freeze[0]");
  await atRest(simulation);
  expect(statusOf(simulation, POLICIES, "toy").ready).toMatchObject({ status: "False", reason: "Invalid" });
  await simulation.apply(own());
  await simulation.until("current", ({ status }) => status?.policy?.current === true);
  await atRest(simulation);
  expect(statusOf(simulation, POLICIES, "toy").ready).toMatchObject({ status: "True", reason: "Valid" });
});

test("a deployment that names a policy that never was is guarded by the built-in checks, and a person is told", async () => {
  const simulation = begin();
  await prepare(simulation);
  await simulation.apply(pinned("v1", { policy: { name: "nowhere" } }));
  const { status } = await simulation.until("judged", (one) => one.status?.checks?.some((check) => check.verdict === "Healthy"));
  expect(status?.checks?.map((one) => one.name)).toEqual(["available", "restarts"]);
  expect(policyOf(simulation.deployment())).toMatchObject({ names: [], current: false });
  expect(policyOf(simulation.deployment())?.message).toBe(
    "RollbackPolicy/nowhere does not exist; the built-in checks and the other layers are in force",
  );
  expect(notes(simulation, "PolicyNotCurrent")).toEqual([
    expect.stringMatching(/^Warning: RollbackPolicy\/nowhere does not exist/),
  ]);
  expect(kept(simulation)).toEqual([]);
});

test("deleting its policy does not free a deployment from what is required of it afterwards", async () => {
  const simulation = await guarding();
  await removePolicy(simulation);
  await simulation.until("told", ({ status }) => status?.policy?.current === false);
  await simulation.apply(required({ checks: [{ ...ERRORS, name: "more", threshold: { max: 0.03 } }] }));
  await simulation.until("required", ({ status }) => status?.checks?.some((one) => one.name === "more"));
  expect(policyOf(simulation.deployment())?.names).toEqual(["ClusterRollbackPolicy/base", "RollbackPolicy/toy"]);
});

test("naming none ends the last valid one; the cluster's default is in force then", async () => {
  const simulation = await guarding();
  await simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RollguardConfig",
    metadata: { name: "cluster" },
    spec: { defaults: { policy: "usual" } },
  });
  // It selects nothing: it is there to be named.
  await simulation.apply(cluster("usual", { bake: "7s", selector: { matchLabels: { none: "such" } } }));
  // As Flux does it: what is left out of a server-side apply goes.
  await simulation.apply(pinned("v1", { policy: undefined }));
  await simulation.until("by default", ({ status }) => status?.policy?.names?.[0] === "ClusterRollbackPolicy/usual");
  expect(policyOf(simulation.deployment())).toMatchObject({ names: ["ClusterRollbackPolicy/usual"], current: true });
  await simulation.tester.delete(RESOURCES.rollguardConfigs, { name: "cluster" });
  await simulation.until("built in", ({ status }) => status?.policy?.names?.length === 0, 1000);
  await atRest(simulation);
  expect(kept(simulation)).toEqual([]);
});

test("a cluster policy is in force where the labels of the namespace and the deployment select it, from the moment they do", async () => {
  const simulation = begin();
  const namespaceSelector = { matchExpressions: [{ key: "tier", operator: "In", values: ["gold"] }] };
  await simulation.apply(required({ bake: "9s", namespaceSelector, selector: { matchLabels: { team: "fraud" } } }));
  await guarding({}, simulation);
  const names = () => policyOf(simulation.deployment())?.names;
  expect(names()).toEqual(["RollbackPolicy/toy"]);
  await simulation.apply(pinned("v1", {}, { labels: { team: "fraud" } }));
  await atRest(simulation);
  expect(names()).toEqual(["RollbackPolicy/toy"]);
  const label = (tier: string) =>
    simulation.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "default", labels: { tier } } });
  await label("gold");
  await simulation.until("selected", () => names()?.length === 2, 5000);
  await label("silver");
  await simulation.until("free", () => names()?.length === 1, 5000);
  // Nobody names a policy that selects: when it is gone, it has ended.
  await label("gold");
  await simulation.until("selected", () => names()?.length === 2, 5000);
  await simulation.tester.delete(RESOURCES.clusterRollbackPolicies, { name: "base" });
  await simulation.until("ended", () => names()?.length === 1, 5000);
  expect(policyOf(simulation.deployment())?.current).toBe(true);
});

test("a policy that changes in a rollout is in force at once; the layers that are kept are those in force, and no others", async () => {
  const simulation = await guarding();
  simulation.errorShare = (revision) => (revision === 2 ? 0.05 : 0.01);
  await simulation.apply(pinned("v2"));
  await simulation.until("baking", ({ status }) => status?.active?.version === "v2");
  await simulation.apply(own({}, [{ ...ERRORS, threshold: { max: 0.02 } }]));
  await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
  await atRest(simulation);
  expect(policyOf(simulation.deployment())?.generations).toEqual([2]);
  expect(kept(simulation)).toHaveLength(1);
  const { layers } = (kept(simulation)[0] as unknown as { data: { layers: { generation: number }[] } }).data;
  expect(layers.map((one) => one.generation)).toEqual([2]);
});

test("a policy counts who uses it; nothing of all this is written while nothing changes", async () => {
  const simulation = begin();
  await simulation.apply(cluster("idle", { selector: { matchLabels: { none: "such" } } }));
  await guarding({}, simulation);
  expect(statusOf(simulation, POLICIES, "toy")).toMatchObject({ usedBy: 1, observedGeneration: 1 });
  expect(statusOf(simulation, CLUSTER_POLICIES, "idle")).toMatchObject({ usedBy: 0, observedGeneration: 1 });
  const writes = writesFrom(simulation);
  await simulation.clock.advance(60_000);
  expect(writes()).toEqual([]);
  await simulation.tester.delete(RESOURCES.modelDeployments, { namespace: "default", name: "toy" });
  await atRest(simulation);
  expect(statusOf(simulation, POLICIES, "toy").usedBy).toBe(0);
  expect(kept(simulation)).toEqual([]);
});

test("a policy whose source does not exist says so, until it does", async () => {
  const simulation = begin();
  await prepare(simulation);
  await simulation.apply(own({}, [{ ...ERRORS, source: "later" }], "other"));
  await atRest(simulation);
  expect(statusOf(simulation, POLICIES, "other").ready).toMatchObject({
    reason: "UnknownSource",
    message: "checks[errors].source: there is no MetricSource later",
  });
  await simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "MetricSource",
    metadata: { name: "later" },
    spec: { type: "Pods", namespaces: ["*"] },
  });
  await atRest(simulation);
  expect(statusOf(simulation, POLICIES, "other").ready).toMatchObject({ status: "True", reason: "Valid" });
});

test("a source says whether it answers, and is written when that changes", async () => {
  const simulation = begin();
  await prepare(simulation);
  await atRest(simulation);
  expect(statusOf(simulation, SOURCES, "prometheus").ready).toMatchObject({ status: "Unknown", reason: "NotAsked" });
  await guarding({}, simulation);
  expect(statusOf(simulation, SOURCES, "prometheus").ready).toMatchObject({ status: "True", reason: "Answering" });
  const answer = simulation.answerQuery.bind(simulation);
  simulation.answerQuery = async () => ({ status: 503, headers: {}, body: "down" });
  await simulation.clock.advance(90_000);
  expect(statusOf(simulation, SOURCES, "prometheus").ready).toMatchObject({ status: "False", reason: "NotAnswering" });
  const writes = writesFrom(simulation);
  await simulation.clock.advance(60_000);
  expect(writes().filter((one) => one.includes("metricsources"))).toEqual([]);
  simulation.answerQuery = answer;
  await atRest(simulation);
  expect(statusOf(simulation, SOURCES, "prometheus").ready).toMatchObject({ status: "True", reason: "Answering" });
});

test("when a check as merged changes, the window of that check begins anew, and no other", async () => {
  const simulation = begin();
  const second = { ...ERRORS, name: "second" };
  await prepare(simulation);
  await simulation.apply(own({}, [ERRORS, second], "two"));
  await guarding({ policy: { name: "two" } }, simulation);
  const line = (name: string) => simulation.deployment()?.status?.checks?.find((one) => one.name === name);
  const before = line("errors");
  expect([before?.verdict, line("second")?.verdict]).toEqual(["Healthy", "Healthy"]);
  // From another layer, and with another generation, the first is the same check; the second is tightened.
  await simulation.apply(required({ checks: [ERRORS, { ...second, threshold: { max: 0.09 } }] }));
  await simulation.until("begun anew", () => line("second")?.verdict === "Insufficient", 5000);
  await simulation.until("judged anew", () => line("second")?.verdict === "Healthy", 10_000);
  expect(line("errors")).toEqual(before);
});
