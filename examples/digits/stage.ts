// What the demo stands on: an embedded Kubernetes (or a cluster), the store of the weights, the operator as a process of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { loadAll } from "js-yaml";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { RolloutRecord } from "../../src/api/rolloutrecord.ts";
import { systemClock } from "../../src/clock.ts";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import type { KubeObject, Service } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { serviceUrl } from "../../src/sandbox/node/proxy.ts";
import { type Sandbox, startSandbox } from "../../src/sandbox/sandbox.ts";
import { WEIGHTS_PORT } from "./versions.ts";
import { startWeights } from "./weights.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
export const NAMESPACE = "demo";
export const NAME = "digits";
/** As a person with kubectl would be named in the record. */
const USER = "kubectl-demo";

export interface Stage {
  sandbox: Sandbox;
  client: KubeClient;
  /** Applies a YAML file of this folder, as `kubectl apply` would; `edit` may change what is applied. */
  apply(file: string, edit?: (object: KubeObject) => void): Promise<void>;
  deployment(): Promise<ModelDeployment>;
  records(): Promise<RolloutRecord[]>;
  /** Where clients find the Service. */
  serviceUrl(): Promise<string | undefined>;
  operator: ChildProcess;
  /** What the operator logged, for when something goes wrong. */
  log(): string[];
  close(): Promise<void>;
}

function startOperator(kubeconfig: string, lines: string[]): ChildProcess {
  const args = [
    path.join(ROOT, "src/main.ts"),
    "operator",
    "--kubeconfig",
    kubeconfig,
    "--http-address",
    "off",
    "--environment",
    "demo",
    "--log-format",
    "json",
  ];
  const operator = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [operator.stdout, operator.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      lines.push(...chunk.toString("utf8").split("\n").filter(Boolean));
      // Kept for a post mortem only.
      lines.splice(0, Math.max(0, lines.length - 200));
    });
  }
  return operator;
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

/** On the port that the manifests name, or on a free one where another demo has it. */
function startWeightsSomewhere(): Promise<Server> {
  return startWeights().catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EADDRINUSE") return startWeights(0);
    throw error;
  });
}

/** Points a version's weights at where they are served now. */
function moveWeights(object: KubeObject, port: number): void {
  if (object.kind !== "ModelVersion") return;
  const { artifact } = (object as KubeObject & { spec: { artifact: { uri: string } } }).spec;
  artifact.uri = artifact.uri.replace(`:${WEIGHTS_PORT}/`, `:${port}/`);
}

/** Starts it all; whatever fails, what was started is ended again. */
export async function raiseStage(): Promise<Stage> {
  const opened: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const end of opened.reverse().splice(0)) await end().catch(() => undefined);
  };
  try {
    const weights = await startWeightsSomewhere();
    opened.push(async () => {
      weights.closeAllConnections();
      weights.close();
    });
    const sandbox = await startSandbox({ cwd: ROOT });
    opened.push(() => sandbox.close());
    const client = connect({
      kubeconfig: sandbox.kubeconfigPath,
      clock: systemClock,
      userAgent: "rollguard-demo",
      fieldManager: USER,
    });
    opened.push(() => client.close());
    const lines: string[] = [];
    const operator = startOperator(sandbox.kubeconfigPath, lines);
    opened.push(async () => {
      operator.kill("SIGTERM");
      await ended(operator);
    });
    return { sandbox, client, operator, close, log: () => lines, ...access(client, (weights.address() as AddressInfo).port) };
  } catch (error) {
    await close();
    throw error;
  }
}

function access(client: KubeClient, weightsPort: number): Pick<Stage, "apply" | "deployment" | "records" | "serviceUrl"> {
  const key = { namespace: NAMESPACE, name: NAME };
  return {
    async apply(file, edit) {
      for (const object of loadAll(readFileSync(path.join(import.meta.dirname, file), "utf8")) as KubeObject[]) {
        moveWeights(object, weightsPort);
        edit?.(object);
        await client.apply(object, { fieldManager: USER });
      }
    },
    deployment: async () => (await client.get(RESOURCES.modelDeployments, key)) as unknown as ModelDeployment,
    async records() {
      const page = await client.listAll(RESOURCES.rolloutRecords, { namespace: NAMESPACE });
      const records = page.items as unknown as RolloutRecord[];
      return records.sort((a, b) => a.spec.sequence - b.spec.sequence);
    },
    async serviceUrl() {
      const service = await client.find<Service>(RESOURCES.services, key);
      return service && serviceUrl(service);
    },
  };
}
