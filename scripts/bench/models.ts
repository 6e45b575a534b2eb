// What the bench applies: one policy, one source, versions, and as many deployments as a part asks for.

import { createHash } from "node:crypto";
import { API_VERSION, LABELS } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import { BENCH_QUERY } from "./source.ts";
import { type Deployed, GUARDED, type World } from "./world.ts";

/** The shortest that the API allows: the operator asks as often as it ever will. */
export const INTERVAL_MS = 1000;
export const COUNT = 2;
/** Writes of the bench at once. */
export const CONCURRENCY = 8;

export const nameOf = (index: number): string => `m${String(index).padStart(3, "0")}`;

type Body = KubeObject & { spec: object };

function ours(kind: string, name: string, spec: object, namespace?: string): Body {
  return { apiVersion: API_VERSION, kind, metadata: { name, ...(namespace ? { namespace } : {}) }, spec };
}

export async function apply(world: World, object: KubeObject): Promise<void> {
  await world.client.apply(object, { fieldManager: "bench", force: true });
}

/** @param bake how long a revision bakes; a long one keeps it from being proven */
export async function applyPolicy(world: World, bake: string, namespace = GUARDED): Promise<void> {
  const check = {
    name: "bad",
    source: "bench",
    query: BENCH_QUERY,
    window: "1s",
    interval: "1s",
    threshold: { max: 0.5 },
    breach: { count: COUNT, of: 3 },
  };
  const spec = {
    warmup: "0s",
    bake,
    builtInInterval: "1s",
    checks: [check],
    available: { unready: "50%", for: "3s" },
    rollback: { verify: "1s", cooldown: "0s", budget: { limit: 50, per: "1m" } },
  };
  await apply(world, ours("RollbackPolicy", "bench", spec, namespace));
}

export async function applySource(world: World): Promise<void> {
  const spec = { type: "Prometheus", address: world.source.url, namespaces: ["*"], freeQueries: true };
  await apply(world, ours("MetricSource", "bench", spec));
}

/** Version `number`, whose weights nobody loads: the pods are not real. */
export async function applyVersion(world: World, number: number): Promise<void> {
  const digest = `sha256:${createHash("sha256").update(`weights ${number}`).digest("hex")}`;
  const spec = {
    model: "bench",
    version: `${number}.0.0`,
    artifact: { uri: `https://weights.example/${number}`, digest, load: "None" },
  };
  await apply(world, ours("ModelVersion", versionName(number), spec, GUARDED));
}

export const versionName = (number: number): string => `bench-${number}.0.0`;

export function deployment(name: string, version: number, namespace = GUARDED): Body {
  const spec = {
    model: "bench",
    version: versionName(version),
    replicas: 1,
    policy: { name: "bench" },
    strategy: { drain: "1s", progressDeadline: "60s" },
    template: {
      spec: { containers: [{ name: "server", image: "bench:1", ports: [{ name: "http", containerPort: 8080 }] }] },
    },
  };
  return ours("ModelDeployment", name, spec, namespace);
}

/** Pins `count` deployments to a version, creating those that are missing. */
export async function pinAll(world: World, count: number, version: number): Promise<void> {
  await inParallel(count, CONCURRENCY, (index) => apply(world, deployment(nameOf(index), version)));
}

/** Calls `work` for 0 … count - 1, `width` at a time; rejects with the first failure. */
export async function inParallel(
  count: number,
  width: number,
  work: (index: number, lane: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (number: number) => {
    while (next < count) await work(next++, number);
  };
  await Promise.all(Array.from({ length: width }, (_, number) => lane(number)));
}

/** The revision that a Service selects. */
export function selectedBy(service: { spec: { selector?: Record<string, string> } } | undefined): number | undefined {
  const revision = service?.spec.selector?.[LABELS.revision];
  return revision === undefined ? undefined : Number(revision);
}

/** True where each of `count` deployments holds what is asked. */
export function each(world: World, count: number, holds: (one: Deployed) => boolean): boolean {
  const all = world.deployments.list(GUARDED);
  return all.length === count && all.every(holds);
}

/** Version 1 for `count` deployments, until each has proven it. */
export async function provenWorld(world: World, count: number): Promise<void> {
  await applySource(world);
  await applyPolicy(world, "3s");
  await applyVersion(world, 1);
  await pinAll(world, count, 1);
  await untilProven(world, count);
}

export async function untilProven(world: World, count: number): Promise<void> {
  await world.deployments.until("all deployments have proven version 1", () =>
    each(world, count, (one) => one.status?.phase === "Guarding"),
  );
}
