// A policy as a matrix: every situation played by the operator's own decisions, and those that end alike joined into one row.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { Policy, Severity } from "../core/policy.ts";
import { Theatre } from "./enact.ts";
import type { Cell, Outcome } from "./outcome.ts";
import type { Data } from "./readings.ts";
import { LIMITERS, type Limiter, type Moment, type Standby, situations } from "./situations.ts";

/** Situations that end alike. `within` are the shortest and the longest time of them, ms from the first bad sample. */
export interface MatrixRow {
  /** Empty: every check is healthy. */
  checks: string[];
  severity?: Severity;
  moments: Moment[];
  data: Data[];
  standby: Standby[];
  limiters: Limiter[];
  outcome: Outcome;
  /** The reason that the decision gave, or the verdict of the check. */
  reason: string;
  /** The words of the first of them. */
  message: string;
  decidedWithinMs?: [least: number, most: number];
  switchedWithinMs?: [least: number, most: number];
  /** The row that a deployment is in now. */
  now?: boolean;
}

export interface Matrix {
  /** What it is of, such as `RollbackPolicy/strict`. */
  name: string;
  policy: Pick<Policy, "mode" | "warmupMs" | "bakeMs" | "verifyMs" | "cooldownMs" | "budget" | "maxDepth" | "deadlineMs">;
  checks: { name: string; severity: Severity; action: string; every: number; breach: { count: number; of: number } }[];
  situations: number;
  rows: MatrixRow[];
}

const LISTS = ["checks", "data", "limiters", "standby", "moments"] as const;
type List = (typeof LISTS)[number];

function rowOf({ situation, outcome, reason, message, decidedMs, switchedMs }: Cell): MatrixRow {
  const { check, moment, data, standby, limiter } = situation;
  return {
    checks: check ? [check.name] : [],
    ...(check ? { severity: check.severity } : {}),
    moments: [moment],
    data: [data],
    standby: [standby],
    limiters: [limiter],
    outcome,
    reason,
    message,
    ...(decidedMs === undefined ? {} : { decidedWithinMs: [decidedMs, decidedMs] as [number, number] }),
    ...(switchedMs === undefined ? {} : { switchedWithinMs: [switchedMs, switchedMs] as [number, number] }),
  };
}

/** What two rows must have in common to be joined over one of their lists. */
function keyWithout(row: MatrixRow, list: List): string {
  const { severity, outcome, reason } = row;
  return JSON.stringify([severity, outcome, reason, ...LISTS.map((one) => (one === list ? null : row[one]))]);
}

const span = (a: [number, number] | undefined, b: [number, number] | undefined): [number, number] | undefined =>
  a && b ? [Math.min(a[0], b[0]), Math.max(a[1], b[1])] : (a ?? b);

function join(rows: readonly MatrixRow[], list: List): MatrixRow[] {
  const joined = new Map<string, MatrixRow>();
  for (const row of rows) {
    const key = keyWithout(row, list);
    const known = joined.get(key);
    if (!known) {
      joined.set(key, row);
      continue;
    }
    const decided = span(known.decidedWithinMs, row.decidedWithinMs);
    const switched = span(known.switchedWithinMs, row.switchedWithinMs);
    joined.set(key, {
      ...known,
      [list]: [...new Set<string>([...known[list], ...row[list]])],
      ...(decided ? { decidedWithinMs: decided } : {}),
      ...(switched ? { switchedWithinMs: switched } : {}),
    });
  }
  return [...joined.values()];
}

/** Joins what ends alike, one list after the other. */
export function group(cells: readonly Cell[]): MatrixRow[] {
  return LISTS.reduce((rows, list) => join(rows, list), cells.map(rowOf));
}

/** Every situation, played. */
export function cells(policy: Policy, spec?: Partial<ModelDeployment["spec"]>): Cell[] {
  const theatre = new Theatre(policy, spec);
  return situations(policy, spec?.strategy?.type).map((one) => theatre.play(one));
}

