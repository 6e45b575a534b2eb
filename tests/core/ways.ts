// What the tests of phases begin with, and how they see which phase follows.

import { expect } from "vitest";
import type { Phase } from "../../src/api/reasons.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import { check, policy, proven, World } from "./world.ts";

export const bad = { kind: "Value", value: 0.5 } as const;
export const good = { kind: "Value", value: 0.01 } as const;
export const only = (broken: string) => (_check: unknown, version: string) => (version === broken ? bad : good);
export const never = () => Number.POSITIVE_INFINITY;
export const CRASH = [
  { name: "server", init: false, restarts: 5, terminated: { reason: "Error", exitCode: 1, message: "" } },
] as never;

/** v1 and v2 are proven, v2 serves, and v1 is its warm target. */
export const two = (spec: Parameters<typeof proven>[0] = {}) =>
  proven(spec)
    .pin("v2")
    .run(spec.strategy?.type === "Canary" ? 90_000 : 40_000) as World;
/** v2 serves again after v3 was quarantined, and v3 is pinned no more. */
export const withQuarantined = (spec: Parameters<typeof proven>[0] = {}) => {
  const world = two(spec);
  world.breaks = (version) => (version === "v3" ? CRASH : undefined);
  world.pin("v3").run(5000);
  expect(world.status.phase).toBe("RolledBack");
  world.breaks = () => undefined;
  return world.pin("v2").run(1000) as World;
};
/** Adds to what is observed. */
export function observes(world: World, more: () => Partial<Snapshot>): void {
  const snapshot = world.snapshot.bind(world);
  world.snapshot = () => ({ ...snapshot(), ...more() });
}

/** What serves bakes anew from now on. */
export function bakes(world: World): World {
  const { active } = world.status;
  const judgedFrom = new Date(world.now).toISOString();
  if (active) world.deployment.status = { ...world.status, active: { ...active, baking: true, judgedFrom } };
  return world;
}

/** v1, v2 and v3 are proven, and v3 serves; two metrics are asked. */
export const three = () => {
  const world = new World().version("v1").version("v2").version("v3");
  world.policy = policy({ checks: [...policy().checks, check({ name: "latency", fingerprint: "latency" })] });
  return world.run(20_000).pin("v2").run(40_000).pin("v3").run(40_000) as World;
};
/** Half of the traffic for twenty seconds, then all of it. */
export const CANARY = {
  strategy: { type: "Canary", drain: "5s", progressDeadline: "60s", canary: { steps: [{ weight: 50, hold: "20s" }] } },
} as never;
/** A canary at its first step. */
export const canary = () => proven(CANARY).pin("v2").run(10_000) as World;

/** In half a second what is done is seen; in two minutes a back-off is over, and what is measured is judged. */
export const LIMIT_MS = 120_000;

/** The first other phase that follows when this is done. */
export function nextPhase(world: World, act: (world: World) => unknown): Phase | undefined {
  const from = world.status.phase;
  let next: Phase | undefined;
  const note = world.onDecision;
  world.onDecision = (decision, before) => {
    note?.(decision, before);
    const { phase } = decision.status;
    if (phase !== from) next ??= phase;
  };
  act(world);
  for (let passed = 0; next === undefined && passed < LIMIT_MS; passed += 500) world.run(500);
  return next;
}
