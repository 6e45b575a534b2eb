// Plays a random story on the world and shows each pass to the invariants. What sources, pods, people and crashes do is done here,
// so that the invariants know it without asking the code that they check.

import { decide } from "../../src/core/decide.ts";
import { effectivePolicy, type Layer, mergeLayers } from "../../src/core/layers.ts";
import type { Plan } from "../../src/core/plan.ts";
import type { Check } from "../../src/core/policy.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import type { StageReading } from "../../src/trial/stage.ts";
import { Invariants } from "./invariants.ts";
import type { Act, Shape, Story, Strategy } from "./stories.ts";
import { COMING, isOneByOne, SERVING, VERSIONS } from "./stories.ts";
import { World } from "./world.ts";

const CRASH = [{ name: "server", init: false, restarts: 4, terminated: { reason: "Error", exitCode: 1, message: "" } }];
const GOOD: Record<string, number> = { latency: 0.3, errors: 0.01, accuracy: 0.94, drift: 0.3 };
const BAD: Record<string, number> = { latency: 2, errors: 0.6, accuracy: 0.5, drift: 2 };

interface Course {
  shape: Shape;
  periodMs: number;
  since: number;
}

/** The first of these passes is judged for purity, and then each so-many-th. */
const PURE_EVERY = 53;

export class Player extends World {
  readonly invariants: Invariants;
  /** Passes: decisions that were made and judged. */
  steps = 0;
  #first: Snapshot | undefined;
  #dies: Extract<Act, { do: "die" }>["when"] | undefined;
  readonly #courses = new Map<string, Course>();

  constructor(story: Story) {
    super({ strategy: story.strategy, replicas: story.replicas, historyLimit: story.historyLimit });
    this.stepMs = undefined;
    if (story.probe) this.deployment.spec = { ...this.deployment.spec, probe: { path: "/" } } as typeof this.deployment.spec;
    this.endMs = () => story.endSeconds * 1000;
    for (const name of VERSIONS) this.version(name, { metrics: { accuracy: 0.95 } });
    this.invariants = new Invariants(this, isOneByOne(story));
    this.layers(story.layers);
    this.measure = (check, version, revision) => {
      const answer = this.#answer(check, version);
      this.invariants.reading(check, revision, answer);
      return answer;
    };
    const carryOut = this.cluster.carryOut.bind(this.cluster);
    this.cluster.carryOut = (plan, status, ...rest) => {
      const dies = this.#dies;
      if (dies === "AfterWrite") return;
      const done: Plan = dies === "HalfWay" ? { ...plan, children: [], remove: [] } : plan;
      carryOut(done, status, ...rest);
      if (dies === undefined) this.invariants.carriedOut();
    };
  }

  layers(layers: readonly Layer[]): void {
    const merged = mergeLayers(layers);
    this.policy = effectivePolicy(merged, { current: true, notices: [] });
    this.invariants.policyChanged(layers, merged.spec);
  }

