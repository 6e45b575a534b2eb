// The queue's promises: as sentences for the simple ones, as properties for those that must hold in any order of calls.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DueHeap } from "../../src/workqueue/heap.ts";
import { type Work, WorkQueue } from "../../src/workqueue/queue.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

function setUp() {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue({ clock, random: () => 1 }) };
}

/** The keys that can be taken now; each stays running. */
async function takeAll(queue: WorkQueue): Promise<Work[]> {
  const taken: Work[] = [];
  for (;;) {
    const abort = new AbortController();
    const next = queue.take("any", abort.signal);
    await settle(1);
    abort.abort();
    const work = await next;
    if (work === undefined) return taken;
    taken.push(work);
  }
}

const keys = (taken: Work[]) => taken.map((work) => work.key);

describe("the queue", () => {
  test("a key that is added many times is looked at once", async () => {
    const { queue } = setUp();
    for (let i = 0; i < 5; i++) queue.add("a");
    queue.add("b");
    expect(keys(await takeAll(queue))).toEqual(["a", "b"]);
  });

  test("a key that is added while it runs runs again afterwards, and not before", async () => {
    const { queue } = setUp();
    queue.add("a");
    const [first] = await takeAll(queue);
    queue.add("a");
    queue.addUrgent("a");
    expect(await takeAll(queue)).toEqual([]);
    queue.done(first as Work);
    expect(await takeAll(queue)).toMatchObject([{ key: "a", lane: "urgent" }]);
  });

  test("of two times the earlier wins, in either order", async () => {
    for (const order of [
      [500, 2000],
      [2000, 500],
    ]) {
      const { clock, queue } = setUp();
      for (const ms of order) queue.addAfter("a", ms);
      await clock.advance(499);
      expect(await takeAll(queue)).toEqual([]);
      await clock.advance(1);
      expect(keys(await takeAll(queue))).toEqual(["a"]);
    }
  });

  test("an urgent key overtakes what waits, also itself", async () => {
    const { queue } = setUp();
    for (const key of ["a", "b", "c"]) queue.add(key);
    queue.addUrgent("c");
    queue.addUrgent("d");
    expect(keys(await takeAll(queue))).toEqual(["c", "d", "a", "b"]);
  });

  test("an urgent key is not delayed by a back-off, nor by a Retry-After", async () => {
    const { queue } = setUp();
    queue.add("a");
    const [work] = await takeAll(queue);
    queue.failed(work as Work, 30_000);
    queue.add("a");
    expect(await takeAll(queue)).toEqual([]);
    queue.addUrgent("a");
    expect(keys(await takeAll(queue))).toEqual(["a"]);
  });

  test("an urgent request that came while the pass was failing is not held by its back-off", async () => {
    const { queue } = setUp();
    queue.add("a");
    const [work] = await takeAll(queue);
    queue.addUrgent("a");
    queue.failed(work as Work);
    expect(await takeAll(queue)).toMatchObject([{ key: "a", lane: "urgent" }]);
  });

  test("back-off doubles up to a minute, a success forgets it, and the urgent lane waits a second at most", async () => {
    for (const [lane, waits] of [
      ["normal", [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]],
      ["urgent", [100, 200, 400, 800, 1000, 1000]],
    ] as const) {
      const { clock, queue } = setUp();
      if (lane === "urgent") queue.addUrgent("a");
      else queue.add("a");
      let [work] = await takeAll(queue);
      for (const wait of waits) {
        queue.failed(work as Work);
        await clock.advance(wait - 1);
        expect(await takeAll(queue)).toEqual([]);
        await clock.advance(1);
        [work] = await takeAll(queue);
        expect(work).toMatchObject({ key: "a", lane });
      }
      queue.done(work as Work);
      queue.add("a");
      expect(await takeAll(queue)).toMatchObject([{ key: "a", failures: 0 }]);
    }
  });

  test("429 and Retry-After are honoured: an event does not cut the wait short, but it does cut a long back-off to a second", async () => {
    const { clock, queue } = setUp();
    queue.add("a");
    let [work] = await takeAll(queue);
    for (let i = 0; i < 8; i++) {
      queue.failed(work as Work);
      await clock.advance(60_000);
      [work] = await takeAll(queue);
    }
    queue.failed(work as Work);
    queue.add("a");
    await clock.advance(999);
    expect(await takeAll(queue)).toEqual([]);
    await clock.advance(1);
    [work] = await takeAll(queue);
    queue.failed(work as Work, 90_000);
    queue.add("a");
    await clock.advance(89_999);
    expect(await takeAll(queue)).toEqual([]);
    await clock.advance(1);
    expect(keys(await takeAll(queue))).toEqual(["a"]);
  });

  test("closing hands out nothing more, wakes those who wait and leaves no timer", async () => {
    const { clock, queue } = setUp();
    queue.addAfter("a", 1000);
    const waiting = queue.take("any");
    queue.close();
    expect(await waiting).toBeUndefined();
    queue.add("b");
    expect(await queue.take("any")).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  test("a thousand keys with failures and forgetting leave no entry behind", async () => {
    const { clock, queue } = setUp();
    for (let i = 0; i < 1000; i++) queue.addAfter(`k${i}`, i);
    for (let i = 0; i < 1000; i += 2) queue.forget(`k${i}`);
    await clock.advance(1000);
    const taken = await takeAll(queue);
    expect(taken).toHaveLength(500);
    for (const work of taken) queue.done(work);
    expect(queue.stats()).toEqual({ normal: 0, urgent: 0, waiting: 0, running: 0, failing: 0 });
  });
});

interface GiveBack {
  do: "done" | "failed";
  pick: number;
  ms: number;
}
type Step =
  | { do: "add"; key: string }
  | { do: "urgent"; key: string }
  | { do: "after"; key: string; ms: number }
  | { do: "take"; lanes: "any" | "urgent" }
  | { do: "advance"; ms: number }
  | GiveBack;

const key = fc.constantFrom("a", "b", "c", "d");
const ms = fc.integer({ min: 0, max: 5000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("add" as const), key }),
  fc.record({ do: fc.constant("urgent" as const), key }),
  fc.record({ do: fc.constant("after" as const), key, ms }),
  fc.record({ do: fc.constant("take" as const), lanes: fc.constantFrom("any" as const, "urgent" as const) }),
  fc.record({ do: fc.constantFrom("done" as const, "failed" as const), pick: fc.nat(9), ms }),
  fc.record({ do: fc.constant("advance" as const), ms }),
);

describe("in any order of calls", () => {
  test("the heap gives the earliest of what is in it, whatever was taken out of its middle", () => {
    const item = fc.record({ at: fc.integer({ min: 0, max: 50 }), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(item, { minLength: 10, maxLength: 60, size: "max" }), (items) => {
        const heap = new DueHeap<{ at: number }>((it) => it.at);
        for (const it of items) heap.push(it);
        for (const it of items.filter((one) => one.remove)) heap.remove(it);
        const left = items.filter((one) => !one.remove).map((one) => one.at);
        const got: number[] = [];
        for (let first = heap.peek(); first !== undefined; first = heap.peek()) {
          got.push(first.at);
          heap.remove(first);
        }
        expect(got).toEqual(left.sort((a, b) => a - b));
        expect(heap.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("never the same key twice at once, nothing asked for is lost, and nothing comes later than it was asked for", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), async (steps) => {
        const { clock, queue } = setUp();
        const running = new Map<string, Work>();
        // What a plain model demands: the time by which each key must have been handed out, while it could be.
        const wanted = new Map<string, number>();
        const want = (k: string, at: number) => wanted.set(k, Math.min(wanted.get(k) ?? Number.POSITIVE_INFINITY, at));
        const take = async (lanes: "any" | "urgent") => {
          const abort = new AbortController();
          const next = queue.take(lanes, abort.signal);
          await settle(1);
          abort.abort();
          const work = await next;
          if (work === undefined) return undefined;
          expect(running.has(work.key), `${work.key} twice at once`).toBe(false);
          expect(wanted.has(work.key), `${work.key} was not asked for`).toBe(true);
          running.set(work.key, work);
          wanted.delete(work.key);
          return work;
        };
        const giveBack = (s: Pick<GiveBack, "do" | "ms">, work: Work) => {
          running.delete(work.key);
          if (s.do === "done") {
            queue.done(work, s.ms);
            want(work.key, clock.monotonic() + s.ms);
          } else {
            queue.failed(work, s.ms);
            const held = clock.monotonic() + Math.max(60_000, s.ms);
            wanted.set(work.key, held);
          }
        };
        for (const s of steps) {
          if (s.do === "add") {
            queue.add(s.key);
            want(s.key, clock.monotonic() + 60_000);
          } else if (s.do === "urgent") {
            queue.addUrgent(s.key);
            want(s.key, clock.monotonic());
          } else if (s.do === "after") {
            queue.addAfter(s.key, s.ms);
            want(s.key, clock.monotonic() + s.ms + 60_000);
          } else if (s.do === "take") await take(s.lanes);
          else if (s.do === "advance") await clock.advance(s.ms);
          else {
            const work = [...running.values()][s.pick % Math.max(running.size, 1)];
            if (work) giveBack(s, work);
          }
        }
        for (const work of [...running.values()]) giveBack({ do: "done", ms: 0 }, work);
        const due = [...wanted].filter(([, at]) => at <= clock.monotonic()).map(([k]) => k);
        const got: string[] = [];
        for (let work = await take("any"); work !== undefined; work = await take("any")) got.push(work.key);
        for (const k of due) expect(got, `${k} was due`).toContain(k);
        await clock.advance(130_000);
        for (let work = await take("any"); work !== undefined; work = await take("any")) got.push(work.key);
        expect([...wanted.keys()], "lost").toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test("the earliest of all times asked for is when it is due, to the millisecond", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(key, ms), { minLength: 1, maxLength: 30 }), async (asked) => {
        const { clock, queue } = setUp();
        const earliest = new Map<string, number>();
        for (const [k, after] of asked) {
          queue.addAfter(k, after);
          earliest.set(k, Math.min(earliest.get(k) ?? after, after));
        }
        const begun = clock.monotonic();
        for (const [k, at] of [...earliest].sort((a, b) => a[1] - b[1])) {
          await clock.advance(Math.max(begun + at - 1 - clock.monotonic(), 0));
          if (begun + at > clock.monotonic()) expect(keys(await takeAll(queue)), `${k} is too early`).toEqual([]);
          await clock.advance(begun + at - clock.monotonic());
          const taken = keys(await takeAll(queue));
          const due = [...earliest].filter(([, t]) => t === at).map(([name]) => name);
          expect(taken.sort()).toEqual(due.sort());
          for (const name of due) earliest.delete(name);
          if (earliest.size === 0) break;
        }
      }),
      { numRuns: 60 },
    );
  });
});
