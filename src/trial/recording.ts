// What checks measured over a time, as a file: JSON lines or CSV, one reading a line, so that a spreadsheet or a script can make one.
//
//   {"time":"2026-11-24T10:00:00Z","check":"error-ratio","value":0.01,"numerator":12,"denominator":1200}
//   time,check,value,numerator,denominator
//   2026-11-24T10:00:00Z,error-ratio,0.01,12,1200
//
// `time` is RFC 3339 or Unix seconds. A reading without a value is one without data; JSON may say which `kind` and `message`.

import type { Reading } from "../core/window.ts";

/** Readings by check, oldest first. */
export type Recording = ReadonlyMap<string, readonly Reading[]>;

/** A line can't be read; the message names it. */
export class RecordingError extends Error {}

const KINDS: readonly Reading["kind"][] = ["Value", "Empty", "NotFinite", "TooManySeries", "Stale", "Future", "Error"];
const HEAD = ["time", "check", "value", "numerator", "denominator"];

/** Reads either form; which one it is, its first line tells. Throws RecordingError. */
export function parseRecording(text: string): Recording {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line: line.trim(), number: index + 1 }));
  const filled = lines.filter(({ line }) => line !== "");
  const [first] = filled;
  if (!first) throw new RecordingError("the recording is empty");
  const entries = first.line.startsWith("{") ? filled.map((one) => entryOf(json(one), one.number)) : csv(filled);
  const found = new Map<string, Reading[]>();
  for (const { check, reading } of entries) {
    const list = found.get(check) ?? [];
    found.set(check, list);
    list.push(reading);
  }
  for (const list of found.values()) list.sort((a, b) => a.at - b.at);
  return found;
}

interface Line {
  line: string;
  number: number;
}

function json({ line, number }: Line): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below, with the number of the line.
  }
  throw new RecordingError(`line ${number}: not a JSON object`);
}

function csv(lines: readonly Line[]): { check: string; reading: Reading }[] {
  const [head, ...rest] = lines;
  const names = head?.line.split(",").map((one) => one.trim().toLowerCase()) ?? [];
  if (!["time", "check", "value"].every((name) => names.includes(name)))
    throw new RecordingError(`line ${head?.number}: the first line must be JSON, or name the columns ${HEAD.join(",")}`);
  return rest.map(({ line, number }) => {
    const cells = line.split(",").map((one) => one.trim());
    return entryOf(Object.fromEntries(names.map((name, index) => [name, cells[index] || undefined])), number);
  });
}

function entryOf(entry: Record<string, unknown>, line: number): { check: string; reading: Reading } {
  const { check, kind = undefined, message } = entry;
  const at = timeOf(entry.time);
  if (at === undefined) throw new RecordingError(`line ${line}: time must be RFC 3339 or Unix seconds`);
  if (typeof check !== "string") throw new RecordingError(`line ${line}: check must be the name of a check`);
  const [value, numerator, denominator] = [entry.value, entry.numerator, entry.denominator].map((one) => numberOf(one, line));
  const known = KINDS.find((one) => one === kind);
  if (kind !== undefined && !known) throw new RecordingError(`line ${line}: kind must be one of ${KINDS.join(", ")}`);
  const quotient = value ?? (numerator !== undefined && denominator ? numerator / denominator : undefined);
  if (known !== undefined && known !== "Value")
    return { check, reading: { at, kind: known, ...(typeof message === "string" ? { message } : {}) } };
  if (quotient === undefined) return { check, reading: { at, kind: "Empty", message: "nothing was recorded" } };
  return {
    check,
    reading: {
      at,
      kind: "Value",
      value: quotient,
      ...(numerator === undefined ? {} : { numerator }),
      ...(denominator === undefined ? {} : { denominator }),
    },
  };
}

function timeOf(value: unknown): number | undefined {
  const text = typeof value === "number" ? String(value) : typeof value === "string" ? value : "";
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  const at = Date.parse(text);
  return /^\d{4}-\d\d-\d\dT/.test(text) && Number.isFinite(at) ? at : undefined;
}

function numberOf(value: unknown, line: number): number | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const number = typeof value === "number" ? value : Number(value);
  if (!Number.isFinite(number)) throw new RecordingError(`line ${line}: ${JSON.stringify(value)} is not a finite number`);
  return number;
}

/** As JSON lines, or as CSV, which has no place for the kinds of readings without a value. */
export function formatRecording(recording: Recording, format: "json" | "csv"): string {
  const entries = [...recording].flatMap(([check, readings]) => readings.map((reading) => ({ check, reading })));
  entries.sort((a, b) => a.reading.at - b.reading.at || (a.check < b.check ? -1 : 1));
  if (format === "csv") {
    const lines = entries.map(({ check, reading: { at, value, numerator, denominator } }) =>
      [new Date(at).toISOString(), check, value, numerator, denominator].map((one) => one ?? "").join(","),
    );
    return `${[HEAD.join(","), ...lines].join("\n")}\n`;
  }
  const lines = entries.map(({ check, reading: { at, kind, ...rest } }) =>
    JSON.stringify({ time: new Date(at).toISOString(), check, ...(kind === "Value" ? {} : { kind }), ...rest }),
  );
  return `${lines.join("\n")}\n`;
}
