// How many replicas each ReplicaSet of a Deployment should have next: pure arithmetic, as Kubernetes' rolling.go does it,
// without the proportional scaling of several old sets (the newest set is scaled first, the oldest shrinks first).
import type { Deployment } from "./kinds.ts";
import { intOrPercent } from "./text.ts";

export interface SetSize {
  /** spec.replicas */
  replicas: number;
  /** Available pods, by the status. */
  available: number;
}

export interface Limits {
  surge: number;
  unavailable: number;
}

/** What the strategy allows, resolved for the wanted size. Both zero would never move: then one may be unavailable. */
export function limitsOf(deployment: Deployment): Limits {
  const desired = deployment.spec.replicas ?? 1;
  const rolling = deployment.spec.strategy?.rollingUpdate;
  if (deployment.spec.strategy?.type === "Recreate") return { surge: 0, unavailable: desired };
  const surge = intOrPercent(rolling?.maxSurge ?? "25%", desired, "up");
  const unavailable = Math.min(intOrPercent(rolling?.maxUnavailable ?? "25%", desired, "down"), desired);
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

/** The next sizes; either the new set grows (or is cut to size) or old ones (oldest first) shrink. */
export function nextSizes(
  desired: number,
  limits: Limits,
  current: SetSize,
  old: readonly SetSize[],
): { current: number; old: number[] } {
  const unchanged = old.map((set) => set.replicas);
  if (current.replicas > desired) return { current: desired, old: unchanged };
  const total = current.replicas + sum(unchanged);
  const room = desired + limits.surge - total;
  const grow = Math.min(room, desired - current.replicas);
  if (grow > 0) return { current: current.replicas + grow, old: unchanged };

  const least = desired - limits.unavailable;
  const notYet = Math.max(0, current.replicas - current.available);
  let budget = total - least - notYet;
  if (budget <= 0) return { current: current.replicas, old: unchanged };

  // Pods that do not serve anyway go first: they cost no availability.
  const sizes = old.map((set) => {
    const unhealthy = Math.min(budget, Math.max(0, set.replicas - set.available));
    budget -= unhealthy;
    return set.replicas - unhealthy;
  });
  const available = (set: SetSize) => Math.min(set.available, set.replicas);
  let spare = Math.min(budget, available(current) + sum(old.map(available)) - least);
  const result = sizes.map((size) => {
    const cut = Math.max(0, Math.min(spare, size));
    spare -= cut;
    return size - cut;
  });
  return { current: current.replicas, old: result };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
