// In which situations a deployment is now, by its status: what the matrix of a deployment marks.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { Policy } from "../core/policy.ts";
import type { Matrix, MatrixRow } from "./matrix.ts";
import type { Data } from "./readings.ts";
import type { Limiter, Moment, Standby } from "./situations.ts";

/** What is true of a deployment now; `check` undefined: no check is anything but healthy. */
interface Present {
  check: string | undefined;
  moment: Moment;
  data: Data;
  standby: Standby;
  limiter: Limiter;
}

type CheckLine = NonNullable<NonNullable<ModelDeployment["status"]>["checks"]>[number];

function dataOf({ verdict }: CheckLine): Data {
  switch (verdict) {
    case "Breached":
      return "Bad";
    case "Insufficient":
      return "TooLittle";
    case "NoData":
      return "Missing";
    case "ProviderError":
      return "Silent";
    default:
      return "Good";
  }
}

function momentOf({ status }: ModelDeployment, line: CheckLine | undefined): Moment {
  const { active, candidate, rollback } = status ?? {};
  if (line ? line.revision === candidate?.revision : candidate !== undefined) return "Rollout";
  if (rollback && rollback.outcome === undefined && rollback.to?.revision === active?.revision)
    return line && rollback.checks?.includes(line.name) ? "VerifySame" : "VerifyOther";
  return active?.baking ? "Bake" : "Guard";
}

function standbyOf({ status }: ModelDeployment): Standby {
  const ready = status?.conditions?.find((one) => one.type === "RollbackReady");
  if (ready?.status !== "True") return "None";
  return ready.reason === "Warm" ? "Warm" : "Cold";
}

function limiterOf({ spec, status }: ModelDeployment, policy: Policy, now: number): Limiter {
  if (spec.paused || status?.paused) return "Paused";
  const returns = status?.returns ?? [];
  const last = returns.at(-1);
  if (last && now - Date.parse(last.at) < policy.cooldownMs) return "Cooldown";
  const spent = returns.filter((one) => one.proven && now - Date.parse(one.at) < policy.budget.perMs);
  if (spent.length >= policy.budget.limit) return "Budget";
  if (status?.freeze?.active) return "Frozen";
  return status?.reason === "StormBreaker" ? "Breaker" : "None";
}

/** One for each check that is not healthy; a single one without a check where all are. */
export function presentSituations(deployment: ModelDeployment, policy: Policy, now: number): Present[] {
  const common = { standby: standbyOf(deployment), limiter: limiterOf(deployment, policy, now) };
  const lines = (deployment.status?.checks ?? []).filter((line) => line.verdict !== "Healthy");
  if (lines.length === 0) return [{ check: undefined, moment: momentOf(deployment, undefined), data: "Good", ...common }];
  return lines.map((line) => ({ check: line.name, moment: momentOf(deployment, line), data: dataOf(line), ...common }));
}

function applies(row: MatrixRow, { check, moment, data, standby, limiter }: Present): boolean {
  if (!row.moments.includes(moment) || !row.data.includes(data)) return false;
  if (check === undefined ? row.checks.length > 0 : !row.checks.includes(check)) return false;
  if (!row.limiters.includes(limiter)) return false;
  // What has nothing to do with a return is the same whatever there is to return to.
  return row.standby.includes(standby) || data !== "Bad";
}

/** The matrix with the rows marked that apply to the deployment now. */
export function markNow(of: Matrix, deployment: ModelDeployment, policy: Policy, now: number): Matrix {
  const present = presentSituations(deployment, policy, now);
  // Limiters are tried only where they matter; elsewhere the row without one says what happens.
  const rows = (situation: Present) => of.rows.filter((row) => applies(row, situation));
  const marked = new Set(
    present.flatMap((situation) => {
      const found = rows(situation);
      return found.length > 0 ? found : rows({ ...situation, limiter: "None" });
    }),
  );
  return { ...of, rows: of.rows.map((row) => (marked.has(row) ? { ...row, now: true } : row)) };
}
