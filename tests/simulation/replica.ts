// One place in which an operator runs, as a pod of its Deployment: when its process ends, for whatever reason, another one is started.

import { runOperator } from "../../src/controllers/operator.ts";
import { connect } from "../../src/kube/client.ts";
import type { Logger } from "../../src/log.ts";
import { Health } from "../../src/server/health.ts";
import { createMetrics } from "../../src/telemetry.ts";
import type { Random } from "../support/random.ts";
import { ProcessClock, type WorldClock } from "./clock.ts";
import type { Caller, Network } from "./network.ts";
import type { Source } from "./source.ts";

export interface ReplicaParts {
  clock: WorldClock;
  network: Network;
  source: Source;
  random: Random;
  /** How far the wall clock of its machine is off, ms. */
  offsetMs: number;
  /** The name of the next process; each has one of its own. */
  nextName(): string;
  onLog(process: string, level: "info" | "warn" | "error", fields: object, message: string): void;
  onStart(process: Process): void;
  onEnd(process: Process, how: string): void;
}

const { metrics: METRICS } = createMetrics();

/** From the end of a process to the start of the next one, ms. */
const RESTART_MS = [200, 3000] as const;

export class Process implements Caller {
  readonly name: string;
  readonly clock: ProcessClock;
  dead = false;
  #parts: ReplicaParts;
  #abort = new AbortController();
  #over: (how: string) => void;

  constructor(parts: ReplicaParts, onOver: (how: string) => void) {
    this.#parts = parts;
    this.name = parts.nextName();
    this.clock = new ProcessClock(parts.clock, parts.offsetMs);
    this.#over = onOver;
    const { clock, name } = this;
    const log = (level: "info" | "warn" | "error") => (fields: object, message: string) => {
      if (!this.dead) parts.onLog(name, level, fields, message);
    };
    const logger: Logger = { debug() {}, info: log("info"), warn: log("warn"), error: log("error") };
    // Its own stream, so that what one process draws changes nothing for another.
    const random = parts.random;
    runOperator(
      {
        operatorNamespace: "default",
        leaderElect: true,
        identity: name,
        environment: "",
        workers: 2,
        logLevel: "error",
        logFormat: "json",
        fetchImage: "rollguard",
        namespaces: undefined,
      },
      {
        logger,
        metrics: METRICS,
        health: new Health(),
        clock,
        signal: this.#abort.signal,
        client: connect({ clock, dispatcher: parts.network.dispatcher(this), userAgent: name }),
        sourceDispatcher: parts.source.dispatcher((fn) => clock.deliver(fn)),
        random: () => random.next(),
      },
    ).then(
      () => this.#end("ended"),
      (error: unknown) => {
        if (!this.dead)
          parts.onLog(
            name,
            "error",
            { error: String(error), stack: error instanceof Error ? error.stack : "" },
            "the operator failed",
          );
        this.#end("failed");
      },
    );
  }

  /** As SIGKILL does: nothing of it runs any more, and none of its requests that is not at the server yet gets there. */
  kill(): void {
    this.#end("killed");
  }

  stop(): void {
    this.#abort.abort(new Error("SIGTERM"));
  }

  pause(ms: number): void {
    if (this.clock.paused || this.dead) return;
    this.clock.pause();
    this.#parts.clock.after(ms, () => this.wake());
  }

  wake(): void {
    if (this.clock.paused) this.clock.wake();
  }

  #end(how: string): void {
    if (this.dead) return;
    this.dead = true;
    this.clock.kill();
    for (const pipe of [...this.#parts.network.pipes]) if (pipe.caller === this) pipe.end();
    this.#parts.onEnd(this, how);
    this.#over(how);
  }
}

export class Replica {
  process: Process | undefined;
  #parts: ReplicaParts;
  #closed = false;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.#start();
  }

  /** No process is started any more; the one that runs ends. */
  close(how: "Kill" | "Stop"): void {
    this.#closed = true;
    if (how === "Stop") this.process?.stop();
    else this.process?.kill();
  }

  #start(): void {
    if (this.#closed) return;
    const process: Process = new Process(this.#parts, () => {
      if (this.process === process) this.process = undefined;
      this.#parts.clock.after(this.#parts.random.int(...RESTART_MS), () => this.#start());
    });
    this.process = process;
    this.#parts.onStart(process);
  }
}
