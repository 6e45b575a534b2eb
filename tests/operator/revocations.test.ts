// Revocation by digest: everywhere, one after the other, recorded with who revoked, and kept with the revision.

import { afterEach, describe, expect, test } from "vitest";
import type { ClusterRollbackPolicy } from "../../src/api/clusterrollbackpolicy.ts";
import { REVOCATION_BURST, REVOCATION_PERIOD_MS, RevocationPace, revokerOf } from "../../src/controllers/revocations.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { Fleet } from "./fleet.ts";
import { IDS } from "./simulated.ts";

const DIGEST_OF_V2 = `sha256:${"2".padStart(64, "0")}`;
const policy = (revokedDigests: string[]) => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ClusterRollbackPolicy",
  metadata: { name: "security" },
  // It selects nothing: what it revokes leaves everywhere.
  spec: { selector: { matchLabels: { nobody: "has-this" } }, revokedDigests },
});

let fleet: Fleet | undefined;
afterEach(async () => {
  await fleet?.simulation.close();
  fleet = undefined;
});

test("revokedDigests of a cluster policy leave wherever they serve, recorded with who revoked; a pin to them is refused with the policy's name, also when the digest is taken out again", async () => {
  fleet = await new Fleet(2).prepare();
  const { simulation } = fleet;
  await simulation.apply(policy([DIGEST_OF_V2]));
  await fleet.until("returned", () => fleet?.returned().length === 2, 20_000);
  await fleet.until("verified", () => fleet?.all(({ status }) => status?.rollback?.outcome === "Verified") ?? false, 60_000);
  const { status } = fleet.of("m0");
  expect(status?.history?.at(-1)).toMatchObject({
    action: "Return",
    trigger: "Revoked",
    initiator: { name: "ClusterRollbackPolicy security", source: "Declared" },
  });
  const record = simulation.get(IDS.records, `m0-${status?.sequence}`) as unknown as {
    spec: { initiator: object; message: string };
  };
  expect(record.spec.initiator).toEqual({ name: "ClusterRollbackPolicy security", source: "Declared" });
  const stalled = () => fleet?.of("m0").status?.conditions?.find((one) => one.type === "Stalled");
  expect(stalled()).toMatchObject({ status: "True", reason: "VersionRevoked" });
  expect(stalled()?.message).toContain("revoked by ClusterRollbackPolicy security");
  await simulation.apply(policy([`sha256:${"9".repeat(64)}`]));
  await simulation.clock.advance(60_000);
  expect(fleet.returned()).toHaveLength(2);
  expect(stalled()).toMatchObject({ status: "True", reason: "VersionRevoked" });
  const kept = simulation.get(IDS.revisions, "m0-r2").metadata.annotations?.["rollguard.dev/revoked"];
  expect(kept).toBe("ClusterRollbackPolicy security");
});

describe("the pace of revocations", () => {
  test("a burst begins at once, then one a period, in the order in which they asked", async () => {
    const clock = new FakeClock();
    const pace = new RevocationPace(clock);
    const waits = Array.from({ length: REVOCATION_BURST + 3 }, (_, index) => pace.waitMs(`ns/m${index}`));
    expect(waits.slice(0, REVOCATION_BURST)).toEqual(Array(REVOCATION_BURST).fill(0));
    expect(waits.slice(REVOCATION_BURST)).toEqual([1, 2, 3].map((turn) => turn * REVOCATION_PERIOD_MS));
    await clock.advance(REVOCATION_PERIOD_MS);
    expect(pace.waitMs(`ns/m${REVOCATION_BURST}`)).toBe(0);
    expect(pace.waitMs(`ns/m${REVOCATION_BURST + 1}`)).toBe(REVOCATION_PERIOD_MS);
  });

  test("it fills up again with time, and asking twice costs one turn", async () => {
    const clock = new FakeClock();
    const pace = new RevocationPace(clock);
    for (let i = 0; i < 100; i++) pace.waitMs("ns/same");
    expect(pace.waitMs("ns/other")).toBe(0);
    for (let i = 0; i < REVOCATION_BURST; i++) pace.waitMs(`ns/m${i}`);
    await clock.advance(10 * REVOCATION_PERIOD_MS);
    expect(pace.waitMs("ns/later")).toBe(0);
  });
});

test("a policy without the digest revokes nothing", () => {
  const policies = [policy([DIGEST_OF_V2])] as unknown as ClusterRollbackPolicy[];
  expect(revokerOf(DIGEST_OF_V2, policies)).toBe("ClusterRollbackPolicy security");
  expect(revokerOf(`sha256:${"1".padStart(64, "0")}`, policies)).toBeUndefined();
});
