// A row of the table of faults, and short ways to write the states that Kubernetes shows.

import type { FaultReason, StalledReason } from "../../api/reasons.ts";

/** Quarantine: at once. Stalled: after a minute, with back-off. Wait: when the progress deadline has passed, if ever. */
export type Consequence = "Quarantine" | "Stalled" | "Wait";

export interface FaultRow {
  state: string;
  /** Where people see it. */
  seen: string;
  /** The pod's status, as `kubectl get pod -o json` shows it. */
  pod?: Record<string, unknown>;
  /** The message of the Deployment's condition ReplicaFailure. */
  failure?: string;
  consequence: Consequence;
  reason: FaultReason | StalledReason;
  why?: string;
}

export const placed = { type: "PodScheduled", status: "True" };
export const pending = (state: object, more: object = {}) => ({
  phase: "Pending",
  conditions: [placed],
  containerStatuses: [{ name: "server", ready: false, restartCount: 0, image: "", imageID: "", state, ...more }],
});
export const waiting = (reason: string, message = "") => pending({ waiting: { reason, message } });
export const looping = (restarts: number, terminated: object) =>
  pending({ waiting: { reason: "CrashLoopBackOff" } }, { restartCount: restarts, lastState: { terminated } });
export const unscheduled = (message: string, reason = "Unschedulable") => ({
  phase: "Pending",
  conditions: [{ type: "PodScheduled", status: "False", reason, message }],
});
export const failed = (reason: string, message: string) => ({ phase: "Failed", reason, message, conditions: [placed] });
export const init = (name: string, state: object, restartCount = 0) => ({
  phase: "Pending",
  conditions: [placed],
  initContainerStatuses: [{ name, ready: false, restartCount, image: "", imageID: "", state }],
  containerStatuses: [
    { name: "server", ready: false, restartCount: 0, image: "", imageID: "", state: { waiting: { reason: "PodInitializing" } } },
  ],
});
export const fetched = (exitCode: number, reason: string, message: string) =>
  init("rollguard-fetch", { terminated: { exitCode, reason: "Error", message: JSON.stringify({ reason, message }) } }, 1);

/** How rows of one consequence are made, from the reasons that it may have. */
const rowOf =
  <R extends FaultRow["reason"]>(consequence: Consequence) =>
  (state: string, seen: string, reason: R, pod: Record<string, unknown>, why?: string): FaultRow => ({
    state,
    seen,
    pod,
    consequence,
    reason,
    ...(why ? { why } : {}),
  });
export const own = rowOf<FaultReason>("Quarantine");
export const cluster = rowOf<StalledReason>("Stalled");
export const wait = rowOf<StalledReason>("Wait");
export const refused = (state: string, reason: StalledReason, failure: string): FaultRow => ({
  state,
  seen: "condition `ReplicaFailure` of the Deployment",
  failure,
  consequence: "Stalled",
  reason,
});
