// Part "returns": how long after the source gave the answer that completed a breach the return is committed and the traffic moved.

import type { KubeObject } from "../../src/kube/objects.ts";
import {
  applyPolicy,
  applyVersion,
  COUNT,
  deployment,
  each,
  INTERVAL_MS,
  nameOf,
  pinAll,
  provenWorld,
  selectedBy,
  versionName,
} from "./models.ts";
import { percentile, type Row, spread, times } from "./report.ts";
import { BARE, type Deployed, GUARDED, type World } from "./world.ts";

const DEPLOYMENTS = 22;
const ROUNDS = 2;
/** Between two revisions turning bad: single returns are measured here, the part "storm" has them all at once. */
const APART_MS = 200;

interface Moments {
  /** Bad from here on: what the next query sees. */
  visible: number;
  workload: string;
  committed?: number;
  moved?: number;
}

export async function returns(world: World): Promise<Row[]> {
  await provenWorld(world, DEPLOYMENTS);
  // Long enough that no candidate is proven before it turns bad.
  await applyPolicy(world, "10m");
  const bare = await bareWriter(world);
  const all: Moments[] = [];
  for (let round = 0; round < ROUNDS; round++) all.push(...(await oneRound(world, 2 + round, bare.write)));

  const committed = all.map((one) => (one.committed ?? Number.NaN) - completed(world, one));
  const beyond = all.map((one) => (one.committed ?? Number.NaN) - one.visible - INTERVAL_MS * COUNT);
  const moved = all.map((one) => (one.moved ?? Number.NaN) - (one.committed ?? Number.NaN));
  const compared = (values: readonly number[]) =>
    `p50 ${times(values, bare.took, 0.5)}, p99 ${times(values, bare.took, 0.99)} the bare write`;
  return [
    {
      what: "answer that completes the breach → return committed",
      goal: "p50 ≤ 50 ms, p99 ≤ 150 ms",
      measured: spread(committed),
      ratio: compared(committed),
      met: percentile(committed, 0.5) <= 50 && percentile(committed, 0.99) <= 150,
    },
    {
      what: `breach visible → return committed, beyond interval × count`,
      goal: "p99 ≤ 150 ms",
      measured: spread(beyond),
      met: percentile(beyond, 0.99) <= 150,
    },
    {
      what: "decision seen → traffic selector written",
      goal: "p99 ≤ 50 ms",
      measured: spread(moved),
      ratio: compared(moved),
      met: percentile(moved, 0.99) <= 50,
    },
    { what: "bare status write → seen by a watcher, in between", measured: spread(bare.took) },
  ];
}

/** When the answer was given that made the breach complete. */
function completed(world: World, one: Moments): number {
  return world.source.badAnswers(one.workload)[COUNT - 1] ?? Number.NaN;
}

async function oneRound(world: World, version: number, bareWrite: () => Promise<void>): Promise<Moments[]> {
  await applyVersion(world, version);
  await pinAll(world, DEPLOYMENTS, version);
  await world.deployments.until(`all deployments bake version ${version}`, () =>
    each(world, DEPLOYMENTS, (one) => one.status?.phase === "Baking" && one.status.active?.version === versionName(version)),
  );
  const moments = new Map<string, Moments>();
  const offs = [
    world.deployments.on((object, at) => {
      const one = moments.get(object.metadata.name);
      const { rollback } = object.status ?? {};
      if (one && rollback?.from?.version === versionName(version)) one.committed ??= at;
    }),
    world.services.on((service, at) => {
      const one = moments.get(service.metadata.name);
      if (one && selectedBy(service) === 1) one.moved ??= at;
    }),
  ];
  for (let index = 0; index < DEPLOYMENTS; index++) {
    const name = nameOf(index);
    const revision = world.deployments.get(GUARDED, name)?.status?.active?.revision;
    const workload = `${name}-r${revision}`;
    // Not in step with the timers of the checks: a breach may begin at any moment of an interval.
    await new Promise((resolve) => setTimeout(resolve, APART_MS * (0.5 + Math.random())));
    moments.set(name, { visible: performance.now(), workload });
    world.source.spoil(workload);
    await bareWrite();
  }
  await world.deployments.until("all returns are verified", () =>
    each(
      world,
      DEPLOYMENTS,
      (one) => one.status?.rollback?.from?.version === versionName(version) && one.status.rollback.outcome === "Verified",
    ),
  );
  for (const off of offs) off();
  return [...moments.values()];
}

/**
 * The measure that others are compared with: the status of a real deployment, copied to where the operator does not look, is
 * written again with another message, and the time taken until the watch shows it.
 */
async function bareWriter(world: World): Promise<{ took: number[]; write(): Promise<void> }> {
  const took: number[] = [];
  const made = await world.client.create<KubeObject>(deployment("bare", 1, BARE));
  let newest = { ...made, status: world.deployments.get(GUARDED, nameOf(0))?.status } as Deployed;
  let count = 0;
  return {
    took,
    async write() {
      const message = `bare write ${++count}`;
      const begun = performance.now();
      const seen = world.deployments.until(
        message,
        () => world.deployments.get(BARE, "bare")?.status?.message === message,
        10_000,
      );
      newest = (await world.client.replaceStatus({ ...newest, status: { ...newest.status, message } } as KubeObject)) as Deployed;
      took.push((await seen) - begun);
    },
  };
}