/**
 * Tries a policy in every situation that makes a difference.
 * @param spec of a deployment, for its strategy and replicas; undefined: BlueGreen with two pods
 */
export function matrix(name: string, policy: Policy, spec?: Partial<ModelDeployment["spec"]>): Matrix {
  return matrixOf(name, policy, cells(policy, spec));
}

/** The same, of situations that were played already. */
export function matrixOf(name: string, policy: Policy, played: readonly Cell[]): Matrix {
  const { mode, warmupMs, bakeMs, verifyMs, cooldownMs, budget, maxDepth, deadlineMs } = policy;
  return {
    name,
    policy: { mode, warmupMs, bakeMs, verifyMs, cooldownMs, budget, maxDepth, deadlineMs },
    checks: policy.checks.map(({ name, severity, intervalMs, breach }) => ({
      name,
      severity,
      action: policy.actions[severity],
      every: intervalMs,
      breach,
    })),
    situations: played.length,
    rows: group(played),
  };
}

/** "any Critical check", or their names. */
export function checksText(row: MatrixRow, { checks }: Matrix): string {
  if (row.checks.length === 0) return "all healthy";
  const all = checks.filter((one) => one.severity === row.severity).length;
  if (row.checks.length === all && all > 1) return `any ${row.severity} check`;
  return `${row.checks.join(", ")} (${row.severity})`;
}

const DATA_WORDS: Readonly<Record<Data, string>> = {
  Good: "good",
  Bad: "bad",
  TooLittle: "too little",
  Missing: "missing",
  Silent: "no answer",
};
const MOMENT_WORDS: Readonly<Record<Moment, string>> = {
  Rollout: "rollout",
  Shift: "canary step",
  Bake: "bake",
  Guard: "guard",
  VerifySame: "verify, same check",
  VerifyOther: "verify, another check",
};

export const dataText = (row: MatrixRow): string => row.data.map((one) => DATA_WORDS[one]).join(", ");

export function momentsText(row: MatrixRow): string {
  return row.moments.map((one) => MOMENT_WORDS[one]).join("; ");
}

export const standbyText = (row: MatrixRow): string => row.standby.map((one) => one.toLowerCase()).join(", ");

export function limitersText({ limiters }: MatrixRow): string {
  if (limiters.length === Object.keys(LIMITERS).length) return "anything";
  const names = limiters.filter((one) => one !== "None").map((one) => one.toLowerCase());
  return [...(limiters.includes("None") ? ["-"] : []), ...names].join(", ");
}

/** A time as a person reads it, in whole seconds where it is longer than ten of them. */
export function timeText(ms: number): string {
  const rounded = ms >= 10_000 ? Math.round(ms / 1000) : Math.round(ms / 100) / 10;
  const h = Math.floor(rounded / 3600);
  const m = Math.floor((rounded % 3600) / 60);
  const s = Math.round((rounded % 60) * 10) / 10;
  return `${h > 0 ? `${h}h` : ""}${m > 0 ? `${m}m` : ""}${s > 0 || rounded === 0 ? `${s}s` : ""}`;
}

/** "2m", "1m to 4m", "2m, then 10s to move": to the decision, and from there until the traffic was moved. */
export function withinText({ decidedWithinMs, switchedWithinMs }: MatrixRow): string {
  if (!decidedWithinMs) return switchedWithinMs ? range(switchedWithinMs) : "-";
  const moving = (switchedWithinMs?.[1] ?? 0) - decidedWithinMs[1];
  const written = switchedWithinMs ? (moving >= 1000 ? `, then ${timeText(moving)} to start pods` : " + one write") : "";
  return `${range(decidedWithinMs)}${written}`;
}

function range([least, most]: [number, number]): string {
  const [from, to] = [timeText(least), timeText(most)];
  return from === to ? from : `${from} to ${to}`;
}
