// What must hold of the limits, whatever users and metrics do: random stories over the real decide() and plan().

import fc from "fast-check";
import { expect, test } from "vitest";
import { policy, World } from "./world.ts";

fc.configureGlobal({ seed: Number(process.env.ROLLGUARD_TEST_SEED ?? 20_261_124) });
const RUNS = Number(process.env.ROLLGUARD_TEST_RUNS ?? 12);

type Value = number | "dark";
type Step =
  | { do: "pin"; version: string }
  | { do: "metric"; version: string; value: Value }
  | { do: "wait"; seconds: number }
  | { do: "approve"; target: string; token: string }
  | { do: "pause"; value: boolean };

const version = fc.constantFrom("v1", "v2", "v3");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pin" as const), version }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("metric" as const),
      version,
      value: fc.constantFrom<Value>(0.01, 0.5, "dark"),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("approve" as const),
      target: fc.constantFrom("r1", "r2", "r3"),
      token: fc.constantFrom("a", "b", "c", "d"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pause" as const), value: fc.boolean() }) },
);

/** Plays a story; `watch` is called with what was proven and active before each step, and with the world after it. */
function play(world: World, story: readonly Step[], watch: (world: World) => void): void {
  const metrics: Record<string, Value> = {};
  world.measure = (_check, name) => {
    const value = metrics[name] ?? 0.01;
    return value === "dark" ? { kind: "Error", message: "refused" } : { kind: "Value", value };
  };
  world.version("v1").version("v2").version("v3").run(20_000);
  for (const one of story) {
    if (one.do === "pin") world.pin(one.version).run(500);
    else if (one.do === "metric") metrics[one.version] = one.value;
    else if (one.do === "pause") world.deployment.spec = { ...world.deployment.spec, paused: one.value };
    else if (one.do === "approve") world.request("approve", one.target, one.token).run(500);
    else for (let passed = 0; passed < one.seconds * 2; passed++) watch(world.run(500));
    watch(world);
  }
}

const stories = fc.array(step, { minLength: 8, maxLength: 25 });

const LIMIT = 60_000;

test("Observe returns nothing and quarantines nothing for a check, whatever is measured", { timeout: LIMIT }, () => {
  fc.assert(
    fc.property(stories, (story) => {
      const world = new World();
      world.policy = policy({ mode: "Observe" });
      play(world, story, ({ status }) => {
        expect(status.rollback).toBeUndefined();
        expect(status.quarantine ?? []).toEqual([]);
        if (status.recommendation) expect(status.recommendation.mode).toBe("Observe");
      });
    }),
    { numRuns: RUNS },
  );
});

test("Recommend leaves no proven revision without an approval, and what it recommends is always about what serves", {
  timeout: LIMIT,
}, () => {
  fc.assert(
    fc.property(stories, (story) => {
      const world = new World();
      world.policy = policy({ mode: "Recommend" });
      play(world, story, ({ status }) => {
        for (const one of status.returns ?? []) expect(one.proven).toBe(false);
        if (status.recommendation) expect(status.recommendation.from.revision).toBe(status.active?.revision);
      });
    }),
    { numRuns: RUNS },
  );
});

/** A version that is good until it is proven or nearly so, and then bad; the storm breaker may be open then. */
const episode = fc.record({
  goodSeconds: fc.constantFrom(4, 25, 30, 40),
  badSeconds: fc.constantFrom(6, 10, 60),
  storm: fc.boolean(),
});

test("no automatic return leaves a proven revision while the storm breaker is open, in the cooldown, or past the budget", {
  timeout: LIMIT,
}, () => {
  let seen = 0;
  fc.assert(
    fc.property(fc.array(episode, { minLength: 6, maxLength: 10 }), (episodes) => {
      const world = new World().version("v1").run(20_000);
      const limits = { cooldownMs: 45_000, budget: { limit: 2, perMs: 300_000 } };
      world.policy = policy(limits);
      let known = 0;
      const watch = () => {
        const returns = world.status.returns ?? [];
        for (; known < returns.length; known++) {
          const one = returns[known];
          if (!one?.proven) continue;
          seen++;
          const at = Date.parse(one.at);
          expect(world.storm).toBeUndefined();
          const last = returns[known - 1];
          if (last) expect(at - Date.parse(last.at)).toBeGreaterThanOrEqual(limits.cooldownMs);
          const spent = returns.slice(0, known + 1).filter((other) => other.proven && at - Date.parse(other.at) < 300_000);
          expect(spent.length).toBeLessThanOrEqual(limits.budget.limit);
        }
      };
      const pass = (seconds: number) => {
        for (let passed = 0; passed < seconds * 2; passed++) {
          world.run(500);
          watch();
        }
      };
      for (const [index, { goodSeconds, badSeconds, storm }] of episodes.entries()) {
        const name = `v${index + 2}`;
        world.measure = () => ({ kind: "Value", value: 0.01 });
        world.storm = undefined;
        world.version(name).pin(name);
        pass(goodSeconds);
        world.measure = (_check, version) => ({ kind: "Value", value: version === name ? 0.5 : 0.01 });
        world.storm = storm ? { message: "storm" } : undefined;
        pass(badSeconds);
      }
    }),
    { numRuns: RUNS },
  );
  expect(seen).toBeGreaterThan(RUNS / 2);
});
