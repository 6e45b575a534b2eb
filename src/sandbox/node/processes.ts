// The sandbox's side of the reaper: starts local processes through it, hears of their ends, kills them.
import { type ChildProcess, spawn } from "node:child_process";
import { type ReaperEvent, type ReaperRequest, reaperSource } from "./reaper.ts";

export interface ProcessSpec {
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  /** Standard output and error are appended to this file. */
  log: string;
}

export interface ProcessEvents {
  started(pid: number): void;
  /** It could not be started (no such program, for instance); nothing follows. */
  failed(message: string): void;
  exited(code: number | null, signal: string | null): void;
}

export interface LocalProcess {
  /** SIGTERM goes to the first process, as to a container's; SIGKILL to all of its group. */
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

export class Processes {
  readonly #marker: string;
  readonly #folder: string | undefined;
  readonly #onLost: (message: string) => void;
  readonly #known = new Map<number, { events: ProcessEvents; pid?: number }>();
  #reaper: ChildProcess | undefined;
  #serial = 0;
  #closed = false;

  /** `marker` ("NAME=value") is put in every environment; `folder`, if given, is removed by the reaper when it ends. */
  constructor(options: { marker: string; folder?: string; onLost?: (message: string) => void }) {
    this.#marker = options.marker;
    this.#folder = options.folder;
    this.#onLost = options.onLost ?? (() => {});
  }

  /** The reaper's process id, once something was started. */
  get reaperPid(): number | undefined {
    return this.#reaper?.pid;
  }

  start(spec: ProcessSpec, events: ProcessEvents): LocalProcess {
    const id = ++this.#serial;
    if (this.#closed) {
      events.failed("the sandbox is ending");
      return { kill: () => {} };
    }
    const [name, value] = this.#marker.split("=");
    this.#known.set(id, { events });
    this.#send({ op: "start", id, ...spec, env: { ...spec.env, [name ?? ""]: value ?? "" } });
    return { kill: (signal) => this.#known.has(id) && this.#send({ op: "kill", id, signal }) };
  }

  /** Ends all of them and the reaper; resolves when the reaper is gone. No event is reported any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const reaper = this.#reaper;
    this.#known.clear();
    if (!reaper || reaper.exitCode !== null || reaper.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      reaper.once("exit", () => resolve());
      reaper.stdin?.end();
    });
  }

  #send(request: ReaperRequest): void {
    this.#reaper ??= this.#launch();
    this.#reaper.stdin?.write(`${JSON.stringify(request)}\n`);
  }

  #launch(): ChildProcess {
    // Detached, so that a signal to the sandbox's process group does not end it before it did its work.
    const reaper = spawn(process.execPath, ["-e", reaperSource()], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
      env: {},
    });
    const configure: ReaperRequest = { op: "configure", marker: this.#marker, ...(this.#folder ? { folder: this.#folder } : {}) };
    reaper.stdin.write(`${JSON.stringify(configure)}\n`);
    reaper.stdin.on("error", () => {});
    let rest = "";
    reaper.stdout.setEncoding("utf8");
    reaper.stdout.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as ReaperEvent);
    });
    reaper.on("exit", () => this.#lost(reaper));
    reaper.on("error", () => this.#lost(reaper));
    return reaper;
  }

  #take(event: ReaperEvent): void {
    const known = this.#known.get(event.id);
    if (!known) return;
    if (event.event === "started") {
      known.pid = event.pid;
      known.events.started(event.pid);
      return;
    }
    this.#known.delete(event.id);
    if (event.event === "failed") known.events.failed(event.message);
    else known.events.exited(event.code, event.signal);
  }

  /** The reaper itself was killed: its workloads are ended from here, and the next start launches another one. */
  #lost(reaper: ChildProcess): void {
    if (this.#reaper !== reaper || this.#closed) return;
    this.#reaper = undefined;
    const orphans = [...this.#known.values()];
    this.#known.clear();
    this.#onLost(`the sandbox's reaper ended; ${orphans.length} processes are killed and started again`);
    for (const { pid, events } of orphans) {
      try {
        if (pid !== undefined) process.kill(-pid, "SIGKILL");
      } catch {
        // It is gone already.
      }
      events.exited(null, "SIGKILL");
    }
  }
}
