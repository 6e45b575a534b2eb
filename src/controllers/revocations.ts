// What is revoked, by whom, and how fast its returns may begin: by the lifecycle of a version in its namespace, and by the digests of
// cluster policies everywhere. A thousand deployments of one digest must not all be moved at once.

import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import type { Clock } from "../clock.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { CachedDeployment } from "./cached.ts";

/** So many returns by revocation begin at once over the fleet; further ones follow one in each period. */
export const REVOCATION_BURST = 20;
export const REVOCATION_PERIOD_MS = 3000;

/** The policy that revokes this digest, in words; undefined: none does. */
export function revokerOf(digest: string, policies: readonly ClusterRollbackPolicy[]): string | undefined {
  const found = policies.find((one) => one.spec.revokedDigests?.includes(digest));
  return found && `ClusterRollbackPolicy ${found.metadata.name}`;
}

/** The digests that a deployment has or is pinned to. */
function digestsOf({ status }: CachedDeployment): (string | undefined)[] {
  const refs = [status?.desired, status?.active, status?.candidate, status?.standby, status?.lastHealthy, status?.rollback?.to];
  return refs.map((ref) => ref?.artifactDigest);
}

/** Whether a change of a policy's revoked digests concerns this deployment. */
export function concernsRevocation(
  deployment: CachedDeployment,
  policy: ClusterRollbackPolicy,
  previous: ClusterRollbackPolicy | undefined,
): boolean {
  const now = new Set(policy.spec.revokedDigests ?? []);
  const before = new Set(previous?.spec.revokedDigests ?? []);
  const changed = new Set([...now, ...before].filter((one) => now.has(one) !== before.has(one)));
  if (changed.size === 0) return false;
  // A pin that is not a revision yet has no digest in the status.
  return deployment.status?.pending !== undefined || digestsOf(deployment).some((one) => one !== undefined && changed.has(one));
}

/**
 * Gives each deployment that has to leave a revoked version its time, in the order in which they ask: a burst, then one a period
 * (the generic cell rate algorithm, ITU-T I.371).
 */
export class RevocationPace {
  #clock: Clock;
  /** When the bucket is full again, monotonic ms. */
  #fullAt = Number.NEGATIVE_INFINITY;
  #slots = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In how many ms this deployment may begin; the same answer, less what has passed, until it is released. */
  waitMs(key: string): number {
    const now = this.#clock.monotonic();
    let at = this.#slots.get(key);
    if (at === undefined) {
      at = Math.max(now, this.#fullAt - (REVOCATION_BURST - 1) * REVOCATION_PERIOD_MS);
      this.#fullAt = Math.max(this.#fullAt, now) + REVOCATION_PERIOD_MS;
      this.#slots.set(key, at);
    }
    return Math.max(at - now, 0);
  }

  release(key: string): void {
    this.#slots.delete(key);
  }
}

/** The snapshot with the time of the deployment's turn, where its active revision is revoked. */
export function paced(snapshot: Snapshot, key: string, pace: RevocationPace, now: number): Snapshot {
  const { active, rollback } = snapshot.deployment.status ?? {};
  const known = snapshot.revisions.find((one) => one.revision === active?.revision);
  const isRevoked = known?.revoked || (active !== undefined && snapshot.revokedVersions.has(active.version));
  if (!isRevoked || (rollback && rollback.outcome === undefined)) {
    pace.release(key);
    return snapshot;
  }
  const wait = pace.waitMs(key);
  return wait === 0 ? snapshot : { ...snapshot, revocationFreeAt: now + wait };
}
