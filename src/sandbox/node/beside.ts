// What runs beside a container's own process: commands in its environment (probes, hooks), and its preStop hook.
import os from "node:os";
import type { Container } from "../controllers/kinds.ts";
import type { NodeContext } from "./context.ts";
import { httpGet, type ProbeTarget } from "./probes.ts";
import type { ProcessSpec } from "./processes.ts";

/** Resolves with what was wrong, or undefined for exit code 0. What takes too long is killed. Never rejects. */
export function execBeside(
  ctx: NodeContext,
  launched: ProcessSpec | undefined,
  command: string[],
  timeoutMs: number,
): Promise<string | undefined> {
  if (!launched) return Promise.resolve("the container is not running");
  return new Promise((resolve) => {
    const process = ctx.processes.start(
      { ...launched, argv: command, log: os.devNull },
      {
        started: () => {},
        failed: resolve,
        exited: (code) => {
          timer.cancel();
          resolve(code === 0 ? undefined : `command exited with ${code ?? "a signal"}`);
        },
      },
    );
    const timer = ctx.clock.after(timeoutMs, () => {
      process.kill("SIGKILL");
      resolve(`command timed out after ${timeoutMs / 1000}s`);
    });
  });
}

/** Resolves when the hook has run, with what was wrong. It has as long as the pod's grace period. */
export async function preStop(
  ctx: NodeContext,
  container: Container,
  target: ProbeTarget,
  graceMs: number,
): Promise<string | undefined> {
  const hook = container.lifecycle?.preStop;
  if (hook?.exec) return target.exec(hook.exec.command, graceMs);
  if (hook?.httpGet) {
    const { host, port } = hook.httpGet;
    return httpGet(hook.httpGet, host ?? target.ip, target.port(port) ?? 0, graceMs);
  }
  const seconds = hook?.sleep?.seconds;
  if (seconds) await new Promise<void>((resolve) => ctx.clock.after(1000 * seconds, resolve));
  return undefined;
}
