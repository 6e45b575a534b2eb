// The phases of a deployment and where each may lead, as data: decide() is held against it, and the docs are made from it.

import type { Phase } from "../api/reasons.ts";

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

/** True where the table allows the step; staying is always allowed. The first phase of all may be any. */
export function mayLead(from: Phase | undefined, to: Phase): boolean {
  return from === undefined || from === to || PHASES[from].leadsTo.includes(to);
}
