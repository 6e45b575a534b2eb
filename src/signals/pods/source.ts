// A metrics server is not needed: scrapes the pods of the judged revision and evaluates the same query text as Prometheus
// would, over what was scraped. Pods are connected to by the IP and port that the operator gives, and by nothing else.

import { isIP } from "node:net";
import { Agent, type Dispatcher } from "undici";
import { unlessAborted } from "../coalesce.ts";
import { SpecError, steadyNow, timeoutOf } from "../endpoint.ts";
import { exchange, HttpFailure } from "../http.ts";
import { Lane, LaneFull } from "../lane.ts";
import { type Expr, QueryError, selectorsOf } from "../promql/ast.ts";
import { evaluate } from "../promql/evaluate.ts";
import { durationMs } from "../promql/literals.ts";
import { parseQuery } from "../promql/parse.ts";
import { type Answer, cleanMessage, fromNumber, readWith } from "../reading.ts";
import { expandPromql, TemplateError } from "../template.ts";
import type { PodTarget, Query, Reading, Source, SourceDeps, SourceSpec } from "../types.ts";
import { ExpositionError, isCutOff, parseExposition } from "./exposition.ts";
import { instanceOf, type Round, type ScrapeResult, Workload } from "./workload.ts";

const DEFAULT_BODY_BYTES = 4 * 1024 * 1024;
const DEFAULT_CONCURRENCY = 8;
const MAX_CONCURRENCY = 256;
const MAX_NAMED_PODS = 3;
const ACCEPT = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5";

/** Throws SpecError. */
export function podsSource(spec: SourceSpec, deps: SourceDeps): Source {
  const { clock } = deps;
  const now = steadyNow(deps);
  const timeoutMs = timeoutOf(spec);
  const intervalMs = durationMs(spec.pods?.interval ?? "15s");
  if (!intervalMs) throw new SpecError("pods.interval is not a duration");
  const closed = new AbortController();
  // A connection for each scrape: a pod that ends, or drains, has no idle connection to be cut.
  const dispatcher: Dispatcher = deps.dispatcher ?? new Agent({ pipelining: 0, connect: { timeout: timeoutMs } });
  const all = new Lane({ clock, concurrency: MAX_CONCURRENCY, maxWaitMs: timeoutMs, maxWaiting: 4096 });
  const workloads = new Map<string, Workload>();
  const inTurn = turns();

  const workloadOf = (query: Query): Workload => {
    const { namespace, workload } = query.variables;
    const key = JSON.stringify([namespace, workload]);
    const known = workloads.get(key);
    if (known) return known;
    for (const [other, entry] of workloads) {
      if (entry.idle) {
        entry.close();
        workloads.delete(other);
      }
    }
    const lane = new Lane({
      clock,
      concurrency: deps.concurrency ?? DEFAULT_CONCURRENCY,
      maxWaitMs: timeoutMs,
      maxWaiting: 4096,
    });
    const scrape = async (target: PodTarget, wanted: (metric: string) => boolean, limitMs: number): Promise<ScrapeResult> => {
      try {
        const request = { timeoutMs: limitMs, maxBodyBytes: deps.maxBodyBytes ?? DEFAULT_BODY_BYTES, signal: closed.signal };
        const body = await lane.run(() => all.run(() => scrapePod(dispatcher, clock, target, request)));
        return { samples: await inTurn(() => parseExposition(body, wanted)) };
      } catch (error) {
        const known = error instanceof HttpFailure || error instanceof ExpositionError || error instanceof LaneFull;
        return { failure: known ? error.message : "the scrape failed" };
      }
    };
    const created = new Workload({
      namespace,
      clock,
      now,
      timeoutMs,
      intervalMs,
      scrape,
      ...(deps.coalesceMs === undefined ? {} : { reuseMs: deps.coalesceMs }),
    });
    workloads.set(key, created);
    return created;
  };

  const read = async (query: Query): Promise<Reading> => {
    const error = (message: string): Reading => ({ at: now(), kind: "Error", message: cleanMessage(message, []) });
    if (closed.signal.aborted) return error("the source was closed");
    const exprs = new Map<string, Expr>();
    try {
      const texts = query.kind === "ratio" ? [query.denominator, query.numerator] : [query.query];
      for (const text of query.freshness === undefined ? texts : [...texts, query.freshness]) {
        exprs.set(text, parseQuery(expandPromql(text, query.variables)));
      }
    } catch (problem) {
      if (problem instanceof QueryError || problem instanceof TemplateError) return error(problem.message);
      throw problem;
    }
    if (query.pods.length === 0) return { at: now(), kind: "Empty", message: "there is no pod to scrape" };
    const found = await workloadOf(query).read([...exprs.values()], query.pods, query.intervalMs ?? query.windowMs, (round) => ({
      round,
      answers: new Map([...exprs].map(([text, expr]) => [text, answer(expr, round)])),
    }));
    if (!found) return error("the source was closed");
    const { round, answers } = found;
    const leftOut = failuresOf(round);
    if (round.answered === 0) return error(`no pod answered: ${leftOut}`);
    // All of it is of the one round: nothing is asked again.
    const unknown: Answer = { kind: "Error", at: round.at, message: "this query was not asked" };
    const reading = await readWith((text) => Promise.resolve(answers.get(text) ?? unknown), query, now);
    if (leftOut === "") return reading.message ? { ...reading, message: cleanMessage(reading.message, []) } : reading;
    const note = `${round.answered} of ${round.answered + round.failures.length} pods answered; left out: ${leftOut}`;
    return { ...reading, message: cleanMessage(reading.message ? `${reading.message}; ${note}` : note, []) };
  };

  return {
    read: (query, signal) => unlessAborted(read(query), signal),
    close() {
      closed.abort();
      for (const workload of workloads.values()) workload.close();
      workloads.clear();
      if (!deps.dispatcher) dispatcher.destroy().catch(() => {});
    },
  };
}

