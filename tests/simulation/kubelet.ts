// A node that only pretends: it moves the states of pods as a kubelet does, by what their content is fated to and by what goes wrong.

import type { ApiServer } from "../../src/sandbox/apiserver/index.ts";
import { NODES, PODS, type Pod, timestamp, withCondition } from "../../src/sandbox/controllers/kinds.ts";
import type { Random } from "../support/random.ts";
import type { WorldClock } from "./clock.ts";
import type { Fate } from "./plan.ts";
import type { Commit } from "./state.ts";

export interface KubeletParts {
  clock: WorldClock;
  server: ApiServer;
  random: Random;
  fateOf(pod: Pod): Fate;
}

const NODE = "sandbox";
/** How long a pod takes to end, ms. */
const GONE_MS = 200;
/** A crashing container lives so long, ms, and is started again after one second, two, four … */
const CRASH_MS = 600;
const BACKOFF_MAX_MS = 10_000;

interface Running {
  pod: Pod;
  deployment: string;
  name: string;
  ip: string;
  restarts: number;
  state: "Waiting" | "Running" | "CrashLoop";
  /** Unready for reasons that are not its content's. */
  ill: boolean;
}

export class Kubelet {
  readonly #parts: KubeletParts;
  readonly #pods = new Map<string, Running>();
  #holdUntil = 0;
  #nodeReady = true;
  #addresses = 0;

  constructor(parts: KubeletParts) {
    this.#parts = parts;
  }

  /** Hears of every committed change of a pod. */
  seen({ type, object }: Commit): void {
    const pod = object as Pod;
    const { uid, deletionTimestamp, labels } = pod.metadata;
    if (type === "DELETED") {
      this.#pods.delete(uid);
      return;
    }
    const known = this.#pods.get(uid);
    if (known) {
      const ending = known.pod.metadata.deletionTimestamp === undefined && deletionTimestamp !== undefined;
      known.pod = pod;
      if (ending) this.#end(known);
      return;
    }
    if (!pod.spec.nodeName || deletionTimestamp !== undefined) {
      if (deletionTimestamp !== undefined) this.#parts.clock.after(GONE_MS, () => this.#remove(pod));
      return;
    }
    const number = ++this.#addresses;
    const ip = `10.0.${(number >> 8) & 255}.${number & 255}`;
    const deployment = labels?.["rollguard.dev/deployment"] ?? "";
    const running: Running = { pod, deployment, name: pod.metadata.name, ip, restarts: 0, state: "Waiting", ill: false };
    this.#pods.set(uid, running);
    this.#parts.clock.after(this.#parts.random.int(100, 500), () => this.#start(running));
  }

  /** Those that may meet a fault, in the order of their starts. */
  running(): { name: string; deployment: string }[] {
    return [...this.#pods.values()].filter((one) => one.state === "Running" && this.#lives(one));
  }

  byAddress(ip: string): Pod | undefined {
    return [...this.#pods.values()].find((one) => one.ip === ip && this.#isReady(one))?.pod;
  }

  /** The container ends once, and is back after a while. */
  crash(name: string, ms: number): void {
    const one = this.#named(name);
    if (one?.state !== "Running") return;
    one.restarts++;
    one.state = "CrashLoop";
    this.#tell(one);
    this.#parts.clock.after(ms, () => {
      if (!this.#lives(one) || one.state !== "CrashLoop") return;
      one.state = "Running";
      this.#tell(one);
    });
  }

  unready(name: string, ms: number): void {
    const one = this.#named(name);
    if (!one || one.ill) return;
    one.ill = true;
    this.#tell(one);
    this.#parts.clock.after(ms, () => {
      one.ill = false;
      if (this.#lives(one)) this.#tell(one);
    });
  }

  /** No container is made for a while. */
  hold(ms: number): void {
    this.#holdUntil = Math.max(this.#holdUntil, this.#parts.clock.monotonic() + ms);
  }

