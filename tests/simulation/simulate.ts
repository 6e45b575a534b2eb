// One seed, or one plan, from its beginning to a verdict.

import { Checker, type Violation } from "./checker.ts";
import { checkEnd, summary } from "./ending.ts";
import { type Plan, planOf } from "./plan.ts";
import { run } from "./run.ts";
import type { Witness } from "./world.ts";

export interface Outcome {
  plan: Plan;
  violations: Violation[];
  /** How often each promise had something to hold. */
  seen: ReadonlyMap<string, number>;
  simulatedMs: number;
}

/** @param compare where the plan allows: hold the end against that of the run without faults, which takes as long again */
export async function simulate(
  plan: Plan,
  { witnesses = [], compare = true }: { witnesses?: Witness[]; compare?: boolean } = {},
): Promise<Outcome> {
  const checker = new Checker();
  const { end, simulatedMs } = await run(plan, [checker, ...witnesses], ({ world, atRest, simulatedMs }) => {
    const { state, truth } = world;
    checkEnd(checker, { state, truth, at: simulatedMs, atRest });
    return { end: summary(state), simulatedMs };
  });
  if (plan.stepwise && compare && plan.faults.length > 0) {
    const calm = await run({ ...plan, faults: [], operators: 1 }, [], ({ world }) => summary(world.state));
    checker.holds("the end is that of the run without faults", String(end) === String(calm), simulatedMs, () =>
      difference(end, calm),
    );
  }
  return { plan, violations: checker.violations, seen: checker.seen, simulatedMs };
}

function difference(a: string[], b: string[]): string {
  const only = (from: string[], other: string[]) => from.filter((line) => !other.includes(line));
  return `with faults: ${only(a, b).join(" | ")}; without: ${only(b, a).join(" | ")}`;
}

export const simulateSeed = (seed: number): Promise<Outcome> => simulate(planOf(seed));
