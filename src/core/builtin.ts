// The built-in checks read the pods' states; they hold against a model only what it can be blamed for.

import type { PodFacts } from "./snapshot.ts";
import type { Reading } from "./window.ts";

/** How often each pod had restarted, by pod name, at the times it was looked at. */
export type RestartHistory = Map<string, { at: number; restarts: number }[]>;

function restartsOf(pod: PodFacts): number {
  return pod.containers.filter((one) => !one.init).reduce((sum, one) => sum + one.restarts, 0);
}

/**
 * Share of the accountable pods that are not ready.
 * @param mayLoad a pod that was never ready and may still be loading its model: no evidence against it
 */
export function unreadyShare(pods: readonly PodFacts[], at: number, mayLoad: (pod: PodFacts) => boolean = () => false): Reading {
  const counted = pods.filter((pod) => pod.accountable && !pod.terminating && !mayLoad(pod));
  if (counted.length === 0) return { at, kind: "Empty", message: "no pod is scheduled and started" };
  return { at, kind: "Value", value: counted.filter((pod) => !pod.ready).length / counted.length };
}

/** Notes the pods' restarts; what is older than the window is forgotten, but for the newest older one, which it is compared with. */
export function noteRestarts(history: RestartHistory, pods: readonly PodFacts[], now: number, windowMs: number): void {
  const names = new Set(pods.map((pod) => pod.name));
  for (const name of history.keys()) if (!names.has(name)) history.delete(name);
  for (const pod of pods) {
    const seen = history.get(pod.name) ?? [];
    const restarts = restartsOf(pod);
    // A pod that is younger than the window had all its restarts in it; of an older one nothing is known from before.
    if (seen.length === 0 && now - Date.parse(pod.createdAt) < windowMs)
      seen.push({ at: Date.parse(pod.createdAt), restarts: 0 });
    if (seen.at(-1)?.restarts !== restarts) seen.push({ at: now, restarts });
    while (seen.length > 1 && (seen[1]?.at ?? now) <= now - windowMs) seen.shift();
    history.set(pod.name, seen);
  }
}

/** Not the model's doing: nobody can tell what runs on a lost node, and who was evicted had to go. */
const isExcused = ({ lost, reason }: PodFacts): boolean => lost === true || reason === "Evicted" || reason === "NodeLost";

/** Share of the pods that restarted at least `failures` times in the window, of those that the model can be blamed for. */
export function restartedShare(history: RestartHistory, pods: readonly PodFacts[], failures: number, at: number): Reading {
  const counted = pods.filter((pod) => !pod.terminating && pod.unschedulable === undefined && !isExcused(pod));
  if (counted.length === 0) return { at, kind: "Empty", message: "no pod" };
  const failing = counted.filter((pod) => {
    const seen = history.get(pod.name) ?? [];
    return (seen.at(-1)?.restarts ?? 0) - (seen[0]?.restarts ?? 0) >= failures;
  });
  return { at, kind: "Value", value: failing.length / counted.length };
}
