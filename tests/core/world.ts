// A small world for decisions: a clock, versions, metrics and a cluster that does at once what the plan says.
// It drives the real decide() and plan(); nothing of the core is replaced.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { ModelDeploymentStatus } from "../../src/api/modeldeployment-status.ts";
import { LABELS } from "../../src/api/names.ts";
import { unreadyShare } from "../../src/core/builtin.ts";
import { type Decision, decide } from "../../src/core/decide.ts";
import { checksFor, judgedFrom, stageOf } from "../../src/core/evidence.ts";
import { artifactDigest, revisionHash } from "../../src/core/hash.ts";
import { mayLead } from "../../src/core/phases.ts";
import { type Plan, plan } from "../../src/core/plan.ts";
import type { Check, Policy } from "../../src/core/policy.ts";
import type { Child, KnownRevision, MeasuredBaseline, Pin, PodFacts, Snapshot } from "../../src/core/snapshot.ts";
import { addReading, type CheckWindow, emptyWindow, isCurrent, type Reading } from "../../src/core/window.ts";

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

interface Version {
  digest: string;
  revoked?: boolean;
  model?: string;
  metrics?: Record<string, number>;
}

export class World {
  now = START;
  policy = policy();
  versions: Record<string, Version> = {};
  deployment: ModelDeployment;
  revisions: KnownRevision[] = [];
  children = new Map<number, { replicas: number; fresh: string; readyAt: number; broken?: PodFacts["containers"] }>();
  selects?: number;
  decisionSeen = 0;
  windows = new Map<string, CheckWindow>();
  askedAt = new Map<string, number>();
  /** What a source says of a revision now; undefined: nothing new. */
  measure: (check: Check, version: string, revision: number) => Omit<Reading, "at"> | undefined = () => ({
    kind: "Value",
    value: 0.01,
  });
  /** How long pods take to get ready, ms; Infinity: never. */
  startMs: (version: string) => number = () => 2000;
  probe: (version: string) => "Passed" | "Failed" = () => "Passed";
  breaks: (version: string) => PodFacts["containers"] | undefined = () => undefined;
  requests: Snapshot["requests"] = {};
  recorded = new Set<number>();
  decisions: Decision[] = [];
  events: string[] = [];
  traffic: { at: number; revision: number; version: string }[] = [];
  writes = 0;
  lastPlan?: Plan;
  changeCause?: string;
  refused?: Snapshot["refused"];

  constructor(over: Partial<ModelDeployment["spec"]> = {}) {
    this.deployment = {
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "ModelDeployment",
      metadata: { name: "m", namespace: "ns", uid: "uid-1", generation: 1 },
      spec: {
        model: "m",
        version: "v1",
        replicas: 2,
        template: { spec: { containers: [{ name: "server", image: "x" }] } },
        strategy: { type: "BlueGreen", drain: "5s", progressDeadline: "60s", standby: { replicas: "100%", for: "1h" } },
        paused: false,
        historyLimit: 50,
        ...over,
      } as ModelDeployment["spec"],
      status: {},
    };
  }

  get status(): ModelDeploymentStatus {
    return this.deployment.status ?? {};
  }

  version(name: string, more: Partial<Version> = {}): this {
    this.versions[name] = { digest: `sha256:${name}`, ...more };
    return this;
  }

  pin(name: string): this {
    this.deployment.spec = { ...this.deployment.spec, version: name };
    this.deployment.metadata.generation = (this.deployment.metadata.generation ?? 0) + 1;
    return this;
  }

  request(kind: keyof Snapshot["requests"], target: string, token = "t"): this {
    this.requests = { ...this.requests, [kind]: { target, token, raw: `${target}/${token}` } };
    return this;
  }

