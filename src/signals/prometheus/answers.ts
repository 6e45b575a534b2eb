// What an answer of Prometheus' HTTP API says: of an instant query, of a range query, and of many queries that were asked
// as one. Every shape of answer is exactly one kind.

import type { HttpAnswer } from "../http.ts";
import { parseNumber } from "../promql/literals.ts";
import { type Answer, fromNumber } from "../reading.ts";

/** A range's answers by their times, ms epoch; a time that is missing had no point. */
export type Points = ReadonlyMap<number, Answer>;

interface Result {
  type: unknown;
  result: unknown;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The result in an answer, or the Error that the answer amounts to. */
function resultOf(answer: HttpAnswer, now: number): Result | Answer {
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
  return { type: data.resultType, result: data.result };
}

/** The answer to /api/v1/query → what it says. `now` is used where it names no time of its own. */
export function interpret(answer: HttpAnswer, now: number): Answer {
  const error = (message: string): Answer => ({ kind: "Error", at: now, message });
  const found = resultOf(answer, now);
  if ("kind" in found) return found;
  switch (found.type) {
    case "scalar":
      return sample(found.result, now);
    case "vector":
      return Array.isArray(found.result) ? vector(found.result, now) : error("the answer's result is not a list");
    case "matrix":
      return error("the query gives a range (matrix), not one number");
    case "string":
      return error("the query gives a string, not a number");
    default:
      return error("the answer has no known result type");
  }
}

/** The answer to many queries that were asked as one → the series of each by its mark, or undefined where it is no such answer. */
function marked(answer: HttpAnswer, now: number, type: string, label: string): Map<string, unknown[]> | undefined {
  const found = resultOf(answer, now);
  if ("kind" in found || found.type !== type || !Array.isArray(found.result)) return undefined;
  const groups = new Map<string, unknown[]>();
  for (const series of found.result) {
    const mark = isRecord(series) && isRecord(series.metric) ? series.metric[label] : undefined;
    if (typeof mark !== "string") return undefined;
    const group = groups.get(mark);
    if (group) group.push(series);
    else groups.set(mark, [series]);
  }
  return groups;
}

/**
 * The answers to the queries of a group at one time, by their marks, each as if it had been asked alone; a mark that is
 * missing had no series. Undefined: the group as a whole has no answer.
 */
export function interpretGroup(answer: HttpAnswer, now: number, label: string): Map<string, Answer> | undefined {
  const groups = marked(answer, now, "vector", label);
  return groups && new Map([...groups].map(([mark, series]) => [mark, vector(series, now)]));
}

/** As `interpretGroup`, over a range. */
export function interpretGroupRange(answer: HttpAnswer, now: number, label: string): Map<string, Points> | undefined {
  const groups = marked(answer, now, "matrix", label);
  if (!groups) return undefined;
  const result = new Map<string, Points>();
  for (const [mark, series] of groups) {
    const points = matrix(series, now);
    if ("kind" in points) return undefined;
    result.set(mark, points);
  }
  return result;
}

/** The answer to /api/v1/query_range → the points of the one series that is meant, or why there is none. */
export function interpretRange(answer: HttpAnswer, now: number): Points | Answer {
  const error = (message: string): Answer => ({ kind: "Error", at: now, message });
  const found = resultOf(answer, now);
  if ("kind" in found) return found;
  if (found.type !== "matrix") return error("the answer to a range query is not a range (matrix)");
  return Array.isArray(found.result) ? matrix(found.result, now) : error("the answer's result is not a list");
}

/** A time at which several series have a point is TooManySeries, as it is for an instant query. */
function matrix(result: readonly unknown[], now: number): Points | Answer {
  const counts = new Map<number, number>();
  const points = new Map<number, Answer>();
  const error = (message: string): Answer => ({ kind: "Error", at: now, message });
  for (const series of result) {
    if (!isRecord(series)) return error("the answer's series is not an object");
    const values = series.values ?? [];
    const histograms = series.histograms ?? [];
    if (!Array.isArray(values) || !Array.isArray(histograms)) return error("the answer's values are not a list");
    for (const [pairs, native] of [
      [values, false],
      [histograms, true],
    ] as const) {
      for (const pair of pairs) {
        const at = timeOf(pair);
        const answer = sample(pair, now);
        if (at === undefined || (!native && answer.kind === "Error"))
          return error("the answer's sample is not a time and a number");
        const count = (counts.get(at) ?? 0) + 1;
        counts.set(at, count);
        if (count > 1) points.set(at, { kind: "TooManySeries", at, message: `${count} series where one is meant` });
        else points.set(at, native ? { kind: "Error", at, message: NATIVE } : answer);
      }
    }
  }
  return points;
}

const NATIVE = "the query gives a native histogram, not a number";

function vector(result: readonly unknown[], now: number): Answer {
  const [first] = result;
  if (result.length === 0) return { kind: "Empty", at: now, message: "no series" };
  if (!isRecord(first)) return { kind: "Error", at: now, message: "the answer's series is not an object" };
  const at = timeOf(first.value) ?? now;
  if (result.length > 1) return { kind: "TooManySeries", at, message: `${result.length} series where one is meant` };
  if (first.value === undefined && first.histogram !== undefined) return { kind: "Error", at: now, message: NATIVE };
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
