// Several sinks at once: who is told what, what becomes of it, and how each sink is doing. Time is the test's own; one test is real.

import { afterEach, describe, expect, test } from "vitest";
import type { SinkSpec } from "../../src/api/notifications.ts";
import { sleep, systemClock } from "../../src/clock.ts";
import type { Announcement } from "../../src/notify/announcement.ts";
import { Notifier } from "../../src/notify/notifier.ts";
import { CAPACITY, GIVE_UP_MS } from "../../src/notify/outbox.ts";
import { MemoryDispatcher } from "../../src/sandbox/apiserver/dispatcher.ts";
import { serve, type TestServer } from "../signals/server.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { announcement, sink } from "./support.ts";

const HOUR_MS = 3_600_000;

class Bench {
  readonly clock = new FakeClock(Date.parse("2026-11-24T10:00:01.000Z"));
  /** `<path> <id or text>` of each request. */
  readonly got: string[] = [];
  readonly answers = new Map<string, number>();
  readonly counts: Record<string, number> = {};
  readonly lost: string[] = [];
  changes = 0;
  /** How long an answer takes, ms. */
  tookMs = 0;
  readonly secrets: Record<string, string> = { "hook/url": "https://hooks.example/slack" };
  readonly notifier: Notifier;

  constructor(...sinks: SinkSpec[]) {
    const { clock } = this;
    this.notifier = new Notifier({
      clock,
      random: () => 1,
      now: () => clock.now(),
      environment: "",
      secret: (name, key) => Promise.resolve(this.secrets[`${name}/${key}`] ?? ""),
      dispatcher: new MemoryDispatcher(async ({ url, body }) => {
        const { id, text } = JSON.parse(body ?? "{}") as { id?: string; text?: string };
        await sleep(clock, this.tookMs);
        this.got.push(`${url} ${id?.split("/")[1] ?? text}`);
        return { status: this.answers.get(url) ?? 200, headers: {}, body: "" };
      }),
      onOutcome: (name, outcome, count) => {
        this.counts[`${name} ${outcome}`] = (this.counts[`${name} ${outcome}`] ?? 0) + count;
      },
      onGivenUp: (name, count, why) => this.lost.push(`${count} to ${name}: ${why}`),
      onChange: () => this.changes++,
    });
    this.notifier.configure(sinks);
  }

  /** How it ended, once it has. */
  tell(more: Partial<Announcement> = {}): { end?: string } {
    const told: { end?: string } = {};
    this.notifier.tell(announcement(more)).then(
      () => {
        told.end = "told";
      },
      (error: Error) => {
        told.end = error.message;
      },
    );
    return told;
  }
}

const audit = sink({ name: "audit", url: "https://events.example/audit" });
const chat = sink({ name: "chat", type: "Slack", urlSecretRef: { name: "hook", key: "url" } });

