// What a comparison is made with: the hour of the day of the last healthy revision, the active one at the same time, the metric of the version.

import { describe, expect, test } from "vitest";
import { evidenceFor } from "../../src/core/evidence.ts";
import type { BaselineRule, Check } from "../../src/core/policy.ts";
import { type CheckProfile, growProfile, readProfiles, writeProfiles } from "../../src/core/profile.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import { addReading, emptyWindow } from "../../src/core/window.ts";
import { check, policy, proven, START, type World } from "./world.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const compared = (from: BaselineRule["from"], more: Partial<BaselineRule> = {}, over: Partial<Check> = {}): Check =>
  check({ threshold: undefined, baseline: { from, maxIncreasePercent: 25, guard: "Hold", ...more }, ...over });

/** The profile of a check that measured `value(hour)` in each hour of some days, one sample a quarter of an hour. */
function profiled(one: Check, days: number, value: (hour: number) => number): CheckProfile {
  let profile: CheckProfile | undefined;
  const window = emptyWindow(one, 0);
  for (let at = 0; at < days * DAY; at += HOUR / 4) {
    addReading(window, one, { at, kind: "Value", value: value(Math.floor(at / HOUR) % 24) });
    profile = growProfile(profile, window, true);
  }
  if (!profile) throw new Error("nothing was measured");
  return profile;
}

describe("by the hour of the day", () => {
  const one = check({ windowMs: 1000, intervalMs: 1000 });

  test("the baseline keeps growing while the revision is proven and healthy, and only then", () => {
    const window = emptyWindow(one, 0);
    const add = (at: number, value: number) => addReading(window, one, { at, kind: "Value", value });
    add(3 * HOUR, 1);
    add(3 * HOUR + 1000, 3);
    let profile = growProfile(undefined, window, true);
    expect(profile?.hours[3]).toEqual({ sum: 4, count: 2 });
    add(3 * HOUR + 2000, 100);
    profile = growProfile(profile, window, false);
    add(3 * HOUR + 3000, 5);
    profile = growProfile(profile, window, true);
    expect(profile?.hours[3]).toEqual({ sum: 9, count: 3 });
    // Seen once is counted once.
    expect(growProfile(profile, window, true)).toBe(profile);
  });

  test("it follows slow changes: old days weigh less and less", () => {
    const days = 200;
    let day = 0;
    const profile = profiled(one, days, (hour) => {
      if (hour === 0) day += 1 / 4;
      return day < 150 ? 1 : 2;
    });
    const mean = (profile.hours[12]?.sum ?? 0) / (profile.hours[12]?.count ?? 1);
    expect(profile.hours[12]?.count).toBeLessThanOrEqual(1000);
    expect(mean).toBeGreaterThan(1.2);
  });

  test("what is kept of it comes back, in well under 20 KiB for 40 checks", () => {
    const profiles = Array.from({ length: 40 }, (_, index) =>
      profiled(check({ name: `latency-of-the-endpoint-number-${index}` }), 2, (hour) => 0.012345678 * (hour + index + 1)),
    ).map((profile) => ({ ...profile, measures: "12345678" }));
    const text = writeProfiles(profiles);
    expect(text.length).toBeLessThan(16 * 1024);
    const back = readProfiles(text);
    expect(back.map((profile) => profile.check)).toEqual(profiles.map((profile) => profile.check));
    const mean = (profile: CheckProfile | undefined, hour: number) =>
      (profile?.hours[hour]?.sum ?? Number.NaN) / (profile?.hours[hour]?.count ?? 1);
    for (let hour = 0; hour < 24; hour++) expect(mean(back[7], hour)).toBeCloseTo(mean(profiles[7], hour), 4);
    expect(back[7]?.to).toBe(profiles[7]?.to);
    expect(back[7]?.measures).toBe("12345678");
  });

  test.each(["", "null", "[]", "{", '{"a":1}', '{"a":[1,2]}', `{"a":[0,${Array(47).fill(0).join()},"x"]}`, '{"a":[null]}'])(
    "what nobody of us wrote is no profile: %s",
    (text) => expect(readProfiles(text)).toEqual([]),
  );
});

/** v1 is proven with a profile, and v2 has just been proven after it. */
function guarded(one: Check, profile: CheckProfile | undefined): World {
  const world = proven();
  const first = world.cluster.revisions.find((known) => known.version === "v1");
  if (first)
    Object.assign(first, { baseline: [{ name: one.name, value: 1, samples: 10 }], ...(profile ? { profile: [profile] } : {}) });
  world.policy = policy({ checks: [one] });
  world.measure = () => ({ kind: "Value", value: 1 });
  world.pin("v2").run(40_000);
  expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v2", standing: "Proven" } });
  return world;
}

