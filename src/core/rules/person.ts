// Requests of a person: each token is handled once, for the target that it names and no other; one that is refused says why.

import type { Initiator } from "../../api/modeldeployment-status.ts";
import { REQUESTS } from "../../api/names.ts";
import { hasShare, stepsLeft } from "../canary.ts";
import { acted, type Context, iso, isQuarantined, type Outcome, type Rule, returning, tell } from "../context.ts";
import type { KnownRevision, PersonRequest, RequestKind } from "../snapshot.ts";
import { endStall } from "../stalls.ts";
import { isWarm } from "../target.ts";
import { closeReturn, openReturn, quarantine } from "../transitions.ts";
import { takeTarget } from "./return.ts";
import { reject } from "./rollout.ts";

/** The request where its token was not handled yet. */
export function pending(context: Context, kind: RequestKind): PersonRequest | undefined {
  const request = context.snapshot.requests[kind];
  return request && context.status.handled?.[kind] !== request.raw ? request : undefined;
}

export function markHandled(context: Context, kind: RequestKind, request: PersonRequest): void {
  context.status.handled = { ...context.status.handled, [kind]: request.raw };
}

/** Who wrote the request, as far as it is known. */
export function requesterOf({ snapshot }: Context, kind: RequestKind): Initiator {
  return snapshot.requestedBy[kind] ?? { name: "unknown", source: "Declared" };
}

/** Handles a token without doing what it asks, and says why: in the status and as an event. */
export function refuse(context: Context, kind: RequestKind, request: PersonRequest, why: string): Outcome {
  markHandled(context, kind, request);
  context.status.refused = { kind, request: request.raw, message: why.slice(0, 1024), at: iso(context.now) };
  tell(context, "Warning", "RequestRefused", `${kind} ${request.raw}: ${why}`, `${kind}-${request.raw}`);
  return acted("RequestRefused", why);
}

/** Tokens that are there when the object is first seen are noted, not acted on: Git may bring them along. */
export const noteFirstTokens: Rule = {
  name: "note-first-tokens",
  apply(context) {
    if (context.status.handled) return undefined;
    const handled: Partial<Record<RequestKind, string>> = {};
    for (const kind of REQUESTS) {
      const raw = context.snapshot.requests[kind]?.raw;
      if (raw !== undefined) handled[kind] = raw;
    }
    context.status.handled = handled;
    return undefined;
  },
};

/** A value that is not `<target>/<token>` can't be handled once, or says not what it is for. */
export const malformedRequest: Rule = {
  name: "malformed-request",
  apply(context) {
    for (const kind of REQUESTS) {
      const request = pending(context, kind);
      if (!request) continue;
      // There is one thing to pause: its name may be left out.
      const targetless = kind === "pause" || kind === "resume";
      if (request.token !== "" && (request.target !== "" || targetless)) continue;
      return refuse(
        context,
        kind,
        request,
        "the value must be <target>/<token> of at most 256 characters, such as r7/2026-11-24",
      );
    }
    return undefined;
  },
};

/** Why a pause or resume does not apply; undefined: it does. */
function noSwitch({ status, snapshot }: Context, kind: "pause" | "resume", request: PersonRequest): string | undefined {
  const { metadata, spec } = snapshot.deployment;
  if (request.target !== "" && request.target !== metadata.name)
    return `it names ${request.target}; this is ${metadata.name}: write ${metadata.name}/<token>`;
  if (kind === "pause") return status.paused ? "it is paused already" : undefined;
  if (spec.paused) return "spec.paused is true, and the operator writes no spec: set it to false where it was set";
  return status.paused ? undefined : "it is not paused";
}

/** `pause` and `resume` set one state; where both are new, the resumption counts. */
export const pauseAndResume: Rule = {
  name: "pause-and-resume",
  apply(context) {
    for (const kind of ["pause", "resume"] as const) {
      const request = pending(context, kind);
      if (!request) continue;
      const why = noSwitch(context, kind, request);
      if (why !== undefined) return refuse(context, kind, request, why);
      markHandled(context, kind, request);
      context.status.paused = kind === "pause";
      const reason = kind === "pause" ? "Paused" : "Resumed";
      const message = `${reason.toLowerCase()} by ${requesterOf(context, kind).name}`;
      tell(context, "Normal", reason, message, request.raw);
      return acted(reason, message);
    }
    return undefined;
  },
};

function resolve(context: Context, target: string): KnownRevision | string {
  const { snapshot, status } = context;
  const others = snapshot.revisions.filter((known) => known.revision !== status.active?.revision);
  const latest = (list: KnownRevision[]) => [...list].sort((a, b) => b.revision - a.revision)[0];
  const provenLast = (list: KnownRevision[]) =>
    list.filter((one) => one.provenAt).sort((a, b) => Date.parse(b.provenAt ?? "") - Date.parse(a.provenAt ?? ""))[0];
  const found =
    target === "previous"
      ? provenLast(others.filter((one) => !isQuarantined(status, one.hash)))
      : /^r\d+$/.test(target)
        ? others.find((one) => `r${one.revision}` === target)
        : latest(others.filter((one) => one.version === target));
  if (!found) {
    const names = others.map((one) => `r${one.revision} (${one.version})`).join(", ") || "none";
    const { active } = status;
    const serves = active && (target === `r${active.revision}` || (target !== "previous" && target === active.version));
    const what = serves ? `r${active.revision} (${active.version}) serves already` : "no such revision to return to";
    return `${what}; known: ${names}`;
  }
  if (found.revision === status.candidate?.revision) return `r${found.revision} is the candidate; promote it instead`;
  if (isQuarantined(status, found.hash)) return `r${found.revision} is quarantined; retry it first`;
  if (found.revoked) return `r${found.revision} was revoked`;
  return found;
}

