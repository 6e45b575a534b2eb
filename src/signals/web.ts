// A number out of a JSON document over HTTP: a query is `<path>#<JSONPath>`, relative to the source's address. Without a
// JSONPath the source's own is taken.

import { type JsonValue, query as select } from "jsonpath-rfc9535";
import { unlessAborted } from "./coalesce.ts";
import { Endpoint } from "./endpoint.ts";
import type { HttpAnswer } from "./http.ts";
import { parseNumber } from "./promql/literals.ts";
import { type Answer, fromNumber, readWith } from "./reading.ts";
import { expandJsonPath, expandUrl, TemplateError } from "./template.ts";
import type { Query, Source, SourceDeps, SourceSpec, Variables } from "./types.ts";

const MAX_BODY_BYTES = 256 * 1024;
const MAX_PATH = 1024;

/** Throws SpecError. */
export function webSource(spec: SourceSpec, deps: SourceDeps): Source {
  const endpoint = new Endpoint(spec, { maxBodyBytes: MAX_BODY_BYTES, ...deps });
  const { valuePath = "$.value", timePath } = spec.web ?? {};
  const ask = async (query: Query, template: string, freshness: boolean): Promise<Answer> => {
    let split: { path: string; expression: string };
    try {
      split = splitQuery(template, query.variables, valuePath);
    } catch (error) {
      if (error instanceof TemplateError) return endpoint.error(error.message);
      throw error;
    }
    const url = new URL(endpoint.address);
    const [path, search] = cut(split.path, "?");
    url.pathname = url.pathname.replace(/\/+$/, "") + path;
    url.search = search;
    if (spec.tenancy) url.searchParams.set(spec.tenancy.queryParameter, query.variables.namespace);
    return endpoint.ask(url.href, { method: "GET", url }, (answer, now) => interpret(answer, now, split.expression, freshness));
  };
  return {
    read(asked, signal) {
      const document = cut(asked.kind === "ratio" ? asked.denominator : asked.query, "#")[0];
      const query = timePath === undefined ? asked : { freshness: `${document}#${timePath}`, ...asked };
      const asks = (text: string) => ask(query, text, text === query.freshness);
      return unlessAborted(readWith(asks, query, endpoint.now), signal);
    },
    close: () => endpoint.close(),
  };
}

function cut(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** Throws TemplateError for what is not `<path>#<JSONPath>`, leaves the address, or could take long to evaluate. */
export function splitQuery(template: string, variables: Variables, valuePath: string): { path: string; expression: string } {
  const [rawPath, ownExpression] = cut(template.trim(), "#");
  const rawExpression = ownExpression === "" ? valuePath : ownExpression;
  const path = expandUrl(rawPath, variables);
  const expression = expandJsonPath(rawExpression, variables);
  if (path !== "" && !/^[/?]/.test(path))
    throw new TemplateError("a query of a Web source is <path>#<JSONPath>, and the path must begin with /");
  const segments = cut(path, "?")[0].split(/[/\\]/);
  // The query is a tenant's, the address the administrator's: a path must not climb out of it.
  if (segments.some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment.replace(/[\t\r\n]/g, "")))) {
    throw new TemplateError("the path of a query must not have . or .. as a segment");
  }
  bounded(expression);
  return { path, expression };
}

/**
 * Refuses what makes the cost of an expression more than the document's size times a small number: one value is meant, so
 * there is no need for lists of selectors, a second descent, other roots in filters, or the regular expressions of match().
 */
function bounded(expression: string): void {
  const bare = expression.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, "''");
  if (expression.length > MAX_PATH) throw new TemplateError(`the JSONPath is longer than ${MAX_PATH} characters`);
  if (bare.includes(",")) throw new TemplateError("the JSONPath must have no comma (no lists of selectors, match() or search())");
  if (bare.split("..").length > 2) throw new TemplateError("the JSONPath must have at most one ..");
  if (bare.split("$").length > 2) throw new TemplateError("the JSONPath must have one $, at its beginning");
  if (bare.split("?").length > 3 || bare.split("*").length > 5)
    throw new TemplateError("the JSONPath has too many filters or wildcards");
}

function interpret(answer: HttpAnswer, now: number, expression: string, freshness: boolean): Answer {
  const error = (message: string): Answer => ({ kind: "Error", at: now, message });
  if (answer.status < 200 || answer.status > 299) return error(`HTTP ${answer.status}`);
  if (answer.body === "") return error(`HTTP ${answer.status} with an empty body`);
  let document: JsonValue;
  try {
    document = JSON.parse(answer.body);
  } catch {
    const html = answer.contentType.includes("html") || /^\s*</.test(answer.body);
    return error(html ? "the answer is HTML, not JSON" : "the answer is not JSON, or cut off");
  }
  let found: readonly JsonValue[];
  try {
    found = select(document, expression);
  } catch {
    return error("the JSONPath can't be evaluated");
  }
  const [first] = found;
  // null is how JSON says that there is no value.
  if (first === undefined || (found.length === 1 && first === null))
    return { kind: "Empty", at: now, message: "nothing at the JSONPath" };
  if (found.length > 1) return { kind: "TooManySeries", at: now, message: `${found.length} values where one is meant` };
  const value = typeof first === "number" ? first : typeof first === "string" ? textValue(first, freshness) : undefined;
  if (value === undefined) return error("the value at the JSONPath is not a number");
  return fromNumber(value, now);
}

function textValue(text: string, freshness: boolean): number | undefined {
  const value = parseNumber(text.trim());
  if (value !== undefined || !freshness) return value;
  // A time may also be written as RFC 3339.
  const ms = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms / 1000;
}
