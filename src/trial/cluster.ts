// The cluster of a stage: pods that start when a plan wants them, a Service that selects what the plan says, kept revisions.
// It does at once what plan() asks for; only pods take their time.

import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import type { Plan } from "../core/plan.ts";
import type { Child, KnownRevision, MeasuredBaseline, PodFacts, ServiceFacts } from "../core/snapshot.ts";

/** The pods of one revision. */
export interface StageChild {
  replicas: number;
  fresh: string;
  /** From when on its pods are ready, ms epoch; Infinity: never. */
  readyAt: number;
  /** Its containers fail like this from the start, and it never gets ready. */
  broken?: PodFacts["containers"];
  /** Pods that still end after it was scaled to 0. */
  ending?: { count: number; until: number };
}

/** What happens to pods that had started well. */
export interface Ailment {
  /** Share of the pods that are not ready, 0 to 1. */
  unready?: number;
  /** How often each of them has restarted. */
  restarts?: number;
}

/** How pods behave, by version and revision. */
export interface PodBehaviour {
  /** How long pods take to get ready, ms; Infinity: never. */
  startMs(version: string): number;
  /** How long they take to end, ms. */
  endMs(version: string): number;
  breaks(version: string): PodFacts["containers"] | undefined;
  ails(version: string, revision: number): Ailment;
}

export class StageCluster {
  revisions: KnownRevision[] = [];
  children = new Map<number, StageChild>();
  /** The revision that the Service selects. */
  selects: number | undefined;
  /** The decision that Service and children carry. */
  decision = 0;
  /** Each time that the Service began to select another revision. */
  traffic: { at: number; revision: number; version: string }[] = [];
  /** Sequences whose record exists. */
  recorded = new Set<number>();
  #born = new Map<number, number>();

  copyTo(other: StageCluster): void {
    const { revisions, children, selects, decision, traffic, recorded } = this;
    Object.assign(other, structuredClone({ revisions, children, selects, decision, traffic, recorded }));
    other.#born = new Map(this.#born);
  }

  versionOf(revision: number): string {
    return this.revisions.find((known) => known.revision === revision)?.version ?? "";
  }

  pods(revision: number, now: number, behaviour: PodBehaviour): PodFacts[] {
    const child = this.children.get(revision);
    if (!child) return [];
    const started = now >= child.readyAt;
    const { unready = 0, restarts = 0 } = behaviour.ails(this.versionOf(revision), revision);
    const down = started ? Math.ceil(unready * child.replicas) : 0;
    const worn = started && restarts > 0 ? [{ name: "server", init: false, restarts, running: true }] : [];
    const createdAt = new Date(this.#born.get(revision) ?? now).toISOString();
    const running = Array.from({ length: child.replicas }, (_, index) => ({
      name: `r${revision}-${index}`,
      ip: "127.0.0.1",
      ready: started && !child.broken && index >= down,
      terminating: false,
      accountable: started,
      createdAt,
      containers: child.broken ?? worn,
    }));
    const { count, until } = child.ending ?? { count: 0, until: 0 };
    const ending = Array.from({ length: now < until ? count : 0 }, (_, index) => ({
      name: `r${revision}-end-${index}`,
      ready: false,
      terminating: true,
      accountable: false,
      createdAt,
      containers: [],
    }));
    return [...running, ...ending];
  }

  /** The Deployments of the revisions as a snapshot has them. */
  facts(now: number, behaviour: PodBehaviour): Child[] {
    return [...this.children].map(([revision, child]) => {
      const pods = this.pods(revision, now, behaviour);
      const ready = pods.filter((pod) => pod.ready).length;
      const { replicas, fresh } = child;
      return { revision, foreign: false, replicas, ready, current: ready, decision: this.decision, fresh, pods };
    });
  }

  /** The Service, once there is one. */
  service(children: readonly Child[]): ServiceFacts | undefined {
    const { selects } = this;
    if (selects === undefined) return undefined;
    const ready = { [selects]: children.find((one) => one.revision === selects)?.ready ?? 0 };
    return { owner: "Ours", selects, decision: this.decision, ready };
  }

  /** Does what the plan of this status says. */
  carryOut(wanted: Plan, status: ModelDeploymentStatus, now: number, behaviour: PodBehaviour, metrics: Metrics): void {
    this.#keep(status, metrics);
    for (const child of wanted.children) {
      const before = this.children.get(child.revision);
      const version = this.versionOf(child.revision);
      if (!before || (before.replicas === 0 && child.replicas > 0)) {
        const broken = behaviour.breaks(version);
        this.#born.set(child.revision, now);
        this.children.set(child.revision, {
          replicas: child.replicas,
          fresh: child.fresh,
          readyAt: now + behaviour.startMs(version),
          ...(broken ? { broken } : {}),
        });
      } else {
        const ends = child.replicas === 0 && before.replicas > 0;
        const ending = ends ? { ending: { count: before.replicas, until: now + behaviour.endMs(version) } } : {};
        this.children.set(child.revision, { ...before, replicas: child.replicas, fresh: child.fresh, ...ending });
      }
    }
    for (const revision of wanted.remove) this.children.delete(revision);
    if (wanted.service !== undefined && wanted.service !== this.selects) {
      this.selects = wanted.service;
      this.traffic.push({ at: now, revision: wanted.service, version: this.versionOf(wanted.service) });
    }
    this.decision = status.decision ?? 0;
    const { proof } = wanted;
    const proved = this.revisions.find((one) => one.revision === proof?.revision);
    if (proof && proved) Object.assign(proved, { provenAt: proof.provenAt, baseline: proof.baseline as MeasuredBaseline[] });
    for (const entry of status.history ?? []) this.recorded.add(entry.sequence);
  }

  /** A candidate's content is kept before its pods are made. */
  #keep({ candidate }: ModelDeploymentStatus, metrics: Metrics): void {
    if (!candidate || this.revisions.some((known) => known.revision === candidate.revision)) return;
    const { revision, hash, version, artifactDigest } = candidate;
    const validationMetrics = metrics(version);
    this.revisions.push({ revision, hash, version, artifactDigest, baseline: [], validationMetrics, revoked: false });
  }
}

/** The validation metrics of a version. */
type Metrics = (version: string) => Record<string, number>;
