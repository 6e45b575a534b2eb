// What only the sandbox's API server has: a clock and faults that are injected, a run that repeats, no sockets, and the
// synchronous side that controllers and node use.
import { CoreV1Api, KubeConfig, Watch } from "@kubernetes/client-node";
import { request } from "undici";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { StatusError } from "../../src/sandbox/api.ts";
import { ApiServer, kubeconfig } from "../../src/sandbox/apiserver/index.ts";
import { LineStream } from "../../src/sandbox/apiserver/watch.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { Api, eventually } from "./client.ts";
import { configMap, WIDGETS, widget } from "./fixtures.ts";

const CONFIG_MAPS = { group: "", version: "v1", resource: "configmaps" };
const PODS = { group: "", version: "v1", resource: "pods" };
const MAPS = "/api/v1/namespaces/default/configmaps";

function inMemory(server: ApiServer): Api {
  return new Api({ url: "http://sandbox.invalid", dispatcher: server.dispatcher(), close: async () => {} }, "default");
}

const local = (name: string, metadata = {}) => configMap(name, {}, { namespace: "default", ...metadata });

describe("the sandbox's clock", () => {
  test("times of objects and the Date header are the clock's", async () => {
    const clock = new FakeClock(Date.UTC(2030, 0, 1, 12));
    const api = inMemory(new ApiServer({ clock }));
    const { body, headers } = await api.call("POST", MAPS, { body: configMap("timed") });
    expect(body.metadata.creationTimestamp).toBe("2030-01-01T12:00:00Z");
    expect(headers.date).toBe("Tue, 01 Jan 2030 12:00:00 GMT");
  });

  test("a watch is sent bookmarks each minute, and ends after its timeoutSeconds with one more", async () => {
    const clock = new FakeClock();
    const server = new ApiServer({ clock });
    const idle = clock.timers;
    const query = { resourceVersion: server.revision, allowWatchBookmarks: "true", timeoutSeconds: "90" };
    const watch = await inMemory(server).watch(MAPS, query);
    await clock.advance(60_000);
    expect((await watch.next()).type).toBe("BOOKMARK");
    await clock.advance(30_000);
    const last = await watch.next();
    expect([last.type, last.object.metadata.resourceVersion]).toEqual(["BOOKMARK", server.revision]);
    expect(await watch.next()).toBeUndefined();
    expect(clock.timers).toBe(idle);
  });

  test("the same story with the same sources of chance gives the same objects", () => {
    const story = () => {
      let count = 0;
      const server = new ApiServer({ clock: new FakeClock(), newUid: () => `uid-${++count}`, random: () => 0.5 });
      server.create(CONFIG_MAPS, { metadata: { generateName: "g-", namespace: "default" }, data: { a: "1" } });
      return JSON.stringify(server.list(CONFIG_MAPS));
    };
    expect(story()).toBe(story());
    expect(story()).toContain("uid-5");
  });
});

