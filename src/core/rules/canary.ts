// A canary's way through its steps: first traffic, more traffic, and whose pods must be gone while the Service selects every pod.
// All the traffic, after the last step, is given by rules/rollout.ts; a share is taken back by transitions.ts.

import { parseDuration } from "../../api/common.ts";
import {
  type Canary,
  canaryOf,
  candidateSize,
  hasShare,
  podsForShare,
  type Step,
  shareAt,
  shareReached,
  sharingOf,
  stepsLeft,
  strangers,
} from "../canary.ts";
import { acted, type Context, held, iso, type Outcome, type Rule, returning, tell } from "../context.ts";
import { blockers, breaches, nameOf } from "../evidence.ts";
import { counted, switchGate } from "../gates.ts";
import { trafficWaits } from "../limits.ts";
import { childOf } from "../target.ts";
import { withdrawShare } from "../transitions.ts";

/** A share of more than this many times what the step asks for needs a person. */
const TOO_COARSE = 2;

/** While a Service selects every pod of the deployment, no other revision may have any; and steps are a canary's alone. */
export const keepApart: Rule = {
  name: "keep-apart",
  apply(context) {
    const { status, snapshot } = context;
    const { candidate, active } = status;
    if (!hasShare(status) || returning(status)) return undefined;
    const sharing = sharingOf(snapshot.deployment);
    const others = sharing === "Replicas" ? strangers(snapshot, [active?.revision, candidate?.revision]) : [];
    if (sharing && others.length === 0) return undefined;
    const why = sharing ? `${list(others)} came up beside it and would get traffic too` : "spec.strategy is no canary any more";
    withdrawShare(context);
    const message = `r${candidate?.revision} has no traffic any more: ${why}`;
    tell(context, "Warning", "ShareWithdrawn", message, `${status.decision}`);
    return acted("ShareWithdrawn", message);
  },
};

const list = (revisions: readonly number[]) =>
  `pods of ${revisions.map((revision) => (revision === 0 ? "no revision" : `r${revision}`)).join(", ")}`;

/** Writes down which share is reached, and since when the step is in force. */
export const noteShare: Rule = {
  name: "note-share",
  apply(context) {
    const { status, snapshot, now } = context;
    const { candidate, rollout } = status;
    if (!candidate || rollout?.step === undefined || returning(status)) return undefined;
    const share = shareReached(snapshot, status);
    if (share !== undefined && share !== rollout.share) rollout.share = share;
    if (rollout.stepSince === undefined && stepsLeft(snapshot.deployment, status) && arrived(context))
      rollout.stepSince = iso(now);
    return undefined;
  },
};

/** True where the traffic is shared as the step says. */
function arrived({ status, snapshot }: Context): boolean {
  const { candidate, rollout } = status;
  if (!candidate) return false;
  const size = candidateSize(snapshot.deployment, status);
  if (size === 0 || (childOf(snapshot, candidate.revision)?.current ?? 0) < size) return false;
  if (sharingOf(snapshot.deployment) === "Route")
    return snapshot.route?.preview === rollout?.weight && routeMissing(snapshot) === undefined;
  return snapshot.active?.selects === "All" && (snapshot.active.ready[candidate.revision] ?? 0) >= size;
}

/** What keeps the HTTPRoute from sharing the traffic, in words. */
function routeMissing({ route, routesServed }: Context["snapshot"]): string | undefined {
  if (routesServed === false) return "the cluster has no HTTPRoute (install the Gateway API CRDs)";
  if (!route) return "the HTTPRoute is not there yet, or has not been read";
  if (route.accepted === "False") return route.message;
  if (!route.generationSeen || route.accepted === "Unknown") return route.message || "no Gateway has accepted the HTTPRoute yet";
  return undefined;
}

/** First or more traffic for a canary: one step, when its gate is open. */
export const canaryStep: Rule = {
  name: "canary-step",
  apply(context) {
    const { status, snapshot } = context;
    const { candidate, rollout } = status;
    const canary = canaryOf(snapshot.deployment, status);
    if (!canary || !candidate || !rollout || rollout.retryAt || !stepsLeft(snapshot.deployment, status)) return undefined;
    if (returning(status)) return held("ReturnUnderWay", `r${candidate.revision} waits until the return has ended`);
    const current = rollout.step === undefined ? undefined : canary.steps[rollout.step];
    const waits =
      (current ? stepGate(context, current) : firstGate(context)) ??
      routeGate(context) ??
      coarse(context, canary) ??
      limited(context) ??
      (current ? undefined : apart(context));
    return waits ?? take(context, canary);
  },
};

/** Gate "switch", for the pods of the first step. */
function firstGate(context: Context): Outcome {
  const { status, snapshot } = context;
  const { candidate, rollout } = status;
  const activeServes = (childOf(snapshot, status.active?.revision)?.ready ?? 0) > 0;
  const missing = switchGate({
    child: childOf(snapshot, candidate?.revision),
    replicas: candidateSize(snapshot.deployment, status),
    probe: snapshot.probe?.revision === candidate?.revision ? snapshot.probe : undefined,
    probeWanted: snapshot.deployment.spec.probe !== undefined,
    candidate: context.candidate,
    sources: activeServes ? context.active : context.candidate,
    promoted: rollout?.promoted || snapshot.policy.mode === "Observe",
  });
  return missing && held(missing.reason, missing.message);
}

/**
 * Gate of the steps after the first: the step is reached, each Critical check of the candidate that asks a source is Healthy, its
 * hold is over. The built-in checks begin anew with each operator; a breach of theirs holds or rejects, want of samples does not.
 */
