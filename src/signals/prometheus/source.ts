// A Prometheus server, or anything that speaks its HTTP API (Thanos, Mimir, VictoriaMetrics, a proxy that enforces tenants):
// instant and range queries, gathered, each with exactly one Reading kind for every shape of answer.

import { unlessAborted } from "../coalesce.ts";
import { DEFAULT_COALESCE_MS, Endpoint } from "../endpoint.ts";
import { type Answer, asReading, MAX_SKEW_MS, readWith, skewed } from "../reading.ts";
import { expandPromql, TemplateError } from "../template.ts";
import type { Query, RangeSpan, Reading, Source, SourceDeps, SourceSpec } from "../types.ts";
import { interpret, interpretGroup, interpretGroupRange, interpretRange, type Points } from "./answers.ts";
import { Gatherer, requestOf, type Target } from "./gather.ts";

const DEFAULT_GATHER_MS = 25;
/** What Prometheus gives of one series at most. */
const MAX_POINTS = 11_000;

/** Each text of a query as written → as asked. */
type Texts = ReadonlyMap<string, string>;

/** Throws SpecError. */
export function prometheusSource(spec: SourceSpec, deps: SourceDeps): Source {
  const endpoint = new Endpoint(spec, deps);
  const common = {
    endpoint,
    clock: deps.clock,
    gatherMs: deps.gatherMs ?? DEFAULT_GATHER_MS,
    coalesceMs: deps.coalesceMs ?? DEFAULT_COALESCE_MS,
  };
  const instants = new Gatherer<Answer>({ ...common, interpret: interpretGroup, none: (at) => empty(at) });
  const ranges = new Gatherer<Points>({ ...common, interpret: interpretGroupRange, none: () => new Map() });

  const targetOf = (query: Query, path: string, form: Record<string, string>, points: number): Target => {
    const url = new URL(endpoint.address);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v1/${path}`;
    // In the URL, not in the body: that is where proxies that enforce a tenant look.
    if (spec.tenancy) url.searchParams.set(spec.tenancy.queryParameter, query.variables.namespace);
    return { url, form, points };
  };

  const ask = (query: Query, text: string, at?: number): Promise<Answer> => {
    const target = targetOf(query, "query", at === undefined ? {} : { time: seconds(at) }, 1);
    const request = requestOf(target, text);
    return endpoint.ask(`${target.url.href}\n${request.body}`, request, interpret);
  };

  const read = async (query: Query): Promise<Reading> => {
    const texts = textsOf(query, endpoint);
    if ("kind" in texts) return asReading(texts);
    const together = await instants.ask(targetOf(query, "query", {}, 1), texts);
    if ("failure" in together) return asReading(together.failure);
    if ("answers" in together) {
      const { answers } = together;
      const answer = (text: string) => endpoint.clean(answers.get(texts.get(text) ?? "") ?? empty(endpoint.now()));
      return readWith((text) => Promise.resolve(answer(text)), query, endpoint.now);
    }
    const reading = await readWith((text, at) => ask(query, texts.get(text) ?? text, at), query, endpoint.now);
    if (together.suspect && reading.kind === "Error") instants.setApart(texts.values());
    return reading;
  };

  /** The points of each text, or the first Error. */
  const pointsOf = async (query: Query, texts: Texts, span: RangeSpan): Promise<ReadonlyMap<string, Points> | Answer> => {
    const form = { start: seconds(span.fromMs), end: seconds(span.toMs), step: seconds(span.stepMs) };
    const target = targetOf(query, "query_range", form, stepsOf(span));
    const together = await ranges.ask(target, texts);
    if ("failure" in together) return together.failure;
    if ("answers" in together) return together.answers;
    const found = new Map<string, Points>();
    for (const text of new Set(texts.values())) {
      const request = requestOf(target, text);
      const outcome = await endpoint.fetch(`${target.url.href}\n${request.body}`, request);
      const points = "failure" in outcome ? endpoint.error(outcome.failure) : interpretRange(outcome.answer, outcome.at);
      if ("kind" in points) {
        if (together.suspect) ranges.setApart(texts.values());
        return endpoint.clean(points);
      }
      found.set(text, points);
    }
    return found;
  };

  const readRange = async (query: Query, span: RangeSpan): Promise<Reading[]> => {
    const texts = textsOf(query, endpoint);
    if ("kind" in texts) return [asReading(texts)];
    // A range that reaches to now is asked by our clock; a server whose clock is off would answer for other times.
    if (endpoint.now() - span.toMs < MAX_SKEW_MS) {
      const clock = await ask(query, "time()");
      const off = clock.kind === "Value" ? skewed(asReading(clock), endpoint.now()) : asReading(clock);
      if (off) return [off];
    }
    const readings: Reading[] = [];
    for (const part of partsOf(span)) {
      const found = await pointsOf(query, texts, part);
      if ("kind" in found) return [asReading(found)];
      for (const at of timesOf(part, [...found.values()])) {
        const answer = (text: string) => endpoint.clean(found.get(texts.get(text) ?? "")?.get(at) ?? empty(at));
        readings.push(
          await readWith(
            (text) => Promise.resolve(answer(text)),
            query,
            () => at,
          ),
        );
      }
    }
    return readings;
  };

  return {
    read: (query, signal) => unlessAborted(read(query), signal),
    readRange: (query, span, signal) => unlessAborted(readRange(query, span), signal),
    close: () => endpoint.close(),
  };
}

function empty(at: number): Answer {
  return { kind: "Empty", at, message: "no series" };
}

function textsOf(query: Query, endpoint: Endpoint): Texts | Answer {
  const written = query.kind === "ratio" ? [query.denominator, query.numerator] : [query.query];
  if (query.freshness !== undefined) written.push(query.freshness);
  try {
    return new Map(written.map((text) => [text, expandPromql(text, query.variables)]));
  } catch (error) {
    if (error instanceof TemplateError) return endpoint.error(error.message);
    throw error;
  }
}

function stepsOf({ fromMs, toMs, stepMs }: RangeSpan): number {
  return Math.floor((toMs - fromMs) / stepMs) + 1;
}

/** Spans that one request may ask for. */
function partsOf(span: RangeSpan): RangeSpan[] {
  const { fromMs, toMs, stepMs } = span;
  const lengthMs = MAX_POINTS * stepMs;
  const count = Math.max(Math.ceil(stepsOf(span) / MAX_POINTS), 0);
  return Array.from({ length: count }, (_, index) => {
    const start = fromMs + index * lengthMs;
    return { fromMs: start, toMs: Math.min(start + lengthMs - stepMs, toMs), stepMs };
  });
}

/** The times of a span; where the server shifted them to multiples of the step, those that it took. */
function timesOf(span: RangeSpan, points: readonly Points[]): number[] {
  const { fromMs, stepMs } = span;
  const first = points.map((one) => one.keys().next().value).find((at) => at !== undefined) ?? fromMs;
  const shift = (((fromMs - first) % stepMs) + stepMs) % stepMs;
  return Array.from({ length: stepsOf(span) }, (_, index) => fromMs - shift + index * stepMs);
}

/** As Prometheus writes times and steps. */
function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}
