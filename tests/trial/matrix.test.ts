// The matrix: what must hold in every row whatever the policy says, and what the promises say of single rows.

import { load } from "js-yaml";
import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { RollbackPolicy, RollbackPolicySpec } from "../../src/api/rollbackpolicy.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import { cells, group, matrix, matrixOf } from "../../src/trial/matrix.ts";
import { matrixHtml, matrixMarkdown } from "../../src/trial/matrix-pages.ts";
import type { Cell } from "../../src/trial/outcome.ts";
import { markNow } from "../../src/trial/present.ts";
import type { Situation } from "../../src/trial/situations.ts";
import { guarding, rolledBack } from "../cli/fixtures.ts";
import { read } from "../house/files.ts";
import { written } from "./policies.ts";

const POLICIES = {
  "the built-in one": resolvePolicy(undefined),
  "one with every kind of check": resolvePolicy(written()),
  "the demo's": resolvePolicy((load(read("examples/digits/policy.yaml")) as RollbackPolicy).spec),
  "one that observes": resolvePolicy(written({ mode: "Observe" })),
  "one that alerts": resolvePolicy(written({ actions: { Critical: "Alert", Warning: "Alert", Info: "Alert" } })),
  "one with maxDepth 3": resolvePolicy(
    written({ rollback: { maxDepth: 3, cooldown: "10m", verify: "2m", deadline: "15m", budget: { limit: 3, per: "1h" } } }),
  ),
};

const played = new Map(Object.entries(POLICIES).map(([name, policy]) => [name, cells(policy)]));
const all = [...played.values()].flat();

function find(name: keyof typeof POLICIES, want: Partial<Omit<Situation, "check">> & { check?: string }): Cell[] {
  const { check, ...rest } = want;
  return (played.get(name) ?? []).filter(
    ({ situation }) =>
      (check === undefined || situation.check?.name === check) &&
      Object.entries(rest).every(([key, value]) => situation[key as keyof Situation] === value),
  );
}

const outcomes = (list: readonly Cell[]) => [...new Set(list.map((one) => `${one.outcome} ${one.reason}`))];

describe("in every row of every policy", () => {
  test("data that is missing or too little never leads to a return, a rejection or a proof of a Critical check", () => {
    const unknown = all.filter(
      ({ situation }) => ["Missing", "Silent", "TooLittle"].includes(situation.data) && situation.check?.source,
    );
    expect(unknown.length).toBeGreaterThan(100);
    const wrong = unknown.filter(
      ({ outcome, situation }) =>
        outcome === "Returns" ||
        outcome === "Rejects" ||
        (outcome === "Proves" && situation.check?.severity === "Critical" && situation.check.threshold),
    );
    expect(wrong).toEqual([]);
  });

  test("a freeze never stops a return", () => {
    const frozen = all.filter(({ situation }) => situation.limiter === "Frozen" && situation.check !== undefined);
    expect(frozen.length).toBeGreaterThan(10);
    for (const one of frozen) {
      const free = all.filter(
        ({ situation: { check, moment, data, standby, limiter } }) =>
          limiter === "None" &&
          check === one.situation.check &&
          moment === one.situation.moment &&
          data === one.situation.data &&
          standby === one.situation.standby,
      );
      expect(outcomes(free)).toEqual(outcomes([one]));
    }
  });

  test("paused rows move nothing and say what would be done", () => {
    const paused = all.filter(({ situation }) => situation.limiter === "Paused" && situation.check);
    expect(paused.length).toBeGreaterThan(10);
    expect(paused.filter(({ outcome }) => outcome === "Returns" || outcome === "Rejects")).toEqual([]);
    for (const one of paused.filter(({ reason }) => reason === "Paused")) expect(one.message).toContain("would roll back");
  });

  test("with nowhere to return to, a breach stalls or is told, and never returns", () => {
    const none = all.filter(({ situation }) => situation.standby === "None");
    expect(none.length).toBeGreaterThan(10);
    expect(none.filter(({ outcome }) => outcome === "Returns")).toEqual([]);
    // Only a comparison without anything to compare with says nothing.
    expect(new Set(none.filter(({ outcome }) => outcome === "Nothing").map(({ situation }) => situation.check?.name))).toEqual(
      new Set(["compared"]),
    );
  });

  test("every row has a reason and words, and what is decided has a time", () => {
    for (const one of all) {
      expect(one.reason).toMatch(/^[A-Za-z]+$/);
      expect(one.message).not.toBe("");
      expect(one.message).not.toMatch(/\d{4}-\d\d-\d\dT/);
      if (one.outcome === "Returns") expect(one.switchedMs).toBeGreaterThanOrEqual(one.decidedMs ?? Number.POSITIVE_INFINITY);
    }
  });
});

