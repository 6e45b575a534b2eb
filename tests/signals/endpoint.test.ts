// Credentials, tenants, addresses, TLS and time: what is sent to a server, and what never leaves the operator.

import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import type { Reading, SourceSpec } from "../../src/signals/types.ts";
import { answerQueries } from "../support/queries.ts";
import { answering, closeServers, started, type TestServer } from "./server.ts";
import { one, ratio, scalar, source, VARIABLES } from "./support.ts";

afterEach(closeServers);

async function readOnce(spec: SourceSpec, query = scalar("up"), secrets: Record<string, string> = {}): Promise<Reading> {
  const asked = source(spec, {
    secret: (name, key) => {
      const value = secrets[`${name}/${key}`];
      return value === undefined ? Promise.reject(new Error("hunter2-not-found")) : Promise.resolve(value);
    },
  });
  try {
    return await asked.read(query);
  } finally {
    asked.close();
  }
}

describe("Prometheus", () => {
  it("is asked by POST below its path prefix, with its headers, token and the tenant in the URL", async () => {
    const server = await started(answering({ body: one(1) }));
    const auth = { secretRef: { name: "token", key: "t" } };
    const headers = { "X-Scope-OrgID": "fraud" };
    const spec: SourceSpec = {
      type: "Prometheus",
      address: `${server.url}/prom/`,
      auth,
      headers,
      tenancy: { queryParameter: "namespace" },
    };
    const reading = await readOnce(spec, scalar('up{pod=~"${workload}-.+"}'), { "token/t": "s3cr3t-token\n" });
    expect(reading).toMatchObject({ kind: "Value", value: 1 });
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "POST", url: "/prom/api/v1/query?namespace=fraud" });
    expect(request?.headers).toMatchObject({ authorization: "Bearer s3cr3t-token", "x-scope-orgid": "fraud" });
    expect(new URLSearchParams(request?.body).get("query")).toBe('up{pod=~"scorer-r7-.+"}');
  });

  it("takes user and password as Basic", async () => {
    const server = await started(answering({ body: one(1) }));
    const auth = { type: "Basic" as const, secretRef: { name: "login", key: "p" } };
    await readOnce({ type: "Prometheus", address: server.url, auth }, scalar("up"), { "login/p": "ann:pass" });
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from("ann:pass").toString("base64")}`);
  });

  it("says which secret is missing, and not why", async () => {
    const server = await started(answering({ body: one(1) }));
    const auth = { secretRef: { name: "token", key: "t" } };
    const reading = await readOnce({ type: "Prometheus", address: server.url, auth });
    expect(reading).toMatchObject({ kind: "Error", message: "the secret token (key t) can't be read" });
    expect(server.requests).toHaveLength(0);
  });

  it("No secret reaches a reading, whatever a source answers", async () => {
    const token = "s3cr3t-token-0123456789";
    const echoes = [
      `bad token ${token} for https://ann:hunter2@prometheus.example/x`,
      `${"x".repeat(290)}${token}`,
      `s3cr3t-token-\u00000123456789 or ${token.slice(0, 5)}\u001b[0m${token.slice(5)}`,
    ];
    for (const error of echoes) {
      const server = await started(
        answering({ status: 400, body: JSON.stringify({ status: "error", errorType: "bad_data", error }) }),
      );
      const auth = { secretRef: { name: "token", key: "t" } };
      const reading = await readOnce({ type: "Prometheus", address: server.url, auth }, scalar("up"), { "token/t": token });
      expect(reading.kind).toBe("Error");
      expect(reading.message).not.toContain(token);
      expect(reading.message).not.toContain("s3cr3t-token-0");
      expect(reading.message).not.toContain("hunter2");
    }
  });

  it("never follows a redirect, not even with nothing but the query", async () => {
    const elsewhere = await started(answering({ body: one(1) }));
    const server = await started(answering({ status: 307, headers: { location: `${elsewhere.url}/api/v1/query` } }));
    expect(await readOnce({ type: "Prometheus", address: server.url })).toMatchObject({ kind: "Error" });
    expect(elsewhere.requests).toHaveLength(0);
  });

  it("verifies TLS by the CA of the secret, and by nothing else", async () => {
    const folder = new URL("./fixtures/", import.meta.url);
    const [key, cert] = ["loopback.key", "loopback.crt"].map((file) => readFileSync(new URL(file, folder), "utf8")) as [
      string,
      string,
    ];
    const server = await started(answering({ body: one(1) }), { key, cert });
    const tls = { caRef: { name: "ca", key: "ca.crt" } };
    expect(await readOnce({ type: "Prometheus", address: server.url, tls }, scalar("up"), { "ca/ca.crt": cert })).toMatchObject({
      kind: "Value",
    });
    const reading = await readOnce({ type: "Prometheus", address: server.url });
    expect(reading.kind).toBe("Error");
    expect(reading.message).toContain("TLS failed");
  });

  it("says that a host name is not known", async () => {
    const reading = await readOnce({ type: "Prometheus", address: "http://no-such-host.invalid:9090", timeout: "2s" });
    expect(reading.kind).toBe("Error");
    expect(reading.message).toMatch(/host name|no complete answer/);
  });
});

