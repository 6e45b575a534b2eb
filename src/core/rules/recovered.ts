// The end of a failed return by itself: what serves is healthy again.

import { acted, isQuarantined, type Rule, tell } from "../context.ts";
import { counted } from "../gates.ts";

/** A stall of a failed return ends when what serves is Healthy and not quarantined. */
export const recovered: Rule = {
  name: "recovered",
  apply(context) {
    const { status, snapshot } = context;
    const reason = status.stall?.reason;
    if (reason !== "CommonCause" && reason !== "TargetBreached" && reason !== "ReturnFailed") return undefined;
    const active = status.active;
    if (!active || isQuarantined(status, active.hash)) return undefined;
    const about = status.stall?.check;
    const all = counted(context.active);
    const own = all.filter(({ check }) => check.name === about);
    // A check that the policy asks no more can't become healthy: then the others say.
    const asked = snapshot.policy.checks.some((check) => check.name === about && check.severity === "Critical");
    const critical = reason === "CommonCause" && asked ? own : all;
    const healthy = critical.length > 0 && critical.every(({ judgement }) => judgement.verdict === "Healthy");
    if (!healthy) return undefined;
    delete status.stall;
    tell(
      context,
      "Normal",
      "Recovered",
      `r${active.revision} is healthy again; ${reason} is over`,
      `${reason}-${status.sequence ?? 0}`,
    );
    return acted("Recovered", `${reason} is over`);
  },
};
