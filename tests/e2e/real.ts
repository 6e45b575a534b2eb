// A real cluster with the operator installed as docs/install.md says, and the example of digits on it: everything through kubectl,
// as a user would, the weights from a pod of the cluster, the traffic through the Service's ClusterIP.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadAll } from "js-yaml";
import { makeImages } from "../../scripts/image.ts";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { type Cluster, startCluster } from "../cluster/start.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
const EXAMPLE = join(ROOT, "examples/digits");
export const SYSTEM = "rollguard-system";
export const DEMO = "demo";

export type Status = NonNullable<ModelDeployment["status"]>;
/** A manifest, as a test changes it before it is applied. */
export type Manifest = { kind: string; metadata: { name: string; namespace?: string }; spec: Record<string, unknown> };

export class Real {
  readonly cluster: Cluster;
  /** Where the weights are served inside the cluster: "10.96.0.7:18787". */
  store = "";

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  /** kubectl's standard output; its warnings and errors are `said`. */
  async kubectl(args: readonly string[], input?: string): Promise<{ stdout: string; said: string }> {
    const all = ["--kubeconfig", this.cluster.kubeconfigPath, "--cache-dir", join(this.cluster.logs, "cache"), ...args];
    const running = run(this.cluster.kubectl, all, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 });
    running.child.stdin?.end(input ?? "");
    const { stdout, stderr } = await running;
    return { stdout, said: stderr };
  }

  async get<T>(...args: string[]): Promise<T> {
    return JSON.parse((await this.kubectl(["get", ...args, "-o", "json"])).stdout) as T;
  }

  /** `kubectl apply` of a file of examples/digits, into another namespace too; `edit` may change what is applied. */
  async apply(file: string, edit: (manifest: Manifest) => void = () => undefined): Promise<void> {
    const text = readFileSync(join(EXAMPLE, file), "utf8").replaceAll("127.0.0.1:18787", this.store);
    const items = loadAll(text) as Manifest[];
    for (const item of items) edit(item);
    await this.applyObjects(items);
  }

  async applyObjects(items: readonly unknown[]): Promise<void> {
    await this.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  }

  deployment(): Promise<ModelDeployment> {
    return this.get<ModelDeployment>("modeldeployment", "digits", "-n", DEMO);
  }

  /** Polls the status until `done` gives something; fails with the status's own words. */
  async until<T>(what: string, done: (status: Status) => T | undefined | false, limitMs = 90_000): Promise<T> {
    const end = Date.now() + limitMs;
    for (;;) {
      const { status = {} } = await this.deployment();
      const found = done(status);
      if (found) return found;
      if (Date.now() > end) throw new Error(`${what} did not happen in ${limitMs / 1000} s: ${status.phase}: ${status.message}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async address(name: string): Promise<string> {
    const { stdout } = await this.kubectl([
      "get",
      "service",
      name,
      "-n",
      DEMO,
      "-o",
      "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}",
    ]);
    return stdout;
  }

  /** The operator's requests that the API server refused, by the audit log: "verb resource: code". */
  refused(): string[] {
    const lines = readFileSync(this.cluster.auditLog ?? "", "utf8")
      .trim()
      .split("\n");
    const wrong = lines
      .map((line) => JSON.parse(line))
      .filter(({ user, stage }) => user?.username === `system:serviceaccount:${SYSTEM}:rollguard` && stage === "ResponseComplete")
      .filter(({ responseStatus }) => [401, 403, 422].includes(responseStatus?.code));
    return [
      ...new Set(
        wrong.map(
          ({ verb, objectRef, responseStatus }) =>
            `${verb} ${objectRef?.resource}/${objectRef?.subresource ?? ""}: ${responseStatus.code} ${responseStatus.message}`,
        ),
      ),
    ];
  }
}

/** Starts a cluster (the first time Kubernetes is built) and loads both images. */
export async function raise(): Promise<Real> {
  const folder = mkdtempSync(join(tmpdir(), "rollguard-e2e-"));
  try {
    const images = Object.values(makeImages(folder));
    return new Real(await startCluster({ audit: true, images, say: console.log }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A pod that serves the weights, behind a ClusterIP: there is no DNS in the kit's cluster. */
export async function serveWeights(real: Real): Promise<void> {
  const labels = { app: "weights" };
  const container = {
    name: "store",
    image: "digits-server:1",
    args: ["examples/digits/weights.ts"],
    env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
    readinessProbe: { tcpSocket: { port: 18_787 }, periodSeconds: 1 },
  };
  const template = { metadata: { labels }, spec: { containers: [container], terminationGracePeriodSeconds: 1 } };
  const metadata = { name: "weights", namespace: DEMO };
  await real.applyObjects([
    { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { replicas: 1, selector: { matchLabels: labels }, template } },
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels, ports: [{ port: 18_787 }] } },
  ]);
  await real.kubectl(["rollout", "status", "deployment/weights", "-n", DEMO, "--timeout=60s"]);
  real.store = await real.address("weights");
}
