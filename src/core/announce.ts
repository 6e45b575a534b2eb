// What a status says has happened, as it is told to people: transitions that began and ended, traffic that moved, and what a person
// is needed for. It follows from the status alone, so that what a killed operator did not get to tell is told by the next one.

import type { HistoryEntry, ModelDeploymentStatus, RevisionIdentity } from "../api/modeldeployment-status.ts";
import { type EventIntent, returning } from "./context.ts";

type Recommendation = NonNullable<ModelDeploymentStatus["recommendation"]>;

const named = (ref: RevisionIdentity | undefined): string => (ref ? `r${ref.revision} (${ref.version})` : "nothing");

/** Outcomes that nobody needs to look into. */
const GOOD: ReadonlySet<HistoryEntry["outcome"]> = new Set(["Proven", "Superseded", "Cancelled", "Verified"]);

/** What became of a rollout, as a clause after the name of its revision. */
const ENDS: Partial<Record<HistoryEntry["outcome"], string>> = {
  Proven: "is proven",
  Rejected: "is rejected",
  RolledBack: "is rolled back",
  Superseded: "is superseded",
  Cancelled: "is cancelled",
};

/** The end of a transition: the outcome is the event's reason, and the sequence its id. */
export function endEvent(entry: HistoryEntry): EventIntent {
  const { outcome, sequence, action, message = "", finishedAt: at } = entry;
  const how = ENDS[outcome] ?? `ended ${outcome}`;
  const what = action === "Return" ? `the return to ${named(entry.to)} is ${outcome.toLowerCase()}` : `${named(entry.to)} ${how}`;
  const type = GOOD.has(outcome) ? "Normal" : "Warning";
  return { type, reason: outcome, note: `${what}: ${message}`, id: `${outcome}-${sequence}`, at, outcome, transition: entry };
}

/** A rollout that is under way: that it began, and that the traffic was given to it. */
function rolloutEvents(status: ModelDeploymentStatus): EventIntent[] {
  const { rollout } = status;
  if (!rollout?.to) return [];
  const { sequence, from, to, startedAt, switchedAt, trigger } = rollout;
  const transition = {
    sequence,
    action: "Rollout" as const,
    ...(trigger ? { trigger } : {}),
    ...(from ? { from } : {}),
    to,
    startedAt,
  };
  const during = returning(status) ? "; it gets traffic when the return has ended" : "";
  const begun: EventIntent = {
    type: "Normal",
    reason: "RolloutStarted",
    note: `${named(to)} is brought up${during}`,
    id: `RolloutStarted-${sequence}`,
    at: startedAt,
    transition,
  };
  if (switchedAt === undefined) return [begun];
  const note = `${named(to)} takes the traffic and bakes`;
  return [
    begun,
    { type: "Normal", reason: "TrafficSwitched", note, id: `TrafficSwitched-${sequence}`, at: switchedAt, transition },
  ];
}

/** A return that is under way: that its present target was chosen, and that the traffic has arrived there. */
function returnEvents(status: ModelDeploymentStatus): EventIntent[] {
  const { rollback } = status;
  if (!rollback?.to || !returning(status)) return [];
  const { sequence, from, to, trigger, warm, strategy, message = "", detectedAt, decidedAt, restoredAt } = rollback;
  const transition = {
    sequence,
    action: "Return" as const,
    ...(trigger ? { trigger } : {}),
    ...(from ? { from } : {}),
    to,
    ...(detectedAt ? { detectedAt } : {}),
    ...(decidedAt ? { startedAt: decidedAt, decidedAt } : {}),
    ...(restoredAt ? { restoredAt } : {}),
  };
  const first = strategy === "Recreate" ? `${named(from)} is scaled down first` : "it is scaled up first";
  const how = warm ? "warm: the traffic moves first" : `cold: ${first}`;
  const what =
    from?.revision === to.revision ? `${named(to)} is brought up again` : `returning from ${named(from)} to ${named(to)}, ${how}`;
  const begun: EventIntent = {
    type: "Warning",
    reason: "RollingBack",
    note: `${what}: ${message}`,
    id: `RollingBack-${sequence}-${to.revision}`,
    at: decidedAt ?? "",
    transition,
  };
  if (restoredAt === undefined) return [begun];
  const note = `all traffic is on ${named(to)}`;
  const id = `TrafficRestored-${sequence}-${to.revision}`;
  return [begun, { type: "Normal", reason: "TrafficRestored", note, id, at: restoredAt, transition }];
}

