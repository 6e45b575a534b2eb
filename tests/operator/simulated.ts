// The real operator on the real API server and its controllers, all in one process, without sockets and in simulated time:
// minutes pass in milliseconds, and a test may cut the operator off at any request. Only kubelet and metrics are played.

import { readdirSync, readFileSync } from "node:fs";
import { loadAll } from "js-yaml";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { Clock, Timer } from "../../src/clock.ts";
import { sleep } from "../../src/clock.ts";
import type { OperatorOptions } from "../../src/config.ts";
import { type OperatorDeps, runOperator } from "../../src/controllers/operator.ts";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import { silentLogger } from "../../src/log.ts";
import type { ResourceId, StoredObject } from "../../src/sandbox/api.ts";
import { MemoryDispatcher } from "../../src/sandbox/apiserver/dispatcher.ts";
import type { ApiRequest, ResourcePath } from "../../src/sandbox/apiserver/http.ts";
import { type ApiResponse, ApiServer, type Faults } from "../../src/sandbox/apiserver/index.ts";
import { startControllers } from "../../src/sandbox/controllers/index.ts";
import { PODS, type Pod, timestamp, withCondition } from "../../src/sandbox/controllers/kinds.ts";
import { createNode } from "../../src/sandbox/node/node.ts";
import { Health } from "../../src/server/health.ts";
import { createMetrics } from "../../src/telemetry.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { answerQueries } from "../support/queries.ts";

const CRDS = readdirSync("crds")
  .filter((file) => file.endsWith(".yaml"))
  .sort()
  .flatMap((file) => loadAll(readFileSync(`crds/${file}`, "utf8")));

/** How long the played kubelet takes to get a pod ready, and to end one, ms. */
const READY_MS = 300;
const GONE_MS = 200;

export const IDS = {
  deployments: { group: "rollguard.dev", version: "v1alpha1", resource: "modeldeployments" },
  records: { group: "rollguard.dev", version: "v1alpha1", resource: "rolloutrecords" },
  services: { group: "", version: "v1", resource: "services" },
  children: { group: "apps", version: "v1", resource: "deployments" },
  revisions: { group: "apps", version: "v1", resource: "controllerrevisions" },
  routes: { group: "gateway.networking.k8s.io", version: "v1", resource: "httproutes" },
  events: { group: "events.k8s.io", version: "v1", resource: "events" },
} satisfies Record<string, ResourceId>;

/** A request of an operator that is to change something. */
export interface Write {
  method: string;
  path: ResourcePath;
  body: string;
  by: SimulatedOperator;
}

/** What a write is about, in a word: for the names of tests and for picking some. */
export const nameOf = ({ method, path }: Write): string =>
  [method, path.resource, path.name, path.subresource].filter((part) => part !== "").join(" ");

export const isRenewal = (write: Write): boolean => write.path.resource === "leases";

export type SimulatedOptions = Partial<Pick<OperatorOptions, "namespaces" | "fetchImage" | "trustPinnedBy">> &
  Pick<OperatorDeps, "clusterObjects">;

/** The clock of a process that may be stopped and go on: time passes meanwhile, and what was due is done late. */
class ProcessClock implements Clock {
  #time: Clock;
  #late: (() => void)[] = [];
  #woken: PromiseWithResolvers<void> | undefined;

  constructor(time: Clock) {
    this.#time = time;
  }

  now(): number {
    return this.#time.now();
  }

  monotonic(): number {
    return this.#time.monotonic();
  }

