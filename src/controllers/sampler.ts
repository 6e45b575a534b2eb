// Asks each check of each judged revision at its interval and keeps what it answers: the only owner of the sample windows.
// One timer a check and revision; a slow source delays its own checks and nobody else's. After a restart a window is filled from
// the source's history, where it has one.

import type { Clock, Timer } from "../clock.ts";
import { noteRestarts, type RestartHistory, restartedShare, unreadyShare } from "../core/builtin.ts";
import type { Check, Policy } from "../core/policy.ts";
import type { PodFacts } from "../core/snapshot.ts";
import { isBeyond, type Stage } from "../core/verdict.ts";
import { addReading, type CheckWindow, emptyWindow, isCurrent, type Reading } from "../core/window.ts";
import type { PodTarget, Query, Source, Variables } from "../signals/types.ts";
import { firstOfJudging, nextSlot, refillSpan } from "./schedule.ts";

/** One check of one revision that is to be asked. */
export interface Job {
  check: Check;
  revision: number;
  /** When its judging began, ms epoch; see `judgingSince` in core/evidence.ts. */
  since: number;
  /** When its samples begin to count, ms epoch; see `judgedFrom` there. */
  judgedFrom: number;
  stage: Stage;
  /**
   * Samples of the past count from here on, ms epoch: nothing from before the check was what it is now. Absent: none do, since
   * nobody watched when the policy changed.
   */
  countsFrom?: number;
  policy: Policy;
  variables: Variables;
  /** How long a pod that was never ready may be loading before that counts against it, ms. */
  graceMs: number;
}

/** A new sample, for those who decide what to do about it. */
export interface SampleNotice {
  /** Look at once. */
  urgent: boolean;
  /** It lies beyond the check's threshold. */
  bad: boolean;
  /** It can be told whether it does: a value, of enough samples where it is a ratio. */
  usable: boolean;
  check: string;
  /** Absent: a built-in check. */
  source?: string;
  revision: number;
  /** Its own time, ms epoch. */
  at: number;
}

export interface SamplerDeps {
  clock: Clock;
  /** The API server's time, ms epoch. */
  now(): number;
  /** The source of that check for that namespace, or why there is none in words. */
  source(check: Check, namespace: string): Source | string;
  /** The pods of a revision as they are now. */
  pods(key: string, revision: number, source?: string): { facts: PodFacts[]; targets: PodTarget[] };
  onSample(key: string, notice: SampleNotice): void;
  /** For the operator's own metrics, and the status of the source. */
  onReading(source: string, kind: string, seconds: number, message?: string): void;
}

interface Entry {
  job: Job;
  window: CheckWindow;
  timer?: Timer;
  /** When the next sample is due, monotonic ms. */
  dueAt: number;
  /** When the last one that was due was asked, monotonic ms. */
  askedAt: number;
  abort: AbortController;
}

interface Subject {
  entries: Map<string, Entry>;
  restarts: Map<number, RestartHistory>;
  /** Pods that were ready once; only of them is it known that they could be. */
  ready: Set<string>;
}

