// Deployment → ReplicaSet → Pod, EndpointSlices and scheduling on a clock of the test and without a node: the test plays
// the kubelet, as a simulation will.
import { expect, test } from "vitest";
import type { SandboxApi, StoredObject, WatchEvent } from "../../src/sandbox/api.ts";
import { ApiServer } from "../../src/sandbox/apiserver/index.ts";
import { startControllers } from "../../src/sandbox/controllers/index.ts";
import {
  condition,
  DEPLOYMENTS,
  type Deployment,
  ENDPOINT_SLICES,
  type EndpointSlice,
  NODES,
  PODS,
  type Pod,
  REPLICA_SETS,
  type ReplicaSet,
  SERVICES,
  timestamp,
  withCondition,
} from "../../src/sandbox/controllers/kinds.ts";
import { createNode } from "../../src/sandbox/node/node.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { deployment, pod, service, shell } from "./support.ts";

const NAME = "web";

interface Stage {
  api: ApiServer;
  clock: FakeClock;
  /** Lets the controllers settle. */
  settle(): Promise<void>;
  /** Plays the kubelet: gives bound pods an address, makes them ready, ends those that are deleted. */
  kubelet(options?: { ready?: (pod: Pod) => boolean; end?: boolean }): Promise<void>;
  deployment(): Deployment;
  sets(): ReplicaSet[];
  pods(): Pod[];
  change(spec: Partial<Deployment["spec"]>): void;
  version(text: string): void;
}

function stage(): Stage {
  const clock = new FakeClock();
  let uid = 0;
  const api = new ApiServer({ clock, newUid: () => `uid-${++uid}`, random: () => 0.5 });
  createNode(api, clock, { "nvidia.com/gpu": "1" });
  startControllers(api, clock);
  let address = 1;
  const settle = () => clock.advance(5);
  const pods = () => api.list(PODS, "default") as Pod[];
  const get = () => api.get(DEPLOYMENTS, "default", NAME) as Deployment;
  const change = (spec: Partial<Deployment["spec"]>) => {
    const old = get();
    api.update(DEPLOYMENTS, { ...old, spec: { ...old.spec, ...spec } });
  };
  return {
    api,
    clock,
    settle,
    pods,
    deployment: get,
    sets: () => api.list(REPLICA_SETS, "default") as ReplicaSet[],
    change,
    version: (text) => {
      const { template } = get().spec;
      change({ template: { ...template, spec: { ...template.spec, containers: [shell("main", text)] } } });
    },
    async kubelet({ ready = () => true, end = true } = {}) {
      await settle();
      for (const each of pods()) {
        if (!each.spec.nodeName) continue;
        if (each.metadata.deletionTimestamp) {
          if (end) api.delete(PODS, "default", each.metadata.name, { gracePeriodSeconds: 0 });
          continue;
        }
        const next = { type: "Ready", status: ready(each) ? ("True" as const) : ("False" as const) };
        const conditions = withCondition(each.status?.conditions, next, timestamp(clock.now()));
        const podIP = each.status?.podIP ?? `10.0.0.${address++}`;
        api.updateStatus(PODS, { ...each, status: { ...each.status, phase: "Running", podIP, conditions } });
      }
      await settle();
    },
  };
}

async function deployed(spec: Partial<Deployment["spec"]> = {}): Promise<Stage> {
  const on = stage();
  on.api.create(DEPLOYMENTS, deployment(NAME, [shell("main", "one")], spec));
  await on.kubelet();
  return on;
}

const alive = (pods: Pod[]) => pods.filter((each) => !each.metadata.deletionTimestamp);
const isReady = (each: Pod) => condition(each.status?.conditions, "Ready")?.status === "True";
const sizes = (sets: ReplicaSet[]) =>
  Object.fromEntries(sets.map((set) => [set.metadata.annotations?.["deployment.kubernetes.io/revision"], set.spec.replicas]));

