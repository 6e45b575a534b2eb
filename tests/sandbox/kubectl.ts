// Runs the real kubectl against a sandbox API server of the test's own.
import { execFile, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { ApiServer, kubeconfig } from "../../src/sandbox/apiserver/index.ts";

/** Whether there is a kubectl on the PATH. */
export const hasKubectl = spawnSync("kubectl", ["version", "--client"]).status === 0;

export interface Result {
  code: number;
  /** Standard output and standard error, as a person would read them. */
  output: string;
}

export interface Kubectl {
  server: ApiServer;
  (...args: string[]): Promise<Result>;
  /** With a manifest (JSON is YAML) on standard input. */
  input(manifest: unknown, ...args: string[]): Promise<Result>;
  /** Starts a command that goes on; `until` resolves when its output has `text`. */
  start(...args: string[]): { until(text: string): Promise<string>; stop(): Promise<void> };
  close(): Promise<void>;
}

export async function startKubectl(): Promise<Kubectl> {
  const server = new ApiServer({ clock: systemClock });
  const listening = await server.listen();
  const dir = mkdtempSync(join(tmpdir(), "rollguard-kubectl-"));
  const config = join(dir, "kubeconfig");
  writeFileSync(config, kubeconfig(listening.url));
  // Caches of discovery go to the folder of the test, not to the home of who runs it.
  const base = ["--kubeconfig", config, "--cache-dir", join(dir, "cache")];

  const run = (input: string | undefined, args: string[]): Promise<Result> =>
    new Promise((resolve) => {
      const child = execFile("kubectl", [...base, ...args], { timeout: 15_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, output: stdout + stderr });
      });
      child.stdin?.end(input ?? "");
    });

  const start: Kubectl["start"] = (...args) => {
    const child = spawn("kubectl", [...base, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
    });
    return {
      async until(text) {
        const end = Date.now() + 10_000;
        while (!output.includes(text)) {
          if (Date.now() > end) throw new Error(`no ${JSON.stringify(text)} in ${JSON.stringify(output)}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return output;
      },
      stop() {
        child.kill();
        return exited;
      },
    };
  };

  return Object.assign((...args: string[]) => run(undefined, args), {
    server,
    input: (manifest: unknown, ...args: string[]) =>
      run(typeof manifest === "string" ? manifest : JSON.stringify(manifest), args),
    start,
    async close() {
      server.close();
      await listening.close();
      rmSync(dir, { recursive: true, force: true });
    },
  });
}
