// What is the model's fault and what is the cluster's: every row of the table, from the pod as Kubernetes shows it to the decision.

import { describe, expect, test } from "vitest";
import { FAULT_REASONS, HELD_REASONS, STALLED_REASONS } from "../../src/api/reasons.ts";
import { ArtifactError } from "../../src/artifacts/errors.ts";
import { REASON_EXPLANATIONS } from "../../src/cli/explanations.ts";
import { childFault, faultOf } from "../../src/core/faults.ts";
import type { FaultRow } from "../../src/core/faulttable/row.ts";
import { FAULT_TABLE } from "../../src/core/faulttable/table.ts";
import { files, read } from "../house/files.ts";
import { childOf } from "./faulty.ts";
import { proven, type World } from "./world.ts";

/** v2 is pinned, and its pods are as the row says. */
function rollOut(row: FaultRow): World {
  const world = proven();
  const facts = world.cluster.facts.bind(world.cluster);
  const child = childOf(row);
  world.cluster.facts = (...args) => facts(...args).map((one) => (one.revision === 2 && one.replicas > 0 ? child : one));
  return world.pin("v2");
}

describe("a candidate is quarantined for a fault of its own, and for nothing else", () => {
  test.each(FAULT_TABLE)("$state ($seen): $consequence $reason", (row) => {
    const world = rollOut(row);
    const { consequence, reason } = row;
    if (consequence === "Quarantine" && reason !== "NeverReady") world.run(3000);
    else if (consequence === "Stalled") {
      world.run(30_000);
      expect(world.status.stall).toBeUndefined();
      world.run(35_000);
    } else {
      world.run(55_000);
      expect([world.status.stall, world.status.quarantine ?? []]).toEqual([undefined, []]);
      world.run(10_000);
    }
    if (consequence === "Quarantine") {
      expect(world.status.quarantine?.[0]).toMatchObject({ version: "v2", reason });
      expect(world.story().at(-1)).toBe("2 Rollout v2 Rejected");
    } else {
      expect(world.condition("Stalled")).toMatchObject({ status: "True", reason });
      expect(world.status.quarantine ?? []).toEqual([]);
      expect(world.status.rollout?.retryAt).toBeDefined();
    }
    expect(world.status.active?.version).toBe("v1");
    expect(world.traffic).toHaveLength(1);
  });

  test("an own fault goes before a cluster's, of another pod or of the Deployment", () => {
    const row = (reason: string) => {
      const found = FAULT_TABLE.find((one) => one.reason === reason);
      if (!found) throw new Error(`no row of ${reason}`);
      return childOf(found);
    };
    const pods = [...row("Unschedulable").pods, ...row("CrashLoop").pods];
    expect(faultOf(pods, 3)).toMatchObject({ of: "Own", reason: "CrashLoop" });
    expect(childFault({ ...row("QuotaExceeded"), pods: row("CrashLoop").pods }, 3)).toMatchObject({ of: "Own" });
    expect(childFault({ ...row("QuotaExceeded"), pods: row("Unschedulable").pods }, 3)).toMatchObject({
      reason: "QuotaExceeded",
    });
  });

  test("pods on a node that is not ready are no evidence, whatever they show", () => {
    for (const row of FAULT_TABLE) if (row.pod) expect(faultOf(childOf(row, false).pods, 3)).toBeUndefined();
  });

  test("a lost node is named when the deadline has passed", () => {
    const running = FAULT_TABLE.find((row) => row.reason === "NeverReady");
    const world = proven();
    const facts = world.cluster.facts.bind(world.cluster);
    const lost = childOf(running as FaultRow, false);
    world.cluster.facts = (...args) => facts(...args).map((one) => (one.revision === 2 && one.replicas > 0 ? lost : one));
    world.pin("v2").run(65_000);
    expect(world.condition("Stalled")?.reason).toBe("NodeLost");
    expect(world.status.quarantine ?? []).toEqual([]);
  });
});

describe("one spelling of every reason", () => {
  test("the table has a row for every reason that pods can give, but for those of the rules", () => {
    const listed = new Set<string>(FAULT_TABLE.map((row) => row.reason));
    // Reasons of `rollguard fetch` are tested with it; one example of each kind is in the table.
    const elsewhere = /^(Redirect|Bad|Unsupported|HostNot|Artifact|Fetch|Volume)|Breached$|ProbeFailed|ByPerson/;
    expect(FAULT_REASONS.filter((reason) => !listed.has(reason) && !elsewhere.test(reason))).toEqual([]);
  });

  test("every reason of `rollguard fetch` is a reason of the API, by whose fault it is", () => {
    const source = read("src/artifacts/errors.ts");
    const reasons = [...source.matchAll(/^ {2}(\w+): "(Artifact|Source)",$/gm)];
    expect(reasons.length).toBeGreaterThan(10);
    for (const [, reason = "", fault] of reasons) {
      expect(new ArtifactError(reason as never, "").fault).toBe(fault);
      const list: readonly string[] = fault === "Artifact" ? FAULT_REASONS : STALLED_REASONS;
      expect(list, reason).toContain(reason);
    }
  });

  test("every reason with which the rules hold or stall is a reason of the API", () => {
    const listed: readonly string[] = [...STALLED_REASONS, ...HELD_REASONS];
    const used = new Set<string>();
    for (const file of files("src/core/**/*.ts"))
      for (const [, reason = ""] of read(file).matchAll(
        /\b(?:held|stall|endFailed|backOff|halt)\((?:context,\s*)?"([A-Za-z]+)"/g,
      ))
        used.add(reason);
    expect(used.size).toBeGreaterThan(15);
    expect([...used].filter((reason) => !listed.includes(reason))).toEqual([]);
  });

  test("every reason for a stall or a quarantine is explained to people", () => {
    const phases = ["RolledBack"];
    const all: readonly string[] = [...STALLED_REASONS, ...FAULT_REASONS];
    expect(all.filter((reason) => !(reason in REASON_EXPLANATIONS) && !phases.includes(reason))).toEqual([]);
  });
});
