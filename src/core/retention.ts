// How long the audit trail lasts: which records of one name are beyond the limits and may go. Pure.

import type { AutomaticReturn } from "./snapshot.ts";

/** What is kept in memory of a record: what has to go on counting from it, and how old it is. */
export interface RecordNumbers {
  sequence: number;
  /** The uid of its deployment: one that was made again under its name goes on with the numbers of the earlier one. */
  uid: string;
  /** The revision that was to have the traffic; 0: none. */
  revision: number;
  /** When its transition ended, ms epoch. */
  finishedAt: number;
  /** Of a return that nobody asked for. */
  returned?: AutomaticReturn;
}

/** From RollguardConfig. */
export interface Retention {
  /** Records kept for each name. */
  keep: number;
  maxAgeMs: number;
}

/** `Count`: more than so many are newer. `Age`: it ended too long ago. */
export type PruneReason = "Count" | "Age";

export interface Prunable<T> {
  record: T;
  reason: PruneReason;
}

/**
 * The records of one name that are beyond the limits, oldest first, by sequence. Never the last one nor the one with the highest
 * revision, from which numbers go on when the deployment is made again; nor what the status shows, from which it would be written anew.
 * @param shown the sequences in the history of the status
 * @param now ms epoch
 */
export function prunable<T extends RecordNumbers>(
  records: readonly T[],
  { keep, maxAgeMs }: Retention,
  shown: ReadonlySet<number>,
  now: number,
): Prunable<T>[] {
  const isOld = ({ finishedAt }: T) => now - finishedAt > maxAgeMs;
  if (records.length <= keep && !records.some(isOld)) return [];
  const inOrder = records.toSorted((a, b) => a.sequence - b.sequence);
  const highest = Math.max(...inOrder.map(({ revision }) => revision));
  const spared = new Set([inOrder.at(-1), inOrder.findLast(({ revision }) => revision === highest)]);
  const excess = inOrder.length - keep;
  return inOrder.flatMap((record, index): Prunable<T>[] => {
    if (spared.has(record) || shown.has(record.sequence)) return [];
    if (index < excess) return [{ record, reason: "Count" }];
    return isOld(record) ? [{ record, reason: "Age" }] : [];
  });
}
