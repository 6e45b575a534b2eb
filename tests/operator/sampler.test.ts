// When checks are asked, how few queries that takes, and how a window is filled after a restart: the real sampler and the real
// Prometheus source on a fake clock.

import { afterEach, describe, expect, test } from "vitest";
import type { RollbackPolicySpec } from "../../src/api/rollbackpolicy.ts";
import { type Job, type SampleNotice, Sampler } from "../../src/controllers/sampler.ts";
import { firstOfJudging, nextSlot, refillSpan, slotOf } from "../../src/controllers/schedule.ts";
import type { Policy } from "../../src/core/policy.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import type { Stage } from "../../src/core/verdict.ts";
import { MemoryDispatcher } from "../../src/sandbox/apiserver/dispatcher.ts";
import { createSource } from "../../src/signals/createsource.ts";
import type { Source } from "../../src/signals/types.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { answerQueries } from "../support/queries.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const policyOf = (interval: string, checks = 3): Policy =>
  resolvePolicy({
    warmup: "0s",
    checks: Array.from({ length: checks }, (_, index) => ({
      name: `check-${index}`,
      source: "prometheus",
      ...(index === 0
        ? {
            ratio: {
              numerator: 'sum(increase(requests_total{pod=~"${workload}-.+",code=~"5.."}[${window}]))',
              denominator: 'sum(increase(requests_total{pod=~"${workload}-.+"}[${window}]))',
              minSamples: 10,
            },
          }
        : { query: `histogram_quantile(0.9${index}, sum by (le) (rate(seconds_bucket{pod=~"\${workload}-.+"}[\${window}])))` }),
      window: interval,
      interval,
      threshold: { max: 0.5 },
      breach: { count: 3, of: 5 },
    })),
  } as unknown as RollbackPolicySpec);

class Bed {
  readonly clock = new FakeClock();
  readonly sampler: Sampler;
  readonly source: Source;
  readonly notices: (SampleNotice & { key: string; arrived: number })[] = [];
  /** Each request: when, and for which path. */
  requests: { at: number; path: string }[] = [];
  value: (text: string, at: number) => readonly number[] = () => [0.01];
  refuses: (path: string) => boolean = () => false;
  silent: (path: string) => boolean = () => false;

