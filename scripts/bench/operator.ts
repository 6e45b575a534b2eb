// The operator as a process of its own, as it is shipped: its start, its memory, its end.

import { type ChildProcess, spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";

export interface OperatorProcess {
  /** Resident memory now, in bytes, as the process itself reports it at /metrics. */
  residentBytes(): Promise<number>;
  /** Ends it, politely at first; resolves when it is gone. */
  stop(): Promise<void>;
}

const READY_LIMIT_MS = 20_000;
const KEPT_OUTPUT = 4000;

/**
 * Resolves when the operator leads and its caches are filled; rejects with what it printed when it does not come to that.
 * @param program file that Node runs: dist/rollguard.js or src/main.ts
 */
export async function startOperator(program: string, kubeconfig: string, namespace: string): Promise<OperatorProcess> {
  const port = await freePort();
  const args = ["operator", "--kubeconfig", kubeconfig, "--operator-namespace", "default", "--namespaces", namespace];
  const more = ["--http-address", `127.0.0.1:${port}`, "--log-level", "warn", "--log-format", "json"];
  const child = spawn(process.execPath, [program, ...args, ...more], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: Buffer) => {
      output = (output + text.toString("utf8")).slice(-KEPT_OUTPUT);
    });
  }
  const end = performance.now() + READY_LIMIT_MS;
  while (!(await ready(port))) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended || performance.now() > end) {
      await stop(child);
      throw new Error(
        `the operator ${ended ? `ended (${child.exitCode ?? child.signalCode})` : "is not ready"}: ${output.trim()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { residentBytes: () => residentBytes(port), stop: () => stop(child) };
}

async function ready(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    await answer.text();
    return answer.ok;
  } catch {
    return false;
  }
}

async function residentBytes(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const found = /^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1];
  if (found === undefined) throw new Error("/metrics does not tell process_resident_memory_bytes");
  return Number(found);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
  await gone;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
