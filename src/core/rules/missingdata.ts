// Checks that nothing is known of: noted at once where a source is dark, told once after `onMissingData.after`, and over by itself.
// Missing data never rolls back; what it may hold is in limits.ts.

import { type Context, iso, type Rule, tell } from "../context.ts";
import type { Finding } from "../evidence.ts";
import { judgedFrom } from "../evidence.ts";

interface Silent {
  check: string;
  since: number;
  /** How long, ms: by the clock, but no longer than it was asked for, so that a clock which is set on or back makes no silence and hides none. */
  silentMs: number;
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
  // What this process has not seen the beginning of is as old as the status says.
  const seen =
    window && (!window.resumed || last !== undefined) ? (window.waited + 1) * check.intervalMs : Number.POSITIVE_INFINITY;
  const silent = (since: number): Silent => {
    const passed = Math.max(now - since, 0);
    // It began before the clock was set back: then only what was seen tells how long it is.
    const isBehind = now < since && Number.isFinite(seen);
    return { check: check.name, since, silentMs: isBehind ? seen : Math.min(passed, seen), leastMs };
  };
  // After a restart what was silent is so until it is heard.
  if (dark || (resumed && noted !== undefined)) return silent(last ?? noted ?? now);
  const line = (before.checks ?? []).find((one) => one.name === check.name && one.revision === active.revision);
  const began = Math.max(judgedFrom(active, snapshot.policy), line?.verdict === "Insufficient" ? Date.parse(line.since) : now);
  const since = last ?? noted ?? began;
  const limit = Math.max(snapshot.policy.missingData.afterMs, leastMs);
  const found = silent(since);
  if (found.silentMs >= limit) return found;
  context.wake.push(now + limit - found.silentMs);
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
    const { afterMs, action } = snapshot.policy.missingData;
    const limitOf = ({ leastMs }: Silent) => Math.max(afterMs, leastMs);
    // Nobody can measure what has no pods, and nobody needs to be woken for it.
    const scaledToZero = (snapshot.deployment.spec.replicas ?? 1) === 0;
    const critical = (context.active?.findings ?? []).filter((one) => one.check.severity === "Critical");
    const silent = scaledToZero ? [] : critical.flatMap((one) => silenceOf(context, one) ?? []);
    if (silent.length === 0) {
      end(context);
      return undefined;
    }
    const overdue = silent.filter((one) => one.silentMs >= limitOf(one));
    const alerted = status.missingData?.alerted || overdue.length > 0;
    const since = Math.min(...silent.map((one) => one.since));
    const checks = silent.map((one) => one.check).sort();
    if (alerted && !status.missingData?.alerted) {
      const then = action === "Hold" ? "a candidate gets no more traffic" : "nothing else is done";
      const words = `no conclusive sample of ${checks.join(", ")} since ${iso(since)}; nothing is rolled back and nothing proven on that, and ${then}`;
      tell(context, "Warning", "MissingData", words, iso(since));
    }
    status.missingData = { since: iso(since), checks, ...(alerted ? { alerted: true } : {}) };
    context.wake.push(...silent.map((one) => now + limitOf(one) - one.silentMs));
    return undefined;
  },
};
