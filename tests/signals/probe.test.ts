// The probe inference against a real server: what passes, what is the model's fault, and what is no answer at all.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { askProbe, type ProbeRequest, probeDispatcher } from "../../src/signals/probe.ts";

const answers: Record<string, { status: number; body: string }> = {
  "/good": { status: 200, body: '{"score": 0.7}' },
  "/high": { status: 200, body: '{"score": 7}' },
  "/text": { status: 200, body: '{"score": "0.7"}' },
  "/two": { status: 200, body: '{"scores": [1, 2]}' },
  "/html": { status: 200, body: "<html>" },
  "/error": { status: 500, body: "{}" },
  "/moved": { status: 302, body: "" },
};

let server: Server;
const dispatcher = probeDispatcher();
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === "/hang") return;
    const answer = answers[request.url ?? ""] ?? { status: 404, body: "" };
    request.resume();
    response.writeHead(answer.status, answer.status === 302 ? { location: "http://127.0.0.1:1/" } : {}).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  await dispatcher.destroy();
  server.closeAllConnections();
  server.close();
});

const request = (path: string, more: Partial<ProbeRequest["expect"]> = {}): ProbeRequest => ({
  path,
  method: "POST",
  headers: [{ name: "content-type", value: "application/json" }],
  body: "{}",
  timeoutMs: 300,
  expect: { status: 200, jsonPath: "$.score", min: 0, max: 1, ...more },
});

test.each<[string, ProbeRequest, string, string]>([
  ["an answer as expected", request("/good"), "Passed", "0.7"],
  ["a value out of its range", request("/high"), "Failed", "not within 0 to 1"],
  ["a value that is no number", request("/text"), "Failed", "no single number"],
  ["two values where one is meant", request("/two", { jsonPath: "$.scores[*]" }), "Failed", "no single number"],
  ["HTML", request("/html"), "Failed", "no JSON"],
  ["another status", request("/error"), "Failed", "HTTP 500, not 200"],
  ["another status that is expected", request("/error", { status: 500, jsonPath: undefined }), "Passed", "HTTP 500"],
  ["a redirect, which is never followed", request("/moved"), "NoAnswer", ""],
  ["no answer in time", request("/hang"), "NoAnswer", "no complete answer within 300 ms"],
])("%s", async (_words, asked, outcome, words) => {
  const { port } = server.address() as AddressInfo;
  const answer = await askProbe(asked, { ip: "127.0.0.1", port }, { dispatcher, clock: systemClock });
  expect(answer.outcome).toBe(outcome);
  expect(answer.message).toContain(words);
});

test("a port where nobody listens is no answer", async () => {
  const answer = await askProbe(request("/good"), { ip: "127.0.0.1", port: 9 }, { dispatcher, clock: systemClock });
  expect(answer.outcome).toBe("NoAnswer");
});