/** Runs one at a time, each in its own turn of the event loop: what many pods show at the same time must not hold up everything else. */
function turns(): <T>(work: () => T) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(() => new Promise<void>((done) => void setImmediate(done))).then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

function failuresOf(round: Round): string {
  const named = round.failures.slice(0, MAX_NAMED_PODS).map(({ pod, why }) => `${pod} (${why})`);
  const more = round.failures.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/** Evaluates at the time of the round's samples. */
function answer(expr: Expr, round: Round): Answer {
  const at = round.at;
  const gap = uncovered(expr, round);
  if (gap !== undefined) return { kind: "Empty", at, message: gap };
  try {
    const value = evaluate(expr, { samples: round.samples, at, anchorMs: round.anchorMs, minSpanMs: round.minSpanMs });
    if (value.type === "scalar") return fromNumber(value.value, at);
    const [first, ...others] = value.elements;
    if (!first) return { kind: "Empty", at, message: "no series" };
    if (others.length > 0) return { kind: "TooManySeries", at, message: `${others.length + 1} series where one is meant` };
    return fromNumber(first.value, at);
  } catch (error) {
    if (error instanceof QueryError) return { kind: "Error", at, message: error.message };
    throw error;
  }
}

/**
 * Why a range can't be answered yet, or undefined. Without this, `… or vector(0)` would say 0 for what was never measured.
 */
function uncovered(expr: Expr, round: Round): string | undefined {
  for (const { metric, rangeMs } of selectorsOf(expr)) {
    if (rangeMs === undefined) continue;
    if (round.at - rangeMs < round.keptSince) return "the window is longer than what can be kept of so many series and scrapes";
    const start = round.at - rangeMs - round.anchorMs;
    const covered = round.scrapesOf(metric).some((times) => {
      const first = times.find((time) => time >= start);
      const last = times.at(-1);
      return first !== undefined && last !== undefined && last > first && last - first >= round.minSpanMs;
    });
    if (!covered) return "the window is not covered yet: no pod has two scrapes in it that lie apart";
  }
  return undefined;
}

interface Limits {
  timeoutMs: number;
  maxBodyBytes: number;
  signal: AbortSignal;
}

async function scrapePod(dispatcher: Dispatcher, clock: SourceDeps["clock"], target: PodTarget, limits: Limits): Promise<string> {
  const { ip, port, path = "/metrics" } = target;
  if (port === undefined) throw new HttpFailure("it shows no port to scrape", false);
  if (isIP(ip) === 0) throw new HttpFailure("it has no IP address yet", false);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new HttpFailure("its port to scrape is not a port", false);
  const url = new URL(`http://${instanceOf(target)}`);
  const mark = path.indexOf("?");
  url.pathname = mark === -1 ? path : path.slice(0, mark);
  url.search = mark === -1 ? "" : path.slice(mark);
  // No credentials and no headers of the source: a pod is a tenant's.
  const response = await exchange(dispatcher, clock, { url, method: "GET", headers: { accept: ACCEPT }, ...limits });
  if (response.status !== 200) throw new HttpFailure(`HTTP ${response.status}`, false);
  if (isCutOff(response.contentType, response.body)) throw new ExpositionError("the answer is cut off: it has no # EOF");
  return response.body;
}
