// What a message says, to whom it goes, and what can't get into it.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TOPICS } from "../../src/api/notifications.ts";
import { OUTCOMES, STALLED_REASONS } from "../../src/api/reasons.ts";
import { topicOf } from "../../src/notify/announcement.ts";
import { cloudEvent, escapeText, fitting, slackLine, slackMessage } from "../../src/notify/messages.ts";
import { announcement } from "./support.ts";

const eventOf = (...input: Parameters<typeof cloudEvent>) => JSON.parse(cloudEvent(...input).body) as Record<string, unknown>;

const PAGE = readFileSync("docs/notifications.md", "utf8");

/** The event that the page shows. */
function documented(): unknown {
  return JSON.parse(/```json\n([^`]*)```/.exec(PAGE)?.[1] ?? "null");
}

describe("a CloudEvent", () => {
  test("has the attributes of the specification, and says what happened to what, as the docs show it", () => {
    const message = cloudEvent(announcement(), "Verified", "production");
    expect(message.contentType).toBe("application/cloudevents+json; charset=utf-8");
    expect(JSON.parse(message.body)).toEqual(documented());
  });

  test("of what happened once is the same however often it is made: the receiver drops repeats by source and id", () => {
    const once = eventOf(announcement(), "Verified", "");
    expect(eventOf(announcement(), "Verified", "")).toEqual(once);
    expect(eventOf(announcement({ id: "Verified-8" }), "Verified", "")).not.toMatchObject({ id: once.id });
    const again = announcement();
    again.regarding.metadata.uid = "6f1d2c3a-0000-4000-8000-000000000002";
    expect(eventOf(again, "Verified", "")).not.toMatchObject({ id: once.id });
  });

  test("about the whole cluster has no namespace, and without an environment its source is the program", () => {
    const regarding = {
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "RollguardConfig",
      metadata: { name: "cluster", uid: "u" },
    };
    const storm = announcement({ regarding, reason: "StormBreakerOpened", id: "storm-1" });
    expect(eventOf(storm, "StormBreaker", "")).toMatchObject({
      id: "u/storm-1",
      source: "/rollguard",
      subject: "/apis/rollguard.dev/v1alpha1/rollguardconfigs/cluster",
    });
  });

  test("of a transition under way names no record: there is none yet", () => {
    const begun = announcement({ reason: "RollingBack", transition: { sequence: 7, action: "Return" } });
    expect(eventOf(begun, "Returning", "")).toMatchObject({ data: { transition: { sequence: 7, action: "Return" } } });
    expect(JSON.stringify(eventOf(begun, "Returning", ""))).not.toContain("record");
  });

  test("stays far below the 64 KiB that receivers have to take, whatever the note", () => {
    const { body } = cloudEvent(announcement({ note: "\u{1f642}".repeat(100_000) }), "Verified", "e".repeat(253));
    expect(Buffer.byteLength(body)).toBeLessThan(16 * 1024);
  });
});

describe("a Slack text", () => {
  test("is one line: what happened to which deployment, and where", () => {
    expect(slackLine(announcement(), "production")).toBe(
      "[production] *fraud/scorer* Verified: the return to r2 (scorer-2) is verified: errors 0.5 &gt; 0.02 (2026-11-24T10:00:00.000Z)",
    );
    const stall = announcement({ type: "Warning", reason: "NoTarget", outcome: "Stalled", note: "nothing to return to" });
    expect(slackLine(stall, "")).toBe(
      ":warning: *fraud/scorer* Stalled, NoTarget: nothing to return to (2026-11-24T10:00:00.000Z)",
    );
  });

  test.each([
    ["a < b & c > d", "a &lt; b &amp; c &gt; d"],
    ["<!channel> wake up", "&lt;!channel&gt; wake up"],
    ["<@U024BE7LH>", "&lt;@\u200bU024BE7LH&gt;"],
    ["<https://evil.example|docs>", "&lt;https:\u200b//evil.example|docs&gt;"],
    ["@channel @here @all", "@\u200bchannel @\u200bhere @\u200ball"],
    ["&lt;!here&gt;", "&amp;lt;!here&amp;gt;"],
  ])("%j is text and no command", (text, escaped) => {
    expect(escapeText(text)).toBe(escaped);
    expect(slackLine(announcement({ note: text }), "")).toContain(escaped);
  });

  test("as many lines as fit are one text, and a long one goes alone", () => {
    expect(fitting(["a", "b", "c"])).toBe(3);
    expect(fitting(["a".repeat(3990), "b", "c".repeat(100)])).toBe(2);
    expect(fitting(["a".repeat(9000), "b"])).toBe(1);
    expect(JSON.parse(slackMessage(["a", "b"]).body)).toEqual({ text: "a\nb" });
  });
});

test("No secret, raw newline or terminal escape reaches a message, whatever a note says", () => {
  const nasty = fc.string({ unit: "binary", maxLength: 400 });
  const escapes = fc.constantFrom(
    "\u001b[31m",
    "\u001b]0;x\u0007",
    "\r\n",
    "\u0000",
    "\u009b1m",
    "\u202e",
    "<!channel>",
    "@here",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(nasty, escapes), { maxLength: 8 }), (parts) => {
      const told = announcement({ note: parts.join(""), reason: "Verified" });
      const { message } = eventOf(told, "Verified", "").data as { message: string };
      const line = slackLine(told, parts.join(""));
      for (const text of [message, line]) expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
      expect(line).not.toMatch(/[<>]|@(?!\u200b)/);
    }),
    { numRuns: 500 },
  );
}, 120_000);

test("each topic is explained on the page, and no other", () => {
  const table = PAGE.slice(PAGE.indexOf("| topic |"), PAGE.indexOf("## CloudEvents"));
  const named = [...table.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(\w+)`/g)].map((one) => one[1]),
  );
  expect(named.sort()).toEqual([...TOPICS].sort());
});