test("a Deployment has its pods, owned and labelled, and says so in its status", async () => {
  const on = await deployed();
  const [set] = on.sets();
  expect(set?.metadata.ownerReferences).toMatchObject([{ kind: "Deployment", name: NAME, controller: true }]);
  const hash = set?.metadata.labels?.["pod-template-hash"];
  expect(set?.metadata.name).toBe(`${NAME}-${hash}`);
  expect(on.pods()).toHaveLength(2);
  for (const each of on.pods()) {
    expect(each.metadata.ownerReferences).toMatchObject([{ kind: "ReplicaSet", uid: set?.metadata.uid, controller: true }]);
    expect(each.metadata.labels).toEqual({ app: NAME, "pod-template-hash": hash });
    expect(each.spec.nodeName).toBe("sandbox");
  }
  const { status, metadata } = on.deployment();
  expect(status).toMatchObject({ observedGeneration: metadata.generation, replicas: 2, readyReplicas: 2, availableReplicas: 2 });
  expect(condition(status?.conditions, "Available")).toMatchObject({ status: "True", reason: "MinimumReplicasAvailable" });
  expect(condition(status?.conditions, "Progressing")).toMatchObject({ status: "True", reason: "NewReplicaSetAvailable" });
});

test.each([
  { replicas: 4, maxSurge: "25%", maxUnavailable: "25%", most: 5, least: 3 },
  { replicas: 5, maxSurge: "25%", maxUnavailable: "25%", most: 7, least: 4 },
  { replicas: 3, maxSurge: 1, maxUnavailable: 0, most: 4, least: 3 },
  { replicas: 3, maxSurge: 0, maxUnavailable: 1, most: 3, least: 2 },
  { replicas: 1, maxSurge: "0%", maxUnavailable: "0%", most: 1, least: 0 },
])("a rolling update of $replicas keeps within surge $maxSurge and unavailable $maxUnavailable", async (given) => {
  const { replicas, maxSurge, maxUnavailable, most, least } = given;
  const on = await deployed({ replicas, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } } });
  on.version("two");
  const seen = { most: 0, least: replicas };
  on.api.watch(PODS, () => {
    seen.least = Math.min(seen.least, alive(on.pods()).filter(isReady).length);
  });
  for (let round = 0; round < 30 && sizes(on.sets())["1"] !== 0; round++) {
    // One pod becomes ready at a time.
    let budget = 1;
    await on.kubelet({ ready: (each) => isReady(each) || budget-- > 0 });
    // Of two sets that are resized at once, either may act first, as in Kubernetes: the surge is counted when both have.
    seen.most = Math.max(seen.most, alive(on.pods()).length);
  }
  await on.kubelet();
  expect(sizes(on.sets())).toEqual({ 1: 0, 2: replicas });
  expect(on.deployment().status).toMatchObject({ updatedReplicas: replicas, availableReplicas: replicas });
  expect(seen).toEqual({ most, least });
});

test("pods that never become ready stop a rolling update, and its deadline is told", async () => {
  const on = await deployed({ replicas: 4, progressDeadlineSeconds: 60 });
  on.version("broken");
  const old = new Set(on.pods().map((each) => each.metadata.name));
  const ready = (each: Pod) => old.has(each.metadata.name);
  for (let round = 0; round < 4; round++) await on.kubelet({ ready });
  expect(alive(on.pods()).filter(isReady)).toHaveLength(3);
  expect(on.deployment().status).toMatchObject({ updatedReplicas: 2, availableReplicas: 3, unavailableReplicas: 2 });
  const progress = () => condition(on.deployment().status?.conditions, "Progressing");
  expect(progress()).toMatchObject({ status: "True", reason: "ReplicaSetUpdated" });
  await on.clock.advance(70_000);
  expect(progress()).toMatchObject({ status: "False", reason: "ProgressDeadlineExceeded" });
  on.version("one");
  await on.kubelet();
  await on.kubelet();
  expect(progress()).toMatchObject({ status: "True", reason: "NewReplicaSetAvailable" });
});