describe("who is told", () => {
  test("each sink in its own form, once, and then it was told", async () => {
    const bench = new Bench(audit, chat);
    const told = bench.tell();
    await bench.clock.advance(10);
    expect(bench.got).toEqual([
      "/audit Verified-7",
      "/slack *fraud/scorer* Verified: the return to r2 (scorer-2) is verified: errors 0.5 &gt; 0.02 (2026-11-24T10:00:00.000Z)",
    ]);
    expect(told.end).toBe("told");
    expect(bench.counts).toEqual({ "audit Sent": 1, "chat Sent": 1 });
    expect(bench.notifier.statuses()).toEqual([
      { name: "audit", state: "Delivering" },
      { name: "chat", state: "Delivering" },
    ]);
  });

  test("only of its topics and namespaces, and of the whole cluster only who asked for no namespaces", async () => {
    const bench = new Bench(
      { ...audit, name: "topics", url: "https://e.example/topics", topics: ["Stalled", "StormBreaker"] },
      { ...audit, name: "fraud", url: "https://e.example/fraud", namespaces: ["fraud"] },
      { ...audit, name: "others", url: "https://e.example/others", namespaces: ["ranking"] },
    );
    bench.tell();
    bench.tell({ id: "NoTarget-1", reason: "NoTarget", outcome: "Stalled", type: "Warning" });
    const regarding = {
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "RollguardConfig",
      metadata: { name: "cluster", uid: "u" },
    };
    const { outcome: _, transition: __, ...storm } = announcement({ id: "storm-1", reason: "StormBreakerOpened", regarding });
    void bench.notifier.tell(storm);
    await bench.clock.advance(10);
    expect(bench.got.sort()).toEqual(["/fraud NoTarget-1", "/fraud Verified-7", "/topics NoTarget-1", "/topics storm-1"]);
  });

  test("nobody, where there is no sink", async () => {
    const bench = new Bench();
    await expect(bench.notifier.tell(announcement())).resolves.toBeUndefined();
  });

  test("told again while it is being told, it is the same", async () => {
    const bench = new Bench(audit);
    const both = [bench.tell(), bench.tell()];
    await bench.clock.advance(10);
    expect(both.map(({ end }) => end)).toEqual(["told", "told"]);
    expect(bench.got).toEqual(["/audit Verified-7"]);
  });

  test("of what began long ago nobody by a new operator, but of an end always", async () => {
    const bench = new Bench(audit);
    await bench.clock.advance(HOUR_MS);
    bench.tell({ id: "NoTarget-1", reason: "NoTarget", outcome: "Stalled" });
    bench.tell();
    await bench.clock.advance(10);
    expect(bench.got).toEqual(["/audit Verified-7"]);
  });
});

describe("a sink that fails", () => {
  test("keeps no other from being told; what it did not get is given up after ten minutes, and said", async () => {
    const bench = new Bench(audit, chat);
    bench.answers.set("/audit", 503);
    const told = bench.tell();
    await bench.clock.advance(1000);
    expect(bench.got.filter((one) => one.startsWith("/slack")).length).toBe(1);
    expect(told.end).toBeUndefined();
    expect(bench.notifier.statuses()[0]).toEqual({
      name: "audit",
      state: "Failing",
      failedAt: "2026-11-24T10:00:02.000Z",
      message: "HTTP 503",
    });
    await bench.clock.advance(GIVE_UP_MS);
    expect(told.end).toBe("told");
    expect(bench.lost).toEqual(["1 to audit: HTTP 503"]);
    expect(bench.counts).toMatchObject({ "audit Failed": 1, "chat Sent": 1 });
    expect(bench.notifier.statuses()[0]).toMatchObject({ state: "Failing", givenUp: 1 });
  });

  test("is news when it begins, when it ends, and when something is lost: not at each try", async () => {
    const bench = new Bench(audit);
    bench.answers.set("/audit", 503);
    bench.tell();
    await bench.clock.advance(120_000);
    expect(bench.got.length).toBeGreaterThan(4);
    expect(bench.changes).toBe(1);
    bench.answers.clear();
    await bench.clock.advance(60_000);
    expect(bench.changes).toBe(2);
    expect(bench.notifier.statuses()).toMatchObject([{ state: "Delivering", message: "HTTP 503" }]);
  });

  test("holds no more than it may, and what is too much is lost at once", async () => {
    const bench = new Bench(audit);
    bench.answers.set("/audit", 503);
    const told = Array.from({ length: CAPACITY + 1 }, (_, index) => bench.tell({ id: `Verified-${index}` }));
    await bench.clock.advance(100);
    expect(told.at(-1)?.end).toBe("told");
    expect(told[0]?.end).toBeUndefined();
    expect(bench.lost).toEqual([`1 to audit: more than ${CAPACITY} messages wait`]);
  });

  test("of type Slack gets what has gathered in one text, in bounds", async () => {
    const bench = new Bench(chat);
    bench.answers.set("/slack", 503);
    for (let index = 0; index < 30; index++) bench.tell({ id: `Verified-${index}`, note: `${index} ${"x".repeat(200)}` });
    await bench.clock.advance(500);
    bench.answers.clear();
    bench.got.length = 0;
    await bench.clock.advance(60_000);
    expect(bench.counts["chat Sent"]).toBe(30);
    expect(bench.got.length).toBeLessThan(6);
    for (const text of bench.got) expect(text.length).toBeLessThan(4200);
  });

  test("and is pointed elsewhere: what waits goes there", async () => {
    const bench = new Bench(audit);
    bench.answers.set("/audit", 503);
    const told = bench.tell();
    await bench.clock.advance(100_000);
    bench.notifier.configure([{ ...audit, url: "https://events.example/new" }]);
    await bench.clock.advance(10);
    expect(bench.got.at(-1)).toBe("/new Verified-7");
    expect(told.end).toBe("told");
  });

  test("and is taken out: what waits for it is nobody's any more", async () => {
    const bench = new Bench(audit, chat);
    bench.answers.set("/audit", 503);
    const told = bench.tell();
    await bench.clock.advance(100);
    bench.notifier.configure([chat]);
    await bench.clock.advance(10);
    expect(told.end).toBe("told");
    expect(bench.lost).toEqual([]);
    expect(bench.notifier.statuses().map(({ name }) => name)).toEqual(["chat"]);
  });
});

