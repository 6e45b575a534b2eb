// A real Prometheus on the machine that the kit's cluster runs on: it scrapes the pods that are annotated for it; it can be killed, and
// something else can answer in its place. Debian's has no discovery of pods, so they are told to it over HTTP, with the same labels.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeClient } from "../../src/kube/client.ts";
import type { Pod } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";

export const prometheusInstalled = spawnSync("prometheus", ["--version"]).status === 0;

/** From the annotations to what is scraped, in the terms of Prometheus' own relabelling. */
const RELABEL = [
  { source_labels: ["__meta_kubernetes_pod_annotation_prometheus_io_port"], regex: ".+", action: "keep" },
  {
    source_labels: ["__meta_kubernetes_pod_ip", "__meta_kubernetes_pod_annotation_prometheus_io_port"],
    separator: ":",
    target_label: "__address__",
  },
  {
    source_labels: ["__meta_kubernetes_pod_annotation_prometheus_io_path"],
    regex: "(.+)",
    target_label: "__metrics_path__",
  },
  { source_labels: ["__meta_kubernetes_namespace"], target_label: "namespace" },
  { source_labels: ["__meta_kubernetes_pod_name"], target_label: "pod" },
];

export class Prometheus {
  /** As pods reach it. */
  readonly address: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "rollguard-e2e-prometheus-"));
  readonly #host: string;
  readonly #port: number;
  #child: ChildProcess | undefined;
  #other: Server | undefined;
  #discovery: Server | undefined;

  /** @param host an address of the machine that pods reach */
  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
    this.address = `http://${host}:${port}`;
  }

  /** Tells it from now on of the pods of a namespace; before the first start. */
  async discover(client: KubeClient, namespace: string): Promise<void> {
    const server = await listen("127.0.0.1", 0, (_, response) => {
      targets(client, namespace).then(
        (found) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(found)),
        // It keeps what it knew.
        () => response.writeHead(503).end(),
      );
    });
    this.#discovery = server;
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "1s" },
      scrape_configs: [{ job_name: "pods", http_sd_configs: [{ url, refresh_interval: "1s" }], relabel_configs: RELABEL }],
    };
    // JSON is YAML.
    writeFileSync(join(this.#folder, "prometheus.yml"), JSON.stringify(config));
  }

  /** Starts the process and waits until it answers; it goes on with the data that it had. */
  async start(): Promise<void> {
    await this.#closeOther();
    const args = [
      `--config.file=${this.#folder}/prometheus.yml`,
      `--storage.tsdb.path=${this.#folder}/data`,
      `--web.listen-address=${this.#host}:${this.#port}`,
    ];
    const child = spawn("prometheus", args, { stdio: "ignore" });
    this.#child = child;
    for (let tries = 0; tries < 300; tries++) {
      if (child.exitCode !== null) throw new Error(`prometheus ended: ${child.exitCode}`);
      const answer = await fetch(`${this.address}/-/ready`).catch(() => undefined);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("prometheus is not ready");
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exit;
  }

  /** Kills it; from now on something answers 500 in its place. */
  async answer500(): Promise<void> {
    await this.kill();
    this.#other = await listen(this.#host, this.#port, (_, response) => void response.writeHead(500).end("no"));
  }

  async close(): Promise<void> {
    await this.kill();
    await this.#closeOther();
    await ended(this.#discovery);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #closeOther(): Promise<void> {
    await ended(this.#other);
    this.#other = undefined;
  }
}

async function listen(host: string, port: number, listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return server;
}

async function ended(server: Server | undefined): Promise<void> {
  server?.closeAllConnections();
  if (server) await new Promise((resolve) => server.close(resolve));
}

/** What the discovery of pods would say of them, as far as RELABEL asks. */
async function targets(client: KubeClient, namespace: string): Promise<{ targets: string[]; labels: Record<string, string> }[]> {
  const { items } = await client.listAll<Pod>(RESOURCES.pods, { namespace });
  return items.flatMap(({ metadata, status }) => {
    const { podIP } = status ?? {};
    if (podIP === undefined) return [];
    const pod: Record<string, string> = { namespace, pod_name: metadata.name, pod_ip: podIP };
    for (const [name, value] of Object.entries(metadata.annotations ?? {}))
      pod[`pod_annotation_${name.replaceAll(/[^a-zA-Z0-9]/g, "_")}`] = value;
    const labels = Object.fromEntries(Object.entries(pod).map(([name, value]) => [`__meta_kubernetes_${name}`, value]));
    return [{ targets: [podIP], labels }];
  });
}
