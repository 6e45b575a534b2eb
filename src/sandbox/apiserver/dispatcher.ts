// An undici Dispatcher that hands requests to a function instead of a socket, so that the real client runs in one process
// with the server: no sockets, no timers, settled within turns of the event loop.
import { Dispatcher, errors } from "undici";
import type { ApiRequest, ApiResponse } from "./http.ts";

type Handle = (request: ApiRequest) => Promise<ApiResponse>;

export class MemoryDispatcher extends Dispatcher {
  readonly #handle: Handle;
  readonly #running = new Set<Controller>();
  #closed = false;

  constructor(handle: Handle) {
    super();
    this.#handle = handle;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const controller = new Controller();
    if (this.#closed) {
      queueMicrotask(() => handler.onResponseError?.(controller, new errors.ClientClosedError()));
      return true;
    }
    this.#running.add(controller);
    this.#run(options, handler, controller)
      .catch((error: Error) => handler.onResponseError?.(controller, error))
      .finally(() => this.#running.delete(controller));
    return true;
  }

  async #run(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, controller: Controller): Promise<void> {
    handler.onRequestStart?.(controller, {});
    if (controller.reason !== null) throw controller.reason;
    const body = await readBody(options.body);
    const response = await controller.race(
      this.#handle({
        method: options.method,
        url: withQuery(options.path, options.query),
        headers: readHeaders(options.headers),
        body,
        signal: controller.signal,
      }),
    );
    // Undici's fetch reads the headers only here.
    controller.rawHeaders = Object.entries(response.headers)
      .flat()
      .map((text) => Buffer.from(text));
    handler.onResponseStart?.(controller, response.status, response.headers, "");
    if (typeof response.body === "string") await this.#send(response.body, handler, controller);
    else for await (const text of controller.until(response.body)) await this.#send(text, handler, controller);
    if (controller.reason !== null) throw controller.reason;
    handler.onResponseEnd?.(controller, {});
  }

  async #send(text: string, handler: Dispatcher.DispatchHandler, controller: Controller): Promise<void> {
    await controller.resumed();
    if (controller.reason !== null) throw controller.reason;
    handler.onResponseData?.(controller, Buffer.from(text));
  }

  override close(callback?: () => void): Promise<void> {
    this.#closed = true;
    callback?.();
    return Promise.resolve();
  }

  override destroy(...args: unknown[]): Promise<void> {
    this.#closed = true;
    const error = args[0] instanceof Error ? args[0] : new errors.ClientDestroyedError();
    for (const controller of this.#running) controller.abort(error);
    const callback = args.find((arg) => typeof arg === "function") as (() => void) | undefined;
    callback?.();
    return Promise.resolve();
  }
}

/** Pausing and aborting one request, as undici's handlers ask for it. */
class Controller implements Dispatcher.DispatchController {
  rawHeaders: Buffer[] | null = null;
  rawTrailers: Buffer[] | null = null;
  paused = false;
  reason: Error | null = null;
  readonly #abort = new AbortController();
  readonly #aborted: Promise<never>;
  #onResume: (() => void) | undefined;

  constructor() {
    this.#aborted = new Promise((_, reject) => {
      this.#abort.signal.addEventListener("abort", () => reject(this.reason), { once: true });
    });
    // Whoever races with it hears of it; nobody may.
    this.#aborted.catch(() => {});
  }

  get aborted(): boolean {
    return this.reason !== null;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  abort(reason: Error): void {
    if (this.reason !== null) return;
    this.reason = reason ?? new errors.RequestAbortedError();
    this.#abort.abort(this.reason);
    this.resume();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#onResume?.();
  }

  async resumed(): Promise<void> {
    while (this.paused && this.reason === null) {
      await new Promise<void>((resolve) => {
        this.#onResume = resolve;
      });
    }
  }

  race<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#aborted]);
  }

  async *until(body: AsyncIterable<string>): AsyncGenerator<string> {
    const iterator = body[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.race(iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  }
}

function withQuery(path: string, query: Record<string, unknown> | undefined): string {
  if (query === undefined || Object.keys(query).length === 0) return path;
  const search = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]));
  return `${path}${path.includes("?") ? "&" : "?"}${search}`;
}

/** Undici takes headers as an object, as a flat list of names and values, or as an iterable of pairs. */
function readHeaders(headers: Dispatcher.DispatchOptions["headers"]): Record<string, string | undefined> {
  const out: Record<string, string | undefined> = {};
  const set = (name: unknown, value: unknown) => {
    out[String(name).toLowerCase()] = Array.isArray(value) ? value.join(", ") : String(value);
  };
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    for (let i = 0; i + 1 < headers.length; i += 2) set(headers[i], headers[i + 1]);
  } else if (headers && Symbol.iterator in headers)
    for (const [name, value] of headers as Iterable<[string, string]>) set(name, value);
  else for (const [name, value] of Object.entries(headers ?? {})) if (value !== undefined) set(name, value);
  return out;
}

async function readBody(body: Dispatcher.DispatchOptions["body"]): Promise<string> {
  if (body === undefined || body === null) return "";
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return Buffer.from(body).toString("utf8");
  const chunks: Uint8Array[] = [];
  for await (const chunk of body as AsyncIterable<Uint8Array | string>) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString("utf8");
}
