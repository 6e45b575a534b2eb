// The client against a server that misbehaves: every fault is a kind, every call ends, connections are shared.
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { type ConnectOptions, connect, type KubeClient } from "../../src/kube/client.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type Answer, configMap, type FaultyServer, faultyServer, json, status } from "./faulty-server.ts";

const KEY = { namespace: "models", name: "a" };
const fine: Answer = (_request, response) => json(response, 200, configMap("a", "1"));

let server: FaultyServer;
const clients: KubeClient[] = [];

beforeEach(async () => {
  server = await faultyServer(fine);
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await server.close();
});

function client(options: Partial<ConnectOptions> = {}, user?: object): KubeClient {
  const made = connect({ kubeconfig: server.kubeconfig(user), clock: systemClock, userAgent: "rollguard/test", ...options });
  clients.push(made);
  return made;
}

const get = (c: KubeClient, options: object = {}) => c.get(RESOURCES.configMaps, KEY, options);

describe("a call to the API server", () => {
  test.each<[string, Answer, object]>([
    [
      "429 with Retry-After",
      (_q, r) => status(r, 429, "TooManyRequests", { "retry-after": "7" }),
      { kind: "Throttled", retryAfterMs: 7000 },
    ],
    ["500", (_q, r) => status(r, 500, "InternalError"), { kind: "ServerError", status: 500 }],
    ["a reset", (q) => q.socket.resetAndDestroy(), { kind: "Network" }],
    [
      "a reset within the answer",
      (q, r) => {
        r.writeHead(200);
        r.write('{"kind":');
        setTimeout(() => q.socket.resetAndDestroy(), 10);
      },
      { kind: "Network" },
    ],
    ["truncated JSON", (_q, r) => void r.end('{"kind":"ConfigMap","metada'), { kind: "BadAnswer" }],
    [
      "a short body",
      (_q, r) => {
        r.writeHead(200, { "content-length": "500" });
        r.write("{}");
        r.destroy();
      },
      { kind: "Network" },
    ],
    ["HTML", (_q, r) => void r.end("<html>welcome to the proxy</html>"), { kind: "BadAnswer" }],
    ["JSON that is no object", (_q, r) => json(r, 200, ["a"]), { kind: "BadAnswer" }],
    [
      "a redirect",
      (_q, r) => void r.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
      { kind: "BadAnswer", status: 302 },
    ],
    ["a 404 page", (_q, r) => void r.writeHead(404).end("404 page not found"), { kind: "BadAnswer", status: 404 }],
    ["no HTTP at all", (q) => void q.socket.end("SSH-2.0-OpenSSH_9.6\r\n"), { kind: "BadAnswer" }],
  ])("answered by %s fails by its kind, and the next one works", async (_name, answer, expected) => {
    const c = client();
    server.answer = answer;
    await expect(get(c)).rejects.toMatchObject(expected);
    await expect(c.find(RESOURCES.configMaps, KEY)).rejects.toMatchObject(expected);
    server.answer = fine;
    expect(await get(c)).toMatchObject({ metadata: { name: "a" } });
  });

  test("find is undefined for an object that is not there, and for nothing else", async () => {
    const details = { name: "a", kind: "configmaps" };
    server.answer = (_q, r) => json(r, 404, { kind: "Status", apiVersion: "v1", code: 404, reason: "NotFound", details });
    expect(await client().find(RESOURCES.configMaps, KEY)).toBeUndefined();
  });

  test("refused is a kind of its own, at once", async () => {
    const c = client();
    await server.close();
    await expect(get(c)).rejects.toMatchObject({ kind: "Network" });
    server = await faultyServer(fine);
  });

  test("that is never answered ends with its time limit, by the injected clock", async () => {
    const clock = new FakeClock();
    const c = client({ clock });
    server.answer = () => {};
    let outcome: unknown;
    const call = get(c, { timeoutMs: 3000 }).catch((error) => (outcome = error));
    await expect.poll(() => server.requests.length).toBe(1);
    await clock.advance(2999);
    expect(outcome).toBeUndefined();
    await clock.advance(1);
    await call;
    expect(outcome).toMatchObject({ kind: "Timeout" });
    expect(clock.timers).toBe(0);
    await expect.poll(() => server.open.size).toBe(0);
  });

  test("that trickles its answer without end ends with its time limit, too", async () => {
    const clock = new FakeClock();
    const c = client({ clock });
    server.answer = (_q, r) => void r.writeHead(200).write("{");
    const call = get(c, { timeoutMs: 500 }).catch((error) => error);
    await expect.poll(() => server.requests.length).toBe(1);
    await clock.advance(500);
    expect(await call).toMatchObject({ kind: "Timeout" });
  });

  test("is ended by its signal with the signal's reason, before and after it was sent", async () => {
    const c = client();
    server.answer = () => {};
    await expect(get(c, { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
    expect(server.requests).toEqual([]);
    const stop = new AbortController();
    const call = get(c, { signal: stop.signal });
    await expect.poll(() => server.requests.length).toBe(1);
    stop.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    await expect.poll(() => server.open.size).toBe(0);
  });

  test("a hundred calls, one after the other, share their connections", async () => {
    const c = client();
    for (let i = 0; i < 100; i++) await get(c);
    // Now and then the next call comes before the one before has given its connection back.
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  test("rollbacks and the lease have their own lane: an urgent call passes ordinary ones that hang", async () => {
    const c = client({ concurrency: 2 });
    const stop = new AbortController();
    server.answer = () => {};
    const slow = [1, 2, 3, 4].map(() => get(c, { signal: stop.signal }).catch(() => "ended"));
    await expect.poll(() => server.requests.length).toBe(2);
    server.answer = fine;
    expect(await get(c, { lane: "urgent" })).toMatchObject({ kind: "ConfigMap" });
    expect(server.requests).toHaveLength(3);
    stop.abort(new Error("enough"));
    expect(await Promise.all(slow)).toEqual(["ended", "ended", "ended", "ended"]);
    expect(await get(c)).toMatchObject({ kind: "ConfigMap" });
  });

  test("after close nothing is open, and calls that ran are ended", async () => {
    const c = client();
    server.answer = () => {};
    const call = get(c);
    const watch = c.watch(RESOURCES.configMaps, { resourceVersion: "1", timeoutSeconds: 60 }).next();
    const ended = Promise.allSettled([call, watch]);
    await expect.poll(() => server.requests.length).toBe(2);
    await c.close();
    expect((await ended).map((result) => result.status)).toEqual(["rejected", "rejected"]);
    await expect.poll(() => server.open.size).toBe(0);
    await expect(get(c)).rejects.toMatchObject({ kind: "Network" });
  });

  test("a watch that breaks within an event, or holds none, is no end", async () => {
    const c = client();
    const watch = () => c.watch(RESOURCES.configMaps, { resourceVersion: "1", timeoutSeconds: 60 });
    server.answer = (_q, r) => void r.end(`${JSON.stringify({ type: "ADDED", object: configMap("a", "2") })}\n{"type":"MODI`);
    const broken = watch();
    expect((await broken.next()).value).toMatchObject({ type: "ADDED" });
    await expect(broken.next()).rejects.toMatchObject({ kind: "BadAnswer" });
    server.answer = (_q, r) => void r.end('{"type":"ADDED","object":{}}\n');
    await expect(watch().next()).rejects.toMatchObject({ kind: "BadAnswer" });
    server.answer = (_q, r) =>
      void r.end(`${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } })}\n`);
    await expect(watch().next()).rejects.toMatchObject({ kind: "Gone" });
    server.answer = (_q, r) => status(r, 410, "Expired");
    await expect(watch().next()).rejects.toMatchObject({ kind: "Gone" });
  });

  test("an event may come in any pieces, also within a character", async () => {
    const c = client();
    const line = Buffer.from(`${JSON.stringify({ type: "ADDED", object: configMap("a", "2", { text: "grüße 🎉" }) })}\n`);
    server.answer = async (_q, r) => {
      for (const byte of line) {
        r.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      r.end();
    };
    const events = [];
    for await (const event of c.watch(RESOURCES.configMaps, { resourceVersion: "1", timeoutSeconds: 60 })) events.push(event);
    expect(events).toEqual([{ type: "ADDED", object: configMap("a", "2", { text: "grüße 🎉" }) }]);
  });
});

describe("credentials", () => {
  test("a token in a file is read again when it changes", async () => {
    const file = path.join(tmpdir(), `rollguard-token-${process.pid}`);
    try {
      writeFileSync(file, "first\n");
      const user = { "auth-provider": { name: "tokenFile", config: { tokenFile: file } } };
      const clock = new FakeClock();
      const c = client({ clock }, user);
      await get(c);
      writeFileSync(file, "second\n");
      server.answer = (q, r) => (q.headers.authorization === "Bearer second" ? fine(q, r) : status(r, 401, "Unauthorized"));
      // Refused: loaded afresh, at most every ten seconds.
      await expect(get(c)).rejects.toMatchObject({ kind: "Unauthorized" });
      await clock.advance(10_000);
      expect(await get(c)).toMatchObject({ kind: "ConfigMap" });
      expect(server.headers.map((h) => h.authorization)).toEqual(["Bearer first", "Bearer first", "Bearer second"]);
    } finally {
      rmSync(file, { force: true });
    }
  });

  test("user and password, and who we are", async () => {
    const c = client({}, { username: "eve", password: "pw" });
    await get(c);
    expect(server.headers[0]).toMatchObject({ authorization: `Basic ${btoa("eve:pw")}`, "user-agent": "rollguard/test" });
    expect(c).toMatchObject({ namespace: "models", context: "here", server: server.url });
  });

  test("what can't work says why", () => {
    const file = server.kubeconfig();
    const at = (options: Partial<ConnectOptions>) => () => connect({ clock: systemClock, userAgent: "x", ...options });
    expect(at({ kubeconfig: file, context: "there" })).toThrow('no context "there" in the kubeconfig; it has: here');
    expect(at({ kubeconfig: "/nonexistent/kubeconfig" })).toThrow("/nonexistent/kubeconfig");
    writeFileSync(
      file,
      `{clusters: [{name: c, cluster: {server: "${server.url}"}}], users: [], contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}`,
    );
    expect(at({ kubeconfig: file })).toThrow("refusing plain HTTP");
  });
});
