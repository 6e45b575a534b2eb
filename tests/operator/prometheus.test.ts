// The main job judged by a real Prometheus that scrapes the real pods, and what happens while it is dead.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { sleep, systemClock } from "../../src/clock.ts";
import { type Bed, makeBed, Subject } from "./harness.ts";
import { Prometheus, prometheusInstalled, USER } from "./prometheus.ts";

const LIMIT = 90_000;
const INTERVAL_MS = 2000;
/** What a busy machine may add. */
const SLACK_MS = 5000;

const policyOn = (source: string) => ({
  bake: "4s",
  checks: [
    {
      name: "errors",
      source,
      ratio: {
        numerator: 'sum(increase(toy_errors_total{namespace="${namespace}",pod=~"${workload}-.+"}[${window}]))',
        denominator: 'sum(increase(toy_requests_total{namespace="${namespace}",pod=~"${workload}-.+"}[${window}]))',
        minSamples: 10,
      },
      window: "2s",
      interval: `${INTERVAL_MS}ms`,
      threshold: { max: 0.1 },
      breach: { count: 2, of: 3 },
    },
  ],
});

function metrics(status: NonNullable<ModelDeployment["status"]>) {
  return status.conditions?.find((one) => one.type === "MetricsAvailable");
}

describe.runIf(prometheusInstalled).concurrent("judged by a real Prometheus", () => {
  let bed: Bed;
  const servers: Prometheus[] = [];

  beforeAll(async () => {
    bed = await makeBed();
    bed.startOperator();
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()));
    await bed.close();
  });

  /** A namespace with a Prometheus of its own, which is the MetricSource `source`. */
  async function begin(namespace: string, source: string, auth?: { secretRef: object }) {
    const prometheus = await Prometheus.start(bed, namespace, { basicAuth: auth !== undefined });
    servers.push(prometheus);
    const subject = await new Subject(bed, namespace).begin(policyOn(source));
    await subject.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "MetricSource",
      metadata: { name: source },
      spec: {
        type: "Prometheus",
        address: prometheus.address,
        namespaces: [namespace],
        freeQueries: true,
        ...(auth ? { auth: { type: "Basic", ...auth } } : {}),
      },
    });
    return { prometheus, subject };
  }

  /** v1 serves and is the only proven one, the source is dark, and nothing comes of that for so long. */
  async function unchanged(subject: Subject, ms: number): Promise<void> {
    for (const end = Date.now() + ms; Date.now() < end; await sleep(systemClock, 250)) {
      const status = await subject.status();
      expect(status).toMatchObject({ active: { version: "v1" }, lastHealthy: { version: "v1" } });
      expect([status.rollback, status.quarantine ?? []]).toEqual([undefined, []]);
      expect(status.history?.filter((entry) => entry.outcome === "Proven")).toHaveLength(1);
      expect(metrics(status)?.status).toBe("False");
    }
    expect((await subject.ask()).revision).toBe("1");
  }

  test("a version that Prometheus finds bad is taken back by itself; the operator proves who it is with a Secret", {
    timeout: LIMIT,
  }, async () => {
    await new Subject(bed, "default").apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "prometheus", namespace: "default" },
      data: { login: Buffer.from(`${USER.name}:${USER.password}`).toString("base64") },
    });
    const { prometheus, subject } = await begin("judged", "prometheus", { secretRef: { name: "prometheus", key: "login" } });
    expect((await fetch(`${prometheus.address}/api/v1/query?query=1`)).status).toBe(401);
    await subject.version("v1");
    await subject.version("v2", { BAD_RATIO: "0.5" });
    await subject.pin("v1");
    await subject.until("proven", (status) => status.phase === "Guarding");
    await subject.pin("v2");
    const status = await subject.until("rolled back", (one) => one.phase === "RolledBack");
    expect(subject.story(status)).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 RolledBack", "3 Return v1 Verified"]);
    expect(status.quarantine?.[0]).toMatchObject({ version: "v2" });
    expect(status.rollback).toMatchObject({ trigger: "Breach", check: "errors" });
    expect((await subject.ask()).revision).toBe("1");
    expect(JSON.stringify(status)).not.toContain(USER.password);
  });

  test("during an outage of a source: no rollback, no proof, MetricsAvailable=False within two intervals", {
    timeout: LIMIT,
  }, async () => {
    const { prometheus, subject } = await begin("outage", "mortal");
    await subject.version("v1");
    await subject.version("v2");
    await subject.pin("v1");
    await subject.until("proven", (status) => status.phase === "Guarding" && metrics(status)?.status === "True");

    await prometheus.kill();
    const dark = await subject.until("dark", (status) => metrics(status)?.status === "False", 2 * INTERVAL_MS + SLACK_MS);
    expect(metrics(dark)?.reason).toBe("ProviderError");

    await unchanged(subject, 3000);
    await subject.pin("v2");
    await subject.until("waiting for the source", (status) =>
      status.conditions?.some((one) => one.type === "Ready" && one.message.includes("does not answer")),
    );
    // v2 is ready, and neither gets the traffic nor is blamed.
    await unchanged(subject, 5000);
    expect(await subject.status()).toMatchObject({ candidate: { version: "v2" } });

    await prometheus.run();
    await subject.until("answering", (status) => metrics(status)?.status === "True");
    const status = await subject.until("proven", (one) => one.lastHealthy?.version === "v2" && one.phase === "Guarding");
    expect(subject.story(status)).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Proven"]);
  });
});
