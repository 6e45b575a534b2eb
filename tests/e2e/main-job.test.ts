// The main job on a cluster, only when asked: npm run test:e2e -- --cluster local|kind|current|sandbox. One story: each test goes on
// where the one before ended.
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import type { Answer, Clients } from "../../examples/digits/client.ts";
import { type ClusterStage, SYSTEM } from "../../examples/digits/cluster-stage.ts";
import { loadDigits } from "../../examples/digits/data.ts";
import { NAMESPACE } from "../../examples/digits/stage.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { type Manifest, noneFailed, pinned, raise, refused, type Status, until, WHERE } from "./real.ts";

const LIMIT = 180_000;

interface List<T> {
  items: T[];
}
interface Pod {
  metadata: { name: string; labels: Record<string, string> };
  status: {
    phase: string;
    initContainerStatuses?: { name: string; state: { terminated?: { exitCode: number } } }[];
    containerStatuses?: { restartCount: number }[];
  };
}

const strategy = (change: Record<string, unknown>) => ({
  strategy: { type: "BlueGreen", standby: { replicas: "100%", for: "10m" }, drain: "2s", progressDeadline: "1m", ...change },
});

/** The damaged weights of 2.0.0 with another setting: new content, which no quarantine knows. */
const another =
  (name: string, rejectBelow: string) =>
  (manifest: Manifest): void => {
    manifest.metadata.name = name;
    Object.assign(manifest.spec ?? {}, {
      version: name.replace("digits-", ""),
      serving: { env: [{ name: "REJECT_BELOW", value: rejectBelow }] },
    });
  };

