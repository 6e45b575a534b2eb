// A breach that nothing is returned for is told once, when it begins: what the policy says to alert on, to hold on, or what waits.

import { type Context, iso, returning, tell } from "../context.ts";
import { describe, type Finding } from "../evidence.ts";

function consequence(context: Context, one: Finding): string {
  if (one.action === "Alert") return "nothing is done, as the policy says";
  if (one.action === "Hold") return "nothing is returned, and a candidate gets no more traffic, as the policy says";
  const wait = context.held.find(({ rule }) => rule === "active-breached");
  return wait ? `${wait.reason}: ${wait.message}` : "nothing is returned";
}

/** Called when the rules have decided: where they began a return or ended a rollout, that tells more. */
export function tellBreaches(context: Context): void {
  const { status, before, now } = context;
  for (const evidence of [context.active, context.candidate]) {
    const ref = [status.active, status.candidate].find((one) => one?.revision === evidence?.revision);
    if (!evidence || !ref) continue;
    for (const one of evidence.findings) {
      if (one.judgement.verdict !== "Breached") continue;
      const line = before.checks?.find((known) => known.name === one.check.name && known.revision === evidence.revision);
      if (line?.verdict === "Breached") continue;
      // A recommendation and a return have events of their own.
      if (one.action === "Rollback" && (returning(status) || status.recommendation || status.stall)) continue;
      const type = one.check.severity === "Info" ? "Normal" : "Warning";
      const note = `r${ref.revision} (${ref.version}), ${one.check.severity}: ${describe(one)}; ${consequence(context, one)}`;
      tell(context, type, "CheckBreached", note, `${ref.revision}-${one.check.name}-${iso(now)}`);
    }
  }
}
