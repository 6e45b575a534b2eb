// Plays one situation on a stage and says what the operator's own decisions made of it, when, and why.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { Check, Policy } from "../core/policy.ts";
import { opening, POD_START_MS, proved, settle, settleMs } from "./opening.ts";
import { type Cell, type CheckLine, cell, ended, judged, lineOf } from "./outcome.ts";
import { type Data, reading } from "./readings.ts";
import type { Situation } from "./situations.ts";
import type { Stage } from "./stage.ts";

const START = Date.parse("2026-11-24T10:00:00Z");
const HOUR = 3_600_000;

const iso = (ms: number) => new Date(ms).toISOString();

/** Plays situations of one policy; the way to each of them is gone once and shared. */
export class Theatre {
  readonly #policy: Policy;
  readonly #spec: Partial<ModelDeployment["spec"]>;
  /** r1 proven and alone; r2 proven with r1 behind it. */
  readonly #one: Stage;
  readonly #two: Stage;

  constructor(policy: Policy, spec: Partial<ModelDeployment["spec"]> = {}) {
    this.#policy = policy;
    this.#spec = spec;
    this.#one = proved(this.#first(), "v1");
    this.#two = proved(this.#one.fork().pin("v2"), "v2");
  }

  #first(): Stage {
    return opening(this.#policy, { now: START, spec: this.#spec });
  }

  play(situation: Situation): Cell {
    return situation.check ? this.#bad(situation, situation.check) : this.#healthy(situation);
  }