/** While a candidate has a share of the traffic, or the active revision made room for it, that one is what a person goes back to. */
function leavesCandidate({ status }: Context, target: string): boolean {
  const { active, candidate } = status;
  const between = hasShare(status) || (candidate !== undefined && active?.downSince !== undefined);
  if (!active || !between || returning(status)) return false;
  return target === "previous" || target === `r${active.revision}` || target === active.version;
}

/** The person's reason where one was given with this request. */
function reasonOf({ snapshot, status }: Context, revision: number): string {
  const fresh = snapshot.changeCause !== undefined && snapshot.changeCause !== status.changeCauseSeen;
  if (fresh) status.changeCauseSeen = snapshot.changeCause;
  return fresh && snapshot.changeCause ? snapshot.changeCause : `a person returned to r${revision}`;
}

/** A person's rollback is a rollback like any other: quarantined, recorded, with the person's reason. */
export const personRollback: Rule = {
  name: "person-rollback",
  apply(context) {
    const request = pending(context, "rollbackTo");
    if (!request) return undefined;
    const { status, snapshot } = context;
    if (!status.active) return refuse(context, "rollbackTo", request, "nothing serves yet");
    if (leavesCandidate(context, request.target)) {
      markHandled(context, "rollbackTo", request);
      const by = requesterOf(context, "rollbackTo");
      return reject(context, "RolledBackByPerson", reasonOf(context, status.active.revision), by);
    }
    const target = resolve(context, request.target);
    if (typeof target === "string") return refuse(context, "rollbackTo", request, target);
    markHandled(context, "rollbackTo", request);
    if (returning(status)) closeReturn(context, "Failed", "PersonTookOver", "a person chose another target");
    const from = status.active;
    const message = reasonOf(context, target.revision);
    const initiator = requesterOf(context, "rollbackTo");
    const warm = isWarm(snapshot, from.revision, target.revision);
    openReturn(context, { target, trigger: "Person", reason: "Person", message, warm, initiator });
    quarantine(context, from, "RolledBackByPerson");
    takeTarget(context, target, warm);
    return acted("PersonRollback", `returning to r${target.revision} as a person asked`);
  },
};

/** `retry` lifts the quarantine of the version or revision that it names, and whatever stall waits for a person. */
export const retry: Rule = {
  name: "retry",
  apply(context) {
    const request = pending(context, "retry");
    if (!request) return undefined;
    const { status, snapshot, now } = context;
    const pin = snapshot.pin;
    const matches = (entry: { version: string; revision: number }) =>
      entry.version === request.target || `r${entry.revision}` === request.target;
    const lifted = (status.quarantine ?? []).filter(matches);
    const { candidate, rollout } = status;
    const halted = rollout?.halted !== undefined && request.target === `r${candidate?.revision}`;
    const concernsPin =
      pin.version === request.target || halted || lifted.some((entry) => pin.state === "Usable" && entry.hash === pin.hash);
    if (lifted.length === 0 && !(concernsPin && status.stall)) {
      return refuse(context, "retry", request, `${request.target} is neither quarantined nor stalled`);
    }
    markHandled(context, "retry", request);
    status.quarantine = (status.quarantine ?? []).filter((entry) => !matches(entry));
    if (status.rollout?.retryAt) status.rollout.retryAt = iso(now);
    if (rollout?.halted && candidate) {
      delete rollout.halted;
      rollout.attempt = (rollout.attempt ?? 1) + 1;
      candidate.judgedFrom = iso(now);
    }
    if (status.desired?.remade) delete status.desired;
    endStall(context, "Serving", "Candidate", "Pin");
    tell(context, "Normal", "Retry", `a person asked to try ${request.target} again`, request.raw);
    return acted("Retry", `${request.target} is tried again as a person asked`);
  },
};

/** `promote` moves a ready candidate without waiting for checks, or proves an active one that starves for data; marked as a person's. */
export const promote: Rule = {
  name: "promote",
  apply(context) {
    const request = pending(context, "promote");
    if (!request) return undefined;
    const { status } = context;
    const names = (ref: { version: string; revision: number } | undefined) =>
      ref !== undefined && (`r${ref.revision}` === request.target || ref.version === request.target);
    if (names(status.candidate) && status.rollout) {
      markHandled(context, "promote", request);
      status.rollout.promoted = true;
      status.rollout.promotedBy = requesterOf(context, "promote");
      const then = stepsLeft(context.snapshot.deployment, status) ? "goes one step on" : "takes the traffic";
      return acted("Promoted", `a person promoted r${status.candidate?.revision}; it ${then} when its pods are ready`);
    }
    if (names(status.active) && status.active?.baking && !returning(status)) {
      markHandled(context, "promote", request);
      status.active.promoted = true;
      if (status.rollout?.revision === status.active.revision) status.rollout.promotedBy = requesterOf(context, "promote");
      return acted("Promoted", `a person promoted r${status.active.revision}`);
    }
    return refuse(context, "promote", request, `${request.target} is neither the candidate nor baking`);
  },
};
