// A stage for trying decisions: one deployment, its versions, a clock, metrics by a function, and a cluster that does what the plan
// says. It drives the operator's own decide(), plan(), judge() and addReading(); nothing of the core is replaced.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { REQUESTS } from "../api/names.ts";
import { noteRestarts, type RestartHistory, restartedShare, unreadyShare } from "../core/builtin.ts";
import { type Decision, decide } from "../core/decide.ts";
import { checksFor, judgedFrom, judgingSince } from "../core/evidence.ts";
import { artifactDigest, type RevisionContent, revisionHash } from "../core/hash.ts";
import { type Plan, plan } from "../core/plan.ts";
import type { Check, Policy } from "../core/policy.ts";
import type { Pin, PodFacts, ProbeFacts, RevisionRef, Snapshot } from "../core/snapshot.ts";
import { addReading, type CheckWindow, emptyWindow, isCurrent, type Reading } from "../core/window.ts";
import { type Ailment, type PodBehaviour, StageCluster } from "./cluster.ts";

export interface StageVersion {
  digest: string;
  /** Its serving settings. */
  serving?: object;
  revoked?: boolean;
  /** What revoked it where its ModelVersion did not, such as `ClusterRollbackPolicy security`. */
  revokedBy?: string;
  deprecated?: boolean;
  /** Another model's version, by that model's name. */
  model?: string;
  /** What it scored before it was shipped. */
  metrics?: Record<string, number>;
}

/** What a source says; without `at` it is of now. */
export type StageReading = Omit<Reading, "at"> & { at?: number };

/** More passes than this at one time mean that the decisions never come to rest. */
const MAX_PASSES = 20;
/** What was never asked is asked this long after it begins to be judged, ms. */
const FIRST_ASK_MS = 500;

export class Stage implements PodBehaviour {
  /** Time of the API server, ms epoch. */
  now: number;
  policy: Policy;
  deployment: ModelDeployment;
  /** Time between two looks, ms; undefined: from one thing that is due to the next. */
  stepMs: number | undefined;
  versions: Record<string, StageVersion> = {};
  readonly cluster = new StageCluster();
  windows = new Map<string, CheckWindow>();
  /** What a source says of a revision now; undefined: nothing new. */
  measure: (check: Check, version: string, revision: number) => StageReading | undefined = () => ({ kind: "Value", value: 0.01 });
  startMs: (version: string) => number = () => 2000;
  probe: (version: string) => ProbeFacts["outcome"] = () => "Passed";
  breaks: (version: string) => PodFacts["containers"] | undefined = () => undefined;
  ails: (version: string, revision: number) => Ailment = () => ({});
  requests: Snapshot["requests"] = {};
  storm?: Snapshot["storm"];
  refused?: Snapshot["refused"];
  /** What the last dry run accepted. */
  tried?: Snapshot["tried"];
  /** How long a version's pods take to end, ms. */
  endMs: (version: string) => number = () => 0;
  changeCause?: string;
  lastPlan?: Plan;
  /** The decision of the last pass. */
  last?: Decision;
  /** Called with each decision and the status before it, before it is carried out. */
  onDecision?: (decision: Decision, before: ModelDeploymentStatus) => void;
  #askedAt = new Map<string, number>();
  #restarts = new Map<number, RestartHistory>();
  #content: { content: RevisionContent; hash: string } | undefined;

  /** @param spec of the deployment; what is left out is as the API server defaults it, with two replicas */
  constructor(input: { now: number; policy: Policy; spec?: Partial<ModelDeployment["spec"]>; stepMs?: number }) {
    this.now = input.now;
    this.policy = input.policy;
    this.stepMs = input.stepMs;
    this.deployment = {
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "ModelDeployment",
      metadata: { name: "m", namespace: "ns", uid: "uid-1", generation: 1 },
      spec: {
        model: "m",
        version: "v1",
        replicas: 2,
        template: { spec: { containers: [{ name: "server", image: "x" }] } },
        strategy: { type: "BlueGreen", drain: "30s", progressDeadline: "10m", standby: { replicas: "100%", for: "1h" } },
        paused: false,
        historyLimit: 50,
        ...input.spec,
      } as ModelDeployment["spec"],
      status: {},
    };
  }

