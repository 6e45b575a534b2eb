// What goes wrong on a real cluster, judged by a real Prometheus that scrapes real pods: models that fail in each way, sources that
// fail, and parts of Kubernetes that are away. Only with the kit's cluster: npm run test:e2e -- --cluster local. One story.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, startClients } from "../../examples/digits/client.ts";
import { type ClusterStage, SYSTEM } from "../../examples/digits/cluster-stage.ts";
import { loadDigits } from "../../examples/digits/data.ts";
import { NAMESPACE } from "../../examples/digits/stage.ts";
import type { Cluster } from "../cluster/start.ts";
import { env, harmed } from "./harm.ts";
import { Prometheus, prometheusInstalled } from "./prometheus.ts";
import { type Manifest, noneFailed, pinned, raise, type Status, until, WHERE } from "./real.ts";

const LIMIT = 240_000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The demo's policy on Prometheus: `increase` needs two scrapes in a window, and it scrapes once a second. */
function onPrometheus(manifest: Manifest): void {
  const { checks } = manifest.spec as { checks: { source: string; window: string; interval: string }[] };
  for (const check of checks) Object.assign(check, { source: "prometheus", window: "3s", interval: "3s" });
}

describe.skipIf(WHERE !== "local" || !prometheusInstalled)("incidents on a real cluster", () => {
  let stage: ClusterStage;
  let cluster: Cluster;
  let prometheus: Prometheus;
  let clients: Clients;

  beforeAll(async () => {
    stage = (await raise()) as ClusterStage;
    cluster = stage.place.cluster as Cluster;
    // Each cluster has an address of its own, so that the port is free.
    prometheus = new Prometheus(cluster.hostAddress, 9090);
    await prometheus.discover(stage.client, NAMESPACE);
    await prometheus.start();
  }, 45 * 60_000);

  afterAll(async () => {
    await clients?.stop().catch(() => undefined);
    await prometheus?.close();
    await stage?.close();
  }, 120_000);

  const proven = (version: string) =>
    until(
      stage,
      `the proof of ${version}`,
      (status) => status.lastHealthy?.version === version && status.candidate === undefined && status,
      180_000,
    );
  const source = (manifest: Manifest) => {
    manifest.metadata.name = "prometheus";
    manifest.spec = {
      type: "Prometheus",
      address: prometheus.address,
      namespaces: [NAMESPACE],
      freeQueries: true,
      timeout: "2s",
    };
  };
  const lastEntry = (status: Status) => status.history?.at(-1);

  /** The version breaches, and the first one has the traffic again, verified. */
  async function takenBack(version: string, serving: Record<string, unknown>): Promise<Status["rollback"]> {
    await stage.apply("version-1.yaml", harmed(version, serving));
    await stage.apply("deployment.yaml", pinned(version));
    const done = await until(
      stage,
      `the verified return from ${version}`,
      ({ rollback }) => rollback?.from?.version === version && rollback.outcome === "Verified" && rollback,
      180_000,
    );
    expect(done.to?.version).toBe("digits-1.0.0");
    console.log(`${version}: ${done.message}`);
    return done;
  }

  /** The version never gets traffic, and is quarantined for what it did. */
  async function rejected(version: string, serving: Record<string, unknown>): Promise<string> {
    const before = clients.counts().failed;
    await stage.apply("version-1.yaml", harmed(version, serving));
    await stage.apply("deployment.yaml", pinned(version));
    const status = await until(
      stage,
      `the rejection of ${version}`,
      (now) => lastEntry(now)?.to?.version === version && !now.candidate && now,
      180_000,
    );
    expect(lastEntry(status)?.outcome).toBe("Rejected");
    expect(status.active?.version).toBe("digits-1.0.0");
    expect([...clients.counts().byRevision.values()].map((row) => row.version)).not.toContain(version);
    expect(clients.counts().failed).toBe(before);
    const { message = "" } = lastEntry(status) ?? {};
    console.log(`${version}: ${message}`);
    return message;
  }

  /** For so long nothing is decided: the same transitions, the same revisions. */
  async function unmoved(ms: number): Promise<void> {
    const of = ({ active, lastHealthy, candidate, rollback, history = [] }: Status) =>
      JSON.stringify([active?.revision, lastHealthy?.revision, candidate, rollback, history.length]);
    const before = of((await stage.deployment()).status ?? {});
    for (const end = Date.now() + ms; Date.now() < end; await pause(1000)) {
      expect(of((await stage.deployment()).status ?? {})).toBe(before);
    }
  }

  const available = (status: Status, value: "True" | "False") =>
    status.conditions?.some((one) => one.type === "MetricsAvailable" && one.status === value);

  test(
    "a real Prometheus proves the first version",
    async () => {
      for (const file of ["version-1.yaml", "deployment.yaml"]) await stage.apply(file);
      await stage.apply("source.yaml", source);
      await stage.apply("policy.yaml", onPrometheus);
      await until(stage, "the first version serving", (status) => status.active?.settledAt);
      // From the machine, which reaches the ClusterIP: a pod's streams would end with the kubelet.
      clients = startClients({
        url: (await stage.serviceUrl()) ?? "",
        keepAlive: 4,
        fresh: 4,
        ratePerSecond: 60,
        // Slow answers are what one of the models is taken back for; they are no failures.
        timeoutMs: 10_000,
        stream: loadDigits().live,
      });
      await proven("digits-1.0.0");
      noneFailed(clients.counts());
    },
    LIMIT,
  );

  test(
    "real latency is a breach, and is taken back",
    async () => {
      const rollback = await takenBack("digits-slow", env("latency", "0.51"));
      expect(rollback?.message).toContain("p95-latency");
      noneFailed(clients.counts());
    },
    LIMIT,
  );

  test(
    "an image that does not start is rejected without traffic",
    async () => {
      const message = await rejected("digits-no-program", { image: "localhost/rollguard/pause:1" });
      expect(message).toMatch(/executable file not found|no such file/);
    },
    LIMIT,
  );

  test(
    "a crash loop is rejected without traffic",
    async () => {
      expect(await rejected("digits-crash", env("crash"))).toMatch(/crash|exit code 3|restart/i);
    },
    LIMIT,
  );

  test(
    "an out-of-memory kill is rejected without traffic",
    async () => {
      expect(await rejected("digits-memory", env("memory"))).toMatch(/out of memory|OOM/i);
    },
    LIMIT,
  );

  test(
    "a Prometheus that is dead for two minutes moves nothing, and is used again when it is back",
    async () => {
      await prometheus.kill();
      await until(stage, "the metrics being missed", (status) => available(status, "False"));
      await unmoved(120_000);
      await prometheus.start();
      await until(stage, "the metrics being back", (status) => available(status, "True"));
      noneFailed(clients.counts());
    },
    LIMIT,
  );

  test(
    "a Prometheus that answers 500 moves nothing",
    async () => {
      await prometheus.answer500();
      await until(stage, "the metrics being missed", (status) => available(status, "False"));
      await unmoved(20_000);
      await prometheus.start();
      await until(stage, "the metrics being back", (status) => available(status, "True"));
      noneFailed(clients.counts());
    },
    LIMIT,
  );

  test(
    "without etcd for 30 s, with the API server started again, and without a kubelet, the traffic flows and nothing moves",
    async () => {
      const before = (await stage.deployment()).status?.history?.length;
      await cluster.part("etcd", "kill");
      await pause(30_000);
      await cluster.part("etcd", "start");
      await cluster.part("kube-apiserver", "stop");
      await cluster.part("kube-apiserver", "start");
      await until(stage, "an answer", (status) => status.phase).catch(() => undefined);
      await cluster.part("kubelet", "kill");
      await pause(15_000);
      await cluster.part("kubelet", "start");
      await unmoved(20_000);
      expect((await stage.deployment()).status?.history?.length).toBe(before);
      noneFailed(clients.counts());
    },
    LIMIT,
  );

  test(
    "the operator killed when it has decided to return: the same end, and one record of it",
    async () => {
      const version = "digits-slow-2";
      await stage.apply("version-1.yaml", harmed(version, env("latency", "0.52")));
      await stage.apply("deployment.yaml", pinned(version));
      await until(stage, "the decision", ({ rollback }) => rollback?.from?.version === version, 180_000);
      await stage.kubectl([
        "delete",
        "pod",
        "-n",
        SYSTEM,
        "-l",
        "app.kubernetes.io/name=rollguard",
        "--grace-period=0",
        "--force",
      ]);
      await until(
        stage,
        "the verified return",
        ({ rollback }) => rollback?.from?.version === version && rollback.outcome === "Verified",
        180_000,
      );
      await pause(5_000);
      const returns = (await stage.records()).filter(({ spec }) => spec.action === "Return" && spec.from?.version === version);
      expect(returns.map(({ spec }) => [spec.to?.version, spec.outcome])).toEqual([["digits-1.0.0", "Verified"]]);
      noneFailed(clients.counts());
    },
    LIMIT,
  );

  test(
    "real errors are a breach, and are taken back",
    async () => {
      const rollback = await takenBack("digits-errors", env("errors", "0.53"));
      expect(rollback?.message).toContain("error-ratio");
      const { failures } = clients.counts();
      // The only failures of the whole story, and each was the model's own answer.
      expect(failures.length).toBeGreaterThan(0);
      expect(failures.filter(({ failure }) => !failure?.startsWith("HTTP 500"))).toEqual([]);
    },
    LIMIT,
  );
});
