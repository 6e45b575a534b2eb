// The stage on the embedded Kubernetes: the store of the weights in this process, the operator as a process of its own.
import { type ChildProcess, spawn } from "node:child_process";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { Service } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { serviceUrl } from "../../src/sandbox/node/proxy.ts";
import { startSandbox } from "../../src/sandbox/sandbox.ts";
import { startClients } from "./client.ts";
import { endAll, NAME, NAMESPACE, openDesk, type Stage } from "./stage.ts";
import { startWeights } from "./weights.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

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

/** Starts it all; whatever fails, what was started is ended again. */
export async function raiseSandboxStage(): Promise<Stage> {
  const opened: (() => unknown)[] = [];
  const close = () => endAll(opened);
  try {
    const weights = await startWeightsSomewhere();
    opened.push(() => {
      weights.closeAllConnections();
      weights.close();
    });
    const sandbox = await startSandbox({ cwd: ROOT });
    opened.push(() => sandbox.close());
    const desk = openDesk(sandbox.kubeconfigPath, () => `127.0.0.1:${(weights.address() as AddressInfo).port}`);
    opened.push(() => desk.client.close());
    const lines: string[] = [];
    const operator = startOperator(sandbox.kubeconfigPath, lines);
    opened.push(async () => {
      operator.kill("SIGTERM");
      await ended(operator);
    });
    return {
      ...desk,
      about: "an embedded Kubernetes",
      kubeconfig: sandbox.kubeconfigPath,
      async serviceUrl() {
        const service = await desk.client.find<Service>(RESOURCES.services, { namespace: NAMESPACE, name: NAME });
        return service && serviceUrl(service);
      },
      startClients,
      operatorEnded: () => (operator.exitCode === null ? undefined : `the operator ended with exit code ${operator.exitCode}`),
      log: async () => lines,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
