// The reflector over real connections that die in the ways that only real ones do.
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import type { ConfigMap } from "../../src/kube/objects.ts";
import { Reflector } from "../../src/kube/reflector.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { silentLogger } from "../../src/log.ts";
import { configMap, type FaultyServer, faultyServer, json, status } from "./faulty-server.ts";

let server: FaultyServer;
let client: KubeClient;
let reflector: Reflector<ConfigMap>;

beforeEach(async () => {
  server = await faultyServer((_request, response) => status(response, 500, "InternalError"));
  client = connect({ kubeconfig: server.kubeconfig(), clock: systemClock, userAgent: "rollguard/test" });
  const silenceMs = 300;
  reflector = new Reflector({
    client,
    resource: RESOURCES.configMaps,
    clock: systemClock,
    logger: silentLogger,
    silenceMs,
    random: () => 0,
  });
});

afterEach(async () => {
  await reflector.stop();
  await client.close();
  await server.close();
});

const event = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
const list = (...items: object[]) => ({ kind: "ConfigMapList", apiVersion: "v1", metadata: { resourceVersion: "10" }, items });
const isWatch = (url: string | undefined) => url?.includes("watch=true");
const watches = () => server.requests.filter(isWatch);

test("a dead, silent or half-open watch is noticed and reopened", async () => {
  server.answer = (request, response) => {
    if (!isWatch(request.url)) return json(response, 200, list(configMap("a", "5", { x: "1" })));
    response.writeHead(200);
    // Half open: an event, then nothing ever again, and no end either.
    if (watches().length === 1) response.write(event("MODIFIED", configMap("a", "11", { x: "2" })));
    else if (watches().length === 2) response.write(event("BOOKMARK", { metadata: { resourceVersion: "20" } }));
    else response.write(event("MODIFIED", configMap("a", "21", { x: "3" })));
  };
  reflector.start();
  await expect.poll(() => reflector.get("models", "a")?.data?.x, { timeout: 5000 }).toBe("3");
  const from = watches().map((url) => new URL(url.split(" ")[1] ?? "", "http://x").searchParams.get("resourceVersion"));
  expect(from.slice(0, 3)).toEqual(["10", "11", "20"]);
  expect(server.requests.filter((url) => !isWatch(url))).toHaveLength(1);
  const query = new URL(watches()[0]?.split(" ")[1] ?? "", "http://x").searchParams;
  expect(query.get("allowWatchBookmarks")).toBe("true");
  expect(Number(query.get("timeoutSeconds"))).toBeGreaterThanOrEqual(240);
  expect(Number(query.get("timeoutSeconds"))).toBeLessThanOrEqual(290);
  expect(systemClock.monotonic() - (reflector.lastContact ?? 0)).toBeLessThan(5000);
});

test("a reset, truncated JSON and nonsense within a watch lose nothing: it goes on from the last event", async () => {
  const faults = [
    (end: { destroy(): void }) => end.destroy(),
    (end: { end(text: string): void }) => end.end('{"type":"MODIFIED","obj'),
    (end: { end(text: string): void }) => end.end("<html>502</html>\n"),
  ];
  server.answer = (request, response) => {
    if (!isWatch(request.url)) return json(response, 200, list());
    const version = Number(new URL(request.url ?? "", "http://x").searchParams.get("resourceVersion"));
    response.writeHead(200);
    response.write(event("ADDED", configMap(`o${version + 1}`, String(version + 1))));
    const fault = faults[watches().length - 1];
    setTimeout(() => fault?.(response), 20);
  };
  reflector.start();
  await expect.poll(() => reflector.size, { timeout: 8000 }).toBe(4);
  expect(reflector.list().map((object) => object.metadata.name)).toEqual(["o11", "o12", "o13", "o14"]);
  expect(server.requests.filter((url) => !isWatch(url))).toHaveLength(1);
});

test("repeated events change nothing, older ones neither, and one out of order costs a relist", async () => {
  const changes: string[] = [];
  reflector = new Reflector({
    client,
    resource: RESOURCES.configMaps,
    clock: systemClock,
    logger: silentLogger,
    onChange: (type, key, object) => void changes.push(`${type} ${key} ${object.metadata.resourceVersion}`),
  });
  server.answer = (request, response) => {
    if (!isWatch(request.url)) return json(response, 200, list(configMap("a", "5")));
    response.writeHead(200);
    if (watches().length > 1) return;
    for (const version of ["12", "12", "11", "14"]) response.write(event("MODIFIED", configMap("a", version)));
    // Of an earlier object of this name.
    const stale = configMap("a", "13");
    response.write(event("DELETED", { ...stale, metadata: { ...(stale.metadata as object), uid: "uid-before" } }));
    response.write(event("DELETED", configMap("a", "15")));
    // Comes after its deletion: taken at its word it would live for ever.
    response.write(event("MODIFIED", configMap("a", "13")));
  };
  reflector.start();
  await expect.poll(() => watches().length, { timeout: 5000 }).toBe(2);
  const expected = ["ADDED 5", "MODIFIED 12", "MODIFIED 14", "DELETED 15", "ADDED 5"];
  expect(changes).toEqual(expected.map((change) => change.replace(" ", " models/a ")));
  expect(server.requests.filter((url) => !isWatch(url))).toHaveLength(2);
});

test("after stop no connection and no request is left, whatever was under way", async () => {
  server.answer = (request, response) => {
    if (!isWatch(request.url)) return json(response, 200, list());
    response.writeHead(200);
    response.flushHeaders();
  };
  reflector.start();
  await expect.poll(() => watches().length).toBe(1);
  await reflector.stop();
  const requests = server.requests.length;
  // The list's connection is kept for the next call; the watch's is cut.
  await expect.poll(() => server.open.size).toBeLessThanOrEqual(1);
  await client.close();
  await expect.poll(() => server.open.size).toBe(0);
  expect(server.requests).toHaveLength(requests);
});
