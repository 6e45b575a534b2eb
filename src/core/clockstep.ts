// The API server's clock was set on or back by more than clocks differ: what runs in a status goes on from where it stood, so that a
// step of an hour is no hour of waiting for pods, and no hour of cooldown.

import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { iso } from "./context.ts";

/** Two operators' ideas of the API server's time differ by less. ms. */
export const MAX_SKEW_MS = 60_000;

/**
 * The step between two looks at both clocks; 0 where they agree.
 * @param before both at the last decision: of the API server (ms epoch) and of the process (ms, monotonic)
 */
export function clockStep(before: { now: number; monotonic: number } | undefined, now: number, monotonic: number): number {
  const step = before ? now - before.now - (monotonic - before.monotonic) : 0;
  return Math.abs(step) > MAX_SKEW_MS ? step : 0;
}

function move<T extends object>(of: T | undefined, stepMs: number, ...fields: (keyof T & string)[]): void {
  for (const field of fields) {
    const time = of?.[field];
    if (of && typeof time === "string") Object.assign(of, { [field]: iso(Date.parse(time) + stepMs) });
  }
}

/**
 * Moves the times that something is counted from (in place): the waiting for pods, a step's hold, a drain, an open return, cooldown and
 * budget. What tells when something happened stays, and so does `judgedFrom`, by which samples are told apart.
 */
export function moveClocks(status: ModelDeploymentStatus, stepMs: number): void {
  move(status.rollout, stepMs, "readyDeadlineSince", "retryAt", "stepSince");
  move(status.active, stepMs, "settledAt", "tookBackAt");
  if (status.rollback?.outcome === undefined)
    move(status.rollback, stepMs, "detectedAt", "decidedAt", "targetStartedAt", "clearingSince", "restoredAt");
  for (const one of status.returns ?? []) move(one, stepMs, "at");
}

/** Judging that seems to begin in the future began before the clock was set back: it begins now, or nothing would be judged until then. */
export function judgeFromNow(status: ModelDeploymentStatus, now: number): void {
  for (const ref of [status.active, status.candidate])
    if (ref?.judgedFrom !== undefined && Date.parse(ref.judgedFrom) > now + MAX_SKEW_MS) ref.judgedFrom = iso(now);
}
