// What active revision and candidate measure badly at the same time is no fault of the candidate: the cause lies outside of both.

import { breaches, type Evidence, type Finding } from "./evidence.ts";
import type { Snapshot } from "./snapshot.ts";
import { isBeyond } from "./verdict.ts";

/**
 * True where another revision measured as badly as this breach in its time: its verdict may come later, since guarding asks for more
 * than judging a candidate does, and no two are asked at the same moment. As large a share of its samples as makes a breach lies
 * beyond the same limits; without a sample it says nothing.
 */
function measuresAlike({ check, judgement }: Finding, snapshot: Snapshot, other: number): boolean {
  const { breach } = judgement;
  const window = snapshot.windows[other]?.find((one) => one.check === check.name && one.fingerprint === check.fingerprint);
  if (!breach || !window) return false;
  const samples = window.samples.filter(({ at }) => at >= breach.from && at <= breach.to);
  const bad = samples.filter((sample) => isBeyond(sample.value, breach.limits)).length;
  return samples.length > 0 && bad * check.breach.of >= check.breach.count * samples.length;
}

/** True where this breach is shared by the other revision, whose evidence this is. */
export function isShared(found: Finding, snapshot: Snapshot, other: Evidence | undefined): boolean {
  if (!other) return false;
  return breaches(other).some((one) => one.check.name === found.check.name) || measuresAlike(found, snapshot, other.revision);
}
