// Reads what a pod shows at /metrics: the Prometheus text format 0.0.4 and OpenMetrics 1.0, strictly. A body that is not
// entirely in the format is refused as a whole, because half a scrape gives numbers that are wrong, not missing.
// (No npm package does: the parsers there know neither OpenMetrics nor quoted names and return guesses for what they can't read.)

import { parseNumber } from "../promql/literals.ts";

export interface ScrapedSample {
  metric: string;
  labels: Record<string, string>;
  value: number;
  /** It only rises, and starts from 0: of a counter, or the buckets, count and sum of a histogram or summary. */
  cumulative: boolean;
}

/** The body is not in the format; the message says where and why, in one line. */
export class ExpositionError extends Error {}

/** More samples than this of the asked metrics are refused: a label without bounds must cost neither the operator's memory nor its time. */
export const MAX_SERIES = 2000;
const MAX_LINES = 200_000;
const MAX_LINE_CHARS = 16_384;
const MAX_LABELS = 64;
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const QUOTED = /"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const META = /^#\s+(TYPE|HELP|UNIT)\s+(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|"((?:[^"\\]|\\.)*)")(?:[ \t]+(.*))?$/;
const TIMESTAMP = /^[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$/;

/**
 * The samples of the metrics that `wanted` names; the others are checked for their names only.
 * Timestamps in the body are ignored: a sample is as old as its scrape. Throws ExpositionError, also for what has no bounds, and
 * as soon as that is seen: other work of the process waits meanwhile.
 */
export function parseExposition(body: string, wanted: (metric: string) => boolean): ScrapedSample[] {
  if (body === "") throw new ExpositionError("the answer is empty");
  if (/^\s*</.test(body)) throw new ExpositionError("the answer is HTML or XML, not metrics");
  if (!body.endsWith("\n") && !/(?:^|\n)# EOF$/.test(body))
    throw new ExpositionError("the answer is cut off: its last line has no end");
  const types = new Map<string, string>();
  const samples: ScrapedSample[] = [];
  let number = 0;
  for (let from = 0; from < body.length; ) {
    const newline = body.indexOf("\n", from);
    const to = newline === -1 ? body.length : newline;
    if (++number > MAX_LINES) throw new ExpositionError(`more than ${MAX_LINES} lines`);
    if (to - from > MAX_LINE_CHARS) throw new ExpositionError(`line ${number} is longer than ${MAX_LINE_CHARS} characters`);
    const line = body.slice(from, to).replace(/\r$/, "");
    from = to + 1;
    if (line === "# EOF") {
      if (body.slice(from).trim() !== "") throw new ExpositionError(`line ${number}: text after # EOF`);
      return samples;
    }
    const start = /^[ \t]*/.exec(line)?.[0].length ?? 0;
    if (start === line.length) continue;
    if (line[start] === "#") {
      const meta = META.exec(line.slice(start));
      if (meta?.[1] === "TYPE") types.set(meta[2] ?? unescaped(meta[3] ?? ""), (meta[4] ?? "").trim());
      continue;
    }
    const sample = sampleOf(line.slice(start), number, wanted, types);
    if (sample && samples.push(sample) > MAX_SERIES)
      throw new ExpositionError(`more than ${MAX_SERIES} series of the metrics that are asked for`);
  }
  return samples;
}

/** True for a body that announces itself as OpenMetrics but lacks its end mark. */
export function isCutOff(contentType: string, body: string): boolean {
  return contentType.toLowerCase().includes("openmetrics") && !/(?:^|\n)# EOF\s*$/.test(body);
}

function sampleOf(
  line: string,
  number: number,
  wanted: (metric: string) => boolean,
  types: ReadonlyMap<string, string>,
): ScrapedSample | undefined {
  const cursor = new Cursor(line, number);
  let metric = cursor.match(NAME);
  if (metric !== undefined && !wanted(metric)) return undefined;
  const labels: Record<string, string> = {};
  let count = 0;
  cursor.blank();
  if (cursor.take("{")) {
    cursor.blank();
    while (!cursor.take("}")) {
      if (++count > MAX_LABELS) throw cursor.error(`more than ${MAX_LABELS} labels`);
      const quoted = cursor.peek() === '"';
      const name = quoted ? cursor.string() : cursor.match(LABEL);
      if (name === undefined) throw cursor.error("a label name is expected");
      cursor.blank();
      if (cursor.take("=")) {
        cursor.blank();
        if (Object.hasOwn(labels, name)) throw cursor.error("a label comes twice");
        setLabel(labels, name, cursor.string());
      } else {
        // {"a.name", label="…"}: a name of UTF-8, quoted inside of the braces.
        if (!quoted || metric !== undefined) throw cursor.error("= is expected");
        metric = name;
      }
      cursor.blank();
      if (!cursor.take(",") && cursor.peek() !== "}") throw cursor.error(", or } is expected");
      cursor.blank();
    }
  }
  if (metric === undefined) throw cursor.error("a metric name is expected");
  const [text, timestamp, ...rest] =
    cursor
      .rest()
      .split(/ # /, 1)[0]
      ?.trim()
      .split(/[ \t]+/) ?? [];
  const value = parseNumber(text ?? "");
  if (value === undefined) throw cursor.error(`${JSON.stringify((text ?? "").slice(0, 40))} is not a number`);
  if (rest.length > 0 || (timestamp !== undefined && !TIMESTAMP.test(timestamp))) throw cursor.error("text after the value");
  return wanted(metric) ? { metric, labels, value, cumulative: isCumulative(metric, labels, types) } : undefined;
}

function setLabel(labels: Record<string, string>, name: string, value: string): void {
  // An assignment to __proto__ would set the prototype; for the others it is much faster.
  if (name !== "__proto__") labels[name] = value;
  else Object.defineProperty(labels, name, { value, enumerable: true, configurable: true, writable: true });
}

function isCumulative(metric: string, labels: Record<string, string>, types: ReadonlyMap<string, string>): boolean {
  // The text format declares the name of the sample, OpenMetrics the family: `x_total` is of `x`.
  if (types.get(metric) === "counter") return true;
  const suffix = /_(total|bucket|count|sum)$/.exec(metric);
  if (!suffix) return false;
  const type = types.get(metric.slice(0, suffix.index));
  if (suffix[1] === "total") return type === "counter";
  if (type === "histogram") return suffix[1] !== "bucket" || labels.le !== undefined;
  return type === "summary" && suffix[1] !== "bucket";
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
}

/** Walks along one line. */
class Cursor {
  readonly #line: string;
  readonly #number: number;
  #at = 0;

  constructor(line: string, number: number) {
    this.#line = line;
    this.#number = number;
  }

  peek(): string {
    return this.#line[this.#at] ?? "";
  }

  take(char: string): boolean {
    if (this.peek() !== char) return false;
    this.#at++;
    return true;
  }

  blank(): void {
    while (this.peek() === " " || this.peek() === "\t") this.#at++;
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#line)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  /** A quoted string with \\, \" and \n as its escapes; any other is kept as it is. */
  string(): string {
    const found = this.match(QUOTED);
    if (found === undefined) throw this.error(`a quoted string ${this.peek() === '"' ? "has no end" : "is expected"}`);
    const text = found.slice(1, -1);
    if (!text.includes("\\")) return text;
    // A page may be full of them: whole strings at a time, not one escape after the other.
    const parts = text.split("\\\\").map((part) => part.replaceAll("\\n", "\n").replaceAll('\\"', '"'));
    return parts.join("\\");
  }

  rest(): string {
    return this.#line.slice(this.#at);
  }

  error(why: string): ExpositionError {
    return new ExpositionError(`line ${this.#number}: ${why}`);
  }
}
