// What Prometheus and Web sources share: one server at a fixed address, its credentials and its TLS, one lane of requests.

import type { Clock } from "../clock.ts";
import { hostProblem } from "./addresses.ts";
import { Coalescer } from "./coalesce.ts";
import { Connections, readCredentials } from "./credentials.ts";
import { exchange, type HttpAnswer, HttpFailure } from "./http.ts";
import { Circuit, Lane, LaneFull } from "./lane.ts";
import { durationMs } from "./promql/literals.ts";
import { type Answer, cleanMessage } from "./reading.ts";
import type { SourceDeps, SourceSpec } from "./types.ts";

const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_BODY_BYTES = 1024 * 1024;
const DEFAULT_CONCURRENCY = 8;
/** How long an answer is given again to the same question, ms. */
export const DEFAULT_COALESCE_MS = 200;

/** The spec can't be used; the message says why. */
export class SpecError extends Error {}

/** ms; throws SpecError. */
export function timeoutOf(spec: SourceSpec): number {
  const timeout = spec.timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(spec.timeout);
  if (!timeout) throw new SpecError("timeout is not a duration");
  return timeout;
}

/** The clock's wall time at first, carried on by monotonic time: a step of the wall clock changes nothing. */
export function steadyNow(deps: SourceDeps): () => number {
  if (deps.now) return deps.now;
  const offset = deps.clock.now() - deps.clock.monotonic();
  return () => Math.round(deps.clock.monotonic() + offset);
}

/** http or https and nothing else, without userinfo, query or fragment; throws SpecError. */
export function addressOf(spec: SourceSpec): URL {
  const url = spec.address === undefined ? null : URL.parse(spec.address);
  if (!url) throw new SpecError("address is not a URL");
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new SpecError("address must be http or https");
  if (url.username || url.password) throw new SpecError("address must not hold credentials; use auth.secretRef");
  if (url.search || url.hash) throw new SpecError("address must have no query and no fragment");
  const problem = hostProblem(url);
  if (problem) throw new SpecError(`address must not be ${problem}`);
  return url;
}

export interface EndpointRequest {
  method: "GET" | "POST";
  url: URL;
  headers?: Record<string, string>;
  body?: string;
  /** Default: the source's. */
  timeoutMs?: number;
}

/** What became of a request. `byQuery`: what was asked may be the cause of the failure. */
type Outcome = { answer: HttpAnswer; at: number } | { failure: string; at: number; byQuery: boolean };

export class Endpoint {
  readonly address: URL;
  readonly now: () => number;
  /** Of one request. */
  readonly timeoutMs: number;
  readonly #spec: SourceSpec;
  readonly #deps: SourceDeps;
  readonly #clock: Clock;
  readonly #lane: Lane;
  readonly #circuit: Circuit;
  readonly #closed = new AbortController();
  readonly #outcomes: Coalescer<Outcome>;
  readonly #connections: Connections;
  #secrets: string[] = [];

  /** Throws SpecError. */
  constructor(spec: SourceSpec, deps: SourceDeps) {
    this.address = addressOf(spec);
    this.now = steadyNow(deps);
    this.#spec = spec;
    this.#deps = deps;
    this.#clock = deps.clock;
    this.timeoutMs = timeoutOf(spec);
    this.#lane = new Lane({
      clock: deps.clock,
      concurrency: deps.concurrency ?? DEFAULT_CONCURRENCY,
      maxWaitMs: this.timeoutMs,
      maxWaiting: 512,
    });
    this.#circuit = new Circuit(deps.clock);
    this.#connections = new Connections(this.timeoutMs);
    this.#outcomes = new Coalescer(deps.clock, deps.coalesceMs ?? DEFAULT_COALESCE_MS);
  }

  /**
   * Sends the request and reads the answer; never rejects. Requests with the same key at about the same time are sent once.
   *
   * @param interpret an answer of any status → what it says; it may throw, which is an Error too
   */
  async ask(key: string, request: EndpointRequest, interpret: (answer: HttpAnswer, now: number) => Answer): Promise<Answer> {
    const outcome = await this.fetch(key, request);
    return "failure" in outcome ? this.error(outcome.failure, outcome.at) : this.read(outcome.answer, outcome.at, interpret);
  }

  /** As `ask`, for who has to know more than one answer: what came, uninterpreted and not cleaned. */
  fetch(key: string, request: EndpointRequest): Promise<Outcome> {
    return this.#outcomes.ask(key, () => this.#outcome(request));
  }

  /** What an answer says, cleaned of all that must not be shown. */
  read(answer: HttpAnswer, at: number, interpret: (answer: HttpAnswer, now: number) => Answer): Answer {
    try {
      return this.clean(interpret(answer, at));
    } catch (error) {
      return this.error(`the answer can't be read: ${error instanceof Error ? error.message : "unknown error"}`, at);
    }
  }

  clean(answer: Answer): Answer {
    return answer.message === undefined ? answer : { ...answer, message: cleanMessage(answer.message, this.#secrets) };
  }

  /** As an Error reading's answer, cleaned of all that must not be shown. */
  error(message: string, at = this.now()): Answer {
    return { kind: "Error", at, message: cleanMessage(message, this.#secrets) };
  }

  close(): void {
    this.#closed.abort();
    this.#connections.close();
  }

  async #outcome(request: EndpointRequest): Promise<Outcome> {
    const failed = (failure: string, byQuery = false): Outcome => ({ failure, at: this.now(), byQuery });
    if (this.#closed.signal.aborted) return failed("the source was closed");
    try {
      return await this.#lane.run(async () => {
        const refusal = this.#circuit.refusal();
        if (refusal !== undefined) return failed(refusal);
        const answer = await this.#send(request);
        // Gateways say so for a server that they can't reach; other statuses may be the fault of this query alone.
        if ([429, 502, 503, 504].includes(answer.status)) this.#circuit.failed(`HTTP ${answer.status}`);
        else this.#circuit.succeeded();
        return { answer, at: this.now() };
      });
    } catch (error) {
      if (error instanceof HttpFailure && error.lasting) this.#circuit.failed(error.message);
      if (error instanceof HttpFailure) return failed(error.message, error.byQuery);
      if (error instanceof LaneFull) return failed(error.message);
      return failed("the request can't be made");
    }
  }

  async #send(request: EndpointRequest): Promise<HttpAnswer> {
    // Anew for each request, so that a rotated token is used at once.
    const access = { secret: this.#deps.secret, clock: this.#clock, timeoutMs: this.timeoutMs };
    const { headers, ca, secrets } = await readCredentials(this.#spec, access);
    this.#secrets = secrets;
    this.#deps.onQuery?.();
    return exchange(this.#deps.dispatcher ?? this.#connections.to(ca), this.#clock, {
      url: request.url,
      method: request.method,
      headers: { ...headers, ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
      timeoutMs: request.timeoutMs ?? this.timeoutMs,
      maxBodyBytes: this.#deps.maxBodyBytes ?? DEFAULT_BODY_BYTES,
      signal: this.#closed.signal,
    });
  }
}