describe("faults", () => {
  test("a fault before the commit has no effect; one after it has, and the client does not learn", async () => {
    const server = new ApiServer({ clock: systemClock });
    const api = inMemory(server);
    const refuse = { do: "refuse", status: 503, reason: "ServiceUnavailable", retryAfterSeconds: 2 } as const;
    server.intercept = (_, path) => (path?.resource === "configmaps" ? { before: refuse } : undefined);
    const before = await api.call("POST", MAPS, { body: configMap("before") });
    expect([before.status, before.body.reason, before.headers["retry-after"]]).toEqual([503, "ServiceUnavailable", "2"]);
    expect(server.get(CONFIG_MAPS, "default", "before")).toBeUndefined();
    server.intercept = () => ({ after: { do: "refuse", status: 500 } });
    expect((await api.call("POST", MAPS, { body: configMap("after") })).status).toBe(500);
    expect(server.get(CONFIG_MAPS, "default", "after")).toBeDefined();
  });

  test.each(["with sockets", "without"])("a reset cuts the connection, %s", async (how) => {
    const server = new ApiServer({ clock: systemClock, intercept: () => ({ after: { do: "reset" } }) });
    const listening = how === "without" ? undefined : await server.listen();
    const url = listening?.url ?? "http://sandbox.invalid";
    const dispatcher = listening === undefined ? { dispatcher: server.dispatcher() } : {};
    const body = JSON.stringify(configMap("cut"));
    const sent = request(`${url}${MAPS}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
      ...dispatcher,
    });
    await expect(sent).rejects.toThrow();
    expect(server.get(CONFIG_MAPS, "default", "cut")).toBeDefined();
    await listening?.close();
  });

  test("a delay lasts as long as the clock says, and a hang until the client gives up", async () => {
    const clock = new FakeClock();
    const server = new ApiServer({ clock, intercept: () => ({ before: { do: "delay", ms: 5000 } }) });
    const api = inMemory(server);
    let done = false;
    const slow = api.call("GET", MAPS).then(() => {
      done = true;
    });
    await clock.advance(4999);
    expect(done).toBe(false);
    await clock.advance(1);
    await slow;
    server.intercept = () => ({ before: { do: "hang" } });
    const abort = new AbortController();
    const hung = request(`http://sandbox.invalid${MAPS}`, { dispatcher: server.dispatcher(), signal: abort.signal });
    await settle();
    abort.abort(new Error("no patience left"));
    await expect(hung).rejects.toThrow("no patience left");
  });

  test("watches can be dropped, and a history that is too short is Gone", async () => {
    const server = new ApiServer({ clock: systemClock, historyLimit: 10 });
    const api = inMemory(server);
    const from = server.revision;
    const watch = await api.watch(MAPS, { resourceVersion: from });
    server.create(CONFIG_MAPS, local("kept"));
    expect(await watch.take(1)).toEqual(["ADDED kept"]);
    server.dropWatches();
    expect(await watch.next()).toBeUndefined();
    for (let i = 0; i < 30; i++) server.create(CONFIG_MAPS, local(`more-${i}`));
    expect((await (await api.watch(MAPS, { resourceVersion: from })).next()).object.code).toBe(410);
  });
});

test("a watcher that reads nothing is cut off instead of filling the memory", async () => {
  const stream = new LineStream();
  let ended = false;
  stream.onEnd(() => {
    ended = true;
  });
  for (let i = 0; i < 30_000; i++) stream.push("{}\n");
  expect(ended).toBe(true);
  let read = "";
  for await (const text of stream) read += text;
  expect(read.length).toBeLessThan(30_000 * 3);
});

describe("the client of Kubernetes without sockets", () => {
  class InMemory extends KubeConfig {
    constructor(server: ApiServer) {
      super();
      this.loadFromString(kubeconfig("http://sandbox.invalid"));
      const dispatcher = server.dispatcher();
      const apply = this.applySecurityAuthentication.bind(this);
      this.applySecurityAuthentication = async (context) => {
        await apply(context);
        context.setDispatcher(dispatcher);
      };
    }
  }

  test("lists, creates, and is told what is wrong", async () => {
    const core = new InMemory(new ApiServer({ clock: systemClock })).makeApiClient(CoreV1Api);
    await core.createNamespacedConfigMap({ namespace: "default", body: { metadata: { name: "typed" }, data: { a: "1" } } });
    const list = await core.listNamespacedConfigMap({ namespace: "default" });
    expect(list.items.map((item) => item.metadata?.name)).toEqual(["typed"]);
    const missing = core.readNamespacedConfigMap({ namespace: "default", name: "nothing" });
    await expect(missing).rejects.toMatchObject({ code: 404 });
  });

  test("a body that is a stream arrives whole", async () => {
    const server = new ApiServer({ clock: systemClock });
    const text = JSON.stringify(configMap("streamed", { umlaut: "ü".repeat(5000) }));
    const bytes = Buffer.from(text);
    async function* chunks() {
      for (let i = 0; i < bytes.length; i += 777) yield bytes.subarray(i, i + 777);
    }
    await request(`http://sandbox.invalid${MAPS}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: chunks() as never,
      dispatcher: server.dispatcher(),
    });
    expect(server.get(CONFIG_MAPS, "default", "streamed")?.data.umlaut).toHaveLength(5000);
  });

  test("an aborted watch ends at the server too", async () => {
    const clock = new FakeClock();
    const server = new ApiServer({ clock });
    const idle = clock.timers;
    const watch = await inMemory(server).watch(MAPS, { allowWatchBookmarks: "true" });
    await settle();
    expect(clock.timers).toBeGreaterThan(idle);
    watch.close();
    await settle();
    expect(clock.timers).toBe(idle);
  });

  test("client-node's watch over a socket ends at the server when it is aborted", async () => {
    const clock = new FakeClock();
    const server = new ApiServer({ clock });
    const listening = await server.listen();
    const config = new KubeConfig();
    config.loadFromString(kubeconfig(listening.url));
    const seen: string[] = [];
    const abort = await new Watch(config).watch(
      MAPS,
      {},
      (type, object) => seen.push(`${type} ${object.metadata.name}`),
      () => {},
    );
    server.create(CONFIG_MAPS, local("over-a-socket"));
    await eventually(
      async () => seen,
      (list) => list.length > 0,
    );
    expect(seen).toEqual(["ADDED over-a-socket"]);
    abort.abort();
    await eventually(
      async () => clock.timers,
      (timers) => timers === 0,
    );
    server.close();
    await listening.close();
  });
});

describe("the synchronous side", () => {
  test("what is handed out are copies", () => {
    const server = new ApiServer({ clock: systemClock });
    const made = server.create(CONFIG_MAPS, local("copied"));
    made.metadata.labels = { changed: "here" };
    const read = server.get(CONFIG_MAPS, "default", "copied");
    expect(read?.metadata.labels).toBeUndefined();
    expect(server.list(CONFIG_MAPS, "kube-system")).toEqual([]);
  });

  test("handlers that write are called in the order of the changes", () => {
    const server = new ApiServer({ clock: systemClock });
    const seen: string[] = [];
    const stop = server.watch(CONFIG_MAPS, ({ type, object }) => {
      if (object.metadata.name === "first" && type === "ADDED") server.create(CONFIG_MAPS, local("second"));
    });
    server.watch(CONFIG_MAPS, ({ type, object }) => void seen.push(`${type} ${object.metadata.name}`));
    server.create(CONFIG_MAPS, local("first"));
    expect(seen).toEqual(["ADDED first", "ADDED second"]);
    stop();
  });

  test("errors are the API's", () => {
    const server = new ApiServer({ clock: systemClock });
    server.create(CONFIG_MAPS, local("once"));
    expect(() => server.create(CONFIG_MAPS, local("once"))).toThrow(StatusError);
    expect(() => server.delete(CONFIG_MAPS, "default", "never")).toThrow('configmaps "never" not found');
  });

  test("a CRD can be installed again, and its objects stay", () => {
    const server = new ApiServer({ clock: systemClock });
    const id = { group: WIDGETS.spec.group, version: "v1", resource: "widgets" };
    server.installCrd(WIDGETS);
    server.create(id, widget("kept", {}, { namespace: "default" }));
    server.installCrd(WIDGETS);
    expect(server.list(id).map(({ metadata }) => metadata.name)).toEqual(["kept"]);
  });

  test("the log of a pod is what the node says", async () => {
    const server = new ApiServer({ clock: systemClock });
    const api = inMemory(server);
    const spec = { containers: [{ name: "main", image: "example.com/main:1" }] };
    server.create(PODS, { metadata: { name: "logged", namespace: "default" }, spec });
    const path = "/api/v1/namespaces/default/pods/logged/log";
    expect((await api.call("GET", path)).status).toBe(503);
    server.logReader = (namespace, pod, container, options) => `${namespace}/${pod}/${container} ${JSON.stringify(options)}\n`;
    const { body } = await api.call("GET", path, { query: { container: "main", tailLines: "3" } });
    expect(body).toBe('default/logged/main {"tailLines":3,"previous":false}\n');
  });
});