describe.skipIf(WHERE === undefined)("the main job on a cluster", () => {
  let real: Awaited<ReturnType<typeof raise>>;
  let clients: Clients | undefined;
  const answers: Answer[] = [];

  beforeAll(async () => {
    real = await raise();
  }, 45 * 60_000);

  afterAll(async () => {
    await clients?.stop();
    await real?.close();
  }, 60_000);

  const proven = (version: string) =>
    until(
      real,
      `the proof of ${version}`,
      (status) => status.lastHealthy?.version === version && status.candidate === undefined && status,
    );

  /** The verified return from `from`, with its times in the output, measured from the first wrong answer. */
  async function returned(what: string, from: string, to: string): Promise<void> {
    await until(real, `${from} taking the traffic`, (status) => status.active?.version === from);
    const rollback = await until(
      real,
      "the verified return",
      ({ rollback }) => rollback?.from?.version === from && rollback.outcome === "Verified" && rollback,
    );
    // Longer than the drain and the pods' grace, so that a late answer of the old one would come.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const time = (text: string | undefined) => Date.parse(text ?? "");
    const [decided, restored, verified] = [
      time(rollback.decidedAt),
      time(rollback.restoredAt),
      time(rollback.verifiedAt),
    ] as const;
    const first =
      answers.find(({ prediction }) => prediction?.version === from && prediction.digit !== prediction.truth)?.at ?? Number.NaN;
    const last = answers.findLast(({ prediction }) => prediction?.version === from)?.at ?? Number.NaN;
    const seconds = (from: number, to: number) => `${((to - from) / 1000).toFixed(2)} s`;
    console.log(
      `${what} return: decided ${seconds(first, decided)} after the first wrong answer, Service moved back ${seconds(decided, restored)} later, ` +
        `last answer of ${from} ${seconds(restored, last)} after that, verified ${seconds(decided, verified)} after the decision`,
    );
    expect(rollback.to?.version).toBe(to);
    // The drain is 2 s; then the pods are told to end, and answer with `Connection: close`.
    expect(last - restored).toBeLessThan(5_000);
    const { prediction } = answers.findLast((answer) => answer.prediction) ?? {};
    expect(prediction?.version).toBe(to);
  }

  /** For what only a real cluster has; the test is left out on the sandbox. */
  function cluster(context: TestContext): ClusterStage {
    if (!real.place) context.skip("on a real cluster only");
    return real as ClusterStage;
  }

  async function get<T>(context: TestContext, ...args: string[]): Promise<T> {
    return JSON.parse((await cluster(context).kubectl(["get", ...args, "-o", "json"])).stdout) as T;
  }

  test(
    "the manifests install without a warning, and one of the replicas leads",
    async (context) => {
      expect(cluster(context).warned ?? "").toBe("");
      const { items } = await get<List<Pod>>(context, "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=rollguard");
      expect(new Set(items.map(({ status }) => status.phase))).toEqual(new Set(["Running"]));
      const lease = await get<{ spec: { holderIdentity: string } }>(context, "lease", "rollguard", "-n", SYSTEM);
      expect(items.map(({ metadata }) => metadata.name)).toContain(lease.spec.holderIdentity);
    },
    LIMIT,
  );

  test(
    "weights are fetched and verified, and the first version is proven",
    async () => {
      for (const file of ["namespace.yaml", "source.yaml", "policy.yaml", "version-1.yaml", "version-2.yaml", "version-3.yaml"])
        await real.apply(file);
      await real.apply("deployment.yaml");
      await until(real, "the first version serving", (status) => status.active?.settledAt);
      const { items } = await real.client.listAll(RESOURCES.pods, {
        namespace: NAMESPACE,
        labelSelector: "rollguard.dev/deployment=digits",
      });
      expect(items.length).toBeGreaterThan(0);
      for (const { status } of items as unknown as Pod[])
        expect(status.initContainerStatuses?.[0]?.state.terminated?.exitCode).toBe(0);
      clients = real.startClients({
        url: (await real.serviceUrl()) ?? "",
        keepAlive: 4,
        fresh: 4,
        ratePerSecond: 120,
        stream: loadDigits().live,
        onAnswer: (answer) => answers.push(answer),
      });
      await proven("digits-1.0.0");
      noneFailed(clients.counts());
    },
    LIMIT,
  );

  test(
    "`kubectl wait --for=condition=Ready` ends, and `kubectl scale` scales",
    async (context) => {
      const { kubectl } = cluster(context);
      await kubectl(["wait", "--for=condition=Ready", "modeldeployment/digits", "-n", NAMESPACE, "--timeout=30s"]);
      const scaled = async (count: number) => {
        await kubectl(["scale", "modeldeployment/digits", "-n", NAMESPACE, `--replicas=${count}`]);
        const state = `jsonpath={.status.replicas}=${count}`;
        await kubectl(["wait", `--for=${state}`, "modeldeployment/digits", "-n", NAMESPACE, "--timeout=60s"]);
      };
      await scaled(3);
      await scaled(2);
      noneFailed((clients as Clients).counts());
    },
    LIMIT,
  );

  test(
    "a bad version is taken back at once to pods that are warm, and no request fails",
    async () => {
      await real.apply("deployment.yaml", pinned("digits-2.0.0"));
      await returned("warm", "digits-2.0.0", "digits-1.0.0");
      noneFailed((clients as Clients).counts());
    },
    LIMIT,
  );

  test(
    "the mended version is proven, and no request fails",
    async () => {
      await real.apply("deployment.yaml", pinned("digits-2.0.1"));
      await proven("digits-2.0.1");
      noneFailed((clients as Clients).counts());
    },
    LIMIT,
  );

  test(
    "a second bad version is taken back though the standby is set to 0: it is kept until the proof, and no request fails",
    async () => {
      await real.apply("version-2.yaml", another("digits-2.0.2", "0.21"));
      await real.apply("deployment.yaml", pinned("digits-2.0.2", strategy({ standby: { replicas: 0, for: "0s" } })));
      await returned("second warm", "digits-2.0.2", "digits-2.0.1");
      noneFailed((clients as Clients).counts());
    },
    LIMIT,
  );

  test(
    "a canary by the number of pods is set back, and no request fails",
    async () => {
      await real.apply("version-2.yaml", another("digits-2.0.3", "0.22"));
      const canary = {
        steps: [
          { weight: 25, hold: "8s" },
          { weight: 50, hold: "30s" },
        ],
      };
      await real.apply("deployment.yaml", pinned("digits-2.0.3", { replicas: 3, ...strategy({ type: "Canary", canary }) }));
      const status: Status = await until(
        real,
        "the setback",
        (now) => now.history?.at(-1)?.to?.version === "digits-2.0.3" && !now.candidate && now,
      );
      expect(status.history?.at(-1)?.outcome).toBe("Rejected");
      expect(status.active?.version).toBe("digits-2.0.1");
      const shares = answers.filter(({ prediction }) => prediction?.version === "digits-2.0.3").length;
      console.log(`canary: ${shares} answers of 2.0.3 before it was set back: ${status.history?.at(-1)?.message}`);
      expect(shares).toBeGreaterThan(0);
      noneFailed((clients as Clients).counts());
    },
    LIMIT,
  );

  test(
    "a version that was proven breaches when the world changes, and its cold return is verified",
    async () => {
      // The digits that it takes for each other do not come at first, so that it is proven.
      clients?.send(loadDigits().live.filter(({ label }) => ![4, 7, 9].includes(label)));
      await real.apply("version-2.yaml", another("digits-2.0.4", "0.23"));
      await real.apply("deployment.yaml", pinned("digits-2.0.4", strategy({ standby: { replicas: 0, for: "0s" } })));
      await proven("digits-2.0.4");
      await until(real, "the standby being away", ({ conditions }) =>
        conditions?.some(({ type, reason }) => type === "RollbackReady" && reason === "Cold"),
      );
      clients?.send(loadDigits().live);
      await returned("cold", "digits-2.0.4", "digits-2.0.1");
      noneFailed((clients as Clients).counts());
    },
    LIMIT,
  );

  test("the operator was refused nothing", (context) => {
    const { auditLog } = cluster(context).place.cluster ?? {};
    if (auditLog === undefined) return context.skip("the kit's cluster has an audit log, others may have none");
    expect(refused(auditLog)).toEqual([]);
  });

  test(
    "by Recreate the first version serves again",
    async () => {
      noneFailed(await (clients as Clients).stop());
      await real.apply("deployment.yaml", pinned("digits-1.0.0", strategy({ type: "Recreate" })));
      await until(real, "the first version again", ({ active }) => active?.version === "digits-1.0.0" && active.settledAt);
    },
    LIMIT,
  );

  test(
    "a namespace is deleted with the operator there, and with it gone",
    async (context) => {
      const stage = cluster(context);
      await stage.kubectl(["delete", "namespace", NAMESPACE, "--timeout=60s"]);
      await stage.prepare();
      for (const file of ["policy.yaml", "version-1.yaml", "deployment.yaml"]) await stage.apply(file);
      await until(stage, "the first version serving", (status) => status.active?.settledAt);
      // Somebody else's operator on somebody's cluster is left alone.
      if (stage.warned === undefined) return;
      await stage.kubectl(["delete", "deployment", "rollguard", "-n", SYSTEM, "--timeout=60s"]);
      await stage.kubectl(["delete", "namespace", NAMESPACE, "--timeout=60s"]);
    },
    LIMIT,
  );
});
