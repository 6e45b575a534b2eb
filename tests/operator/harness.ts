// The real operator on the embedded Kubernetes with real processes: what each test of the main job stands on.

import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { sleep, systemClock } from "../../src/clock.ts";
import { runOperator } from "../../src/controllers/operator.ts";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import type { KubeObject, Service } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { silentLogger } from "../../src/log.ts";
import { serviceUrl } from "../../src/sandbox/node/proxy.ts";
import { type Sandbox, startSandbox } from "../../src/sandbox/sandbox.ts";
import { Health } from "../../src/server/health.ts";
import { createMetrics } from "../../src/telemetry.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** An operator that can be ended at once, as a crash would. */
export interface RunningOperator {
  stop(): Promise<void>;
}

export interface Bed {
  sandbox: Sandbox;
  client: KubeClient;
  weights: Server;
  weightsUrl: string;
  startOperator(identity?: string): RunningOperator;
  close(): Promise<void>;
}

export async function makeBed(): Promise<Bed> {
  const weights = createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    response.end(`weights of ${name}`);
  });
  await new Promise<void>((resolve) => weights.listen(0, "127.0.0.1", resolve));
  const sandbox = await startSandbox({ cwd: ROOT, restartBackoffMs: 200 });
  const client = connect({
    kubeconfig: sandbox.kubeconfigPath,
    clock: systemClock,
    userAgent: "rollguard-test",
    fieldManager: "tester",
  });
  const operators: RunningOperator[] = [];
  return {
    sandbox,
    client,
    weights,
    weightsUrl: `http://127.0.0.1:${(weights.address() as AddressInfo).port}`,
    startOperator(identity = "operator-1") {
      const operator = operatorOn(sandbox, identity);
      operators.push(operator);
      return operator;
    },
    async close() {
      await Promise.all(operators.map((one) => one.stop()));
      await client.close();
      await sandbox.close();
      weights.closeAllConnections();
      weights.close();
    },
  };
}

function operatorOn(sandbox: Sandbox, identity: string): RunningOperator {
  const abort = new AbortController();
  const running = runOperator(
    {
      kubeconfig: sandbox.kubeconfigPath,
      operatorNamespace: "default",
      leaderElect: true,
      identity,
      environment: "test",
      workers: 8,
      logLevel: "error",
      logFormat: "json",
      fetchImage: "rollguard",
    },
    { logger: silentLogger, metrics: createMetrics().metrics, health: new Health(), clock: systemClock, signal: abort.signal },
  ).catch(() => undefined);
  return {
    async stop() {
      abort.abort(new Error("stopped by the test"));
      await running;
    },
  };
}

export const weightsOf = (name: string): string => `weights of ${name}`;
const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** One model in a namespace of its own. */
export class Subject {
  readonly namespace: string;
  #bed: Bed;

  constructor(bed: Bed, namespace: string) {
    this.#bed = bed;
    this.namespace = namespace;
  }

  async apply(object: object): Promise<void> {
    await this.#bed.client.apply(object as KubeObject, { fieldManager: "tester" });
  }

  async begin(policy: object = {}): Promise<this> {
    await this.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: this.namespace } });
    await this.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "MetricSource",
      metadata: { name: "pods" },
      spec: { type: "Pods", namespaces: ["*"], freeQueries: true },
    });
    await this.apply({
      ...this.#mine("RollbackPolicy", "toy"),
      spec: {
        warmup: "1s",
        bake: "3s",
        builtInInterval: "1s",
        checks: [
          {
            name: "errors",
            source: "pods",
            ratio: {
              numerator: 'sum(increase(toy_errors_total{pod=~"${workload}-.+"}[${window}]))',
              denominator: 'sum(increase(toy_requests_total{pod=~"${workload}-.+"}[${window}]))',
              minSamples: 10,
            },
            window: "1s",
            interval: "1s",
            threshold: { max: 0.1 },
            breach: { count: 2, of: 3 },
          },
        ],
        available: { unready: "50%", for: "3s" },
        rollback: { cooldown: "5s", verify: "2s", deadline: "60s" },
        ...policy,
      },
    });
    return this;
  }

  #mine(kind: string, name: string) {
    return { apiVersion: "rollguard.dev/v1alpha1", kind, metadata: { name, namespace: this.namespace } };
  }

  /** A version whose server behaves by `env`. */
  async version(
    name: string,
    env: Record<string, string> = {},
    more: { digest?: string; uri?: string; lifecycle?: string } = {},
  ): Promise<void> {
    await this.apply({
      ...this.#mine("ModelVersion", name),
      spec: {
        model: "toy",
        version: name,
        artifact: { uri: more.uri ?? `${this.#bed.weightsUrl}/${name}`, digest: more.digest ?? digestOf(weightsOf(name)) },
        validationMetrics: [{ name: "accuracy", value: 0.9 }],
        serving: { env: Object.entries(env).map(([key, value]) => ({ name: key, value })) },
        ...(more.lifecycle ? { lifecycle: more.lifecycle } : {}),
      },
    });
  }

  async pin(version: string, spec: object = {}, pod: object = {}): Promise<void> {
    await this.apply({
      ...this.#mine("ModelDeployment", "toy"),
      spec: {
        model: "toy",
        version,
        replicas: 1,
        policy: { name: "toy" },
        strategy: { drain: "1s", progressDeadline: "30s" },
        template: {
          spec: {
            terminationGracePeriodSeconds: 2,
            containers: [
              {
                name: "server",
                image: "toy:1",
                command: ["node", "tests/operator/toy-server.mjs"],
                ports: [{ name: "http", containerPort: 8080 }],
                env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
                readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 1 },
              },
            ],
            ...pod,
          },
        },
        ...spec,
      },
    });
  }

  async deployment(): Promise<ModelDeployment> {
    return (await this.#bed.client.get(RESOURCES.modelDeployments, {
      namespace: this.namespace,
      name: "toy",
    })) as unknown as ModelDeployment;
  }

  async status(): Promise<NonNullable<ModelDeployment["status"]>> {
    return (await this.deployment()).status ?? {};
  }

  /** Waits until the status is as asked; says what it was when it never is. */
  async until(
    what: string,
    holds: (status: NonNullable<ModelDeployment["status"]>) => unknown,
    limitMs = 45_000,
  ): Promise<NonNullable<ModelDeployment["status"]>> {
    const end = Date.now() + limitMs;
    for (;;) {
      const status = await this.status();
      if (holds(status)) return status;
      if (Date.now() > end)
        throw new Error(
          `${this.namespace}: not ${what} within ${limitMs} ms: ${status.phase}: ${status.message}; ${JSON.stringify(status.checks)}`,
        );
      await sleep(systemClock, 50);
    }
  }

  /** What answers at the Service. */
  async ask(): Promise<{ weights: string; setting: string; revision: string }> {
    const service = await this.#bed.client.get<Service>(RESOURCES.services, { namespace: this.namespace, name: "toy" });
    const answer = await fetch(`${serviceUrl(service)}/`, { headers: { connection: "close" } });
    return (await answer.json()) as { weights: string; setting: string; revision: string };
  }

  story(status: NonNullable<ModelDeployment["status"]>): string[] {
    return (status.history ?? []).map((entry) => `${entry.sequence} ${entry.action} ${entry.to?.version} ${entry.outcome}`);
  }
}
