// The shapes of answers that are the same for every source: what goes wrong between the operator and a server.

import type { ReadingKind } from "../../src/signals/types.ts";
import type { Shape } from "./server.ts";

export interface AnswerCase {
  /** What the server does, in words. */
  name: string;
  /** Any: the transport is the same for all three. */
  source: "Any" | "Prometheus" | "Web" | "Pods";
  /** Undefined: nothing listens. A function of the time in seconds where the answer holds it. */
  answer: Shape | ((now: number) => Shape) | undefined;
  kind: ReadingKind;
  value?: number;
  /** Part of the message. */
  says?: string;
  /** Default: `score` for Prometheus and Pods, `/stats#$.score` for Web. */
  query?: string;
}

/** Nothing of it depends on what the source speaks. */
export const TRANSPORT: AnswerCase[] = [
  { name: "nothing listens", source: "Any", answer: undefined, kind: "Error", says: "connection refused" },
  {
    name: "takes the request and never answers",
    source: "Any",
    answer: { behaviour: "hang" },
    kind: "Error",
    says: "no complete answer within",
  },
  {
    name: "stops in the middle of the body",
    source: "Any",
    answer: { behaviour: "stall", body: "score 1\n" },
    kind: "Error",
    says: "no complete answer within",
  },
  {
    name: "sends one byte after the other without end",
    source: "Any",
    answer: { behaviour: "trickle" },
    kind: "Error",
    says: "no complete answer within",
  },
  { name: "closes the connection", source: "Any", answer: { behaviour: "reset" }, kind: "Error", says: "closed before" },
  {
    name: "sends less than its Content-Length",
    source: "Any",
    answer: { behaviour: "cut", body: "score 12345\n" },
    kind: "Error",
  },
  { name: "speaks something that isn't HTTP", source: "Any", answer: { behaviour: "not http" }, kind: "Error", says: "not HTTP" },
  {
    name: "an HTML page with status 200, as of a login",
    source: "Any",
    answer: { headers: { "content-type": "text/html" }, body: "<!doctype html><title>Sign in</title>" },
    kind: "Error",
    says: "HTML",
  },
  {
    name: "redirects",
    source: "Any",
    answer: { status: 302, headers: { location: "http://127.0.0.1:9/" } },
    kind: "Error",
    says: "redirects are not followed",
  },
  {
    name: "redirects for good, with the method kept",
    source: "Any",
    answer: { status: 308, headers: { location: "/elsewhere" } },
    kind: "Error",
    says: "HTTP 308",
  },
  { name: "401 Unauthorized", source: "Any", answer: { status: 401, body: "who are you" }, kind: "Error", says: "HTTP 401" },
  {
    name: "403 Forbidden, as HTML",
    source: "Any",
    answer: { status: 403, body: "<html>no</html>" },
    kind: "Error",
    says: "HTTP 403",
  },
  {
    name: "404 Not Found",
    source: "Any",
    answer: { status: 404, body: "404 page not found\n" },
    kind: "Error",
    says: "HTTP 404",
  },
  {
    name: "429 Too Many Requests",
    source: "Any",
    answer: { status: 429, headers: { "retry-after": "3" } },
    kind: "Error",
    says: "HTTP 429",
  },
  { name: "500 Internal Server Error", source: "Any", answer: { status: 500, body: "panic" }, kind: "Error", says: "HTTP 500" },
  {
    name: "502 Bad Gateway, as a proxy's HTML",
    source: "Any",
    answer: { status: 502, headers: { "content-type": "text/html" }, body: "<html>" },
    kind: "Error",
    says: "HTTP 502",
  },
  { name: "503 Service Unavailable", source: "Any", answer: { status: 503 }, kind: "Error", says: "HTTP 503" },
  { name: "an empty body with status 200", source: "Any", answer: { body: "" }, kind: "Error", says: "empty" },
  { name: "a body above the limit", source: "Any", answer: { bodyBytes: 70_000 }, kind: "Error", says: "larger than" },
  {
    name: "a small gzip body that unpacks above the limit",
    source: "Any",
    answer: { bodyBytes: 5_000_000, gzip: true },
    kind: "Error",
    says: "larger than",
  },
  {
    name: "gzip that is cut off",
    source: "Any",
    answer: { behaviour: "cut gzip", gzip: true, body: "score 12345 and more of it\n" },
    kind: "Error",
    says: "compressed answer is cut off",
  },
  {
    name: "says gzip, but isn't",
    source: "Any",
    answer: { headers: { "content-encoding": "gzip" }, body: "score 1\n" },
    kind: "Error",
    says: "compression",
  },
  {
    name: "a compression that was not asked for",
    source: "Any",
    answer: { headers: { "content-encoding": "br" }, body: "score 1\n" },
    kind: "Error",
    says: "compressed",
  },
  { name: "binary rubbish", source: "Any", answer: { body: "\u0000\u0001\ufffd\u001b[31mred\u0007" }, kind: "Error" },
];
