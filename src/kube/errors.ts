// What can go wrong when the API server is asked, as a closed set: callers branch on `kind`, never on a status code or a text.
import { MAX_RETRY_AFTER_MS, retryAfterMs } from "../backoff.ts";
import { sanitizeLine } from "../text.ts";

export type ApiErrorKind =
  /** 404 about an object (or the namespace that a new one should be in). */
  | "NotFound"
  /** 409: an object of this name exists. */
  | "AlreadyExists"
  /** 409: the resource version or another precondition did not match, or another manager owns a field. Read again. */
  | "Conflict"
  /** 410: the resource version or continue token is too old. List again. */
  | "Gone"
  /** 400, 422 and other refusals of what was sent: the same request never succeeds. */
  | "Invalid"
  /** 403. */
  | "Forbidden"
  /** 401. */
  | "Unauthorized"
  /** 429: not committed; `retryAfterMs` says when to come again. */
  | "Throttled"
  /** Our own time limit, or 408, 504: may have been committed. */
  | "Timeout"
  /** 502, 503: may have been committed. */
  | "Unavailable"
  /** Other 5xx: may have been committed. */
  | "ServerError"
  /** No whole answer: refused, reset, DNS, TLS. May have been committed. */
  | "Network"
  /** An answer that is not what an API server gives: HTML, truncated JSON, a redirect, a 404 about the path. May have been committed. */
  | "BadAnswer";

export class ApiError extends Error {
  readonly kind: ApiErrorKind;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** How long the server asked us to wait, in ms. */
  readonly retryAfterMs: number | undefined;
  /** The server's `Status.details.causes`, for messages that name a field. */
  readonly causes: readonly { field?: string; reason?: string; message?: string }[];

  constructor(
    kind: ApiErrorKind,
    message: string,
    more: { status?: number; retryAfterMs?: number; causes?: ApiError["causes"]; cause?: unknown } = {},
  ) {
    super(sanitizeLine(message, 1024), more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "ApiError";
    this.kind = kind;
    this.status = more.status;
    this.retryAfterMs = more.retryAfterMs;
    this.causes = more.causes ?? [];
  }
}

const UNKNOWN_OUTCOME: readonly ApiErrorKind[] = ["Timeout", "Unavailable", "ServerError", "Network", "BadAnswer"];

/** Whether a write that failed so may nevertheless have been committed: read again before deciding anything. */
export function mayHaveCommitted(error: unknown): boolean {
  return error instanceof ApiError && UNKNOWN_OUTCOME.includes(error.kind);
}

/** `isKind(error, "Conflict", "AlreadyExists")`. */
export function isKind(error: unknown, ...kinds: ApiErrorKind[]): error is ApiError {
  return error instanceof ApiError && kinds.includes(error.kind);
}

interface StatusBody {
  kind?: unknown;
  message?: unknown;
  reason?: unknown;
  code?: unknown;
  details?: { name?: unknown; retryAfterSeconds?: unknown; causes?: unknown } | null;
}

/**
 * The error for an HTTP answer, or for a `Status` that came as a watch event (whose code is in its body).
 * `body` is the parsed JSON where it was any, `nowMs` the wall clock for a Retry-After that is a date.
 */
export function errorOfAnswer(
  what: string,
  status: number,
  body: unknown,
  retryAfter: string | undefined,
  nowMs: number,
): ApiError {
  const parsed = asStatus(body);
  const reason = typeof parsed?.reason === "string" ? parsed.reason : "";
  const said = typeof parsed?.message === "string" && parsed.message !== "" ? parsed.message : `HTTP ${status}`;
  const wait = retryAfterMs(retryAfter, nowMs) ?? seconds(parsed?.details?.retryAfterSeconds);
  const causes = Array.isArray(parsed?.details?.causes) ? (parsed.details.causes as ApiError["causes"]) : [];
  const more = { status, causes, ...(wait === undefined ? {} : { retryAfterMs: wait }) };
  // Always there when it is an object that is missing; not when it is the resource, the path, or a proxy that speaks.
  const isAboutObject = reason === "NotFound" && typeof parsed?.details?.name === "string" && parsed.details.name !== "";
  return new ApiError(kindOf(status, reason, parsed !== undefined, isAboutObject), `${what}: ${said}`, more);
}

function kindOf(status: number, reason: string, isStatus: boolean, isAboutObject: boolean): ApiErrorKind {
  switch (status) {
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      // Otherwise it says nothing about whether the object exists: acting on it as on an absence would make what is there anew.
      return isAboutObject ? "NotFound" : "BadAnswer";
    case 408:
    case 504:
      return "Timeout";
    case 409:
      return reason === "AlreadyExists" ? "AlreadyExists" : "Conflict";
    case 410:
      return "Gone";
    case 429:
      return "Throttled";
    case 502:
    case 503:
      return "Unavailable";
  }
  if (status >= 500) return reason === "ServerTimeout" || reason === "Timeout" ? "Timeout" : "ServerError";
  return status >= 400 && isStatus ? "Invalid" : "BadAnswer";
}

function asStatus(body: unknown): StatusBody | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  return (body as StatusBody).kind === "Status" ? (body as StatusBody) : undefined;
}

function seconds(value: unknown): number | undefined {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return undefined;
  return Math.min(value * 1000, MAX_RETRY_AFTER_MS);
}