describe("an address that can't be used is an Error that says so, and asks nobody", () => {
  it.each([
    [undefined, "not a URL"],
    ["prometheus:9090", "http or https"],
    ["file:///etc/passwd", "http or https"],
    ["ftp://x/", "http or https"],
    ["http://ann:hunter2@prometheus:9090", "credentials"],
    ["http://prometheus:9090/?a=b", "no query"],
    ["http://", "not a URL"],
  ])("%s", async (address, says) => {
    for (const type of ["Prometheus", "Web"] as const) {
      const reading = await readOnce({ type, ...(address === undefined ? {} : { address }) });
      expect(reading.kind).toBe("Error");
      expect(reading.message).toContain(says);
      expect(reading.message).not.toContain("hunter2");
    }
  });
});

/** A server that answers each query by name: `denominator` → its result, or nothing. */
async function byQuery(results: Record<string, string | undefined>, at = Date.now() / 1000): Promise<TestServer> {
  const server: TestServer = await started((_req, res) => {
    const last = server.requests.at(-1);
    res.end(answerQueries(last?.body ?? "", at * 1000, (text) => [results[text] ?? []].flat()));
  });
  return server;
}

describe("a ratio", () => {
  it.each([
    ["both are numbers", "2", "8", { kind: "Value", value: 0.25, numerator: 2, denominator: 8 }],
    [
      "In a ratio, an empty numerator beside a conclusive denominator is 0",
      undefined,
      "8",
      { kind: "Value", value: 0, numerator: 0, denominator: 8 },
    ],
    ["an empty denominator is Empty, of size 0", "2", undefined, { kind: "Empty", denominator: 0 }],
    ["a denominator of 0 is Empty, of size 0", "0", "0", { kind: "Empty", denominator: 0 }],
    ["both empty is Empty", undefined, undefined, { kind: "Empty", denominator: 0 }],
    ["a numerator that is NaN", "NaN", "8", { kind: "NotFinite" }],
    ["a denominator that is NaN", "1", "NaN", { kind: "NotFinite" }],
    ["an infinite denominator", "1", "+Inf", { kind: "NotFinite" }],
    ["a negative numerator", "-1", "8", { kind: "Error" }],
    ["a negative denominator", "1", "-8", { kind: "Error" }],
  ])("%s", async (_name, numerator, denominator, expected) => {
    const server = await byQuery({ n: numerator, d: denominator });
    const reading = await readOnce({ type: "Prometheus", address: server.url }, ratio("n", "d"));
    expect(reading).toMatchObject(expected);
    if (expected.kind !== "Value") expect(reading.value).toBeUndefined();
  });

  it("is asked as one query, so that both sides are of the same time", async () => {
    const at = Math.floor(Date.now()) / 1000;
    const server = await byQuery({ n: "1", d: "2" }, at);
    const reading = await readOnce({ type: "Prometheus", address: server.url }, ratio("n", "d"));
    expect(reading).toMatchObject({ at: Math.round(at * 1000), value: 0.5 });
    expect(server.requests).toHaveLength(1);
  });

  it("that can't be asked as one: the numerator is asked for the very time that the denominator was answered for", async () => {
    const at = Math.floor(Date.now()) / 1000;
    const server = await byQuery({ "n # a comment": "1", d: "2" }, at);
    const reading = await readOnce({ type: "Prometheus", address: server.url }, ratio("n # a comment", "d"));
    expect(reading.at).toBe(Math.round(at * 1000));
    expect(server.requests.map((request) => new URLSearchParams(request.body).get("time"))).toEqual([null, at.toFixed(3)]);
  });
});

