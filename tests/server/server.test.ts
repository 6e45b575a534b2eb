// The operator's HTTP server as its callers see it: probes, Prometheus, and whoever else connects.
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { silentLogger } from "../../src/log.ts";
import { Health } from "../../src/server/health.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";
import { createMetrics } from "../../src/telemetry.ts";

const running: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function start(health = new Health()) {
  const { registry, metrics } = createMetrics();
  const content = async () => ({ contentType: registry.contentType, body: await registry.metrics() });
  const server = await startServer({ host: "127.0.0.1", port: 0, health, metrics: content, logger: silentLogger });
  running.push(server);
  return { server, metrics, url: `http://127.0.0.1:${server.port}` };
}

/** What the server answers to these bytes, until it closes. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}

test("not ready before anybody reported, then as reported, with the reasons in the body", async () => {
  const health = new Health();
  const { url } = await start(health);
  const ready = async () => {
    const answer = await fetch(`${url}/readyz`);
    return [answer.status, await answer.text()];
  };
  expect(await ready()).toEqual([503, "operator: starting\n"]);
  health.ready("caches", "waiting for\nthe lists");
  health.ready("api", undefined);
  expect(await ready()).toEqual([503, "caches: waiting for the lists\n"]);
  health.ready("caches", undefined);
  expect(await ready()).toEqual([200, "ok\n"]);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  health.alive("queue", "stands still");
  expect((await fetch(`${url}/healthz`)).status).toBe(503);
  expect(await ready()).toEqual([503, "queue: stands still\n"]);
});

test("metrics are served in the format of Prometheus", async () => {
  const { url, metrics } = await start();
  metrics.rollbacks.inc({ trigger: "Breach", warm: "true" });
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  const text = await answer.text();
  expect(text).toContain('rollguard_rollbacks_total{trigger="Breach",warm="true"} 1');
  expect(text).toMatch(/^rollguard_build_info\{version="\d+\.\d+\.\d+"/m);
});

test("other paths and methods are refused", async () => {
  const { url } = await start();
  expect((await fetch(`${url}/`)).status).toBe(404);
  const post = await fetch(`${url}/metrics`, { method: "POST", body: "x".repeat(100_000) });
  expect([post.status, post.headers.get("allow"), post.headers.get("connection")]).toEqual([405, "GET, HEAD", "close"]);
});

test("headers are bounded, and what is no HTTP is closed", async () => {
  const { server } = await start();
  const huge = await raw(server.port, `GET /metrics HTTP/1.1\r\nHost: x\r\nX-Big: ${"a".repeat(20_000)}\r\n\r\n`);
  expect(huge).toMatch(/^HTTP\/1\.1 4\d\d /);
  expect(await raw(server.port, "SSH-2.0-OpenSSH\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
});

test("closing ends idle connections at once, and a stuck one in the end", async () => {
  const { server, url } = await start();
  await (await fetch(`${url}/healthz`)).text();
  const stuck = connect(server.port, "127.0.0.1");
  await new Promise((resolve) => stuck.once("connect", resolve));
  stuck.on("error", () => {});
  stuck.write("GET /metrics HTTP/1.1\r\n");
  const closed = new Promise((resolve) => stuck.once("close", resolve));
  await server.close();
  await closed;
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});

test("a port that is taken is an error that names it", async () => {
  const { server } = await start();
  const { metrics: _unused, ...rest } = createMetrics();
  const metrics = async () => ({ contentType: rest.registry.contentType, body: "" });
  const again = startServer({ host: "127.0.0.1", port: server.port, health: new Health(), metrics, logger: silentLogger });
  await expect(again).rejects.toThrow(`can't listen on 127.0.0.1:${server.port}`);
});
