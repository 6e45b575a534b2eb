// One bounded HTTP request to a source: a time limit over all of it, a size limit after decompression, no redirects,
// and failures as words that are fit for a status.

import { PassThrough, type Readable, type Transform } from "node:stream";
import { createGunzip, createInflate } from "node:zlib";
import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";

export interface HttpRequest {
  url: URL;
  method: "GET" | "POST" | "PUT";
  headers: Record<string, string>;
  body?: string;
  timeoutMs: number;
  maxBodyBytes: number;
  /** Only the status counts: at most `maxBodyBytes` of the body are taken in and thrown away, and what is wrong with it is no failure. */
  statusOnly?: boolean;
  signal: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  contentType: string;
  body: string;
  /** The header Retry-After, as it came. */
  retryAfter?: string;
}

/** How long a body that nobody reads is waited for, so that its connection can be used again, ms. */
const DRAIN_MS = 200;

/** No usable answer came. */
export class HttpFailure extends Error {
  /** The server itself seems to be in trouble, and asking others of it is likely to fail too. */
  readonly lasting: boolean;
  /** What was asked may be the cause: it takes too long, or its answer is too large. */
  readonly byQuery: boolean;
  constructor(message: string, lasting: boolean, byQuery = false) {
    super(message);
    this.lasting = lasting;
    this.byQuery = byQuery;
  }
}

/** Rejects with HttpFailure, also for a redirect. Any other status is an answer. */
export async function exchange(dispatcher: Dispatcher, clock: Clock, request: HttpRequest): Promise<HttpAnswer> {
  const abort = new AbortController();
  const onAbort = () => abort.abort(new HttpFailure("the source was closed", false));
  request.signal.addEventListener("abort", onAbort, { once: true });
  if (request.signal.aborted) onAbort();
  const late = new HttpFailure(`no complete answer within ${request.timeoutMs} ms`, true, true);
  const timer = clock.after(request.timeoutMs, () => abort.abort(late));
  try {
    return await withAbort(answer(dispatcher, clock, request, abort.signal), abort.signal);
  } catch (error) {
    throw error instanceof HttpFailure ? error : new HttpFailure(describe(error), true);
  } finally {
    timer.cancel();
    request.signal.removeEventListener("abort", onAbort);
    // Ends what may still run of it, such as a connection that is being made.
    abort.abort(late);
  }
}

/** A connection attempt does not always notice an abort; the time limit must hold all the same. */
function withAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

async function answer(dispatcher: Dispatcher, clock: Clock, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const response = await dispatcher.request({
    origin: request.url.origin,
    path: request.url.pathname + request.url.search,
    method: request.method,
    headers: { accept: "application/json", "accept-encoding": "gzip", ...request.headers },
    body: request.body,
    signal,
    // The limit over all of it is the one that counts.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const { statusCode: status, headers } = response;
  // An error after we stopped reading has no reader any more; without a listener it would end the process.
  response.body.on("error", () => {});
  if (status >= 300 && status < 400) {
    response.body.destroy();
    throw new HttpFailure(`redirects (HTTP ${status}), and redirects are not followed`, false);
  }
  const body = request.statusOnly
    ? await drain(response.body, clock, request.maxBodyBytes)
    : await text(response.body, String(headers["content-encoding"] ?? ""), request.maxBodyBytes);
  const retryAfter = headers["retry-after"];
  return {
    status,
    contentType: String(headers["content-type"] ?? ""),
    body,
    ...(typeof retryAfter === "string" ? { retryAfter } : {}),
  };
}

async function drain(body: Dispatcher.ResponseData["body"], clock: Clock, limit: number): Promise<""> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<void>((resolve) => {
    timer = clock.after(DRAIN_MS, resolve);
  });
  await Promise.race([body.dump({ limit }).catch(() => {}), late]);
  timer?.cancel();
  return "";
}

async function text(raw: Readable, encoding: string, maxBytes: number): Promise<string> {
  const plain = raw.pipe(decoder(encoding));
  raw.once("error", (error) => plain.destroy(error));
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of plain) {
      size += chunk.length;
      if (size > maxBytes) throw new HttpFailure(`the answer is larger than ${maxBytes} bytes`, false, true);
      chunks.push(chunk);
    }
  } finally {
    plain.destroy();
    raw.destroy();
  }
  // A damaged character becomes U+FFFD: it can't be part of a number.
  return Buffer.concat(chunks).toString("utf8");
}

function decoder(encoding: string): Transform {
  switch (encoding.trim().toLowerCase()) {
    case "":
    case "identity":
      return new PassThrough();
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    default:
      throw new HttpFailure("the answer is compressed in a way that was not asked for", false);
  }
}

const WORDS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was reset",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ADDRESS_REFUSED: "the host name leads to an address that must not be called",
  ENOTFOUND: "the host name is not known",
  EAI_AGAIN: "the host name can't be looked up now",
  UND_ERR_SOCKET: "the connection was closed before the answer was complete",
  UND_ERR_CONNECT_TIMEOUT: "the connection timed out",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "the answer is cut off: shorter or longer than it said",
  UND_ERR_HEADERS_OVERFLOW: "the answer's headers are too large",
  Z_BUF_ERROR: "the compressed answer is cut off",
  Z_DATA_ERROR: "the answer is not in the compression that it names",
};

/** An error of the network, in words without addresses or secrets. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return "the request failed";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (Object.hasOwn(WORDS, code)) return WORDS[code] ?? code;
  if (code.startsWith("HPE_") || error.name === "HTTPParserError") return "the answer is not HTTP";
  if (/^(?:CERT_|ERR_TLS|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|ERR_SSL)/.test(code) || code === "EPROTO")
    return `TLS failed (${code})`;
  // Several addresses of one name, each with its own error.
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  if (code) return `the request failed (${code})`;
  return "the request failed";
}
