// The reflector on the sandbox's API server without sockets, with time and faults in the test's hands.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { connect } from "../../src/kube/client.ts";
import { type ConfigMap, parseKey } from "../../src/kube/objects.ts";
import { Reflector, type ReflectorOptions } from "../../src/kube/reflector.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { silentLogger } from "../../src/log.ts";
import type { FaultAction } from "../../src/sandbox/apiserver/faults.ts";
import { ApiServer } from "../../src/sandbox/apiserver/server.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

const ID = { group: "", version: "v1", resource: "configmaps" };

function setUp(options: Partial<ReflectorOptions<ConfigMap>> = {}, api: { historyLimit?: number } = {}) {
  const clock = new FakeClock();
  const requests: string[] = [];
  const faults: { next?: (request: "list" | "watch") => FaultAction | undefined } = {};
  const intercept: ApiServer["intercept"] = (request, path) => {
    if (path?.resource !== "configmaps" || request.method !== "GET") return undefined;
    const what = request.url.includes("watch=true") ? "watch" : "list";
    requests.push(what);
    const before = faults.next?.(what);
    return before === undefined ? undefined : { before };
  };
  const server = new ApiServer({ clock, intercept, ...api });
  const client = connect({ clock, dispatcher: server.dispatcher(), userAgent: "rollguard/test" });
  const changes: string[] = [];
  const reflector = new Reflector<ConfigMap>({
    client,
    resource: RESOURCES.configMaps,
    clock,
    logger: silentLogger,
    random: () => 1,
    onChange: (type, key, object, previous) =>
      void changes.push(`${type} ${key} ${previous?.data?.x ?? "-"}→${type === "DELETED" ? "-" : (object.data?.x ?? "-")}`),
    ...options,
  });
  const put = (name: string, x: string, more: object = {}) => {
    const old = server.get(ID, "default", name);
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data: { x }, ...more };
    if (old) server.update(ID, { ...old, data: { x } });
    else server.create(ID, object);
  };
  const remove = (name: string) => server.delete(ID, "default", name);
  const held = () => Object.fromEntries(reflector.list().map((object) => [object.metadata.name, object.data?.x]));
  const there = () => Object.fromEntries(server.list(ID).map((object) => [object.metadata.name, object.data.x]));
  const count = (what: string) => requests.filter((request) => request === what).length;
  return { clock, server, client, reflector, changes, requests, faults, put, remove, held, there, count };
}

