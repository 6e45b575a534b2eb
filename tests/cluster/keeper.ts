// The keeper of one cluster: a process of its own that starts it, keeps it, and clears it away. It ends when the channel to the
// one that wanted the cluster closes, however that ended, or at SIGTERM. If it is itself killed, the kernel ends the cluster's
// processes with it (see space.ts), and what is left is cleared by the one that wanted it, or by the next that takes the slot.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { makeCertificates } from "./certificates.ts";
import { importImage, pauseImage } from "./image.ts";
import type { ClusterFacts, PartAct, Report, Request } from "./messages.ts";
import { commandLines, configFiles, type Layout, layoutOf, PARTS, type PartName, type PartOptions } from "./parts.ts";
import { claimAny, release, type Slot } from "./slots.ts";
import { childOf, clearSlot, ended, makeControlGroups, makeSpace, type Space, until, within } from "./space.ts";

type Start = Extract<Request, { do: "start" }>;

class Keeper {
  readonly #slot: Slot;
  readonly #layout: Layout;
  readonly #started = performance.now();
  readonly #running = new Map<PartName, ChildProcess>();
  #commands: Record<PartName, string[]> | undefined;
  #space: Space | undefined;
  #ending: Promise<void> | undefined;

  constructor(slot: Slot) {
    this.#slot = slot;
    this.#layout = layoutOf(slot);
  }

  async start({ options, machine, programs, version }: Start): Promise<ClusterFacts> {
    const partOptions: PartOptions = {
      programs,
      runc: machine.programs.runc ?? "runc",
      plugins: machine.pluginFolder ?? "",
      cgroup: machine.cgroup === "v1" ? "v1" : "v2",
      audit: options.audit === true,
      apiServerFlags: options.apiServerFlags ?? [],
    };
    const { pki, config, logs, state, socket, audit } = this.#layout;
    for (const folder of [pki, config, logs, state]) mkdirSync(folder, { mode: 0o700 });
    this.#commands = commandLines(this.#slot, partOptions);
    for (const [name, text] of Object.entries(configFiles(this.#slot, partOptions))) {
      mkdirSync(dirname(join(config, name)), { recursive: true });
      writeFileSync(join(config, name), text);
    }
    makeControlGroups(this.#slot, machine.cgroup);
    const certificates = makeCertificates(this.#slot, pki);
    this.#space = await makeSpace(this.#slot, join(programs, "pause"));
    const { init } = this.#space;
    this.#say("space made");
    this.#launch("etcd");
    this.#launch("containerd");
    await certificates;
    this.#launch("kube-apiserver");
    const images = this.#loadImages(init, programs, options.images ?? []);
    await this.#until("/readyz", ({ status }) => status === 200, "the API server");
    this.#say("API server ready");
    for (const name of ["kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"] as const) this.#launch(name);
    await images;
    await this.#until("/api/v1/nodes/node1", ({ body }) => isReady(body), "the node");
    await this.#until(
      "/api/v1/namespaces/default/serviceaccounts/default",
      ({ status }) => status === 200,
      "the service account",
    );
    const proxied = () =>
      fetch(`http://${this.#slot.node}:10256/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(async () => !this.#lost() && (await proxied()), 30_000, "kube-proxy");
    this.#say("node ready for pods");
    const facts: ClusterFacts = {
      slot: this.#slot.number,
      version,
      url: this.#slot.url,
      kubeconfigPath: join(pki, "admin.kubeconfig"),
      kubectl: join(programs, "kubectl"),
      hostAddress: this.#slot.outside,
      logs,
      ...(options.audit ? { auditLog: audit } : {}),
      init,
      socket,
    };
    writeFileSync(join(this.#slot.folder, "cluster.json"), JSON.stringify(facts, undefined, 2));
    return facts;
  }

  async part(name: PartName, act: PartAct): Promise<void> {
    const child = this.#running.get(name);
    if (act === "start") {
      if (child) throw new Error(`${name} runs already`);
      this.#launch(name);
      return;
    }
    if (!child) throw new Error(`${name} does not run`);
    // The child is nsenter, which waits for the part; the part itself is the child of that.
    const pid = childOf(child.pid ?? 0);
    if (pid !== undefined) process.kill(pid, act === "kill" ? "SIGKILL" : "SIGTERM");
    await ended(child);
  }

  /** Ends everything and leaves nothing. Once begun it is not begun again. */
  end(): Promise<void> {
    this.#ending ??= (async () => {
      await this.#space?.end();
      clearSlot(this.#slot);
      release(this.#slot);
    })();
    return this.#ending;
  }

  #launch(name: PartName): void {
    const argv = this.#commands?.[name];
    if (!argv || !this.#space || this.#ending) return;
    const [command = "", ...args] = within(this.#space.init, argv);
    const log = openSync(join(this.#layout.logs, `${name}.log`), "a", 0o600);
    const child = spawn(command, args, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#running.set(name, child);
    child.once("exit", () => this.#running.delete(name));
  }

  async #loadImages(init: number, programs: string, archives: readonly string[]): Promise<void> {
    const { socket, state } = this.#layout;
    const pause = join(state, "pause.tar");
    pauseImage(join(programs, "pause"), pause);
    const taken = () =>
      importImage(init, socket, pause).then(
        () => true,
        () => false,
      );
    await until(async () => !this.#lost() && (await taken()), 20_000, "containerd");
    for (const archive of archives) await importImage(init, socket, archive);
  }

  async #until(path: string, done: (answer: Answer) => boolean, what: string): Promise<void> {
    await until(async () => !this.#lost() && done(await this.#ask(path)), 90_000, what);
  }

  /** Throws, with its last words, when a part has ended that should run. */
  #lost(): boolean {
    if (this.#ending) throw new Error("it was told to end");
    for (const name of PARTS) {
      const log = join(this.#layout.logs, `${name}.log`);
      if (this.#running.has(name) || !exists(log)) continue;
      const words = readFileSync(log, "utf8").trimEnd().split("\n").slice(-5).join("\n");
      throw new Error(`${name} has ended:\n${words}`);
    }
    return false;
  }

  #ask(path: string): Promise<Answer> {
    const { pki } = this.#layout;
    const read = (file: string) => readFileSync(join(pki, file));
    return new Promise((resolve) => {
      const tls = { ca: read("ca.crt"), cert: read("admin.crt"), key: read("admin.key"), agent: false, timeout: 2_000 };
      const request = get(`${this.#slot.url}${path}`, tls, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on("error", () => resolve({ status: 0, body: "" }));
      });
      request.on("timeout", () => request.destroy());
      request.on("error", () => resolve({ status: 0, body: "" }));
    });
  }

  #say(text: string): void {
    report({ tell: "progress", text: `${((performance.now() - this.#started) / 1000).toFixed(1)} s: ${text}` });
  }
}

