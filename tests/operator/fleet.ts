// Many deployments of one model at one source, for what concerns a fleet: the storm breaker, and revocations that are paced.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { RollguardConfig } from "../../src/api/rollguardconfig.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import type { ApiRequest } from "../../src/sandbox/apiserver/http.ts";
import { answerQueries } from "../support/queries.ts";
import { IDS, Simulation } from "./simulated.ts";
import { SOURCE, version } from "./story.ts";

const CONFIGS = { group: "rollguard.dev", version: "v1alpha1", resource: "rollguardconfigs" };

export class Fleet {
  readonly simulation = new Simulation();
  /** In the namespace `default`, but for those of another. */
  readonly names: string[];
  #elsewhere: ReadonlyMap<string, string>;
  /** Those that measure too many errors now, whatever they serve. */
  bad = new Set<string>();

  /** @param elsewhere the namespaces of those that are not in `default`, by name */
  constructor(size: number, elsewhere: Record<string, string> = {}) {
    const { simulation } = this;
    this.#elsewhere = new Map(Object.entries(elsewhere));
    this.names = Array.from({ length: size }, (_, index) => `m${index}`);
    simulation.answerQuery = async (request: ApiRequest) => {
      const body = answerQueries(request.body ?? "", simulation.clock.now(), (text, at) => {
        const name = /name="([^"]+)"/.exec(text)?.[1];
        return name === undefined ? [at / 1000] : [this.bad.has(name) ? 0.5 : 0.01];
      });
      return { status: 200, headers: { "content-type": "application/json" }, body };
    };
  }

  /** Each serves a proven v2, and has a warm and proven v1 to return to. */
  async prepare(): Promise<this> {
    const { simulation } = this;
    simulation.operator();
    await simulation.apply(SOURCE);
    for (const namespace of new Set(this.names.map((name) => this.#namespace(name)))) await this.#equip(namespace);
    for (const name of ["v1", "v2"]) {
      for (const one of this.names) await simulation.apply(this.#pinned(one, name));
      await this.until("proven", () => this.all(({ status }) => status?.phase === "Guarding" && status.active?.version === name));
    }
    await simulation.clock.advance(5000);
    return this;
  }

  #namespace(name: string): string {
    return this.#elsewhere.get(name) ?? "default";
  }

  /** What the deployments of a namespace need there. */
  async #equip(namespace: string): Promise<void> {
    const { simulation } = this;
    await simulation.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    await simulation.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "RollbackPolicy",
      metadata: { name: "fleet", namespace },
      spec: {
        warmup: "1s",
        bake: "6s",
        builtInInterval: "5s",
        available: { unready: "50%", for: "10s" },
        checks: [
          {
            name: "errors",
            source: "prometheus",
            query: 'error_share{name="${name}",revision="${revision}",workload="${workload}"}',
            window: "1s",
            interval: "1s",
            threshold: { max: 0.1 },
            breach: { count: 3, of: 5 },
          },
        ],
        rollback: { cooldown: "5s", verify: "2s", deadline: "120s" },
      },
    });
    await simulation.apply(version("v1", namespace));
    await simulation.apply(version("v2", namespace));
  }

  #pinned(name: string, pin: string): object {
    return {
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "ModelDeployment",
      metadata: { name, namespace: this.#namespace(name) },
      spec: {
        model: "toy",
        version: pin,
        replicas: 1,
        policy: { name: "fleet" },
        strategy: { drain: "1s", progressDeadline: "120s" },
        template: { spec: { containers: [{ name: "server", image: "toy:1", ports: [{ name: "http", containerPort: 8080 }] }] } },
      },
    };
  }

  of(name: string): ModelDeployment {
    return this.simulation.server.get(IDS.deployments, this.#namespace(name), name) as unknown as ModelDeployment;
  }

  all(holds: (deployment: ModelDeployment) => boolean): boolean {
    return this.names.every((name) => holds(this.of(name)));
  }

  /** Those that serve v1 again. */
  returned(): string[] {
    return this.names.filter((name) => this.of(name).status?.active?.version === "v1");
  }

  config(): (RollguardConfig & KubeObject) | undefined {
    return this.simulation.server.get(CONFIGS, undefined, "cluster") as unknown as (RollguardConfig & KubeObject) | undefined;
  }

  /** The condition that says why returns are held. */
  breaker(): string {
    const found = this.config()?.status?.conditions?.find((one) => one.type === "StormBreakerOpen");
    return found ? `${found.status} ${found.reason}` : "none";
  }

  events(reason: string): number {
    const events = this.simulation.server.list(IDS.events) as unknown as { reason: string }[];
    return events.filter((one) => one.reason === reason).length;
  }

  async until(what: string, holds: () => boolean, limitMs = 180_000): Promise<void> {
    for (let passed = 0; passed <= limitMs; passed += 250) {
      if (holds()) return;
      await this.simulation.clock.advance(250);
    }
    const lines = this.names.map((name) => `${name}: ${this.of(name).status?.phase} ${this.of(name).status?.message}`);
    throw new Error(`not ${what} within ${limitMs} ms; ${this.breaker()}\n${lines.join("\n")}`);
  }
}
