// The cluster of a stage: pods that start when a plan wants them, a Service that selects what the plan says, kept revisions.
// It does at once what plan() asks for; only pods take their time.

import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import type { Plan } from "../core/plan.ts";
import type { Child, KnownRevision, MeasuredBaseline, PodFacts, RouteFacts, ServiceFacts } from "../core/snapshot.ts";

/** The pods of one revision. */
export interface StageChild {
  replicas: number;
  fresh: string;
  /** From when on its pods are ready, ms epoch; Infinity: never. */
  readyAt: number;
  /** Of those that were added later: the first one's place, and from when on they are ready. */
  added?: { from: number; readyAt: number };
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
  /** The revision that the Service selects; All: every pod of the deployment. */
  selects: number | "All" | undefined;
  /** The HTTPRoute, where the plan wants one: the weight of the preview Service, and whether a Gateway accepts it. */
  route?: { weight: number; accepted: boolean };
  /** The decision that Service and children carry. */
  decision = 0;
  /** Each write of the Service that changed what it selects. */
  selected: { at: number; selects: number | "All" }[] = [];
  /** Each time that all the traffic went to another revision. */
  traffic: { at: number; revision: number; version: string }[] = [];
  /** Sequences whose record exists. */
  recorded = new Set<number>();
  #born = new Map<number, number>();

  copyTo(other: StageCluster): void {
    const { revisions, children, selects, route, decision, selected, traffic, recorded } = this;
    const more = route ? { route } : {};
    Object.assign(other, structuredClone({ revisions, children, selects, decision, selected, traffic, recorded, ...more }));
    other.#born = new Map(this.#born);
  }

  versionOf(revision: number): string {
    return this.revisions.find((known) => known.revision === revision)?.version ?? "";
  }

  pods(revision: number, now: number, behaviour: PodBehaviour): PodFacts[] {
    const child = this.children.get(revision);
    if (!child) return [];
    const started = (index: number) => now >= (child.added && index >= child.added.from ? child.added.readyAt : child.readyAt);
    const { unready = 0, restarts = 0 } = behaviour.ails(this.versionOf(revision), revision);
    const down = started(0) ? Math.ceil(unready * child.replicas) : 0;
    const worn = started(0) && restarts > 0 ? [{ name: "server", init: false, restarts, running: true }] : [];
    const createdAt = new Date(this.#born.get(revision) ?? now).toISOString();
    const running = Array.from({ length: child.replicas }, (_, index) => ({
      name: `r${revision}-${index}`,
      ip: "127.0.0.1",
      ready: started(index) && !child.broken && index >= down,
      terminating: false,
      accountable: started(index),
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
    const behind = children.filter((one) => selects === "All" || one.revision === selects);
    const ready = Object.fromEntries(behind.map((one) => [one.revision, one.ready]));
    return { owner: "Ours", selects, decision: this.decision, ready };
  }

  /** Does what the plan of this status says. */
  carryOut(wanted: Plan, status: ModelDeploymentStatus, now: number, behaviour: PodBehaviour, metrics: Metrics): void {
    this.#keep(status, metrics);
    this.#select(wanted.service, now);
    if (wanted.routeWeight !== undefined) this.route = { accepted: true, ...this.route, weight: wanted.routeWeight };
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
        const grows = child.replicas > before.replicas && now >= before.readyAt;
        const added = grows ? { from: before.replicas, readyAt: now + behaviour.startMs(version) } : before.added;
        this.children.set(child.revision, {
          ...before,
          replicas: child.replicas,
          fresh: child.fresh,
          ...(ends ? { ending: { count: before.replicas, until: now + behaviour.endMs(version) } } : {}),
          ...(added && added.from < child.replicas ? { added } : {}),
        });
      }
    }
    for (const revision of wanted.remove) this.children.delete(revision);
    this.decision = status.decision ?? 0;
    const { proof } = wanted;
    const proved = this.revisions.find((one) => one.revision === proof?.revision);
    if (proof && proved) Object.assign(proved, { provenAt: proof.provenAt, baseline: proof.baseline as MeasuredBaseline[] });
    for (const entry of status.history ?? []) this.recorded.add(entry.sequence);
  }

  #select(service: Plan["service"], now: number): void {
    if (service === undefined || service === this.selects) return;
    this.selects = service;
    this.selected.push({ at: now, selects: service });
    if (service === "All" || this.traffic.at(-1)?.revision === service) return;
    this.traffic.push({ at: now, revision: service, version: this.versionOf(service) });
  }

  /** The HTTPRoute as a snapshot has it. */
  routeFacts({ active, candidate }: ModelDeploymentStatus): RouteFacts | undefined {
    const { route } = this;
    if (!route) return undefined;
    const weights: Record<number, number> = active ? { [active.revision]: 100 - route.weight } : {};
    if (candidate && route.weight > 0) weights[candidate.revision] = route.weight;
    return {
      owner: "Ours",
      generationSeen: true,
      accepted: route.accepted ? "True" : "False",
      message: route.accepted ? "" : "Gateway g: NotAllowedByListeners",
      preview: route.weight,
      weights,
      decision: this.decision,
    };
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