  get status(): ModelDeploymentStatus {
    return this.deployment.status ?? {};
  }

  version(name: string, more: Partial<StageVersion> = {}): this {
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
    if (version.revoked)
      return { state: "Revoked", version: name, ...(version.revokedBy === undefined ? {} : { by: version.revokedBy }) };
    if (version.model !== undefined) return { state: "OtherModel", version: name, model: version.model };
    const { content, hash } = this.#contentOf(version);
    return {
      state: "Usable",
      version: name,
      hash,
      artifactDigest: artifactDigest({ digest: version.digest }),
      content,
      deprecated: version.deprecated ?? false,
    };
  }

  /** Hashed when it changes and not in each pass. */
  #contentOf({ digest, serving }: StageVersion): { content: RevisionContent; hash: string } {
    const { template } = this.deployment.spec;
    const known = this.#content?.content;
    if (!this.#content || known?.template !== template || known.artifact.digest !== digest || known.serving !== serving) {
      const content = { artifact: { uri: "x", digest }, ...(serving ? { serving } : {}), template, configMaps: {} };
      this.#content = { content, hash: revisionHash(content) };
    }
    return this.#content;
  }

  snapshot(): Snapshot {
    const { cluster } = this;
    const children = cluster.facts(this.now, this);
    const active = cluster.service(children);
    const route = cluster.routeFacts(this.status);
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
      revisions: cluster.revisions.map((known) => ({
        ...known,
        revoked: this.versions[known.version]?.revoked ?? known.revoked,
        ...(this.versions[known.version]?.revokedBy ? { revokedBy: this.versions[known.version]?.revokedBy } : {}),
      })),
      children,
      pods: Object.fromEntries(children.map((child) => [child.revision, child.pods.length])),
      ...(active ? { active } : {}),
      ...(route ? { route } : {}),
      windows,
      revokedVersions: new Set(Object.keys(this.versions).filter((name) => this.versions[name]?.revoked)),
      requestedBy: Object.fromEntries(REQUESTS.map((kind) => [kind, { name: "on-call", source: "FieldManager" as const }])),
      ...(isReady && candidate
        ? { probe: { revision: candidate.revision, outcome: this.probe(candidate.version), message: "the probe said so" } }
        : {}),
      floor: { revision: 0, sequence: 0 },
      recorded: cluster.recorded,
      requests: this.requests,
      pinnedBy: { name: "kubectl", source: "FieldManager" },
      ...(this.changeCause === undefined ? {} : { changeCause: this.changeCause }),
      environment: "test",
      ...(this.storm ? { storm: this.storm } : {}),
      ...(this.refused ? { refused: this.refused } : {}),
      ...(this.tried ? { tried: this.tried } : {}),
    };
  }

  /** Asks each check that is due of each judged revision. */
  #sample(): void {
    for (const [id, check, ref] of this.#judged()) {
      let window = this.windows.get(id);
      const since = judgingSince(ref);
      if (!window || !isCurrent(window, check, since)) {
        window = emptyWindow(check, judgedFrom(ref, this.policy), since);
        this.windows.set(id, window);
      }
      const asked = this.#askedAt.get(id);
      // A sampler's timers go on when the clock is set back.
      if (asked !== undefined && this.now >= asked && this.now - asked < check.intervalMs) continue;
      this.#askedAt.set(id, this.now);
      const answer =
        check.source === undefined ? this.#builtIn(check, ref.revision) : this.measure(check, ref.version, ref.revision);
      if (answer) addReading(window, check, { at: this.now, ...answer });
    }
  }

  #judged(): [id: string, check: Check, ref: RevisionRef][] {
    const { status, policy } = this;
    return [status.active, status.candidate].flatMap((ref) =>
      ref
        ? checksFor(policy, status, ref.revision).map((check): [string, Check, RevisionRef] => [
            `${ref.revision}/${check.name}`,
            check,
            ref,
          ])
        : [],
    );
  }

  #builtIn(check: Check, revision: number): Reading {
    const pods = this.cluster.pods(revision, this.now, this);
    if (check.kind === "Available") return unreadyShare(pods, this.now);
    const history = this.#restarts.get(revision) ?? new Map();
    this.#restarts.set(revision, history);
    noteRestarts(history, pods, this.now, this.policy.restarts.inMs);
    return restartedShare(history, pods, this.policy.restarts.failures, this.now);
  }

  /** An independent stage that goes on from here; the functions are shared, `onDecision` is not. */
  fork(): Stage {
    const { now, policy, deployment, stepMs } = this;
    const copy = new Stage({ now, policy, spec: deployment.spec, ...(stepMs === undefined ? {} : { stepMs }) });
    copy.deployment = structuredClone(deployment);
    copy.versions = structuredClone(this.versions);
    this.cluster.copyTo(copy.cluster);
    copy.windows = structuredClone(this.windows);
    for (const key of ["measure", "startMs", "probe", "breaks", "ails"] as const) Object.assign(copy, { [key]: this[key] });
    copy.requests = this.requests;
    copy.#askedAt = new Map(this.#askedAt);
    copy.#restarts = structuredClone(this.#restarts);
    return copy;
  }

  /** One pass: decide, write, do what the plan says. Returns whether anything was written. */
  pass(): boolean {
    const snapshot = this.snapshot();
    const decision = decide(snapshot, this.now);
    this.last = decision;
    const before = this.status;
    if (decision.changed) this.deployment = { ...this.deployment, status: JSON.parse(JSON.stringify(decision.status)) };
    this.onDecision?.(decision, before);
    this.lastPlan = plan(decision.changed ? this.snapshot() : snapshot, this.status, this.now);
    this.cluster.carryOut(this.lastPlan, this.status, this.now, this, (version) => this.versions[version]?.metrics ?? {});
    const { dryRun } = this.lastPlan;
    const { rollout } = this.status;
    if (dryRun && rollout && this.refused === undefined)
      this.tried = { revision: dryRun.revision, sequence: rollout.sequence, attempt: rollout.attempt ?? 1 };
    return decision.changed;
  }

  /** Lets time pass; whenever something is due, samples come and passes run until nothing changes. */
  run(ms: number): this {
    const end = this.now + ms;
    while (this.now < end) this.step(end);
    return this;
  }

  /** Goes on to the next time at which something is due, at most to `end`. */
  step(end: number): void {
    this.now = this.stepMs === undefined ? this.#next(end) : this.now + this.stepMs;
    this.#sample();
    let passes = 0;
    while (this.pass())
      if (++passes > MAX_PASSES) throw new Error(`no rest after ${MAX_PASSES} passes: ${JSON.stringify(this.status.conditions)}`);
  }

  #next(end: number): number {
    const due = [end, this.last?.wakeAt, this.lastPlan?.wakeAt];
    if (!this.last) due.push(this.now + 1);
    for (const child of this.cluster.children.values()) due.push(child.readyAt, child.added?.readyAt, child.ending?.until);
    for (const [id, check] of this.#judged()) {
      const asked = this.#askedAt.get(id);
      due.push(asked === undefined ? this.now + FIRST_ASK_MS : asked + check.intervalMs);
    }
    const later = due.filter((time): time is number => time !== undefined && time > this.now);
    return later.length > 0 ? Math.min(...later) : end;
  }

  condition(type: string) {
    return this.status.conditions?.find((one) => one.type === type);
  }
}