  #answer(check: Check, version: string): StageReading {
    const course =
      this.#courses.get(`${version}/${check.name}`) ?? ({ shape: "Good", periodMs: 1000, since: 0 } satisfies Course);
    const { shape, periodMs } = course;
    const age = this.now - course.since;
    if (shape === "Dark") return { kind: "Error", message: "refused" };
    if (shape === "NotFinite" || shape === "Empty") return { kind: shape };
    // Every other answer is none.
    if (shape === "Gaps" && Math.floor(this.now / check.intervalMs) % 2 === 0) return { kind: "Empty" };
    const good = GOOD[check.name] ?? 0.3;
    const bad = BAD[check.name] ?? 2;
    const badness = {
      Good: 0,
      Gaps: 0,
      Thin: 1,
      Bad: 1,
      Swing: Math.floor(age / periodMs) % 2 === 0 ? 1 : 0,
      Slow: Math.min(age / (4 * periodMs), 1),
    }[shape];
    const value = good + (bad - good) * badness;
    if (check.kind !== "Ratio") return { kind: "Value", value };
    const denominator = shape === "Thin" ? 2 : 100;
    return { kind: "Value", value, denominator, numerator: value * denominator };
  }

  override snapshot(): Snapshot {
    const snapshot = super.snapshot();
    this.#first ??= snapshot;
    return snapshot;
  }

  override pass(): boolean {
    this.#first = undefined;
    this.steps++;
    const before = this.status;
    if (this.#dies === "BeforeWrite") {
      decide(this.snapshot(), this.now);
      return this.#restart();
    }
    const changed = super.pass();
    const snapshot = this.#first as Snapshot | undefined;
    if (snapshot && this.last) this.invariants.judge({ before, after: this.status, snapshot, decision: this.last });
    if (snapshot && this.steps % PURE_EVERY === 0) this.#pure(snapshot);
    return this.#dies === undefined ? changed : this.#restart();
  }

  /** Deciding again on the same snapshot comes to the same. */
  #pure(snapshot: Snapshot): void {
    const text = JSON.stringify(snapshot);
    const [one, other] = [decide(snapshot, this.now), decide(snapshot, this.now)];
    this.invariants.promises.holds(
      "deciding is pure",
      JSON.stringify(one) === JSON.stringify(other) && JSON.stringify(snapshot) === text,
    );
  }

  /** A new operator: it knows what is in the cluster and nothing else. */
  #restart(): true {
    this.#dies = undefined;
    this.windows.clear();
    delete this.tried;
    this.invariants.restarted();
    return true;
  }

  play(acts: readonly Act[]): this {
    this.#soon();
    for (const act of acts) {
      this.#act(act);
      if (act.do !== "wait") this.#soon();
    }
    return this;
  }

  #soon(): void {
    this.step(this.now + 100);
  }

  /** Who is meant by an act that names a position. */
  #named(version: string): string {
    if (version === SERVING) return this.status.active?.version ?? VERSIONS[0];
    return version === COMING ? (this.status.candidate?.version ?? VERSIONS[1]) : version;
  }

  #act(act: Act): void {
    const { spec } = this.deployment;
    if (["pin", "ask", "strategy", "remake", "revoke"].includes(act.do)) this.invariants.person();
    switch (act.do) {
      case "wait":
        this.run(act.seconds * 1000);
        break;
      case "pin":
        this.pin(act.version);
        break;
      case "measure":
        for (const version of act.version === undefined ? VERSIONS : [this.#named(act.version)])
          for (const check of act.check === undefined ? Object.keys(GOOD) : [act.check])
            this.#courses.set(`${version}/${check}`, { shape: act.shape, periodMs: act.periodMs, since: this.now });
        break;
      case "start":
        this.behaves("startMs", act.version, act.seconds * 1000);
        break;
      case "crash":
        this.behaves("breaks", this.#named(act.version), act.value ? (CRASH as never) : undefined);
        break;
      case "ail":
        this.behaves("ails", this.#named(act.version), { unready: act.unready, restarts: act.restarts });
        break;
      case "end":
        this.endMs = () => act.seconds * 1000;
        break;
      case "probe":
        this.behaves("probe", act.version, act.outcome);
        break;
      case "vanish":
        if (this.status.active) this.cluster.children.delete(this.status.active.revision);
        break;
      case "ask":
        this.request(act.kind, act.target, act.token);
        break;
      case "pause":
        this.deployment.spec = { ...spec, paused: act.value };
        break;
      case "storm":
        if (act.open) this.storm = { message: "storm", ...(act.source === undefined ? {} : { source: act.source }) };
        else delete this.storm;
        break;
      case "revoke":
        this.version(act.version, { ...this.versions[act.version], revoked: true });
        break;
      case "remake":
        this.version(act.version, { ...this.versions[act.version], digest: act.digest });
        break;
      case "replicas":
        this.deployment.spec = { ...spec, replicas: act.count };
        break;
      case "policy":
        this.layers(act.layers);
        break;
      case "strategy":
        this.deployment.spec = { ...spec, strategy: act.strategy as Strategy };
        break;
      case "die":
        this.#dies = act.when;
        break;
    }
  }

  /** Of one version only: the others behave as they did. */
  behaves<K extends "startMs" | "breaks" | "ails" | "probe">(what: K, version: string, value: ReturnType<Player[K]>): void {
    const before = this[what] as (name: string, revision: number) => unknown;
    Object.assign(this, { [what]: (name: string, revision: number) => (name === version ? value : before(name, revision)) });
  }

  /** Everything is well again, and stays so. */
  heal(): this {
    this.#courses.clear();
    this.startMs = () => 1000;
    this.endMs = () => 0;
    this.breaks = () => undefined;
    this.ails = () => ({});
    this.probe = () => "Passed";
    delete this.storm;
    for (const child of this.cluster.children.values()) {
      child.readyAt = Math.min(child.readyAt, this.now);
      if (child.added) child.added.readyAt = Math.min(child.added.readyAt, this.now);
      delete child.broken;
    }
    const { spec } = this.deployment;
    this.deployment.spec = { ...spec, replicas: Math.max(spec.replicas ?? 1, 1), paused: false };
    this.#soon();
    return this;
  }
}

/** Leaves acts out as long as the story still breaks the same promise: what is left is what it takes. */
export function shorten(story: Story, breaks: (story: Story) => boolean): Story {
  let left = story;
  for (let size = Math.ceil(story.acts.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < left.acts.length; ) {
      const shorter = { ...left, acts: [...left.acts.slice(0, at), ...left.acts.slice(at + size)] };
      if (breaks(shorter)) left = shorter;
      else at += size;
    }
  }
  return left;
}
