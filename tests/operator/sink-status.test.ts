// What the status of RollguardConfig says of its sinks, from what it said and what is known now.

import { describe, expect, test } from "vitest";
import type { RollguardConfig } from "../../src/api/rollguardconfig.ts";
import { deliveryCondition, notificationsStatus } from "../../src/controllers/notifications.ts";

const NOW = Date.parse("2026-11-24T10:00:00.000Z");
const EARLIER = "2026-11-24T09:00:00.000Z";
const failing = { name: "chat", state: "Failing", failedAt: EARLIER, message: "HTTP 404" } as const;

function config(status: RollguardConfig["status"]): RollguardConfig {
  const metadata = { name: "cluster", generation: 3 };
  const spec = { stormBreaker: { enabled: true, share: "30%", atLeast: 5, within: "10m" }, records: { keep: 1, maxAge: "1d" } };
  return {
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RollguardConfig",
    metadata,
    spec,
    ...(status ? { status } : {}),
  } as RollguardConfig;
}

const condition = (type: string, status: "True" | "False" = "True") => ({
  type,
  status,
  reason: "InForce",
  message: "",
  lastTransitionTime: EARLIER,
  observedGeneration: 3,
});

describe("the status", () => {
  test("has a line for each sink and a condition; what others wrote stays where it is", () => {
    const before = { observedGeneration: 3, handledResume: "x", conditions: [condition("Ready"), condition("StormBreakerOpen")] };
    const status = notificationsStatus(config(before), [{ name: "audit", state: "Delivering" }, { ...failing }], NOW);
    expect(status).toMatchObject({
      observedGeneration: 3,
      handledResume: "x",
      notifications: [{ name: "audit", state: "Delivering" }, failing],
    });
    expect(status.conditions?.map(({ type, status }) => `${type} ${status}`)).toEqual([
      "Ready True",
      "StormBreakerOpen True",
      "NotificationsDelivered False",
    ]);
  });

  test("changes a condition in its place, and its time only when it turns", () => {
    const conditions = [condition("NotificationsDelivered", "False"), condition("Ready")];
    const still = notificationsStatus(config({ conditions }), [{ ...failing }], NOW);
    expect(still.conditions?.[0]).toMatchObject({ type: "NotificationsDelivered", lastTransitionTime: EARLIER });
    const turned = notificationsStatus(config({ conditions }), [{ name: "chat", state: "Delivering" }], NOW);
    expect(turned.conditions?.[0]).toMatchObject({ status: "True", lastTransitionTime: "2026-11-24T10:00:00.000Z" });
    expect(turned.conditions?.[1]).toEqual(condition("Ready"));
  });

  test("keeps what was said of a sink that a new operator has sent nothing to, and when it last failed of one that is well again", () => {
    const before = { notifications: [{ ...failing, givenUp: 4 }] };
    expect(notificationsStatus(config(before), [{ name: "chat", state: "Idle" }], NOW).notifications).toEqual([failing]);
    expect(notificationsStatus(config(before), [{ name: "chat", state: "Delivering" }], NOW).notifications).toEqual([
      { ...failing, state: "Delivering" },
    ]);
  });

  test("says nothing where there is no sink, and nothing any more where there was one", () => {
    expect(notificationsStatus(config(undefined), [], NOW)).toEqual({});
    const before = { notifications: [{ ...failing }], conditions: [condition("Ready"), condition("NotificationsDelivered")] };
    expect(notificationsStatus(config(before), [], NOW)).toEqual({ conditions: [condition("Ready")] });
  });
});

test("the condition is of all sinks: one that fails makes it False, and nothing that was sent makes it Unknown", () => {
  const idle = { name: "a", state: "Idle" } as const;
  const well = { name: "b", state: "Delivering" } as const;
  expect(deliveryCondition([idle, well])).toMatchObject({ status: "True", reason: "Delivering" });
  expect(deliveryCondition([idle])).toMatchObject({ status: "Unknown", reason: "NothingSent" });
  expect(deliveryCondition([well, failing, idle])).toEqual({
    status: "False",
    reason: "Failing",
    message: `chat: HTTP 404 (${EARLIER})`,
  });
});