test("stopped, it does not say that it told what it did not, and leaves no timer", async () => {
  const bench = new Bench(audit, chat);
  bench.answers.set("/audit", 503);
  const told = bench.tell();
  await bench.clock.advance(100);
  // At once: a successor waits for the lease, and tells what this one did not.
  await bench.notifier.stop();
  await bench.clock.advance(0);
  expect(told.end).toBe("notifications were stopped before it was delivered");
  expect(bench.tell().end).toBeUndefined();
  await bench.clock.advance(GIVE_UP_MS);
  expect(bench.lost).toEqual([]);
  expect(bench.clock.timers).toBe(0);
});

test("stopped while a message is on its way, it waits for it, and not for long", async () => {
  const bench = new Bench(audit);
  bench.tookMs = 300;
  const [first, second] = [bench.tell(), bench.tell({ id: "Verified-8" })];
  await bench.clock.advance(100);
  let stopped = bench.notifier.stop();
  await bench.clock.advance(200);
  await stopped;
  expect([first.end, second.end]).toEqual(["told", "told"]);
  const slow = new Bench(audit);
  slow.tookMs = 3000;
  const late = slow.tell();
  await slow.clock.advance(100);
  stopped = slow.notifier.stop();
  await slow.clock.advance(500);
  await stopped;
  expect(late.end).toBe("notifications were stopped before it was delivered");
});

test("stopped with nothing waiting, it ends at once", async () => {
  const bench = new Bench(audit);
  bench.tell();
  await bench.clock.advance(10);
  await bench.notifier.stop();
  expect(bench.clock.timers).toBe(0);
});

describe("with real servers", () => {
  let server: TestServer | undefined;
  afterEach(() => server?.close());

  test("a sick one is tried until it is well, and the other is told meanwhile", async () => {
    let sick = 2;
    server = await serve((request, response) => {
      const failing = request.url === "/sick" && sick-- > 0;
      response.writeHead(failing ? 503 : 202).end("x".repeat(100_000));
    });
    const notifier = new Notifier({
      clock: systemClock,
      random: () => 0,
      now: () => Date.parse("2026-11-24T10:00:01.000Z"),
      environment: "test",
      secret: () => Promise.reject(new Error("there is none")),
      onOutcome: () => undefined,
      onGivenUp: () => undefined,
      onChange: () => undefined,
    });
    notifier.configure([sink({ name: "sick", url: `${server.url}/sick` }), sink({ name: "well", url: `${server.url}/well` })]);
    await notifier.tell(announcement());
    await notifier.stop();
    expect(server.requests.map(({ url }) => url).sort()).toEqual(["/sick", "/sick", "/sick", "/well"]);
    const ids = server.requests.map(({ body }) => (JSON.parse(body) as { id: string }).id);
    expect(new Set(ids).size).toBe(1);
    expect(notifier.statuses().map(({ state }) => state)).toEqual(["Delivering", "Delivering"]);
  });
});
