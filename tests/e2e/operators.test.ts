// Two operators on a real cluster, and a newer one: who leads when the leader is killed or asked to go, and what becomes of a
// hundred deployments when the operator is upgraded. Only with the kit's cluster: npm run test:e2e -- --cluster local. One story.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ClusterStage, SYSTEM } from "../../examples/digits/cluster-stage.ts";
import { NAMESPACE } from "../../examples/digits/stage.ts";
import { writeOperatorImage } from "../../scripts/image.ts";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { PAUSE_IMAGE } from "../cluster/parts.ts";
import type { Cluster } from "../cluster/start.ts";
import { type Manifest, pinned, raise, until, WHERE } from "./real.ts";

interface Pod {
  metadata: { name: string; uid: string };
  status: { containerStatuses?: { restartCount: number }[] };
}

const ROOT = join(import.meta.dirname, "../..");
const LIMIT = 300_000;
const FLEET = 100;
const PREVIOUS = "docker.io/library/rollguard:previous";
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The operator's image as the commit before this one makes it; undefined where there is none, as in a shallow clone. */
function previousImage(folder: string): string | undefined {
  const [source, archive] = [join(folder, "source"), join(folder, "previous.tar")];
  mkdirSync(source);
  if (spawnSync("git", ["rev-parse", "--verify", "--quiet", "HEAD^"], { cwd: ROOT }).status !== 0) return undefined;
  execFileSync("sh", ["-c", 'git archive HEAD^ | tar -x -C "$0"', source], { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
  symlinkSync(join(ROOT, "node_modules"), join(source, "node_modules"));
  const build = ["scripts/build.ts", "--outdir", join(folder, "dist")];
  execFileSync(process.execPath, build, { cwd: source, stdio: ["ignore", "ignore", "inherit"] });
  writeOperatorImage(join(folder, "dist"), PREVIOUS, archive);
  return archive;
}

/** A deployment of one pod that only sleeps; its version's weights are the demo's. */
const small = (index: number, replicas = 1): Manifest => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ModelDeployment",
  metadata: { name: `small-${index}`, namespace: NAMESPACE },
  spec: {
    model: "digits",
    version: "digits-1.0.0",
    replicas,
    container: "server",
    modelPath: "/models",
    service: { port: 80, targetPort: 8080 },
    policy: { kind: "RollbackPolicy", name: "small" },
    template: { spec: { terminationGracePeriodSeconds: 1, containers: [{ name: "server", image: PAUSE_IMAGE }] } },
  },
});

const SMALL_POLICY: Manifest = {
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "RollbackPolicy",
  metadata: { name: "small", namespace: NAMESPACE },
  spec: { warmup: "0s", bake: "5s", builtInInterval: "1s" },
};

