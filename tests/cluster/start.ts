// A real Kubernetes of one node for tests and demos: `await startCluster()` gives it, `close()` ends it and leaves nothing.
import { type ChildProcess, fork } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPrograms, plannedPrograms } from "./build.ts";
import { importImage } from "./image.ts";
import { askMachine, type Machine, missing, searchPath } from "./machine.ts";
import type { ClusterFacts, ClusterOptions, PartAct, Report, Request } from "./messages.ts";
import type { PartName } from "./parts.ts";
import { isAlive, ownerOf, release, slotOf } from "./slots.ts";
import { clearSlot, ended } from "./space.ts";

export interface Cluster extends ClusterFacts {
  /** Loads an image archive (of `writeImage`, or any OCI or Docker archive). */
  loadImage(archive: string): Promise<void>;
  /** Starts a part again, ends it (SIGTERM) or kills it; for tests of what happens without it. */
  part(name: PartName, act: PartAct): Promise<void>;
  /** Ends the cluster. It also ends with this process, however that ends. */
  close(): Promise<void>;
}

export interface StartOptions extends ClusterOptions {
  /** Is told how it goes on. */
  say?: (line: string) => void;
}

/** Throws when this machine can't run a cluster; the error lists what is missing and how to get it. */
export function checkMachine(): Machine {
  const { there, go } = plannedPrograms();
  const machine = askMachine();
  const problems = missing(machine, there ? undefined : go);
  if (problems.length > 0) throw new Error(`a cluster can't be started here. What is missing:\n- ${problems.join("\n- ")}`);
  return machine;
}

/** Builds what is not built, and starts a cluster. Resolves when its node is ready for pods. */
export async function startCluster(options: StartOptions = {}): Promise<Cluster> {
  const { keeper, facts } = await launch(options);
  let serial = 0;
  return {
    ...facts,
    loadImage: (archive) => importImage(facts.init, facts.socket, archive),
    part: (name, act) => ask(keeper, { do: "part", id: ++serial, name, act }),
    close: async () => {
      if (keeper.connected) keeper.disconnect();
      await ended(keeper);
      clearAfter(facts.slot);
    },
  };
}

/** Starts a cluster that goes on when this process ends; `endCluster` ends it. */
export async function startDetached(options: StartOptions = {}): Promise<ClusterFacts> {
  const { keeper, facts } = await launch(options);
  await new Promise<void>((resolve, reject) => {
    keeper.send({ do: "detach" } satisfies Request, (error) => (error ? reject(error) : resolve()));
  });
  keeper.disconnect();
  keeper.unref();
  return facts;
}

/** Ends the cluster in a slot, also one whose keeper was killed. False: there is none. */
export async function endCluster(number: number): Promise<boolean> {
  const slot = slotOf(number, tmpdir());
  const owner = ownerOf(slot);
  if (!owner) return false;
  if (isAlive(owner)) {
    process.kill(owner.pid, "SIGTERM");
    while (isAlive(owner)) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  clearAfter(number);
  return true;
}

/** What a killed keeper could not clear away. */
function clearAfter(number: number): void {
  const slot = slotOf(number, tmpdir());
  const owner = ownerOf(slot);
  if (!owner || isAlive(owner)) return;
  clearSlot(slot);
  release(slot);
}

async function launch({ say = () => {}, ...options }: StartOptions): Promise<{ keeper: ChildProcess; facts: ClusterFacts }> {
  const machine = checkMachine();
  const { folder, version } = await buildPrograms(say);
  // Detached: a signal to this process's group must not end the keeper before it has cleared away. It holds none of this
  // process's streams, so that a pipe ends with this process.
  const keeper = fork(join(import.meta.dirname, "keeper.ts"), [], {
    detached: true,
    env: { ...process.env, PATH: searchPath() },
    execArgv: [],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  let failure: string | undefined;
  const facts = await new Promise<ClusterFacts>((resolve, reject) => {
    keeper.on("message", (report: Report) => {
      if (report.tell === "progress") say(report.text);
      else if (report.tell === "ready") resolve(report.facts);
      else if (report.tell === "failed") failure ??= report.message;
    });
    keeper.once("error", reject);
    // Not before it has cleared away.
    keeper.once("exit", (code, signal) => {
      const message = failure ?? `its keeper ended (${signal ?? code})`;
      if (failure !== undefined || code !== 0) say(`the cluster has ended: ${message}`);
      reject(new Error(`the cluster did not start: ${message}`));
    });
    keeper.send({ do: "start", options, machine, programs: folder, version } satisfies Request);
  });
  return { keeper, facts };
}

function ask(keeper: ChildProcess, request: Extract<Request, { do: "part" }>): Promise<void> {
  return new Promise((resolve, reject) => {
    const hear = (report: Report) => {
      if (report.tell !== "done" || report.id !== request.id) return;
      keeper.off("message", hear);
      if (report.error === undefined) resolve();
      else reject(new Error(report.error));
    };
    keeper.on("message", hear);
    keeper.send(request);
  });
}