describe("a reflector", () => {
  test("lists once, then follows every change", async () => {
    const r = setUp();
    r.put("a", "1");
    r.reflector.start();
    await r.reflector.synced();
    await settle();
    r.put("b", "1");
    r.put("a", "2");
    r.remove("b");
    await settle();
    expect(r.changes).toEqual(["ADDED default/a -→1", "ADDED default/b -→1", "MODIFIED default/a 1→2", "DELETED default/b 1→-"]);
    expect(r.held()).toEqual({ a: "2" });
    expect(r.reflector.get("default", "a")?.data).toEqual({ x: "2" });
    expect(r.reflector.get("other", "a")).toBeUndefined();
    expect(r.reflector.list("other")).toEqual([]);
    expect(r.requests).toEqual(["list", "watch"]);
    await r.reflector.stop();
    expect(r.clock.timers).toBe(0);
  });

  test("keeps no managedFields and only what trim leaves, of lists and of events", async () => {
    const trim = (object: ConfigMap): ConfigMap => ({
      apiVersion: object.apiVersion,
      kind: object.kind,
      // A trimmer may look at managedFields before they go.
      metadata: { ...object.metadata, annotations: { managers: String(object.metadata.managedFields?.map((f) => f.manager)) } },
    });
    const r = setUp({ trim });
    const object = (name: string): ConfigMap => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "default" },
      data: { x: "secret" },
    });
    await r.client.create(object("a"), { fieldManager: "ann" });
    r.reflector.start();
    await settle();
    await r.client.create(object("b"), { fieldManager: "bob" });
    await settle();
    for (const [name, manager] of [
      ["a", "ann"],
      ["b", "bob"],
    ] as const) {
      const held = r.reflector.get("default", name);
      expect(held?.metadata.annotations).toEqual({ managers: manager });
      expect(held).not.toHaveProperty("data");
      expect(held?.metadata).not.toHaveProperty("managedFields");
    }
    await r.reflector.stop();
  });

  test("keeps no copy of what kubectl applied: a ConfigMap's content is in it", async () => {
    const r = setUp({});
    const annotations = { "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"x":"secret"}}', note: "kept" };
    const object = (name: string): ConfigMap => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "default", annotations },
    });
    await r.client.create(object("a"));
    r.reflector.start();
    await settle();
    await r.client.create(object("b"));
    await settle();
    for (const name of ["a", "b"]) expect(r.reflector.get("default", name)?.metadata.annotations).toEqual({ note: "kept" });
    await r.reflector.stop();
  });

  test("410 costs one relist, as an answer and as an event, and tells the differences", async () => {
    const r = setUp();
    r.put("kept", "1");
    r.put("gone", "1");
    r.put("changed", "1");
    r.put("again", "1");
    r.reflector.start();
    await settle();
    expect(r.requests).toEqual(["list", "watch"]);
    r.changes.length = 0;
    // While the watch is cut and can't come back, the world changes and the server forgets.
    r.faults.next = () => ({ do: "reset" });
    r.server.dropWatches();
    await settle();
    r.remove("gone");
    r.put("changed", "2");
    r.remove("again");
    r.put("again", "2");
    r.put("new", "1");
    r.server.compact();
    r.faults.next = undefined as never;
    r.requests.length = 0;
    await r.clock.advance(1000);
    expect(r.requests).toEqual(["watch", "list", "watch"]);
    expect(r.changes).toEqual([
      "DELETED default/gone 1→-",
      "DELETED default/again 1→-",
      "ADDED default/again -→2",
      "MODIFIED default/changed 1→2",
      "ADDED default/new -→1",
    ]);
    expect(r.held()).toEqual(r.there());
    await r.reflector.stop();
  });

  test("a store is swapped at once: no handler sees half a list", async () => {
    const seen: Record<string, string | undefined>[] = [];
    const r = setUp({ onChange: () => void seen.push(r.held()) });
    for (let i = 0; i < 1200; i++) r.put(`o${i}`, "1");
    r.reflector.start();
    await settle(30);
    expect(r.requests.slice(0, 4)).toEqual(["list", "list", "list", "watch"]);
    expect(seen).toHaveLength(1200);
    for (const held of [seen[0], seen.at(-1)]) expect(Object.keys(held ?? {})).toHaveLength(1200);
    await r.reflector.stop();
  });

  test("handlers and trimmers that throw or reject break nothing", async () => {
    let calls = 0;
    const r = setUp({
      onChange: (() => {
        calls++;
        if (calls % 2) throw new Error("handler");
        return Promise.reject(new Error("async handler"));
      }) as never,
      trim: () => {
        throw new Error("trim");
      },
    });
    r.put("a", "1");
    r.put("b", "1");
    r.reflector.start();
    await settle();
    r.put("c", "1");
    r.remove("a");
    await settle();
    expect(calls).toBe(4);
    expect(r.held()).toEqual({ b: "1", c: "1" });
    expect(r.requests).toEqual(["list", "watch"]);
    await r.reflector.stop();
  });

  test("429 and Retry-After are honoured, on the list and on the watch", async () => {
    const r = setUp();
    const slow: FaultAction = { do: "refuse", status: 429, reason: "TooManyRequests", retryAfterSeconds: 40 };
    r.faults.next = () => slow;
    r.reflector.start();
    await r.clock.advance(39_999);
    expect(r.requests).toEqual(["list"]);
    r.faults.next = (what) => (what === "watch" ? slow : undefined);
    await r.clock.advance(1);
    expect(r.requests).toEqual(["list", "list", "watch"]);
    await r.clock.advance(39_999);
    expect(r.requests).toHaveLength(3);
    await r.clock.advance(1);
    expect(r.requests).toEqual(["list", "list", "watch", "watch"]);
    await r.reflector.stop();
  });

  test("an outage of ten minutes costs a request every half minute at the most, no list afterwards, and no change is lost", async () => {
    const r = setUp();
    r.put("a", "1");
    r.reflector.start();
    await settle();
    r.faults.next = () => ({ do: "reset" });
    r.server.dropWatches();
    r.requests.length = 0;
    await r.clock.advance(600_000);
    expect(r.count("list")).toBe(0);
    expect(r.count("watch")).toBeLessThan(40);
    expect(r.count("watch")).toBeGreaterThan(15);
    r.put("a", "2");
    r.faults.next = undefined as never;
    await r.clock.advance(30_000);
    expect(r.held()).toEqual({ a: "2" });
    expect(r.count("list")).toBe(0);
    await r.reflector.stop();
  });

  test("a server that refuses the version itself is asked for a list after three tries", async () => {
    const r = setUp();
    r.reflector.start();
    await settle();
    await r.clock.advance(15_000);
    r.faults.next = (what) => (what === "watch" ? { do: "refuse", status: 500, reason: "InternalError" } : undefined);
    r.server.dropWatches();
    r.requests.length = 0;
    await r.clock.advance(5_000);
    expect(r.requests.slice(0, 5)).toEqual(["watch", "watch", "watch", "list", "watch"]);
    await r.reflector.stop();
  });

  test("a server that answers 410 to every watch is not hammered", async () => {
    const r = setUp();
    r.faults.next = (what) => (what === "watch" ? { do: "refuse", status: 410, reason: "Expired" } : undefined);
    r.reflector.start();
    await r.clock.advance(120_000);
    expect(r.count("list")).toBeLessThan(15);
    await r.reflector.stop();
  });

  test("a watch that ends at once, again and again, is no hot loop", async () => {
    const r = setUp();
    r.reflector.start();
    await settle();
    for (let second = 0; second < 60; second++) {
      r.server.dropWatches();
      await r.clock.advance(100);
    }
    expect(r.count("watch")).toBeLessThan(12);
    await r.reflector.stop();
  });

  test("an idle hour costs a watch every four to five minutes and nothing else", async () => {
    const r = setUp({ random: Math.random });
    r.put("a", "1");
    r.reflector.start();
    await settle();
    await r.clock.advance(3_600_000);
    expect(r.count("list")).toBe(1);
    expect(r.count("watch")).toBeGreaterThanOrEqual(12);
    expect(r.count("watch")).toBeLessThanOrEqual(16);
    // Bookmarks carried the position on, so that a quiet kind does not fall behind what the server remembers.
    for (let i = 0; i < 5; i++)
      r.server.create({ ...ID, resource: "secrets" }, { metadata: { name: `s${i}`, namespace: "default" } });
    await r.clock.advance(61_000);
    r.server.compact();
    r.server.dropWatches();
    await r.clock.advance(1000);
    expect(r.count("list")).toBe(1);
    await r.reflector.stop();
  });

  test("stop at any moment leaks nothing and leaves what was held", async () => {
    for (let turns = 0; turns < 12; turns++) {
      for (const fault of [undefined, { do: "hang" }, { do: "reset" }] as const) {
        const r = setUp();
        r.put("a", "1");
        const before = r.clock.timers;
        r.faults.next = () => fault;
        const outer = new AbortController();
        r.reflector.start(outer.signal);
        const synced = r.reflector.synced().then(
          () => "synced",
          () => "stopped",
        );
        await settle(turns);
        if (turns % 2) outer.abort(new Error("enough"));
        await r.reflector.stop();
        expect(r.reflector.state).toBe("Stopped");
        if (fault) expect(await synced).toBe("stopped");
        await settle();
        expect(r.clock.timers, `after ${turns} turns`).toBe(before);
        const requests = r.requests.length;
        await r.clock.advance(600_000);
        expect(r.requests).toHaveLength(requests);
      }
    }
  });

  test("a dead, silent or half-open watch is noticed and reopened", async () => {
    const r = setUp();
    r.put("a", "1");
    r.reflector.start();
    await settle();
    r.server.dropWatches();
    r.requests.length = 0;
    let silent = true;
    r.faults.next = () => (silent ? { do: "hang" } : undefined);
    await r.clock.advance(300);
    expect(r.requests).toEqual(["watch"]);
    r.put("a", "2");
    silent = false;
    // Without headers: the time limit. With headers and then nothing: the watchdog, see reflector-faults.test.ts.
    await r.clock.advance(31_000);
    expect(r.requests).toEqual(["watch", "watch"]);
    expect(r.held()).toEqual({ a: "2" });
    await r.reflector.stop();
  });
});

