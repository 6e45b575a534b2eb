// The operator's log: pino, one JSON object a line; readable lines on a terminal. Whatever is logged passes the scrubber first,
// so that no secret and no terminal escape gets there, whoever logs it.
import { pino } from "pino";
import type { Logger } from "./log.ts";
import { sanitizeLine } from "./text.ts";

export interface LoggerOptions {
  level: "debug" | "info" | "warn" | "error";
  /** One object a line, or lines for people. */
  format: "json" | "pretty";
  /** Gets whole lines with their line break. */
  write(text: string): void;
  /** ANSI colours in pretty lines. */
  color?: boolean;
}

const HIDDEN = "[redacted]";
// Names of fields whose value is a secret, whatever it looks like.
const SECRET_NAME =
  /^(proxy-)?authorization$|^(set-)?cookie$|passw(or)?d$|passphrase$|token$|secret$|credentials?$|api-?key$|private-?key$|client-key-data$|^auth$/i;
// Secrets within texts: HTTP credentials, the user part of URLs, query parameters, JSON web tokens.
const SECRET_TEXT: readonly [RegExp, string][] = [
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${HIDDEN}`],
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, `$1${HIDDEN}@`],
  [
    /((?:^|[?&;,\s])(?:[\w-]*token|password|secret|api-?key|sig|signature|x-amz-signature|x-amz-credential)=)[^&\s"',;]+/gi,
    `$1${HIDDEN}`,
  ],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, HIDDEN],
];
const MAX_DEPTH = 6;
const MAX_TEXT = 4096;

/** One line without secrets and control characters. */
export function scrubText(text: string): string {
  let clean = sanitizeLine(text, MAX_TEXT);
  for (const [pattern, replacement] of SECRET_TEXT) clean = clean.replace(pattern, replacement);
  return clean;
}

/** A copy of plain data fit for a log: secrets by name, by kind (a Secret's data) and by look are hidden; depth and texts are bounded. */
export function scrub(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return scrubText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return scrubError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (depth >= MAX_DEPTH) return "…";
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => scrub(item, depth + 1));
  const isSecret = "kind" in value && value.kind === "Secret";
  const out: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value).slice(0, 200)) {
    const hidden = inner !== undefined && (SECRET_NAME.test(name) || (isSecret && (name === "data" || name === "stringData")));
    out[scrubText(name)] = hidden ? HIDDEN : scrub(inner, depth + 1);
  }
  return out;
}

function scrubError(error: Error, depth: number): object {
  const { stack, cause } = error;
  const kind = "kind" in error && typeof error.kind === "string" ? { kind: scrubText(error.kind) } : {};
  return {
    type: scrubText(error.name),
    ...kind,
    message: scrubText(error.message),
    // Frames only: the first lines repeat the message, and may hold line breaks of it.
    stack: (stack ?? "")
      .split("\n")
      .filter((line) => /^\s+at /.test(line))
      .slice(0, 20)
      .map((line) => scrubText(line)),
    ...(cause === undefined || depth >= MAX_DEPTH ? {} : { cause: scrub(cause, depth + 1) }),
  };
}

/** A pino logger; it fits `Logger`. Writes are synchronous, so that the last line before an end is not lost. */
export function createLogger(options: LoggerOptions): Logger {
  const write = options.format === "json" ? options.write : (line: string) => options.write(pretty(line, options.color ?? false));
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: (fields) => scrub(fields) as Record<string, unknown> },
      // pino would turn errors under these names into its own form before our scrubber sees them.
      serializers: { err: (value: unknown) => value, error: (value: unknown) => value },
    },
    { write },
  );
}

const COLORS: Readonly<Record<string, number>> = { debug: 90, info: 36, warn: 33, error: 31 };

/** `12:00:01.250 warn  message  key=value …`, stack frames indented below. Our own and small: pino-pretty would double the bundle. */
export function pretty(line: string, color: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const paint = (code: number | undefined, text: string) =>
    color && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
  const stacks: string[] = [];
  const pairs = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === "object" && value !== null && "stack" in value ? withoutStack(value, stacks) : value;
    return `${paint(90, `${name}=`)}${typeof text === "string" && /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
  });
  const head = `${paint(90, String(time).slice(11, 23))} ${paint(COLORS[String(level)], String(level).padEnd(5))} ${msg ?? ""}`;
  return `${[head, ...pairs].join("  ")}\n${stacks.map((frame) => `    ${paint(90, frame)}\n`).join("")}`;
}

function withoutStack(error: object & { stack?: unknown }, stacks: string[]): unknown {
  const { stack, ...rest } = error;
  if (Array.isArray(stack)) stacks.push(...stack.map(String));
  return rest;
}