  #pin(): Pin {
    const name = this.deployment.spec.version;
    const version = this.versions[name];
    if (!version) return { state: "Missing", version: name, known: Object.keys(this.versions) };
    if (version.revoked) return { state: "Revoked", version: name };
    if (version.model !== undefined) return { state: "OtherModel", version: name, model: version.model };
    const content = { artifact: { uri: "x", digest: version.digest }, template: this.deployment.spec.template, configMaps: {} };
    return {
      state: "Usable",
      version: name,
      hash: revisionHash(content),
      artifactDigest: artifactDigest({ digest: version.digest }),
      content,
      deprecated: false,
    };
  }

  #pods(revision: number): PodFacts[] {
    const child = this.children.get(revision);
    if (!child) return [];
    return Array.from({ length: child.replicas }, (_, index) => ({
      name: `m-r${revision}-${index}`,
      ip: "127.0.0.1",
      ready: this.now >= child.readyAt && !child.broken,
      terminating: false,
      accountable: this.now >= child.readyAt,
      createdAt: new Date(START).toISOString(),
      containers: child.broken ?? [],
    }));
  }

  #versionOf(revision: number): string {
    return this.revisions.find((known) => known.revision === revision)?.version ?? "";
  }

  snapshot(): Snapshot {
    const children: Child[] = [...this.children].map(([revision, child]) => {
      const pods = this.#pods(revision);
      const ready = pods.filter((pod) => pod.ready).length;
      return {
        revision,
        foreign: false,
        replicas: child.replicas,
        ready,
        current: ready,
        decision: this.decisionSeen,
        fresh: child.fresh,
        pods,
      };
    });
    const ready: Record<number, number> = {};
    if (this.selects !== undefined) ready[this.selects] = children.find((one) => one.revision === this.selects)?.ready ?? 0;
    const windows: Record<number, CheckWindow[]> = {};
    for (const [id, window] of this.windows) {
      const revision = Number(id.split("/")[0]);
      windows[revision] = [...(windows[revision] ?? []), window];
    }
    const candidate = this.status.candidate;
    const isReady = candidate && (children.find((one) => one.revision === candidate.revision)?.ready ?? 0) > 0;
    return {
      deployment: this.deployment,
      pin: this.#pin(),
      policy: this.policy,
      revisions: this.revisions.map((known) => ({ ...known, revoked: this.versions[known.version]?.revoked ?? known.revoked })),
      children,
      ...(this.selects === undefined
        ? {}
        : { active: { owner: "Ours" as const, selects: this.selects, decision: this.decisionSeen, ready } }),
      windows,
      revokedVersions: new Set(Object.keys(this.versions).filter((name) => this.versions[name]?.revoked)),
      requestedBy: { rollbackTo: { name: "on-call", source: "FieldManager" } },
      ...(isReady && candidate
        ? { probe: { revision: candidate.revision, outcome: this.probe(candidate.version), message: "the probe said so" } }
        : {}),
      floor: { revision: 0, sequence: 0 },
      recorded: this.recorded,
      requests: this.requests,
      pinnedBy: { name: "kubectl", source: "FieldManager" },
      ...(this.changeCause === undefined ? {} : { changeCause: this.changeCause }),
      environment: "test",
      ...(this.refused ? { refused: this.refused } : {}),
    };
  }

  #sample(): void {
    const { status } = this;
    for (const ref of [status.active, status.candidate]) {
      if (!ref) continue;
      const from = judgedFrom(ref, this.policy);
      for (const one of checksFor(this.policy, stageOf(status, ref.revision))) {
        const id = `${ref.revision}/${one.name}`;
        let window = this.windows.get(id);
        if (!window || !isCurrent(window, one, from)) {
          window = emptyWindow(one, from);
          this.windows.set(id, window);
        }
        const last = this.askedAt.get(id);
        if (last !== undefined && this.now - last < one.intervalMs) continue;
        this.askedAt.set(id, this.now);
        if (one.kind === "Available") addReading(window, one, unreadyShare(this.#pods(ref.revision), this.now));
        else {
          const answer = this.measure(one, ref.version, ref.revision);
          if (answer) addReading(window, one, { at: this.now, ...answer });
        }
      }
    }
  }

  /** One pass: decide, write, do what the plan says. Returns whether anything was written. */
  pass(): boolean {
    const snapshot = this.snapshot();
    const decision = decide(snapshot, this.now);
    this.decisions.push(decision);
    for (const event of decision.events) this.events.push(`${event.reason}: ${event.note}`);
    if (decision.changed) {
      const from = this.status.phase;
      const to = decision.status.phase;
      if (to !== undefined && !mayLead(from, to))
        throw new Error(`illegal step from ${from} to ${to} by ${decision.acted?.rule}`);
      this.deployment = { ...this.deployment, status: JSON.parse(JSON.stringify(decision.status)) };
      this.writes++;
    }
    this.#carryOut(plan(this.snapshot(), this.status, this.now));
    return decision.changed;
  }

  #carryOut(wanted: Plan): void {
    this.lastPlan = wanted;
    const { candidate } = this.status;
    if (candidate && !this.revisions.some((known) => known.revision === candidate.revision)) {
      this.revisions.push({
        revision: candidate.revision,
        hash: candidate.hash,
        version: candidate.version,
        artifactDigest: candidate.artifactDigest,
        baseline: [],
        validationMetrics: this.versions[candidate.version]?.metrics ?? {},
        revoked: false,
      });
    }
    for (const child of wanted.children) {
      const before = this.children.get(child.revision);
      const version = this.#versionOf(child.revision);
      if (!before || (before.replicas === 0 && child.replicas > 0)) {
        const broken = this.breaks(version);
        this.children.set(child.revision, { ...child, readyAt: this.now + this.startMs(version), ...(broken ? { broken } : {}) });
      } else this.children.set(child.revision, { ...before, replicas: child.replicas, fresh: child.fresh });
    }
    for (const revision of wanted.remove) this.children.delete(revision);
    if (wanted.service !== undefined && wanted.service !== this.selects) {
      this.selects = wanted.service;
      this.traffic.push({ at: this.now, revision: wanted.service, version: this.#versionOf(wanted.service) });
    }
    this.decisionSeen = this.status.decision ?? 0;
    const { proof } = wanted;
    if (proof) {
      const known = this.revisions.find((one) => one.revision === proof.revision);
      if (known) Object.assign(known, { provenAt: proof.provenAt, baseline: proof.baseline as MeasuredBaseline[] });
    }
    for (const entry of this.status.history ?? []) this.recorded.add(entry.sequence);
  }

  /** Lets `ms` pass in steps of 500 ms; in each, samples come and passes run until nothing changes. */
  run(ms: number): this {
    const end = this.now + ms;
    while (this.now < end) {
      this.now += 500;
      this.#sample();
      let passes = 0;
      while (this.pass())
        if (++passes > 20) throw new Error(`no rest after 20 passes: ${JSON.stringify(this.status.conditions)}`);
    }
    return this;
  }

  condition(type: string) {
    return this.status.conditions?.find((one) => one.type === type);
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

export { LABELS };
