// A person is needed: saying so, once, and taking it back when its cause is gone. What each is about is in phases.ts.

import { type Context, iso } from "./context.ts";
import { type StallRow, stallRow } from "./phases.ts";

/** Stalls of a return that failed: they end by health, a new pin, a retry or a person, and by nothing else. */
export const RETURN_STALLS: ReadonlySet<string> = new Set(["CommonCause", "TargetBreached", "ReturnFailed"]);

/** A person is needed. Keeps the time of a stall that goes on. */
export function stall(context: Context, reason: string, message: string, check?: string): void {
  const { status, now } = context;
  // Two causes must not take turns: the first one that is said stands, and only a new one is told.
  if (context.stalled !== undefined && context.stalled !== reason) return;
  // How a walk ended is not forgotten for what else is wrong.
  if (status.stall && RETURN_STALLS.has(status.stall.reason) && !RETURN_STALLS.has(reason)) return;
  context.stalled = reason;
  const known = context.before.stall?.reason === reason ? context.before.stall : undefined;
  status.stall = {
    reason,
    message: message.slice(0, 1024),
    since: known?.since ?? iso(now),
    ...(check === undefined ? {} : { check }),
  };
}

/** Ends a stall about one of these, unless its cause was seen again in this pass: else it would come back in the next one, and be told anew. */
export function endStall(context: Context, ...about: StallRow["about"][]): void {
  const { status, stalled } = context;
  const row = stallRow(status.stall?.reason);
  if (row && about.includes(row.about) && status.stall?.reason !== stalled) delete status.stall;
}
