// Events: written at least once, one object each, never in the way, whatever the server does or the note holds.
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../../src/kube/client.ts";
import { type EventInput, EventRecorder, type EventRecorderOptions } from "../../src/kube/events.ts";
import type { Event, KubeObject } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { silentLogger } from "../../src/log.ts";
import type { Faults } from "../../src/sandbox/apiserver/faults.ts";
import { ApiServer } from "../../src/sandbox/apiserver/server.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

const servers: ApiServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function setUp(options: Partial<EventRecorderOptions> = {}) {
  const clock = new FakeClock(Date.UTC(2026, 10, 24, 12, 0, 0, 123));
  const server = new ApiServer({ clock });
  servers.push(server);
  const state = { faults: [] as (Faults | undefined)[], writes: 0 };
  server.intercept = (request) => {
    if (request.method !== "GET") state.writes++;
    return state.faults.shift();
  };
  const client = connect({ clock, dispatcher: server.dispatcher(), userAgent: "rollguard/test" });
  const recorder = (more: Partial<EventRecorderOptions> = {}) =>
    new EventRecorder({
      client,
      clock,
      logger: silentLogger,
      controller: "rollguard.dev/operator",
      instance: "pod-1",
      random: () => 1,
      ...options,
      ...more,
    });
  const events = async () => (await client.listAll<Event>(RESOURCES.events)).items;
  return { clock, server, client, state, recorder, events };
}

const about: KubeObject = {
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ModelDeployment",
  metadata: { name: "digits", namespace: "default", uid: "uid-1" },
};
const event = (id: string, more: Partial<EventInput> = {}): EventInput => ({
  regarding: about,
  type: "Warning",
  reason: "RolledBack",
  action: "Decide",
  note: "accuracy 0.62 is below 0.85",
  id,
  ...more,
});

