// Requests of a person: each token is handled once, for the target that it names and no other.

import { acted, type Context, iso, isQuarantined, type Outcome, type Rule, returning, tell } from "../context.ts";
import type { KnownRevision, PersonRequest, RequestKind } from "../snapshot.ts";
import { isWarm } from "../target.ts";
import { closeReturn, openReturn, quarantine } from "../transitions.ts";
import { takeTarget } from "./return.ts";

const KINDS: readonly RequestKind[] = ["retry", "rollbackTo", "promote", "approve", "pause", "resume"];

/** The request where its token was not handled yet. */
export function pending(context: Context, kind: RequestKind): PersonRequest | undefined {
  const request = context.snapshot.requests[kind];
  return request && context.status.handled?.[kind] !== request.raw ? request : undefined;
}

export function markHandled(context: Context, kind: RequestKind, request: PersonRequest): void {
  context.status.handled = { ...context.status.handled, [kind]: request.raw };
}

function refuse(context: Context, kind: RequestKind, request: PersonRequest, why: string): Outcome {
  markHandled(context, kind, request);
  tell(context, "Warning", "RequestRefused", `${kind} ${request.raw}: ${why}`, `${kind}-${request.raw}`);
  return acted("RequestRefused", why);
}

/** Tokens that are there when the object is first seen are noted, not acted on: Git may bring them along. */
export const noteFirstTokens: Rule = {
  name: "note-first-tokens",
  apply(context) {
    if (context.status.handled) return undefined;
    const handled: Partial<Record<RequestKind, string>> = {};
    for (const kind of KINDS) {
      const raw = context.snapshot.requests[kind]?.raw;
      if (raw !== undefined) handled[kind] = raw;
    }
    context.status.handled = handled;
    return undefined;
  },
};

/** `pause` and `resume` set one state; the later token wins because each is handled once. */
export const pauseAndResume: Rule = {
  name: "pause-and-resume",
  apply(context) {
    const pause = pending(context, "pause");
    const resume = pending(context, "resume");
    if (pause) markHandled(context, "pause", pause);
    if (resume) markHandled(context, "resume", resume);
    if (!pause && !resume) return undefined;
    context.status.paused = resume === undefined;
    return acted(resume ? "Resumed" : "Paused", resume ? "resumed by a person" : "paused by a person");
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
    return `no such revision to return to; known: ${names}`;
  }
  if (found.revision === status.candidate?.revision) return `r${found.revision} is the candidate; promote it instead`;
  if (isQuarantined(status, found.hash)) return `r${found.revision} is quarantined; retry it first`;
  if (found.revoked) return `r${found.revision} was revoked`;
  return found;
}

/** A person's rollback is a rollback like any other: quarantined, recorded, with the person's reason. */
export const personRollback: Rule = {
  name: "person-rollback",
  apply(context) {
    const request = pending(context, "rollbackTo");
    if (!request) return undefined;
    const { status, snapshot } = context;
    if (!status.active) return refuse(context, "rollbackTo", request, "nothing serves yet");
    const target = resolve(context, request.target);
    if (typeof target === "string") return refuse(context, "rollbackTo", request, target);
    markHandled(context, "rollbackTo", request);
    if (returning(status)) closeReturn(context, "Failed", "PersonTookOver", "a person chose another target");
    const from = status.active;
    const fresh = snapshot.changeCause !== undefined && snapshot.changeCause !== status.changeCauseSeen;
    if (fresh) status.changeCauseSeen = snapshot.changeCause;
    const message = fresh && snapshot.changeCause ? snapshot.changeCause : `a person returned to r${target.revision}`;
    const initiator = snapshot.requestedBy.rollbackTo ?? { name: "unknown", source: "Declared" as const };
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
    const concernsPin =
      pin.version === request.target || lifted.some((entry) => pin.state === "Usable" && entry.hash === pin.hash);
    if (lifted.length === 0 && !(concernsPin && status.stall)) {
      return refuse(context, "retry", request, `${request.target} is neither quarantined nor stalled`);
    }
    markHandled(context, "retry", request);
    status.quarantine = (status.quarantine ?? []).filter((entry) => !matches(entry));
    if (status.rollout?.retryAt) status.rollout.retryAt = iso(now);
    if (status.stall?.reason === "VersionContentChanged") delete status.desired;
    delete status.stall;
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
      return acted("Promoted", `a person promoted r${status.candidate?.revision}; it takes the traffic when its pods are ready`);
    }
    if (names(status.active) && status.active?.baking && !returning(status)) {
      markHandled(context, "promote", request);
      status.active.promoted = true;
      return acted("Promoted", `a person promoted r${status.active.revision}`);
    }
    return refuse(context, "promote", request, `${request.target} is neither the candidate nor baking`);
  },
};