  #healthy(situation: Situation): Cell {
    const bake = situation.moment === "Bake";
    const stage = bake ? this.#one.fork().pin("v2") : this.#pinned(this.#one.fork(), "v2");
    this.#hinder(stage, situation);
    const began = stage.now;
    if (!bake) {
      const moves = () => stage.cluster.selects === 2 || stage.status.rollout?.step !== undefined;
      settle(stage, 2 * POD_START_MS, moves);
      const moved = moves();
      const held = stage.last?.held.at(-1);
      return moved
        ? cell(situation, "Switches", "TrafficSwitched", "pods are ready and the probe was answered", began, {
            switched: stage.now,
          })
        : cell(situation, "Holds", held?.reason ?? "Progressing", held?.message ?? "", began);
    }
    settle(stage, 2 * POD_START_MS, () => stage.cluster.selects === 2);
    const switched = stage.now;
    settle(stage, Math.min(this.#policy.bakeMs, HOUR) + settleMs(this.#policy), () => stage.status.active?.standing === "Proven");
    const proven = stage.status.active?.standing === "Proven";
    const { outcome, message } = stage.status.history?.at(-1) ?? {};
    if (!proven) return cell(situation, "Nothing", stage.status.reason ?? "", stage.status.message ?? "", switched);
    return cell(situation, "Proves", outcome ?? "Proven", message ?? "", switched, { decided: stage.now });
  }

  #bad(situation: Situation, check: Check): Cell {
    const stage = this.#approach(situation, check);
    this.#hinder(stage, situation);
    const before = structuredClone(stage.status);
    const began = this.#spoil(stage, situation, check);
    const missing = situation.data === "Missing" || situation.data === "Silent";
    const bake = situation.moment === "Bake" && situation.data !== "Bad" ? Math.min(this.#policy.bakeMs, HOUR) : 0;
    const wait = Math.max(
      settleMs(this.#policy) + bake,
      missing && situation.moment === "Guard" ? Math.min(this.#policy.missingData.afterMs + check.intervalMs, HOUR) : 0,
      this.#startMs(situation, check),
    );
    let line: CheckLine | undefined;
    if (situation.moment === "Rollout" && check.source !== undefined) {
      // Judged while the probe still runs; then the gate says whether it may have the traffic.
      stage.probe = () => "Running";
      settle(stage, settleMs(this.#policy), () => ended(stage, before));
      line = lineOf(stage, check, 3);
      stage.probe = () => "Passed";
      settle(stage, check.intervalMs, () => ended(stage, before) || stage.status.active?.revision === 3);
    } else settle(stage, wait, () => ended(stage, before) || (bake > 0 && !stage.status.active?.baking));
    return judged(stage, situation, line ?? lineOf(stage, check, this.#judgedRevision(stage, situation)), before, began());
  }

  #judgedRevision({ status }: Stage, { moment }: Situation): number | undefined {
    return moment === "Shift" ? (status.candidate?.revision ?? status.active?.revision) : status.active?.revision;
  }

  /** How long pods are waited for: those of a candidate that fail, or those of a cold target. */
  #startMs({ moment, standby }: Situation, check: Check): number {
    if (moment === "Rollout" && check.source === undefined) return HOUR;
    return standby === "Cold" ? settleMs(this.#policy) + 2 * POD_START_MS : 0;
  }

  /** Goes to where the situation begins. */
  #approach({ moment, standby }: Situation, check: Check): Stage {
    switch (moment) {
      case "Rollout":
        return this.#pinned(this.#two.fork(), "v3");
      case "Shift": {
        const stage = this.#pinned(this.#two.fork(), "v3");
        settle(stage, HOUR, () => stage.status.rollout?.step !== undefined);
        return stage;
      }
      case "Bake": {
        const stage = standby === "None" ? this.#first() : this.#one.fork().pin("v2");
        const revision = standby === "None" ? 1 : 2;
        settle(stage, HOUR, () => stage.cluster.selects === revision && stage.status.active?.settledAt !== undefined);
        return stage;
      }
      case "Guard": {
        const stage = standby === "None" ? this.#one.fork() : this.#two.fork();
        if (standby === "Cold") {
          const { strategy } = stage.deployment.spec;
          stage.deployment.spec.strategy = { ...strategy, standby: { replicas: "100%", for: "0s" } } as typeof strategy;
          stage.pass();
          settle(stage, 1000, () => stage.cluster.children.get(1)?.replicas === 0);
        }
        return stage;
      }
      default:
        return this.#returned(moment === "VerifySame" ? check : this.#other(check));
    }
  }

  /** By the strategy that is really in force. */
  #pinned(stage: Stage, version: string): Stage {
    const { strategy } = this.#spec;
    if (strategy) stage.deployment.spec = { ...stage.deployment.spec, strategy };
    return stage.pin(version);
  }

  #other(check: Check): Check {
    const returns = (one: Check) => one !== check && this.#policy.actions[one.severity] === "Rollback" && one.threshold;
    return (
      this.#policy.checks.find((one) => returns(one) && one.severity === "Critical") ?? this.#policy.checks.find(returns) ?? check
    );
  }

  /** r2 was left for r1 because of `cause`, and r1 is about to be verified. */
  #returned(cause: Check): Stage {
    const stage = this.#two.fork();
    spoilOne(stage, cause, 2, "Bad", 1);
    settle(stage, settleMs(this.#policy), () => stage.status.rollback?.restoredAt !== undefined);
    return stage;
  }

  /** Puts the policy in force as it is, and what is in the way. */
  #hinder(stage: Stage, { limiter, moment, data }: Situation): void {
    const { cooldownMs, budget } = this.#policy;
    // A long bake is not waited for where only the gate is looked at.
    const bakeMs = moment === "Bake" && data !== "Bad" ? Math.min(this.#policy.bakeMs, HOUR) : this.#policy.bakeMs;
    stage.policy = { ...this.#policy, bakeMs, freeze: [] };
    const returns = (count: number, at: number) =>
      Array.from({ length: count }, () => ({ at: iso(at), check: "earlier", proven: true }));
    switch (limiter) {
      case "Cooldown":
        stage.deployment.status = { ...stage.status, returns: returns(1, stage.now) };
        break;
      case "Budget":
        stage.deployment.status = { ...stage.status, returns: returns(budget.limit, stage.now - cooldownMs) };
        break;
      case "Frozen":
        stage.policy = { ...stage.policy, freeze: [{ schedule: "0 10 24 11 *", durationMs: 24 * HOUR, timeZone: "UTC" }] };
        break;
      case "Breaker":
        stage.storm = { message: "many deployments breach at once" };
        break;
      case "Paused":
        stage.deployment.spec = { ...stage.deployment.spec, paused: true };
        break;
    }
    if (limiter === "Paused" && moment === "Rollout") {
      // Paused before the pin it would not even begin: what is asked is what a ready candidate gets.
      stage.deployment.spec = { ...stage.deployment.spec, paused: false };
      stage.step(stage.now + 1000);
      stage.deployment.spec = { ...stage.deployment.spec, paused: true };
    }
  }

  /** From now on the check is bad. Gives the time of the first bad sample. */
  #spoil(stage: Stage, { moment, data }: Situation, check: Check): () => number {
    const revision = moment === "Rollout" || moment === "Shift" ? 3 : (stage.status.active?.revision ?? 1);
    const spread = Math.ceil((settleMs(this.#policy) + Math.min(this.#policy.bakeMs, HOUR)) / check.intervalMs) + 1;
    if (moment === "Rollout" && check.source === undefined) {
      const crash = { name: "server", init: false, restarts: this.#policy.restarts.failures };
      const waiting = { reason: "CrashLoopBackOff", message: "back-off restarting failed container" };
      stage.breaks = () => (check.kind === "Restarts" ? [{ ...crash, waiting }] : []);
    }
    return spoilOne(stage, check, revision, data, spread);
  }
}

/** Makes one check of one revision bad from now on; what else was bad stays so. Gives the time of the first bad sample. */
function spoilOne(stage: Stage, check: Check, revision: number, data: Data, spread: number): () => number {
  const began = stage.now;
  if (check.source === undefined) {
    const before = stage.ails;
    const restarts = data === "Bad" ? stage.policy.restarts.failures : stage.policy.restarts.failures - 1;
    const share = check.threshold?.max ?? 1;
    stage.ails = (version, one) => {
      if (one !== revision) return before(version, one);
      if (check.kind === "Restarts") return { restarts };
      return { unready: data === "Bad" || stage.now - began < check.intervalMs ? share : 0 };
    };
    return () => began;
  }
  const before = stage.measure;
  let asked = 0;
  let first: number | undefined;
  stage.measure = (one, version, of) => {
    // A source that does not answer answers for no revision.
    if (one.name !== check.name || (of !== revision && data !== "Silent")) return before(one, version, of);
    first ??= stage.now;
    return reading(one, data, asked++, spread);
  };
  return () => first ?? began;
}
