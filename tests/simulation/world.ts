// One simulated run: the real operator in one or more processes, the API server and its controllers, a kubelet, a source of metrics,
// people, and whatever goes wrong. All of it under one clock and one seed.

import { readdirSync, readFileSync } from "node:fs";
import { loadAll } from "js-yaml";
import type { ResourceId, StoredObject } from "../../src/sandbox/api.ts";
import type { ResourcePath } from "../../src/sandbox/apiserver/http.ts";
import { ApiServer, type Change } from "../../src/sandbox/apiserver/index.ts";
import { startControllers } from "../../src/sandbox/controllers/index.ts";
import { PODS, type Pod } from "../../src/sandbox/controllers/kinds.ts";
import { createNode } from "../../src/sandbox/node/node.ts";
import { Random } from "../support/random.ts";
import { START, WorldClock } from "./clock.ts";
import { FAULTS, type FaultKind } from "./faults.ts";
import { Kubelet } from "./kubelet.ts";
import { type Caller, type Latency, Network, type Request } from "./network.ts";
import type { DeploymentPlan, Plan } from "./plan.ts";
import { type Process, Replica } from "./replica.ts";
import { Source } from "./source.ts";
import { type Commit, KEPT, State, storageOf } from "./state.ts";
import { Truth } from "./truth.ts";

const CRDS = readdirSync("crds")
  .filter((file) => file.endsWith(".yaml"))
  .sort()
  .flatMap((file) => loadAll(readFileSync(`crds/${file}`, "utf8")));

const LATENCIES: Record<Plan["latency"], Latency> = {
  Even: { request: [1, 1], watch: [1, 1] },
  Small: { request: [1, 4], watch: [1, 10] },
  Uneven: { request: [1, 40], watch: [0, 400] },
};

const ID: Record<string, ResourceId> = {
  [KEPT.services]: { group: "", version: "v1", resource: "services" },
  [KEPT.children]: { group: "apps", version: "v1", resource: "deployments" },
  [KEPT.revisions]: { group: "apps", version: "v1", resource: "controllerrevisions" },
  [KEPT.leases]: { group: "coordination.k8s.io", version: "v1", resource: "leases" },
  [KEPT.deployments]: { group: "rollguard.dev", version: "v1alpha1", resource: "modeldeployments" },
  [KEPT.versions]: { group: "rollguard.dev", version: "v1alpha1", resource: "modelversions" },
  [KEPT.policies]: { group: "rollguard.dev", version: "v1alpha1", resource: "rollbackpolicies" },
};

/** Who looks on. Nobody of them changes anything. */
export interface Witness {
  /** First of all. */
  watch?(world: { state: State; truth: Truth }): void;
  committed?(commit: Commit): void;
  /** The source answered with a usable value of this time, ms. */
  sampled?(deployment: string, revision: number, at: number): void;
  sent?(request: Request, at: number): void;
  answered?(request: Request, status: number, at: number): void;
  logged?(at: number, process: string, level: "info" | "warn" | "error", fields: object, message: string): void;
  process?(at: number, name: string, what: string): void;
  fault?(at: number, kind: FaultKind, deployment: string | undefined): void;
  person?(at: number, deployment: string, what: string): void;
}

export class World {
  readonly plan: Plan;
  readonly clock = new WorldClock();
  readonly state = new State();
  readonly server: ApiServer;
  readonly network: Network;
  readonly source: Source;
  readonly kubelet: Kubelet;
  readonly truth: Truth;
  readonly #witnesses: Witness[];
  readonly #replicas: Replica[] = [];
  readonly #controllers: { stop(): void };
  readonly #random: Random;
  #author = "cluster";
  #processes = 0;
  #uids = 0;

  constructor(plan: Plan, witnesses: Witness[]) {
    this.plan = plan;
    this.#witnesses = witnesses;
    this.truth = new Truth(plan, this.state);
    for (const witness of witnesses) witness.watch?.(this);
    // Each part draws from a stream of its own.
    const stream = (salt: number) => new Random((plan.seed ^ (salt * 0x9e3779b9)) | 0);
    this.#random = stream(1);
    const { clock } = this;
    const names = stream(2);
    this.kubelet = new Kubelet({
      clock,
      random: stream(3),
      fateOf: (pod) => this.truth.fateOfPod(pod),
      get server() {
        return server;
      },
    });
    const server = new ApiServer({
      clock,
      newUid: () => `00000000-0000-4000-8000-${String(++this.#uids).padStart(12, "0")}`,
      random: () => names.next(),
      onChange: (change) => this.#committed(change),
    });
    this.server = server;
    for (const crd of CRDS) server.installCrd(crd);
    createNode(server, clock);
    this.#controllers = startControllers(server, clock);
    this.network = new Network({
      clock,
      server,
      random: stream(4),
      latency: LATENCIES[plan.latency],
      as: (author, commit) => this.as(author, commit),
      listAt: (path, query, at) => this.#listAt(path, query, at),
      onSent: (request) => this.#tell((one) => one.sent?.(request, clock.monotonic())),
      onAnswered: (request, status) => this.#tell((one) => one.answered?.(request, status, clock.monotonic())),
    });
    this.source = new Source({
      clock,
      measures: (deployment, revision, at) => this.truth.measures(deployment, revision, at),
      onSample: (deployment, revision, at) => this.#tell((one) => one.sampled?.(deployment, revision, at - START)),
      probe: (ip) => {
        const pod = this.kubelet.byAddress(ip);
        return pod && { status: this.truth.fateOfPod(pod) === "Wrong" ? 500 : 200 };
      },
    });
  }

