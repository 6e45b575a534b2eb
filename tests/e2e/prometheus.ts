// A real Prometheus on the machine that the kit's cluster runs on: it finds the pods through the API server and scrapes those that
// are annotated for it, as docs/sources.md says; it can be killed, and something else can answer in its place.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

  /** @param host an address of the machine that pods reach */
  constructor(kubeconfig: string, host: string, port: number) {
    this.#host = host;
    this.#port = port;
    this.address = `http://${host}:${port}`;
    const discovery = { role: "pod", kubeconfig_file: kubeconfig, namespaces: { names: ["demo"] } };
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "1s" },
      scrape_configs: [{ job_name: "pods", kubernetes_sd_configs: [discovery], relabel_configs: RELABEL }],
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
    const server = createServer((_, response) => void response.writeHead(500).end("no"));
    this.#other = server;
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(this.#port, this.#host, resolve));
  }

  async close(): Promise<void> {
    await this.kill();
    await this.#closeOther();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #closeOther(): Promise<void> {
    const server = this.#other;
    this.#other = undefined;
    server?.closeAllConnections();
    if (server) await new Promise((resolve) => server.close(resolve));
  }
}
