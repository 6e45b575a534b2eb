// Plays a story again and again, each time with the operator killed at another of its writes and a successor in its place.

import type { Faults } from "../../src/sandbox/apiserver/index.ts";
import { nameOf, Simulation } from "./simulated.ts";

export const WAYS = ["before it is committed", "after it is committed", "and it is committed after the successor began"] as const;
type Way = (typeof WAYS)[number];

/** Set, every write is tried in every way; otherwise each in one of the ways, in turn, which takes a third of the time. */
const EVERY_WAY = process.env.ROLLGUARD_TEST_EVERY_CRASH !== undefined;

/** A story, and what came of it. */
export type Play = (simulation: Simulation) => Promise<object>;

function fate(way: Way): Faults | undefined {
  switch (way) {
    case "before it is committed":
      return { before: { do: "hang" } };
    case "after it is committed":
      return undefined;
    default:
      // The lease is good for ten seconds; then the successor acts, and only then does this one arrive.
      return { before: { do: "delay", ms: 11_500 } };
  }
}

/** The story with the operator killed at the write of this place. */
export async function killedAt(play: Play, index: number, way: Way): Promise<{ end: object; killed: string }> {
  const simulation = new Simulation();
  simulation.operator();
  let killed = "";
  simulation.onWrite = (write, place) => {
    if (killed !== "" || place !== index) return undefined;
    killed = nameOf(write);
    write.by.kill();
    simulation.operator();
    return fate(way);
  };
  try {
    return { end: await play(simulation), killed };
  } catch (error) {
    return { end: { error: String(error) }, killed };
  } finally {
    await simulation.close();
  }
}

/**
 * What came out otherwise than `expected`, in words, of the story killed at each of some writes.
 * @param whole played without a kill: the n-th write of one run is the n-th of the next
 * @param places of the writes among those of `whole`
 * @param ways all of them for each write; absent: see EVERY_WAY
 */
export async function differences(
  play: Play,
  whole: Simulation,
  expected: object,
  places: readonly number[],
  ways?: readonly Way[],
): Promise<string[]> {
  const names = whole.writes.map(nameOf);
  const text = JSON.stringify(expected);
  const different: string[] = [];
  for (const [turn, index] of places.entries()) {
    const name = names[index];
    for (const way of ways ?? (EVERY_WAY ? WAYS : [WAYS[turn % WAYS.length] as Way])) {
      const { end, killed } = await killedAt(play, index, way);
      // A run that never came to this write proves nothing.
      if (killed !== name) different.push(`write ${index}: ${killed} in place of ${name}`);
      else if (JSON.stringify(end) !== text) different.push(`killed at write ${index} (${name}) ${way}: ${JSON.stringify(end)}`);
    }
  }
  return different;
}

/**
 * The places to kill at, from the first on: the last is that of the last write that is no renewal of the lease.
 * @param every so many: 3 is every third
 */
export function placesIn(whole: Simulation, from = 0, every = 1): number[] {
  const last = whole.writes.findLastIndex((write) => write.path.resource !== "leases");
  const all = Array.from({ length: last + 1 - from }, (_, place) => from + place);
  return EVERY_WAY ? all : all.filter((_, place) => place % every === 0);
}
