// A return that is going to miss its deadline: a person is told once, as soon as that is certain or likely, with what is in the way.

import { formatDuration } from "../../api/common.ts";
import { type Context, elapsed, iso, type Rule, returning, tell } from "../context.ts";
import { childFault } from "../faults.ts";
import { counted, verifyGate } from "../gates.ts";
import type { Policy } from "../policy.ts";
import { childOf } from "../target.ts";

/** A fault that pods show for this long, or for a sixth of the deadline, will hardly pass in time, ms. */
const FAULT_PATIENCE_MS = 60_000;

/** How long the Critical checks need for the samples that verifying asks for, with the warm-up. */
function samplesMs({ checks, warmupMs }: Policy): number {
  const critical = checks.filter((one) => one.severity === "Critical");
  return Math.max(0, ...critical.map((one) => warmupMs + one.intervalMs * one.breach.of));
}

/** The least time from restored traffic to Verified. */
const leastVerifyMs = (policy: Policy): number => Math.max(policy.verifyMs, samplesMs(policy));

/** The pods of the target, in words. */
function podsInTheWay(context: Context, revision: number): { fault: boolean; words: string } {
  const { snapshot } = context;
  const child = childOf(snapshot, revision);
  const counts = `${child?.ready ?? 0} of ${snapshot.deployment.spec.replicas ?? 1} pods of r${revision} are ready`;
  const fault = child && childFault(child, snapshot.policy.restarts.failures);
  return fault ? { fault: true, words: `${counts}: ${fault.reason}: ${fault.message}` } : { fault: false, words: counts };
}

/** The earliest end of the return that is left, ms epoch, and what it waits for. */
function projection(context: Context): { at: number; likely: boolean; words: string } {
  const { status, snapshot, now } = context;
  const { rollback, active } = status;
  const { policy } = snapshot;
  const least = leastVerifyMs(policy);
  if (!rollback?.restoredAt) {
    const { fault, words } = podsInTheWay(context, rollback?.to?.revision ?? 0);
    const patience = Math.min(FAULT_PATIENCE_MS, policy.deadlineMs / 6);
    const likely = fault && elapsed(context, rollback?.targetStartedAt) >= patience;
    return { at: now + least, likely, words: `${words}, and verifying takes ${formatDuration(least)} at least` };
  }
  const restored = Date.parse(rollback.restoredAt);
  const missing = verifyGate(context.active, policy, elapsed(context, rollback.restoredAt));
  // Judging begins anew when the target has its full size.
  const unsettled = active?.settledAt === undefined ? now + samplesMs(policy) : 0;
  const waits = counted(context.active)
    .filter(({ check, judgement }) => judgement.conclusive < check.breach.of)
    // The next sample may come at once, the others an interval apart.
    .map(({ check, judgement }) => now + (check.breach.of - judgement.conclusive - 1) * check.intervalMs);
  const at = Math.max(restored + policy.verifyMs, unsettled, ...waits);
  const pods = active?.settledAt === undefined ? `; ${podsInTheWay(context, rollback.to?.revision ?? 0).words}` : "";
  return { at, likely: false, words: `${missing?.message ?? "it is being verified"}${pods}` };
}

export const deadlineNotice: Rule = {
  name: "deadline-notice",
  apply(context) {
    const { status, snapshot } = context;
    const { rollback } = status;
    if (!returning(status) || !rollback?.detectedAt || rollback.deadlineTold) return undefined;
    if ((snapshot.deployment.spec.replicas ?? 1) === 0) return undefined;
    const deadline = Date.parse(rollback.detectedAt) + snapshot.policy.deadlineMs;
    const { at, likely, words } = projection(context);
    if (at <= deadline && !likely) {
      // Where nothing changes until then, that is when it becomes certain.
      context.wake.push(rollback.restoredAt ? deadline : deadline - leastVerifyMs(snapshot.policy) + 1);
      return undefined;
    }
    rollback.deadlineTold = true;
    const limit = `${iso(deadline)}, ${formatDuration(snapshot.policy.deadlineMs)} after detection`;
    const note = `the return to r${rollback.to?.revision} (${rollback.to?.version}) will hardly be verified by ${limit}: ${words}`;
    tell(context, "Warning", "DeadlineWillBeMissed", note, `${rollback.sequence}`);
    return undefined;
  },
};
