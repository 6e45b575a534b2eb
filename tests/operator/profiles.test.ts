// What a proven revision measures by the hour of the day is kept with it, a few writes a day, and is what the next one is compared with.

import { describe, expect, test } from "vitest";
import { readProfiles } from "../../src/core/profile.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { begin, pinned, prepare, repeatable, version, writesFrom } from "./story.ts";

repeatable();

const HOUR = 3_600_000;
const KEPT = "rollguard.dev/baseline-hours";

/** As `prepare`, with looks each ten minutes: a day passes in seconds. */
async function slow(simulation: Simulation): Promise<void> {
  await prepare(simulation);
  await simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RollbackPolicy",
    metadata: { name: "toy", namespace: "default" },
    spec: {
      warmup: "1s",
      bake: "20m",
      builtInInterval: "10m",
      available: { unready: "50%", for: "10m" },
      checks: [
        {
          name: "errors",
          source: "prometheus",
          query: 'error_share{revision="${revision}"}',
          window: "10m",
          interval: "10m",
          threshold: { max: 0.5 },
          baseline: { from: "LastHealthy", maxIncreasePercent: 50 },
          breach: { count: 1, of: 1 },
        },
      ],
      rollback: { cooldown: "5s", verify: "2s", deadline: "120s" },
    },
  });
  await simulation.apply(version("v1"));
  await simulation.apply(version("v2"));
}

const profilesOf = (simulation: Simulation, name: string) =>
  readProfiles(simulation.get(IDS.revisions, name).metadata.annotations?.[KEPT]);

describe("the baseline by the hour of the day", () => {
  test("grows while the revision is proven and healthy, costs four writes a day, and outlives the operator", async () => {
    const simulation = begin();
    const hourOf = (at: number) => Math.floor(at / HOUR) % 24;
    simulation.errorShare = (_revision, at) => 0.01 * (1 + hourOf(at));
    await slow(simulation);
    await simulation.apply(pinned("v1"));
    await simulation.until("proven", ({ status }) => status?.phase === "Guarding", 2 * HOUR);
    const written = writesFrom(simulation);
    await simulation.clock.advance(12.1 * HOUR);
    expect(written().filter((name) => name === "PATCH controllerrevisions toy-r1")).toHaveLength(2);
    const [profile] = profilesOf(simulation, "toy-r1");
    expect(profile?.hours.filter((hour) => hour !== undefined).length).toBeGreaterThanOrEqual(12);
    profile?.hours.forEach((mean, hour) => {
      if (mean) expect(mean.sum / mean.count).toBeCloseTo(0.01 * (1 + hour), 2);
    });
    simulation.running().kill();
    simulation.operator();
    await simulation.apply(pinned("v2"));
    const lineOf = () => simulation.deployment()?.status?.checks?.find((one) => one.revision === 2 && one.name === "errors");
    await simulation.until("judged", () => lineOf()?.verdict === "Healthy", HOUR);
    // What r1 measured while it baked, twelve hours ago, would have been another value.
    expect(lineOf()?.baseline).toBeCloseTo(0.01 * (1 + hourOf(simulation.clock.now())), 2);
  }, 120_000);
});
