// A real Prometheus beside the bed: it scrapes the pods of one namespace, can be killed, and comes back on the same port.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep, systemClock } from "../../src/clock.ts";
import type { Pod } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { freePort } from "../support/free-port.ts";
import type { Bed } from "./harness.ts";

export const prometheusInstalled = spawnSync("prometheus", ["--version"]).status === 0;

/** Who may ask where `basicAuth` is set: the hash is bcrypt's of this password, at its lowest cost. */
export const USER = {
  name: "tester",
  password: "not-shown-anywhere",
  hash: "$2b$04$RollguardTestsSalt.OOeWopofHHF5LVK0W8Fd.jL2j0CCcByyCG",
};

export class Prometheus {
  readonly address: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "rollguard-prometheus-"));
  readonly #args: string[];
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #child: ChildProcess | undefined;

  /** Starts it and keeps its targets up to date until it is closed. */
  static async start(bed: Bed, namespace: string, options: { basicAuth?: boolean } = {}): Promise<Prometheus> {
    const prometheus = new Prometheus(bed, namespace, await freePort(), options);
    try {
      await prometheus.run();
    } catch (error) {
      await prometheus.close();
      throw error;
    }
    return prometheus;
  }

  private constructor(bed: Bed, namespace: string, port: number, options: { basicAuth?: boolean }) {
    this.address = `http://127.0.0.1:${port}`;
    const config = {
      global: { scrape_interval: "500ms", scrape_timeout: "500ms" },
      scrape_configs: [{ job_name: "pods", file_sd_configs: [{ files: [`${this.#folder}/targets.json`] }] }],
    };
    // JSON is YAML.
    this.#write("prometheus.yml", config);
    this.#write("web.yml", options.basicAuth ? { basic_auth_users: { [USER.name]: USER.hash } } : {});
    this.#write("targets.json", []);
    this.#args = [
      `--config.file=${this.#folder}/prometheus.yml`,
      `--web.config.file=${this.#folder}/web.yml`,
      `--storage.tsdb.path=${this.#folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    this.#following = this.#follow(bed, namespace);
  }

  /** Starts the process and waits until it answers; it goes on with the data it had. */
  async run(): Promise<void> {
    const child = spawn("prometheus", this.#args, { stdio: "ignore" });
    this.#child = child;
    for (let tries = 0; tries < 200; tries++) {
      if (hasEnded(child)) throw new Error(`prometheus ended: ${child.exitCode ?? child.signalCode}`);
      // 401 is an answer, too.
      if (
        await fetch(`${this.address}/-/ready`).then(
          (answer) => answer.status !== 503,
          () => false,
        )
      )
        return;
      await sleep(systemClock, 100);
    }
    throw new Error("prometheus is not ready");
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || hasEnded(child)) return;
    const exit = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exit;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#following;
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What its own service discovery of pods would do. */
  async #follow(bed: Bed, namespace: string): Promise<void> {
    let written = "[]";
    while (!this.#closing.signal.aborted) {
      const { items } = await bed.client.listAll<Pod>(RESOURCES.pods, { namespace }).catch(() => ({ items: undefined }));
      const targets = items
        ?.filter((pod) => pod.status?.podIP)
        .map((pod) => ({
          targets: [`${pod.status?.podIP}:8080`],
          labels: { namespace, pod: pod.metadata.name },
        }));
      if (targets && JSON.stringify(targets) !== written) {
        written = JSON.stringify(targets);
        this.#write("targets.json", targets);
      }
      await sleep(systemClock, 200);
    }
  }

  /** At once: what is half written is never read. */
  #write(name: string, content: unknown): void {
    writeFileSync(join(this.#folder, `${name}.new`), JSON.stringify(content));
    renameSync(join(this.#folder, `${name}.new`), join(this.#folder, name));
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
