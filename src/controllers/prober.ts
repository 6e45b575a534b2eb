// Asks the probe inference of a candidate whose pods are ready: each pod must answer as expected before it gets traffic.

import { parseDuration } from "../api/common.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { type Clock, sleep } from "../clock.ts";
import type { ProbeFacts, RevisionRef, Snapshot } from "../core/snapshot.ts";
import { askProbe, type ProbeAnswer, type ProbeRequest, probeDispatcher } from "../signals/probe.ts";
import type { Memory } from "./memory.ts";

export interface ProberDeps {
  clock: Clock;
  memory: Memory;
  /** IP and port of a candidate's ready pods; the port by its name or number in the deployment's probe. */
  targets(key: string, revision: number, port: string | number): { name: string; ip: string; port?: number }[];
  onAnswer(key: string): void;
}

const BETWEEN_ATTEMPTS_MS = 500;

export class Prober {
  #deps: ProberDeps;
  #dispatcher = probeDispatcher();
  #running = new Map<string, AbortController>();

  constructor(deps: ProberDeps) {
    this.#deps = deps;
  }

  /** Probes the snapshot's candidate, once for its content, when its pods are ready. */
  follow(key: string, snapshot: Snapshot): void {
    const { candidate } = snapshot.deployment.status ?? {};
    const probe = snapshot.deployment.spec.probe;
    const child = snapshot.children.find((one) => one.revision === candidate?.revision);
    const ready = child !== undefined && child.current >= (snapshot.deployment.spec.replicas ?? 1) && child.current > 0;
    if (!candidate || !probe || !ready) {
      this.forget(key);
      return;
    }
    if (this.#running.has(key) || this.#deps.memory.probe(key, candidate)?.outcome !== undefined) return;
    const abort = new AbortController();
    this.#running.set(key, abort);
    void this.#run(key, candidate, probe, abort.signal);
  }

  forget(key: string): void {
    this.#running.get(key)?.abort(new Error("no longer probed"));
    this.#running.delete(key);
  }

  async stop(): Promise<void> {
    for (const key of [...this.#running.keys()]) this.forget(key);
    await this.#dispatcher.destroy();
  }

  async #run(
    key: string,
    candidate: RevisionRef,
    probe: NonNullable<ModelDeployment["spec"]["probe"]>,
    signal: AbortSignal,
  ): Promise<void> {
    const { memory, onAnswer } = this.#deps;
    const facts = await this.#all(key, candidate.revision, probe, signal).catch(
      (error: unknown): ProbeFacts => ({
        revision: candidate.revision,
        outcome: "Failed",
        message: `the probe could not be asked: ${String(error)}`,
      }),
    );
    if (signal.aborted) return;
    this.#running.delete(key);
    memory.probed(key, candidate, facts);
    onAnswer(key);
  }

  async #all(
    key: string,
    revision: number,
    probe: NonNullable<ModelDeployment["spec"]["probe"]>,
    signal: AbortSignal,
  ): Promise<ProbeFacts> {
    let message = "";
    for (const target of this.#deps.targets(key, revision, probe.port)) {
      const answer: ProbeAnswer =
        target.port === undefined
          ? { outcome: "Failed", message: `probe.port: the container has no port ${probe.port}` }
          : await this.#attempts(requestOf(probe), { ip: target.ip, port: target.port }, probe.attempts, signal);
      message = `${target.name}: ${answer.message}`;
      if (answer.outcome !== "Passed") return { revision, outcome: "Failed", message };
    }
    return { revision, outcome: "Passed", message };
  }

  async #attempts(
    request: ProbeRequest,
    target: { ip: string; port: number },
    attempts: number,
    signal: AbortSignal,
  ): Promise<ProbeAnswer> {
    let answer: ProbeAnswer = { outcome: "NoAnswer", message: "not asked" };
    for (let attempt = 0; attempt < attempts && answer.outcome !== "Passed"; attempt++) {
      if (attempt > 0) await sleep(this.#deps.clock, BETWEEN_ATTEMPTS_MS, signal);
      answer = await askProbe(request, target, { dispatcher: this.#dispatcher, clock: this.#deps.clock }, signal);
    }
    return answer;
  }
}

function requestOf(probe: NonNullable<ModelDeployment["spec"]["probe"]>): ProbeRequest {
  return {
    path: probe.path,
    method: probe.method,
    headers: probe.headers ?? [],
    ...(probe.body === undefined ? {} : { body: probe.body }),
    timeoutMs: parseDuration(probe.timeout),
    expect: probe.expect,
  };
}