function finding(world: World) {
  const { active } = world.status;
  if (!active) throw new Error("nothing is active");
  const [found] = evidenceFor(world.snapshot(), world.status, active).findings;
  if (!found) throw new Error("nothing was found");
  return found;
}

describe("LastHealthy", () => {
  const hour = Math.floor(START / HOUR) % 24;
  const one = compared("LastHealthy", { guard: "Rollback" });

  test("in guard it is compared with the same hour of the day", () => {
    const world = guarded(
      one,
      profiled(one, 2, (at) => (at === hour ? 10 : 1)),
    );
    world.measure = () => ({ kind: "Value", value: 12 });
    world.run(10_000);
    expect(finding(world).judgement).toMatchObject({ verdict: "Healthy", baseline: 10 });
    world.measure = () => ({ kind: "Value", value: 14 });
    world.run(10_000);
    expect(world.status.rollback).toMatchObject({ trigger: "Breach", to: { version: "v1" } });
  });

  test("ten minutes at three in the morning say nothing about noon: without 24 hours of baseline a comparison only holds", () => {
    const world = guarded(one, undefined);
    world.measure = () => ({ kind: "Value", value: 14 });
    world.run(10_000);
    expect(finding(world)).toMatchObject({ action: "Hold", judgement: { verdict: "Breached", baseline: 1 } });
    expect(world.status.rollback).toBeUndefined();
    const short = guarded(one, { ...profiled(one, 1, () => 10), hours: profiled(one, 1, () => 10).hours.slice(0, 23) });
    short.measure = () => ({ kind: "Value", value: 14 });
    short.run(10_000);
    expect(finding(short)).toMatchObject({ action: "Hold", judgement: { verdict: "Breached" } });
  });

  test("an hour with fewer samples than a verdict looks at is no baseline, and is no part of the 24 hours that it has to cover", () => {
    const full = profiled(one, 2, () => 10);
    const thin = (at: number, value: number) => ({
      ...full,
      hours: full.hours.map((known, index) => (index === at ? { sum: value * 4, count: 4 } : known)),
    });
    // The hour of now, seen four times: what was measured while baking (1) is compared with, and no breach of it acts.
    const now = guarded(one, thin(hour, 0.1));
    now.run(10_000);
    expect(finding(now).judgement).toMatchObject({ verdict: "Healthy", baseline: 1 });
    // Another hour: the comparison is with this one's, and only holds.
    const other = guarded(one, thin((hour + 12) % 24, 10));
    other.measure = () => ({ kind: "Value", value: 14 });
    other.run(10_000);
    expect(finding(other)).toMatchObject({ action: "Hold", judgement: { verdict: "Breached", baseline: 10 } });
    expect(other.status.rollback).toBeUndefined();
    // One sample more, and it counts.
    const enough = guarded(one, {
      ...full,
      hours: full.hours.map((known) => known && { sum: 50, count: 5 }),
    });
    enough.measure = () => ({ kind: "Value", value: 14 });
    enough.run(10_000);
    expect(enough.status.rollback).toMatchObject({ trigger: "Breach", to: { version: "v1" } });
  });

  test("what was measured with another query, or asked of another source, is no baseline, whatever the name of the check", () => {
    const written = (more: object) => ({
      name: "p95",
      source: "prometheus",
      query: "p95_seconds",
      window: "1s",
      interval: "1s",
      baseline: { maxIncreasePercent: 25 },
      ...more,
    });
    const resolved = (more: object) => {
      const found = resolvePolicy({ checks: [written(more)] as never }).checks[0];
      if (!found) throw new Error("no check");
      return found;
    };
    const before = resolved({});
    const world = proven();
    // The first of them has nothing to be compared with, and is proven by another check.
    world.policy = policy({ checks: [before, check()] });
    world.measure = (one) => ({ kind: "Value", value: one.name === "p95" ? 0.25 : 0.01 });
    for (const version of ["v2", "v3"]) world.pin(version).run(40_000);
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v3" } });
    const kept = world.cluster.revisions.find((known) => known.version === "v2");
    if (kept) kept.profile = [{ ...profiled(before, 2, () => 0.25), measures: before.measures ?? "" }];
    const judged = (check: Check, value: number) => {
      world.policy = policy({ checks: [check] });
      world.measure = () => ({ kind: "Value", value });
      world.run(15_000);
      return finding(world).judgement;
    };
    // Stricter, but of the same: the baseline stays.
    expect(judged(resolved({ baseline: { maxIncreasePercent: 10 }, severity: "Warning" }), 0.26)).toMatchObject({
      verdict: "Healthy",
      baseline: 0.25,
    });
    // In milliseconds: a thousand times as much is no breach of what was measured in seconds.
    const nothing = { verdict: "NoData", reason: "NoBaseline" };
    expect(judged(resolved({ query: "p95_milliseconds" }), 200)).toMatchObject(nothing);
    expect(judged(resolved({ source: "other" }), 0.25)).toMatchObject(nothing);
    // Nor does it say that a return would mend nothing.
    const limited = { ...resolved({ query: "p95_milliseconds", threshold: { max: 0.1 } }), baseline: undefined } as never;
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v3" ? 200 : 0.05 });
    world.policy = policy({ checks: [limited] });
    world.run(15_000);
    expect(world.status.rollback).toMatchObject({ from: { version: "v3" }, to: { version: "v2" } });
  });

  test("with guard: Hold it never rolls back, however long its baseline", () => {
    const hold = compared("LastHealthy");
    const world = guarded(
      hold,
      profiled(hold, 2, () => 1),
    );
    world.measure = () => ({ kind: "Value", value: 14 });
    world.run(10_000);
    expect(finding(world)).toMatchObject({ action: "Hold", judgement: { verdict: "Breached" } });
    expect(world.status.rollback).toBeUndefined();
  });
});