describe("the topic", () => {
  const of = (reason: string, type: "Normal" | "Warning" = "Warning", outcome?: "Stalled" | "Proven") => {
    const { outcome: _, ...rest } = announcement({ reason, type });
    return topicOf(outcome === undefined ? rest : { ...rest, outcome });
  };
  test.each([
    ["RollingBack", "Returning"],
    ["DeadlineWillBeMissed", "DeadlineWillBeMissed"],
    ["BakeStarved", "BakeStarved"],
    ["CheckBreached", "CheckBreached"],
    ["ReturnRecommended", "Recommended"],
    ["WouldAct", "Recommended"],
    ["MissingData", "MissingData"],
    ["StormBreakerOpened", "StormBreaker"],
    ["ConfigMapLost", "Warning"],
    ["Quarantined", undefined],
  ])("of a %s is %s", (reason, topic) => {
    expect(of(reason)).toBe(topic);
  });

  test.each([
    ["DataIsBack", "MissingData"],
    ["StormBreakerClosed", "StormBreaker"],
    ["RecommendationLapsed", "Recommended"],
    ["Recovered", "Stalled"],
    ["Proven", "Proven"],
    ["TrafficSwitched", undefined],
    ["RolloutStarted", undefined],
    ["CanaryStep", undefined],
  ])("of a %s, which is no warning, is %s", (reason, topic) => {
    expect(of(reason, "Normal")).toBe(topic);
  });

  test("of an end is its outcome, of a stall Stalled, whatever the reason", () => {
    for (const outcome of OUTCOMES) expect(topicOf(announcement({ outcome, reason: outcome }))).toBe(outcome);
    for (const reason of STALLED_REASONS) expect(of(reason, "Warning", "Stalled")).toBe("Stalled");
  });

  test("is one that a sink can be told of", () => {
    for (const reason of [...STALLED_REASONS, ...OUTCOMES]) expect(TOPICS).toContain(of(reason));
  });
});
