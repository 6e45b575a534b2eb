// A person approves what is recommended: the return then begins as the breach's, with the person as its initiator.

import type { Context, Rule } from "../context.ts";
import { breaches } from "../evidence.ts";
import { lapsedBecause } from "../recommendation.ts";
import type { PersonRequest } from "../snapshot.ts";
import { markHandled, pending, refuse, requesterOf } from "./person.ts";
import { beginReturn } from "./return.ts";

/** Why this token can't approve anything; undefined: it can. */
function refusal(context: Context, request: PersonRequest): string | undefined {
  const { recommendation } = context.status;
  if (!recommendation) return "nothing is recommended now";
  const { from, mode } = recommendation;
  if (mode !== "Recommend") return "the policy's mode is Observe, which does nothing; ask for it with rollback-to";
  if (request.target !== `r${from.revision}`)
    return `it names ${request.target}; what is recommended is to leave r${from.revision}: write r${from.revision}/<token>`;
  const lapsed = lapsedBecause(context);
  return lapsed === undefined ? undefined : `the recommendation has lapsed: ${lapsed}`;
}

export const approve: Rule = {
  name: "approve",
  apply(context) {
    const request = pending(context, "approve");
    if (!request) return undefined;
    const why = refusal(context, request);
    if (why !== undefined) return refuse(context, "approve", request, why);
    const outcome = beginReturn(context, breaches(context.active), requesterOf(context, "approve"));
    if (outcome?.kind !== "Acted")
      return refuse(context, "approve", request, outcome?.message ?? "nothing is known of the breach right now; try again");
    markHandled(context, "approve", request);
    return outcome;
  },
};
