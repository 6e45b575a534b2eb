// Part "rest": what the operator asks of the API server while everything is healthy and nothing changes.

import { megabytes } from "./memory.ts";
import { provenWorld } from "./models.ts";
import type { Row } from "./report.ts";
import type { OperatorRequest, World } from "./world.ts";

const DEPLOYMENTS = 50;
const COUNTED_MS = 30_000;
/** At rest once the operator wrote nothing for so long. */
const QUIET_MS = 3000;
const QUIET_LIMIT_MS = 30_000;

const isLease = (request: OperatorRequest): boolean => request.resource.startsWith("leases");
const isWrite = (request: OperatorRequest): boolean => request.method !== "GET" && !isLease(request);

export async function rest(world: World): Promise<Row[]> {
  await provenWorld(world, DEPLOYMENTS);
  await quiet(world);
  const before = world.requests.length;
  const asked = world.source.asked();
  await pause(COUNTED_MS);
  const seen = world.requests.slice(before);
  const queries = world.source.asked() - asked;
  const minutes = COUNTED_MS / 60_000;
  const lease = seen.filter(isLease).length;
  const other = seen.filter((request) => !isLease(request));
  const writes = seen.filter(isWrite).length;
  const rate = other.length / DEPLOYMENTS / minutes;
  const perDay = (writes / DEPLOYMENTS / minutes) * 24 * 60;
  return [
    {
      what: "API requests a healthy deployment and minute",
      goal: "≤ 0.05",
      measured: `${rate.toFixed(3)} (${other.length} in ${DEPLOYMENTS * minutes} deployment-minutes)`,
      met: rate <= 0.05,
    },
    {
      what: "writes a healthy deployment and day",
      goal: "≤ 4",
      measured: `${perDay.toFixed(1)} (${writes} in ${DEPLOYMENTS * minutes} deployment-minutes)`,
      met: perDay <= 4,
    },
    { what: "lease requests a minute, for the whole operator", measured: (lease / minutes).toFixed(0) },
    {
      what: `metric queries a minute, ${DEPLOYMENTS} at 1 s`,
      measured: `${Math.round(queries / minutes)} of ${DEPLOYMENTS * 60} due`,
    },
    { what: `resident memory, ${DEPLOYMENTS} guarded`, measured: megabytes(await world.operator.residentBytes()) },
  ];
}

/** Proof is followed by its record, its events and the end of the drain. */
async function quiet(world: World): Promise<void> {
  const end = performance.now() + QUIET_LIMIT_MS;
  for (;;) {
    const before = world.requests.filter(isWrite).length;
    await pause(QUIET_MS);
    if (world.requests.filter(isWrite).length === before) return;
    if (performance.now() > end) throw new Error(`still writing ${QUIET_LIMIT_MS / 1000} s after everything was proven`);
  }
}

function pause(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration));
}
