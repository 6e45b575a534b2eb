// The storm breaker with the real operator: many deployments at one source go bad at once, and the cause is not their models.

import { afterEach, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";

let fleet: Fleet | undefined;
afterEach(async () => {
  await fleet?.simulation.close();
  fleet = undefined;
});

async function begin(elsewhere?: Record<string, string>): Promise<Fleet> {
  fleet = await new Fleet(10, elsewhere).prepare();
  return fleet;
}

const SIX = ["m0", "m1", "m2", "m3", "m4", "m5"];
/** The other four, where they belong to somebody else. */
const OTHERS = { m6: "other", m7: "other", m8: "other", m9: "other" };

/** Six of ten go bad, and the breaker is open. */
async function storm(elsewhere?: Record<string, string>): Promise<Fleet> {
  const begun = await begin(elsewhere);
  for (const name of SIX) begun.bad.add(name);
  await begun.until("open", () => begun.breaker() === "True Storm", 10_000);
  return begun;
}

describe("when more than 30 % of the guarded deployments go bad at once", () => {
  test("none is returned, one condition and one event say why, and each deployment says what it would do", async () => {
    const one = await storm();
    await one.simulation.clock.advance(120_000);
    expect(one.returned()).toEqual([]);
    expect(one.breaker()).toBe("True Storm");
    expect(one.config()?.status).toMatchObject({
      storm: { active: true, source: "prometheus", guarded: 10, breached: 6 },
      suspects: SIX.map((name) => `default/${name}`),
    });
    expect(one.events("StormBreakerOpened")).toBe(1);
    for (const name of SIX) {
      expect(one.of(name).status?.reason).toBe("StormBreaker");
      expect(one.of(name).status?.message).toContain("would roll back: errors");
    }
    expect(one.of("m9").status?.phase).toBe("Guarding");
  });

  test("it resumes by itself when they are well again, and nothing was returned", async () => {
    const one = await storm();
    await one.simulation.clock.advance(60_000);
    one.bad.clear();
    await one.until("closed", () => one.breaker() === "False Calm", 120_000);
    expect(one.returned()).toEqual([]);
    expect(one.events("StormBreakerClosed")).toBe(1);
    await one.until("guarding", () => one.all(({ status }) => status?.phase === "Guarding" && status.reason === "Guarding"));
  });

  test("what is still breached when it closes returns at once", async () => {
    const one = await storm();
    for (const name of SIX.slice(2)) one.bad.delete(name);
    await one.until("closed", () => one.breaker() === "False Calm", 120_000);
    await one.until("returned", () => one.returned().length === 2, 5000);
    expect(one.returned()).toEqual(["m0", "m1"]);
  });

  test("its state survives a restart", async () => {
    const one = await storm();
    one.simulation.running().kill();
    one.simulation.operator();
    await one.simulation.clock.advance(60_000);
    expect(one.breaker()).toBe("True Storm");
    expect(one.returned()).toEqual([]);
    expect(one.events("StormBreakerOpened")).toBe(1);
    one.bad.clear();
    await one.until("closed", () => one.breaker() === "False Calm", 180_000);
    expect(one.returned()).toEqual([]);
  });

  test("a person says to go on, once: they return, and it does not open again for what was bad by then", async () => {
    const one = await storm();
    const { simulation } = one;
    const resume = (value: string) =>
      simulation.apply({
        apiVersion: "rollguard.dev/v1alpha1",
        kind: "RollguardConfig",
        metadata: { name: "cluster" },
        spec: { stormBreaker: { resume: value } },
      });
    await resume("2026-11-24");
    await one.until("resumed", () => one.breaker() === "False Resumed", 5000);
    expect(one.config()?.status?.handledResume).toBe("2026-11-24");
    await one.until("returned", () => one.returned().length === 6, 10_000);
    await simulation.clock.advance(60_000);
    expect(one.breaker()).toBe("False Resumed");
    expect(one.returned()).toEqual(SIX);
  });

  test("it holds no person's rollback", async () => {
    const one = await storm();
    const live = one.of("m0");
    await one.simulation.tester.patch(
      { group: "rollguard.dev", version: "v1alpha1", plural: "modeldeployments", kind: "ModelDeployment", namespaced: true },
      { namespace: "default", name: live.metadata.name },
      "merge",
      { metadata: { annotations: { "rollguard.dev/rollback-to": "previous/now" } } },
    );
    await one.until("returned", () => one.returned().length === 1, 10_000);
    expect(one.returned()).toEqual(["m0"]);
  });
});

describe("when those that go bad are of one namespace", () => {
  test("only its returns are held: a deployment of another namespace is returned as ever, also after a restart", async () => {
    const one = await storm(OTHERS);
    one.bad.add("m7");
    await one.until("returned", () => one.returned().length > 0, 20_000);
    one.bad.delete("m7");
    one.simulation.running().kill();
    one.simulation.operator();
    await one.simulation.clock.advance(20_000);
    one.bad.add("m9");
    await one.until("returned", () => one.returned().length > 1, 20_000);
    await one.simulation.clock.advance(60_000);
    expect(one.returned()).toEqual(["m7", "m9"]);
    expect(one.breaker()).toBe("True Storm");
    expect(one.config()?.status).toMatchObject({
      storm: { active: true, source: "prometheus", namespace: "default", guarded: 6, breached: 6 },
      suspects: SIX.map((name) => `default/${name}`),
    });
    expect(one.events("StormBreakerOpened")).toBe(1);
  });

  test("when others go bad with them, all are held", async () => {
    const one = await storm(OTHERS);
    expect(one.config()?.status?.storm?.namespace).toBe("default");
    for (const name of ["m6", "m7", "m8"]) one.bad.add(name);
    await one.simulation.clock.advance(60_000);
    expect(one.returned()).toEqual([]);
    expect(one.config()?.status?.storm).toMatchObject({ active: true, source: "prometheus", guarded: 10, breached: 9 });
    expect(one.config()?.status?.storm).not.toHaveProperty("namespace");
    expect(one.of("m6").status?.reason).toBe("StormBreaker");
  });

  test("a person says to go on: what was held returns", async () => {
    const one = await storm(OTHERS);
    await one.simulation.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "RollguardConfig",
      metadata: { name: "cluster" },
      spec: { stormBreaker: { resume: "seen" } },
    });
    await one.until("returned", () => one.returned().length === 6, 10_000);
    expect(one.breaker()).toBe("False Resumed");
    expect(one.config()?.status?.storm).not.toHaveProperty("namespace");
  });
});

test("one of ten that goes bad is returned as ever, and nobody hears of a storm", async () => {
  const one = await begin();
  one.bad.add("m3");
  await one.until("returned", () => one.returned().length === 1, 20_000);
  expect(one.returned()).toEqual(["m3"]);
  expect(one.config()).toBeUndefined();
});