  loseNode(ms: number): void {
    if (!this.#nodeReady) return;
    this.#setNode(false);
    this.#parts.clock.after(ms, () => this.#setNode(true));
  }

  #setNode(ready: boolean): void {
    this.#nodeReady = ready;
    const { server, clock } = this.#parts;
    const node = server.get(NODES, undefined, NODE) as never as { status: { conditions: never[] } };
    const condition = { type: "Ready", status: ready ? "True" : "Unknown", reason: ready ? "KubeletReady" : "NodeStatusUnknown" };
    const conditions = withCondition(node.status.conditions, condition as never, timestamp(clock.now()));
    server.updateStatus(NODES, { ...node, status: { ...node.status, conditions } } as never);
    for (const one of this.#pods.values()) if (this.#lives(one) && one.state !== "Waiting") this.#tell(one);
  }

  #named(name: string): Running | undefined {
    return [...this.#pods.values()].find((one) => one.name === name && this.#lives(one));
  }

  #lives({ pod }: Running): boolean {
    return this.#pods.has(pod.metadata.uid) && pod.metadata.deletionTimestamp === undefined;
  }

  #start(one: Running): void {
    const { clock } = this.#parts;
    if (!this.#lives(one)) return;
    const wait = this.#holdUntil - clock.monotonic();
    if (wait > 0 || !this.#nodeReady) {
      clock.after(Math.max(wait, 500), () => this.#start(one));
      return;
    }
    one.state = "Running";
    this.#tell(one);
    if (this.#parts.fateOf(one.pod) === "Crashing") clock.after(CRASH_MS, () => this.#crashAgain(one));
  }

  #crashAgain(one: Running): void {
    if (!this.#lives(one)) return;
    const { clock } = this.#parts;
    one.restarts++;
    one.state = "CrashLoop";
    this.#tell(one);
    clock.after(Math.min(1000 * 2 ** (one.restarts - 1), BACKOFF_MAX_MS), () => {
      if (!this.#lives(one)) return;
      one.state = "Running";
      this.#tell(one);
      clock.after(CRASH_MS, () => this.#crashAgain(one));
    });
  }

  #isReady(one: Running): boolean {
    const fate = this.#parts.fateOf(one.pod);
    return one.state === "Running" && !one.ill && this.#nodeReady && fate !== "Crashing" && fate !== "NeverReady";
  }

  #tell(one: Running): void {
    const { server, clock } = this.#parts;
    const { pod, ip, restarts } = one;
    const now = timestamp(clock.now());
    const ready = this.#isReady(one);
    const status = ready ? "True" : "False";
    let conditions = withCondition(pod.status?.conditions, { type: "Initialized", status: "True" }, now);
    for (const type of ["ContainersReady", "Ready"]) conditions = withCondition(conditions, { type, status }, now);
    const running = one.state === "Running";
    const containerStatuses = pod.spec.containers.map((container) => ({
      name: container.name,
      image: container.image ?? "",
      imageID: "",
      ready,
      started: running,
      restartCount: restarts,
      state: running ? { running: { startedAt: now } } : { waiting: { reason: "CrashLoopBackOff", message: "back-off" } },
      ...(restarts > 0 ? { lastState: { terminated: { exitCode: 1, reason: "Error", finishedAt: now } } } : {}),
    }));
    const podIPs = [{ ip }];
    const next = {
      ...pod.status,
      phase: "Running",
      podIP: ip,
      podIPs,
      startTime: pod.status?.startTime ?? now,
      conditions,
      containerStatuses,
    };
    server.updateStatus(PODS, { ...pod, metadata: { ...pod.metadata, resourceVersion: "" }, status: next } as never);
  }

  #end(one: Running): void {
    this.#parts.clock.after(GONE_MS, () => this.#remove(one.pod));
  }

  #remove({ metadata }: Pod): void {
    const { server } = this.#parts;
    const { namespace, name, uid } = metadata;
    if (server.get(PODS, namespace, name)?.metadata.uid === uid)
      server.delete(PODS, namespace, name, { uid, gracePeriodSeconds: 0 });
  }
}
