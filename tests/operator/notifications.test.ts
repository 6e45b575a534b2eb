// Notifications with the real operator: who is told what of a story, what a dead sink costs, and what the status says of it.

import { afterEach, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import { Inbox, SECRET } from "./inbox.ts";
import { differences, placesIn, WAYS } from "./kills.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { begin, closeAll, endOf, mainJob, pinned, writesFrom } from "./story.ts";

let fleet: Fleet | undefined;
afterEach(async () => {
  await fleet?.simulation.close();
  fleet = undefined;
  await closeAll();
});

/** The main job with both sinks there from the beginning: what came to the sinks, each once, and where everything stands. */
async function told(simulation: Simulation): Promise<object> {
  const inbox = new Inbox(simulation);
  simulation.messageMs = 700;
  await inbox.both();
  const end = await mainJob(simulation);
  // A bake in which nobody leads for ten seconds may starve, and then says so.
  const types = inbox.types.filter((type) => type !== "BakeStarved").sort();
  const lines = [...new Set(inbox.texts)].filter((text) => !text.includes("BakeStarved"));
  return { end, types, lines: lines.map(headOf).sort() };
}

/** Of a line for people: what happened to what. */
const headOf = (text: string) => text.replace(/(?<!:warning): .*/, "");

const timesOf = (simulation: Simulation) => {
  const { decidedAt = "", restoredAt = "", verifiedAt = "" } = simulation.deployment()?.status?.rollback ?? {};
  return [Date.parse(restoredAt) - Date.parse(decidedAt), Date.parse(verifiedAt) - Date.parse(decidedAt)];
};

const recordsOf = (simulation: Simulation) =>
  simulation.server
    .list(IDS.records, "default")
    .map(({ metadata }) => metadata.name)
    .sort();

describe("a rollback", () => {
  test("is told from its beginning to its end: exactly these messages, each with its transition", async () => {
    const simulation = begin();
    const inbox = new Inbox(simulation);
    await inbox.both();
    await mainJob(simulation);
    const said = inbox.events.map(({ type, data }) => [type, data.severity, data.transition?.sequence, data.transition?.record]);
    expect(said.sort()).toEqual([
      ["dev.rollguard.Proven", "Normal", 1, "toy-1"],
      ["dev.rollguard.Returning", "Warning", 3, undefined],
      ["dev.rollguard.RolledBack", "Warning", 2, "toy-2"],
      ["dev.rollguard.Verified", "Normal", 3, "toy-3"],
    ]);
    expect(inbox.texts.map(headOf)).toEqual([
      "[test] *default/toy* Proven",
      ":warning: [test] *default/toy* RolledBack",
      ":warning: [test] *default/toy* RollingBack",
      "[test] *default/toy* Verified",
    ]);
    expect(inbox.condition()).toBe("True Delivering: what was sent last was delivered");
    const uid = simulation.deployment()?.metadata.uid;
    for (const { id, subject } of inbox.events) {
      expect(id.startsWith(`${uid}/`)).toBe(true);
      expect(subject).toBe("/apis/rollguard.dev/v1alpha1/namespaces/default/modeldeployments/toy");
    }
  }, 60_000);

  test("killed between the status and the message, or anywhere else: everything is told, at least once and with the same ids", async () => {
    const whole = begin();
    const expected = await told(whole);
    expect(expected).toMatchObject({ types: ["Proven", "Returning", "RolledBack", "Verified"] });
    const about = (index: number) => ["modeldeployments", "rolloutrecords"].includes(whole.writes[index]?.path.resource ?? "");
    const places = placesIn(whole, 0, 1).filter(about);
    expect(places.length).toBeGreaterThan(15);
    expect(await differences(told, whole, expected, places, [WAYS[1]])).toEqual([]);
  }, 240_000);
});

describe("a sink that is dead", () => {
  test("delays no return and no event, loses no record, and is named without its URL", async () => {
    const well = begin();
    await mainJob(well);
    const simulation = begin();
    const inbox = new Inbox(simulation);
    inbox.audit = 503;
    inbox.chat = undefined;
    await inbox.both();
    const end = (await mainJob(simulation)) as { records: string[] };
    expect(timesOf(simulation)).toEqual(timesOf(well));
    expect({ ...end, records: [] }).toEqual({ ...endOf(well), records: [] });
    const events = (one: Simulation) =>
      one.server.list(IDS.events, "default").map((event) => (event as { reason?: string }).reason);
    expect(events(simulation).sort()).toEqual(events(well).sort());
    // They wait for their messages, for ten minutes.
    expect(recordsOf(simulation)).toEqual([]);
    expect(inbox.condition()).toMatch(/^False Failing: audit: HTTP 503 \(.*\); chat: no complete answer within 5000 ms \(.*\)$/);
    await simulation.clock.advance(610_000);
    expect(recordsOf(simulation)).toEqual(recordsOf(well));
    expect(events(simulation).filter((reason) => reason === "NotificationsGivenUp").length).toBe(2);
    expect(inbox.config()?.status?.notifications).toMatchObject([
      { name: "audit", state: "Failing", givenUp: 4 },
      { name: "chat", state: "Failing", givenUp: 4 },
    ]);
    const everything = [IDS.events, IDS.records, IDS.deployments].flatMap((id) => simulation.server.list(id));
    expect(JSON.stringify([everything, inbox.config()])).not.toMatch(new RegExp(`${SECRET}|hooks\\.example`));
  }, 120_000);

  test("and comes back within ten minutes gets what it missed, and the records follow", async () => {
    const simulation = begin();
    const inbox = new Inbox(simulation);
    inbox.audit = 503;
    await inbox.both();
    await mainJob(simulation);
    expect(recordsOf(simulation)).toEqual([]);
    inbox.audit = 202;
    await simulation.clock.advance(120_000);
    expect(inbox.types.sort()).toEqual(["Proven", "Returning", "RolledBack", "Verified"]);
    expect(recordsOf(simulation)).toEqual(["toy-1", "toy-2", "toy-3"]);
    expect(inbox.condition()).toMatch(/^True /);
    expect(inbox.config()?.status?.notifications?.[0]).toMatchObject({ state: "Delivering", message: "HTTP 503" });
  }, 60_000);

  test("holds back no more records than a status has room for", async () => {
    const simulation = begin();
    const inbox = new Inbox(simulation);
    inbox.audit = 503;
    await inbox.both();
    await mainJob(simulation);
    // Back and forth: each pin supersedes the one before.
    for (let index = 0; index < 20; index++) {
      await simulation.apply(pinned("v1", { modelPath: `/models-${index}` }));
      await simulation.clock.advance(3000);
    }
    expect(simulation.deployment()?.status?.sequence).toBeGreaterThan(20);
    const missing = (simulation.deployment()?.status?.history ?? []).filter(
      ({ sequence }) => !recordsOf(simulation).includes(`toy-${sequence}`),
    );
    expect(missing.length).toBeLessThanOrEqual(11);
  }, 120_000);
});

test("nothing is written while nothing happens, sinks or none, and no status twice", async () => {
  const simulation = begin();
  const inbox = new Inbox(simulation);
  await inbox.both();
  await mainJob(simulation);
  await simulation.clock.advance(60_000);
  const statuses = simulation.writes
    .filter(({ method, path }) => method === "PUT" && path.resource === "rollguardconfigs")
    .map(({ body }) => JSON.stringify((JSON.parse(body) as { status: object }).status));
  expect(statuses.length).toBeGreaterThan(1);
  expect(new Set(statuses).size).toBe(statuses.length);
  const writes = writesFrom(simulation);
  await simulation.clock.advance(600_000);
  expect(writes()).toEqual([]);
  await inbox.configure();
  await simulation.clock.advance(5000);
  expect(inbox.condition()).toBe("none");
  expect(inbox.config()?.status?.notifications).toBeUndefined();
}, 60_000);

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