  constructor() {
    const { clock } = this;
    const dispatcher = new MemoryDispatcher(async (request) => {
      const path = request.url.replace(/^.*\/api\/v1\//, "");
      this.requests.push({ at: clock.now(), path });
      if (this.silent(path)) await new Promise(() => undefined);
      const body = answerQueries(request.body ?? "", clock.now(), (text, at) =>
        text === "time()" ? [at / 1000] : text.includes("increase") && !text.includes("5..") ? [100] : this.value(text, at),
      );
      return { status: this.refuses(path) ? 502 : 200, headers: { "content-type": "application/json" }, body };
    });
    const spec = { type: "Prometheus" as const, address: "http://metrics.example", timeout: "120s" };
    this.source = createSource(spec, { clock, dispatcher, secret: () => Promise.reject(new Error("none")) });
    this.sampler = new Sampler({
      clock,
      now: () => clock.now(),
      source: () => this.source,
      pods: () => ({ facts: [], targets: [] }),
      onSample: (key, notice) => void this.notices.push({ ...notice, key, arrived: clock.now() }),
      onReading: () => undefined,
    });
    closing.push(
      () => this.sampler.stop(),
      () => this.source.close(),
    );
  }

  follow(name: string, policy: Policy, judgedFrom: number, stage: Stage = "Guard", more: Partial<Job> = {}): void {
    const variables = { namespace: "default", name, version: "v1", revision: "1", window: "1m", workload: `${name}-r1` };
    this.sampler.follow(
      `default/${name}`,
      policy.checks
        .filter((check) => check.source !== undefined)
        .map((check) => ({
          check,
          revision: 1,
          since: judgedFrom,
          judgedFrom,
          stage,
          countsFrom: judgedFrom,
          policy,
          variables,
          graceMs: 0,
          ...more,
        })),
    );
  }

  window(name: string, check = "check-1") {
    return this.sampler.windows(`default/${name}`)[1]?.find((one) => one.check === check);
  }
}

test("what a policy says of a source that there is not, or that its namespace may not use, is told of no source", async () => {
  const clock = new FakeClock();
  const told: string[] = [];
  const notices: SampleNotice[] = [];
  const sampler = new Sampler({
    clock,
    now: () => clock.now(),
    source: ({ source }) => `there is no MetricSource ${source}`,
    pods: () => ({ facts: [], targets: [] }),
    onSample: (_key, notice) => void notices.push(notice),
    onReading: (source) => void told.push(source),
  });
  closing.push(() => sampler.stop());
  const policy = policyOf("30s");
  const variables = { namespace: "default", name: "m", version: "v1", revision: "1", window: "1m", workload: "m-r1" };
  const common = {
    revision: 1,
    since: clock.now(),
    judgedFrom: clock.now(),
    stage: "Guard" as const,
    policy,
    variables,
    graceMs: 0,
  };
  sampler.follow(
    "default/m",
    policy.checks.map((check) => ({ ...common, check })),
  );
  await clock.advance(60_000);
  // Still asked for, and known to be in error: it is said in the status of the deployment.
  expect(notices.some(({ source }) => source === "prometheus")).toBe(true);
  expect(sampler.windows("default/m")[1]?.find((one) => one.check === "check-1")?.latest?.message).toContain("no MetricSource");
  expect(told).toEqual([]);
});

describe("few queries", () => {
  test("1,000 deployments with 3 checks at 30 s are at most 60 queries a minute", async () => {
    const bed = new Bed();
    const policy = policyOf("30s");
    const began = bed.clock.now() - 86_400_000;
    for (let i = 0; i < 1000; i++) bed.follow(`model-${i}`, policy, began);
    await bed.clock.advance(60_000);
    const [from, perMinute] = [bed.requests.length, bed.notices.length];
    await bed.clock.advance(120_000);
    const queries = (bed.requests.length - from) / 2;
    const readings = (bed.notices.length - perMinute) / 2;
    expect(readings).toBe(6000);
    expect(queries).toBeLessThanOrEqual(60);
    // All that is answered, of whatever check.
    expect(bed.window("model-7")?.count).toBeGreaterThan(4);
    expect(bed.window("model-7", "check-0")?.trials).toBeGreaterThan(400);
    // Spread: each slot has its part.
    const perSlot = new Map<number, number>();
    for (const { at } of bed.requests.slice(from)) {
      const slot = Math.floor((at % 30_000) / 3000);
      perSlot.set(slot, (perSlot.get(slot) ?? 0) + 1);
    }
    expect(perSlot.size).toBe(10);
  });

  test("1,000 that are known anew at once have their pasts in few queries too", async () => {
    const bed = new Bed();
    const policy = policyOf("30s");
    for (let i = 0; i < 1000; i++) bed.follow(`model-${i}`, policy, bed.clock.now() - 86_400_000);
    await bed.clock.advance(1000);
    const ranges = bed.requests.filter(({ path }) => path === "query_range").length;
    expect(ranges).toBeGreaterThan(0);
    expect(ranges).toBeLessThanOrEqual(30);
    expect(bed.window("model-999")?.count).toBe(20);
  });

  test("phases are spread evenly, and the same for all checks of a deployment", () => {
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 10_000; i++) {
      const slot = slotOf(`default/model-${i}`);
      counts[slot] = (counts[slot] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(nextSlot("default/a", 12_345, 30_000)).toBe(nextSlot("default/a", 42_345, 30_000));
  });
});

describe("when a judging begins", () => {
  test("its first sample is due at most a tenth of an interval after samples count, and the next exactly an interval later", () => {
    for (let now = 0; now < 100_000; now += 777) {
      for (const begins of [-5, 0, 1234, 60_000]) {
        const first = firstOfJudging(now, begins, 30_000);
        expect(first).toBeLessThanOrEqual(30_000);
        const counted = first + Math.ceil((Math.max(begins, 0) - first) / 30_000) * 30_000;
        expect(counted).toBeGreaterThanOrEqual(begins);
        expect(counted - Math.max(begins, 0)).toBeLessThanOrEqual(3000);
      }
    }
  });

  test("detection is late by the gathering only: count samples at the interval, each told 25 ms after it was due", async () => {
    const bed = new Bed();
    bed.value = () => [0.9];
    bed.follow("new", policyOf("10s", 2), bed.clock.now());
    await bed.clock.advance(31_000);
    const told = bed.notices.filter(({ check }) => check === "check-1").map(({ arrived }) => arrived);
    expect(told.slice(1).map((at, index) => at - (told[index] ?? 0))).toEqual([10_000, 10_000, 10_000].slice(0, told.length - 1));
    expect(told.length).toBeGreaterThanOrEqual(3);
    const sent = bed.requests.map(({ at }) => at);
    expect((told[0] ?? 0) - (sent[0] ?? 0)).toBeLessThanOrEqual(1);
    expect(bed.notices.find(({ check }) => check === "check-1")).toMatchObject({
      urgent: true,
      bad: true,
      source: "prometheus",
      revision: 1,
    });
  });

  test("after a sample that was late the next ones keep their distance, and come back to their slot", async () => {
    const bed = new Bed();
    bed.follow("new", policyOf("10s", 2), bed.clock.now());
    await bed.clock.advance(15_000);
    const phase = (bed.requests.at(-1)?.at ?? 0) % 10_000;
    const { after } = bed.clock;
    // A busy machine: whatever is due next is 700 ms late.
    bed.clock.after = (ms, fn) => after.call(bed.clock, ms > 1000 ? ms + 700 : ms, fn);
    await bed.clock.advance(10_000);
    bed.clock.after = after;
    await bed.clock.advance(90_000);
    const times = bed.window("new")?.samples.map(({ at }) => at) ?? [];
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(Math.max(...gaps)).toBeGreaterThanOrEqual(10_700);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(9800);
    expect((bed.requests.at(-1)?.at ?? 0) % 10_000).toBe(phase);
  });

  test("while it warms up the source is asked at once, and nothing counts", async () => {
    const bed = new Bed();
    bed.follow("new", policyOf("10s", 2), bed.clock.now() + 25_000, "Bake");
    await bed.clock.advance(100);
    expect(bed.notices).toHaveLength(2);
    expect(bed.window("new")?.count).toBe(0);
    await bed.clock.advance(26_000);
    expect(bed.window("new")?.count).toBe(1);
  });
});

describe("after a restart", () => {
  test("a window has the samples that it would have, none of them twice", async () => {
    const bed = new Bed();
    bed.value = (_text, at) => [at];
    bed.follow("old", policyOf("10s", 2), bed.clock.now() - 3_600_000);
    await bed.clock.advance(100_000);
    const window = bed.window("old");
    const times = window?.samples.map(({ at }) => at) ?? [];
    // 60 intervals of the bake, and 10 live ones.
    expect(times.length).toBe(70);
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(10_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(10_200);
  });

  test("nothing is taken from before the judging began, nor where the policy is another", async () => {
    const bed = new Bed();
    const began = bed.clock.now() - 25_000;
    bed.follow("young", policyOf("10s", 2), began, "Bake");
    bed.follow("changed", policyOf("10s", 2), bed.clock.now() - 3_600_000, "Guard", { countsFrom: undefined } as never);
    bed.follow("edited", policyOf("10s", 2), bed.clock.now() - 3_600_000, "Guard", { countsFrom: began });
    await bed.clock.advance(100);
    for (const name of ["young", "edited"]) {
      const times = bed.window(name)?.samples.map(({ at }) => at) ?? [];
      expect(times.length).toBeGreaterThanOrEqual(2);
      expect(Math.min(...times)).toBeGreaterThanOrEqual(began);
    }
    expect(bed.window("changed")?.count ?? 0).toBeLessThanOrEqual(1);
  });

  test("a refill that fails holds up nothing and invents nothing: the window begins anew", async () => {
    const bed = new Bed();
    bed.refuses = (path) => path === "query_range";
    bed.follow("old", policyOf("10s", 2), bed.clock.now() - 3_600_000);
    await bed.clock.advance(12_000);
    expect(bed.window("old")).toMatchObject({ unusable: 0 });
    expect(bed.window("old")?.count).toBeGreaterThanOrEqual(1);
    expect(bed.window("old")?.count).toBeLessThanOrEqual(2);
  });

  test("a past that does not come holds up the samples for less than two intervals", async () => {
    const bed = new Bed();
    bed.silent = (path) => path === "query_range";
    bed.follow("old", policyOf("10s", 2), bed.clock.now() - 3_600_000);
    await bed.clock.advance(30_100);
    expect(bed.window("old")?.count).toBeGreaterThanOrEqual(1);
  });

  test("a check that changes takes nothing of the past", async () => {
    const bed = new Bed();
    const began = bed.clock.now() - 3_600_000;
    bed.follow("old", policyOf("10s", 2), began);
    await bed.clock.advance(11_000);
    expect(bed.window("old")?.count).toBeGreaterThan(60);
    bed.follow("old", policyOf("20s", 2), began);
    await bed.clock.advance(2100);
    expect(bed.window("old")?.count).toBe(1);
  });

  test("the past that is asked for is bounded", () => {
    const policy = policyOf("10s", 2);
    const check = policy.checks.find((one) => one.name === "check-1");
    if (!check) throw new Error("no check");
    const steps = (stage: Stage, from: number, kind = check.kind) => {
      const span = refillSpan({ ...check, kind }, policy, stage, from, 1e12);
      return span ? (span.toMs - span.fromMs) / span.stepMs + 1 : 0;
    };
    expect(steps("Guard", 0)).toBe(60);
    expect(steps("Guard", 0, "Ratio")).toBe(100);
    expect(steps("Bake", 0)).toBe(10_000);
    expect(steps("Bake", 1e12 - 100_000)).toBe(10);
    expect(steps("Bake", 1e12 - 5000)).toBe(0);
  });
});
