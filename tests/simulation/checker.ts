// What must hold, said apart from what is checked: from what the API server committed and from what is really so. Nothing of the
// operator is asked; its types name the fields of a status.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { HistoryEntry, ModelDeploymentStatus, RollbackState } from "../../src/api/modeldeployment-status.ts";
import type { StoredObject } from "../../src/sandbox/api.ts";
import { START } from "./clock.ts";
import type { FaultKind } from "./faults.ts";
import { PodsSeen } from "./pods-seen.ts";
import { type Commit, KEPT, type State } from "./state.ts";
import type { Truth } from "./truth.ts";
import type { Witness } from "./world.ts";

/** A promise that was broken. */
export interface Violation {
  promise: string;
  /** World time, ms. */
  at: number;
  detail: string;
}

/** Where a phase may lead, after the table of the design: said here once more, so that a change there has to be meant. */
const LEADS: Record<string, string> = {
  Pending: "Progressing Guarding Baking RolledBack RollingBack Stalled",
  Progressing: "Shifting Baking Guarding Progressing Pending RolledBack RollingBack Stalled",
  Shifting: "Baking Guarding Progressing Pending RolledBack RollingBack Stalled",
  Baking: "Guarding Progressing Pending RolledBack RollingBack Stalled",
  Guarding: "Progressing Pending RolledBack RollingBack Stalled",
  RollingBack: "Verifying RollingBack Stalled",
  Verifying: "RolledBack Guarding Baking Progressing Pending RollingBack Stalled",
  RolledBack: "Progressing Guarding Baking Pending RollingBack Stalled",
  Stalled: "Pending Progressing Shifting Baking Guarding RollingBack RolledBack",
};

/** Of the policy that people.ts writes, ms. A breach is two bad samples of three, five seconds apart. */
const SAMPLE_MS = 5000;
const UNREADY_MS = 20_000;
const BAKE_MS = 15_000;
const LEASE_MS = 10_000;
/** Of one status in a second. */
const MOST_WRITES = 25;
/** From what was measured to what is decided, with all that may delay it, ms. */
const HORIZON_MS = 60_000;

/** What is known of one deployment's life, by its uid. */
interface Life {
  name: string;
  status: ModelDeploymentStatus;
  /** The sequence before its first. */
  base: number | undefined;
  finished: Map<number, string>;
  /** Revisions that became active, in order, with the number of returns that had begun by then. */
  activated: { revision: number; returns: number }[];
  /** Automatic returns for a breach, and when they were decided, ms. */
  returns: { rollback: RollbackState; at: number }[];
  /** When a person last did something, ms. */
  personAt: number;
  /** Active revisions since a person last did something. */
  served: number[];
}

const isOpen = (rollback: RollbackState | undefined) => rollback !== undefined && rollback.outcome === undefined;
const isOperator = (by: string) => by.startsWith("operator-");

export class Checker implements Witness {
  readonly violations: Violation[] = [];
  /** How often each promise had something to hold. */
  readonly seen = new Map<string, number>();
  readonly pods = new PodsSeen();
  readonly #lives = new Map<string, Life>();
  /** Services whose selector somebody else wrote last. */
  readonly #meddled = new Set<string>();
  #truth!: Truth;
  #state!: State;
  #holder: { by: string; at: number } | undefined;
  /** When somebody deleted the lease last, and when each process began, ms. */
  #leaseDeletedAt = Number.NEGATIVE_INFINITY;
  readonly #startedAt = new Map<string, number>();
  /** Times of the latest status writes, by deployment, ms. */
  readonly #statusWrites = new Map<string, number[]>();
  /** Times of the usable samples of a revision, ms. */
  readonly #samples = new Map<string, number[]>();

  /** The truth of the world that is watched; before anything happens in it. */
  watch({ truth, state }: { truth: Truth; state: State }): void {
    this.#truth = truth;
    this.#state = state;
  }

  holds(promise: string, ok: boolean, at: number, detail: () => string): void {
    this.seen.set(promise, (this.seen.get(promise) ?? 0) + 1);
    // The first of each says enough.
    if (!ok && this.violations.every((one) => one.promise !== promise)) this.violations.push({ promise, at, detail: detail() });
  }

