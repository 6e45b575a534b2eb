// How the status stays small however long a deployment lives: what gives way, and in which order.

import type { HistoryCheck, HistoryEntry, ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { sanitizeLine } from "../text.ts";

/** The promise is 32 KiB; one is left for what the API server and other writers add. */
const STATUS_BYTES = 31 * 1024;
/** What the history may take of it in any case. */
const LEAST_HISTORY_BYTES = 4 * 1024;
const MOST_HISTORY_BYTES = 24 * 1024;

/** Size as JSON in UTF-8, as the API server counts it. */
const bytes = (value: unknown): number => (value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value)));

/** How much the status is too large, bytes; nothing or less: it fits. */
const excess = (status: ModelDeploymentStatus): number => bytes(status) - STATUS_BYTES;

/** Takes entries out, oldest first, those with a record before those without, until at most `limit` in `room` bytes are left. */
function truncateHistory(history: HistoryEntry[], limit: number, room: number, recorded: ReadonlySet<number>): HistoryEntry[] {
  const sizes = new Map(history.map((entry) => [entry, bytes(entry) + 1]));
  let size = 1 + [...sizes.values()].reduce((sum, one) => sum + one, 0);
  const kept = [...history];
  const order = [true, false].flatMap((has) => history.filter((entry) => recorded.has(entry.sequence) === has));
  for (const entry of order) {
    if (kept.length <= limit && size <= room) break;
    // The newest may be without a record only because this very decision made it.
    if (entry === history.at(-1) && !recorded.has(entry.sequence)) break;
    kept.splice(kept.indexOf(entry), 1);
    size -= sizes.get(entry) ?? 0;
  }
  return kept;
}

/** Messages of checks: first those of healthy ones, which say little, then the ends of the longest. */
function shortenMessages(status: ModelDeploymentStatus): void {
  for (const line of status.checks ?? []) if (line.verdict === "Healthy") delete line.message;
  for (const length of [128, 64, 32, 16]) {
    if (excess(status) <= 0) return;
    for (const line of status.checks ?? []) if (line.message) line.message = sanitizeLine(line.message, length);
  }
}

const unhealthy = (checks: readonly HistoryCheck[]): HistoryCheck[] => checks.filter((one) => one.verdict !== "Healthy");

/** What the rest of the status leaves to the history, bytes. */
function roomIn(status: ModelDeploymentStatus): number {
  const left = STATUS_BYTES - bytes({ ...status, history: [] });
  return Math.min(Math.max(left, LEAST_HISTORY_BYTES), MOST_HISTORY_BYTES);
}

/**
 * Keeps the status below 32 KiB, in place. What gives way, until it fits: of the history what has a record, but for 4 KiB; the
 * messages of checks; of what was measured at a decision the healthy checks; and at last the rest of the history.
 *
 * @param limit most entries of the history, see `spec.historyLimit`
 * @param recorded sequences whose RolloutRecord exists: the others go last, and never the newest of all
 */
export function keepSmall(status: ModelDeploymentStatus, limit: number, recorded: ReadonlySet<number>): void {
  const history = status.history ?? [];
  const owed = bytes(history.filter((entry) => !recorded.has(entry.sequence)));
  status.history = truncateHistory(history, limit, Math.max(roomIn(status), Math.min(owed, MOST_HISTORY_BYTES)), recorded);
  if (excess(status) <= 0) return;
  shortenMessages(status);
  if (excess(status) <= 0) return;
  if (status.rollback?.evidence) status.rollback.evidence = unhealthy(status.rollback.evidence);
  for (const entry of status.history) if (entry.checks) entry.checks = unhealthy(entry.checks);
  if (excess(status) > 0) status.history = truncateHistory(status.history, limit, roomIn(status), recorded);
}
