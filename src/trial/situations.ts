// The situations that a policy is tried in: which check, in which part of a revision's life, with which data, with which way back,
// and what is in the way. Not every combination, but each that can make a difference.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { Check, Policy, Severity } from "../core/policy.ts";
import type { Data } from "./readings.ts";

type StrategyType = ModelDeployment["spec"]["strategy"]["type"];

/** In which part of a revision's life the check goes bad. */
export const MOMENTS = {
  Rollout: "the candidate runs and has no traffic yet",
  Shift: "a canary: the candidate has the traffic of its first step",
  Bake: "the new revision has all the traffic and bakes",
  Guard: "the active revision is proven",
  VerifySame: "after a return that this very check began, its target is verified",
  VerifyOther: "after a return that another check began, its target is verified",
} as const;
export type Moment = keyof typeof MOMENTS;

/** What there is to return to. */
export const STANDBYS = {
  Warm: "a proven revision with ready pods",
  Cold: "a proven revision, scaled to zero",
  None: "no other revision",
} as const;
export type Standby = keyof typeof STANDBYS;

/** What may keep an automatic return, or more traffic to a candidate, from happening. */
export const LIMITERS = {
  None: "nothing is in the way",
  Cooldown: "inside the cooldown of an earlier return",
  Budget: "the budget of automatic returns is spent",
  Frozen: "inside a freeze window",
  Breaker: "the storm breaker is open",
  Paused: "the deployment is paused",
} as const;
export type Limiter = keyof typeof LIMITERS;

/** What is tried; `check` undefined: every check is healthy. */
export interface Situation {
  check: Check | undefined;
  moment: Moment;
  data: Data;
  standby: Standby;
  limiter: Limiter;
}

export const SEVERITIES: readonly Severity[] = ["Critical", "Warning", "Info"];

/** Built-in checks read the pods: there is no source that could be silent. */
function dataFor(check: Check): readonly Data[] {
  return check.source === undefined ? ["Bad", "TooLittle"] : ["Bad", "TooLittle", "Missing", "Silent"];
}

function momentsFor(check: Check, policy: Policy, strategy: StrategyType): readonly Moment[] {
  const returns = policy.checks.filter((one) => policy.actions[one.severity] === "Rollback" && one.threshold !== undefined);
  return [
    "Rollout",
    ...(strategy === "Canary" ? (["Shift"] as const) : []),
    "Bake",
    "Guard",
    ...(returns.includes(check) ? (["VerifySame"] as const) : []),
    ...(returns.some((one) => one !== check) ? (["VerifyOther"] as const) : []),
  ];
}

/** The situations for a policy, in the order in which a person reads them. Recreate keeps no warm standby. */
export function situations(policy: Policy, strategy: StrategyType = "BlueGreen"): Situation[] {
  const found = ordered(policy, strategy);
  if (strategy !== "Recreate") return found;
  return found
    .filter((one) => one.standby !== "Cold")
    .map((one) => (one.standby === "Warm" ? { ...one, standby: "Cold" as const } : one));
}

function ordered(policy: Policy, strategy: StrategyType): Situation[] {
  const limiters = Object.keys(LIMITERS) as Limiter[];
  const healthy = limiters.map(
    (limiter): Situation => ({ check: undefined, moment: "Rollout", data: "Good", standby: "Warm", limiter }),
  );
  healthy.push({ check: undefined, moment: "Bake", data: "Good", standby: "Warm", limiter: "None" });
  const checks = SEVERITIES.flatMap((severity) => policy.checks.filter((check) => check.severity === severity));
  return [...healthy, ...checks.flatMap((check) => [...plain(check, policy, strategy), ...limited(check, policy)])];
}

function plain(check: Check, policy: Policy, strategy: StrategyType): Situation[] {
  return momentsFor(check, policy, strategy).flatMap((moment) =>
    dataFor(check)
      // Before it has traffic a candidate has no past: its pods either start or they don't.
      .filter((data) => !((moment === "Rollout" || moment === "Shift") && check.source === undefined && data !== "Bad"))
      .map((data): Situation => ({ check, moment, data, standby: "Warm", limiter: "None" })),
  );
}

/** What rolls back is tried with each way back and each thing in the way. */
function limited(check: Check, policy: Policy): Situation[] {
  if (policy.actions[check.severity] !== "Rollback") return [];
  const common = { check, data: "Bad" } as const;
  const others: Limiter[] = ["Cooldown", "Frozen", "Breaker", "Paused"];
  // A cooldown at least as long as the budget's period never lets it be spent.
  if (policy.cooldownMs < policy.budget.perMs) others.splice(1, 0, "Budget");
  return [
    ...(["Bake", "Guard"] as const).flatMap((moment) => [
      ...others.map((limiter): Situation => ({ ...common, moment, standby: "Warm", limiter })),
      // Until its successor is proven, a standby stays at full size: while baking it is warm.
      ...(moment === "Guard" ? [{ ...common, moment, standby: "Cold" as const, limiter: "None" as const }] : []),
      { ...common, moment, standby: "None" as const, limiter: "None" as const },
    ]),
  ];
}
