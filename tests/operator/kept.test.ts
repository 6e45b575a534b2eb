// What is kept and what is let go over a long life: revisions, quarantine, history.

import { afterEach, expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import type { Context } from "../../src/core/context.ts";
import type { KnownRevision } from "../../src/core/snapshot.ts";
import { closeReturn, openReturn, quarantine, truncateHistory } from "../../src/core/transitions.ts";
import { proven, type World } from "../core/world.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { atRest, closeAll, guarding, pinned, version } from "./story.ts";

afterEach(closeAll);

const kept = (simulation: Simulation) =>
  simulation.server
    .list(IDS.revisions, "default")
    .filter((one) => !one.metadata.name.includes("policy"))
    .map((one) => one.metadata.name)
    .filter((name) => /^toy-r\d+$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));

test("the newest ten proven ones keep their ControllerRevision", { timeout: 120_000 }, async () => {
  const simulation = await guarding();
  simulation.errorShare = () => 0.01;
  for (let i = 2; i <= 12; i++) {
    await simulation.apply(version(`v${i}`));
    await simulation.apply(pinned(`v${i}`));
    await simulation.until(
      `v${i} proven`,
      ({ status }) => status?.lastHealthy?.version === `v${i}` && status.phase === "Guarding",
    );
  }
  await atRest(simulation);
  expect(kept(simulation)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((revision) => `toy-r${revision}`));
});

/** What the rules work on, over the status of a world. */
function contextOf(world: World): Context {
  const status = structuredClone(world.status);
  const snapshot = world.snapshot();
  return {
    snapshot,
    now: world.now,
    before: world.status,
    status,
    active: undefined,
    candidate: undefined,
    events: [],
    held: [],
    wake: [],
  };
}

test("a quarantine entry that matches the pin is never dropped", () => {
  const world = proven();
  world.measure = (_check, name) => ({ kind: "Value", value: name === "v2" ? 0.5 : 0.01 });
  world.pin("v2").run(40_000);
  const context = contextOf(world);
  for (let i = 0; i < 1000; i++) {
    const ref = { version: `b${i}`, revision: 10 + i, hash: `h${i}`, artifactDigest: `sha256:${i}` };
    quarantine(context, ref, "Breached", "x".repeat(256));
  }
  expect(context.status.quarantine?.[0]).toMatchObject({ version: "v2" });
  expect(context.status.quarantine?.at(-1)).toMatchObject({ version: "b999" });
  expect(JSON.stringify(context.status.quarantine).length).toBeLessThan(6 * 1024);
});

test("the status stays below 32 KiB after 10,000 rollbacks", { timeout: 120_000 }, () => {
  const world = proven();
  world.pin("v2").run(40_000);
  const context = contextOf(world);
  const { status, snapshot } = context;
  const target = snapshot.revisions.find((one) => one.revision === 1) as KnownRevision;
  const recorded = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    const message = `error-ratio 0.31 (≤ 0.02): ${"x".repeat(900)}`;
    openReturn(context, { target, trigger: "Breach", reason: "Breached", message, check: "error-ratio", warm: true });
    quarantine(
      context,
      { version: `b${i}`, revision: 10 + i, hash: `h${i}`, artifactDigest: `sha256:${"0".repeat(64)}` },
      "Breached",
      message,
    );
    closeReturn(context, "Verified", "Verified", "every Critical check is within its limits");
    truncateHistory(status, 100, recorded);
    recorded.add(status.sequence ?? 0);
  }
  // The real decision writes what is derived on top of it.
  world.deployment.status = status;
  world.run(5000);
  expect(world.status.sequence).toBeGreaterThanOrEqual(10_002);
  expect(world.status.history?.at(-1)).toMatchObject({ sequence: 10_002 });
  expect(Buffer.byteLength(JSON.stringify(world.status))).toBeLessThan(32 * 1024);
  expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
});
