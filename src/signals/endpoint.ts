// What Prometheus and Web sources share: one server at a fixed address, its credentials and its TLS, one lane of requests.

import { Agent, type Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import { Coalescer } from "./coalesce.ts";
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
  #agent: { ca: string | undefined; dispatcher: Dispatcher } | undefined;
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
    this.#agent?.dispatcher.destroy().catch(() => {});
    this.#agent = undefined;
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
    const { headers, ca } = await this.#credentials();
    this.#deps.onQuery?.();
    return exchange(this.#dispatcher(ca), this.#clock, {
      url: request.url,
      method: request.method,
      headers: { ...headers, ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
      timeoutMs: request.timeoutMs ?? this.timeoutMs,
      maxBodyBytes: this.#deps.maxBodyBytes ?? DEFAULT_BODY_BYTES,
      signal: this.#closed.signal,
    });
  }

  /** Read anew for each request, so that a rotated token is used at once. */
  async #credentials(): Promise<{ headers: Record<string, string>; ca: string | undefined }> {
    const { auth, tls } = this.#spec;
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(this.#spec.headers ?? {})) headers[name.toLowerCase()] = value;
    // Headers may hold a key as well.
    const secrets = Object.values(headers).filter((value) => value.length >= 8);
    if (auth) {
      const secret = (await this.#secret(auth.secretRef)).trim();
      if (secret === "") throw new HttpFailure(`the secret ${auth.secretRef.name} has an empty ${auth.secretRef.key}`, false);
      if (!/^[\u0020-\u007e]+$/.test(secret))
        throw new HttpFailure(`the secret ${auth.secretRef.name} can't be sent as a header`, false);
      const basic = Buffer.from(secret).toString("base64");
      headers.authorization = auth.type === "Basic" ? `Basic ${basic}` : `Bearer ${secret}`;
      secrets.push(secret, basic, ...(auth.type === "Basic" ? [secret.slice(secret.indexOf(":") + 1)] : []));
    }
    this.#secrets = secrets;
    return { headers, ca: tls?.caRef ? await this.#secret(tls.caRef) : undefined };
  }

  async #secret({ name, key }: { name: string; key: string }): Promise<string> {
    // A reader that hangs would hold its place in the lane for good.
    let timer: { cancel(): void } | undefined;
    try {
      return await Promise.race([
        this.#deps.secret(name, key),
        new Promise<never>((_, reject) => {
          timer = this.#clock.after(this.timeoutMs, () => reject(new Error("late")));
        }),
      ]);
    } catch {
      // The reason may hold what was read.
      throw new HttpFailure(`the secret ${name} (key ${key}) can't be read`, false);
    } finally {
      timer?.cancel();
    }
  }

  #dispatcher(ca: string | undefined): Dispatcher {
    if (this.#deps.dispatcher) return this.#deps.dispatcher;
    if (this.#agent?.ca === ca && this.#agent) return this.#agent.dispatcher;
    this.#agent?.dispatcher.close().catch(() => {});
    const dispatcher = new Agent({ connect: { timeout: this.timeoutMs, ...(ca === undefined ? {} : { ca }) } });
    this.#agent = { ca, dispatcher };
    return dispatcher;
  }
}
