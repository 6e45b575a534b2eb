// The condition Available: whether anything that has the traffic can answer, and what it still lacks.

import { hasShare } from "./canary.ts";
import type { Context } from "./context.ts";
import { childOf } from "./target.ts";
import { type Value, value } from "./value.ts";

export function available(context: Context): Value {
  const { status, snapshot } = context;
  // Behind a Service that selects every pod, those of the candidate serve as well.
  const serving = snapshot.active?.selects === "All" && hasShare(status) ? [status.active, status.candidate] : [status.active];
  const server = serving.find((ref) => (childOf(snapshot, ref?.revision)?.ready ?? 0) > 0);
  if (!server) return value(false, "NotServing", unavailable(context));
  return value(true, "Serving", `r${server.revision} has ready pods${missingPods(context)}`);
}

/** What keeps it from its full size, while it is waited for: until then its samples count for little, and it is not proven. */
function missingPods({ status, snapshot }: Context): string {
  const { active } = status;
  if (!active || active.arrivedAt === undefined || active.settledAt !== undefined || active.asleepSince !== undefined) return "";
  const { replicas = 1 } = snapshot.deployment.spec;
  const child = childOf(snapshot, active.revision);
  const unready = child?.pods.filter((pod) => !pod.ready && !pod.terminating).map((pod) => pod.name) ?? [];
  const which = unready.length > 0 ? `; not ready: ${unready.slice(0, 3).join(", ")}` : "";
  return `; ${child?.ready ?? 0} of ${replicas} are ready, and it is judged when all are${which}`;
}

function unavailable({ status, snapshot }: Context): string {
  const { active, candidate } = status;
  if (active && snapshot.deployment.spec.replicas === 0) return "scaled to 0";
  if (active?.downSince !== undefined && candidate)
    return `r${active.revision} made room for r${candidate.revision} (Recreate): nothing serves until that is ready`;
  return "no ready pod has the traffic";
}