describe("what the promises say of single rows", () => {
  test.each<[keyof typeof POLICIES, Parameters<typeof find>[1], string[]]>([
    ["the built-in one", { moment: "Guard", data: "Bad", standby: "Warm", limiter: "None" }, ["Returns Breached"]],
    ["the built-in one", { moment: "Guard", data: "Bad", standby: "Cold" }, ["Returns Breached"]],
    ["the built-in one", { moment: "Guard", limiter: "Cooldown" }, ["Holds Cooldown"]],
    ["the built-in one", { moment: "Bake", limiter: "Cooldown" }, ["Returns Breached"]],
    ["the built-in one", { moment: "Guard", limiter: "Budget" }, ["Stalls BudgetSpent"]],
    ["the built-in one", { moment: "Bake", limiter: "Budget" }, ["Returns Breached"]],
    ["the built-in one", { moment: "Guard", standby: "None" }, ["Stalls NoTarget"]],
    ["one with every kind of check", { check: "error-ratio", moment: "Rollout", data: "Bad" }, ["Rejects CheckBreached"]],
    ["one with every kind of check", { check: "error-ratio", moment: "Rollout", data: "Silent" }, ["Holds SourceUnavailable"]],
    ["one with every kind of check", { check: "error-ratio", moment: "VerifySame", data: "Bad" }, ["Stalls CommonCause"]],
    ["one with every kind of check", { check: "error-ratio", moment: "VerifyOther", data: "Bad" }, ["Stalls TargetBreached"]],
    // A comparison alone acts fully in rollout and bake, and only holds in guard.
    [
      "one with every kind of check",
      { check: "compared", moment: "Bake", data: "Bad", standby: "Warm", limiter: "None" },
      ["Returns Breached"],
    ],
    [
      "one with every kind of check",
      { check: "compared", moment: "Guard", data: "Bad", standby: "Warm", limiter: "None" },
      ["Holds BreachHeld"],
    ],
    ["one with every kind of check", { check: "accuracy", moment: "Rollout", data: "Bad" }, ["Holds CheckBreached"]],
    ["one with every kind of check", { check: "queue", moment: "Rollout", data: "Bad" }, ["Switches Breached"]],
    ["one with every kind of check", { check: "queue", moment: "Guard", data: "Bad" }, ["Tells Breached"]],
    [
      "one that observes",
      { check: "error-ratio", moment: "Guard", data: "Bad", standby: "Warm", limiter: "None" },
      ["Observes Breached"],
    ],
    ["one that alerts", { check: "error-ratio", moment: "Guard", data: "Bad" }, ["Holds BreachHeld"]],
  ])("%s: %o → %o", (name, want, expected) => {
    expect(outcomes(find(name, want))).toEqual(expected);
  });

  test("a breach is decided within `count` intervals of its first bad sample while guarding, whatever kind of metric", () => {
    for (const check of ["error-ratio", "latency"]) {
      const [one] = find("one with every kind of check", {
        check,
        moment: "Guard",
        data: "Bad",
        standby: "Warm",
        limiter: "None",
      });
      expect(one?.decidedMs).toBeLessThanOrEqual(3 * 60_000);
      expect(one?.switchedMs).toBe(one?.decidedMs);
    }
  });

  test("a cold return takes the time that pods need, and the breached one serves until then", () => {
    const [one] = find("the built-in one", { check: "restarts", moment: "Guard", standby: "Cold" });
    expect((one?.switchedMs ?? 0) - (one?.decidedMs ?? 0)).toBe(10_000);
  });
});

