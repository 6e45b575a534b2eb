// Puts the variables into a query so that a value can never become syntax: not in PromQL, not in a URL, not in JSONPath.

import { durationMs } from "./promql/literals.ts";
import type { Variables } from "./types.ts";

/** The template can't be expanded; the message says why, in one line, and holds no variable's value. */
export class TemplateError extends Error {}

const NAMES: readonly (keyof Variables)[] = ["namespace", "name", "version", "revision", "window", "workload"];
const VARIABLE = /\$\{([^}]*)\}/y;
/** Longer than any name in Kubernetes. */
const MAX_VALUE = 1024;

type Place =
  /** Outside of strings: only what can't be anything but a number or a duration. */
  | { kind: "bare" }
  /** In a string of the given quote; `pattern` where the string is a regular expression. */
  | { kind: "string"; quote: string; pattern: boolean }
  | { kind: "comment" };

/**
 * Expands `${…}` in PromQL. In a string the value is escaped for that kind of string; after `=~` and `!~` it is also
 * escaped as a regular expression, so that it stands for itself and nothing else. Outside of strings only `${window}` and
 * `${revision}` are allowed, and only as a duration and a number. Throws TemplateError.
 */
export function expandPromql(template: string, variables: Variables): string {
  let result = "";
  let place: Place = { kind: "bare" };
  for (let i = 0; i < template.length; ) {
    const variable = variableAt(template, i, variables);
    if (variable) {
      result += escapePromql(variable.name, variable.value, place);
      i = variable.end;
      continue;
    }
    const char = template[i] ?? "";
    if (place.kind === "string" && char === "\\" && place.quote !== "`") {
      result += template.slice(i, i + 2);
      i += 2;
      continue;
    }
    place = next(place, char, result);
    result += char;
    i++;
  }
  if (place.kind === "string") throw new TemplateError("the query has a string without an end");
  return result;
}

/** Where the character after `char` stands. */
function next(place: Place, char: string, before: string): Place {
  switch (place.kind) {
    case "comment":
      return char === "\n" ? { kind: "bare" } : place;
    case "string":
      return char === place.quote ? { kind: "bare" } : place;
    case "bare":
      if (char === "#") return { kind: "comment" };
      return char === '"' || char === "'" || char === "`"
        ? { kind: "string", quote: char, pattern: /[=!]~\s*$/.test(before) }
        : place;
  }
}

function variableAt(
  template: string,
  at: number,
  variables: Variables,
): { name: string; value: string; end: number } | undefined {
  if (!template.startsWith("${", at)) return undefined;
  VARIABLE.lastIndex = at;
  const match = VARIABLE.exec(template);
  if (!match) throw new TemplateError("a ${ has no }");
  const name = NAMES.find((known) => known === match[1]);
  if (!name) throw new TemplateError(`unknown variable \${${(match[1] ?? "").slice(0, 40)}}; known are ${NAMES.join(", ")}`);
  // A lone surrogate has no UTF-8 and could not be sent.
  const value = variables[name].toWellFormed();
  if (value.length > MAX_VALUE) throw new TemplateError(`the value of \${${name}} is longer than ${MAX_VALUE} characters`);
  return { name, value, end: VARIABLE.lastIndex };
}

function escapePromql(name: string, value: string, place: Place): string {
  if (place.kind === "comment") return "";
  if (place.kind === "bare") {
    if (name === "window" && durationMs(value)) return value;
    if (name === "revision" && /^\d{1,15}$/.test(value)) return value;
    if (name === "window" || name === "revision")
      throw new TemplateError(`the value of \${${name}} is not a ${name === "window" ? "duration" : "number"}`);
    throw new TemplateError(`\${${name}} must stand in quotes, such as label="\${${name}}"`);
  }
  const text = place.pattern ? escapePattern(value) : value;
  if (place.quote === "`") {
    if (/[`\u0000-\u001f]/.test(text)) throw new TemplateError(`the value of \${${name}} can't stand in a string in backquotes`);
    return text;
  }
  return escapeString(text, place.quote);
}

/** As RE2's QuoteMeta. */
function escapePattern(value: string): string {
  return value.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}

function escapeString(value: string, quote: string): string {
  return value
    .replaceAll("\\", "\\\\")
    .replaceAll(quote, `\\${quote}`)
    .replace(/[\u0000-\u001f\u007f\u2028\u2029]/g, (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`);
}

/**
 * Expands `${…}` in a URL's path and query: each value is percent-encoded. Throws TemplateError.
 * A value of dots could still climb to a parent folder: refuse such segments afterwards.
 */
export function expandUrl(template: string, variables: Variables): string {
  let result = "";
  for (let i = 0; i < template.length; ) {
    const variable = variableAt(template, i, variables);
    result += variable ? encode(variable.value) : template[i];
    i = variable ? variable.end : i + 1;
  }
  return result;
}

function encode(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Expands `${…}` in JSONPath; each must stand in a quoted string. Throws TemplateError. */
export function expandJsonPath(template: string, variables: Variables): string {
  let quote = "";
  let result = "";
  for (let i = 0; i < template.length; ) {
    const variable = variableAt(template, i, variables);
    const char = template[i] ?? "";
    if (variable) {
      if (quote === "") throw new TemplateError(`\${${variable.name}} must stand in quotes, such as $['\${${variable.name}}']`);
      result += escapeString(variable.value, quote);
      i = variable.end;
    } else if (quote !== "" && char === "\\") {
      result += template.slice(i, i + 2);
      i += 2;
    } else {
      if (quote === "" && (char === '"' || char === "'")) quote = char;
      else if (char === quote) quote = "";
      result += char;
      i++;
    }
  }
  return result;
}
