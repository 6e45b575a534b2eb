// The probe inference: one real request to a candidate's pod, whose answer is held against what the deployment expects.

import { type JsonValue, query as select } from "jsonpath-rfc9535";
import { Agent, type Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import { sanitizeLine } from "../text.ts";
import { exchange, HttpFailure } from "./http.ts";

export interface ProbeRequest {
  path: string;
  method: "GET" | "POST" | "PUT";
  headers: readonly { name: string; value: string }[];
  body?: string;
  timeoutMs: number;
  expect: { status: number; jsonPath?: string; min?: number; max?: number };
}

/** What one attempt gave. */
export type ProbeAnswer =
  | { outcome: "Passed"; message: string }
  /** It answered, and not as expected: the model's fault. */
  | { outcome: "Failed"; message: string }
  /** No answer at all: may be tried again. */
  | { outcome: "NoAnswer"; message: string };

const MAX_ANSWER_BYTES = 1_048_576;

/** Connections of probes; one for an operator. */
export function probeDispatcher(): Agent {
  return new Agent({ keepAliveTimeout: 1000, connections: 4 });
}

/** Asks one pod once. Never rejects but for the signal. */
export async function askProbe(
  request: ProbeRequest,
  target: { ip: string; port: number },
  deps: { dispatcher: Dispatcher; clock: Clock },
  signal?: AbortSignal,
): Promise<ProbeAnswer> {
  const host = target.ip.includes(":") ? `[${target.ip}]` : target.ip;
  try {
    const answer = await exchange(deps.dispatcher, deps.clock, {
      method: request.method,
      url: new URL(`http://${host}:${target.port}${request.path}`),
      headers: Object.fromEntries(request.headers.map(({ name, value }) => [name, value])),
      ...(request.body === undefined ? {} : { body: request.body }),
      timeoutMs: request.timeoutMs,
      maxBodyBytes: MAX_ANSWER_BYTES,
      signal: signal ?? new AbortController().signal,
    });
    return judge(request, answer.status, answer.body);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    return {
      outcome: "NoAnswer",
      message: sanitizeLine(
        `the probe got no answer: ${error instanceof HttpFailure ? error.message : "the request failed"}`,
        256,
      ),
    };
  }
}

function judge(request: ProbeRequest, status: number, body: string): ProbeAnswer {
  const { expect } = request;
  if (status !== expect.status)
    return { outcome: "Failed", message: `the probe was answered with HTTP ${status}, not ${expect.status}` };
  if (expect.jsonPath === undefined) return { outcome: "Passed", message: `HTTP ${status}` };
  let found: JsonValue[];
  try {
    found = select(JSON.parse(body) as JsonValue, expect.jsonPath);
  } catch {
    return { outcome: "Failed", message: "the probe's answer is no JSON, or expect.jsonPath is no JSONPath" };
  }
  const value = found[0];
  if (found.length !== 1 || typeof value !== "number" || !Number.isFinite(value)) {
    return { outcome: "Failed", message: `the probe's answer has no single number at ${sanitizeLine(expect.jsonPath, 128)}` };
  }
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = expect;
  if (value < min || value > max)
    return { outcome: "Failed", message: `the probe's answer ${value} is not within ${min} to ${max}` };
  return { outcome: "Passed", message: `the probe's answer is ${value}` };
}
