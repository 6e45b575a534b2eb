// Part "memory": what the operator needs with nothing to guard.

import { execFileSync } from "node:child_process";
import type { Row } from "./report.ts";
import type { World } from "./world.ts";

const GOAL_MB = 90;
const WATCHED_MS = 15_000;
const EVERY_MS = 3000;

/** What Node needs to run nothing, bytes. */
function bareNode(): number {
  return Number(execFileSync(process.execPath, ["-p", "process.memoryUsage.rss()"], { encoding: "utf8" }));
}

export const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MB`;

export async function memory(world: World): Promise<Row[]> {
  const seen: number[] = [];
  for (let left = WATCHED_MS; left > 0; left -= EVERY_MS) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    seen.push(await world.operator.residentBytes());
  }
  const highest = Math.max(...seen);
  const bare = bareNode();
  return [
    {
      what: "resident memory, nothing to guard",
      goal: `≤ ${GOAL_MB} MB`,
      measured: `${megabytes(highest)} (highest of ${seen.length} in ${WATCHED_MS / 1000} s; at the end ${megabytes(seen.at(-1) ?? 0)})`,
      ratio: `${(highest / bare).toFixed(2)} × Node that runs nothing (${megabytes(bare)})`,
      met: highest <= GOAL_MB * 1_048_576,
    },
  ];
}
