// The phases of a deployment, the reasons for which it waits for a person, and where each may lead, as data: decide() goes by it and is
// held against it, and docs/phases.md is made from it.

import type { Phase, StalledReason } from "../api/reasons.ts";

export interface PhaseRow {
  meaning: string;
  /** The kstatus pair that holds in every state of the phase; the few exceptions are in conditions.ts. */
  ready: boolean;
  reconciling: boolean;
  stalled: boolean;
  leadsTo: readonly Phase[];
}

const any: readonly Phase[] = [
  "Pending",
  "Progressing",
  "Shifting",
  "Baking",
  "Guarding",
  "RollingBack",
  "Verifying",
  "RolledBack",
  "Stalled",
];

export const PHASES: Readonly<Record<Phase, PhaseRow>> = {
  Pending: {
    meaning: "the pin names no usable version yet; what serves goes on, guarded",
    ready: false,
    reconciling: true,
    stalled: false,
    leadsTo: ["Progressing", "Guarding", "Baking", "RolledBack", "RollingBack", "Stalled"],
  },
  Progressing: {
    meaning: "a candidate is brought up, or held by a pause",
    ready: false,
    reconciling: true,
    stalled: false,
    leadsTo: ["Shifting", "Baking", "Guarding", "Progressing", "Pending", "RolledBack", "RollingBack", "Stalled"],
  },
  Shifting: {
    meaning: "a canary has part of the traffic",
    ready: false,
    reconciling: true,
    stalled: false,
    leadsTo: ["Baking", "Guarding", "Progressing", "Pending", "RolledBack", "RollingBack", "Stalled"],
  },
  Baking: {
    meaning: "it has all the traffic and bakes, for the first time or again",
    ready: false,
    reconciling: true,
    stalled: false,
    leadsTo: ["Guarding", "Progressing", "Pending", "RolledBack", "RollingBack", "Stalled"],
  },
  Guarding: {
    meaning: "the pinned revision is active, proven, not baking",
    ready: true,
    reconciling: false,
    stalled: false,
    leadsTo: ["Progressing", "Pending", "RolledBack", "RollingBack", "Stalled"],
  },
  RollingBack: {
    meaning: "the target is brought up, the traffic moves",
    ready: false,
    reconciling: true,
    stalled: false,
    leadsTo: ["Verifying", "RollingBack", "Stalled"],
  },
  Verifying: {
    meaning: "the target has the traffic and is verified",
    ready: false,
    reconciling: true,
    stalled: false,
    // Baking: the pin is the target, and it was never proven.
    leadsTo: ["RolledBack", "Guarding", "Baking", "Progressing", "Pending", "RollingBack", "Stalled"],
  },
  RolledBack: {
    meaning: "the last healthy one serves, the pin is quarantined",
    ready: false,
    reconciling: false,
    stalled: true,
    leadsTo: ["Progressing", "Guarding", "Baking", "Pending", "RollingBack", "Stalled"],
  },
  Stalled: {
    meaning: "a person is needed; what serves goes on, guarded",
    ready: false,
    reconciling: false,
    stalled: true,
    // Shifting: a canary that was stalled for another reason (a taken name, a breach of the active one) goes on where it was.
    leadsTo: any.filter((phase) => phase !== "Verifying"),
  },
};

/** A reason for `Stalled` that is not a phase of its own. */
export type StallReason = Exclude<StalledReason, "RolledBack">;

export interface StallRow {
  /**
   * What is wrong: what serves, the candidate, what the pin names, or a name that somebody else has. What is wrong with what serves
   * keeps nobody from rolling out what mends it.
   */
  about: "Serving" | "Candidate" | "Pin" | "Name";
  /** It is said anew in every pass, for as long as its cause is there. */
  derived: boolean;
  /** Besides ALWAYS. */
  leadsTo: readonly Phase[];
  /** By what, in words. */
  by: string;
}

