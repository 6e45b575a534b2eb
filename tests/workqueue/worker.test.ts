// Workers: nothing that a handler does breaks the loop, and urgent keys find a place when all others are busy.
import { describe, expect, test } from "vitest";
import { sleep } from "../../src/clock.ts";
import { silentLogger } from "../../src/log.ts";
import { WorkQueue } from "../../src/workqueue/queue.ts";
import { type PassReport, type PassResult, runWorkers } from "../../src/workqueue/worker.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

function start(handle: (key: string) => Promise<PassResult>, concurrency = 2) {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock, random: () => 1 });
  const stop = new AbortController();
  const reports: PassReport[] = [];
  const onPass = (report: PassReport) => void reports.push(report);
  const ended = runWorkers({ queue, concurrency, handle, onPass, clock, logger: silentLogger }, stop.signal);
  return { clock, queue, stop, reports, ended };
}

describe("workers", () => {
  test("a handler that throws, at once or later, is tried again with back-off and never ends the loop", async () => {
    const tries: string[] = [];
    const run = start((key) => {
      tries.push(key);
      if (key === "sync") throw new TypeError("at once");
      if (key === "later") return sleep(run.clock, 10).then(() => Promise.reject("a string"));
      return Promise.resolve({});
    });
    for (const key of ["sync", "later", "fine"]) run.queue.add(key);
    await run.clock.advance(1000);
    expect(tries.filter((key) => key === "sync").length).toBeGreaterThanOrEqual(3);
    expect(tries.filter((key) => key === "later").length).toBeGreaterThanOrEqual(3);
    expect(tries.filter((key) => key === "fine")).toHaveLength(1);
    run.stop.abort();
    await run.ended;
  });

  test("a pass says when to look again", async () => {
    let passes = 0;
    const run = start(async () => ({ requeueAfterMs: ++passes < 3 ? 250 : undefined }));
    run.queue.add("a");
    await run.clock.advance(499);
    expect(passes).toBe(2);
    await run.clock.advance(10_000);
    expect(passes).toBe(3);
    run.stop.abort();
    await run.ended;
  });

  test("429 and Retry-After are honoured", async () => {
    let passes = 0;
    const run = start(async () => {
      passes++;
      throw Object.assign(new Error("slow down"), { retryAfterMs: 20_000 });
    });
    run.queue.add("a");
    await run.clock.advance(19_999);
    expect(passes).toBe(1);
    await run.clock.advance(1);
    expect(passes).toBe(2);
    run.stop.abort();
    await run.ended;
  });

  test("an urgent key runs at once when every ordinary worker is busy with slow passes", async () => {
    const begun: string[] = [];
    const run = start((key) => {
      begun.push(key);
      return key.startsWith("slow") ? sleep(run.clock, 60_000).then(() => ({})) : Promise.resolve({});
    });
    for (let i = 0; i < 10; i++) run.queue.add(`slow${i}`);
    await settle();
    expect(begun).toHaveLength(2);
    run.queue.addUrgent("rollback");
    await settle();
    expect(begun).toContain("rollback");
    expect(run.reports).toMatchObject([{ key: "rollback", lane: "urgent", outcome: "Done" }]);
    run.stop.abort();
    await run.clock.advance(60_000);
    await run.ended;
  });

  test("stopping waits for the passes that run, and begins none", async () => {
    const ended: string[] = [];
    const run = start(async (key) => {
      await sleep(run.clock, 1000);
      ended.push(key);
      return {};
    }, 1);
    run.queue.add("a");
    run.queue.add("b");
    await settle();
    run.stop.abort();
    let stopped = false;
    run.ended.then(() => (stopped = true));
    await run.clock.advance(999);
    expect(stopped).toBe(false);
    await run.clock.advance(1);
    expect(stopped).toBe(true);
    expect(ended).toEqual(["a"]);
    await run.clock.advance(10_000);
    expect(ended).toEqual(["a"]);
    expect(run.clock.timers).toBe(0);
  });
});