/** Timers may be this early. */
const EARLY_MS = 5;
/** Of an interval, between two samples: what was late is made up for by the rest. */
const LEAST_DISTANCE = 0.98;

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
    const known = this.#subjects.get(key);
    const subject = known ?? { entries: new Map(), restarts: new Map(), ready: new Set<string>() };
    this.#subjects.set(key, subject);
    const wanted = new Set(jobs.map(idOf));
    for (const [id, entry] of subject.entries) if (!wanted.has(id)) drop(subject, id, entry);
    for (const job of jobs) {
      const entry = subject.entries.get(idOf(job));
      if (!entry) this.#begin(key, subject, job, known === undefined);
      else {
        entry.job = job;
        if (isCurrent(entry.window, job.check, job.since)) continue;
        // A judging that begins, or a check that changed: neither waits for the old timer, nor takes anything of the past.
        entry.window = emptyWindow(job.check, job.judgedFrom, job.since);
        this.#start(key, subject, entry);
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

  /** @param first this process did not know the deployment before: what is judged already was judged by another */
  #begin(key: string, subject: Subject, job: Job, first: boolean): void {
    const window = emptyWindow(job.check, job.judgedFrom, job.since);
    if (first && job.judgedFrom < this.#deps.now()) window.resumed = true;
    const entry: Entry = { job, window, abort: new AbortController(), dueAt: 0, askedAt: Number.NEGATIVE_INFINITY };
    subject.entries.set(idOf(job), entry);
    const source = first ? this.#historyOf(job) : undefined;
    if (source) void this.#refill(key, subject, entry, source);
    else this.#start(key, subject, entry);
  }

  /** The source's history, where the judging is older than an interval. */
  #historyOf({ check, variables, judgedFrom, countsFrom }: Job): Required<Source> | undefined {
    if (check.source === undefined || countsFrom === undefined) return undefined;
    if (judgedFrom > this.#deps.now() - check.intervalMs) return undefined;
    const source = this.#deps.source(check, variables.namespace);
    return typeof source !== "string" && hasHistory(source) ? source : undefined;
  }

  #start(key: string, subject: Subject, entry: Entry): void {
    const { check, judgedFrom } = entry.job;
    const monotonic = this.#deps.clock.monotonic();
    const beginsInMs = judgedFrom - this.#deps.now();
    // What is built in costs no query; it needs no slot.
    const delay = check.source === undefined ? 0 : firstOfJudging(monotonic, beginsInMs, check.intervalMs);
    entry.dueAt = monotonic + delay;
    entry.askedAt = Number.NEGATIVE_INFINITY;
    // Before samples count one is asked at once: whether the source answers, and for those that have to begin to gather.
    this.#schedule(key, subject, entry, beginsInMs > 0 ? 0 : delay);
  }

  /** Fills the window from the source's history, then goes on in the deployment's slot. Where that fails, the window begins anew. */
  async #refill(key: string, subject: Subject, entry: Entry, source: Required<Source>): Promise<void> {
    const { clock, now, onSample } = this.#deps;
    const { job, window } = entry;
    const { check, revision } = job;
    const delay = nextSlot(key, clock.monotonic(), check.intervalMs);
    entry.dueAt = clock.monotonic() + delay;
    const span = refillSpan(check, job.policy, job.stage, job.countsFrom ?? job.judgedFrom, now() + delay);
    // Asking waits for the past, but no longer than until the second sample is due.
    const late = new AbortController();
    const limit = clock.after(delay + check.intervalMs, () => late.abort(new Error("the past comes too late")));
    const signal = AbortSignal.any([entry.abort.signal, late.signal]);
    const readings = span ? await source.readRange(queryOf(job, []), span, signal).catch(() => []) : [];
    limit.cancel();
    // Meanwhile it may have been dropped, or begun anew.
    if (entry.abort.signal.aborted || entry.window !== window) return;
    const [first] = readings;
    const failed = readings.length === 1 && first?.kind !== "Value";
    for (const reading of failed ? [] : readings) addReading(window, check, reading);
    const last = readings.at(-1);
    if (last && !failed) {
      // Any of them may complete a breach; what is so now is the last one.
      const urgent = readings.some((reading) => isBad(check, reading));
      onSample(key, { ...noticeOf(check, revision, last), urgent });
    }
    this.#next(key, subject, entry);
  }

  /**
   * The next tick that is still to come, in the phase of the last. After one that was late it may be a little later: two samples
   * that are too near each other would count as one.
   */
  #next(key: string, subject: Subject, entry: Entry): void {
    const monotonic = this.#deps.clock.monotonic();
    const { intervalMs } = entry.job.check;
    if (entry.dueAt < monotonic) entry.dueAt += Math.ceil((monotonic - entry.dueAt) / intervalMs) * intervalMs;
    const next = Math.max(entry.dueAt, entry.askedAt + LEAST_DISTANCE * intervalMs);
    this.#schedule(key, subject, entry, next - monotonic);
  }

  #schedule(key: string, subject: Subject, entry: Entry, delay: number): void {
    entry.timer?.cancel();
    entry.timer = this.#deps.clock.after(delay, () => {
      const monotonic = this.#deps.clock.monotonic();
      if (monotonic > entry.dueAt - EARLY_MS) {
        entry.dueAt += entry.job.check.intervalMs;
        entry.askedAt = monotonic;
      }
      void this.#ask(key, subject, entry);
    });
  }

  async #ask(key: string, subject: Subject, entry: Entry): Promise<void> {
    const started = this.#deps.clock.monotonic();
    const { job, timer } = entry;
    const { check, revision } = job;
    const source = check.source === undefined ? undefined : this.#deps.source(check, job.variables.namespace);
    const reading = await this.#read(key, subject, entry, source).catch(
      (): Reading => ({ at: this.#deps.now(), kind: "Error", message: "the reading was given up" }),
    );
    const took = this.#deps.clock.monotonic() - started;
    // Only of a source that was asked: a policy may name any, and what is said of a source is everybody's.
    if (check.source !== undefined && typeof source === "object")
      this.#deps.onReading(check.source, reading.kind, took / 1000, reading.message);
    if (entry.abort.signal.aborted) return;
    // While it was asked, the judging may have begun anew: an answer to the old question is thrown away.
    if (entry.job === job || isCurrent(entry.window, check, job.since)) addReading(entry.window, entry.job.check, reading);
    if (entry.timer === timer) this.#next(key, subject, entry);
    this.#deps.onSample(key, noticeOf(check, revision, reading));
  }

  async #read(key: string, subject: Subject, entry: Entry, source: Source | string | undefined): Promise<Reading> {
    const { job } = entry;
    const { check } = job;
    if (source === undefined) return this.#builtIn(key, subject, job);
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

function hasHistory(source: Source): source is Required<Source> {
  return source.readRange !== undefined;
}

function isBad(check: Check, reading: Reading): boolean {
  return reading.value !== undefined && check.threshold !== undefined && isBeyond(reading.value, check.threshold);
}

function noticeOf(check: Check, revision: number, reading: Reading): SampleNotice {
  const bad = isBad(check, reading);
  const enough = check.kind !== "Ratio" || (reading.denominator ?? 0) >= check.minSamples;
  const usable = reading.kind === "Value" && check.threshold !== undefined && enough;
  const source = check.source === undefined ? {} : { source: check.source };
  return { urgent: bad, bad, usable, check: check.name, revision, at: reading.at, ...source };
}

function drop(subject: Subject, id: string, entry: Entry): void {
  entry.timer?.cancel();
  entry.abort.abort(new Error("no longer judged"));
  subject.entries.delete(id);
  const revision = entry.job.revision;
  if (![...subject.entries.values()].some((one) => one.job.revision === revision)) subject.restarts.delete(revision);
}

/** What a source is asked for a check. */
export function queryOf({ check, variables }: Pick<Job, "check" | "variables">, pods: PodTarget[]): Query {
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