  /** Starts the operators of the plan. */
  start(): void {
    for (let i = 0; i < this.plan.operators; i++) this.#replica(i);
  }

  #replica(place: number): Replica {
    const { clock, network, source } = this;
    // Two machines rarely agree on the time; here not by far.
    const offsetMs = place === 0 ? 0 : this.#random.pick([0, 0, -3_600_000, 3_600_000, 40_000]);
    const replica = new Replica({
      clock,
      network,
      source,
      random: this.#random,
      offsetMs,
      nextName: () => `operator-${++this.#processes}`,
      onLog: (process, level, fields, message) =>
        this.#tell((one) => one.logged?.(clock.monotonic(), process, level, fields, message)),
      onStart: ({ name }) => this.#tell((one) => one.process?.(clock.monotonic(), name, "starts")),
      onEnd: ({ name }, how) => this.#tell((one) => one.process?.(clock.monotonic(), name, how)),
    });
    this.#replicas.push(replica);
    return replica;
  }

  /** One more operator, for a while. */
  startGuest(ms: number): void {
    const guest = this.#replica(this.#replicas.length);
    this.clock.after(ms, () => guest.close("Stop"));
  }

  running(): Process[] {
    return this.#replicas.flatMap(({ process }) => (process ? [process] : []));
  }

  stop(caller: Caller): void {
    this.running()
      .find((one) => one === caller)
      ?.stop();
  }

  stepWall(caller: Caller, ms: number): void {
    caller.clock.stepWall(ms);
  }

  /** Nothing goes wrong any more, and who was stopped is woken. */
  calm(): void {
    this.network.calm();
    this.source.calm();
    for (const process of this.running()) process.wake();
  }

  /** Ends everything. */
  close(): void {
    for (const replica of this.#replicas) replica.close("Kill");
    this.#controllers.stop();
    this.server.close();
  }

  /** Runs `commit` with an author for what is committed meanwhile. */
  as<T>(author: string, commit: () => T): T {
    const before = this.#author;
    this.#author = author;
    try {
      return commit();
    } finally {
      this.#author = before;
    }
  }

  planOf(deployment: string): DeploymentPlan | undefined {
    return this.plan.deployments.find(({ name }) => name === deployment);
  }

  begin(index: number): void {
    const fault = this.plan.faults[index];
    if (fault) FAULTS[fault.kind].begin(this, fault);
  }

  hit(kind: FaultKind, deployment?: string): void {
    this.#tell((one) => one.fault?.(this.clock.monotonic(), kind, deployment));
  }

  person(deployment: string, what: string): void {
    this.#tell((one) => one.person?.(this.clock.monotonic(), deployment, what));
  }

  /** Somebody who is neither the operator nor the user of a deployment writes or deletes an object. */
  foreign(storage: string, name: string, object: object | "Delete"): void {
    const id = ID[storage];
    if (!id) throw new Error(`nobody writes ${storage}`);
    this.as("foreign", () => {
      if (object === "Delete") this.server.delete(id, "default", name);
      else this.server.update(id, object as StoredObject);
    });
  }

  /** A label of another controller's on the object that a request is about. */
  touch(path: ResourcePath): void {
    const storage = storageOf(path);
    const live = this.state.get<StoredObject>(storage, path.name);
    if (!live || !ID[storage]) return;
    const labels = { ...live.metadata.labels, "team.example/touched": String(this.clock.monotonic()) };
    this.foreign(storage, path.name, { ...live, metadata: { ...live.metadata, labels } });
  }

  deletePod(name: string): void {
    this.as("foreign", () => {
      if (this.server.get(PODS, "default", name)) this.server.delete(PODS, "default", name);
    });
  }

  #committed(change: Change): void {
    const commit: Commit = { ...change, at: this.clock.monotonic(), by: this.#author };
    this.state.apply(commit);
    this.truth.committed(commit);
    if (change.storage === KEPT.pods) this.kubelet.seen(commit);
    this.#tell((one) => one.committed?.(commit));
  }

  #tell(what: (witness: Witness) => void): void {
    for (const witness of this.#witnesses) what(witness);
  }

  #listAt(path: ResourcePath, query: URLSearchParams, at: number): string {
    const { objects, resourceVersion } = this.state.at(storageOf(path), Math.max(at, 0));
    const label = query.get("labelSelector");
    const items = label === null ? objects : objects.filter(({ metadata }) => metadata.labels?.[label] !== undefined);
    const apiVersion = path.group === "" ? path.version : `${path.group}/${path.version}`;
    return JSON.stringify({ kind: "List", apiVersion, metadata: { resourceVersion }, items });
  }
}

export type { Pod };