test("Recreate starts nothing new before the last old pod is gone", async () => {
  const on = await deployed({ strategy: { type: "Recreate" } });
  on.version("two");
  await on.kubelet({ end: false });
  expect(on.pods().every((each) => each.metadata.deletionTimestamp)).toBe(true);
  expect(on.sets()).toHaveLength(1);
  await on.kubelet();
  expect(sizes(on.sets())).toEqual({ 1: 0, 2: 2 });
  expect(alive(on.pods())).toHaveLength(2);
});

test("going back to an old template takes its ReplicaSet again, as a new revision; old ones are dropped beyond the limit", async () => {
  const on = await deployed({ revisionHistoryLimit: 1 });
  const first = on.sets()[0]?.metadata.uid;
  for (const text of ["two", "one"]) {
    on.version(text);
    for (let round = 0; round < 6; round++) await on.kubelet();
  }
  expect(sizes(on.sets())).toEqual({ 2: 0, 3: 2 });
  expect(on.sets().find((set) => set.spec.replicas === 2)?.metadata.uid).toBe(first);
  on.version("three");
  for (let round = 0; round < 6; round++) await on.kubelet();
  expect(sizes(on.sets())).toEqual({ 3: 0, 4: 2 });
});

test("scaling takes the pods first that serve least, and a paused Deployment scales but rolls nothing out", async () => {
  const on = await deployed({ replicas: 3 });
  const [, unready] = on.pods();
  await on.kubelet({ ready: (each) => each.metadata.name !== unready?.metadata.name });
  on.change({ replicas: 2 });
  await on.settle();
  expect(
    on
      .pods()
      .filter((each) => each.metadata.deletionTimestamp)
      .map((each) => each.metadata.name),
  ).toEqual([unready?.metadata.name]);
  await on.kubelet();
  on.change({ paused: true });
  on.version("two");
  on.change({ replicas: 4 });
  await on.kubelet();
  expect(sizes(on.sets())).toEqual({ 1: 4 });
});

test("minReadySeconds: ready at once, available later", async () => {
  const on = await deployed({ minReadySeconds: 30 });
  expect(on.deployment().status).toMatchObject({ readyReplicas: 2, unavailableReplicas: 2 });
  await on.clock.advance(29_000);
  expect(on.deployment().status?.availableReplicas).toBeUndefined();
  await on.clock.advance(3000);
  expect(on.deployment().status?.availableReplicas).toBe(2);
});

test("EndpointSlices follow readiness, deletion, named ports and the selector", async () => {
  const on = stage();
  const { api } = on;
  const ports = (containerPort: number) => ({ ports: [{ name: "http", containerPort }] });
  api.create(SERVICES, service("svc", { app: "a" }));
  const slices = () => api.list(ENDPOINT_SLICES, "default", { "kubernetes.io/service-name": "svc" }) as EndpointSlice[];
  await on.settle();
  expect(slices()).toMatchObject([{ endpoints: [] }]);
  api.create(PODS, pod("a", { containers: [shell("main", "x", ports(81))] }));
  api.create(PODS, pod("b", { containers: [shell("main", "x", ports(82))] }));
  await on.kubelet({ ready: () => false });
  const conditions = () => slices().flatMap((slice) => slice.endpoints?.map((each) => each.conditions));
  expect(conditions()).toEqual([{ ready: false, serving: false, terminating: false }]);
  await on.kubelet();
  expect(slices()).toMatchObject([
    {
      addressType: "IPv4",
      ports: [{ name: "http", port: 81, protocol: "TCP" }],
      endpoints: [
        { addresses: ["10.0.0.1"], conditions: { ready: true }, nodeName: "sandbox", targetRef: { kind: "Pod", name: "a" } },
      ],
      metadata: { ownerReferences: [{ kind: "Service", name: "svc", controller: true }] },
    },
  ]);
  const svc = api.get(SERVICES, "default", "svc") as StoredObject;
  api.update(SERVICES, { ...svc, spec: { ...svc.spec, selector: { app: "b" } } });
  await on.settle();
  expect(slices()).toMatchObject([{ ports: [{ port: 82 }], endpoints: [{ targetRef: { name: "b" } }] }]);
  api.delete(PODS, "default", "b");
  await on.settle();
  expect(conditions()).toEqual([{ ready: false, serving: true, terminating: true }]);
  await on.kubelet();
  expect(conditions()).toEqual([]);
});

