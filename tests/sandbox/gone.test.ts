// However the sandbox ends, nothing of it stays: no process, no file, no listener.
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DEPLOYMENTS, PODS, SERVICES } from "../../src/sandbox/controllers/kinds.ts";
import { startSandbox } from "../../src/sandbox/sandbox.ts";
import {
  available,
  containerStatus,
  deployment,
  eventually,
  getPod,
  podsOf,
  serverContainer,
  service,
  shell,
  urlOf,
} from "./support.ts";

/** Processes of this machine whose environment has the text. */
function marked(text: string): number[] {
  return fs
    .readdirSync("/proc")
    .filter((entry) => {
      try {
        return /^\d+$/.test(entry) && fs.readFileSync(`/proc/${entry}/environ`, "latin1").includes(text);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Whether it runs; one that ended and was not yet collected by the machine's init does not. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("kill -9 of the process that owns the sandbox leaves no process and no file", async () => {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "fixtures/sandbox-to-kill.ts")], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const text = await new Promise<string>((resolve) => child.stdout.once("data", (chunk) => resolve(String(chunk))));
  const { pid, reaper, dir } = JSON.parse(text) as { pid: number; reaper: number; dir: string };
  expect([runs(pid), runs(reaper), fs.existsSync(dir)]).toEqual([true, true, true]);
  const mark = `ROLLGUARD_SANDBOX=${child.pid}-`;
  if (process.platform === "linux") await eventually("the stray", () => marked(mark).length >= 3);
  child.kill("SIGKILL");
  await eventually("all gone", () => !runs(pid) && !runs(reaper) && !fs.existsSync(dir), 5);
  if (process.platform === "linux") expect(marked(mark)).toEqual([]);
});

test("close leaves no process, no file, no listener", async () => {
  const sandbox = await startSandbox();
  sandbox.api.create(DEPLOYMENTS, deployment("web", [serverContainer("one")], { replicas: 1 }));
  sandbox.api.create(SERVICES, service("web", { app: "web" }));
  await available(sandbox.api, "web", 1);
  const { hostname, port } = new URL(await urlOf(sandbox.api, "web"));
  const podIp = podsOf(sandbox.api, { app: "web" })[0]?.status?.podIP;
  await Promise.all([sandbox.close(), sandbox.close()]);
  expect(fs.existsSync(sandbox.dir)).toBe(false);
  expect(runs(sandbox.node.reaperPid() ?? 0)).toBe(false);
  for (const [host, number] of [
    [hostname, port],
    [podIp, 8080],
    ["127.0.0.1", new URL(sandbox.url).port],
  ] as const) {
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
      net.connect({ host, port: Number(number) }).once("error", resolve);
    });
    expect(error.code).toBe("ECONNREFUSED");
  }
});

test("when the reaper itself is killed, its workloads end and are started again under another one", async () => {
  const sandbox = await startSandbox();
  sandbox.api.create(PODS, {
    metadata: { name: "again", namespace: "default" },
    spec: { containers: [shell("main", "echo $$$$; exec sleep 300")] },
  });
  await eventually("running", () => containerStatus(getPod(sandbox.api, "again"), "main")?.state.running);
  const pid = Number(await eventually("its log", () => sandbox.node.readLog("default", "again", undefined, {})));
  const reaper = sandbox.node.reaperPid() ?? 0;
  process.kill(reaper, "SIGKILL");
  await eventually("running again", () => {
    const seen = containerStatus(getPod(sandbox.api, "again"), "main");
    return seen?.restartCount === 1 && seen.state.running;
  });
  await eventually("the old one gone", () => !runs(pid));
  expect(sandbox.node.reaperPid()).not.toBe(reaper);
  await sandbox.close();
});
