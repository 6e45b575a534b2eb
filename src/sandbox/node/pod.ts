// One pod on the node: init containers in order, then the others, restarts by its policy, its status, and its end.
// Level-based: `step` looks at what is and does what is next; everything that changes asks for another step.
import fs from "node:fs";
import path from "node:path";
import { PODS, type Pod } from "../controllers/kinds.ts";
import { same } from "../controllers/text.ts";
import { ContainerRun } from "./container.ts";
import type { NodeContext } from "./context.ts";
import { ContainerConfigError, type PodFolder } from "./environment.ts";
import { podStatus } from "./podstatus.ts";
import { makeVolumes } from "./volumes.ts";

export class PodRun {
  readonly #ctx: NodeContext;
  readonly #ip: string;
  readonly #root: string;
  readonly #init: ContainerRun[];
  readonly #main: ContainerRun[];
  #pod: Pod;
  #volumes: Map<string, string> | undefined;
  #gone = false;

  constructor(ctx: NodeContext, pod: Pod, ip: string, root: string, changed: () => void) {
    this.#ctx = ctx;
    this.#pod = pod;
    this.#ip = ip;
    this.#root = root;
    const make = (spec: Pod["spec"]["containers"][number]) =>
      new ContainerRun(
        ctx,
        spec,
        () => this.#seen(),
        () => this.#folder(spec.name),
        changed,
      );
    this.#init = (pod.spec.initContainers ?? []).map(make);
    this.#main = pod.spec.containers.map(make);
  }

  get ip(): string {
    return this.#ip;
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** All processes have ended and the object is gone: nothing of it is left. */
  get finished(): boolean {
    return this.#gone && !this.#alive();
  }

  update(pod: Pod): void {
    this.#pod = pod;
  }

  /** The object was removed without waiting for its processes. */
  remove(): void {
    this.#gone = true;
    for (const container of this.#all()) container.stop(0);
  }

  container(name: string | undefined): ContainerRun | undefined {
    const all = this.#all();
    return name === undefined ? this.#main[0] : all.find((each) => each.spec.name === name);
  }

  /** Returns after how many milliseconds to look again, if by itself. */
  step(): number | undefined {
    if (this.#gone) {
      if (!this.#alive()) fs.rmSync(this.#root, { recursive: true, force: true });
      return undefined;
    }
    const phase = this.#pod.status?.phase;
    let again: number | undefined;
    if (this.#pod.metadata.deletionTimestamp) this.#terminate();
    else if (phase !== "Succeeded" && phase !== "Failed") again = this.#advance();
    this.#writeStatus();
    if (this.#pod.metadata.deletionTimestamp && !this.#alive() && !this.#gone) {
      const { namespace, name, uid } = this.#pod.metadata;
      this.#ctx.api.delete(PODS, namespace, name, { uid, gracePeriodSeconds: 0 });
    }
    return again;
  }

  #advance(): number | undefined {
    if (!this.#volumes) {
      try {
        this.#volumes = makeVolumes(this.#ctx.api, this.#seen(), path.join(this.#root, "volumes"));
      } catch (error) {
        if (!(error instanceof ContainerConfigError)) throw error;
        this.#ctx.record(this.#pod, "Warning", error.reason, error.message);
        for (const each of this.#main) each.await(this.#init.length > 0 ? "PodInitializing" : "ContainerCreating");
        return this.#ctx.restartBackoffMs;
      }
    }
    for (const container of this.#init) {
      if (isDone(container)) continue;
      container.await("PodInitializing");
      this.#runOrLeave(container, "OnFailure");
      // A sidecar (an init container that always restarts) only has to have started.
      if (container.spec.restartPolicy === "Always" && container.started) continue;
      for (const each of this.#main) each.await("PodInitializing");
      return undefined;
    }
    for (const container of this.#main) {
      container.await("ContainerCreating");
      this.#runOrLeave(container, "Always");
    }
    return undefined;
  }

  #runOrLeave(container: ContainerRun, whenAlways: "Always" | "OnFailure"): void {
    const policy = this.#pod.spec.restartPolicy ?? "Always";
    const own = container.spec.restartPolicy === "Always" ? "Always" : policy === "Always" ? whenAlways : policy;
    const { state } = container;
    if ("terminated" in state && (own === "Never" || (own === "OnFailure" && state.terminated.exitCode === 0))) return;
    container.run();
  }

  #terminate(): void {
    const { deletionGracePeriodSeconds } = this.#pod.metadata;
    const grace = deletionGracePeriodSeconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? 30;
    if (this.#graceSeconds === grace) return;
    this.#graceSeconds = grace;
    for (const container of this.#all()) container.stop(1000 * grace);
  }

  /** The grace that the containers were told; a deletion again with a shorter one is told again. */
  #graceSeconds: number | undefined;

  #writeStatus(): void {
    const status = podStatus(this.#pod, this.#ip, this.#init, this.#main, this.#ctx.clock.now());
    if (same(status, this.#pod.status ?? {})) return;
    this.#ctx.api.updateStatus(PODS, { ...this.#pod, status });
  }

  #seen(): Pod {
    return { ...this.#pod, status: { ...this.#pod.status, podIP: this.#ip } };
  }

  #folder(container: string): PodFolder {
    return {
      root: this.#root,
      volumes: this.#volumes ?? new Map(),
      terminationLog: path.join(this.#root, `${container}.termination`),
    };
  }

  #all(): ContainerRun[] {
    return [...this.#init, ...this.#main];
  }

  #alive(): boolean {
    return this.#all().some((container) => container.alive);
  }
}

function isDone(init: ContainerRun): boolean {
  return "terminated" in init.state && init.state.terminated.exitCode === 0 && init.spec.restartPolicy !== "Always";
}
