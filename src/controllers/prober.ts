// Asks the probe inference of a candidate whose pods are ready: each pod must answer as expected before it gets traffic.

import { parseDuration } from "../api/common.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { type Clock, sleep } from "../clock.ts";
import { candidateSize } from "../core/canary.ts";
import type { ProbeFacts, RevisionRef, Snapshot } from "../core/snapshot.ts";
import { askProbe, type ProbeAnswer, type ProbeRequest, probeDispatcher } from "../signals/probe.ts";
import type { SourceDeps } from "../signals/types.ts";
import type { Memory } from "./memory.ts";

export interface ProberDeps {
  clock: Clock;
  memory: Memory;
  /** IP and port of a candidate's ready pods; the port by its name or number in the deployment's probe. */
  targets(key: string, revision: number, port: string | number): { name: string; ip: string; port?: number }[];
  onAnswer(key: string): void;
  /** In place of connections of its own; left open at the end. */
  dispatcher?: SourceDeps["dispatcher"];
}

type Status = NonNullable<ModelDeployment["status"]>;
type Probe = NonNullable<ModelDeployment["spec"]["probe"]>;

const BETWEEN_ATTEMPTS_MS = 500;
/** Between rounds in which a pod gave no answer at all. */
const AGAIN_MS = 2000;

export class Prober {
  #deps: ProberDeps;
  #own = probeDispatcher();
  #dispatcher: NonNullable<SourceDeps["dispatcher"]>;
  #running = new Map<string, AbortController>();

  constructor(deps: ProberDeps) {
    this.#deps = deps;
    this.#dispatcher = deps.dispatcher ?? this.#own;
  }

  /** Probes the snapshot's candidate, once for its content, when its pods are ready. */
  follow(key: string, snapshot: Snapshot): void {
    const status = snapshot.deployment.status ?? {};
    const { candidate } = status;
    const probe = snapshot.deployment.spec.probe;
    const child = snapshot.children.find((one) => one.revision === candidate?.revision);
    const ready = child !== undefined && child.current >= candidateSize(snapshot.deployment, status) && child.current > 0;
    if (!candidate || !probe || !ready) {
      this.forget(key);
      return;
    }
    const known = this.#deps.memory.probe(key, status)?.outcome;
    if (this.#running.has(key) || known === "Passed" || known === "Failed") return;
    const abort = new AbortController();
    this.#running.set(key, abort);
    void this.#run(key, { ...status, candidate }, probe, abort.signal);
  }

  forget(key: string): void {
    this.#running.get(key)?.abort(new Error("no longer probed"));
    this.#running.delete(key);
  }

  async stop(): Promise<void> {
    for (const key of [...this.#running.keys()]) this.forget(key);
    await this.#own.destroy();
  }

  async #run(key: string, status: Status & { candidate: RevisionRef }, probe: Probe, signal: AbortSignal): Promise<void> {
    const { memory, onAnswer, clock } = this.#deps;
    const { candidate } = status;
    while (!signal.aborted) {
      const facts = await this.#all(key, candidate.revision, probe, signal).catch(
        // Ours or the network's fault, never the model's: asked again.
        (): ProbeFacts => ({ revision: candidate.revision, outcome: "Running", message: "the probe could not be asked" }),
      );
      if (signal.aborted) return;
      memory.probed(key, status, facts);
      onAnswer(key);
      if (facts.outcome !== "Running") break;
      await sleep(clock, AGAIN_MS, signal).catch(() => undefined);
    }
    if (!signal.aborted) this.#running.delete(key);
  }

  async #all(key: string, revision: number, probe: Probe, signal: AbortSignal): Promise<ProbeFacts> {
    let message = "no pod is ready to be asked";
    const targets = this.#deps.targets(key, revision, probe.port);
    for (const target of targets) {
      const answer: ProbeAnswer =
        target.port === undefined
          ? { outcome: "Failed", message: `probe.port: the container has no port ${probe.port}` }
          : await this.#attempts(requestOf(probe), { ip: target.ip, port: target.port }, probe.attempts, signal);
      message = `${target.name}: ${answer.message}`;
      // No answer may be the network's or a pod's that is going: only an answer that is not as expected is the model's.
      if (answer.outcome === "NoAnswer") return { revision, outcome: "Running", message };
      if (answer.outcome === "Failed") return { revision, outcome: "Failed", message };
    }
    return { revision, outcome: targets.length > 0 ? "Passed" : "Running", message };
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

function requestOf(probe: Probe): ProbeRequest {
  return {
    path: probe.path,
    method: probe.method,
    headers: probe.headers ?? [],
    ...(probe.body === undefined ? {} : { body: probe.body }),
    timeoutMs: parseDuration(probe.timeout),
    expect: probe.expect,
  };
}