describe("Active: live, with the same window for both", () => {
  const one = compared("Active", {}, { severity: "Warning" });
  /** v1 serves and measures `before`, later `now`; v2 is its candidate. */
  function shifting(before: number, now: number, candidate: number) {
    const world = proven({ probe: { path: "/predict" } as never });
    world.policy = policy({ checks: [one], bakeMs: 600_000 });
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v1" ? before : candidate });
    world.run(20_000);
    // The candidate waits for its probe, so that both are asked.
    world.probe = () => "Running";
    world.pin("v2").run(1000);
    const { candidate: ref } = world.status;
    if (!ref) throw new Error("no candidate");
    return {
      world,
      ref,
      measure: () => (world.measure = (_check, version) => ({ kind: "Value", value: version === "v1" ? now : candidate })),
    };
  }
  const judged = (world: World) => {
    const { candidate } = world.status;
    if (!candidate) throw new Error("no candidate");
    return evidenceFor(world.snapshot(), world.status, candidate).findings[0]?.judgement;
  };

  test("what the active one measured before the candidate was judged does not count", () => {
    const { world, measure } = shifting(100, 1, 2);
    measure();
    world.run(15_000);
    expect(judged(world)).toMatchObject({ verdict: "Breached", baseline: 1, beyond: "Baseline" });
  });

  test("a cause that both share breaches neither", () => {
    const { world, measure } = shifting(1, 50, 55);
    measure();
    world.run(15_000);
    expect(judged(world)).toMatchObject({ verdict: "Healthy", baseline: 50 });
  });

  test("while the active one has no sample of that time, nothing is known yet: the gates wait", () => {
    const { world } = shifting(1, 1, 1);
    world.measure = (_check, version) => (version === "v1" ? undefined : { kind: "Value", value: 1 });
    world.run(15_000);
    expect(judged(world)).toMatchObject({ verdict: "Insufficient", reason: "AwaitingBaseline" });
  });
});

test("ValidationMetric: the claim made offline is held against the live value", () => {
  const one = compared("ValidationMetric", { metric: "accuracy", maxIncreasePercent: undefined, maxDecreasePercent: 5 });
  const world = proven();
  world.versions.v2 = { digest: "sha256:v2", metrics: { accuracy: 0.95 } };
  world.policy = policy({ checks: [one] });
  world.measure = () => ({ kind: "Value", value: 0.93 });
  world.pin("v2").run(40_000);
  expect(finding(world).judgement).toMatchObject({ verdict: "Healthy", baseline: 0.95 });
  world.measure = () => ({ kind: "Value", value: 0.85 });
  world.run(10_000);
  expect(finding(world)).toMatchObject({ action: "Hold", judgement: { verdict: "Breached", beyond: "Baseline" } });
});

describe("a step of the server's clock by an hour", () => {
  test.each([-HOUR, HOUR])("causes nothing and does not blind the guard: %d ms", (step) => {
    const world = proven().pin("v2").run(40_000);
    const story = world.story();
    world.now += step;
    world.run(30_000);
    expect(world.status.phase).toBe("Guarding");
    expect(world.story()).toEqual(story);
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.9 : 0.01 });
    world.run(10_000);
    expect(world.status.rollback).toMatchObject({ from: { version: "v2" }, to: { version: "v1" } });
  });

  test.each([500, 4000])("back %d ms after the traffic moved: it is judged from then on, and not an hour later", (after) => {
    const world = proven().pin("v2");
    while (world.status.active?.version !== "v2") world.run(500);
    world.run(after);
    expect(world.status.phase).toBe("Baking");
    world.now -= HOUR;
    world.measure = (_check, version) => ({ kind: "Value", value: version === "v2" ? 0.9 : 0.01 });
    world.run(20_000);
    expect(world.status.rollback).toMatchObject({ from: { version: "v2" }, to: { version: "v1" } });
  });
});