interface Answer {
  status: number;
  body: string;
}

interface Node {
  spec?: { taints?: unknown[] };
  status?: { conditions?: { type: string; status: string }[] };
}

function isReady(text: string): boolean {
  if (text === "") return false;
  const { spec, status } = JSON.parse(text) as Node;
  const ready = (status?.conditions ?? []).some((condition) => condition.type === "Ready" && condition.status === "True");
  return ready && (spec?.taints ?? []).length === 0;
}

function exists(file: string): boolean {
  try {
    closeSync(openSync(file, "r"));
    return true;
  } catch {
    return false;
  }
}

/** Calls `then` when it is out. Whoever detached hears no more, and when the channel is just closing nobody is there to hear. */
function report(message: Report, then: () => void = () => {}): void {
  if (process.connected) process.send?.(message, () => then());
  else then();
}

function main(): void {
  let keeper: Keeper | undefined;
  let detached = false;

  const leave = async (code: number) => {
    try {
      await keeper?.end();
    } catch (error) {
      report({ tell: "failed", message: `it could not be cleared away: ${error}` });
      code = 1;
    }
    // What was reported must be out before the process ends.
    report({ tell: "progress", text: "cleared away" }, () => process.exit(code));
  };

  const take = async (request: Request): Promise<void> => {
    if (request.do === "detach") detached = true;
    else if (request.do === "part") {
      const error = await (keeper?.part(request.name, request.act) ?? Promise.reject(new Error("no cluster"))).then(
        () => undefined,
        (reason: unknown) => String(reason),
      );
      report({ tell: "done", id: request.id, ...(error === undefined ? {} : { error }) });
    } else {
      try {
        keeper = new Keeper(claimAny(tmpdir(), request.options.slot, clearSlot));
        report({ tell: "ready", facts: await keeper.start(request) });
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        report({ tell: "failed", message });
        await leave(1);
      }
    }
  };

  process.on("message", (request: Request) => void take(request));
  process.on("disconnect", () => detached || void leave(0));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void leave(0));
  process.on("uncaughtException", (error) => {
    report({ tell: "failed", message: error.stack ?? String(error) });
    void leave(1);
  });
}

main();
