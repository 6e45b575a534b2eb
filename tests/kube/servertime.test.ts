// Times in the status are the API server's: the local monotonic clock plus the offset learned from the Date of its answers.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServerTime } from "../../src/kube/servertime.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** An exchange of `ms` milliseconds with a server whose clock is `ahead` of ours. */
async function exchange(clock: FakeClock, time: ServerTime, ahead: number, ms = 20): Promise<void> {
  const sentAt = clock.monotonic();
  await clock.advance(ms / 2);
  const date = new Date(clock.now() + ahead).toUTCString();
  await clock.advance(ms / 2);
  time.learn(sentAt, date);
}

describe("the server's time", () => {
  test("is exact while both clocks agree", async () => {
    const clock = new FakeClock(Date.UTC(2026, 10, 24, 12, 0, 0, 700));
    const time = new ServerTime(clock);
    for (let i = 0; i < 20; i++) await exchange(clock, time, 0);
    expect(time.now()).toBe(clock.now());
  });

  test("a step of the wall clock by an hour causes nothing", async () => {
    const clock = new FakeClock();
    const time = new ServerTime(clock);
    await exchange(clock, time, 0);
    const before = time.now();
    clock.stepWall(3_600_000);
    expect(time.now()).toBe(before);
    await exchange(clock, time, -3_600_000);
    expect(time.now()).toBe(before + 20);
  });

  test("is within a second, and soon nearer, of a server whose clock differs from ours", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -1e7, max: 1e7 }), fc.integer({ min: 0, max: 999 }), async (ahead, start) => {
        const clock = new FakeClock(Date.UTC(2026, 10, 24) + start);
        const time = new ServerTime(clock);
        await exchange(clock, time, ahead);
        expect(Math.abs(time.now() - (clock.now() + ahead))).toBeLessThanOrEqual(1020);
        for (let i = 0; i < 12; i++) {
          await clock.advance(287);
          await exchange(clock, time, ahead);
        }
        expect(Math.abs(time.now() - (clock.now() + ahead))).toBeLessThanOrEqual(350);
      }),
      { numRuns: 20 },
    );
  });

  test("an unreadable Date is ignored", () => {
    const clock = new FakeClock();
    const time = new ServerTime(clock);
    time.learn(0, "yesterday");
    time.learn(0, undefined);
    expect(time.now()).toBe(clock.now());
  });
});
