// What the simulated operator is told to do, and how a test sees what came of it.

import { afterEach, beforeEach, vi } from "vitest";
import type { ResourceId, StoredObject } from "../../src/sandbox/api.ts";
import { IDS, isRenewal, nameOf, Simulation } from "./simulated.ts";

let open: Simulation[] = [];

/** For a file of tests: what is random (back-off, jitter) repeats, so that the n-th write of one run is the n-th of the next. */
export function repeatable(): void {
  beforeEach(() => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
  });
  afterEach(async () => {
    await closeAll();
    vi.restoreAllMocks();
  });
}

/** What the simulated Prometheus is asked by. */
export const SOURCE = {
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "MetricSource",
  metadata: { name: "prometheus" },
  spec: { type: "Prometheus", address: "http://metrics.example", namespaces: ["*"], freeQueries: true },
};

/** A simulation that `closeAll` ends. */
export function begin(operators = 1): Simulation {
  const simulation = new Simulation();
  open.push(simulation);
  for (let i = 0; i < operators; i++) simulation.operator();
  return simulation;
}

export async function closeAll(): Promise<void> {
  const ended = open;
  open = [];
  for (const simulation of ended) await simulation.close();
}

/** v1 is proven, and nothing is under way. */
export async function guarding(spec: object = {}, simulation = begin()): Promise<Simulation> {
  await prepare(simulation);
  await simulation.apply(pinned("v1", spec));
  await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
  await atRest(simulation);
  return simulation;
}

/** v1 and v2 are proven, v2 serves, and v1 is the warm target: there is something to lose. */
export async function guardingTwo(simulation = begin(), spec: object = {}): Promise<Simulation> {
  simulation.errorShare = () => 0.01;
  await guarding(spec, simulation);
  await simulation.apply(pinned("v2", spec));
  await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2" && status.phase === "Guarding");
  await atRest(simulation);
  return simulation;
}

/** As another controller might: a label of its own. */
export function touch(simulation: Simulation, id: ResourceId, live: StoredObject, value: string): void {
  simulation.server.update(id, {
    ...live,
    metadata: { ...live.metadata, labels: { ...live.metadata.labels, "team.example/touched": value } },
  });
}

/** Counts and keeps the writes of operators from here on, but for the lease's renewals. */
export function writesFrom(simulation: Simulation): () => string[] {
  const from = simulation.writes.length;
  return () =>
    simulation.writes
      .slice(from)
      .filter((write) => !isRenewal(write))
      .map(nameOf);
}

/** A version of the toy model. */
export const version = (name: string, namespace = "default"): object => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ModelVersion",
  metadata: { name, namespace },
  spec: {
    model: "toy",
    version: name,
    artifact: { uri: `https://models.example/${name}`, digest: `sha256:${name.slice(1).padStart(64, "0")}`, load: "None" },
    serving: { env: [{ name: "SETTING", value: name }] },
  },
});

/** The deployment as it stands in Git, pinned to a version. */
export const pinned = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ModelDeployment",
  metadata: { name: "toy", namespace: "default", ...metadata },
  spec: {
    model: "toy",
    version: name,
    replicas: 2,
    policy: { name: "toy" },
    strategy: { drain: "1s", progressDeadline: "120s" },
    template: {
      spec: { containers: [{ name: "server", image: "toy:1", ports: [{ name: "http", containerPort: 8080 }] }] },
    },
    ...spec,
  },
});

/** Source, policy and two versions; nothing is pinned yet. */
export async function prepare(simulation: Simulation): Promise<void> {
  await simulation.apply(SOURCE);
  await simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RollbackPolicy",
    metadata: { name: "toy", namespace: "default" },
    spec: {
      warmup: "1s",
      bake: "4s",
      builtInInterval: "1s",
      available: { unready: "50%", for: "3s" },
      checks: [
        {
          name: "errors",
          source: "prometheus",
          query: 'error_share{revision="${revision}"}',
          window: "1s",
          interval: "1s",
          threshold: { max: 0.1 },
          breach: { count: 2, of: 3 },
        },
      ],
      rollback: { cooldown: "5s", verify: "2s", deadline: "120s" },
    },
  });
  await simulation.apply(version("v1"));
  await simulation.apply(version("v2"));
}

/** Where everything stands, without times and without the numbers of objects. */
export function endOf(simulation: Simulation): object {
  const { server } = simulation;
  const status = simulation.deployment()?.status;
  const short = (ref: { version: string; revision: number } | undefined) => ref && `r${ref.revision} ${ref.version}`;
  const entry = (one: NonNullable<NonNullable<typeof status>["history"]>[number]) =>
    [one.sequence, one.action, short(one.from), "to", short(one.to), one.outcome, one.trigger].join(" ");
  const records = server.list(IDS.records, "default") as unknown as { metadata: { name: string }; spec: never }[];
  const services = server.list(IDS.services, "default") as unknown as {
    metadata: { name: string };
    spec: { selector: object };
  }[];
  const children = server.list(IDS.children, "default") as unknown as {
    metadata: { name: string };
    spec: { replicas: number };
  }[];
  const sorted = (lines: string[]) => lines.sort();
  return {
    phase: status?.phase,
    traffic: simulation.traffic,
    sequence: status?.sequence,
    decision: status?.decision,
    active: short(status?.active),
    candidate: short(status?.candidate),
    standby: short(status?.standby),
    lastHealthy: short(status?.lastHealthy),
    quarantine: status?.quarantine?.map((one) => `${short(one)} ${one.reason}`),
    history: status?.history?.map(entry),
    returns: status?.returns?.length,
    records: sorted(records.map((one) => `${one.metadata.name}: ${entry(one.spec)}`)),
    services: sorted(services.map((one) => `${one.metadata.name} ${JSON.stringify(one.spec.selector)}`)),
    children: sorted(children.map((one) => `${one.metadata.name} ${one.spec.replicas}`)),
    revisions: sorted(server.list(IDS.revisions, "default").map((one) => one.metadata.name)),
  };
}

/** What was told, an Event a line: its reason, and what it is about. */
export function toldBy(simulation: Simulation): string[] {
  const events = simulation.server.list(IDS.events, "default") as unknown as { reason: string; note: string }[];
  return events.map(({ reason, note }) => `${reason}: ${note.split(":")[0]}`).sort();
}

/** The main job: v1 is proven, v2 is pinned, gets the traffic, breaches, and v1 has it back, verified and recorded. */
export async function mainJob(simulation: Simulation): Promise<object> {
  await prepare(simulation);
  await simulation.apply(pinned("v1"));
  await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v1" && status.phase === "Guarding");
  await simulation.apply(pinned("v2"));
  await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
  await atRest(simulation);
  return endOf(simulation);
}

/** Lets what is still to come come: drains, records, proofs, a killed operator's successor. */
export async function atRest(simulation: Simulation): Promise<void> {
  await simulation.clock.advance(20_000);
}
