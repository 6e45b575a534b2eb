// How a play begins: a deployment whose first revisions were proven by good readings, as quickly as the checks allow.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { Policy } from "../core/policy.ts";
import { goodValue, reading } from "./readings.ts";
import { Stage } from "./stage.ts";

const HOUR = 3_600_000;
/** How long pods take to start on the stage. */
export const POD_START_MS = 10_000;

/** The longest that a check may need until it says something: warm-up, its window of samples, and some room. */
export function settleMs(policy: Policy): number {
  return policy.warmupMs + Math.max(...policy.checks.map((one) => one.intervalMs * (one.breach.of + 2)));
}

/** The steps of a canary may wait for days, and for people: the way to where a play begins goes without them. */
function quickly(strategy: ModelDeployment["spec"]["strategy"]): ModelDeployment["spec"]["strategy"] {
  if (strategy.type !== "Canary") return strategy;
  const { canary: _steps, ...rest } = strategy;
  return { ...rest, type: "BlueGreen" };
}

/**
 * A stage without anything proven, with the versions v1 to v3. On the way to where a play begins a short bake will do, and nothing
 * is in the way: put the policy in force as it is afterwards.
 */
export function opening(policy: Policy, input: { now: number; spec?: Partial<ModelDeployment["spec"]> }): Stage {
  const { replicas = 2, strategy } = input.spec ?? {};
  const spec = { replicas: Math.max(replicas, 1), ...(strategy ? { strategy: quickly(strategy) } : {}), probe: { path: "/" } };
  const quick: Policy = { ...policy, mode: "Enforce", bakeMs: Math.min(policy.bakeMs, settleMs(policy)), freeze: [] };
  const stage = new Stage({ now: input.now, policy: quick, spec: spec as Partial<ModelDeployment["spec"]> });
  const metrics = Object.fromEntries(
    policy.checks.flatMap((one) => (one.baseline?.metric === undefined ? [] : [[one.baseline.metric, goodValue(one)]])),
  );
  for (const name of ["v1", "v2", "v3"]) stage.version(name, { metrics });
  stage.startMs = () => POD_START_MS;
  stage.measure = (check) => reading(check, "Good", 0, 1);
  return stage;
}

/** Runs until `done`, at most for `ms`. */
export function settle(stage: Stage, ms: number, done: () => boolean): void {
  const end = stage.now + ms;
  while (!done() && stage.now < end) stage.step(end);
}

/** Goes on until that version is proven. Throws where it can't be. */
export function proved(stage: Stage, version: string): Stage {
  const is = () =>
    stage.status.lastHealthy?.version === version &&
    stage.cluster.revisions.some((one) => one.version === version && one.provenAt);
  settle(stage, 20 * settleMs(stage.policy) + HOUR, () => Boolean(is()));
  if (!is()) throw new Error(`no revision can be proven under this policy: ${stage.status.message ?? "no reason given"}`);
  return stage;
}
