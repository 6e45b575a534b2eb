// From a source's answers to one Reading, the same for every source: ratios, age, and words that are safe to show.

import { sanitizeLine } from "../text.ts";
import type { Query, Reading, ReadingKind } from "./types.ts";

/** What a source says to one query text. `at` is the time it answered for, ms epoch. */
export type Answer =
  | { kind: "Value"; at: number; value: number; message?: string }
  | { kind: Exclude<ReadingKind, "Value">; at: number; message: string };

/** Asks one text. `at`: the time to answer for, as an earlier answer named it; sources that know only now ignore it. */
export type Ask = (text: string, at?: number) => Promise<Answer>;

/** A source's clock may be off by this much, ms; a sample may be this young or this early. */
export const MAX_SKEW_MS = 60_000;
const MIN_AGE_LIMIT_MS = 15_000;
const MAX_MESSAGE = 300;

/**
 * Asks all that a query needs and makes one Reading of it.
 *
 * @param now the operator's idea of the time, ms epoch
 */
export async function readWith(ask: Ask, query: Query, now: () => number): Promise<Reading> {
  const reading = query.kind === "ratio" ? await ratio(ask, query) : asReading(await ask(query.query));
  if (reading.kind !== "Value") return reading;
  const off = skewed(reading, now());
  if (off) return off;
  return query.freshness === undefined ? reading : aged(ask, query, query.freshness, reading);
}

/** What a reading is where the source's clock, by which it was evaluated, is too far from ours. */
export function skewed(reading: { at: number }, now: number): Reading | undefined {
  const skew = reading.at - now;
  if (skew > MAX_SKEW_MS) return unusable(reading, "Future", `the source's clock is ${seconds(skew)} ahead`);
  if (-skew > MAX_SKEW_MS) return unusable(reading, "Stale", `the source's clock is ${seconds(-skew)} behind`);
  return undefined;
}

async function ratio(ask: Ask, query: Extract<Query, { kind: "ratio" }>): Promise<Reading> {
  const denominator = await ask(query.denominator);
  const nothing = { at: denominator.at, kind: "Empty", denominator: 0 } as const;
  if (denominator.kind === "Empty") return { ...nothing, message: `denominator: ${denominator.message}` };
  if (denominator.kind !== "Value") return prefixed("denominator", denominator);
  if (denominator.value === 0) return { ...nothing, message: "denominator: it is 0, there is nothing to divide by" };
  // For the same time as the denominator: a sample that comes in between would be in one and not in the other.
  const numerator = await ask(query.numerator, denominator.at);
  if (numerator.kind !== "Value" && numerator.kind !== "Empty") return prefixed("numerator", numerator);
  // A server that never failed has no such series.
  const value = numerator.kind === "Value" ? numerator.value : 0;
  if (denominator.value < 0 || value < 0) {
    return { at: denominator.at, kind: "Error", message: "a ratio needs counts, and one of its sides is negative" };
  }
  return {
    at: denominator.at,
    kind: "Value",
    value: value / denominator.value,
    numerator: value,
    denominator: denominator.value,
    ...(denominator.message ? { message: denominator.message } : {}),
  };
}

async function aged(ask: Ask, query: Query, freshness: string, reading: Reading): Promise<Reading> {
  const answer = await ask(freshness, reading.at);
  if (answer.kind === "Empty") return unusable(reading, "Stale", `freshness: ${answer.message}; the age is not known`);
  if (answer.kind !== "Value") return prefixed("freshness", answer);
  const newest = Math.round(answer.value * 1000);
  // Both by the source's own clock: how far it is from ours says nothing about the age of a sample.
  const age = reading.at - newest;
  const limit = query.maxAgeMs ?? Math.max(2 * query.windowMs, MIN_AGE_LIMIT_MS);
  if (!Number.isSafeInteger(newest)) return unusable(reading, "Stale", "freshness: its value is not a time");
  if (age > limit)
    return unusable({ at: newest }, "Stale", `the newest sample is ${seconds(age)} old; at most ${seconds(limit)} are allowed`);
  if (-age > MAX_SKEW_MS) return unusable(reading, "Future", `the newest sample is ${seconds(-age)} in the future`);
  return { ...reading, at: newest };
}

function unusable(reading: { at: number }, kind: "Stale" | "Future", message: string): Reading {
  return { at: reading.at, kind, message };
}

/** An answer as it stands. */
export function asReading(answer: Answer): Reading {
  return answer.kind === "Value" && !answer.message ? { at: answer.at, kind: "Value", value: answer.value } : { ...answer };
}

function prefixed(part: string, answer: Exclude<Answer, { kind: "Value" }>): Reading {
  return { at: answer.at, kind: answer.kind, message: `${part}: ${answer.message}` };
}

function seconds(ms: number): string {
  return `${Number((ms / 1000).toPrecision(3))} s`;
}

/** A finite number or the answer that says that it isn't one. */
export function fromNumber(value: number, at: number, message?: string): Answer {
  if (!Number.isFinite(value)) return { kind: "NotFinite", at, message: `the value is ${value}` };
  return message ? { kind: "Value", at, value, message } : { kind: "Value", at, value };
}

const USERINFO = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*@/gi;

/** One line without control characters, credentials in addresses, and any of `secrets`. */
export function cleanMessage(text: string, secrets: readonly string[]): string {
  // Before anything is cut or joined, so that no part of a secret is left; an answer that echoes one is enough.
  let message = text.slice(0, 4096);
  for (const secret of secrets) if (secret.length >= 4) message = message.replaceAll(secret, "[redacted]");
  message = sanitizeLine(message, 4096).replace(USERINFO, "$1");
  for (const secret of secrets) if (secret.length >= 4) message = message.replaceAll(secret, "[redacted]");
  return sanitizeLine(message, MAX_MESSAGE);
}
