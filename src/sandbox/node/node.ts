// The node: runs the pods that are bound to it as local processes and reports what becomes of them.
import path from "node:path";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../log.ts";
import { type LogReader, type SandboxApi, StatusError } from "../api.ts";
import { NODES, PODS, type Pod, timestamp } from "../controllers/kinds.ts";
import { KeyLoop } from "../controllers/loop.ts";
import { eventWriter, type NodeContext } from "./context.ts";
import { readLogFile } from "./logs.ts";
import type { Loopback } from "./loopback.ts";
import { MemoryWatch } from "./memory.ts";
import { PodRun } from "./pod.ts";
import { Processes } from "./processes.ts";

export const NODE_NAME = "sandbox";

export interface NodeOptions {
  clock: Clock;
  loopback: Loopback;
  /** Folders of pods are made here. */
  dir: string;
  /** What the reaper removes when the sandbox ends without a word; none by default. */
  removeWhenKilled?: string;
  images?: Record<string, readonly string[]>;
  missingImages?: ReadonlySet<string>;
  /** Where containers run; the current folder by default. */
  cwd?: string;
  /** 1 s by default, so that one need not wait; a real kubelet takes 10 s. */
  restartBackoffMs?: number;
  logger?: Logger;
}

export interface RunningNode {
  readLog: LogReader;
  /** The process that ends all others, once there is one. */
  reaperPid(): number | undefined;
  /** Kills everything that runs; resolves when it is gone. */
  stop(): Promise<void>;
}

export function startNode(api: SandboxApi, options: NodeOptions): RunningNode {
  const { clock, loopback } = options;
  const processes = new Processes({
    // Unique, so that the reaper finds even what left its process group.
    marker: `ROLLGUARD_SANDBOX=${process.pid}-${path.basename(options.dir)}-${clock.now()}`,
    ...(options.removeWhenKilled ? { folder: options.removeWhenKilled } : {}),
    onLost: (message) => options.logger?.warn({}, message),
  });
  const ctx: NodeContext = {
    api,
    clock,
    processes,
    memory: new MemoryWatch(clock),
    images: options.images ?? {},
    missingImages: options.missingImages ?? new Set(),
    cwd: options.cwd ?? process.cwd(),
    restartBackoffMs: options.restartBackoffMs ?? 1000,
    record: eventWriter(api, clock),
  };
  // By uid: a pod that was made again under its name is another pod.
  const runs = new Map<string, PodRun>();
  const loop = new KeyLoop(clock, step, (uid, error) =>
    options.logger?.warn({ uid, err: error }, "a pass over a sandbox pod failed and is retried"),
  );

  const stopWatching = api.watch(PODS, ({ type, object }) => {
    const pod = object as Pod;
    const { uid } = pod.metadata;
    const known = runs.get(uid);
    if (type === "DELETED") known?.remove();
    else if (known) known.update(pod);
    else if (pod.spec.nodeName === NODE_NAME && pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed") {
      runs.set(uid, new PodRun(ctx, pod, loopback.podIp(), path.join(options.dir, uid), () => loop.mark(uid)));
    } else return;
    loop.mark(uid);
  });

  function step(uid: string): number | undefined {
    const run = runs.get(uid);
    const again = run?.step();
    if (run?.finished) {
      runs.delete(uid);
      loopback.releasePodIp(run.ip);
    }
    return again;
  }

  const readLog: LogReader = (namespace, name, container, { tailLines, previous = false }) => {
    const run = [...runs.values()].findLast(
      ({ pod: { metadata } }) => metadata.namespace === namespace && metadata.name === name,
    );
    if (!run) throw new StatusError(404, "NotFound", `pods "${name}" not found`);
    if (container === undefined && run.pod.spec.containers.length > 1) {
      const names = run.pod.spec.containers.map((each) => each.name).join(" ");
      const message = `a container name must be specified for pod ${name}, choose one of: [${names}]`;
      throw new StatusError(400, "BadRequest", message);
    }
    const found = run.container(container);
    if (!found) throw new StatusError(400, "BadRequest", `container ${container} is not valid for pod ${name}`);
    if (previous && found.restarts === 0) {
      const message = `previous terminated container "${found.spec.name}" in pod "${name}" not found`;
      throw new StatusError(400, "BadRequest", message);
    }
    return readLogFile(found.logFile(previous), tailLines);
  };

  return {
    readLog,
    reaperPid: () => processes.reaperPid,
    async stop() {
      stopWatching();
      loop.stop();
      await processes.close();
    },
  };
}

/** The Node object that pods are bound to; resources are ample, so that only absurd requests are unschedulable. */
export function createNode(api: SandboxApi, clock: Clock, extra: Record<string, string> = {}): void {
  const now = timestamp(clock.now());
  const created = api.create(NODES, {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: NODE_NAME,
      labels: { "kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": process.platform, "kubernetes.io/arch": process.arch },
    },
    spec: {},
  });
  const resources = { cpu: "1000", memory: "16Ti", "ephemeral-storage": "16Ti", pods: "10000", ...extra };
  const ready = {
    type: "Ready",
    status: "True",
    reason: "KubeletReady",
    message: "the sandbox is running",
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  };
  const status = {
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: "InternalIP", address: "127.0.0.1" },
      { type: "Hostname", address: NODE_NAME },
    ],
    conditions: [ready],
    nodeInfo: {
      architecture: process.arch,
      operatingSystem: process.platform,
      kubeletVersion: "v1.36.0-sandbox",
      osImage: "the machine itself",
      containerRuntimeVersion: "sandbox://1",
    },
  };
  api.updateStatus(NODES, { ...created, status });
}