describe("the age of a sample", () => {
  const now = Math.floor(Date.now() / 1000);
  it.each([
    ["is taken from the freshness query", String(now - 40), { kind: "Value", at: (now - 40) * 1000 }],
    ["too old is Stale", String(now - 121), { kind: "Stale", at: (now - 121) * 1000 }],
    ["from the future is Future", String(now + 90), { kind: "Future" }],
    ["not known, though asked for, is Stale", undefined, { kind: "Stale" }],
    ["that is no number is NotFinite", "NaN", { kind: "NotFinite" }],
    ["that is no time is Stale", "1e300", { kind: "Stale" }],
  ])("%s", async (_name, fresh, expected) => {
    const server = await byQuery({ q: "5", fresh }, now);
    const reading = await readOnce({ type: "Prometheus", address: server.url }, scalar("q", { freshness: "fresh" }));
    expect(reading).toMatchObject(expected);
  });

  it("a step of the wall clock by an hour causes nothing", async () => {
    const server = await byQuery({ q: "5" });
    let wall = Date.now();
    const clock = {
      now: () => wall,
      monotonic: () => performance.now(),
      after: (ms: number, fn: () => void) => {
        const timer = setTimeout(fn, ms);
        return { cancel: () => clearTimeout(timer) };
      },
    };
    const asked = source({ type: "Prometheus", address: server.url }, { clock, coalesceMs: 0 });
    expect((await asked.read(scalar("q"))).kind).toBe("Value");
    wall += 3_600_000;
    expect((await asked.read(scalar("q"))).kind).toBe("Value");
    asked.close();
  });
});

describe("Web", () => {
  it("asks the path of the query below the address, with variables percent-encoded", async () => {
    const server = await started(answering({ body: '{"a": 1}' }));
    const query = scalar("/v1/${name}?of=${version}&x=1#$.a", {
      variables: { ...VARIABLES, name: "a/../b?c#d", version: "1&y=2" },
    });
    const reading = await readOnce({ type: "Web", address: `${server.url}/base/`, tenancy: { queryParameter: "ns" } }, query);
    expect(reading).toMatchObject({ kind: "Value", value: 1 });
    expect(server.requests[0]).toMatchObject({ method: "GET", url: "/base/v1/a%2F..%2Fb%3Fc%23d?of=1%26y%3D2&x=1&ns=fraud" });
  });

  it("fetches one document once for both sides of a ratio and its age", async () => {
    const at = Math.floor(Date.now() / 1000);
    const server = await started(answering({ body: JSON.stringify({ bad: 1, all: 4, at: new Date(at * 1000).toISOString() }) }));
    const reading = await readOnce({ type: "Web", address: server.url }, ratio("/s#$.bad", "/s#$.all", { freshness: "/s#$.at" }));
    expect(reading).toMatchObject({ kind: "Value", value: 0.25, numerator: 1, denominator: 4, at: at * 1000 });
    expect(server.requests).toHaveLength(1);
  });

  it("takes the source's own JSONPath where the query has none, and the time that the answer tells", async () => {
    const at = Math.floor(Date.now() / 1000) - 20;
    const server = await started(answering({ body: JSON.stringify({ value: 1, inner: { v: 2, t: at } }) }));
    expect(await readOnce({ type: "Web", address: server.url }, scalar("/s"))).toMatchObject({ kind: "Value", value: 1 });
    const web = { valuePath: "$.inner.v", timePath: "$.inner.t" };
    expect(await readOnce({ type: "Web", address: server.url, web }, scalar("/s"))).toMatchObject({
      kind: "Value",
      value: 2,
      at: at * 1000,
    });
    const old = await readOnce({ type: "Web", address: server.url, web }, scalar("/s#$.value", { maxAgeMs: 10_000 }));
    expect(old).toMatchObject({ kind: "Stale", at: at * 1000 });
  });

  it.each([
    ["$.a", "<path>#<JSONPath>"],
    ["http://elsewhere/#$.a", "begin with /"],
    ["/../admin#$.a", "must not have . or .."],
    ["/x/%2e%2E/admin#$.a", "must not have . or .."],
    ["/x\\..\\admin#$.a", "must not have . or .."],
    ["/${name}/admin#$.a", "must not have . or .."],
    ["/#$.${name}", "must stand in quotes"],
    ["/#$['a','b']", "no comma"],
    ['/#$[?match(@.x, "(a+)+")]', "no comma"],
    ["/#$..a..b", "at most one .."],
    ["/#$[?@.a==$.b]", "one $"],
    ["/#$[", "can't be evaluated"],
  ])("refuses %s", async (query, says) => {
    const server = await started(answering({ body: '{"a": 1}' }));
    const reading = await readOnce(
      { type: "Web", address: server.url },
      scalar(query, { variables: { ...VARIABLES, name: ".." } }),
    );
    expect(reading.kind).toBe("Error");
    expect(reading.message).toContain(says);
  });
});