test("a pod that no node can take stays Pending, Unschedulable, until one can", async () => {
  const on = stage();
  const { api } = on;
  const gpu = { resources: { limits: { "nvidia.com/gpu": "1" } } };
  api.create(PODS, pod("huge", { containers: [shell("main", "x", { resources: { requests: { cpu: "1001" } } })] }));
  api.create(PODS, pod("picky", { nodeSelector: { zone: "moon" }, containers: [shell("main", "x")] }));
  api.create(PODS, pod("first", { containers: [shell("main", "x", gpu)] }));
  api.create(PODS, pod("second", { containers: [shell("main", "x", gpu)] }));
  await on.settle();
  const scheduled = (name: string) => condition((api.get(PODS, "default", name) as Pod).status?.conditions, "PodScheduled");
  expect(scheduled("huge")).toMatchObject({
    status: "False",
    reason: "Unschedulable",
    message: "0/1 nodes are available: 1 Insufficient cpu.",
  });
  expect(scheduled("picky")?.message).toBe("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.");
  expect([scheduled("first")?.status, scheduled("second")?.status]).toEqual(["True", "False"]);
  expect(api.get(PODS, "default", "second")?.status.phase).toBe("Pending");
  api.delete(PODS, "default", "first", { gracePeriodSeconds: 0 });
  const node = api.get(NODES, undefined, "sandbox") as StoredObject;
  api.update(NODES, { ...node, metadata: { ...node.metadata, labels: { ...node.metadata.labels, zone: "moon" } } });
  await on.settle();
  expect([scheduled("second")?.status, scheduled("picky")?.status, scheduled("huge")?.status]).toEqual(["True", "True", "False"]);
});

test("what the API server refuses is told as ReplicaFailure, and tried again", async () => {
  const on = await deployed();
  let refuse = true;
  // A namespace that ends refuses new pods; here a quota stands for it.
  const create = on.api.create.bind(on.api) as SandboxApi["create"];
  on.api.create = (id, object) => {
    if (!refuse || id.resource !== "pods") return create(id, object);
    return create(id, { ...(object as object), spec: { containers: [] } });
  };
  on.change({ replicas: 3 });
  await on.settle();
  expect(condition(on.deployment().status?.conditions, "ReplicaFailure")).toMatchObject({
    status: "True",
    reason: "FailedCreate",
  });
  refuse = false;
  await on.clock.advance(2000);
  await on.kubelet();
  expect(on.deployment().status?.availableReplicas).toBe(3);
  expect(condition(on.deployment().status?.conditions, "ReplicaFailure")).toBeUndefined();
});

test("deleting a Deployment takes its sets and pods along", async () => {
  const on = await deployed();
  on.api.delete(DEPLOYMENTS, "default", NAME);
  await on.kubelet();
  await on.kubelet();
  expect([on.sets(), on.pods()]).toEqual([[], []]);
});

test("the same story gives the same events", async () => {
  const story = async () => {
    const on = stage();
    const events: string[] = [];
    const write = ({ type, object }: WatchEvent) => void events.push(`${type} ${JSON.stringify(object)}`);
    for (const id of [DEPLOYMENTS, REPLICA_SETS, PODS, ENDPOINT_SLICES]) on.api.watch(id, write);
    on.api.create(SERVICES, service("svc", { app: NAME }, 80));
    on.api.create(DEPLOYMENTS, deployment(NAME, [shell("main", "one")], { replicas: 5 }));
    await on.kubelet();
    on.version("two");
    for (let round = 0; round < 8; round++) await on.kubelet();
    return events;
  };
  const events = await story();
  expect(events.length).toBeGreaterThan(50);
  expect(await story()).toEqual(events);
});
