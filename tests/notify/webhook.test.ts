// One request to a real server: what is sent, what each answer means, and what never leaves the operator.

import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import type { SinkSpec } from "../../src/api/notifications.ts";
import { systemClock } from "../../src/clock.ts";
import { type Attempt, Webhook } from "../../src/notify/webhook.ts";
import { answering, closeServers, type Shape, serve, started } from "../signals/server.ts";
import { sink } from "./support.ts";

afterEach(closeServers);

const MESSAGE = { contentType: "application/cloudevents+json; charset=utf-8", body: '{"specversion":"1.0"}' };

async function sendOnce(spec: Partial<SinkSpec>, secrets: Record<string, string> = {}): Promise<Attempt> {
  const webhook = new Webhook(sink({ name: "one", ...spec }), {
    clock: systemClock,
    secret: (name, key) => {
      const value = secrets[`${name}/${key}`];
      return value === undefined ? Promise.reject(new Error("hunter2-not-found")) : Promise.resolve(value);
    },
  });
  try {
    return await webhook.send(MESSAGE);
  } finally {
    webhook.close();
  }
}

test("a message is posted with its type, to the URL of the Secret, with the token of the other", async () => {
  const server = await started(answering({ status: 202 }));
  const spec = {
    urlSecretRef: { name: "hook", key: "url" },
    auth: { type: "Bearer" as const, secretRef: { name: "token", key: "t" } },
  };
  const secrets = { "hook/url": `${server.url}/services/T0/B0/s3cr3t?a=b\n`, "token/t": "t0ken" };
  expect(await sendOnce(spec, secrets)).toEqual({ outcome: "Delivered" });
  expect(server.requests).toMatchObject([
    {
      method: "POST",
      url: "/services/T0/B0/s3cr3t?a=b",
      body: MESSAGE.body,
      headers: { "content-type": MESSAGE.contentType, authorization: "Bearer t0ken" },
    },
  ]);
  expect(server.requests[0]?.headers["user-agent"]).toMatch(/^rollguard\//);
});

describe("what an answer means", () => {
  const again = (why: string | RegExp, waitMs?: number) => ({
    outcome: "Again",
    why: typeof why === "string" ? why : expect.stringMatching(why),
    ...(waitMs === undefined ? {} : { waitMs }),
  });
  const refused = (why: string) => ({ outcome: "Refused", why });
  const delivered = { outcome: "Delivered" };

  test.each<[string, Shape, object]>([
    ["200", { status: 200, body: "ok" }, delivered],
    ["202", { status: 202 }, delivered],
    ["204", { status: 204 }, delivered],
    ["200 with an endless body", { status: 200, bodyBytes: 2_000_000 }, delivered],
    ["200 with a body that is never complete", { behaviour: "trickle" }, delivered],
    ["200 with a body that breaks off", { behaviour: "cut", body: "0123456789" }, delivered],
    ["200 with a body that is not what it says", { status: 200, body: "x", headers: { "content-encoding": "br" } }, delivered],
    ["400", { status: 400, body: "invalid_payload" }, refused("HTTP 400")],
    ["401", { status: 401 }, refused("HTTP 401")],
    ["404", { status: 404 }, refused("HTTP 404")],
    ["410", { status: 410 }, refused("HTTP 410")],
    ["429", { status: 429 }, again("HTTP 429")],
    ["429 with Retry-After", { status: 429, headers: { "retry-after": "7" } }, again("HTTP 429", 7000)],
    ["429 with a Retry-After of a day", { status: 429, headers: { "retry-after": "86400" } }, again("HTTP 429", 600_000)],
    ["500", { status: 500, body: "x".repeat(100_000) }, again("HTTP 500")],
    ["503 with Retry-After", { status: 503, headers: { "retry-after": "2" } }, again("HTTP 503", 2000)],
    ["no answer", { behaviour: "hang" }, again("no complete answer within 800 ms")],
    ["a closed connection", { behaviour: "reset" }, again(/connection was/)],
    ["what is not HTTP", { behaviour: "not http" }, again("the answer is not HTTP")],
  ])("%s", async (_words, shape, attempt) => {
    const server = await started(answering(shape));
    expect(await sendOnce({ url: `${server.url}/hook`, timeout: "800ms" })).toEqual(attempt);
  });

  test("nobody listens", async () => {
    const server = await serve(answering({}));
    await server.close();
    expect(await sendOnce({ url: server.url })).toEqual(again("connection refused"));
  });

  test("a redirect is not followed: the message goes nowhere else, and is not sent again", async () => {
    const elsewhere = await started(answering({ status: 200 }));
    for (const status of [301, 302, 303, 307, 308]) {
      const server = await started(answering({ status, headers: { location: `${elsewhere.url}/steal` } }));
      expect(await sendOnce({ url: `${server.url}/hook` })).toEqual(
        refused(`redirects (HTTP ${status}), and redirects are not followed`),
      );
    }
    expect(elsewhere.requests).toEqual([]);
  });
});

describe("no word of the URL or a secret in why it failed", () => {
  const SECRET = "s3cr3t-T0-B0-0123456789";
  test.each<[string, string, RegExp]>([
    [
      "an address that is refused",
      `http://169.254.169.254/${SECRET}`,
      /^what the secret hook has under url leads to a link-local/,
    ],
    ["no URL", `not a url ${SECRET}`, /^what the secret hook has under url is no http or https URL$/],
    ["another scheme", `ftp://hooks.example/${SECRET}`, /is no http or https URL$/],
    ["a user in it", `https://ann:${SECRET}@hooks.example/`, /has a user in it: use auth.secretRef$/],
    ["a host that there is not", `https://no-such-host.invalid/${SECRET}`, /^(the host name|no complete answer)/],
    ["a port that nobody may use", `http://127.0.0.1:1/${SECRET}`, /^connection refused$/],
    ["nothing", "  ", /^the secret hook has an empty url$/],
  ])("%s", async (_words, url, why) => {
    const attempt = await sendOnce(
      { urlSecretRef: { name: "hook", key: "url" }, timeout: "1s" },
      { "hook/url": url, "token/t": SECRET },
    );
    expect(attempt).toMatchObject({ outcome: "Again", why: expect.stringMatching(why) });
    expect(JSON.stringify(attempt)).not.toMatch(/s3cr3t|hooks\.example|no-such-host|169\.254/);
  });

  test("a server that repeats what it was sent", async () => {
    const server = await started((request, response) => {
      response.writeHead(500, { "x-echo": String(request.headers.authorization) });
      response.end(`${request.url} ${request.headers.authorization}`);
    });
    const auth = { type: "Bearer" as const, secretRef: { name: "token", key: "t" } };
    const attempt = await sendOnce({ url: `${server.url}/${SECRET}`, auth }, { "token/t": SECRET });
    expect(attempt).toEqual({ outcome: "Again", why: "HTTP 500" });
  });

  test("a Secret that is not there is named, and tried again: it may be made yet", async () => {
    const attempt = await sendOnce({ urlSecretRef: { name: "hook", key: "url" } });
    expect(attempt).toEqual({ outcome: "Again", why: "the secret hook (key url) can't be read" });
  });
});

test("TLS is verified by the CA of the Secret, and by nothing else", async () => {
  const folder = new URL("../signals/fixtures/", import.meta.url);
  const [key = "", cert = ""] = ["loopback.key", "loopback.crt"].map((file) => readFileSync(new URL(file, folder), "utf8"));
  const server = await started(answering({ status: 204 }), { key, cert });
  const tls = { caRef: { name: "ca", key: "ca.crt" } };
  expect(await sendOnce({ url: server.url, tls }, { "ca/ca.crt": cert })).toEqual({ outcome: "Delivered" });
  expect(await sendOnce({ url: server.url })).toMatchObject({ outcome: "Again", why: expect.stringContaining("TLS failed") });
});

test("connections are used again", async () => {
  const ports = new Set<number | undefined>();
  const server = await started((request, response) => {
    ports.add(request.socket.remotePort);
    response.end("ok");
  });
  const webhook = new Webhook(sink({ name: "one", url: server.url }), { clock: systemClock, secret: () => Promise.reject() });
  for (let i = 0; i < 12; i++) expect(await webhook.send(MESSAGE)).toEqual({ outcome: "Delivered" });
  webhook.close();
  // The first may still be busy when the second message goes.
  expect(ports.size).toBeLessThanOrEqual(2);
});
