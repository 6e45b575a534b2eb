// What would be done if it might: said once an incident, kept in the status while its reason lasts, and gone with it.

import type { RevisionIdentity } from "../api/modeldeployment-status.ts";
import { type Context, iso, returning, tell } from "./context.ts";
import { type Finding, nameOf } from "./evidence.ts";
import { pointer } from "./transitions.ts";

/** Shows what would be done. Another check of the same incident changes neither its time nor tells anybody anew. */
export function recommend(
  context: Context,
  input: {
    mode: "Recommend" | "Observe";
    action: "Return" | "Reject";
    found: Finding;
    from: RevisionIdentity;
    to: RevisionIdentity | undefined;
  },
): void {
  const { status, now } = context;
  const { mode, action, found, from, to } = input;
  const known = status.recommendation;
  const same = known?.action === action && known.mode === mode && known.from.revision === from.revision;
  const message = same && known.message ? known.message : `${nameOf(found)} is breached`;
  status.recommendation = {
    action,
    mode,
    from: pointer(from),
    ...(to ? { to: pointer(to) } : {}),
    check: same && known.check ? known.check : found.check.name,
    reason: "Breached",
    message,
    since: same ? known.since : iso(now),
  };
}

/** Why a recommendation does not hold any more; undefined while it does. Not breached is not enough: a restart knows nothing yet. */
export function lapsedBecause(context: Context): string | undefined {
  const { status, snapshot } = context;
  const known = status.recommendation;
  if (!known) return undefined;
  const who = `r${known.from.revision}`;
  if (known.action === "Return" && returning(status)) return "a return has begun";
  const evidence = known.action === "Return" ? context.active : context.candidate;
  const ref = known.action === "Return" ? status.active : status.candidate;
  if (ref?.revision !== known.from.revision)
    return `${who} is no longer the ${known.action === "Return" ? "active revision" : "candidate"}`;
  if (snapshot.policy.mode !== known.mode) return `the policy's mode is ${snapshot.policy.mode} now`;
  const findings = evidence?.findings.filter((one) => one.action === "Rollback") ?? [];
  if (findings.some((one) => one.judgement.verdict === "Breached")) return undefined;
  const about = findings.find((one) => one.check.name === known.check);
  if (!about) return `the policy has no check ${known.check} that acts any more`;
  return about.judgement.verdict === "Healthy" ? `${known.check} of ${who} is healthy again` : undefined;
}

/** Takes a recommendation away whose reason is gone, and says so. */
export function lapseRecommendation(context: Context): void {
  const known = context.status.recommendation;
  const why = lapsedBecause(context);
  if (!known || why === undefined) return;
  delete context.status.recommendation;
  const began = known.action === "Return" && returning(context.status);
  if (!began)
    tell(
      context,
      "Normal",
      "RecommendationLapsed",
      `what was ${known.mode === "Recommend" ? "recommended" : "observed"} since ${known.since} lapsed: ${why}`,
      `${known.from.revision}-${known.since}`,
    );
}