describe("an event", () => {
  test("is what events.k8s.io/v1 wants, with six digits", async () => {
    const w = setUp();
    const recorder = w.recorder();
    recorder.record(event("7/RolledBack"));
    await settle();
    expect(await w.events()).toMatchObject([
      {
        metadata: { namespace: "default", name: expect.stringMatching(/^digits\.[0-9a-f]{16}$/) },
        eventTime: "2026-11-24T12:00:00.123000Z",
        reportingController: "rollguard.dev/operator",
        reportingInstance: "pod-1",
        action: "Decide",
        reason: "RolledBack",
        type: "Warning",
        note: "accuracy 0.62 is below 0.85",
        regarding: {
          apiVersion: "rollguard.dev/v1alpha1",
          kind: "ModelDeployment",
          name: "digits",
          namespace: "default",
          uid: "uid-1",
        },
      },
    ]);
    await recorder.stop();
  });

  test("goes out at least once, with its id: the same one told again, also after a restart, is one object", async () => {
    const w = setUp();
    const first = w.recorder();
    first.record(event("7"));
    first.record(event("7"));
    first.record(event("8"));
    await first.stop();
    const second = w.recorder({ instance: "pod-2" });
    second.record(event("7", { note: "told again" }));
    // The same id about an object that was made again is another event.
    second.record(event("7", { regarding: { ...about, metadata: { ...about.metadata, uid: "uid-2" } } }));
    await second.stop();
    const events = await w.events();
    expect(events).toHaveLength(3);
    expect(events.filter((e) => e.reportingInstance === "pod-1")).toHaveLength(2);
    expect(events.every((e) => e.note === "accuracy 0.62 is below 0.85" && e.series === undefined)).toBe(true);
  });

  test("is written again when the answer was lost, the server threw or throttled, and is one object still", async () => {
    const w = setUp();
    w.state.faults = [
      { after: { do: "reset" } },
      { after: { do: "refuse", status: 500 } },
      { before: { do: "refuse", status: 429, retryAfterSeconds: 20 } },
      { before: { do: "hang" } },
    ];
    const recorder = w.recorder();
    recorder.record(event("1"));
    recorder.record(event("2"));
    await w.clock.advance(60_000);
    expect(await w.events()).toHaveLength(2);
    expect(recorder.dropped).toBe(0);
    await recorder.stop();
    expect(w.clock.timers).toBe(0);
  });

  test("that goes on is counted, at most once in five minutes", async () => {
    const w = setUp();
    const recorder = w.recorder();
    for (let minute = 0; minute < 30; minute++) {
      recorder.record(event("held", { ongoing: true }));
      await w.clock.advance(60_000);
    }
    await recorder.stop();
    const [only, ...others] = await w.events();
    expect(others).toEqual([]);
    expect(only?.series?.count).toBe(26);
    expect(only?.series?.lastObservedTime).toMatch(/\.\d{6}Z$/);
    expect(w.state.writes).toBeLessThanOrEqual(11);
  });

  test("of a cluster-scoped object goes to the namespace default", async () => {
    const w = setUp();
    const recorder = w.recorder();
    const regarding = { apiVersion: "rollguard.dev/v1alpha1", kind: "MetricSource", metadata: { name: "prometheus", uid: "u" } };
    recorder.record(event("1", { regarding }));
    await recorder.stop();
    expect(await w.events()).toMatchObject([{ metadata: { namespace: "default" } }]);
  });

  test("No secret, raw newline or terminal escape reaches an event, and its note is bounded", async () => {
    const w = setUp();
    const recorder = w.recorder();
    recorder.record(event("1", { note: `\u001b[31mred\u001b[0m\nline\r\n${"ä".repeat(3000)}`, reason: "R".repeat(300) }));
    await recorder.stop();
    const [written] = await w.events();
    expect(written?.note).toMatch(/^red line ä+…$/);
    expect(Buffer.byteLength(written?.note ?? "")).toBeLessThanOrEqual(1024);
    expect(written?.reason.length).toBeLessThanOrEqual(128);
  });

  test("is never worth a pass: nothing throws, what the server refuses is dropped, what is too much is dropped", async () => {
    const w = setUp();
    const recorder = w.recorder({ capacity: 3 });
    recorder.record(undefined as never);
    recorder.record(event("1", { regarding: { ...about, metadata: { name: "x", namespace: "missing" } } }));
    await settle();
    expect(recorder.dropped).toBe(2);
    w.state.faults = Array.from({ length: 20 }, (): Faults => ({ before: { do: "reset" } }));
    for (let i = 0; i < 10; i++) recorder.record(event(`n${i}`));
    // One is being written, three wait.
    expect(recorder.dropped).toBe(2 + 6);
    w.state.faults = [];
    await w.clock.advance(60_000);
    expect(await w.events()).toHaveLength(4);
    await recorder.stop();
  });

  test("says what came of it: written, there before, refused, or not written for ten minutes", async () => {
    const w = setUp();
    const recorder = w.recorder();
    expect(await recorder.record(event("1"))).toBe(true);
    expect(await recorder.record(event("1"))).toBe(true);
    const missing = { ...about, metadata: { name: "x", namespace: "missing" } };
    expect(await recorder.record(event("1", { regarding: missing }))).toBe(false);
    w.state.faults = Array.from({ length: 1000 }, (): Faults => ({ before: { do: "refuse", status: 503 } }));
    let written: boolean | undefined;
    void recorder.record(event("2")).then((known) => {
      written = known;
    });
    await w.clock.advance(590_000);
    expect(written).toBeUndefined();
    await w.clock.advance(60_000);
    expect(written).toBe(false);
    expect(recorder.dropped).toBe(2);
    w.state.faults = [];
    expect(await recorder.record(event("3"))).toBe(true);
    const left = recorder.record(event("4"));
    await recorder.stop();
    expect(await left).toBe(true);
    expect(await recorder.record(event("5"))).toBe(false);
  });

  test("one that the server chokes on lets the others go first, and is written when the server takes it", async () => {
    const w = setUp();
    let sick = true;
    w.server.intercept = (request) =>
      sick && request.method === "POST" && request.body?.includes("poison")
        ? { before: { do: "refuse", status: 500 } }
        : undefined;
    const recorder = w.recorder();
    recorder.record(event("1", { note: "poison" }));
    recorder.record(event("2"));
    await w.clock.advance(60_000);
    expect((await w.events()).map(({ note }) => note)).toEqual(["accuracy 0.62 is below 0.85"]);
    sick = false;
    await w.clock.advance(60_000);
    expect(await w.events()).toHaveLength(2);
    await recorder.stop();
  });

  test("does not hold up the end: stop gives up after its time", async () => {
    const w = setUp();
    w.state.faults = Array.from({ length: 1000 }, (): Faults => ({ before: { do: "hang" } }));
    const recorder = w.recorder();
    for (let i = 0; i < 5; i++) recorder.record(event(`n${i}`));
    let stopped = false;
    const end = recorder.stop(2_000).then(() => {
      stopped = true;
    });
    await w.clock.advance(1_999);
    expect(stopped).toBe(false);
    await w.clock.advance(1);
    await end;
    expect(recorder.dropped).toBe(5);
    recorder.record(event("late"));
    await settle();
    expect(w.clock.timers).toBe(0);
  });
});