describe("asked for what is so now", () => {
  /** Its watch is half-open: it was opened, and nothing comes of it. */
  async function halfOpen() {
    const r = setUp();
    r.put("a", "1");
    r.reflector.start();
    await settle();
    await r.clock.advance(15_000);
    r.faults.next = (what) => (what === "watch" ? { do: "hang" } : undefined);
    r.server.dropWatches();
    await r.clock.advance(300);
    r.faults.next = undefined as never;
    r.put("a", "2");
    await r.clock.advance(1000);
    expect(r.held()).toEqual({ a: "1" });
    r.requests.length = 0;
    return r;
  }

  test("a list that begins after the question answers it, whatever the watch does", async () => {
    const r = await halfOpen();
    await r.reflector.relist();
    expect(r.held()).toEqual({ a: "2" });
    await settle();
    expect(r.requests).toEqual(["list", "watch"]);
    r.put("a", "3");
    await settle();
    expect(r.held()).toEqual({ a: "3" });
    await r.reflector.stop();
  });

  test("a watch that is opened anew brings what was missed, without a list", async () => {
    const r = await halfOpen();
    r.reflector.renew();
    await settle();
    expect(r.requests).toEqual(["watch"]);
    expect(r.held()).toEqual({ a: "2" });
    await r.reflector.stop();
  });

  test("a list that had begun before is not enough", async () => {
    const r = setUp();
    r.put("a", "1");
    r.faults.next = () => ({ do: "delay", ms: 5000 });
    r.reflector.start();
    await r.clock.advance(4000);
    let answered = false;
    const asked = r.reflector.relist().then(() => {
      answered = true;
    });
    await r.clock.advance(2000);
    expect([r.count("list"), answered]).toEqual([2, false]);
    await r.clock.advance(5000);
    await asked;
    await r.reflector.stop();
  });

  test("a back-off of ours does not hold it up, a Retry-After of the server does, and what fails is tried again", async () => {
    const r = setUp();
    r.reflector.start();
    await settle();
    r.faults.next = () => ({ do: "reset" });
    r.server.dropWatches();
    await r.clock.advance(600_000);
    r.put("a", "1");
    r.faults.next = undefined as never;
    await r.reflector.relist();
    expect(r.held()).toEqual({ a: "1" });
    r.faults.next = () => ({ do: "refuse", status: 429, reason: "TooManyRequests", retryAfterSeconds: 40 });
    let answered = 0;
    const asked = [r.reflector.relist(), r.reflector.relist()].map((one) => one.then(() => answered++));
    await settle();
    r.requests.length = 0;
    r.reflector.renew();
    await r.clock.advance(39_000);
    expect([r.requests, answered]).toEqual([[], 0]);
    r.faults.next = undefined as never;
    await r.clock.advance(1500);
    await Promise.all(asked);
    expect(r.count("list")).toBe(1);
    await r.reflector.stop();
    await expect(r.reflector.relist()).rejects.toThrow();
  });
});

