// Part "storm": a hundred deployments made at once until all serve, and a hundred that breach at the same moment.

import {
  applyPolicy,
  applySource,
  applyVersion,
  CONCURRENCY,
  COUNT,
  each,
  INTERVAL_MS,
  nameOf,
  pinAll,
  selectedBy,
  untilProven,
  versionName,
} from "./models.ts";
import { replay } from "./replay.ts";
import { percentile, type Row, spread } from "./report.ts";
import { BARE, GUARDED, type World, type Written } from "./world.ts";

const DEPLOYMENTS = 100;
const SERVICE_OF_SLICE = "kubernetes.io/service-name";

const seconds = (value: number): string => `${(value / 1000).toFixed(2)} s`;

export async function storm(world: World): Promise<Row[]> {
  await applySource(world);
  await applyPolicy(world, "3s");
  const created = await creation(world);
  const between = world.record();
  await untilProven(world, DEPLOYMENTS);
  await applyPolicy(world, "10m");
  const moments = await breaches(world, between);
  await applyPolicy(world, "3s", BARE);
  const bare = await replay(world, created.writes, CONCURRENCY);
  await replay(world, moments.before, CONCURRENCY);
  const bareReturns = await replay(world, moments.writes, CONCURRENCY);
  return [
    {
      what: `${DEPLOYMENTS} deployments created → all serving`,
      goal: "≤ 1.25 × the bare writes",
      measured: `${seconds(created.took)}, ${(created.writes.length / DEPLOYMENTS).toFixed(1)} writes each`,
      ratio: `${(created.took / bare).toFixed(2)} × the same writes alone (${seconds(bare)})`,
      met: created.took <= 1.25 * bare,
    },
    ...rowsOf(world, moments, bareReturns),
  ];
}

/** What belongs to the whole cluster, such as the status of the source, can't be written again beside itself. */
const ofGuarded = (writes: readonly Written[]): Written[] => writes.filter(({ url }) => url.includes(`/namespaces/${GUARDED}/`));

/** Creates them all at once, until the Service of each has a ready pod. */
async function creation(world: World): Promise<{ took: number; writes: Written[] }> {
  const recording = world.record();
  const begun = performance.now();
  const serving = world.slices.until("all deployments serve", () => {
    const ready = world.slices
      .list(GUARDED)
      .filter((slice) => (slice.endpoints ?? []).some((endpoint) => endpoint.conditions?.ready !== false))
      .map((slice) => slice.metadata.labels?.[SERVICE_OF_SLICE]);
    return new Set(ready.filter((name) => name?.match(/^m\d+$/))).size === DEPLOYMENTS;
  });
  await applyVersion(world, 1);
  await pinAll(world, DEPLOYMENTS, 1);
  const took = (await serving) - begun;
  return { took, writes: ofGuarded(recording.stop()) };
}

/** Times by performance.now(), ms. */
interface Moments {
  /** From bad to the last selector that was moved. */
  took: number;
  committed: ReadonlyMap<string, number>;
  moved: ReadonlyMap<string, number>;
  /** What was written until they turned bad, since they were created. */
  before: Written[];
  /** What was written while the traffic moved. */
  writes: Written[];
}

/** Pins all to a version that turns bad at one moment, until all traffic is back. */
async function breaches(world: World, between: ReturnType<World["record"]>): Promise<Moments> {
  await applyVersion(world, 2);
  await pinAll(world, DEPLOYMENTS, 2);
  await world.deployments.until("all deployments bake version 2", () =>
    each(world, DEPLOYMENTS, (one) => one.status?.phase === "Baking" && one.status.active?.version === versionName(2)),
  );
  const committed = new Map<string, number>();
  const moved = new Map<string, number>();
  const offs = [
    world.deployments.on((object, at) => {
      const { name, namespace } = object.metadata;
      if (namespace === GUARDED && object.status?.rollback && !committed.has(name)) committed.set(name, at);
    }),
    world.services.on((service, at) => {
      const { name } = service.metadata;
      if (/^m\d+$/.test(name) && selectedBy(service) === 1 && !moved.has(name)) moved.set(name, at);
    }),
  ];
  const before = ofGuarded(between.stop());
  const recording = world.record();
  const visible = performance.now();
  for (let index = 0; index < DEPLOYMENTS; index++) world.source.spoil(`${nameOf(index)}-r2`);
  const last = await world.services.until("all traffic is back on version 1", () => moved.size === DEPLOYMENTS);
  for (const off of offs) off();
  return { took: last - visible, committed, moved, before, writes: ofGuarded(recording.stop()) };
}

/** @param bare how long the writes took alone, ms */
function rowsOf(world: World, { took, committed, moved, writes }: Moments, bare: number): Row[] {
  const names = [...moved.keys()];
  const sinceAnswer = names.map(
    (name) => (committed.get(name) ?? Number.NaN) - (world.source.badAnswers(`${name}-r2`)[COUNT - 1] ?? Number.NaN),
  );
  const sinceDecision = names.map((name) => (moved.get(name) ?? Number.NaN) - (committed.get(name) ?? Number.NaN));
  const beyond = took - INTERVAL_MS * COUNT;
  return [
    {
      what: `${DEPLOYMENTS} breach at once → all traffic moved, beyond interval × count`,
      goal: "≤ 1 s (1,000 in 10 s)",
      measured: `${seconds(Math.max(beyond, 0))} (${seconds(took)} after the breach was visible), ${writes.length} writes`,
      ratio: `${(Math.max(beyond, 0) / bare).toFixed(2)} × the same writes alone (${seconds(bare)})`,
      met: beyond <= 1000,
    },
    { what: "  of these: completing answer → return committed", measured: spread(sinceAnswer) },
    {
      what: "  of these: decision seen → traffic selector written",
      measured: spread(sinceDecision),
      ratio: `slowest ${Math.round(percentile(sinceDecision, 1))} ms`,
    },
  ];
}