/**
 * What was quarantined by the return that is under way, or by a transition that has no record yet: every entry is made by one.
 * @param unrecorded those transitions
 */
function quarantineEvents(status: ModelDeploymentStatus, unrecorded: readonly HistoryEntry[]): EventIntent[] {
  const { quarantine, rollback } = status;
  // A return quarantines while it goes on, a rollout when it ends.
  const since = unrecorded.map((entry) => (entry.action === "Return" ? entry.startedAt : entry.finishedAt));
  if (returning(status) && rollback?.decidedAt !== undefined) since.push(rollback.decidedAt);
  const first = Math.min(...since.map(Date.parse));
  return (quarantine ?? [])
    .filter((entry) => Date.parse(entry.since) >= first)
    .map((entry) => ({
      type: "Warning",
      reason: "Quarantined",
      note: `${named(entry)} is quarantined: ${entry.message ?? entry.reason}`,
      id: quarantineId(entry),
      at: entry.since,
    }));
}

const quarantineId = ({ hash, since }: { hash: string; since: string }): string => `Quarantined-${hash}-${since}`;

/** What a person is asked to approve, or what an observing policy would have done. */
function recommendationEvent({ mode, action, from, to, message = "", since }: Recommendation): EventIntent {
  const target = to ? ` to ${named(to)}` : "";
  const what = action === "Return" ? `return from ${named(from)}${target}` : `reject the candidate ${named(from)}`;
  const approve = `rollguard.dev/approve: r${from.revision}/<token>`;
  const [reason, note] =
    mode === "Observe"
      ? ["WouldAct", `the policy only observes; it would ${what}: ${message}`]
      : ["ReturnRecommended", `recommended: ${what}: ${message}; ${approve} does it`];
  return { type: "Warning", reason, note, id: `${reason}-${from.revision}-${since}`, at: since };
}

/** A person is needed; `since` tells one stall from a later one for the same reason. */
function needed({ reason, message = "", since }: { reason: string; message?: string | undefined; since: string }): EventIntent {
  return { type: "Warning", reason, note: message, id: `${reason}-${since}`, at: since };
}

/**
 * All that a status says should have been told. What has the id of something that was told is the same happening.
 * @param recorded sequences that have their RolloutRecord: it is written after the end was told, so those are done with
 */
export function untold(status: ModelDeploymentStatus, recorded: ReadonlySet<number>): EventIntent[] {
  const { history, stall, pending, recommendation } = status;
  const unrecorded = (history ?? []).filter((entry) => !recorded.has(entry.sequence));
  return [
    ...unrecorded.map(endEvent),
    ...quarantineEvents(status, unrecorded),
    ...rolloutEvents(status),
    ...returnEvents(status),
    ...(recommendation ? [recommendationEvent(recommendation)] : []),
    ...(pending?.overdue ? [needed(pending)] : []),
    ...(stall ? [{ ...needed(stall), outcome: "Stalled" as const }] : []),
  ];
}

/** What the next status says that the one before it did not. */
export function news(before: ModelDeploymentStatus, after: ModelDeploymentStatus): EventIntent[] {
  const ended = new Set((before.history ?? []).map((entry) => entry.sequence));
  const said = new Set(untold(before, ended).map((event) => event.id));
  // Whatever a clock says of when it was: after a step back, an old one would seem to be of the return that begins now.
  for (const entry of before.quarantine ?? []) said.add(quarantineId(entry));
  return untold(after, ended).filter((event) => !said.has(event.id));
}
