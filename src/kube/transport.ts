// One HTTP exchange with the API server: credentials, the lane, the time limit, the signal, and every failure mapped to an ApiError.
import { type Dispatcher, errors } from "undici";
import type { Clock } from "../clock.ts";
import type { Access } from "./access.ts";
import { ApiError, errorOfAnswer } from "./errors.ts";
import type { ServerTime } from "./servertime.ts";

/**
 * Ordinary calls share a bounded number of places, so that ten thousand passes don't open ten thousand connections.
 * Urgent ones (the lease, a rollback) never wait for a place.
 */
export type Lane = "normal" | "urgent";

export interface Exchange {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path below the server's prefix, beginning with a slash. */
  path: string;
  query?: Record<string, string | undefined>;
  body?: unknown;
  contentType?: string;
  /** For the whole exchange; for a stream until its headers. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  lane?: Lane | undefined;
}

/** Told after every exchange, for metrics: `outcome` is the HTTP status, or the kind of the error where there was none. */
export type OnCall = (call: { method: string; path: string; outcome: string; seconds: number }) => void;

export interface TransportOptions {
  access: Access;
  clock: Clock;
  time: ServerTime;
  userAgent: string;
  /** Ordinary exchanges at once. */
  concurrency: number;
  onCall: OnCall | undefined;
}

/** An answer larger than this is no answer: it would take the process down with it. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

export class Transport {
  #options: TransportOptions;
  #places: Places;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#places = new Places(options.concurrency);
  }

  /** The parsed JSON of a 2xx answer. Throws ApiError, or the reason of `signal` when that aborts. */
  async json(exchange: Exchange): Promise<unknown> {
    const limit = new Limit(this.#options.clock, exchange, this.#options.clock.monotonic());
    const normal = exchange.lane !== "urgent";
    try {
      if (normal) await this.#places.enter(limit.signal);
      try {
        const answer = await this.#send(exchange, limit);
        return await this.#read(answer, limit);
      } finally {
        if (normal) this.#places.leave();
      }
    } catch (error) {
      throw this.#failed(exchange, limit, error);
    } finally {
      limit.end();
    }
  }

  /** The body of a 2xx answer as chunks; the time limit ends with its headers, the signal goes on acting. */
  async *stream(exchange: Exchange): AsyncGenerator<Uint8Array, void, undefined> {
    const limit = new Limit(this.#options.clock, exchange, this.#options.clock.monotonic());
    try {
      const answer = await this.#send(exchange, limit);
      if (answer.statusCode !== 200) await this.#read(answer, limit);
      limit.lift();
      // A destroyed body whose error nobody awaits any more must not become an uncaught one. Leaving the loop destroys it.
      answer.body.on("error", () => {});
      for await (const chunk of answer.body) yield chunk;
    } catch (error) {
      throw this.#failed(exchange, limit, error);
    } finally {
      limit.end();
    }
  }

  async #send(exchange: Exchange, limit: Limit): Promise<Dispatcher.ResponseData> {
    const { access, time, userAgent } = this.#options;
    const { headers, dispatcher } = await limit.race(access.authorize());
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(exchange.query ?? {})) if (value !== undefined) query.set(name, value);
    const search = query.size === 0 ? "" : `?${query}`;
    limit.sentAt = this.#options.clock.monotonic();
    const answer = await limit.race(
      dispatcher.request({
        origin: access.origin,
        path: `${access.prefix}${exchange.path}${search}`,
        method: exchange.method,
        headers: {
          accept: "application/json",
          "user-agent": userAgent,
          ...(exchange.body === undefined ? {} : { "content-type": exchange.contentType ?? "application/json" }),
          ...headers,
        },
        body: exchange.body === undefined ? null : JSON.stringify(exchange.body),
        signal: limit.signal,
        // Ours are the only time limits: they follow the injected clock.
        headersTimeout: 0,
        bodyTimeout: 0,
      }),
    );
    time.learn(limit.sentAt, one(answer.headers.date));
    limit.status = answer.statusCode;
    if (answer.statusCode === 401) access.refused();
    this.#tell(exchange, limit, String(answer.statusCode));
    return answer;
  }