describe.skipIf(WHERE !== "local")("two operators, and a newer one", () => {
  let stage: ClusterStage;

  beforeAll(async () => {
    stage = (await raise()) as ClusterStage;
    await stage.kubectl(["scale", "deployment/rollguard", "-n", SYSTEM, "--replicas=2"]);
    await settled();
    for (const file of ["version-1.yaml", "version-3.yaml", "policy.yaml", "source.yaml"]) await stage.apply(file);
    await stage.apply("deployment.yaml");
    await until(stage, "the first version serving", (status) => status.active?.settledAt);
  }, 45 * 60_000);

  afterAll(async () => {
    await stage?.close();
  }, 120_000);

  const settled = () => stage.kubectl(["rollout", "status", "deployment/rollguard", "-n", SYSTEM, "--timeout=120s"]);

  async function leader(): Promise<string> {
    const lease = await stage.client.get(RESOURCES.leases, { namespace: SYSTEM, name: "rollguard" });
    return (lease as KubeObject & { spec?: { holderIdentity?: string } }).spec?.holderIdentity ?? "";
  }

  /** How long until a pin is acted on by another leader, ms. */
  async function succeeded(args: string[], version: string): Promise<number> {
    const before = await leader();
    await stage.kubectl(["delete", "pod", before, "-n", SYSTEM, "--wait=false", ...args]);
    const since = Date.now();
    await stage.apply("deployment.yaml", pinned(version));
    const { metadata } = await stage.deployment();
    await until(stage, "the successor's pass", (status) => (status.observedGeneration ?? 0) >= (metadata.generation ?? 0));
    const took = Date.now() - since;
    expect(await leader()).not.toBe(before);
    return took;
  }

  test(
    "a leader that is asked to go: the successor acts within a second of its end",
    async () => {
      const took = await succeeded([], "digits-2.0.1");
      console.log(`a polite end: the successor had acted ${took} ms after the request to delete the pod`);
      expect(took).toBeLessThan(10_000);
      await settled();
    },
    LIMIT,
  );

  test(
    "a leader that is killed: the successor acts when the lease has run out",
    async () => {
      const took = await succeeded(["--grace-period=0", "--force"], "digits-1.0.0");
      console.log(`killed: the successor had acted after ${took} ms`);
      expect(took).toBeLessThan(25_000);
      await settled();
    },
    LIMIT,
  );

  /** Each of the fleet's pods, with how often its containers were started again. */
  async function pods(): Promise<string[]> {
    const { items } = await stage.client.listAll(RESOURCES.pods, {
      namespace: NAMESPACE,
      labelSelector: "rollguard.dev/deployment",
    });
    return (items as unknown as Pod[])
      .map(
        ({ metadata, status }) => `${metadata.name} ${metadata.uid} ${status.containerStatuses?.map((one) => one.restartCount)}`,
      )
      .sort();
  }

  async function fleet(): Promise<ModelDeployment[]> {
    const { items } = await stage.client.listAll(RESOURCES.modelDeployments, { namespace: NAMESPACE });
    return (items as unknown as ModelDeployment[]).filter(({ metadata }) => metadata.name?.startsWith("small-"));
  }

  async function runs(image: string): Promise<void> {
    await stage.kubectl(["set", "image", "deployment/rollguard", "-n", SYSTEM, `*=${image}`]);
    await settled();
  }

  test(
    "an upgrade of the operator restarts no pod of a hundred deployments",
    async (context) => {
      const folder = mkdtempSync(join(tmpdir(), "rollguard-previous-"));
      try {
        const image = previousImage(folder);
        if (image === undefined) return context.skip("the commit before this one can't be had here");
        await (stage.place.cluster as Cluster).loadImage(image);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      await runs(PREVIOUS);
      await stage.applyObjects([SMALL_POLICY, ...Array.from({ length: FLEET }, (_, index) => small(index))]);
      for (const end = Date.now() + LIMIT; ; await pause(1000)) {
        const count = (await fleet()).filter(({ status }) => status?.phase === "Guarding").length;
        if (count === FLEET) break;
        if (Date.now() > end) throw new Error(`${count} of ${FLEET} are proven`);
      }
      const before = { pods: await pods(), writes: (await fleet()).map(({ metadata }) => metadata.resourceVersion) };
      await runs(stage.place.images.operator);
      // The new leader has seen each of them when it has acted on one that changed.
      await stage.applyObjects([small(0, 2)]);
      await stage.kubectl([
        "wait",
        "--for=jsonpath={.status.replicas}=2",
        `modeldeployment/small-0`,
        "-n",
        NAMESPACE,
        "--timeout=60s",
      ]);
      await pause(10_000);
      const after = await pods();
      expect(before.pods.filter((pod) => !after.includes(pod))).toEqual([]);
      const writes = (await fleet()).map(({ metadata }) => metadata.resourceVersion);
      console.log(
        `upgrade: ${before.pods.length} pods before, ${writes.filter((one, i) => one !== before.writes[i]).length} statuses written`,
      );
    },
    2 * LIMIT,
  );
});
