// From a plan that breaks a promise to the shortest that still breaks it: what is not needed is taken out, piece by piece.

import type { Fault, Plan, Step } from "./plan.ts";
import { simulate } from "./simulate.ts";

/** Tries at most so many runs. */
const MOST_RUNS = 250;

/** @param onProgress told after each shorter plan */
export async function shrink(
  plan: Plan,
  promise: string,
  onProgress: (plan: Plan, runs: number) => void = () => {},
): Promise<Plan> {
  let best = plan;
  let runs = 0;
  const fails = async (candidate: Plan): Promise<boolean> => {
    if (runs >= MOST_RUNS) return false;
    runs++;
    const broken = await simulate(candidate).then(
      ({ violations }) => violations.some((one) => one.promise === promise),
      () => false,
    );
    if (!broken) return false;
    best = candidate;
    onProgress(best, runs);
    return true;
  };
  for (let size = 0; size !== sizeOf(best) && runs < MOST_RUNS; ) {
    size = sizeOf(best);
    await without(best.faults, (faults: Fault[]) => fails({ ...best, faults }));
    // What is taken away leaves its time behind, so that the rest happens when it did.
    const all = best.steps;
    await without(all, (steps: Step[]) => fails({ ...best, steps: withTimes(all, steps) }));
    for (const { name } of best.deployments) {
      const others = best.deployments.filter((one) => one.name !== name);
      const steps = withTimes(
        best.steps,
        best.steps.filter((one) => one.deployment !== name),
      );
      if (others.length > 0) await fails({ ...best, deployments: others, steps });
    }
    await without(best.troubles, (troubles) => fails({ ...best, troubles }));
    if (best.operators > 1) await fails({ ...best, operators: 1 });
    if (best.latency !== "Even") await fails({ ...best, latency: "Even" });
    for (let i = 0; i < best.faults.length; i++) {
      const fault = best.faults[i] as Fault;
      if (fault.count > 1) await fails({ ...best, faults: best.faults.with(i, { ...fault, count: 1 }) });
    }
  }
  return best;
}

const sizeOf = ({ faults, steps, deployments, troubles, operators, latency }: Plan) =>
  faults.reduce((sum, one) => sum + one.count, 0) +
  steps.length +
  deployments.length +
  troubles.length +
  operators +
  (latency === "Even" ? 0 : 1);

/** Takes out halves, then quarters, down to single items, for as long as what is left still fails. */
async function without<T>(list: readonly T[], fails: (rest: T[]) => Promise<boolean>): Promise<void> {
  let rest = [...list];
  for (let length = rest.length; length >= 1; length = Math.floor(length / 2)) {
    for (let from = 0; from < rest.length; ) {
      const shorter = rest.toSpliced(from, length);
      if (await fails(shorter)) rest = shorter;
      else from += length;
    }
  }
}

/** `kept`, each at the time at which it was. */
function withTimes(all: readonly Step[], kept: readonly Step[]): Step[] {
  const times = new Map<Step, number>();
  let time = 0;
  for (const step of all) {
    time += step.after;
    times.set(step, time);
  }
  let last = 0;
  return kept.map((step) => {
    const at = times.get(step) ?? last;
    const after = at - last;
    last = at;
    return { ...step, after };
  });
}
