// One container of a pod: its process, restarts with back-off, probes, and its state as the kubelet reports it.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Timer } from "../../clock.ts";
import { type Container, containerPortOf, type Pod, timestamp } from "../controllers/kinds.ts";
import { quantity } from "../controllers/text.ts";
import { execBeside, preStop } from "./beside.ts";
import type { NodeContext } from "./context.ts";
import { ContainerConfigError, type PodFolder } from "./environment.ts";
import { launchSpec, pullFailure } from "./launch.ts";
import { terminationMessage } from "./logs.ts";
import { type ProbeTarget, startProbe } from "./probes.ts";
import type { LocalProcess, ProcessSpec } from "./processes.ts";

/** As the kubelet: the back-off is at most 30 times its base, and forgotten after a run of twice that. */
const BACKOFF_CAP = 30;

interface Terminated {
  exitCode: number;
  signal?: number;
  reason: string;
  message?: string;
  startedAt: string;
  finishedAt: string;
  containerID: string;
}

export type ContainerState =
  | { waiting: { reason: string; message?: string } }
  | { running: { startedAt: string } }
  | { terminated: Terminated };

export class ContainerRun {
  readonly spec: Container;
  readonly #ctx: NodeContext;
  readonly #pod: () => Pod;
  readonly #folder: () => PodFolder;
  readonly #changed: () => void;
  #state: ContainerState = { waiting: { reason: "PodInitializing" } };
  #last: Terminated | undefined;
  #restarts = 0;
  #process: LocalProcess | undefined;
  #launched: ProcessSpec | undefined;
  #startedMono = 0;
  #backoffMs = 0;
  #pullBackoffMs = 0;
  #timer: Timer | undefined;
  #killTimer: Timer | undefined;
  #stopping = false;
  #oomKilled = false;
  #started = false;
  #ready = false;
  #cleanup: (() => void)[] = [];