  async #read(answer: Dispatcher.ResponseData, limit: Limit): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    answer.body.on("error", () => {});
    await limit.race(
      (async () => {
        for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
          size += chunk.length;
          if (size > MAX_BODY_BYTES)
            throw new ApiError("BadAnswer", `${limit.what}: the answer is larger than ${MAX_BODY_BYTES} bytes`);
          chunks.push(chunk);
        }
      })(),
    );
    const body = parse(Buffer.concat(chunks).toString("utf8"));
    if (answer.statusCode < 200 || answer.statusCode > 299) {
      const wait = one(answer.headers["retry-after"]);
      throw errorOfAnswer(limit.what, answer.statusCode, body, wait, this.#options.clock.now());
    }
    if (typeof body !== "object" || body === null) {
      throw new ApiError("BadAnswer", `${limit.what}: the answer is no JSON object`, { status: answer.statusCode });
    }
    return body;
  }

  #failed(exchange: Exchange, limit: Limit, error: unknown): unknown {
    const reason = limit.explain(error);
    if (limit.status === undefined) this.#tell(exchange, limit, reason instanceof ApiError ? reason.kind : "Aborted");
    return reason;
  }

  #tell(exchange: Exchange, limit: Limit, outcome: string): void {
    const seconds = (this.#options.clock.monotonic() - limit.startedAt) / 1000;
    this.#options.onCall?.({ method: exchange.method, path: exchange.path, outcome, seconds });
  }
}

/** The time limit of one exchange and its caller's signal, as one signal, and what to throw when either acts. */
class Limit {
  readonly what: string;
  readonly startedAt: number;
  sentAt: number;
  status: number | undefined;
  #controller = new AbortController();
  #caller: AbortSignal | undefined;
  #onAbort: () => void;
  #timer: { cancel(): void };

  constructor(clock: Clock, exchange: Exchange, now: number) {
    this.what = `${exchange.method} ${exchange.path}`;
    this.startedAt = now;
    this.sentAt = now;
    this.#caller = exchange.signal;
    this.#onAbort = () => this.#controller.abort(exchange.signal?.reason);
    if (exchange.signal?.aborted) this.#onAbort();
    else exchange.signal?.addEventListener("abort", this.#onAbort, { once: true });
    const late = () => this.#controller.abort(new ApiError("Timeout", `${this.what}: no answer within ${exchange.timeoutMs} ms`));
    this.#timer = clock.after(exchange.timeoutMs, late);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Settles as `work` does, or rejects as soon as the limit acts, whether or not `work` heeds the signal. */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
    work.catch(() => {});
    aborted.catch(() => {});
    try {
      return await Promise.race([aborted, work]);
    } finally {
      if (onAbort) signal.removeEventListener("abort", onAbort);
    }
  }

  /** What to throw for `error`: the limit's or the caller's reason where one acted, otherwise the error as an ApiError. */
  explain(error: unknown): unknown {
    if (this.signal.aborted) return this.signal.reason;
    if (error instanceof ApiError) return error;
    return ofTransport(this.what, error, this.status);
  }

  /** No time limit from here on. */
  lift(): void {
    this.#timer.cancel();
  }

  end(): void {
    this.#timer.cancel();
    this.#caller?.removeEventListener("abort", this.#onAbort);
  }
}

/** A counting semaphore, first come first served. */
class Places {
  #free: number;
  #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      this.#waiting.add(enter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  leave(): void {
    for (const enter of this.#waiting) {
      this.#waiting.delete(enter);
      enter();
      return;
    }
    this.#free++;
  }
}

function ofTransport(what: string, error: unknown, status: number | undefined): ApiError {
  const code = codeOf(error);
  const text = error instanceof Error ? error.message || error.name : String(error);
  const more = { cause: error, ...(status === undefined ? {} : { status }) };
  if (error instanceof errors.HTTPParserError) return new ApiError("BadAnswer", `${what}: ${text}`, more);
  return new ApiError("Network", `${what}: ${code && !text.includes(code) ? `${text} (${code})` : text}`, more);
}

function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return "cause" in error ? codeOf(error.cause) : "";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