  after(ms: number, fn: () => void): Timer {
    let cancelled = false;
    const fire = () => (cancelled ? undefined : fn());
    const timer = this.#time.after(ms, () => (this.#woken ? this.#late.push(fire) : fire()));
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  pause(): void {
    this.#woken ??= Promise.withResolvers();
  }

  /** First come the answers that had arrived, then the timers: so it does most with what it still believes. */
  async wake(): Promise<void> {
    this.#woken?.resolve();
    this.#woken = undefined;
    await settle();
    for (const fire of this.#late.splice(0)) fire();
  }

  /** Resolves when the process runs. */
  running(): Promise<void> {
    return this.#woken?.promise ?? Promise.resolve();
  }
}

/** One process of the operator. */
export class SimulatedOperator {
  readonly name: string;
  readonly ended: Promise<void>;
  #abort = new AbortController();
  #clock: ProcessClock;
  #dead = false;

  constructor(simulation: Simulation, name: string, options: SimulatedOptions = {}) {
    const { clusterObjects, ...settings } = options;
    this.name = name;
    const { server } = simulation;
    const clock = new ProcessClock(simulation.clock);
    this.#clock = clock;
    const dispatcher = new MemoryDispatcher(async (request) => {
      if (this.#dead) return never(request);
      const answer = await server.handle(request);
      if (answer.status === 409) simulation.conflicts++;
      await clock.running();
      const text = async (body: string) => {
        await clock.running();
        return simulation.shows?.(request.url, body) ?? body;
      };
      return this.#dead ? never(request) : shown(answer, text);
    });
    this.ended = runOperator(
      {
        operatorNamespace: "default",
        leaderElect: true,
        identity: name,
        environment: "test",
        workers: 2,
        logLevel: "error",
        logFormat: "json",
        fetchImage: "rollguard",
        ...settings,
      },
      {
        logger: simulation.logger,
        metrics: METRICS,
        health: new Health(),
        clock,
        signal: this.#abort.signal,
        clusterObjects,
        client: connect({ clock, dispatcher, userAgent: name }),
        sourceDispatcher: new MemoryDispatcher((request) => simulation.answerQuery(request)),
        sinkDispatcher: new MemoryDispatcher(async (request) => {
          await sleep(clock, simulation.messageMs);
          return this.#dead ? never(request) : simulation.takeMessage(request);
        }),
      },
    ).catch(() => undefined);
  }

  /** Ends it as SIGKILL would: from this moment none of its requests reaches the server, and no answer reaches it. */
  kill(): void {
    this.#dead = true;
    this.#abort.abort(new Error("killed by the test"));
  }

  /** Stops it as SIGSTOP would: what it has sent arrives, and it does nothing more. */
  pause(): void {
    this.#clock.pause();
  }

  /** It goes on, as after SIGCONT, with all that was due meanwhile. */
  wake(): Promise<void> {
    return this.#clock.wake();
  }

  /** Asks it to end, as SIGTERM does. */
  stop(): void {
    this.#abort.abort(new Error("stopped by the test"));
  }
}

const { metrics: METRICS } = createMetrics();

function never(request: ApiRequest): Promise<ApiResponse> {
  return new Promise((_, reject) => {
    const cut = () => reject(new Error("cut off"));
    if (request.signal?.aborted) cut();
    else request.signal?.addEventListener("abort", cut, { once: true });
  });
}

/** Watches give one document at a time, so that no text is ever cut in two. */
async function shown(answer: ApiResponse, change: (text: string) => Promise<string>): Promise<ApiResponse> {
  const { body } = answer;
  if (typeof body === "string") return { ...answer, body: await change(body) };
  const changed = (async function* () {
    for await (const text of body) yield await change(text);
  })();
  return { ...answer, body: changed };
}

export class Simulation {
  readonly clock = new FakeClock();
  readonly server: ApiServer;
  readonly tester: KubeClient;
  /** Every write of every operator, in order, as the server got it. */
  readonly writes: Write[] = [];
  logger = silentLogger;
  /** The revisions that the Service selected, one after the other; 0: every pod of the deployment. */
  readonly traffic: number[] = [];
  readonly #selections: { revision: number; from: number }[] = [];
  /** How many writes were answered with 409. */
  conflicts = 0;
  /** How often the metrics were asked. */
  queries = 0;
  /** May do something to a write of an operator, by its place among them. */
  onWrite: ((write: Write, index: number) => Faults | undefined) | undefined;
  /** How the server's answers look to operators, where a real one would write something in other words. */
  shows: ((url: string, text: string) => string) | undefined;
  /** May do something to a read of an operator. */
  onRead: ((path: ResourcePath, by: SimulatedOperator) => Faults | undefined) | undefined;
  /** The share of errors of a revision that has the traffic; undefined: no series. */
  errorShare: (revision: number, at: number) => number | undefined = (revision) => (revision === 2 ? 0.5 : 0.01);
  /** False: the pods of this revision are placed and never get ready. */
  starts: (revision: number) => boolean = () => true;
  /** What a Gateway sends to the preview Service, in percent; see gateway.ts. */
  previewWeight: () => number = () => 0;
  /** How long a message is on its way to a sink, ms; that of an operator that is killed meanwhile does not arrive. */
  messageMs = 0;
  /** What a sink of notifications says to a message. */
  takeMessage: (request: ApiRequest) => Promise<ApiResponse> = async () => ({ status: 200, headers: {}, body: "" });
  readonly operators: SimulatedOperator[] = [];
  #controllers: { stop(): void };
  #uids = 0;

  constructor() {
    const { clock } = this;
    this.server = new ApiServer({
      clock,
      newUid: () => `00000000-0000-4000-8000-${String(++this.#uids).padStart(12, "0")}`,
      random: () => 0.5,
      intercept: (request, path) => this.#intercept(request, path),
    });
    for (const crd of CRDS) this.server.installCrd(crd);
    createNode(this.server, clock);
    this.#controllers = startControllers(this.server, clock);
    this.#playKubelet();
    this.server.watch(IDS.services, ({ object }) => {
      const { selector } = (object as { spec?: { selector?: Record<string, string> } }).spec ?? {};
      const revision = Number(selector?.["rollguard.dev/revision"] ?? 0);
      if (object.metadata.name !== "toy" || this.traffic.at(-1) === revision) return;
      this.traffic.push(revision);
      this.#selections.push({ revision, from: clock.now() });
    });
    this.tester = connect({ clock, dispatcher: this.server.dispatcher(), userAgent: "tester", fieldManager: "tester" });
  }

  operator(options?: SimulatedOptions): SimulatedOperator {
    const operator = new SimulatedOperator(this, `operator-${this.operators.length + 1}`, options);
    this.operators.push(operator);
    return operator;
  }

  /** The operator that was started last. */
  running(): SimulatedOperator {
    const last = this.operators.at(-1);
    if (!last) throw new Error("no operator was started");
    return last;
  }

  /** Ends everything, and resolves when no operator runs any more. */
  async close(): Promise<void> {
    for (const operator of this.operators) operator.kill();
    let ended = false;
    void Promise.all(this.operators.map((one) => one.ended)).then(() => {
      ended = true;
    });
    for (let seconds = 0; !ended && seconds < 60; seconds++) await this.clock.advance(1000);
    if (!ended) throw new Error("an operator does not end");
    this.#controllers.stop();
    this.server.close();
    await this.tester.close();
  }

  /** Lets time pass until it holds; says where things stand when it never does. */
  async until(what: string, holds: (deployment: ModelDeployment) => unknown, limitMs = 180_000): Promise<ModelDeployment> {
    for (let passed = 0; passed <= limitMs; passed += 250) {
      const deployment = this.deployment();
      if (deployment && holds(deployment)) return deployment;
      await this.clock.advance(250);
    }
    const status = this.deployment()?.status;
    throw new Error(`not ${what} within ${limitMs} ms: ${status?.phase}: ${status?.message}`);
  }

  deployment(): ModelDeployment | undefined {
    return this.server.get(IDS.deployments, "default", "toy") as ModelDeployment | undefined;
  }

  get(id: ResourceId, name: string): StoredObject & { spec?: Record<string, unknown> } {
    const object = this.server.get(id, "default", name);
    if (!object) throw new Error(`there is no ${id.resource} ${name}`);
    return object as StoredObject & { spec?: Record<string, unknown> };
  }

  async apply(object: object): Promise<void> {
    await this.tester.apply(object as KubeObject, { force: true });
  }

  #intercept(request: ApiRequest, path: ResourcePath | undefined): Faults | undefined {
    const by = this.operators.find((one) => one.name === request.headers["user-agent"]);
    if (!by || !path) return undefined;
    if (request.method === "GET") return this.onRead?.(path, by);
    const write = { method: request.method, path, body: request.body ?? "", by };
    this.writes.push(write);
    return this.onWrite?.(write, this.writes.length - 1);
  }

  /** As Prometheus answers: a revision has a series while the Service sends it requests. */
  async answerQuery(request: ApiRequest): Promise<ApiResponse> {
    this.queries++;
    const now = this.clock.now();
    const body = answerQueries(request.body ?? "", now, (text, at) => {
      const asked = /revision="(\d+)"|pod=~"toy-r(\d+)-/
        .exec(text)
        ?.slice(1)
        .find((one) => one !== undefined);
      // The source's clock.
      if (asked === undefined) return [at / 1000];
      const share = this.#serves(Number(asked), at) ? this.errorShare(Number(asked), at) : undefined;
      return share === undefined ? [] : [share];
    });
    return { status: 200, headers: { "content-type": "application/json" }, body };
  }

  /** The revision that the Service selected at a time, ms epoch. */
  #selectedAt(at: number): number | undefined {
    return this.#selections.findLast((one) => one.from <= at)?.revision;
  }

  /** True where the Service led to this revision at a time, ms epoch, or the route does so now. */
  #serves(revision: number, at: number): boolean {
    const selected = this.#selectedAt(at);
    if (selected === revision || selected === 0) return true;
    const preview = this.server.get(IDS.services, "default", "toy-preview")?.spec?.selector ?? {};
    return this.previewWeight() > 0 && preview["rollguard.dev/revision"] === String(revision);
  }

