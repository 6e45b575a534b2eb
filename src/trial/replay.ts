// What a policy would have done with recorded metrics: the stage plays the recording to the operator's own decisions.
//
// A return moves the traffic to a revision of which nothing was recorded. So each incident is noted, and when its cooldown is over
// the same series goes on being judged as that of a fresh proven revision: it is what really served then.

import { baselineLimits } from "../core/baseline.ts";
import type { Check, Policy, Severity } from "../core/policy.ts";
import { isBeyond } from "../core/verdict.ts";
import type { Reading } from "../core/window.ts";
import { opening, proved, settle } from "./opening.ts";
import type { Recording } from "./recording.ts";
import type { Stage } from "./stage.ts";

/** A return that would have been made, or shown. */
export interface Incident {
  kind: "Returned" | "Recommended" | "Observed";
  at: number;
  check: string;
  message: string;
  /** The first bad sample of the run that led to it. */
  firstBadAt: number;
}

/** A time in which a check was breached. */
export interface BreachSpan {
  check: string;
  severity: Severity;
  firstBadAt: number;
  seenAt: number;
  /** Absent: still breached at the end, or its revision was left. */
  untilAt?: number;
}

/** What kept a breach from being returned from. */
export interface HeldSpan {
  reason: string;
  message: string;
  at: number;
  untilAt: number;
}

export interface Replayed {
  name: string;
  fromMs: number;
  toMs: number;
  incidents: Incident[];
  breaches: BreachSpan[];
  held: HeldSpan[];
  /** When it began with baking: when it was proven. */
  provenAt?: number;
  checks: { name: string; severity: Severity; threshold?: { min?: number; max?: number }; samples: number; missing: number }[];
}

export interface ReplayInput {
  name: string;
  policy: Policy;
  recording: Recording;
  fromMs: number;
  toMs: number;
  /** The revision has just got the traffic and bakes; otherwise it is proven, with a warm proven one behind it. */
  bake?: boolean;
  /** Validation metrics of the version, by name. */
  metrics?: Record<string, number>;
}

export function replay(input: ReplayInput): Replayed {
  const play = new Play({ ...input, policy: { ...input.policy, checks: recordable(input.policy) } });
  play.run();
  return play.result;
}

/** Nothing is recorded of pods: the built-in checks are left out, unless nothing else could prove a revision. */
function recordable({ checks }: Policy): Check[] {
  const asked = checks.filter((check) => check.source !== undefined);
  return asked.some((check) => check.severity === "Critical" && check.threshold) ? asked : checks;
}

class Play {
  readonly result: Replayed;
  readonly #input: ReplayInput;
  readonly #taken = new Map<string, number>();
  #stage: Stage;
  #done = false;

  constructor(input: ReplayInput) {
    this.#input = input;
    const { name, fromMs, toMs, policy, recording } = input;
    const within = (check: Check) => (recording.get(check.name) ?? []).filter(({ at }) => at >= fromMs && at <= toMs);
    this.result = {
      name,
      fromMs,
      toMs,
      incidents: [],
      breaches: [],
      held: [],
      checks: policy.checks
        .filter((check) => check.source !== undefined)
        .map((check) => ({
          name: check.name,
          severity: check.severity,
          ...(check.threshold ? { threshold: { ...check.threshold } } : {}),
          samples: within(check).length,
          missing: within(check).filter((one) => one.kind !== "Value").length,
        })),
    };
    this.#stage = this.#begin(fromMs, input.bake ?? false);
  }

