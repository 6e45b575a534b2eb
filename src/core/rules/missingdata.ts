// Checks that nothing is known of: noted at once where a source is dark, told once after `onMissingData.after`, and over by itself.
// Missing data never rolls back; what it may hold is in limits.ts.

import { type Context, iso, type Rule, tell } from "../context.ts";
import type { Finding } from "../evidence.ts";
import { judgedFrom } from "../evidence.ts";

interface Silent {
  check: string;
  since: number;
  /** Intervals that have to pass before anybody is told, ms: a check that is asked once a day is not missing after ten minutes. */
  leastMs: number;
}

/** Since when a Critical check of the active revision gives nothing; undefined while it gives samples. */
function silenceOf(context: Context, { check, judgement, resumed }: Finding): Silent | undefined {
  const { status, snapshot, now, before } = context;
  const { active } = status;
  if (!active || judgement.reason === "NoBaseline") return undefined;
  const window = snapshot.windows[active.revision]?.find((one) => one.check === check.name);
  const last = window?.samples.at(-1)?.at;
  const leastMs = 2 * check.intervalMs;
  const noted = before.missingData?.checks.includes(check.name) ? Date.parse(before.missingData.since) : undefined;
  const dark = judgement.verdict === "ProviderError" || judgement.verdict === "NoData";
  // After a restart what was silent is so until it is heard.
  if (dark || (resumed && noted !== undefined)) return { check: check.name, since: last ?? noted ?? now, leastMs };
  const line = (before.checks ?? []).find((one) => one.name === check.name && one.revision === active.revision);
  const began = Math.max(judgedFrom(active, snapshot.policy), line?.verdict === "Insufficient" ? Date.parse(line.since) : now);
  const since = last ?? noted ?? began;
  const limit = Math.max(snapshot.policy.missingData.afterMs, leastMs);
  if (now - since >= limit) return { check: check.name, since, leastMs };
  context.wake.push(since + limit);
  return undefined;
}

function end(context: Context): void {
  const { missingData } = context.status;
  if (!missingData) return;
  delete context.status.missingData;
  if (missingData.alerted)
    tell(context, "Normal", "DataIsBack", `${missingData.checks.join(", ")} give samples again`, missingData.since);
}

export const noteMissingData: Rule = {
  name: "note-missing-data",
  apply(context) {
    const { status, snapshot, now } = context;
    // Nobody can measure what has no pods, and nobody needs to be woken for it.
    const scaledToZero = (snapshot.deployment.spec.replicas ?? 1) === 0;
    const critical = (context.active?.findings ?? []).filter((one) => one.check.severity === "Critical");
    const silent = scaledToZero ? [] : critical.flatMap((one) => silenceOf(context, one) ?? []);
    if (silent.length === 0) {
      end(context);
      return undefined;
    }
    const { afterMs, action } = snapshot.policy.missingData;
    const overdue = silent.filter((one) => now - one.since >= Math.max(afterMs, one.leastMs));
    const alerted = status.missingData?.alerted || overdue.length > 0;
    const since = Math.min(...silent.map((one) => one.since));
    const checks = silent.map((one) => one.check).sort();
    if (alerted && !status.missingData?.alerted) {
      const then = action === "Hold" ? "a candidate gets no more traffic" : "nothing else is done";
      const words = `no conclusive sample of ${checks.join(", ")} since ${iso(since)}; nothing is rolled back and nothing proven on that, and ${then}`;
      tell(context, "Warning", "MissingData", words, iso(since));
    }
    status.missingData = { since: iso(since), checks, ...(alerted ? { alerted: true } : {}) };
    context.wake.push(...silent.map((one) => one.since + Math.max(afterMs, one.leastMs)));
    return undefined;
  },
};