  #playKubelet(): void {
    const seen = new Set<string>();
    const once = (key: string, ms: number, act: () => void) => {
      if (seen.has(key)) return;
      seen.add(key);
      this.clock.after(ms, act);
    };
    this.server.watch(PODS, ({ type, object }) => {
      const { uid, name, namespace, deletionTimestamp } = object.metadata;
      if (type === "DELETED") return;
      if (deletionTimestamp !== undefined) {
        once(`end ${uid}`, GONE_MS, () => {
          if (this.server.get(PODS, namespace, name)) this.server.delete(PODS, namespace, name, { uid, gracePeriodSeconds: 0 });
        });
      } else if ((object as Pod).spec.nodeName) once(`start ${uid}`, READY_MS, () => this.#makeReady(namespace, name));
    });
  }

  #makeReady(namespace: string | undefined, name: string): void {
    const pod = this.server.get(PODS, namespace, name) as Pod | undefined;
    if (!pod || pod.metadata.deletionTimestamp !== undefined) return;
    if (!this.starts(Number(pod.metadata.labels?.["rollguard.dev/revision"]))) return;
    const now = timestamp(this.clock.now());
    let { conditions } = pod.status ?? {};
    for (const type of ["Initialized", "ContainersReady", "Ready"])
      conditions = withCondition(conditions, { type, status: "True" }, now);
    const containerStatuses = pod.spec.containers.map((container) => ({
      name: container.name,
      image: container.image ?? "",
      imageID: "",
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now } },
    }));
    const podIP = `10.0.0.${(Number(pod.metadata.uid.slice(-12)) % 250) + 1}`;
    this.server.updateStatus(PODS, {
      ...pod,
      status: { ...pod.status, phase: "Running", podIP, podIPs: [{ ip: podIP }], startTime: now, conditions, containerStatuses },
    });
  }
}
