// What the contract suite speaks with: plain HTTP through undici, so that it can be pointed at any API server.
import { type Dispatcher, request } from "undici";

/** One API server to test. */
export interface Connection {
  url: string;
  /** How to reach it (client certificates, no sockets, …); undici's own without one. */
  dispatcher?: Dispatcher;
  /** Makes every older resourceVersion too old; tests of 410 are left out where a server can't be made to. */
  compact?: () => void;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of any kind; each test says what it expects of them.
export type Json = any;

export interface Answer {
  status: number;
  body: Json;
  headers: Record<string, string | string[] | undefined>;
}

export interface CallOptions {
  body?: unknown;
  /** Content type of the body; application/json without one. */
  type?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
}

export const MERGE = "application/merge-patch+json";
export const JSON_PATCH = "application/json-patch+json";
export const STRATEGIC = "application/strategic-merge-patch+json";
export const APPLY = "application/apply-patch+yaml";

export class Api {
  readonly connection: Connection;
  /** A namespace of this run. */
  readonly namespace: string;

  constructor(connection: Connection, namespace: string) {
    this.connection = connection;
    this.namespace = namespace;
  }

  /** `/api/v1/namespaces/<ns>/<rest>` */
  core(rest: string): string {
    return `/api/v1/namespaces/${this.namespace}/${rest}`;
  }

  /** `/apis/<group>/v1/namespaces/<ns>/<rest>` */
  group(group: string, rest: string): string {
    return `/apis/${group}/v1/namespaces/${this.namespace}/${rest}`;
  }

  async call(method: Dispatcher.HttpMethod, path: string, options: CallOptions = {}): Promise<Answer> {
    const { body, type = "application/json", query = {}, headers = {} } = options;
    const search = new URLSearchParams(query).toString();
    const response = await request(`${this.connection.url}${path}${search === "" ? "" : `?${search}`}`, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": type }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(this.connection.dispatcher === undefined ? {} : { dispatcher: this.connection.dispatcher }),
    });
    const text = await response.body.text();
    const isJson = String(response.headers["content-type"]).includes("json");
    return { status: response.statusCode, body: isJson ? JSON.parse(text) : text, headers: response.headers };
  }

  /** As `call`, for calls that the test takes for granted. */
  async ok(method: Dispatcher.HttpMethod, path: string, options: CallOptions = {}): Promise<Json> {
    const answer = await this.call(method, path, options);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Server-side apply, by `manager`. */
  apply(path: string, manager: string, body: unknown, query: Record<string, string> = {}): Promise<Answer> {
    return this.call("PATCH", path, { body, type: APPLY, query: { fieldManager: manager, ...query } });
  }

  async watch(path: string, query: Record<string, string> = {}, headers: Record<string, string> = {}): Promise<Watcher> {
    const abort = new AbortController();
    const search = new URLSearchParams({ watch: "true", ...query });
    const response = await request(`${this.connection.url}${path}?${search}`, {
      signal: abort.signal,
      headers,
      ...(this.connection.dispatcher === undefined ? {} : { dispatcher: this.connection.dispatcher }),
    });
    return new Watcher(response.body, abort, response.statusCode);
  }
}

/** Reads the events of one watch in order. */
export class Watcher {
  readonly status: number;
  readonly #lines: AsyncGenerator<string>;
  readonly #abort: AbortController;

  constructor(body: AsyncIterable<Uint8Array>, abort: AbortController, status: number) {
    this.status = status;
    this.#lines = lines(body);
    this.#abort = abort;
  }

  /** The next event, or undefined when the stream has ended. Rejects after ten seconds without one. */
  async next(): Promise<Json> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no event within ten seconds")), 10_000);
    });
    try {
      const line = await Promise.race([this.#lines.next(), patience]);
      return line.done === true ? undefined : JSON.parse(line.value);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next `count` events as "TYPE name". */
  async take(count: number): Promise<string[]> {
    const out: string[] = [];
    for (let i = 0; i < count; i++) {
      const event = await this.next();
      out.push(event === undefined ? "end" : `${event.type} ${event.object.metadata?.name ?? event.object.code}`);
    }
    return out;
  }

  close(): void {
    this.#abort.abort();
  }
}

async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") yield part;
  }
}

/** Asks until `done` says so; rejects after ten seconds. For what a server does in the background. */
export async function eventually<T>(ask: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    const value = await ask();
    if (done(value)) return value;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(value)} after ten seconds`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
