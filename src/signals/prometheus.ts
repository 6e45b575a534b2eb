// A Prometheus server, or anything that speaks its HTTP API (Thanos, Mimir, VictoriaMetrics, a proxy that enforces tenants):
// instant queries, each with exactly one Reading kind for every shape of answer.

import { unlessAborted } from "./coalesce.ts";
import { Endpoint } from "./endpoint.ts";
import type { HttpAnswer } from "./http.ts";
import { parseNumber } from "./promql/literals.ts";
import { type Answer, fromNumber, readWith } from "./reading.ts";
import { expandPromql, TemplateError } from "./template.ts";
import type { Query, Source, SourceDeps, SourceSpec } from "./types.ts";

/** Throws SpecError. */
export function prometheusSource(spec: SourceSpec, deps: SourceDeps): Source {
  const endpoint = new Endpoint(spec, deps);
  const ask = async (query: Query, template: string, at?: number): Promise<Answer> => {
    let text: string;
    try {
      text = expandPromql(template, query.variables);
    } catch (error) {
      if (error instanceof TemplateError) return endpoint.error(error.message);
      throw error;
    }
    const url = new URL(endpoint.address);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v1/query`;
    // In the URL, not in the body: that is where proxies that enforce a tenant look.
    if (spec.tenancy) url.searchParams.set(spec.tenancy.queryParameter, query.variables.namespace);
    const form = new URLSearchParams({ query: text });
    if (at !== undefined) form.set("time", (at / 1000).toFixed(3));
    const request = {
      method: "POST" as const,
      url,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    };
    return endpoint.ask(`${url.search}\n${request.body}`, request, interpret);
  };
  return {
    read: (query, signal) =>
      unlessAborted(
        readWith((text, at) => ask(query, text, at), query, endpoint.now),
        signal,
      ),
    close: () => endpoint.close(),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The answer to /api/v1/query → what it says. `now` is used where it names no time of its own. */
export function interpret(answer: HttpAnswer, now: number): Answer {
  const error = (message: string): Answer => ({ kind: "Error", at: now, message });
  const status = `HTTP ${answer.status}`;
  let body: unknown;
  try {
    body = JSON.parse(answer.body);
  } catch {
    if (answer.status < 200 || answer.status > 299) return error(status);
    if (answer.body === "") return error(`${status} with an empty body`);
    const html = answer.contentType.includes("html") || /^\s*</.test(answer.body);
    return error(html ? "the answer is HTML, not JSON" : "the answer is not JSON, or cut off");
  }
  if (!isRecord(body)) return error("the answer is JSON, but not Prometheus'");
  if (body.status === "error" || answer.status < 200 || answer.status > 299) {
    const [type, words] = [body.errorType, body.error].map((part) => (typeof part === "string" ? part : ""));
    return error(`${status}${type ? `, ${type}` : ""}${words ? `: ${words}` : ""}`);
  }
  const data = body.data;
  if (body.status !== "success" || !isRecord(data)) return error("the answer is JSON, but not Prometheus'");
  switch (data.resultType) {
    case "scalar":
      return sample(data.result, now);
    case "vector":
      return Array.isArray(data.result) ? vector(data.result, now) : error("the answer's result is not a list");
    case "matrix":
      return error("the query gives a range (matrix), not one number");
    case "string":
      return error("the query gives a string, not a number");
    default:
      return error("the answer has no known result type");
  }
}

function vector(result: readonly unknown[], now: number): Answer {
  const [first] = result;
  if (result.length === 0) return { kind: "Empty", at: now, message: "no series" };
  if (!isRecord(first)) return { kind: "Error", at: now, message: "the answer's series is not an object" };
  const at = timeOf(first.value) ?? now;
  if (result.length > 1) return { kind: "TooManySeries", at, message: `${result.length} series where one is meant` };
  if (first.value === undefined && first.histogram !== undefined) {
    return { kind: "Error", at: now, message: "the query gives a native histogram, not a number" };
  }
  return sample(first.value, now);
}

/** [seconds since the epoch, "number"] */
function sample(pair: unknown, now: number): Answer {
  const at = timeOf(pair);
  const text: unknown = Array.isArray(pair) ? pair[1] : undefined;
  const value = typeof text === "string" ? parseNumber(text) : undefined;
  if (at === undefined || value === undefined || !Array.isArray(pair) || pair.length !== 2) {
    return { kind: "Error", at: now, message: "the answer's sample is not a time and a number" };
  }
  return fromNumber(value, at);
}

function timeOf(pair: unknown): number | undefined {
  const seconds: unknown = Array.isArray(pair) ? pair[0] : undefined;
  return typeof seconds === "number" && Number.isFinite(seconds) ? Math.round(seconds * 1000) : undefined;
}