  /** `pod` gives the newest object (with its address), `changed` asks for another step of the pod. */
  constructor(ctx: NodeContext, spec: Container, pod: () => Pod, folder: () => PodFolder, changed: () => void) {
    this.#ctx = ctx;
    this.spec = spec;
    this.#pod = pod;
    this.#folder = folder;
    this.#changed = changed;
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** Has a process, or asked for one. */
  get alive(): boolean {
    return this.#process !== undefined;
  }

  get ready(): boolean {
    return "running" in this.#state && this.#ready;
  }

  /** Passed its startup probe, or has none and runs. */
  get started(): boolean {
    return "running" in this.#state && this.#started;
  }

  get ranBefore(): boolean {
    return this.#last !== undefined;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Waits for its turn: shown only before its first start. */
  await(reason: "PodInitializing" | "ContainerCreating"): void {
    if ("waiting" in this.#state && !this.#last && !this.#timer && !this.alive) this.#state = { waiting: { reason } };
  }

  /** Starts it if it was not started yet; what ended is started again, after its back-off. */
  run(): void {
    if (this.alive || this.#timer) return;
    if (!("terminated" in this.#state)) {
      this.#start();
      return;
    }
    const ended = this.#state.terminated;
    this.#last = ended;
    const cap = this.#ctx.restartBackoffMs * BACKOFF_CAP;
    if (this.#ctx.clock.monotonic() - this.#startedMono > 2 * cap) this.#backoffMs = 0;
    const wait = this.#backoffMs;
    this.#backoffMs = Math.min(cap, wait === 0 ? this.#ctx.restartBackoffMs : 2 * wait);
    // As in Kubernetes, the first restart is at once.
    if (wait === 0) {
      this.#restart();
      return;
    }
    const { name, namespace, uid } = this.#pod().metadata;
    const message = `back-off ${wait / 1000}s restarting failed container=${this.spec.name} pod=${name}_${namespace}(${uid})`;
    this.#state = { waiting: { reason: "CrashLoopBackOff", message } };
    this.#event("Warning", "BackOff", `Back-off restarting failed container ${this.spec.name} in pod ${name}`);
    this.#later(wait, () => this.#restart());
  }

  /** preStop, SIGTERM, and SIGKILL when the grace period is over. */
  stop(graceMs: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#process) return;
    this.#killTimer?.cancel();
    const kill = () => this.#process?.kill("SIGKILL");
    if (graceMs <= 0) kill();
    else this.#killTimer = this.#ctx.clock.after(graceMs, kill);
    if (graceMs <= 0 || this.#stopping) return;
    this.#stopping = true;
    this.#event("Normal", "Killing", `Stopping container ${this.spec.name}`);
    const stopped = this.#process;
    void preStop(this.#ctx, this.spec, this.#target(), graceMs).then((failure) => {
      if (failure) this.#event("Warning", "FailedPreStopHook", `PreStopHook failed: ${failure}`);
      stopped.kill("SIGTERM");
    });
  }

  status(): Record<string, unknown> {
    const image = this.spec.image ?? "";
    return {
      name: this.spec.name,
      image,
      imageID: image,
      ...("waiting" in this.#state && !this.#last ? {} : { containerID: this.#id() }),
      ready: this.ready,
      started: this.started,
      restartCount: this.#restarts,
      state: this.#state,
      lastState: this.#last ? { terminated: this.#last } : {},
    };
  }

  logFile(previous: boolean): string {
    return path.join(this.#folder().root, "logs", this.spec.name, `${this.#restarts - (previous ? 1 : 0)}.log`);
  }

  #restart(): void {
    this.#restarts++;
    fs.rmSync(path.join(this.#folder().root, "logs", this.spec.name, `${this.#restarts - 2}.log`), { force: true });
    this.#start();
  }

  #start(): void {
    const pull = pullFailure(this.#ctx, this.spec.image);
    if (pull) {
      this.#pullFailed(pull);
      return;
    }
    this.#pullBackoffMs = 0;
    try {
      this.#launched = launchSpec(this.#ctx, this.#pod(), this.spec, this.#folder(), this.logFile(false));
    } catch (error) {
      if (!(error instanceof ContainerConfigError)) throw error;
      this.#state = { waiting: { reason: error.reason, message: error.message } };
      this.#event("Warning", "Failed", `Error: ${error.message}`);
      this.#later(this.#ctx.restartBackoffMs, () => this.#start());
      return;
    }
    if (!("waiting" in this.#state)) this.#state = { waiting: { reason: "ContainerCreating" } };
    this.#stopping = this.#oomKilled = this.#started = this.#ready = false;
    this.#startedMono = this.#ctx.clock.monotonic();
    fs.writeFileSync(this.#folder().terminationLog, "");
    this.#process = this.#ctx.processes.start(this.#launched, {
      started: (pid) => this.#onStarted(pid),
      failed: (message) => this.#onFailed(message),
      exited: (code, signal) => this.#onExit(code, signal),
    });
  }

  #pullFailed(message: string): void {
    const image = this.spec.image;
    this.#state = { waiting: { reason: "ErrImagePull", message } };
    this.#event("Warning", "Failed", `Failed to pull image "${image}": ${message}`);
    this.#pullBackoffMs = Math.min(
      this.#ctx.restartBackoffMs * BACKOFF_CAP,
      2 * this.#pullBackoffMs || this.#ctx.restartBackoffMs,
    );
    const soon = Math.min(this.#pullBackoffMs / 2, 1000);
    this.#later(soon, () => {
      this.#state = {
        waiting: { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}": ErrImagePull: ${message}` },
      };
      this.#event("Normal", "BackOff", `Back-off pulling image "${image}"`);
      this.#later(this.#pullBackoffMs - soon, () => this.#start());
      this.#changed();
    });
    this.#changed();
  }

  #onStarted(pid: number): void {
    this.#state = { running: { startedAt: timestamp(this.#ctx.clock.now()) } };
    this.#event("Normal", "Started", `Started container ${this.spec.name}`);
    const limit = quantity(this.spec.resources?.limits?.memory);
    if (limit) {
      this.#cleanup.push(
        this.#ctx.memory.watch(pid, limit, () => {
          this.#oomKilled = true;
          this.#process?.kill("SIGKILL");
        }),
      );
    }
    this.#probeStartup();
    this.#changed();
  }

  #onFailed(message: string): void {
    const text = `failed to create containerd task: failed to start "${this.spec.name}": ${message}`;
    this.#ended({ exitCode: 128, reason: "StartError", message: text, startedAt: "1970-01-01T00:00:00Z" });
    this.#event("Warning", "Failed", `Error: ${text}`);
  }

  #onExit(code: number | null, signal: string | null): void {
    const number = signal ? (os.constants.signals as Record<string, number>)[signal] : undefined;
    const exitCode = this.#oomKilled ? 137 : (code ?? 128 + (number ?? 0));
    const reason = this.#oomKilled ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error";
    const fromLog = this.spec.terminationMessagePolicy === "FallbackToLogsOnError" && exitCode !== 0;
    const message = terminationMessage(this.#folder().terminationLog, fromLog ? this.logFile(false) : undefined);
    const startedAt = "running" in this.#state ? this.#state.running.startedAt : timestamp(this.#ctx.clock.now());
    this.#ended({
      exitCode,
      ...(number && !this.#oomKilled ? { signal: number } : {}),
      reason,
      ...(message ? { message } : {}),
      startedAt,
    });
  }

