// What waits for a sink: its bounds, its back-off, and what becomes of it. Time is the test's own.

import { describe, expect, test } from "vitest";
import { CAPACITY, GIVE_UP_MS, Outbox, type OutboxOptions, type Outcome } from "../../src/notify/outbox.ts";
import type { Attempt } from "../../src/notify/webhook.ts";
import { FakeClock } from "../support/fake-clock.ts";

class Bench {
  readonly clock = new FakeClock();
  /** When, and what was sent. */
  readonly sent: { at: number; items: readonly number[] }[] = [];
  readonly outcomes: [Outcome, number, string | undefined][] = [];
  readonly ends = new Map<number, boolean>();
  readonly outbox: Outbox<number>;
  underWay = 0;
  most = 0;
  readonly #begun = this.clock.monotonic();

  constructor(answer: (items: readonly number[]) => Attempt, more: Partial<OutboxOptions<number>> & { tookMs?: number } = {}) {
    const { tookMs = 100, ...options } = more;
    this.outbox = new Outbox<number>({
      clock: this.clock,
      random: () => 1,
      concurrency: 4,
      together: () => 1,
      send: async (items) => {
        this.sent.push({ at: this.clock.monotonic() - this.#begun, items });
        this.most = Math.max(this.most, ++this.underWay);
        await new Promise<void>((resolve) => this.clock.after(tookMs, resolve));
        this.underWay--;
        return answer(items);
      },
      onOutcome: (outcome, count, why) => this.outcomes.push([outcome, count, why]),
      ...options,
    });
  }

  put(...items: number[]): void {
    for (const item of items) void this.outbox.put(item).then((known) => this.ends.set(item, known));
  }

  get times(): number[] {
    return this.sent.map(({ at }) => at);
  }

  count(outcome: Outcome): number {
    return this.outcomes.filter(([one]) => one === outcome).reduce((sum, [, count]) => sum + count, 0);
  }
}

const again = (why: string, waitMs?: number): Attempt => ({ outcome: "Again", why, ...(waitMs === undefined ? {} : { waitMs }) });
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

test("what is put is sent in order, a few requests at a time", async () => {
  const bench = new Bench(() => ({ outcome: "Delivered" }));
  bench.put(...range(10));
  await bench.clock.advance(1000);
  expect(bench.sent.flatMap(({ items }) => items)).toEqual(range(10));
  expect(bench.most).toBe(4);
  expect(bench.count("Sent")).toBe(10);
  expect([...bench.ends.values()]).toEqual(range(10).map(() => true));
  expect(bench.clock.timers).toBe(0);
});

test("as many as fit go in one request", async () => {
  const bench = new Bench(() => ({ outcome: "Delivered" }), { concurrency: 1, together: (items) => Math.min(items.length, 3) });
  bench.put(...range(8));
  await bench.clock.advance(1000);
  expect(bench.sent.map(({ items }) => items)).toEqual([[0], [1, 2, 3], [4, 5, 6], [7]]);
});

describe("a sink that fails", () => {
  test("is tried again with back-off, and what is refused is given up at once", async () => {
    let answers: Attempt[] = [again("HTTP 503"), again("HTTP 503"), again("HTTP 503"), { outcome: "Delivered" }];
    const bench = new Bench(() => answers.shift() ?? { outcome: "Refused", why: "HTTP 404" });
    bench.put(1);
    await bench.clock.advance(60_000);
    expect(bench.times).toEqual([0, 1100, 3200, 7300]);
    expect(bench.outcomes).toEqual([...range(3).map(() => ["Retried", 1, "HTTP 503"]), ["Sent", 1, undefined]]);
    answers = [];
    bench.put(2);
    await bench.clock.advance(60_000);
    expect(bench.sent.length).toBe(5);
    expect(bench.outcomes.at(-1)).toEqual(["Failed", 1, "HTTP 404"]);
    expect(bench.ends.get(2)).toBe(true);
  });

  test("gets nothing before it asks for it (Retry-After), none of what waits", async () => {
    const answers: Attempt[] = [again("HTTP 429", 30_000)];
    const bench = new Bench(() => answers.shift() ?? { outcome: "Delivered" }, { concurrency: 1 });
    bench.put(1, 2, 3);
    await bench.clock.advance(29_000);
    expect(bench.sent.length).toBe(1);
    await bench.clock.advance(10_000);
    expect(bench.times).toEqual([0, 30_100, 30_200, 30_300]);
    expect(bench.sent.map(({ items }) => items[0])).toEqual([1, 2, 3, 1]);
    expect(bench.count("Sent")).toBe(3);
  });

  test("is asked by one request at a time, and ever more rarely, however much waits", async () => {
    const bench = new Bench(() => again("connection refused"));
    bench.put(...range(500));
    await bench.clock.advance(GIVE_UP_MS - 1000);
    // Four at first; then after 1, 2, 4, … 60 s, of which nine fit.
    expect(bench.sent.length).toBeLessThan(20);
    const gaps = bench.times.slice(5).map((at, index) => at - (bench.times[index + 4] ?? 0));
    expect(Math.max(...gaps)).toBe(60_100);
    expect(bench.ends.size).toBe(0);
  });

  test("for ten minutes: what waits is given up, with the reason, and nothing waits any more", async () => {
    const bench = new Bench(() => again("connection refused"));
    bench.put(...range(3));
    await bench.clock.advance(GIVE_UP_MS + 1000);
    expect(bench.count("Failed")).toBe(3);
    expect(bench.outcomes.at(-1)?.[2]).toBe("connection refused");
    expect([...bench.ends.values()]).toEqual([true, true, true]);
    expect(bench.clock.timers).toBe(0);
  });

  test("and comes back: everything is sent that was not given up", async () => {
    let down = true;
    const bench = new Bench(() => (down ? again("HTTP 503") : { outcome: "Delivered" }));
    bench.put(...range(50));
    await bench.clock.advance(300_000);
    down = false;
    await bench.clock.advance(120_000);
    expect(bench.count("Sent")).toBe(50);
    expect(bench.count("Failed")).toBe(0);
  });
});

test("a message that the server chokes on keeps none of the others", async () => {
  const bench = new Bench(([item]) => (item === 0 ? again("HTTP 500") : { outcome: "Delivered" }), { concurrency: 1 });
  bench.put(...range(5));
  await bench.clock.advance(10_000);
  expect([...bench.ends.keys()].sort()).toEqual([1, 2, 3, 4]);
  await bench.clock.advance(GIVE_UP_MS);
  expect(bench.outcomes.at(-1)).toEqual(["Failed", 1, "HTTP 500"]);
});

test(`no more than ${CAPACITY} wait: what is too much is dropped, and counted`, async () => {
  const bench = new Bench(() => again("HTTP 503"));
  bench.put(...range(CAPACITY + 7));
  expect(bench.count("Dropped")).toBe(7);
  await bench.clock.advance(0);
  expect([...bench.ends.keys()]).toEqual(range(7).map((index) => CAPACITY + index));
});

test("where it goes has changed: what waits goes there at once", async () => {
  const bench = new Bench(() => (bench.sent.length < 7 ? again("HTTP 503") : { outcome: "Delivered" }), { concurrency: 1 });
  bench.put(1);
  await bench.clock.advance(40_000);
  expect(bench.times).toEqual([0, 1100, 3200, 7300, 15_400, 31_500]);
  bench.outbox.restart();
  await bench.clock.advance(0);
  expect(bench.times.at(-1)).toBe(40_000);
});

test("closed, it says of what waits that it is not known, also of what is under way", async () => {
  const bench = new Bench(() => ({ outcome: "Delivered" }), { concurrency: 1 });
  bench.put(1, 2);
  await bench.clock.advance(50);
  bench.outbox.close(false);
  await bench.clock.advance(1000);
  expect([...bench.ends]).toEqual([
    [1, false],
    [2, false],
  ]);
  expect(bench.clock.timers).toBe(0);
  expect(await bench.outbox.put(3)).toBe(false);
});
