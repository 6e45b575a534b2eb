// A process of the pool: runs a seed or a crash point whenever it is given one, and ends when there are no more.

import { Coverage } from "../../tests/simulation/coverage.ts";
import { crashAt } from "../../tests/simulation/crashpoints.ts";
import { planOf } from "../../tests/simulation/plan.ts";
import { simulate } from "../../tests/simulation/simulate.ts";
import type { Task, Told } from "./pool.ts";

async function run(task: Task): Promise<Told> {
  const coverage = new Coverage();
  const { counts } = coverage;
  if ("point" in task) {
    const { point, expected } = task;
    const wrong = await crashAt(point, expected);
    const violations = wrong === undefined ? [] : [{ promise: "a crash ends where no crash does", at: 0, detail: wrong }];
    return { again: "--crash-points", seed: 0, simulatedMs: 0, violations, counts };
  }
  const { seed } = task;
  const { violations, simulatedMs } = await simulate(planOf(seed), { witnesses: [coverage] });
  return { again: `--seed ${seed}`, seed, simulatedMs, violations, counts };
}

function failed(task: Task, error: unknown): Told {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const seed = "seed" in task ? task.seed : 0;
  return {
    again: `--seed ${seed}`,
    seed,
    simulatedMs: 0,
    violations: [{ promise: "the simulation itself", at: 0, detail }],
    counts: {},
  };
}

process.on("message", (task: Task | "over") => {
  if (task === "over") process.exit(0);
  void run(task)
    .catch((error: unknown) => failed(task, error))
    .then((told) => process.send?.(told));
});
process.send?.("ready");