  #ended(how: Omit<Terminated, "finishedAt" | "containerID">): void {
    this.#process = undefined;
    this.#killTimer?.cancel();
    for (const clean of this.#cleanup) clean();
    this.#cleanup = [];
    const finishedAt = timestamp(this.#ctx.clock.now());
    this.#state = { terminated: { ...how, finishedAt, containerID: this.#id() } };
    this.#changed();
  }

  #probeStartup(): void {
    const { startupProbe } = this.spec;
    const begin = () => {
      this.#started = true;
      this.#probeRun();
      this.#changed();
    };
    if (startupProbe)
      this.#probe("Startup", startupProbe, (ok, message) => (ok ? begin() : this.#unhealthy("startup", message)), true);
    else begin();
  }

  #probeRun(): void {
    const { readinessProbe, livenessProbe } = this.spec;
    if (livenessProbe) this.#probe("Liveness", livenessProbe, (ok, message) => !ok && this.#unhealthy("liveness", message));
    if (!readinessProbe) this.#ready = true;
    else {
      this.#probe("Readiness", readinessProbe, (ok) => {
        this.#ready = ok;
        this.#changed();
      });
    }
  }

  #probe(
    kind: string,
    probe: NonNullable<Container["livenessProbe"]>,
    settled: (ok: boolean, message: string) => void,
    once = false,
  ): void {
    const running = startProbe(
      this.#ctx.clock,
      probe,
      this.#target(),
      (ok, message) => {
        if (once && ok) running.stop();
        settled(ok, message);
      },
      (message) => this.#event("Warning", "Unhealthy", `${kind} probe failed: ${message}`),
    );
    this.#cleanup.push(() => running.stop());
  }

  #unhealthy(kind: string, message: string): void {
    if (this.#stopping) return;
    this.#event("Normal", "Killing", `Container ${this.spec.name} failed ${kind} probe, will be restarted: ${message}`);
    this.stop(1000 * (this.#pod().spec.terminationGracePeriodSeconds ?? 30));
  }

  #target(): ProbeTarget {
    const pod = this.#pod();
    return {
      ip: pod.status?.podIP ?? "127.0.0.1",
      port: (port) => containerPortOf(pod.spec, port, [this.spec]),
      exec: (command, timeoutMs) => execBeside(this.#ctx, this.#launched, command, timeoutMs),
    };
  }

  #later(ms: number, fn: () => void): void {
    this.#timer = this.#ctx.clock.after(ms, () => {
      this.#timer = undefined;
      fn();
    });
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#ctx.record(this.#pod(), type, reason, message);
  }

  #id(): string {
    return `sandbox://${this.#pod().metadata.uid}/${this.spec.name}/${this.#restarts}`;
  }
}
