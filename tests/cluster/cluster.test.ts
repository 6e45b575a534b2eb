// The kit for real: a Kubernetes of one node runs containers and Services, and whatever ends it, nothing is left.
// Only when asked, with ROLLGUARD_E2E=local: it needs root, and the first time minutes to build.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { programFiles, writeImage } from "../../scripts/oci.ts";
import { isAlive, ownerOf, slotOf } from "./slots.ts";
import { type Cluster, endCluster, startCluster } from "./start.ts";
import { type Traces, traces } from "./traces.ts";

const run = promisify(execFile);
const BUILD = 45 * 60_000;
const IMAGE = "localhost/rollguard/hello:1";
const SERVER = `
require("node:http").createServer((request, response) => response.end("hello from " + require("node:os").hostname())).listen(8080);
process.on("SIGTERM", () => process.exit(0));
console.log("listening");
`;

const HELLO = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "hello" },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "hello" } },
      template: {
        metadata: { labels: { app: "hello" } },
        spec: {
          containers: [
            {
              name: "main",
              image: IMAGE,
              imagePullPolicy: "Never",
              readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
              resources: { limits: { memory: "128Mi" } },
            },
          ],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "hello" },
    spec: { selector: { app: "hello" }, ports: [{ port: 80, targetPort: 8080 }] },
  },
];

/** kubectl of the cluster's own version; `input` is a manifest for its standard input. */
async function kubectl(cluster: Cluster, args: string[], input?: unknown): Promise<string> {
  const running = run(cluster.kubectl, [
    "--kubeconfig",
    cluster.kubeconfigPath,
    "--cache-dir",
    join(cluster.logs, "cache"),
    ...args,
  ]);
  running.child.stdin?.end(input === undefined ? "" : JSON.stringify(input));
  return (await running).stdout;
}

