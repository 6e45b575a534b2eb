// The main job on real parts: the operator, an API server, processes that serve real files, metrics that are really scraped.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, systemClock } from "../../src/clock.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { type Bed, makeBed, Subject, weightsOf } from "./harness.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await makeBed();
  bed.startOperator();
});
afterAll(() => bed.close());

const LIMIT = 90_000;

describe.concurrent("the main job on real processes", () => {
  test("a breach takes the traffic back to the last proven version, with the weights and the configuration that belong to it, and records it", {
    timeout: LIMIT,
  }, async () => {
    const subject = await new Subject(bed, "breach").begin();
    await subject.version("v1", { SETTING: "old" });
    await subject.version("v2", { SETTING: "new", BAD_RATIO: "0.5" });
    await subject.pin("v1");
    await subject.until("proven", (status) => status.phase === "Guarding");
    await subject.pin("v2");
    const status = await subject.until("rolled back", (one) => one.phase === "RolledBack");
    expect(subject.story(status)).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 RolledBack", "3 Return v1 Verified"]);
    expect(await subject.ask()).toMatchObject({ weights: weightsOf("v1"), setting: "old", revision: "1" });
    expect(status.rollback?.warm).toBe(true);
    const records = await bed.client.listAll(RESOURCES.rolloutRecords, { namespace: "breach" });
    const names = records.items.map((one) => one.metadata.name).sort();
    expect(names).toEqual(["toy-1", "toy-2", "toy-3"]);
    const returned = records.items.find((one) => one.metadata.name === "toy-3") as unknown as { spec: Record<string, unknown> };
    expect(returned.spec).toMatchObject({
      outcome: "Verified",
      trigger: "Breach",
      check: "errors",
      initiator: { name: "rollguard", source: "Operator" },
      environment: "test",
    });
    expect(JSON.stringify(returned.spec.changes)).toContain("SETTING");
  });

  test("a wrong digest quarantines the candidate, names the version, and never reaches a server", {
    timeout: LIMIT,
  }, async () => {
    const subject = await new Subject(bed, "digest").begin();
    await subject.version("v1");
    await subject.version("v2", {}, { digest: `sha256:${"0".repeat(64)}` });
    await subject.pin("v1");
    await subject.until("proven", (status) => status.phase === "Guarding");
    await subject.pin("v2");
    const status = await subject.until("rejected", (one) => one.phase === "RolledBack");
    expect(status.quarantine?.[0]).toMatchObject({ version: "v2", reason: "DigestMismatch" });
    expect(status.quarantine?.[0]?.message).toContain("v2");
    expect((await subject.ask()).weights).toBe(weightsOf("v1"));
  });

  test("a weights server that does not answer is a sick source: nothing is quarantined, and it is tried again", {
    timeout: LIMIT,
  }, async () => {
    const subject = await new Subject(bed, "source").begin();
    await subject.version("v1", {}, { uri: "http://127.0.0.1:9/v1" });
    await subject.pin("v1");
    await sleep(systemClock, 8000);
    const status = await subject.status();
    expect(status.quarantine ?? []).toEqual([]);
    expect(status.candidate?.version).toBe("v1");
    expect(status.active).toBeUndefined();
  });

  test("crash loops are a breach even with no metrics and no checks at all", { timeout: LIMIT }, async () => {
    const subject = await new Subject(bed, "crash").begin({ checks: [], restarts: { failures: 2, in: "1m" } });
    await subject.version("v1");
    await subject.version("v2", { CRASH_AFTER_MS: "4000" });
    await subject.pin("v1");
    await subject.until("proven", (status) => status.phase === "Guarding");
    await subject.pin("v2", {}, {});
    const status = await subject.until(
      "rolled back",
      (one) => one.phase === "RolledBack" && one.active?.version === "v1",
      60_000,
    );
    expect(status.quarantine?.[0]?.version).toBe("v2");
    expect((await subject.ask()).weights).toBe(weightsOf("v1"));
  });

  test("a cold return scales the target up first and verifies it", { timeout: LIMIT }, async () => {
    const subject = await new Subject(bed, "cold").begin();
    const cold = { strategy: { drain: "1s", progressDeadline: "30s", standby: { for: "1s" } } };
    await subject.version("v1");
    await subject.version("v2");
    await subject.pin("v1", cold);
    await subject.until("proven", (status) => status.lastHealthy?.version === "v1");
    await subject.pin("v2", cold);
    await subject.until("proven", (status) => status.lastHealthy?.version === "v2");
    await subject.until("cold", (status) => status.conditions?.find((one) => one.type === "RollbackReady")?.reason === "Cold");
    await bed.client.patch(RESOURCES.modelDeployments, { namespace: "cold", name: "toy" }, "merge", {
      metadata: { annotations: { "rollguard.dev/rollback-to": "previous/1" } },
    });
    const status = await subject.until("back", (one) => one.rollback?.outcome === "Verified");
    expect(status.rollback?.warm).toBe(false);
    expect(status.history?.at(-1)).toMatchObject({ trigger: "Person", outcome: "Verified" });
    expect((await subject.ask()).weights).toBe(weightsOf("v1"));
  });

  test("Recreate: the old one is gone first, and comes back by itself: from a candidate that does not start, and from one that breaches", {
    timeout: 2 * LIMIT,
  }, async () => {
    const subject = await new Subject(bed, "recreate").begin();
    const strategy = { strategy: { type: "Recreate", drain: "1s", progressDeadline: "30s" } };
    await subject.version("v1", { SETTING: "old" });
    await subject.version("v2", {}, { digest: `sha256:${"0".repeat(64)}` });
    await subject.version("v3", { BAD_RATIO: "0.5" });
    await subject.pin("v1", strategy);
    await subject.until("proven", (status) => status.phase === "Guarding");
    const running = async () => {
      const pods = await bed.client.listAll(RESOURCES.pods, { namespace: "recreate" });
      return [...new Set(pods.items.map((pod) => pod.metadata.labels?.["rollguard.dev/revision"]))];
    };
    await subject.pin("v2", strategy);
    await subject.until("down", (status) => status.active?.downSince !== undefined);
    const rejected = await subject.until("back", (status) => status.phase === "RolledBack", LIMIT);
    expect(rejected.quarantine?.[0]).toMatchObject({ version: "v2", reason: "DigestMismatch" });
    expect(rejected.rollback).toMatchObject({ trigger: "Fault", outcome: "Verified", warm: false });
    expect(await running()).toEqual(["1"]);
    expect(await subject.ask()).toMatchObject({ weights: weightsOf("v1"), setting: "old" });
    await subject.pin("v3", strategy);
    await subject.until("serving", (status) => status.active?.version === "v3");
    expect(await running()).toEqual(["3"]);
    const status = await subject.until("returned", (one) => one.phase === "RolledBack" && one.active?.version === "v1", LIMIT);
    expect(subject.story(status)).toEqual([
      "1 Rollout v1 Proven",
      "2 Rollout v2 Rejected",
      "3 Return v1 Verified",
      "4 Rollout v3 RolledBack",
      "5 Return v1 Verified",
    ]);
    expect((await subject.ask()).weights).toBe(weightsOf("v1"));
  });

  test("the ConfigMaps that the template names come back with the revision, also when Git changed the original", {
    timeout: LIMIT,
  }, async () => {
    const subject = await new Subject(bed, "config").begin();
    const map = (value: string) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "settings", namespace: "config" },
      data: { SETTING: value },
    });
    const withMap = {
      containers: [
        {
          name: "server",
          image: "toy:1",
          command: ["node", "tests/operator/toy-server.mjs"],
          ports: [{ name: "http", containerPort: 8080 }],
          env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
          envFrom: [{ configMapRef: { name: "settings" } }],
          readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 1 },
        },
      ],
    };
    await subject.version("v1");
    await subject.apply(map("one"));
    await subject.pin("v1", {}, withMap);
    await subject.until("proven", (status) => status.phase === "Guarding");
    await subject.apply(map("two"));
    await subject.until("the change as a new revision", (status) => status.lastHealthy?.revision === 2);
    expect((await subject.ask()).setting).toBe("two");
    await bed.client.patch(RESOURCES.modelDeployments, { namespace: "config", name: "toy" }, "merge", {
      metadata: { annotations: { "rollguard.dev/rollback-to": "r1/1" } },
    });
    await subject.until("back", (status) => status.rollback?.outcome === "Verified");
    expect((await subject.ask()).setting).toBe("one");
  });

  test("a Service that another owner controls, or nobody, is not touched: Stalled, NameTaken; adopt lifts that", {
    timeout: LIMIT,
  }, async () => {
    const subject = await new Subject(bed, "taken").begin();
    const foreign = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "toy", namespace: "taken" },
      spec: { selector: { app: "old" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
    };
    await subject.apply(foreign);
    await subject.version("v1");
    await subject.pin("v1");
    const status = await subject.until("stalled", (one) => one.phase === "Stalled");
    expect(status.conditions?.find((one) => one.type === "Stalled")).toMatchObject({ status: "True", reason: "NameTaken" });
    const service = (await bed.client.get(RESOURCES.services, { namespace: "taken", name: "toy" })) as unknown as typeof foreign;
    expect(service.spec.selector).toEqual({ app: "old" });
    await bed.client.patch(RESOURCES.services, { namespace: "taken", name: "toy" }, "merge", {
      metadata: { annotations: { "rollguard.dev/adopt": "toy" } },
    });
    await subject.until("taken over", (one) => one.phase === "Guarding");
    expect((await subject.ask()).weights).toBe(weightsOf("v1"));
  });

  test("a namespace always deletes, with the operator running", { timeout: LIMIT }, async () => {
    const subject = await new Subject(bed, "gone").begin();
    await subject.version("v1");
    await subject.pin("v1");
    await subject.until("serving", (status) => status.active);
    await bed.client.delete(RESOURCES.namespaces, { name: "gone" });
    const end = Date.now() + 20_000;
    while (await bed.client.find(RESOURCES.namespaces, { name: "gone" })) {
      if (Date.now() > end) throw new Error("the namespace is still there");
      await sleep(systemClock, 100);
    }
  });

  test("scaling from outside is followed by what receives traffic", { timeout: LIMIT }, async () => {
    const subject = await new Subject(bed, "scale").begin();
    await subject.version("v1");
    await subject.pin("v1");
    await subject.until("serving", (status) => status.active?.settledAt);
    await bed.client.patch(
      RESOURCES.modelDeployments,
      { namespace: "scale", name: "toy" },
      "merge",
      { spec: { replicas: 3 } },
      { subresource: "scale" },
    );
    await subject.until("three pods", (status) => status.readyReplicas === 3);
  });
});