interface PutOrRemove {
  do: "put" | "remove";
  name: string;
}
type Step =
  | PutOrRemove
  | { do: "advance"; ms: number }
  | { do: "cut" }
  | { do: "compact" }
  | { do: "relist" }
  | { do: "renew" }
  | { do: "faults"; kinds: number[] };
const name = fc.constantFrom("a", "b", "c");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("put" as const), name }),
  fc.record({ do: fc.constant("remove" as const), name }),
  fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
  fc.record({ do: fc.constant("cut" as const) }),
  fc.record({ do: fc.constant("compact" as const) }),
  fc.record({ do: fc.constant("relist" as const) }),
  fc.record({ do: fc.constant("renew" as const) }),
  fc.record({ do: fc.constant("faults" as const), kinds: fc.array(fc.nat(4), { maxLength: 6 }) }),
);
const FAULTS: (FaultAction | undefined)[] = [
  undefined,
  { do: "reset" },
  { do: "refuse", status: 429, retryAfterSeconds: 2 },
  { do: "refuse", status: 500 },
  { do: "refuse", status: 410, reason: "Expired" },
];

describe("whatever the server does", () => {
  test("the copy ends up as the server, and the changes that were told add up to it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
        const told = new Map<string, string | undefined>();
        const r = setUp({
          onChange: (type, key, object, previous) => {
            const { name } = parseKey(key);
            expect(previous?.data?.x, `${type} ${name}`).toBe(told.get(name));
            expect(type === "ADDED", `${type} ${name}`).toBe(!told.has(name));
            if (type === "DELETED") told.delete(name);
            else told.set(name, object.data?.x);
          },
          logger: { ...silentLogger, error: (fields) => broken.push(fields) },
        });
        const broken: object[] = [];
        const lists: Promise<void>[] = [];
        let pending: (FaultAction | undefined)[] = [];
        r.faults.next = () => pending.shift();
        r.reflector.start();
        let version = 0;
        for (const s of steps) {
          if (s.do === "put") r.put(s.name, String(version++));
          else if (s.do === "remove") {
            if (r.server.get(ID, "default", s.name)) r.remove(s.name);
          } else if (s.do === "advance") await r.clock.advance(s.ms);
          else if (s.do === "cut") r.server.dropWatches();
          else if (s.do === "compact") r.server.compact();
          else if (s.do === "relist") lists.push(r.reflector.relist());
          else if (s.do === "renew") r.reflector.renew();
          else if (s.do === "faults") pending = s.kinds.map((kind) => FAULTS[kind]);
        }
        pending = [];
        await r.clock.advance(120_000);
        expect(r.held()).toEqual(r.there());
        expect(Object.fromEntries(told)).toEqual(r.there());
        expect(broken).toEqual([]);
        await Promise.all(lists);
        await r.reflector.stop();
      }),
      { numRuns: 60 },
    );
  });
});