/** Where each stall leads: to Progressing by a new pin or a retry, to RollingBack by a person, or when what serves is taken back. */
export const ALWAYS: readonly Phase[] = ["Progressing", "RollingBack"];

/** The pin is the active one's, quarantined, or not usable (again): what else a pin leads to. */
const pinned: readonly Phase[] = ["Guarding", "Baking", "RolledBack", "Pending"];

const ofPin = (by: string): StallRow => ({ about: "Pin", derived: true, leadsTo: pinned, by });

const ofCandidate: StallRow = {
  about: "Candidate",
  derived: false,
  leadsTo: pinned,
  by: "Progressing by back-off, with Recreate only by a retry; another one when the pin goes back, or to what is not rolled out",
};

const ofBreach: StallRow = {
  about: "Serving",
  derived: true,
  leadsTo: ["Baking", "Guarding"],
  by: "Baking (a new bake) or Guarding when the breach is over; RollingBack when there is a target",
};

const ofReturn: StallRow = {
  about: "Serving",
  derived: false,
  leadsTo: ["RolledBack"],
  by: "RolledBack when what serves is Healthy and unquarantined",
};

/** Why a person is needed, and what ends it. */
export const STALLS: Readonly<Record<StallReason, StallRow>> = {
  VersionContentChanged: { about: "Pin", derived: true, leadsTo: [], by: "only by retry or a new pin" },
  WaitingForVersion: ofPin("as Pending, when there is such a version, or by another pin"),
  WaitingForConfigMap: ofPin("as Pending, when there is such a ConfigMap, or by another pin"),
  OtherModel: ofPin("by another pin"),
  VersionRevoked: ofPin("by another pin"),
  NameTaken: {
    about: "Name",
    derived: true,
    leadsTo: ["Pending", "Shifting", "Baking", "Guarding", "RolledBack"],
    by: "where it was, by `adopt` or when the name is free",
  },
  InvalidTemplate: ofCandidate,
  Unschedulable: ofCandidate,
  SchedulingGated: ofCandidate,
  NodeRejected: ofCandidate,
  NodeLost: ofCandidate,
  Evicted: ofCandidate,
  QuotaExceeded: ofCandidate,
  AdmissionRefused: ofCandidate,
  PodNotStarted: ofCandidate,
  CreateContainerConfigError: ofCandidate,
  ContainerNotStarted: ofCandidate,
  ImageUnavailable: ofCandidate,
  ArtifactUnavailable: ofCandidate,
  ArtifactUnauthorized: ofCandidate,
  DiskFull: ofCandidate,
  VolumeUnavailable: ofCandidate,
  FetchInterrupted: ofCandidate,
  FetchMisconfigured: ofCandidate,
  ProgressDeadlineExceeded: ofCandidate,
  Rejected: { about: "Candidate", derived: false, leadsTo: [], by: "a new pin or a retry" },
  NoTarget: ofBreach,
  TargetNoBetter: ofBreach,
  CommonCause: ofReturn,
  TargetBreached: ofReturn,
  ReturnFailed: ofReturn,
  BudgetSpent: {
    about: "Serving",
    derived: true,
    leadsTo: ["Guarding", "RolledBack"],
    by: "RollingBack when the budget is free and it is still breached; Guarding, or RolledBack where the pin is quarantined, when the breach is over",
  },
  RevokedNoTarget: { about: "Serving", derived: true, leadsTo: [], by: "RollingBack when there is a target" },
};

/** The row of a reason as a status has it. */
export function stallRow(reason: string | undefined): StallRow | undefined {
  return reason === undefined ? undefined : (STALLS as Readonly<Record<string, StallRow>>)[reason];
}

/** True where the table allows the step; staying is always allowed. The first phase of all may be any. */
export function mayLead(from: Phase | undefined, to: Phase): boolean {
  return from === undefined || from === to || PHASES[from].leadsTo.includes(to);
}
