// Runs tasks in as many processes as are wanted, each process one task after the other.

import { fork } from "node:child_process";
import { join } from "node:path";
import type { Violation } from "../../tests/simulation/checker.ts";
import type { Counts } from "../../tests/simulation/coverage.ts";
import type { Point } from "../../tests/simulation/crashpoints.ts";

/** What a process is asked to do. */
export type Task = { seed: number } | { point: Point; expected: { end: string; broken: string[] } };

/** What it tells of it. */
export interface Told {
  /** How it is run again. */
  again: string;
  seed: number;
  simulatedMs: number;
  violations: Violation[];
  counts: Counts;
}

/** @param next the next task; undefined: there is none. @param onTold called as each ends, in no order */
export async function runAll(jobs: number, next: () => Task | undefined, onTold: (told: Told) => void): Promise<void> {
  const one = () => {
    const child = fork(join(import.meta.dirname, "work.ts"));
    child.on("message", (told: Told | "ready") => {
      if (told !== "ready") onTold(told);
      child.send(next() ?? "over");
    });
    return new Promise<void>((resolve, reject) => {
      child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a process ended with ${code}`))));
    });
  };
  await Promise.all(Array.from({ length: jobs }, one));
}
