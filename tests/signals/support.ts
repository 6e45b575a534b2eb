// Queries and sources for the tests of signals/.

import { systemClock } from "../../src/clock.ts";
import { createSource } from "../../src/signals/createsource.ts";
import type { PodTarget, Query, Source, SourceDeps, SourceSpec, Variables } from "../../src/signals/types.ts";

export const VARIABLES: Variables = {
  namespace: "fraud",
  name: "scorer",
  version: "scorer-2.1.0",
  revision: "7",
  window: "1m",
  workload: "scorer-r7",
};

export function scalar(query: string, more: Partial<Query> = {}): Query {
  return { kind: "scalar", query, windowMs: 60_000, variables: VARIABLES, pods: [], ...more } as Query;
}

export function ratio(numerator: string, denominator: string, more: Partial<Query> = {}): Query {
  return { kind: "ratio", numerator, denominator, windowMs: 60_000, variables: VARIABLES, pods: [], ...more } as Query;
}

export function pod(port: number, name = "scorer-r7-abc"): PodTarget {
  return { name, ip: "127.0.0.1", port };
}

export function source(spec: SourceSpec, deps: Partial<SourceDeps> = {}): Source {
  const secret = (name: string, key: string) => Promise.reject(new Error(`no secret ${name}/${key}`));
  return createSource(spec, { secret, clock: systemClock, ...deps });
}

/** The body of an answer to /api/v1/query, with the time of evaluation in seconds. */
export function success(resultType: string, result: unknown): string {
  return JSON.stringify({ status: "success", data: { resultType, result } });
}

/** One series with a value. */
export function one(value: string | number, at = Date.now() / 1000): string {
  return success("vector", [{ metric: {}, value: [at, String(value)] }]);
}