  run(): void {
    const { toMs, policy } = this.#input;
    while (this.#stage.now < toMs) {
      this.#stage.step(toMs);
      this.#watch();
      if (!this.#done) continue;
      this.#done = false;
      const resume = Math.min(this.#stage.now + policy.cooldownMs, toMs);
      if (resume >= toMs) return;
      const { returns = [] } = this.#stage.status;
      this.#closeBreaches(undefined);
      this.#stage = this.#begin(resume, false);
      this.#stage.deployment.status = { ...this.#stage.status, returns };
    }
  }

  /** r2 serves from `at` on, proven or baking, with a warm proven r1 behind it. */
  #begin(at: number, bake: boolean): Stage {
    const arrange = (now: number) => {
      const one = proved(opening(this.#input.policy, { now }), "v1").pin("v2");
      if (!bake) return proved(one, "v2");
      settle(one, 3_600_000, () => one.status.active?.revision === 2 && one.status.active.settledAt !== undefined);
      return one;
    };
    // The way there is played twice: first to see how long it takes.
    const stage = arrange(at - (arrange(0).now - 0));
    const { policy, metrics = {} } = this.#input;
    stage.policy = policy;
    stage.windows.clear();
    const baseline = this.#baseline();
    for (const known of stage.cluster.revisions) Object.assign(known, { baseline, validationMetrics: metrics });
    stage.measure = (check) => this.#measure(check, stage.now);
    return stage;
  }

  /** What the recording itself measured in its first `bake` stands for the baseline of the last healthy revision; bad samples don't. */
  #baseline() {
    const { policy, recording, fromMs } = this.#input;
    return policy.checks.flatMap((check) => {
      const values = (recording.get(check.name) ?? []).filter(
        ({ at, value }) =>
          value !== undefined &&
          at >= fromMs &&
          at < fromMs + policy.bakeMs &&
          !(check.threshold && isBeyond(value, check.threshold)),
      );
      const first = values[0];
      const last = values.at(-1);
      if (!first || !last) return [];
      const value = values.reduce((sum, one) => sum + (one.value ?? 0), 0) / values.length;
      const iso = (ms: number) => new Date(ms).toISOString();
      return [{ name: check.name, value, samples: values.length, from: iso(first.at), to: iso(last.at) }];
    });
  }

  /** The newest reading that is there by now and was not taken yet. */
  #measure(check: Check, now: number): Reading | undefined {
    const index = lastAt(this.#input.recording.get(check.name) ?? [], now);
    const reading = this.#input.recording.get(check.name)?.[index];
    if (!reading || reading.at <= (this.#taken.get(check.name) ?? Number.NEGATIVE_INFINITY)) return undefined;
    this.#taken.set(check.name, reading.at);
    return reading;
  }

  #watch(): void {
    const { status, now, last } = this.#stage;
    this.#watchBreaches();
    const first = this.result.incidents.length === 0 && this.result.provenAt === undefined;
    if (this.#input.bake && first && status.active?.revision === 2 && !status.active.baking) this.result.provenAt = now;
    const { rollback, recommendation } = status;
    if (rollback?.trigger === "Breach" && rollback.outcome === undefined) {
      const at = Date.parse(rollback.decidedAt ?? "");
      this.#incident({ kind: "Returned", at, check: rollback.check ?? "", message: rollback.message ?? "" });
      this.#done = true;
      return;
    }
    if (recommendation) {
      const at = Date.parse(recommendation.since ?? "");
      const kind = recommendation.mode === "Observe" ? "Observed" : "Recommended";
      const known = this.result.incidents.some((one) => one.kind === kind && one.at === at);
      if (!known) this.#incident({ kind, at, check: recommendation.check ?? "", message: recommendation.message ?? "" });
    }
    const held = last?.held.find((one) => one.rule === "active-breached");
    if (held && !recommendation) this.#hold(held.reason, held.message, now);
  }

  #incident(incident: Omit<Incident, "firstBadAt">): void {
    this.result.incidents.push({ ...incident, firstBadAt: this.#firstBad(incident.check, incident.at) });
  }

  #hold(reason: string, message: string, now: number): void {
    const open = this.result.held.at(-1);
    const longest = 2 * Math.max(...this.#input.policy.checks.map((one) => one.intervalMs));
    if (open && open.reason === reason && now - open.untilAt <= longest) open.untilAt = now;
    else this.result.held.push({ reason, message, at: now, untilAt: now });
  }

  #watchBreaches(): void {
    const { status, now } = this.#stage;
    for (const check of this.#input.policy.checks) {
      const line = status.checks?.find((one) => one.name === check.name && one.revision === status.active?.revision);
      const open = this.result.breaches.find((one) => one.check === check.name && one.untilAt === undefined);
      if (line?.verdict === "Breached" && !open) {
        const firstBadAt = this.#firstBad(check.name, now);
        this.result.breaches.push({ check: check.name, severity: check.severity, firstBadAt, seenAt: now });
      } else if (line?.verdict === "Healthy" && open) open.untilAt = now;
    }
  }

  #closeBreaches(at: number | undefined): void {
    for (const open of this.result.breaches) if (open.untilAt === undefined) open.untilAt = at ?? this.#stage.now;
  }

  /** Where the run of bad samples before `at` began; as many good ones in between as the check forgives. */
  #firstBad(name: string, at: number): number {
    const check = this.#input.policy.checks.find((one) => one.name === name);
    const readings = this.#input.recording.get(name) ?? [];
    if (!check) return at;
    const forgiven = check.breach.of - check.breach.count;
    let first = at;
    let good = 0;
    for (let index = lastAt(readings, at); index >= 0 && good <= forgiven; index--) {
      const reading = readings[index];
      if (!reading || reading.at < this.#input.fromMs) break;
      if (reading.kind !== "Value" || reading.value === undefined) continue;
      if (this.#isBad(check, reading.value)) {
        first = reading.at;
        good = 0;
      } else good++;
    }
    return first;
  }

  #isBad(check: Check, value: number): boolean {
    if (check.threshold && isBeyond(value, check.threshold)) return true;
    const { metric, from } = check.baseline ?? {};
    const baseline =
      from === "ValidationMetric"
        ? this.#input.metrics?.[metric ?? check.name]
        : this.#stage.cluster.revisions[0]?.baseline.find((one) => one.name === check.name)?.value;
    const limits = baseline === undefined ? undefined : baselineLimits(check, { value: baseline });
    return limits !== undefined && isBeyond(value, limits);
  }
}

/** Index of the newest reading at or before `at`, -1 where there is none. */
function lastAt(readings: readonly Reading[], at: number): number {
  let low = 0;
  let high = readings.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((readings[middle]?.at ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
