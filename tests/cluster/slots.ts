// What one cluster may call its own: everything it names or numbers follows from the number of its slot, so that clusters
// run side by side. A slot is held by a lock file that names its owner; what a dead owner left is cleared away.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How many clusters one machine can have at a time. */
export const SLOTS = 16;

export interface Slot {
  number: number;
  /** Of its folder and its control groups. */
  name: string;
  /** Everything that it writes is in here. */
  folder: string;
  lock: string;
  /** The machine's end of the cable into the cluster's network, and both ends' addresses. */
  cable: string;
  outside: string;
  inside: string;
  pods: string;
  services: string;
  /** The node's address, and the gateway of its pods. */
  node: string;
  /** The ClusterIP of the API server. */
  kubernetes: string;
  /** The API server as the machine and the pods reach it. */
  url: string;
}

/** The names of slot `number` under the folder `base`. */
export function slotOf(number: number, base: string): Slot {
  const name = `rollguard-cluster-${number}`;
  const node = `10.244.${number}.1`;
  return {
    number,
    name,
    folder: join(base, name),
    lock: join(base, `${name}.lock`),
    cable: `rollguard${number}`,
    outside: `10.245.${number}.1`,
    inside: `10.245.${number}.2`,
    pods: `10.244.${number}.0/24`,
    services: `10.96.${number}.0/24`,
    node,
    kubernetes: `10.96.${number}.1`,
    url: `https://${node}:6443`,
  };
}

/** Who holds a slot. A process id alone may be another process by now; with its start time it is not. */
export interface Owner {
  pid: number;
  started: string;
}

/** When a process was started, in the kernel's ticks since boot; undefined where there is no such process (any more). */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name, in brackets, may contain anything; what follows it is the state (field 3), and the start is field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function ownerOf(slot: Slot): Owner | undefined {
  try {
    return JSON.parse(readFileSync(slot.lock, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

export function isAlive({ pid, started }: Owner): boolean {
  return startOf(pid) === started;
}

/** Takes the slot for this process. False: another holds it. `clear` removes what a dead owner left, before it is taken. */
export function claim(slot: Slot, clear: (slot: Slot) => void): boolean {
  const mine: Owner = { pid: process.pid, started: startOf(process.pid) ?? "" };
  const draft = `${slot.lock}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(mine));
  try {
    const before = ownerOf(slot);
    if (before && !isAlive(before)) {
      // Only one can rename it; whoever is late renames the new owner's lock, sees it, and puts it back.
      renameSync(slot.lock, `${draft}.dead`);
      const taken = JSON.parse(readFileSync(`${draft}.dead`, "utf8")) as Owner;
      if (isAlive(taken)) linkSync(`${draft}.dead`, slot.lock);
    }
    // A link appears with its content, or not at all.
    linkSync(draft, slot.lock);
  } catch {
    return false;
  } finally {
    for (const file of [draft, `${draft}.dead`]) rmSync(file, { force: true });
  }
  clear(slot);
  mkdirSync(slot.folder, { recursive: true, mode: 0o700 });
  return true;
}

/** The first free slot, or the one that is asked for. */
export function claimAny(base: string, wanted: number | undefined, clear: (slot: Slot) => void): Slot {
  const numbers = wanted === undefined ? Array.from({ length: SLOTS }, (_, number) => number) : [wanted];
  for (const number of numbers) {
    const slot = slotOf(number, base);
    if (claim(slot, clear)) return slot;
  }
  if (wanted === undefined)
    throw new Error(`all ${SLOTS} slots are taken: end a cluster with \`node tests/cluster/kit.ts down\``);
  throw new Error(`slot ${wanted} is taken: \`node tests/cluster/kit.ts down --slot ${wanted}\` ends the cluster in it`);
}

export function release(slot: Slot): void {
  rmSync(slot.lock, { force: true });
}
