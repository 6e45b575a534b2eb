// Where traffic may return to: the revision that was proven last and is not revoked, not quarantined, not passed over, and better.

import { WARM_SHARE } from "../api/defaults.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { isOf } from "./baseline.ts";
import { isQuarantined } from "./context.ts";
import type { Finding } from "./evidence.ts";
import { strategyOf } from "./recreate.ts";
import type { Child, KnownRevision, Snapshot } from "./snapshot.ts";
import { isBeyond } from "./verdict.ts";

export type TargetChoice =
  | { found: true; target: KnownRevision; proven: boolean; warm: boolean }
  | { found: false; reason: "NoTarget" | "TargetNoBetter"; message: string };

export function childOf(snapshot: Snapshot, revision: number | undefined): Child | undefined {
  return snapshot.children.find((child) => child.revision === revision);
}

/**
 * True where traffic may move to `target` now; where the active one has no ready pod, nothing is lost by moving at once.
 * With Recreate the active one has none by design: the traffic waits for the first ready pod of the target.
 */
export function isWarm(snapshot: Snapshot, activeRevision: number | undefined, targetRevision: number): boolean {
  const activeReady = childOf(snapshot, activeRevision)?.ready ?? 0;
  const targetReady = childOf(snapshot, targetRevision)?.ready ?? 0;
  if (strategyOf(snapshot.deployment, snapshot.deployment.status ?? {}) === "Recreate") return targetReady > 0;
  return activeReady === 0 || (targetReady > 0 && targetReady >= WARM_SHARE * activeReady);
}

/** False where content of it is gone and nothing of it runs: what runs has read it. */
function canStart(snapshot: Snapshot, known: KnownRevision): boolean {
  return known.lost === undefined || (childOf(snapshot, known.revision)?.ready ?? 0) > 0;
}

/** True where the target's own baseline lies beyond a threshold that is breached now: going there would mend nothing. */
function noBetter(target: KnownRevision, breached: readonly Finding[]): boolean {
  return breached.some(({ check, judgement }) => {
    const measured = target.baseline.find((one) => isOf(one, check));
    if (!measured || !check.threshold || judgement.beyond !== "Threshold") return false;
    return isBeyond(measured.value, check.threshold);
  });
}

/**
 * Chooses the target of a return.
 * @param breached what is breached now; empty for a person's or a revocation's return
 * @param passedOver revisions that this incident has already tried
 */
export function chooseTarget(
  snapshot: Snapshot,
  status: ModelDeploymentStatus,
  breached: readonly Finding[],
  passedOver: readonly number[] = [],
): TargetChoice {
  const active = status.active?.revision;
  const usable = snapshot.revisions.filter(
    (known) =>
      known.revision !== active &&
      canStart(snapshot, known) &&
      !known.revoked &&
      !isQuarantined(status, known.hash) &&
      !passedOver.includes(known.revision),
  );
  const proven = usable
    .filter((known) => known.provenAt !== undefined)
    .sort((a, b) => Date.parse(b.provenAt ?? "") - Date.parse(a.provenAt ?? "") || b.revision - a.revision);
  const better = proven.find((known) => !noBetter(known, breached));
  if (better) return { found: true, target: better, proven: true, warm: isWarm(snapshot, active, better.revision) };
  if (proven.length > 0) {
    const names = proven.map((known) => `r${known.revision}`).join(", ");
    return {
      found: false,
      reason: "TargetNoBetter",
      message: `${names} measured no better when proven, so going back would mend nothing`,
    };
  }
  const everProven = snapshot.revisions.some((known) => known.provenAt !== undefined);
  const standby = usable.find((known) => known.revision === status.standby?.revision);
  if (!everProven && standby) {
    return { found: true, target: standby, proven: false, warm: isWarm(snapshot, active, standby.revision) };
  }
  const lost = snapshot.revisions
    .filter((known) => known.provenAt !== undefined && known.revision !== active)
    .map((known) => {
      const why = !canStart(snapshot, known)
        ? `lost ${known.lost}`
        : known.revoked
          ? "was revoked"
          : isQuarantined(status, known.hash)
            ? "is quarantined"
            : "was passed over";
      return `r${known.revision} ${why}`;
    });
  const missing = lost.length === 0 ? "" : `: ${lost.slice(0, 5).join(", ")}`;
  return { found: false, reason: "NoTarget", message: `there is no proven revision to return to${missing}` };
}
