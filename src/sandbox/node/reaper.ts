// The reaper: a small process of its own that starts the workloads and outlives the sandbox by a moment, to end them.
// It watches its standard input: when that closes, however the sandbox ended, every process group is killed and the
// sandbox's folder is removed. Its source is handed over as text, so that a bundle needs no second file; therefore
// `reaperMain` may use nothing from outside of itself (and a bundler must not add helpers: no keepNames).

/** What the sandbox asks of the reaper, one JSON line each. */
export type ReaperRequest =
  | { op: "configure"; marker: string; folder?: string }
  | { op: "start"; id: number; argv: string[]; env: Record<string, string>; cwd: string; log: string }
  | { op: "kill"; id: number; signal: "SIGTERM" | "SIGKILL" };

/** What it answers. `failed`: the process could not be started. */
export type ReaperEvent =
  | { event: "started"; id: number; pid: number }
  | { event: "failed"; id: number; message: string }
  | { event: "exit"; id: number; code: number | null; signal: string | null };

function reaperMain(): void {
  const { spawn } = process.getBuiltinModule("node:child_process");
  const fs = process.getBuiltinModule("node:fs");
  const alive = new Map<number, number>();
  let marker = "";
  let folder = "";
  let ending = false;
  let rest = "";

  const tell = (event: ReaperEvent) => process.stdout.write(`${JSON.stringify(event)}\n`);
  const signal = (pid: number, name: NodeJS.Signals) => {
    try {
      process.kill(pid, name);
    } catch {
      // It is gone already.
    }
  };

  function start(request: Extract<ReaperRequest, { op: "start" }>): void {
    const { id, argv, env, cwd, log } = request;
    let output: number | undefined;
    try {
      output = fs.openSync(log, "a");
      // A process group of its own, so that whatever it starts goes with it.
      const child = spawn(argv[0] ?? "", argv.slice(1), { cwd, env, detached: true, stdio: ["ignore", output, output] });
      const { pid } = child;
      child.on("error", (error) => pid === undefined && tell({ event: "failed", id, message: error.message }));
      if (pid === undefined) return;
      alive.set(id, pid);
      tell({ event: "started", id, pid });
      child.on("exit", (code, name) => {
        // A container ends with its first process.
        signal(-pid, "SIGKILL");
        alive.delete(id);
        tell({ event: "exit", id, code, signal: name });
        if (ending && alive.size === 0) leave();
      });
    } catch (error) {
      tell({ event: "failed", id, message: String(error) });
    } finally {
      if (output !== undefined) fs.closeSync(output);
    }
  }

  function take(line: string): void {
    const request = JSON.parse(line) as ReaperRequest;
    if (request.op === "configure") {
      marker = request.marker;
      folder = request.folder ?? "";
    } else if (request.op === "start") start(request);
    else {
      const pid = alive.get(request.id);
      if (pid !== undefined) signal(request.signal === "SIGKILL" ? -pid : pid, request.signal);
    }
  }

  /** Kills what left its process group: it still carries the sandbox's mark in its environment (Linux only). */
  function killStrays(): void {
    if (!marker || process.platform !== "linux") return;
    for (const entry of fs.readdirSync("/proc")) {
      if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
      try {
        if (fs.readFileSync(`/proc/${entry}/environ`, "latin1").includes(marker)) signal(Number(entry), "SIGKILL");
      } catch {
        // It is gone already, or not ours to read.
      }
    }
  }

  function leave(): void {
    killStrays();
    if (folder) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    process.stdin.destroy();
  }

  function end(): void {
    if (ending) return;
    ending = true;
    for (const pid of alive.values()) signal(-pid, "SIGKILL");
    if (alive.size === 0) leave();
  }

  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line) take(line);
  });
  for (const event of ["end", "close", "error"]) process.stdin.on(event, end);
  process.stdout.on("error", () => {});
  // Ctrl-C is for the sandbox, which closes our input when it is done.
  for (const name of ["SIGINT", "SIGHUP"] as const) process.on(name, () => {});
  process.on("SIGTERM", end);
  process.on("uncaughtException", end);
}

/** The reaper's program, for `node -e`. */
export function reaperSource(): string {
  return `(${reaperMain.toString()})()`;
}
