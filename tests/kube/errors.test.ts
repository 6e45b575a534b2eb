// Errors as a closed set of kinds.
import { describe, expect, test } from "vitest";
import { retryAfterMs } from "../../src/backoff.ts";
import { type ApiErrorKind, errorOfAnswer, mayHaveCommitted } from "../../src/kube/errors.ts";

const status = (reason: string, more: object = {}) => ({
  kind: "Status",
  apiVersion: "v1",
  reason,
  message: `it is ${reason}`,
  ...more,
});

describe("an answer of the API server", () => {
  test.each<[number, unknown, ApiErrorKind]>([
    [400, status("BadRequest"), "Invalid"],
    [401, status("Unauthorized"), "Unauthorized"],
    [403, status("Forbidden"), "Forbidden"],
    [404, status("NotFound", { details: { name: "a", kind: "pods" } }), "NotFound"],
    [409, status("AlreadyExists"), "AlreadyExists"],
    [409, status("Conflict"), "Conflict"],
    [410, status("Expired"), "Gone"],
    [410, status("Gone"), "Gone"],
    [413, status("RequestEntityTooLarge"), "Invalid"],
    [422, status("Invalid"), "Invalid"],
    [429, status("TooManyRequests"), "Throttled"],
    [429, undefined, "Throttled"],
    [500, status("InternalError"), "ServerError"],
    [500, status("ServerTimeout"), "Timeout"],
    [503, undefined, "Unavailable"],
    [504, status("Timeout"), "Timeout"],
    [302, undefined, "BadAnswer"],
    [400, undefined, "BadAnswer"],
  ])("%i %j is %s", (code, body, kind) => {
    const error = errorOfAnswer("GET /x", code, body, undefined, 0);
    expect(error).toMatchObject({ kind, status: code });
  });

  test("a 404 that names no object says nothing about one: no such kind, a proxy's page", () => {
    expect(errorOfAnswer("GET /x", 404, status("NotFound", { details: {} }), undefined, 0).kind).toBe("BadAnswer");
    expect(errorOfAnswer("GET /x", 404, undefined, undefined, 0).kind).toBe("BadAnswer");
    expect(errorOfAnswer("GET /x", 404, { metadata: {} }, undefined, 0).kind).toBe("BadAnswer");
  });

  test("the message is one clean line, whatever the server says", () => {
    const error = errorOfAnswer("GET /x", 422, status("Invalid", { message: "no\u001b[2J\nno" }), undefined, 0);
    expect(error.message).toBe("GET /x: no no");
  });

  test("5xx and lost answers leave it open whether a write was committed; refusals don't", () => {
    const kindsOf = [500, 503, 504, 302].map((code) => errorOfAnswer("x", code, undefined, undefined, 0));
    for (const error of kindsOf) expect(mayHaveCommitted(error)).toBe(true);
    for (const code of [401, 403, 409, 410, 422, 429]) {
      expect(mayHaveCommitted(errorOfAnswer("x", code, status("x"), undefined, 0))).toBe(false);
    }
  });

  test.each([
    ["7", 7_000],
    [" 0 ", 0],
    ["Tue, 24 Nov 2026 12:00:30 GMT", 30_000],
    ["Tue, 24 Nov 2026 11:00:00 GMT", 0],
    ["999999999", 600_000],
    ["soon", undefined],
    [undefined, undefined],
  ])("Retry-After %j is %j ms", (header, ms) => {
    expect(retryAfterMs(header, Date.UTC(2026, 10, 24, 12))).toBe(ms);
  });

  test("a Retry-After in the Status counts where the header is missing", () => {
    const body = status("TooManyRequests", { details: { retryAfterSeconds: 3 } });
    expect(errorOfAnswer("x", 429, body, undefined, 0).retryAfterMs).toBe(3000);
    expect(errorOfAnswer("x", 429, body, "1", 0).retryAfterMs).toBe(1000);
  });
});
