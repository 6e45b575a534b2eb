// What `history` shows: the transitions in the status and those in RolloutRecords as one list, and how it is laid out. Pure.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { HistoryEntry } from "../api/modeldeployment-status.ts";
import type { Outcome } from "../api/reasons.ts";
import type { RolloutRecord } from "../api/rolloutrecord.ts";
import { age, moment, number, revision, span } from "./format.ts";
import { cell, type Style, type Tone, table } from "./output.ts";

/** A transition, and where it is written down. */
export interface HistoryRow extends HistoryEntry {
  /** Name of its RolloutRecord; absent while there is none. */
  record?: string | undefined;
  /** The uid of the deployment that it belongs to: one that was deleted and made again is another one. */
  deployment?: string | undefined;
}

/** Oldest to newest, each transition once: where both have it the record goes first, since it can't change. */
export function historyRows(mdep: ModelDeployment | undefined, records: readonly RolloutRecord[]): HistoryRow[] {
  const rows = new Map<string, HistoryRow>();
  const uid = mdep?.metadata.uid;
  for (const entry of mdep?.status?.history ?? []) rows.set(`${uid}/${entry.sequence}`, { ...entry, deployment: uid });
  for (const { metadata, spec } of records) {
    const { deployment, from, to, checks, ...rest } = spec;
    const key = `${deployment.uid}/${spec.sequence}`;
    // A plain copy of the fields that a history entry has: the record's content of versions is not for a list.
    const entry: HistoryRow = {
      ...rest,
      ...(from && { from: identity(from) }),
      ...(to && { to: identity(to) }),
      ...(checks && { checks: checks.map(({ query: _query, source: _source, message: _message, ...check }) => check) }),
      record: metadata.name,
      deployment: deployment.uid,
    };
    rows.set(key, entry);
  }
  return [...rows.values()].sort((a, b) => a.sequence - b.sequence || a.finishedAt.localeCompare(b.finishedAt));
}

function identity(ref: { version: string; revision: number; hash: string; artifactDigest: string }) {
  const { version, revision, hash, artifactDigest } = ref;
  return { version, revision, hash, artifactDigest };
}

const OUTCOME_TONES: Readonly<Record<Outcome, Tone>> = {
  Proven: "good",
  Verified: "good",
  Rejected: "bad",
  RolledBack: "bad",
  Failed: "bad",
  Unverified: "unsure",
  Superseded: "plain",
  Cancelled: "plain",
};

export function renderHistory(rows: readonly HistoryRow[], now: number, style: Style): string {
  const head = ["SEQ", "ENDED", "ACTION", "FROM", "TO", "OUTCOME", "BY", "TOOK", "WHY"];
  if (style.wide) head.splice(-1, 0, "REASON", "ENVIRONMENT", "RECORD", "CHECKS");
  const body = rows.map((row) => {
    const cells = [
      cell(row.sequence),
      cell(style.wide ? moment(row.finishedAt) : `${age(row.finishedAt, now) ?? "-"} ago`),
      cell(`${row.action} (${[row.trigger, temperature(row)].filter(Boolean).join(", ")})`),
      cell(revision(row.from)),
      cell(revision(row.to)),
      cell(row.outcome, OUTCOME_TONES[row.outcome] ?? "plain"),
      cell(initiator(row)),
      cell(span(Date.parse(row.finishedAt) - Date.parse(row.startedAt))),
    ];
    if (style.wide) cells.push(cell(row.reason), cell(row.environment), cell(row.record), cell(checkText(row)));
    return [...cells, cell(why(row))];
  });
  return table(head, body, style);
}

/** What a return cost depends on it: a warm one moves the traffic first, a cold one waits for pods. */
function temperature({ warm }: HistoryRow): string | undefined {
  return warm === undefined ? undefined : warm ? "warm" : "cold";
}

/** A name is worth what its origin is worth: only an authenticated one stands alone. */
function initiator({ initiator }: HistoryRow): string | undefined {
  if (!initiator) return undefined;
  const marks = { Authenticated: "", Declared: " (declared)", FieldManager: " (field manager)", Operator: "" };
  return `${initiator.name}${marks[initiator.source] ?? ""}`;
}

function why(row: HistoryRow): string {
  const cause = row.changeCause ? `"${row.changeCause}"` : undefined;
  const restored = row.restoredAt && `traffic restored after ${span(Date.parse(row.restoredAt) - Date.parse(row.startedAt))}`;
  return [cause, row.message ?? row.reason, restored].filter(Boolean).join("; ");
}

function checkText(row: HistoryRow): string {
  return (row.checks ?? [])
    .map((check) => {
      const against = [check.threshold, check.baseline === undefined ? undefined : `baseline ${number(check.baseline)}`];
      const limits = against.filter(Boolean).join(", ");
      return `${check.name} ${number(check.value) ?? "-"} ${check.verdict}${limits ? ` (${limits})` : ""}`;
    })
    .join(", ");
}
