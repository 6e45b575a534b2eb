// Pods that bear our labels and that no revision of ours made: they count for nothing, in simulated time.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { trimPod } from "../../src/controllers/cached.ts";
import { revisionOfPod } from "../../src/controllers/facts.ts";
import type { OwnerReference, Pod } from "../../src/kube/objects.ts";
import type { ApiRequest } from "../../src/sandbox/apiserver/http.ts";
import { PODS } from "../../src/sandbox/controllers/kinds.ts";
import type { Simulation } from "./simulated.ts";
import { closeAll, guarding, guardingTwo, pinned } from "./story.ts";

beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(async () => {
  await closeAll();
  vi.restoreAllMocks();
});

/** A ready pod with the labels of a revision, made by hand. */
function foreignPod(simulation: Simulation, name: string, revision: number): void {
  const labels = { "rollguard.dev/deployment": "toy", "rollguard.dev/revision": String(revision) };
  const annotations = { "prometheus.io/path": `/of-${name}` };
  const containers = [{ name: "server", image: "toy:1", ports: [{ name: "http", containerPort: 8080 }] }];
  const pod = simulation.server.create(PODS, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels, annotations },
    spec: { nodeName: "elsewhere", containers },
  });
  const conditions = ["Initialized", "ContainersReady", "Ready"].map((type) => ({ type, status: "True" }));
  const podIP = "10.9.9.9";
  simulation.server.updateStatus(PODS, {
    ...pod,
    status: { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions },
  });
}

describe("a pod that only bears our labels", () => {
  test("does not count as ready: a cold target gets its traffic when pods of its own are ready", async () => {
    const cold = { strategy: { drain: "1s", progressDeadline: "120s", standby: { replicas: "100%", for: "1s" } } };
    const simulation = await guardingTwo(undefined, cold);
    expect(simulation.get({ group: "apps", version: "v1", resource: "deployments" }, "toy-r1").spec?.replicas).toBe(0);
    for (const name of ["a", "b"]) foreignPod(simulation, name, 1);
    let starts = false;
    simulation.starts = (revision) => revision !== 1 || starts;
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.until("returning", ({ status }) => status?.phase === "RollingBack");
    await simulation.clock.advance(15_000);
    expect(simulation.traffic).toEqual([1, 2]);
    starts = true;
    for (const pod of simulation.server.list(PODS, "default"))
      if (pod.metadata.ownerReferences?.some((owner) => owner.name.startsWith("toy-r1-")))
        simulation.server.delete(PODS, "default", pod.metadata.name, { gracePeriodSeconds: 0 });
    await simulation.until("returned", ({ status }) => status?.phase === "RolledBack");
    expect(simulation.traffic).toEqual([1, 2, 1]);
  });

  test("is not scraped", async () => {
    const simulation = await guarding();
    const asked = new Set<string>();
    simulation.answerQuery = async (request: ApiRequest) => {
      asked.add(request.url);
      return { status: 200, headers: { "content-type": "text/plain" }, body: "# TYPE load gauge\nload 0.01\n" };
    };
    await simulation.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "MetricSource",
      metadata: { name: "pods" },
      spec: { type: "Pods", namespaces: ["*"], freeQueries: true },
    });
    foreignPod(simulation, "a", 1);
    await simulation.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "RollbackPolicy",
      metadata: { name: "toy", namespace: "default" },
      spec: {
        warmup: "1s",
        checks: [
          {
            name: "load",
            source: "pods",
            query: 'max(load{pod=~"${workload}-.+"})',
            window: "1s",
            interval: "1s",
            threshold: { max: 0.1 },
            breach: { count: 1, of: 1 },
          },
        ],
      },
    });
    await simulation.apply(pinned("v1"));
    await simulation.clock.advance(10_000);
    expect(simulation.deployment()?.status?.checks?.find((one) => one.name === "load")?.verdict).toBe("Healthy");
    expect([...asked]).toEqual(["/metrics"]);
  });
});

describe("whose revision a pod is", () => {
  const pod = (owner: Partial<OwnerReference> | undefined, labels: Record<string, string> = {}): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "p",
      labels: {
        "rollguard.dev/deployment": "toy",
        "rollguard.dev/revision": "2",
        "pod-template-hash": "5f7d9c",
        ...labels,
      },
      ...(owner
        ? { ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "x", uid: "u", controller: true, ...owner }] }
        : {}),
    },
    spec: { containers: [] },
  });

  test.each<[string, Pod, number | undefined]>([
    ["made by the ReplicaSet of the revision's Deployment", pod({ name: "toy-r2-5f7d9c" }), 2],
    ["made by nobody", pod(undefined), undefined],
    ["made by the ReplicaSet of a copy of it", pod({ name: "toy-r2-copy-5f7d9c" }), undefined],
    ["made by the ReplicaSet of another revision", pod({ name: "toy-r1-5f7d9c" }), undefined],
    ["made by another kind of that name", pod({ kind: "Job", name: "toy-r2-5f7d9c" }), undefined],
    ["owned, but not controlled, by it", pod({ name: "toy-r2-5f7d9c", controller: false }), undefined],
    ["of another template than the ReplicaSet's", pod({ name: "toy-r2-5f7d9c" }, { "pod-template-hash": "other" }), undefined],
  ])("%s", (_words, made, revision) => {
    expect(revisionOfPod(made)).toBe(revision);
    // The cache keeps what this is told by.
    expect(revisionOfPod(trimPod(structuredClone(made)))).toBe(revision);
  });
});
