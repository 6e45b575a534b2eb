// Notifications with the real operator: who is told what of a story, what a dead sink costs, and what the status says of it.

import { afterEach, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import { Inbox } from "./inbox.ts";

let fleet: Fleet | undefined;
afterEach(async () => {
  await fleet?.simulation.close();
  fleet = undefined;
});

describe("a storm", () => {
  async function storm(): Promise<{ one: Fleet; inbox: Inbox }> {
    const one = await new Fleet(6).prepare();
    fleet = one;
    const inbox = new Inbox(one.simulation);
    await inbox.both();
    return { one, inbox };
  }

  const about = (inbox: Inbox) => inbox.events.filter(({ type }) => type === "dev.rollguard.StormBreaker");

  test("is told when the breaker opens and when it closes; what a new operator tells again has the same id", async () => {
    const { one, inbox } = await storm();
    for (const name of one.names) one.bad.add(name);
    await one.until("open", () => one.breaker() === "True Storm", 10_000);
    one.bad.clear();
    await one.until("closed", () => one.breaker() === "False Calm", 120_000);
    await one.simulation.clock.advance(2000);
    const once = about(inbox).map(({ id, data }) => [id, data.reason, data.severity]);
    expect(once.map(([, ...rest]) => rest)).toEqual([
      ["StormBreakerOpened", "Warning"],
      ["StormBreakerClosed", "Normal"],
    ]);
    expect(inbox.texts.filter((text) => text.includes("StormBreaker")).length).toBe(2);
    one.simulation.running().stop();
    one.simulation.operator();
    await one.simulation.clock.advance(20_000);
    expect(new Set(about(inbox).map(({ id }) => id))).toEqual(new Set(once.map(([id]) => id)));
    expect([one.events("StormBreakerOpened"), one.events("StormBreakerClosed")]).toEqual([1, 1]);
  }, 120_000);

  test("is told by the next operator where the one that opened the breaker was killed before", async () => {
    const { one, inbox } = await storm();
    const { simulation } = one;
    let killed = false;
    simulation.onWrite = ({ path, body, by }) => {
      if (killed || path.resource !== "rollguardconfigs" || !body.includes('"active":true')) return undefined;
      killed = true;
      by.kill();
      simulation.operator();
      return undefined;
    };
    for (const name of one.names) one.bad.add(name);
    await one.until("open", () => one.breaker() === "True Storm", 10_000);
    expect(killed).toBe(true);
    await simulation.clock.advance(30_000);
    expect(about(inbox).map(({ data }) => data.reason)).toEqual(["StormBreakerOpened"]);
  }, 120_000);
});
