// Between the operators and the API server: every request and every event of a watch passes here, takes its time, and may meet a
// fault. The server itself is never made to err: what it commits is what is true.

import type { Dispatcher } from "undici";
import { parsePath, type ResourcePath } from "../../src/sandbox/apiserver/http.ts";
import type { ApiResponse, ApiServer } from "../../src/sandbox/apiserver/index.ts";
import type { Random } from "../support/random.ts";
import type { ProcessClock, WorldClock } from "./clock.ts";
import { Pipe } from "./pipe.ts";

/** Who asks: one process of the operator. */
export interface Caller {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly dead: boolean;
  kill(): void;
  pause(ms: number): void;
}

/** A request on its way. */
export interface Request {
  caller: Caller;
  method: string;
  path: ResourcePath;
  query: URLSearchParams;
  body: string;
  kind: "Read" | "List" | "Watch" | "Write";
  /** World time, ms. */
  sentAt: number;
}

/** What happens to a request, before the server has it or after it committed. */
export type Effect =
  | { do: "Refuse"; when: "Before" | "After"; status: number; reason: string; retryAfterSeconds?: number }
  | { do: "Reset"; when: "Before" | "After" }
  | { do: "Silence"; when: "Before" | "After" }
  | { do: "Delay"; when: "Before" | "After"; ms: number }
  | { do: "Kill"; when: "Before" | "After" }
  | { do: "Pause"; when: "Before" | "After"; ms: number }
  /** Something happens in the world just before the server has it. */
  | { do: "First"; act: (request: Request) => void }
  /** A list as it was so long ago. */
  | { do: "Stale"; ms: number };

/** An armed fault: it acts on the next requests that match. */
export interface Trap {
  matches(request: Request): boolean;
  left: number;
  until: number;
  effect: Effect;
  /** It acted. */
  onHit(request: Request): void;
}

/** How long requests and events take, ms. */
export interface Latency {
  request: readonly [min: number, max: number];
  watch: readonly [min: number, max: number];
}

export interface NetworkParts {
  clock: WorldClock;
  server: ApiServer;
  random: Random;
  latency: Latency;
  /** Runs `commit` with this caller as the author of what the server commits meanwhile. */
  as<T>(author: string, commit: () => T): T;
  /** The body of a list as it was at a time, ms. */
  listAt(path: ResourcePath, query: URLSearchParams, at: number): string;
  onSent(request: Request): void;
  onAnswered(request: Request, status: number): void;
}

/** What the operators' HTTP client is given in place of a connection pool. */
type Asked = Pick<Dispatcher.RequestOptions, "path" | "method" | "body"> & { signal?: AbortSignal };