function stepGate(context: Context, step: Step): Outcome {
  const { status, snapshot, now } = context;
  const { candidate, rollout } = status;
  if (rollout?.promoted) return undefined;
  const size = candidateSize(snapshot.deployment, status);
  const ready = childOf(snapshot, candidate?.revision)?.current ?? 0;
  if (size === 0) return held("PodsNotReady", "scaled to 0; it goes on when there are pods");
  if (ready < size) return held("PodsNotReady", `${ready} of ${size} pods are ready`);
  if (!rollout?.stepSince) return routeGate(context) ?? held("ShareNotReached", "the traffic is on its way to it");
  // Where the policy only observes, nothing acts on checks.
  const judged = snapshot.policy.mode !== "Observe";
  const blocked = judged ? blockers(context.candidate)[0] : undefined;
  if (blocked) return held("CheckBreached", `${nameOf(blocked)} is breached`);
  const until = Date.parse(rollout.stepSince) + (step.hold === undefined ? 0 : parseDuration(step.hold));
  if (now < until) {
    context.wake.push(until);
    return held("StepHolds", `it stays until ${iso(until)}`);
  }
  const unsure = (judged ? counted(context.candidate) : []).find(
    ({ check, judgement }) => check.source !== undefined && judgement.verdict !== "Healthy",
  );
  if (unsure) {
    const { check, judgement } = unsure;
    const reason = judgement.verdict === "ProviderError" ? "SourceUnavailable" : "AwaitingData";
    return held(reason, `${check.name} is ${judgement.verdict}`);
  }
  if (!step.pause) return undefined;
  return held("AwaitingPromotion", `a person ends it: rollguard.dev/promote: r${candidate?.revision}/<token>`);
}

/** What holds more traffic to any candidate: pause, freeze, missing data. */
function limited(context: Context): Outcome {
  const wait = trafficWaits(context);
  return wait && held(wait.reason, wait.message);
}

function routeGate({ snapshot }: Context): Outcome {
  const missing = sharingOf(snapshot.deployment) === "Route" ? routeMissing(snapshot) : undefined;
  return missing === undefined ? undefined : held("RouteNotAccepted", missing);
}

const nextOf = (rollout: Context["status"]["rollout"]) => (rollout?.step === undefined ? 0 : rollout.step + 1);

/** Few replicas can't express a small share. */
function coarse(context: Context, canary: Canary): Outcome {
  const { status, snapshot } = context;
  const { rollout, candidate, active } = status;
  const index = nextOf(rollout);
  const step = canary.steps[index];
  if (canary.route || !step || rollout?.promoted) return undefined;
  const replicas = snapshot.deployment.spec.replicas ?? 1;
  // The same pods again are no more traffic.
  const before = index === 0 ? 0 : podsForShare(canary.steps[index - 1]?.weight ?? 0, replicas);
  if (podsForShare(step.weight, replicas) <= before) return undefined;
  const serves = (childOf(snapshot, active?.revision)?.ready ?? 0) > 0;
  // What is breached and has no ready pod has no traffic left to share.
  if (!serves && breaches(context.active).length > 0) return undefined;
  const share = serves ? shareAt(snapshot.deployment, canary, index) : 100;
  if (share <= TOO_COARSE * step.weight) return undefined;
  const message = `${step.weight} % asked, ${share} % would be reached with ${replicas} replicas; add replicas, use a route, or promote it: rollguard.dev/promote: r${candidate?.revision}/<token>`;
  return held("ShareTooCoarse", message);
}

/** Before the Service selects every pod, only those of the active revision and as many as the step has of the candidate may be there. */
function apart(context: Context): Outcome {
  const { status, snapshot } = context;
  const { active, candidate, standby, rollout } = status;
  if (sharingOf(snapshot.deployment) !== "Replicas" || !active || !candidate) return undefined;
  if (standby) {
    const unproven = active.baking || active.standing !== "Proven";
    if (unproven && !rollout?.promoted)
      return held("ActiveUnproven", `r${active.revision} is not proven, so r${standby.revision} is kept for a return`);
    delete status.standby;
  }
  const others = strangers(snapshot, [active.revision, candidate.revision]);
  if (others.length > 0) return held("StandbyDraining", `${list(others)} are ended first: they would get traffic too`);
  const child = childOf(snapshot, candidate.revision);
  const size = candidateSize(snapshot.deployment, status);
  const pods = Math.max(child?.replicas ?? 0, child?.pods.filter((pod) => !pod.terminating).length ?? 0);
  return pods > size ? held("StandbyDraining", `r${candidate.revision} goes from ${pods} to ${size} pods first`) : undefined;
}

function take(context: Context, canary: Canary): Outcome {
  const { status, now } = context;
  const { candidate, rollout } = status;
  if (!candidate || !rollout) return undefined;
  const index = nextOf(rollout);
  const step = canary.steps[index];
  // One sequence over all steps: it is judged from its first traffic on.
  if (rollout.step === undefined) candidate.judgedFrom = iso(now);
  const person = rollout.promoted ? ", as a person asked" : "";
  delete rollout.promoted;
  delete rollout.stepSince;
  rollout.step = index;
  if (step) rollout.weight = step.weight;
  status.decision = (status.decision ?? 0) + 1;
  const who = `r${candidate.revision} (${candidate.version})`;
  const message = step
    ? `${who} gets ${step.weight} % of the traffic: step ${index + 1} of ${canary.steps.length}${person}`
    : `${who} has passed its last step${person} and grows to its full size`;
  tell(context, "Normal", "CanaryStep", message, `${rollout.sequence}-${status.decision}`);
  return acted("CanaryStep", message);
}
