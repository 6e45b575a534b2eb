// A small world for decisions: the stage of src/trial/ with the times of tests. It drives the real decide() and plan().

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { ModelDeploymentStatus } from "../../src/api/modeldeployment-status.ts";
import type { Decision } from "../../src/core/decide.ts";
import { mayLead } from "../../src/core/phases.ts";
import type { Check, Policy } from "../../src/core/policy.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import { emptyWindow } from "../../src/core/window.ts";
import { Stage } from "../../src/trial/stage.ts";

export const START = Date.parse("2026-11-24T10:00:00Z");

export function check(over: Partial<Check> = {}): Check {
  return {
    name: "error-ratio",
    kind: "Scalar",
    source: "prometheus",
    query: "x",
    minSamples: 1,
    windowMs: 1000,
    intervalMs: 1000,
    threshold: { max: 0.1 },
    breach: { count: 3, of: 5 },
    severity: "Critical",
    fingerprint: JSON.stringify(over),
    ...over,
  };
}

const available = check({
  name: "available",
  kind: "Available",
  source: undefined,
  threshold: { max: 0.5, inclusive: true },
  breach: { count: 5, of: 5 },
});

export function policy(over: Partial<Policy> = {}): Policy {
  return {
    mode: "Enforce",
    warmupMs: 2000,
    bakeMs: 10_000,
    verifyMs: 8000,
    deadlineMs: 120_000,
    cooldownMs: 60_000,
    budget: { limit: 3, perMs: 3_600_000 },
    maxDepth: 1,
    restarts: { failures: 3, inMs: 600_000 },
    checks: [check(), available],
    actions: { Critical: "Rollback", Warning: "Hold", Info: "Alert" },
    missingData: { afterMs: 600_000, action: "Alert" },
    freeze: [],
    origins: [],
    current: true,
    names: [],
    generations: [],
    hash: "p",
    ...over,
  };
}

/** The stage in steps of half a second, with times of seconds, that notes what it was told and holds each step against the table of phases. */
export class World extends Stage {
  decisions: Decision[] = [];
  events: string[] = [];
  writes = 0;

  constructor(over: Partial<ModelDeployment["spec"]> = {}) {
    const strategy = {
      type: "BlueGreen",
      drain: "5s",
      progressDeadline: "60s",
      standby: { replicas: "100%", for: "1h" },
    } as const;
    super({ now: START, policy: policy(), spec: { strategy, ...over }, stepMs: 500 });
    this.onDecision = (decision, before) => this.#note(decision, before);
  }

  get children() {
    return this.cluster.children;
  }

  get revisions() {
    return this.cluster.revisions;
  }

  get selects() {
    return this.cluster.selects;
  }

  get traffic() {
    return this.cluster.traffic;
  }

  #note(decision: Decision, before: ModelDeploymentStatus): void {
    this.#clockStepMs = 0;
    this.decisions.push(decision);
    for (const event of decision.events) this.events.push(`${event.reason}: ${event.note}`);
    if (!decision.changed) return;
    this.writes++;
    const to = decision.status.phase;
    if (to !== undefined && !mayLead(before.phase, to))
      throw new Error(`illegal step from ${before.phase} to ${to} by ${decision.acted?.rule}`);
  }

  #clockStepMs = 0;

  /** The API server's clock, and the sources' with it, is set on or back: what takes its time takes it all the same. */
  stepClock(ms: number): this {
    this.now += ms;
    this.#clockStepMs += ms;
    for (const child of this.children.values()) child.readyAt += ms;
    return this;
  }

  override snapshot(): Snapshot {
    return { ...super.snapshot(), ...(this.#clockStepMs === 0 ? {} : { clockStepMs: this.#clockStepMs }) };
  }

  /** Another operator goes on: it has seen nothing, and its sources have no history. */
  restart(): this {
    const judged = [...this.windows];
    this.windows.clear();
    this.pass();
    for (const [id, { check: name, judgedFrom, since }] of judged) {
      const known = this.policy.checks.find((one) => one.name === name);
      if (known) this.windows.set(id, { ...emptyWindow(known, judgedFrom, since), resumed: true });
    }
    return this;
  }

  /** The outcomes of the history, as "1 Rollout v1 Proven". */
  story(): string[] {
    return (this.status.history ?? []).map((entry) => `${entry.sequence} ${entry.action} ${entry.to?.version} ${entry.outcome}`);
  }
}

/** A world in which v1 is proven and v2 exists. */
export function proven(over: Partial<ModelDeployment["spec"]> = {}): World {
  return new World(over).version("v1").version("v2").version("v3").run(20_000);
}
