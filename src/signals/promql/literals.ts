// PromQL's strings, numbers and durations, read as Prometheus reads them.

import { QueryError } from "./ast.ts";

const SIMPLE: Record<string, string> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\" };
const NUMERIC = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))/;

/** The text of a string literal, quotes included, such as `"a\\.b"`. Escapes are those of Go; a backquoted one is raw. */
export function unquote(literal: string): string {
  const quote = literal[0];
  const body = literal.slice(1, -1);
  if (quote === "`") return body;
  let text = "";
  for (let i = 0; i < body.length; i++) {
    const char = body[i] ?? "";
    if (char !== "\\") {
      text += char;
      continue;
    }
    const next = body[i + 1] ?? "";
    const simple = next === quote ? quote : SIMPLE[next];
    if (simple !== undefined) {
      text += simple;
      i++;
      continue;
    }
    const match = NUMERIC.exec(body.slice(i + 1, i + 10));
    const code = match
      ? Number.parseInt(match[4] ?? match[1] ?? match[2] ?? match[3] ?? "", match[4] === undefined ? 16 : 8)
      : -1;
    if (!match || code < 0 || code > 0x10ffff) throw new QueryError(`bad escape in the string ${literal}`);
    text += String.fromCodePoint(code);
    i += match[0].length;
  }
  return text;
}

const UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};
const DURATION = /^(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m(?!s))?(?:\d+s)?(?:\d+ms)?$/;

/** "1h30m" in ms; undefined where it isn't a duration. Units in falling order, as Prometheus wants them. */
export function durationMs(text: string): number | undefined {
  if (text === "" || !DURATION.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) total += Number(count) * (UNITS[unit ?? ""] ?? Number.NaN);
  return Number.isSafeInteger(total) ? total : undefined;
}

/** A number as PromQL and the exposition formats write it; undefined where it isn't one. */
export function parseNumber(text: string): number | undefined {
  const match = /^([+-]?)(inf(?:inity)?|nan)$/i.exec(text);
  if (match) {
    if (match[2]?.toLowerCase() === "nan") return Number.NaN;
    return match[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (!/^[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)$/.test(text)) return undefined;
  const hex = /^([+-]?)(0[xX].+)$/.exec(text);
  return hex ? Number(hex[2]) * (hex[1] === "-" ? -1 : 1) : Number(text);
}