describe("a deployment's strategy", () => {
  const policy = resolvePolicy({ checks: (written().checks ?? []).slice(1, 2) } as RollbackPolicySpec);
  const of = (strategy: object) => cells(policy, { replicas: 4, strategy } as Partial<ModelDeployment["spec"]>);
  const only = (list: readonly Cell[], moment: string, check = "latency") =>
    outcomes(
      list.filter(
        ({ situation: one }) =>
          one.moment === moment && one.data === "Bad" && one.check?.name === check && one.limiter === "None",
      ),
    );

  test.each([
    [
      "by replicas",
      {
        steps: [
          { weight: 20, hold: "5m" },
          { weight: 50, pause: true },
        ],
      },
    ],
    ["by a route", { steps: [{ weight: 5, hold: "5m" }], route: { parentRefs: [{ name: "gateway" }] } }],
  ])("a canary %s that breaches at a step is set back, however long its steps are", (_how, canary) => {
    const played = of({ type: "Canary", canary });
    expect(only(played, "Shift")).toEqual(["Rejects CheckBreached"]);
    expect(only(played, "Shift", "restarts")[0]).toMatch(/^Rejects /);
  });

  test("Recreate has no warm standby: each return waits for pods", () => {
    const played = of({ type: "Recreate" });
    expect(new Set(played.map(({ situation }) => situation.standby))).toEqual(new Set(["Cold", "None"]));
    const guard = played.find(
      ({ situation: one }) => one.moment === "Guard" && one.standby === "Cold" && one.check?.name === "latency",
    );
    expect((guard?.switchedMs ?? 0) - (guard?.decidedMs ?? 0)).toBeGreaterThanOrEqual(10_000);
  });
});

describe("the matrix as a page", () => {
  const policy = POLICIES["one with every kind of check"];
  const cellsOf = played.get("one with every kind of check") ?? [];

  test("joins what ends alike, and loses no situation", () => {
    const rows = group(played.get("one with every kind of check") ?? []);
    expect(rows.length).toBeLessThan((played.get("one with every kind of check") ?? []).length / 2);
    for (const { situation, outcome } of played.get("one with every kind of check") ?? []) {
      const found = rows.filter(
        (row) =>
          (situation.check ? row.checks.includes(situation.check.name) : row.checks.length === 0) &&
          row.moments.includes(situation.moment) &&
          row.data.includes(situation.data) &&
          row.standby.includes(situation.standby) &&
          row.limiters.includes(situation.limiter),
      );
      expect(found.map((row) => row.outcome)).toEqual([outcome]);
    }
  });

  test("is the same each time", () => {
    const plain = POLICIES["the built-in one"];
    expect(JSON.stringify(matrix("x", plain))).toBe(JSON.stringify(matrixOf("x", plain, played.get("the built-in one") ?? [])));
  });

  test("shows what a policy holds as text, never as markup", () => {
    const of = matrix('<script>alert(1)</script> | & "x"', policy);
    expect(matrixHtml(of)).not.toContain("<script");
    expect(matrixHtml(of)).toContain("&lt;script&gt;alert(1)&lt;/script&gt; | &amp; &quot;x&quot;");
    expect(matrixMarkdown(of).split("\n")[0]).toBe('# &lt;script>alert(1)&lt;/script> \\| & "x"');
  });

  test("marks the rows that apply to a deployment now", () => {
    const now = Date.parse("2026-11-24T12:00:00Z");
    const marked = (mdep: ReturnType<typeof guarding>) =>
      markNow(matrixOf("x", policy, cellsOf), mdep, policy, now).rows.filter((row) => row.now);
    const breached = guarding();
    Object.assign(breached.status?.checks?.[0] ?? {}, { verdict: "Breached" });
    expect(marked(breached).map((row) => [row.outcome, row.reason, row.standby])).toEqual([["Stalls", "NoTarget", ["None"]]]);
    expect(marked({ ...breached, spec: { ...breached.spec, paused: true } }).length).toBeGreaterThan(0);
    expect(marked(guarding())).toEqual([]);
    const unsure = marked(rolledBack());
    expect(unsure.map((row) => [row.checks.includes("available"), row.data])).toEqual([[true, ["TooLittle"]]]);
  });
});
