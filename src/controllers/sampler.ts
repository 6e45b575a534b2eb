// Asks each check of each judged revision at its interval and keeps what it answers: the only owner of the sample windows.
// One timer a check and revision; a slow source delays its own checks and nobody else's.

import type { Clock, Timer } from "../clock.ts";
import { noteRestarts, type RestartHistory, restartedShare, unreadyShare } from "../core/builtin.ts";
import type { Check, Policy } from "../core/policy.ts";
import type { PodFacts } from "../core/snapshot.ts";
import { isBeyond } from "../core/verdict.ts";
import { addReading, type CheckWindow, emptyWindow, isCurrent, type Reading } from "../core/window.ts";
import type { PodTarget, Query, Source, Variables } from "../signals/types.ts";

/** One check of one revision that is to be asked. */
export interface Job {
  check: Check;
  revision: number;
  /** ms epoch; see `judgedFrom` in core/evidence.ts. */
  judgedFrom: number;
  policy: Policy;
  variables: Variables;
  /** How long a pod that was never ready may be loading before that counts against it, ms. */
  graceMs: number;
}

export interface SamplerDeps {
  clock: Clock;
  /** The API server's time, ms epoch. */
  now(): number;
  /** The source of that name for that namespace, or why there is none in words. */
  source(name: string, namespace: string): Source | string;
  /** The pods of a revision as they are now. */
  pods(key: string, revision: number, source?: string): { facts: PodFacts[]; targets: PodTarget[] };
  /** A new sample is there; `urgent` where it lies beyond a threshold. */
  onSample(key: string, urgent: boolean): void;
  /** For the operator's own metrics. */
  onReading(source: string, kind: string, seconds: number): void;
}

interface Entry {
  job: Job;
  window: CheckWindow;
  timer?: Timer;
  abort: AbortController;
}

interface Subject {
  entries: Map<string, Entry>;
  restarts: Map<number, RestartHistory>;
  /** Pods that were ready once; only of them is it known that they could be. */
  ready: Set<string>;
}

/** From here on pods that are gone are forgotten. */
const MANY_PODS = 256;

const idOf = (job: Pick<Job, "revision" | "check">) => `${job.revision}/${job.check.name}`;

export class Sampler {
  #deps: SamplerDeps;
  #subjects = new Map<string, Subject>();

  constructor(deps: SamplerDeps) {
    this.#deps = deps;
  }

  /** Asks exactly these jobs of a deployment from now on. Windows go on where check and judging are the same. */
  follow(key: string, jobs: readonly Job[]): void {
    const subject = this.#subjects.get(key) ?? { entries: new Map(), restarts: new Map(), ready: new Set<string>() };
    this.#subjects.set(key, subject);
    const wanted = new Set(jobs.map(idOf));
    for (const [id, entry] of subject.entries) if (!wanted.has(id)) drop(subject, id, entry);
    for (const job of jobs) {
      const entry = subject.entries.get(idOf(job));
      if (!entry) this.#begin(key, subject, job);
      else {
        const asked = entry.job;
        entry.job = job;
        if (!isCurrent(entry.window, job.check, job.judgedFrom)) entry.window = emptyWindow(job.check, job.judgedFrom);
        // A tightened interval must not wait for the old timer.
        if (asked.check.intervalMs !== job.check.intervalMs) this.#schedule(key, subject, entry, 0);
      }
    }
    if (jobs.length === 0) this.#subjects.delete(key);
  }

  /** What was measured of each revision. The windows are live: read them before the next turn of the event loop. */
  windows(key: string): Record<number, CheckWindow[]> {
    const result: Record<number, CheckWindow[]> = {};
    for (const { job, window } of this.#subjects.get(key)?.entries.values() ?? []) {
      const list = result[job.revision] ?? [];
      list.push(window);
      result[job.revision] = list;
    }
    return result;
  }

  forget(key: string): void {
    this.follow(key, []);
  }

  stop(): void {
    for (const key of [...this.#subjects.keys()]) this.forget(key);
  }

  #begin(key: string, subject: Subject, job: Job): void {
    const entry: Entry = { job, window: emptyWindow(job.check, job.judgedFrom), abort: new AbortController() };
    subject.entries.set(idOf(job), entry);
    this.#schedule(key, subject, entry, 0);
  }

  #schedule(key: string, subject: Subject, entry: Entry, delay: number): void {
    entry.timer?.cancel();
    entry.timer = this.#deps.clock.after(delay, () => {
      void this.#ask(key, subject, entry);
    });
  }

  async #ask(key: string, subject: Subject, entry: Entry): Promise<void> {
    const started = this.#deps.clock.monotonic();
    const { job } = entry;
    const reading = await this.#read(key, subject, entry).catch(
      (): Reading => ({ at: this.#deps.now(), kind: "Error", message: "the reading was given up" }),
    );
    const took = this.#deps.clock.monotonic() - started;
    if (job.check.source !== undefined) this.#deps.onReading(job.check.source, reading.kind, took / 1000);
    if (entry.abort.signal.aborted) return;
    // While it was asked, the judging may have begun anew: an answer to the old question is thrown away.
    if (entry.job === job || isCurrent(entry.window, job.check, job.judgedFrom))
      addReading(entry.window, entry.job.check, reading);
    this.#schedule(key, subject, entry, Math.max(entry.job.check.intervalMs - took, 1));
    const bad = reading.value !== undefined && job.check.threshold !== undefined && isBeyond(reading.value, job.check.threshold);
    this.#deps.onSample(key, bad);
  }

  async #read(key: string, subject: Subject, entry: Entry): Promise<Reading> {
    const { job } = entry;
    const { check } = job;
    if (check.source === undefined) return this.#builtIn(key, subject, job);
    const source = this.#deps.source(check.source, job.variables.namespace);
    if (typeof source === "string") return { at: this.#deps.now(), kind: "Error", message: source };
    return source.read(queryOf(job, this.#deps.pods(key, job.revision, check.source).targets), entry.abort.signal);
  }

  #builtIn(key: string, subject: Subject, job: Job): Reading {
    const { facts } = this.#deps.pods(key, job.revision);
    const at = this.#deps.now();
    if (job.check.kind === "Available") {
      for (const pod of facts) if (pod.ready) subject.ready.add(pod.name);
      if (subject.ready.size > MANY_PODS)
        subject.ready = new Set(facts.filter((pod) => subject.ready.has(pod.name)).map((pod) => pod.name));
      return unreadyShare(facts, at, (pod) => !subject.ready.has(pod.name) && at - Date.parse(pod.createdAt) < job.graceMs);
    }
    const history = subject.restarts.get(job.revision) ?? new Map();
    subject.restarts.set(job.revision, history);
    noteRestarts(history, facts, at, job.policy.restarts.inMs);
    return restartedShare(history, facts, job.policy.restarts.failures, at);
  }
}

function drop(subject: Subject, id: string, entry: Entry): void {
  entry.timer?.cancel();
  entry.abort.abort(new Error("no longer judged"));
  subject.entries.delete(id);
  const revision = entry.job.revision;
  if (![...subject.entries.values()].some((one) => one.job.revision === revision)) subject.restarts.delete(revision);
}

function queryOf({ check, variables }: Job, pods: PodTarget[]): Query {
  const common = {
    windowMs: check.windowMs,
    intervalMs: check.intervalMs,
    variables,
    pods,
    ...(check.freshness === undefined ? {} : { freshness: check.freshness }),
  };
  if (check.kind === "Ratio")
    return { kind: "ratio", numerator: check.numerator ?? "", denominator: check.denominator ?? "", ...common };
  return { kind: "scalar", query: check.query ?? "", ...common };
}