  lives(): readonly Life[] {
    return [...this.#lives.values()];
  }

  process(at: number, name: string, what: string): void {
    if (what === "starts") this.#startedAt.set(name, at);
  }

  person(at: number, deployment: string): void {
    for (const life of this.#lives.values()) if (life.name === deployment) life.personAt = at;
    this.#begunAnew(deployment);
  }

  #begunAnew(deployment: string): void {
    for (const life of this.#lives.values()) if (life.name === deployment) life.served = life.served.slice(-1);
  }

  fault(_at: number, _kind: FaultKind, deployment: string | undefined): void {
    if (deployment) this.#begunAnew(deployment);
  }

  logged(at: number, process: string, level: string, fields: object): void {
    const { stack, error } = fields as { stack?: string; error?: string };
    this.holds(
      "no pass and no operator ends by a bug",
      stack === undefined && (level !== "error" || error === undefined),
      at,
      () => `${process}: ${error} ${stack}`,
    );
  }

  sampled(deployment: string, revision: number, at: number): void {
    const key = `${deployment}-r${revision}`;
    const known = this.#samples.get(key) ?? [];
    this.#samples.set(key, known);
    known.push(at);
  }

  committed(commit: Commit): void {
    const { storage, by } = commit;
    if (storage === KEPT.pods) this.pods.committed(commit);
    if (storage === KEPT.leases) this.#lease(commit);
    if (storage === KEPT.services) this.#service(commit);
    if (isOperator(by)) this.#written(commit);
    if (storage === KEPT.deployments) this.#deployment(commit);
  }

  #lease({ object, type, at }: Commit): void {
    const holder = type === "DELETED" ? "" : ((object.spec as { holderIdentity?: string }).holderIdentity ?? "");
    if (type === "DELETED") this.#leaseDeletedAt = at;
    if (holder !== "" && this.#holder?.by !== holder) this.#holder = { by: holder, at };
  }

  /** Who writes holds the lease; a write that was long on its way changes nothing after another one leads. */
  #written({ by, at, storage, object, previous }: Commit): void {
    if (storage === KEPT.leases || storage === KEPT.events) return;
    // Who begins when the lease is not there can't know whose it was.
    const innocent =
      at - this.#leaseDeletedAt < LEASE_MS && (this.#startedAt.get(this.#holder?.by ?? "") ?? 0) >= this.#leaseDeletedAt;
    const leads = this.#holder?.by === by || innocent;
    if (storage === KEPT.deployments && !innocent) this.#storm(object.metadata.name, at);
    this.holds(
      "the late leader changes nothing",
      leads,
      at,
      () => `${by} wrote ${storage} ${object.metadata.name}, and ${this.#holder?.by} leads`,
    );
    const number = decisionOf(object);
    if (number === decisionOf(previous) || number === 0) return;
    const owner = this.#ownerOf(object);
    if (!owner) return;
    const decided = owner.status.decision ?? 0;
    this.holds(
      "no write without a decision that was written first",
      number <= decided,
      at,
      () => `${storage} ${object.metadata.name} has decision ${number}, and the status ${decided}`,
    );
  }

  #storm(name: string, at: number): void {
    const times = (this.#statusWrites.get(name) ?? []).filter((one) => one > at - 1000);
    times.push(at);
    this.#statusWrites.set(name, times);
    this.holds(
      "no status is written in a storm",
      times.length <= MOST_WRITES,
      at,
      () => `${name}: ${times.length} writes within a second`,
    );
  }

  #ownerOf({ metadata }: StoredObject): Life | undefined {
    const owner = (metadata.ownerReferences ?? []).find((one) => one.controller);
    return owner ? this.#lives.get(owner.uid) : undefined;
  }

