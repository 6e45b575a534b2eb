// Model servers as processes of their own, as in a pod.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

export const EXAMPLE = path.join(import.meta.dirname, "../../examples/digits");
export const weights = (name: string): string => path.join(EXAMPLE, "weights", `${name}.bin`);

export interface Running {
  url: string;
  /** Sends SIGTERM. */
  terminate(): void;
  /** Exit code and signal. */
  ended: Promise<[number | null, string | null]>;
}

/** Resolves when it listens; it is killed, if need be, when the test ends. */
export async function startServer(env: Record<string, string>): Promise<Running> {
  const child = spawn(process.execPath, [path.join(EXAMPLE, "server.ts")], {
    env: { POD_IP: "127.0.0.1", PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([
    once(lines, "line"),
    ended.then(([code]) => Promise.reject(new Error(`the server ended with ${code}: ${errors}`))),
  ])) as [string];
  const { address, port } = JSON.parse(line) as { address: string; port: number };
  return { url: `http://${address}:${port}`, terminate: () => void child.kill("SIGTERM"), ended };
}

export const serving = (name: string, revision: string, more: Record<string, string> = {}) =>
  startServer({ ROLLGUARD_MODEL_FILE: weights(name), ROLLGUARD_VERSION: name, ROLLGUARD_REVISION: revision, ...more });

export async function post(
  url: string,
  body: unknown,
): Promise<{ status: number; json: Record<string, unknown>; headers: Headers }> {
  const answer = await fetch(url, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown>, headers: answer.headers };
}

/** The value of one line of /metrics, by its name and labels as they are written. */
export async function metric(url: string, series: string): Promise<number | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}
