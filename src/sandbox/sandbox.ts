// The sandbox, put together: an API server with our CRDs, the controllers, one node and its Services, all in this process
// except for the workloads, which a reaper owns. What it made is gone when it ends, however it ends.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import { type Clock, systemClock } from "../clock.ts";
import type { Logger } from "../log.ts";
import type { SandboxApi } from "./api.ts";
import { ApiServer, kubeconfig } from "./apiserver/index.ts";
import { startControllers } from "./controllers/index.ts";
import { claimLoopback, serviceIpAllocator } from "./node/loopback.ts";
import { createNode, type RunningNode, startNode } from "./node/node.ts";
import { startServices } from "./node/proxy.ts";

/** The image name that stands for Rollguard's own program (`rollguard fetch`); config.ts has the same as its default. */
export const OWN_IMAGE = "rollguard";

const OPERATOR_NAMESPACE = "rollguard-system";

export interface SandboxOptions {
  /** A folder for the kubeconfig and the pods' files, left in place; by default a temporary one that is removed. */
  dir?: string;
  clock?: Clock;
  /** Of the API server; a free one by default. */
  port?: number;
  /** Image name → command that stands for its entry point; OWN_IMAGE is there already. */
  images?: Record<string, readonly string[]>;
  /** Images that can't be pulled, as are all names that contain "does-not-exist". */
  missingImages?: ReadonlySet<string>;
  /** Where containers run; the current folder by default. */
  cwd?: string;
  /** Waiting time before the second restart of a container, doubled each time; 1 s by default. */
  restartBackoffMs?: number;
  /** More resources of the node, such as {"nvidia.com/gpu": "1"}. */
  resources?: Record<string, string>;
  /** Uses 127.0.0.1 for everything, as where it is the only address (macOS). */
  sharedAddress?: boolean;
  logger?: Logger;
}

export interface Sandbox {
  server: ApiServer;
  api: SandboxApi;
  node: RunningNode;
  /** Of the API server. */
  url: string;
  kubeconfigPath: string;
  dir: string;
  /** Ends everything, and resolves when nothing is left. Idempotent. */
  close(): Promise<void>;
}

/** Rejects where the port is taken, or an installed CRD is refused; nothing is left then either. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { clock = systemClock, logger } = options;
  const undo: (() => unknown)[] = [];
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= (async () => {
      for (const step of undo.reverse()) await step();
    })();
    return closing;
  };
  try {
    const temporary = options.dir === undefined;
    const dir = options.dir ?? fs.mkdtempSync(path.join(os.tmpdir(), "rollguard-sandbox-"));
    fs.mkdirSync(dir, { recursive: true });
    const pods = fs.mkdtempSync(path.join(dir, "pods-"));
    undo.push(() => fs.rmSync(temporary ? dir : pods, { recursive: true, force: true, maxRetries: 3 }));

    const loopback = await claimLoopback({ shared: options.sharedAddress === true });
    undo.push(() => loopback.close());
    if (loopback.shared)
      logger?.warn({}, "this machine has one loopback address only: ports are handed out instead of addresses");
    const server = new ApiServer({ clock, allocateServiceIp: serviceIpAllocator(loopback) });
    undo.push(() => server.close());
    for (const crd of ownCrds()) server.installCrd(crd);
    // Where an operator with default settings keeps its Lease.
    server.create({ group: "", version: "v1", resource: "namespaces" }, { metadata: { name: OPERATOR_NAMESPACE } });
    createNode(server, clock, options.resources);

    const controllers = startControllers(server, clock, {
      sharedAddress: loopback.shared,
      onError: (controller, key, error) =>
        logger?.warn({ controller, key, err: error }, "a pass of a sandbox controller failed and is retried"),
    });
    undo.push(() => controllers.stop());
    const node = startNode(server, {
      clock,
      loopback,
      dir: pods,
      removeWhenKilled: temporary ? dir : pods,
      images: { [OWN_IMAGE]: ownProgram(), ...options.images },
      ...(options.missingImages ? { missingImages: options.missingImages } : {}),
      ...(options.cwd ? { cwd: options.cwd } : {}),
      ...(options.restartBackoffMs ? { restartBackoffMs: options.restartBackoffMs } : {}),
      ...(logger ? { logger } : {}),
    });
    undo.push(() => node.stop());
    server.logReader = node.readLog;
    const services = startServices(server, { clock, ...(logger ? { logger } : {}) });
    undo.push(() => services.stop());

    const listening = await server.listen(options.port ?? 0);
    undo.push(() => listening.close());
    const kubeconfigPath = path.join(dir, "kubeconfig");
    fs.writeFileSync(kubeconfigPath, kubeconfig(listening.url));
    return { server, api: server, node, url: listening.url, kubeconfigPath, dir, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The folder with our package.json: above src/sandbox/ as well as above dist/. */
function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!fs.existsSync(path.join(folder, "package.json")) && folder !== path.dirname(folder)) folder = path.dirname(folder);
  return folder;
}

function ownCrds(): unknown[] {
  const folder = path.join(packageRoot(), "crds");
  if (!fs.existsSync(folder)) return [];
  const files = fs.readdirSync(folder).filter((file) => file.endsWith(".yaml"));
  return files.sort().flatMap((file) => loadAll(fs.readFileSync(path.join(folder, file), "utf8")));
}

/** The sources run the sources, the bundle runs the bundle. */
function ownProgram(): string[] {
  const fromSources = import.meta.filename.endsWith(".ts");
  return [process.execPath, path.join(packageRoot(), fromSources ? "src/main.ts" : "dist/rollguard.js")];
}
