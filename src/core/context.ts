// What the rules work on: the snapshot, a draft of the next status, and what they have to say.
// Rules change the draft through transitions.ts; nothing outside this decision sees it before it is written.

import type { HistoryEntry, ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import type { Evidence } from "./evidence.ts";
import type { Snapshot } from "./snapshot.ts";

/** An event to tell people; at least once, deduplicated by its id. */
export interface EventIntent {
  type: "Normal" | "Warning";
  reason: string;
  note: string;
  /** Unique per happening, such as the sequence with the reason. */
  id: string;
  /** When it happened, RFC 3339. */
  at: string;
  /** The transition that it is about, as far as it has come. */
  transition?: Partial<HistoryEntry> & Pick<HistoryEntry, "sequence">;
  /** Of the end of a transition its outcome; `Stalled` where a person is needed. */
  outcome?: HistoryEntry["outcome"] | "Stalled";
}

/** Why something that could have happened did not. */
export interface Held {
  rule: string;
  reason: string;
  message: string;
}

/** What a rule answers: it acted (the pass ends), it was held (the next rule is asked), or it does not apply. */
export type Outcome =
  | { kind: "Acted"; reason: string; message: string }
  | { kind: "Held"; reason: string; message: string }
  | undefined;

export interface Context {
  readonly snapshot: Snapshot;
  readonly now: number;
  /** The status as it was before this decision. */
  readonly before: ModelDeploymentStatus;
  /** The draft of the next status. */
  readonly status: ModelDeploymentStatus;
  readonly active: Evidence | undefined;
  readonly candidate: Evidence | undefined;
  readonly events: EventIntent[];
  readonly held: Held[];
  /** The stall that a rule has said in this pass: the first one stands, since the rules are in the order of who wins. */
  stalled?: string;
  /** Times to look again, ms epoch. */
  readonly wake: number[];
}

/** One named rule of the chain in decide.ts. */
export interface Rule {
  name: string;
  apply(context: Context): Outcome;
}

export const acted = (reason: string, message: string): Outcome => ({ kind: "Acted", reason, message });
export const held = (reason: string, message: string): Outcome => ({ kind: "Held", reason, message });

/** RFC 3339 with milliseconds. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Milliseconds since `since`; 0 where it is unset. */
export function elapsed(context: Context, since: string | undefined): number {
  return since === undefined ? 0 : context.now - Date.parse(since);
}

/** Adds an event; the id carries the sequence, so that a repeated pass tells nobody twice. */
export function tell(context: Context, type: EventIntent["type"], reason: string, note: string, key?: string): void {
  const id = `${reason}-${key ?? context.status.sequence ?? 0}`;
  if (context.events.some((event) => event.id === id)) return;
  context.events.push({ type, reason, note, id, at: iso(context.now) });
}

/** True where a return began and has not ended. */
export function returning(status: ModelDeploymentStatus): boolean {
  return status.rollback !== undefined && status.rollback.outcome === undefined;
}

export function isQuarantined(status: ModelDeploymentStatus, hash: string | undefined): boolean {
  return hash !== undefined && (status.quarantine ?? []).some((entry) => entry.hash === hash);
}
