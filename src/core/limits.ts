// What may keep an automatic return, or more traffic to a candidate, waiting: two ordered lists of small named limits, each with a
// reason. The first that holds is said. Nothing here changes the draft, but for what a promotion overrode.

import type { Mode } from "../api/reasons.ts";
import { type Context, iso } from "./context.ts";
import { type Finding, nameOf } from "./evidence.ts";
import { freezeProblem } from "./freeze.ts";
import type { AutomaticReturn } from "./snapshot.ts";

/** Why something waits. */
export interface Wait {
  reason: string;
  message: string;
  /** When it ends by time alone, ms epoch. */
  wakeAt?: number;
  /** A person is needed: it is a stall, too. */
  stalls?: boolean;
  /** What would be done is to be shown. */
  recommends?: Exclude<Mode, "Enforce">;
}

/** One reason for an automatic return to wait. */
export interface ReturnLimit {
  name: string;
  /** It protects only a proven revision: taking traffic from one that bakes never waits for it. */
  provenOnly: boolean;
  holds(context: Context, found: Finding): Wait | undefined;
}

/** One reason for a candidate to get no more traffic. */
export interface TrafficLimit {
  name: string;
  /** A person's promotion goes past it, and the record says so. */
  promotable: boolean;
  holds(context: Context): Wait | undefined;
}

const isPaused = ({ status, snapshot }: Context): boolean => Boolean(status.paused || snapshot.deployment.spec.paused);

const observing: ReturnLimit = {
  name: "observe",
  provenOnly: false,
  holds: ({ snapshot }, found) =>
    snapshot.policy.mode === "Observe"
      ? { reason: "Observe", message: `would roll back: ${nameOf(found)}`, recommends: "Observe" }
      : undefined,
};

/** A person decides: what limits Rollguard's own decisions (pause, storm, cooldown, budget) is not asked. */
const recommending: ReturnLimit = {
  name: "recommend",
  provenOnly: true,
  holds({ snapshot, status }, found) {
    if (snapshot.policy.mode !== "Recommend") return undefined;
    const ask = `rollguard.dev/approve: r${status.active?.revision}/<token>`;
    return { reason: "AwaitingApproval", message: `would roll back: ${nameOf(found)}; ${ask} does it`, recommends: "Recommend" };
  },
};

const pausing: ReturnLimit = {
  name: "paused",
  provenOnly: false,
  // What a Required policy asks for is not a tenant's to pause.
  holds: (context, found) =>
    isPaused(context) && !found.check.required
      ? { reason: "Paused", message: `paused; would roll back: ${nameOf(found)}` }
      : undefined,
};

/** A Required policy's returns wait too: its checks are as wrong as others when their source is. */
const storm: ReturnLimit = {
  name: "storm-breaker",
  provenOnly: true,
  holds({ snapshot }, found) {
    const { storm: open } = snapshot;
    if (!open || (open.source !== undefined && open.source !== found.check.source)) return undefined;
    return { reason: "StormBreaker", message: `${open.message}; would roll back: ${nameOf(found)}` };
  },
};

/** Automatic returns, oldest first: those of an earlier object of this name before its own. */
const returnsOf = ({ status, snapshot }: Context): AutomaticReturn[] => [
  ...(snapshot.earlierReturns ?? []),
  ...(status.returns ?? []),
];

const cooldown: ReturnLimit = {
  name: "cooldown",
  provenOnly: true,
  holds(context, found) {
    const { snapshot, now } = context;
    const last = returnsOf(context).at(-1);
    const until = last ? Date.parse(last.at) + snapshot.policy.cooldownMs : 0;
    if (now >= until) return undefined;
    const message = `in cooldown until ${iso(until)} after the last return; ${nameOf(found)}`;
    return { reason: "Cooldown", message, wakeAt: until };
  },
};

const budget: ReturnLimit = {
  name: "budget",
  provenOnly: true,
  holds(context, found) {
    const { snapshot, now } = context;
    const { limit, perMs } = snapshot.policy.budget;
    const spent = returnsOf(context).filter((one) => one.proven && now - Date.parse(one.at) < perMs);
    // With more spent than the limit (it was lowered), the next is free when so many are old enough that it fits again.
    const frees = spent.at(-limit);
    if (!frees) return undefined;
    const free = Date.parse(frees.at) + perMs;
    const message = `${spent.length} automatic returns already; the next may begin at ${iso(free)}; ${nameOf(found)}`;
    return { reason: "BudgetSpent", message, wakeAt: free, stalls: true };
  },
};

/** In this order; a person's return and a revocation's are asked for none of them. */
export const RETURN_LIMITS: readonly ReturnLimit[] = [observing, recommending, pausing, storm, cooldown, budget];

/** Why an automatic return for this breach has to wait; undefined: it may begin. */
export function returnWaits(context: Context, found: Finding): Wait | undefined {
  const { active } = context.status;
  const isProven = active !== undefined && !active.baking && active.standing === "Proven";
  for (const limit of RETURN_LIMITS) {
    const wait = isProven || !limit.provenOnly ? limit.holds(context, found) : undefined;
    if (wait) return wait;
  }
  return undefined;
}

const candidateName = ({ status }: Context): string => `r${status.candidate?.revision}`;

const noTrafficWhilePaused: TrafficLimit = {
  name: "paused",
  promotable: false,
  holds: (context) =>
    isPaused(context) ? { reason: "Paused", message: `paused; ${candidateName(context)} is ready for the traffic` } : undefined,
};

/** A window that can't be read may be one that is in force: holding is the safe reading of it. */
const unreadableFreeze: TrafficLimit = {
  name: "unreadable-freeze",
  promotable: true,
  holds({ snapshot }) {
    const problem = snapshot.policy.freeze.map(freezeProblem).find((one) => one !== undefined);
    return problem === undefined ? undefined : { reason: "Frozen", message: `${problem}; mend it, or promote the candidate` };
  },
};

const freeze: TrafficLimit = {
  name: "freeze",
  promotable: true,
  holds(context) {
    const { freeze: window } = context.status;
    if (!window?.active) return undefined;
    const message = `frozen until ${window.until} by ${window.schedule}; ${candidateName(context)} is ready for the traffic`;
    return { reason: "Frozen", message, wakeAt: Date.parse(window.until) };
  },
};

const missingData: TrafficLimit = {
  name: "missing-data",
  promotable: true,
  holds({ status, snapshot }) {
    if (!status.missingData?.alerted || snapshot.policy.missingData.action !== "Hold") return undefined;
    const { checks, since } = status.missingData;
    return { reason: "MissingData", message: `no conclusive sample of ${checks.join(", ")} since ${since}` };
  },
};

export const TRAFFIC_LIMITS: readonly TrafficLimit[] = [noTrafficWhilePaused, unreadableFreeze, freeze, missingData];

/** Why a candidate that is ready gets no more traffic now; undefined: it may. What a promotion goes past is noted for the record. */
export function trafficWaits(context: Context): Wait | undefined {
  const { rollout } = context.status;
  for (const limit of TRAFFIC_LIMITS) {
    const wait = limit.holds(context);
    if (!wait) continue;
    if (!rollout?.promoted || !limit.promotable) {
      if (wait.wakeAt !== undefined) context.wake.push(wait.wakeAt);
      return wait;
    }
    rollout.overrode = wait.message.slice(0, 256);
  }
  return undefined;
}