  /** Traffic moves: only to what the status says, what is ready, and what is not in quarantine. */
  #service({ object, previous, type, by, at }: Commit): void {
    const { name } = object.metadata;
    if (type === "DELETED" || name.endsWith("-preview")) return;
    const [was, is] = [selectedBy(previous), selectedBy(object)];
    if (was === is) return;
    if (!isOperator(by)) {
      this.#meddled.add(name);
      return;
    }
    const meddled = this.#meddled.delete(name);
    const life = this.#ownerOf(object);
    if (!life) return;
    const { active, rollout, candidate, quarantine = [] } = life.status;
    const words = () => `${name}: r${was} to r${is}; active r${active?.revision}`;
    if (is === 0) {
      this.holds(
        "the Service is wide only for a share that the status names",
        rollout?.step !== undefined && candidate !== undefined,
        at,
        words,
      );
      return;
    }
    this.holds("the Service is pointed only at the active revision of the status", is === active?.revision, at, words);
    if (meddled || was === undefined || is === undefined) return;
    const recreate = rollout?.strategy === "Recreate" || life.status.rollback?.strategy === "Recreate";
    const lost = was === 0 ? 0 : this.pods.ready(name, was);
    this.holds(
      "traffic is moved to a ready revision while a ready one exists",
      this.pods.ready(name, is) > 0 || lost === 0 || recreate,
      at,
      () => `${words()}; ready ${this.pods.ready(name, is)}, left ${lost}`,
    );
    const again = life.status.rollback?.outcome === "Failed";
    const bad = quarantine.some((one) => one.hash === active?.hash);
    this.holds("traffic is never moved to what is quarantined", !bad || again, at, words);
  }

  #deployment(commit: Commit): void {
    const object = commit.object as unknown as ModelDeployment;
    const { uid = "", name } = object.metadata;
    if (commit.type === "DELETED") {
      this.#lives.delete(uid);
      return;
    }
    const known = this.#lives.get(uid);
    const life: Life = known ?? {
      name,
      status: {},
      base: undefined,
      finished: new Map(),
      activated: [],
      returns: [],
      personAt: 0,
      served: [],
    };
    this.#lives.set(uid, life);
    const before = life.status;
    const after = object.status ?? {};
    if (!isOperator(commit.by) || before === after) return;
    life.status = after;
    this.#phase(life, before, after, commit.at);
    this.#sequence(life, after, commit.at);
    this.#rejected(life, before, after, commit.at);
    this.#returns(life, before, after, commit.at);
    this.#ended(life, before, after, commit.at);
    this.#proven(life, before, after, commit.at);
    if (after.active && after.active.revision !== before.active?.revision) {
      life.activated.push({ revision: after.active.revision, returns: life.returns.length });
      life.served.push(after.active.revision);
      const [a, b, c, d] = life.served.slice(-4);
      this.holds("never A→B→A→B by itself", d === undefined || a !== c || b !== d, commit.at, () => `${name}: ${life.served}`);
    }
    this.holds("the decision's number never falls", (after.decision ?? 0) >= (before.decision ?? 0), commit.at, () => name);
    const size = JSON.stringify(after).length;
    this.holds("a status stays below 32 KiB", size < 32 * 1024, commit.at, () => `${name}: ${size}`);
  }

  #phase({ name }: Life, before: ModelDeploymentStatus, after: ModelDeploymentStatus, at: number): void {
    if (before.phase === undefined || after.phase === before.phase) return;
    const legal = (LEADS[before.phase] ?? "").split(" ").includes(after.phase ?? "");
    this.holds(
      "every status is reached by a legal transition",
      legal,
      at,
      () => `${name}: ${before.phase} to ${after.phase}: ${after.message}`,
    );
  }

  #sequence(life: Life, after: ModelDeploymentStatus, at: number): void {
    const open = [after.rollout?.sequence, isOpen(after.rollback) ? after.rollback?.sequence : undefined].filter(
      (one) => one !== undefined,
    );
    const last = after.sequence ?? 0;
    if (last > 0) life.base ??= Math.min(last, ...open, ...(after.history ?? []).map((one) => one.sequence)) - 1;
    const base = life.base ?? 0;
    for (const entry of after.history ?? []) {
      const text = JSON.stringify(entry);
      const known = life.finished.get(entry.sequence);
      this.holds(
        "an entry of the history is never rewritten",
        known === undefined || known === text,
        at,
        () => `${life.name}: ${known} and ${text}`,
      );
      life.finished.set(entry.sequence, text);
    }
    const numbers = [...life.finished.keys(), ...open];
    const whole =
      numbers.length === last - base &&
      new Set(numbers).size === numbers.length &&
      numbers.every((one) => one > base && one <= last);
    this.holds(
      "sequence without gaps: each number is under way or has one entry",
      last === 0 || whole,
      at,
      () => `${life.name}: ${numbers.sort((a, b) => a - b)} of ${base + 1} to ${last}`,
    );
  }

  /** A candidate is quarantined for a fault of its own. */
  #rejected(life: Life, before: ModelDeploymentStatus, after: ModelDeploymentStatus, at: number): void {
    const known = new Set((before.quarantine ?? []).map((one) => one.hash));
    for (const { hash, reason, revision } of after.quarantine ?? []) {
      if (known.has(hash) || reason === "Breached" || reason === "RolledBackByPerson") continue;
      const { name } = life;
      const fate = this.#truth.fateOf(name, revision);
      const measured = this.#truth.badMs(name, revision, at - HORIZON_MS, at) >= SAMPLE_MS * 0.9;
      const crashed = this.pods.restarts(name, revision, at) >= 3;
      const own = { Crashing: "CrashLoop", NeverReady: "NeverReady", Wrong: "ProbeFailed", Bad: "CheckBreached", Good: "" }[fate];
      const ok =
        (own !== "" && own === reason) || (reason === "CheckBreached" && measured) || (reason === "CrashLoop" && crashed);
      this.holds(
        "no candidate is quarantined without a fault of its own",
        ok,
        at,
        () => `${name} r${revision}: ${reason}, and it is ${fate}`,
      );
    }
  }

  /** A return that began by itself: there was a breach, and none was begun for it before. */
  #returns(life: Life, before: ModelDeploymentStatus, after: ModelDeploymentStatus, at: number): void {
    const { rollback } = after;
    if (!rollback || rollback.sequence === before.rollback?.sequence) return;
    const both = isOpen(before.rollback) && !(after.history ?? []).some((one) => one.sequence === before.rollback?.sequence);
    this.holds(
      "never two returns at once",
      !both,
      at,
      () => `${life.name}: ${before.rollback?.sequence} and ${rollback.sequence}`,
    );
    if (rollback.trigger !== "Breach") return;
    const { name } = life;
    const from = rollback.from?.revision ?? 0;
    const words = () => `${name} r${from} for ${rollback.check}: ${rollback.message}`;
    this.holds("no healthy revision is rolled back by itself", this.#isBreached(name, from, rollback.check, at), at, words);
    const last = life.returns.findLastIndex((one) => one.rollback.from?.revision === from);
    const again = life.activated.some((one) => one.revision === from && one.returns > last);
    // One whose target did not start is begun anew by what a person does.
    const failed = [...life.finished.values()].some((text) => {
      const entry = JSON.parse(text) as HistoryEntry;
      return entry.sequence === life.returns[last]?.rollback.sequence && entry.outcome === "Failed";
    });
    const asked = failed && life.personAt > (life.returns[last]?.at ?? 0);
    this.holds("never two returns for one breach", last < 0 || again || asked, at, words);
    life.returns.push({ rollback, at });
  }

  #isBreached(name: string, revision: number, check: string | undefined, at: number): boolean {
    if (check === "available") return this.pods.unreadyMs(name, revision, at - HORIZON_MS, at) >= UNREADY_MS * 0.5;
    if (check === "restarts") return this.pods.restarts(name, revision, at) >= 3;
    return this.#truth.badMs(name, revision, at - HORIZON_MS, at) >= SAMPLE_MS * 0.9;
  }

  /** A proof: measured often enough, and long enough, since it had the traffic, and not bad all that time. */
  #proven({ name }: Life, before: ModelDeploymentStatus, after: ModelDeploymentStatus, at: number): void {
    const { active } = after;
    if (!active || active.revision !== before.active?.revision || active.provenAt === before.active.provenAt) return;
    if (before.active.promoted || before.rollout?.promoted) return;
    const since = sinceStart(before.active.since);
    const times = (this.#samples.get(`${name}-r${active.revision}`) ?? []).filter((one) => one >= since - 1000 && one <= at);
    const span = Math.max(...times) - Math.min(...times);
    const enough = times.length >= 3 && span >= BAKE_MS - SAMPLE_MS;
    this.holds(
      "nothing is proven without samples that cover its bake",
      enough,
      at,
      () => `${name} r${active.revision}: ${times.length} samples over ${span} ms`,
    );
    const bad = this.#truth.badMs(name, active.revision, at - 2 * SAMPLE_MS, at) >= 2 * SAMPLE_MS;
    this.holds("nothing is proven that measures badly", !bad, at, () => `${name} r${active.revision}`);
  }

  /** What a return left has the traffic no more when it has ended well. */
  #ended(life: Life, before: ModelDeploymentStatus, after: ModelDeploymentStatus, at: number): void {
    const { rollback, quarantine = [] } = after;
    const outcome = rollback?.outcome;
    if (outcome !== "Verified" && outcome !== "Unverified") return;
    if (before.rollback?.sequence === rollback?.sequence && before.rollback?.outcome === outcome) return;
    const selected = selectedBy(this.#state.get<StoredObject>(KEPT.services, life.name));
    const bad = quarantine.find((one) => one.revision === selected);
    const excused = this.#meddled.has(life.name);
    this.holds(
      "traffic is never at a quarantined revision once its return has ended",
      bad === undefined || excused,
      at,
      () => `${life.name}: the Service selects r${selected}, which is quarantined`,
    );
  }
}

export function decisionOf(object: StoredObject | undefined): number {
  return Number(object?.metadata.annotations?.["rollguard.dev/decision"] ?? 0);
}

/** The revision that a Service selects; 0: all of the deployment; undefined: nothing of it. */
export function selectedBy(service: StoredObject | undefined): number | undefined {
  const { selector } = (service?.spec ?? {}) as { selector?: Record<string, string> };
  if (selector?.["rollguard.dev/deployment"] === undefined) return undefined;
  return Number(selector["rollguard.dev/revision"] ?? 0);
}

export type { HistoryEntry, Life };
export const sinceStart = (time: string | undefined): number => Date.parse(time ?? "") - START;
