// Memory limits without cgroups: the resident memory of each limited process tree is sampled every half second.
import { execFile } from "node:child_process";
import fs from "node:fs";
import type { Clock, Timer } from "../../clock.ts";

const SAMPLE_MS = 500;

interface Watched {
  pid: number;
  limitBytes: number;
  exceeded: () => void;
}

export class MemoryWatch {
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `exceeded` once when the tree below `pid` holds more than the limit. Returns how to stop. */
  watch(pid: number, limitBytes: number, exceeded: () => void): () => void {
    const entry = { pid, limitBytes, exceeded };
    this.#watched.add(entry);
    this.#plan();
    return () => {
      this.#watched.delete(entry);
      if (this.#watched.size === 0) this.#timer?.cancel();
      if (this.#watched.size === 0) this.#timer = undefined;
    };
  }

  #plan(): void {
    this.#timer ??= this.#clock.after(SAMPLE_MS, () => {
      this.#timer = undefined;
      if (process.platform === "linux") this.#check(linuxTree);
      else execFile("ps", ["-axo", "pid=,ppid=,rss="], (error, output) => !error && this.#check(psTree(output)));
      if (this.#watched.size > 0) this.#plan();
    });
  }

  #check(residentBytes: (pid: number) => number): void {
    for (const entry of [...this.#watched]) {
      if (residentBytes(entry.pid) <= entry.limitBytes) continue;
      this.#watched.delete(entry);
      entry.exceeded();
    }
  }
}

function linuxTree(pid: number): number {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
    let total = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
      const children = fs.readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean);
      for (const child of children) total += linuxTree(Number(child));
    }
    return total;
  } catch {
    // It ended meanwhile.
    return 0;
  }
}

function psTree(output: string): (pid: number) => number {
  const rows = output
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const total = (pid: number): number =>
    rows.reduce(
      (sum, [id, parent, kib]) => sum + (id === pid ? (kib ?? 0) * 1024 : 0) + (parent === pid && id ? total(id) : 0),
      0,
    );
  return total;
}