export class Network {
  readonly traps: Trap[] = [];
  readonly pipes = new Set<Pipe>();
  readonly #parts: NetworkParts;

  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  /** The way of one process to the API server. */
  dispatcher(caller: Caller): Dispatcher {
    const request = (asked: Asked) => untilAborted(asked.signal, this.#carry(caller, asked));
    return { request } as unknown as Dispatcher;
  }

  arm(trap: Trap): void {
    this.traps.push(trap);
  }

  /** No fault acts any more; what is under way arrives. */
  calm(): void {
    this.traps.length = 0;
    for (const pipe of this.pipes) pipe.calm();
  }

  async #carry(caller: Caller, asked: Asked): Promise<unknown> {
    const url = new URL(asked.path, "http://server");
    const path = parsePath(url.pathname) ?? { group: "", version: "", namespace: "", resource: "", name: "", subresource: "" };
    const { clock, server, as, onSent, onAnswered } = this.#parts;
    const method = String(asked.method);
    const request: Request = {
      caller,
      method,
      path,
      query: url.searchParams,
      body: typeof asked.body === "string" ? asked.body : "",
      kind: kindOf(method, path, url.searchParams),
      sentAt: clock.monotonic(),
    };
    onSent(request);
    const effect = this.#effectOn(request);
    await this.#latency();
    if (caller.dead) return never();
    let answer = await this.#suffer(request, effect, "Before");
    if (answer === undefined && effect?.do === "Stale") {
      const body = this.#parts.listAt(path, url.searchParams, clock.monotonic() - effect.ms);
      answer = json(200, body, clock.now());
    }
    const stream = new AbortController();
    if (answer === undefined) {
      if (effect?.do === "First") effect.act(request);
      const headers = { "content-type": contentTypeOf(asked), "user-agent": caller.name, accept: "application/json" };
      // The commit itself: from here to the answer's promise nothing else runs.
      answer = await as(caller.name, () =>
        server.handle({ method, url: asked.path, headers, body: request.body, signal: stream.signal }),
      );
      const lost = await this.#suffer(request, effect, "After");
      if (lost !== undefined) {
        stream.abort();
        answer = lost;
      }
    }
    if (caller.dead) {
      stream.abort();
      return never();
    }
    onAnswered(request, answer.status);
    await this.#latency();
    await new Promise<void>((resolve) => caller.clock.deliver(resolve));
    const headers = { ...answer.headers };
    if (typeof answer.body === "string") return { statusCode: answer.status, headers, body: new Text(answer.body) };
    const [min, max] = this.#parts.latency.watch;
    const delay = () => (max === 0 ? 0 : this.#parts.random.int(min, max));
    const pipe = new Pipe({ clock, caller, resource: path.resource, source: answer.body, delay, cut: () => stream.abort() });
    this.pipes.add(pipe);
    pipe.onEnd(() => this.pipes.delete(pipe));
    if (asked.signal) asked.signal.addEventListener("abort", () => pipe.fail(asked.signal?.reason), { once: true });
    return { statusCode: answer.status, headers, body: pipe };
  }

  #effectOn(request: Request): Effect | undefined {
    const now = this.#parts.clock.monotonic();
    for (let i = 0; i < this.traps.length; i++) {
      const trap = this.traps[i] as Trap;
      if (now > trap.until) {
        this.traps.splice(i--, 1);
        continue;
      }
      if (!trap.matches(request)) continue;
      if (--trap.left <= 0) this.traps.splice(i, 1);
      trap.onHit(request);
      return trap.effect;
    }
    return undefined;
  }

  /** What the caller gets in place of the server's answer; undefined: nothing happens to the request here. */
  async #suffer(request: Request, effect: Effect | undefined, when: "Before" | "After"): Promise<ApiResponse | undefined> {
    if (effect === undefined || !("when" in effect) || effect.when !== when) return undefined;
    switch (effect.do) {
      case "Refuse":
        return refusal(effect.status, effect.reason, effect.retryAfterSeconds, this.#parts.clock.now());
      case "Reset":
        throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
      case "Silence":
        return never();
      case "Kill":
        request.caller.kill();
        return never();
      case "Pause":
        request.caller.pause(effect.ms);
        return undefined;
      case "Delay":
        await this.#wait(effect.ms);
        return undefined;
    }
  }

  #latency(): Promise<void> {
    const [min, max] = this.#parts.latency.request;
    return max === 0 ? Promise.resolve() : this.#wait(this.#parts.random.int(min, max));
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(ms, resolve));
  }
}

/** An answer's body, as far as the client uses what undici gives it. */
class Text {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  on(): this {
    return this;
  }
  destroy(): this {
    return this;
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield Buffer.from(this.#text);
  }
}

function kindOf(method: string, path: ResourcePath, query: URLSearchParams): Request["kind"] {
  if (method !== "GET") return "Write";
  if (query.get("watch") === "true") return "Watch";
  return path.name === "" ? "List" : "Read";
}

function contentTypeOf(asked: object): string {
  const { headers } = asked as { headers?: Record<string, string> };
  return headers?.["content-type"] ?? "application/json";
}

function json(status: number, body: string, now: number): ApiResponse {
  return { status, headers: { "content-type": "application/json", date: new Date(now).toUTCString() }, body };
}

/** As an API server, or what stands before it, refuses. */
function refusal(status: number, reason: string, retryAfterSeconds: number | undefined, now: number): ApiResponse {
  const details = retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } };
  const body = { kind: "Status", apiVersion: "v1", status: "Failure", message: "a fault", reason, code: status, ...details };
  const answer = json(status, JSON.stringify(body), now);
  if (retryAfterSeconds !== undefined) answer.headers["retry-after"] = String(retryAfterSeconds);
  return answer;
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** The client gives up; the request goes on all the same, as a packet that was sent does. */
export function untilAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    const over = () => signal.removeEventListener("abort", onAbort);
    work.then(
      (value) => {
        over();
        resolve(value);
      },
      (error) => {
        over();
        reject(error);
      },
    );
  });
}