/** A pod is ready a moment before kube-proxy knows it: until then the ClusterIP refuses. */
async function get(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text();
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Another program that starts a cluster with `options` and waits; `line` is what it said first. */
async function beside(options: string): Promise<{ pid: number; line: string; exited: Promise<unknown> }> {
  const start = join(import.meta.dirname, "start.ts");
  const program = `import { startCluster } from ${JSON.stringify(start)};
    const { slot, init } = await startCluster(${options});
    console.log(JSON.stringify({ slot, init }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) return { pid: child.pid ?? 0, line, exited };
  throw new Error("it started no cluster");
}

async function within(ms: number, done: () => boolean): Promise<void> {
  const end = performance.now() + ms;
  while (!done()) {
    if (performance.now() > end) throw new Error(`not so after ${ms} ms: ${done}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.skipIf(process.env.ROLLGUARD_E2E !== "local")("a Kubernetes of one node", () => {
  let folder: string;
  let archive: string;
  let before: Traces;
  let cluster: Cluster;

  beforeAll(async () => {
    before = traces();
    folder = mkdtempSync(join(tmpdir(), "rollguard-hello-"));
    archive = join(folder, "hello.tar");
    const files = { ...programFiles(process.execPath, "/usr/bin/node"), "/server.cjs": { text: SERVER } };
    writeImage({ reference: IMAGE, files, entrypoint: ["/usr/bin/node", "/server.cjs"], user: "1000:1000" }, archive);
    cluster = await startCluster({ audit: true, say: console.log });
    await cluster.loadImage(archive);
  }, BUILD);

  afterAll(async () => {
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("a Deployment of a real container becomes ready, and its ClusterIP answers the machine and the pods", async () => {
    await kubectl(cluster, ["apply", "-f", "-"], { apiVersion: "v1", kind: "List", items: HELLO });
    console.log((await kubectl(cluster, ["rollout", "status", "deployment/hello", "--timeout=60s"])).trim());
    const address = await kubectl(cluster, ["get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}"]);
    expect(await get(`http://${address}/`)).toMatch(/^hello from hello-/);
    const ask = `fetch("http://${address}/").then((answer) => answer.text()).then(console.log)`;
    expect(await kubectl(cluster, ["exec", "deployment/hello", "--", "/usr/bin/node", "-e", ask])).toMatch(/^hello from hello-/);
    expect(await kubectl(cluster, ["logs", "deployment/hello"])).toBe("listening\n");
  }, 90_000);

  test("pods reach the API server by its ClusterIP, and what listens on the machine", async () => {
    const inPod = (script: string) => kubectl(cluster, ["exec", "deployment/hello", "--", "/usr/bin/node", "-e", script]);
    const api = `fetch("https://" + process.env.KUBERNETES_SERVICE_HOST).catch((error) => console.log(error.cause.code))`;
    // It speaks TLS with a certificate of an authority that Node does not know.
    expect((await inPod(api)).trim()).toMatch(/CERT|SIGNATURE/);
    const server = createServer((_request, response) => response.end("from the machine\n")).listen(0, cluster.hostAddress);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const ask = `fetch("http://${cluster.hostAddress}:${port}").then((answer) => answer.text()).then(console.log)`;
    expect((await inPod(ask)).trim()).toBe("from the machine");
    server.close();
  }, 30_000);

  test("RBAC is in force", async () => {
    const can = (...args: string[]) =>
      kubectl(cluster, ["auth", "can-i", ...args]).catch((error: { stdout: string }) => error.stdout);
    expect((await can("get", "secrets")).trim()).toBe("yes");
    expect((await can("get", "secrets", "--as", "system:serviceaccount:default:default")).trim()).toBe("no");
  });

  test("the audit log says who did what", () => {
    const lines = readFileSync(cluster.auditLog ?? "", "utf8")
      .trim()
      .split("\n");
    const created = lines
      .map((line) => JSON.parse(line))
      .find(({ verb, objectRef }) => ["create", "patch"].includes(verb) && objectRef?.resource === "deployments");
    expect(created).toMatchObject({ user: { username: "admin" }, objectRef: { name: "hello", namespace: "default" } });
  });

  test("a part can be ended and started again, and what runs goes on", async () => {
    const address = await kubectl(cluster, ["get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}"]);
    await cluster.part("kube-apiserver", "kill");
    await expect(kubectl(cluster, ["get", "nodes"])).rejects.toThrow("refused");
    expect(await get(`http://${address}/`)).toMatch(/^hello from hello-/);
    await cluster.part("kube-apiserver", "start");
    await kubectl(cluster, ["rollout", "restart", "deployment/hello"]).catch(() => undefined);
    for (let attempt = 0; attempt < 100; attempt++) {
      if (await kubectl(cluster, ["get", "--raw", "/readyz"]).catch(() => undefined)) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await kubectl(cluster, ["scale", "deployment/hello", "--replicas=3"]);
    await kubectl(cluster, ["rollout", "status", "deployment/hello", "--timeout=60s"]);
  }, 90_000);

  test("a second one runs beside it", async () => {
    const other = await startCluster();
    try {
      expect(other.slot).not.toBe(cluster.slot);
      expect(await kubectl(other, ["get", "deployments", "-A"])).toBe("");
      await other.loadImage(archive);
      await kubectl(other, ["apply", "-f", "-"], { apiVersion: "v1", kind: "List", items: HELLO });
      await kubectl(other, ["rollout", "status", "deployment/hello", "--timeout=60s"]);
      const address = await kubectl(other, ["get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}"]);
      expect(await get(`http://${address}/`)).toMatch(/^hello from hello-/);
    } finally {
      await other.close();
    }
    expect(existsSync(slotOf(other.slot, tmpdir()).folder)).toBe(false);
  }, 120_000);

  test("a part that ends at the start is named with its last words, and nothing is left", async () => {
    const failed = startCluster({ slot: 6, apiServerFlags: ["--no-such-flag"] });
    await expect(failed).rejects.toThrow(/kube-apiserver has ended:[\s\S]*unknown flag: --no-such-flag/);
    expect([slotOf(6, tmpdir()).folder, slotOf(6, tmpdir()).lock].filter((path) => existsSync(path))).toEqual([]);
  }, 60_000);

  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "nothing is left of a start that %s ends half way",
    async (signal) => {
      const kit = join(import.meta.dirname, "kit.ts");
      const child = spawn(process.execPath, [kit, "up", "--slot", "7"], { stdio: ["ignore", "pipe", "pipe"] });
      const exited = once(child, "exit");
      for await (const line of createInterface({ input: child.stderr })) if (line.includes("space made")) break;
      child.kill(signal);
      await exited;
      const slot = slotOf(7, tmpdir());
      await within(20_000, () => !existsSync(slot.lock));
      expect(existsSync(slot.folder)).toBe(false);
    },
    60_000,
  );

  test("it is gone when the program that started it is killed", async () => {
    const { pid, line, exited } = await beside("{}");
    const { slot } = JSON.parse(line);
    process.kill(pid, "SIGKILL");
    await exited;
    await within(20_000, () => !existsSync(slotOf(slot, tmpdir()).lock));
    expect(existsSync(slotOf(slot, tmpdir()).folder)).toBe(false);
  }, 90_000);

  test("its processes are gone when its keeper is killed too, and the rest is cleared with the next call", async () => {
    const { pid, line, exited } = await beside("{}");
    const { slot: number, init } = JSON.parse(line);
    const slot = slotOf(number, tmpdir());
    const owner = ownerOf(slot);
    process.kill(pid, "SIGSTOP");
    process.kill(owner?.pid ?? 0, "SIGKILL");
    process.kill(pid, "SIGKILL");
    await exited;
    await within(20_000, () => !existsSync(`/proc/${init}/exe`));
    expect(owner && isAlive(owner)).toBe(false);
    expect(await endCluster(number)).toBe(true);
    expect([existsSync(slot.folder), existsSync(slot.lock)]).toEqual([false, false]);
  }, 90_000);

  test("nothing of it is left when it is closed", async () => {
    await cluster.close();
    expect(traces()).toEqual(before);
  }, 30_000);
});
