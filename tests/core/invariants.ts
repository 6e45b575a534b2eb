// What must hold after every pass, said a second time and from what can be seen only: statuses, pods, the Service, what the sources
// answered and what people did. Nothing of the rules that it checks is asked, so that a fault in them can't hide itself.

import type { HistoryEntry, ModelDeploymentStatus, RevisionRef } from "../../src/api/modeldeployment-status.ts";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import type { RollbackPolicySpec } from "../../src/api/rollbackpolicy.ts";
import type { Decision } from "../../src/core/decide.ts";
import type { Layer } from "../../src/core/layers.ts";
import type { Check } from "../../src/core/policy.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import type { StageReading } from "../../src/trial/stage.ts";
import { isLooser } from "./looser.ts";
import type { World } from "./world.ts";

/** A promise that was broken, by its name. */
export class Broken extends Error {
  readonly promise: string;

  constructor(promise: string, detail: string) {
    super(`${promise}: ${detail}`);
    this.promise = promise;
  }
}

export interface Step {
  before: ModelDeploymentStatus;
  after: ModelDeploymentStatus;
  snapshot: Snapshot;
  decision: Decision;
}

type Quality = "Good" | "Bad" | "Unknown";

/** What one check was answered of one revision in this operator's life. */
interface Answer {
  at: number;
  quality: Quality;
}

interface AutomaticReturn {
  at: number;
  proven: boolean;
  from: number;
  to: number;
}

const COMMON_CAUSE = "a common cause never walks through the proven ones";

/** The status is validated every so many writes: it costs as much as ten decisions. */
const VALIDATE_EVERY = 11;

const isOpen = (status: ModelDeploymentStatus) => status.rollback !== undefined && status.rollback.outcome === undefined;
const isProven = (ref: RevisionRef | undefined) => ref?.standing === "Proven" && !ref.baking;
const inQuarantine = (status: ModelDeploymentStatus, hash: string | undefined) =>
  (status.quarantine ?? []).some((entry) => entry.hash === hash);

export class Invariants {
  readonly #world: World;
  readonly #oneByOne: boolean;
  readonly #answers = new Map<string, Answer[]>();
  readonly #finished = new Map<number, string>();
  readonly #returns: AutomaticReturn[] = [];
  /** Who had the traffic, in order, since a person last did something. */
  #served: number[] = [];
  /** Revision and check that were answered well since that revision has the traffic, whatever an operator forgot since. */
  readonly #wasGood = new Set<string>();
  #writes = 0;
  /** How often each promise had something to hold: one that is never put to the test says nothing. */
  readonly seen = new Map<string, number>();

  /** @param oneByOne the story never lets two revisions have pods at once */
  constructor(world: World, oneByOne: boolean) {
    this.#world = world;
    this.#oneByOne = oneByOne;
  }

  /** @param detail said where it does not hold */
  holds(promise: string, ok: boolean, detail: string | (() => string) = ""): void {
    this.seen.set(promise, (this.seen.get(promise) ?? 0) + 1);
    if (!ok) throw new Broken(promise, typeof detail === "string" ? detail : detail());
  }

  /** A person's act: what follows from it is no loop of ours. */
  person(): void {
    this.#served = this.#served.slice(-1);
  }

  /** What was answered is forgotten where it was only in memory. */
  restarted(): void {
    this.#answers.clear();
  }

  reading(check: Check, revision: number, { kind, value = 0, denominator = 1 }: StageReading): void {
    const key = `${revision}/${check.name}`;
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = check.threshold ?? {};
    const known = kind === "Value" && denominator > 0;
    const quality = !known ? "Unknown" : value > max || value < min ? "Bad" : "Good";
    const answers = this.#answers.get(key) ?? [];
    this.#answers.set(key, answers);
    answers.push({ at: this.#world.now, quality });
    if (quality === "Good") this.#wasGood.add(key);
  }

  #answersOf(revision: number, check: string, since: number): Answer[] {
    return (this.#answers.get(`${revision}/${check}`) ?? []).filter((one) => one.at >= since);
  }

  policyChanged(layers: readonly Layer[], merged: RollbackPolicySpec): void {
    this.#answers.clear();
    for (const layer of layers.filter((one) => one.enforcement === "Required")) {
      const looser = isLooser(merged, layer.spec);
      this.holds("a policy layer never loosens", looser === undefined, `${looser} of ${layer.name}`);
    }
  }

  judge(step: Step): void {
    this.#sequence(step);
    this.#stallEnds(step);
    this.#trafficMoves(step);
    this.#decisionNumber(step);
    this.#quarantine(step);
    this.#returnBegins(step);
    this.#walk(step);
    this.#proof(step);
    if (step.after.stall?.reason === "CommonCause" && step.before.stall?.reason !== "CommonCause") this.holds(COMMON_CAUSE, true);
    if (!step.decision.changed) return;
    this.#conditions(step);
    this.#recommendation(step);
    const size = Buffer.byteLength(JSON.stringify(step.after));
    this.holds("the status stays below 32 KiB", size < 32 * 1024, String(size));
    if (this.#writes++ % VALIDATE_EVERY === 0) this.#valid(step.after);
  }

  #valid(status: ModelDeploymentStatus): void {
    const { error } = ModelDeploymentStatusSchema.safeParse(status);
    this.holds("the status is valid", error === undefined, () => JSON.stringify(error?.issues));
  }

  #sequence({ before, after, decision }: Step): void {
    if (!decision.changed) return;
    const known = new Set((before.history ?? []).map((entry) => entry.sequence));
    for (const entry of after.history ?? []) this.#finishes(entry, known.has(entry.sequence));
    const open = [after.rollout?.sequence, isOpen(after) ? after.rollback?.sequence : undefined];
    const numbers = [...this.#finished.keys(), ...open.filter((one) => one !== undefined)];
    const last = after.sequence ?? 0;
    const whole = new Set(numbers).size === last && numbers.length === last && Math.max(0, ...numbers) === last;
    this.holds(
      "each number is under way or has one entry, without gaps",
      whole,
      () => `${numbers.sort((a, b) => a - b)} of ${last}`,
    );
  }

  #finishes(entry: HistoryEntry, wasThere: boolean): void {
    const text = JSON.stringify(entry);
    const before = this.#finished.get(entry.sequence);
    this.holds("an entry is written once", wasThere ? before === text : before === undefined, () => text);
    this.#finished.set(entry.sequence, text);
  }

  /** A stall whose cause is remembered, and not seen anew in each pass, ends by what the table names. */
  #stallEnds({ before, after }: Step): void {
    const { spec } = this.#world.deployment;
    const retried = before.handled?.retry !== after.handled?.retry;
    if (before.desired?.remade !== undefined) {
      const ended = after.desired?.remade === undefined;
      const asked = retried || spec.version !== before.desired.version;
      this.holds("VersionContentChanged ends only by a retry or a new pin", !ended || asked);
    }
    const reason = before.stall?.reason ?? "";
    if (!["CommonCause", "TargetBreached", "ReturnFailed"].includes(reason) || after.stall) return;
    const moved = before.active?.revision !== after.active?.revision || before.rollout?.sequence !== after.rollout?.sequence;
    if (retried || moved || isOpen(after)) return;
    const of = (after.checks ?? []).filter((line) => line.revision === after.active?.revision && line.severity === "Critical");
    const about = of.filter((line) => line.name === before.stall?.check);
    const asked = reason === "CommonCause" && about.length > 0 ? about : of;
    const healthy = asked.length > 0 && asked.every((line) => line.verdict === "Healthy" || line.verdict === "NoData");
    this.holds("the stall of a failed return ends by health", healthy && !inQuarantine(after, after.active?.hash), reason);
  }

  #ready(snapshot: Snapshot, revision: number | undefined): number {
    return snapshot.children.find((child) => child.revision === revision)?.ready ?? 0;
  }

  #trafficMoves({ before, after, snapshot }: Step): void {
    const { active } = after;
    if (!active || active.revision === before.active?.revision) return;
    const had = before.active;
    const from = this.#ready(snapshot, had?.revision);
    const to = this.#ready(snapshot, active.revision);
    const restored = after.rollback?.outcome === "Failed" && after.rollback.from?.revision === active.revision;
    const who = `r${had?.revision} (${from} ready) to r${active.revision} (${to} ready)`;
    if (!restored) {
      const revoked = this.#world.versions[active.version]?.revoked === true;
      this.holds("traffic moves only to unquarantined revisions", !inQuarantine(after, active.hash), who);
      this.holds("traffic moves only to revisions that are not revoked", !revoked, who);
      const down = before.active?.downSince !== undefined || (isOpen(before) && before.rollback?.strategy === "Recreate");
      // Where what had the traffic has no ready pod, nothing is lost by moving at once.
      const lost = from === 0 && had !== undefined && !down;
      this.holds("traffic moves only to ready revisions", to > 0 || lost, who);
      if (isOpen(after) && !down) this.holds("a return moves traffic to a warm target", lost || to >= 0.8 * from, who);
    }
    if (before.candidate?.revision === active.revision && !isOpen(after)) this.#switches({ before, after, snapshot }, to);
    for (const key of this.#wasGood) if (key.startsWith(`${active.revision}/`)) this.#wasGood.delete(key);
    this.#served.push(active.revision);
    const [a, b, c, d] = this.#served.slice(-4);
    const loop = d !== undefined && a === c && b === d;
    this.holds("never A→B→A→B", !loop, () => `${this.#served}`);
  }

  #switches({ before, after, snapshot }: Omit<Step, "decision">, ready: number): void {
    const wanted = this.#world.deployment.spec.replicas ?? 1;
    this.holds("a candidate takes all the traffic at its full size", ready >= wanted && wanted > 0, `${ready} of ${wanted}`);
    if (before.active?.downSince !== undefined) return;
    const paused = snapshot.deployment.spec.paused || after.paused;
    this.holds("no candidate takes traffic while paused", !paused);
    if (!before.rollout?.promoted) this.holds("no candidate takes traffic while frozen", !after.freeze?.active);
  }

  #decisionNumber({ before, after }: Step): void {
    const [was, is] = [before.decision ?? 0, after.decision ?? 0];
    this.holds("the decision's number never falls", is >= was, `${was} to ${is}`);
    const traffic = (status: ModelDeploymentStatus) =>
      `${status.active?.revision} ${status.active?.downSince} ${status.candidate ? status.rollout?.step : undefined}`;
    // A step that is over because its candidate has all the traffic, or a downSince that a new active one does not have.
    if (traffic(before) !== traffic(after))
      this.holds(
        "the decision's number rises with every decision about traffic",
        is > was,
        () => `${traffic(before)} → ${traffic(after)}`,
      );
  }

  #quarantine({ before, after, snapshot }: Step): void {
    const { policy } = snapshot;
    const fresh = (after.quarantine ?? []).filter((entry) => !inQuarantine(before, entry.hash));
    for (const { revision, reason } of fresh.filter((entry) => entry.reason === "Breached" || entry.reason === "CheckBreached")) {
      this.holds("Observe quarantines nothing for a check", policy.mode !== "Observe", `r${revision}`);
      const asked = policy.checks.filter((check) => check.source !== undefined);
      if (reason === "Breached" || asked.some((check) => check.baseline)) continue;
      const bad = asked.some((check) => this.#answersOf(revision, check.name, 0).some((one) => one.quality === "Bad"));
      this.holds("no candidate is quarantined for a check on good or unknown data", bad, `r${revision}`);
    }
    const lifted = before.handled?.retry !== after.handled?.retry;
    for (const { hash, revision } of before.quarantine ?? [])
      this.holds("only a retry lifts a quarantine", lifted || inQuarantine(after, hash), `r${revision}`);
    const { candidate } = after;
    if (candidate)
      this.holds("nothing quarantined is a candidate", !inQuarantine(after, candidate.hash), `r${candidate.revision}`);
  }

  /** A return that a breach began, and that no person asked for or approved. */
  #returnBegins({ before, after, snapshot }: Step): void {
    const { rollback } = after;
    if (!rollback || rollback.sequence === before.rollback?.sequence) return;
    if (rollback.trigger !== "Breach") return;
    const { policy } = snapshot;
    const from = before.active;
    const words = `r${from?.revision} for ${rollback.check}`;
    this.holds("Observe returns nothing", policy.mode !== "Observe", words);
    if (rollback.initiator?.source !== "Operator") {
      const about = before.recommendation?.from.revision;
      this.holds("a person approves only what is recommended", about === from?.revision, words);
      return;
    }
    const { now } = this.#world;
    const check = policy.checks.find((one) => one.name === rollback.check);
    const paused = snapshot.deployment.spec.paused || after.paused;
    this.holds("no automatic return while paused, but for a Required check", !paused || check?.required === true, words);
    this.#isBreached(check, from, words);
    this.#isNoCommonCause(before, check?.name, words);
    const proven = isProven(from);
    if (proven) {
      const { cooldownMs, budget } = policy;
      const { storm } = this.#world;
      const last = this.#returns.at(-1);
      this.holds("at most one incident in a cooldown from a proven revision", !last || now - last.at >= cooldownMs, words);
      const spent = this.#returns.filter((one) => one.proven && now - one.at < budget.perMs).length;
      this.holds("the budget is never exceeded", spent < budget.limit, `${words}: ${spent} of ${budget.limit}`);
      const held = storm !== undefined && (storm.source === undefined || storm.source === check?.source);
      this.holds("the storm breaker holds returns from proven revisions", !held, words);
      this.holds("Recommend leaves no proven revision unasked", policy.mode !== "Recommend", words);
    }
    this.#returns.push({ at: now, proven, from: from?.revision ?? 0, to: rollback.to?.revision ?? 0 });
  }

  /** The source did answer so badly, and not only by silence: of the built-in checks the pods speak. */
  #isBreached(check: Check | undefined, from: RevisionRef | undefined, words: string): void {
    if (check?.source === undefined || !check.threshold || check.baseline || !from) return;
    const answers = this.#answersOf(from.revision, check.name, Date.parse(from.judgedFrom ?? from.since));
    const bad = answers.filter((one) => one.quality === "Bad").length;
    const least = check.kind === "Ratio" ? 1 : check.breach.count;
    this.holds(
      "no healthy revision is rolled back: unknown is no breach",
      bad >= least,
      `${words}: ${bad} bad of ${answers.length}`,
    );
  }

  /** What was returned to for this check, and never was good on it, is not left for it. */
  #isNoCommonCause(before: ModelDeploymentStatus, check: string | undefined, words: string): void {
    const { rollback, active } = before;
    if (!rollback || !active || check === undefined || rollback.to?.revision !== active.revision) return;
    if (!rollback.checks?.includes(check)) return;
    const rule = this.#world.policy.checks.find((one) => one.name === check);
    if (rule?.source === undefined) return;
    const good = rule.threshold && !rule.baseline ? this.#wasGood.has(`${active.revision}/${check}`) : true;
    const noted = rollback.healthyChecks?.includes(check) === true;
    this.holds(COMMON_CAUSE, good && noted, words);
  }

  #walk({ before, after, snapshot }: Step): void {
    const [was, is] = [before.rollback, after.rollback];
    if (isOpen(after) && is?.passedOver?.length)
      this.holds("no target is tried twice in an incident", !is.passedOver.includes(is.to?.revision ?? 0), `r${is.to?.revision}`);
    if (!was || !is || was.sequence !== is.sequence || was.to?.revision === is.to?.revision) return;
    const deeper = (is.depth ?? 1) > (was.depth ?? 1);
    const words = `r${was.to?.revision} to r${is.to?.revision}`;
    if (!deeper) return;
    this.holds("a walk goes no deeper than maxDepth", (is.depth ?? 1) <= snapshot.policy.maxDepth, words);
    // What it goes on for is what was breached on the target just now, and nothing that it was returned to for.
    const bad = (after.checks ?? []).filter((line) => line.revision === was.to?.revision && line.verdict === "Breached");
    const common = bad.filter(
      (line) => line.source !== undefined && was.checks?.includes(line.name) && !was.healthyChecks?.includes(line.name),
    );
    this.holds(COMMON_CAUSE, common.length === 0, words);
  }

  #proof({ before, after, snapshot }: Step): void {
    const { active } = after;
    if (!active || active.provenAt === before.active?.provenAt || active.revision !== before.active?.revision) return;
    const promoted = before.active?.promoted || before.rollout?.promoted;
    if (promoted) return;
    this.holds("nothing is proven while a return is under way", !isOpen(after));
    const { policy } = snapshot;
    const since = Date.parse(before.active?.judgedFrom ?? "") + policy.warmupMs;
    for (const check of policy.checks) {
      if (check.severity !== "Critical" || check.source === undefined || !check.threshold) continue;
      const answers = this.#answersOf(active.revision, check.name, since);
      const known = answers.filter((one) => one.quality !== "Unknown");
      const words = `r${active.revision} on ${check.name}: ${known.length} of ${answers.length}`;
      this.holds("nothing is proven on unknown data", known.length >= check.breach.of, words);
      const covered = known.reduce(
        (sum, one, index) => sum + (index === 0 ? 0 : Math.min(one.at - (known[index - 1]?.at ?? 0), 2 * check.intervalMs)),
        0,
      );
      this.holds("samples cover the bake", covered >= policy.bakeMs, `${words}, ${covered} of ${policy.bakeMs} ms`);
      const dark = answers.slice(-2).every((one) => one.quality === "Unknown");
      this.holds("nothing is proven while a source is dark", !dark, words);
      if (check.kind === "Ratio") continue;
      const bad = known.slice(-check.breach.of).filter((one) => one.quality === "Bad").length;
      this.holds("nothing is proven that is breached", bad < check.breach.count, words);
    }
  }

  #conditions({ after, snapshot }: Step): void {
    const { metadata } = this.#world.deployment;
    const is = (type: string) => after.conditions?.find((one) => one.type === type)?.status === "True";
    const said = [is("Ready"), is("Reconciling"), is("Stalled")];
    this.holds("exactly one of Ready, Reconciling and Stalled is true", said.filter(Boolean).length === 1, () => `${said}`);
    const current = (after.conditions ?? []).every((one) => one.observedGeneration === metadata.generation);
    this.holds(
      "observedGeneration is an integer, on all conditions",
      current && after.observedGeneration === metadata.generation,
    );
    if (!is("Ready")) return;
    const { pin } = snapshot;
    const { active } = after;
    const pinned = pin.state === "Usable" && pin.hash === active?.hash;
    const bad = (after.checks ?? []).some(
      (line) => line.revision === active?.revision && line.severity === "Critical" && line.verdict === "Breached",
    );
    const whole = pinned && isProven(active) && !inQuarantine(after, active?.hash) && !after.candidate && !isOpen(after);
    this.holds("Ready is true only for a pinned, proven, unbreached revision", whole && !bad, after.message);
  }

  #recommendation({ after, snapshot }: Step): void {
    const { recommendation, active, candidate } = after;
    if (!recommendation) return;
    const about = recommendation.action === "Return" ? active : candidate;
    const words = JSON.stringify(recommendation);
    this.holds("what is recommended is about what is there", about?.revision === recommendation.from.revision, words);
    this.holds("what is recommended is of the policy's mode", recommendation.mode === snapshot.policy.mode, words);
  }

  /** What the cluster looks like when all that a status says was done. */
  carriedOut(): void {
    const { status, cluster, selects, now, lastPlan } = this.#world;
    const { active, candidate, rollout } = status;
    if (this.#oneByOne) {
      const having = [...cluster.children.keys()].filter((one) => cluster.pods(one, now, this.#world).length > 0);
      this.holds("with Recreate no two revisions have pods at once", having.length <= 1, () => `r${having}`);
    }
    if (active) this.holds("what serves has its Deployment", cluster.children.has(active.revision), `r${active.revision}`);
    if (selects === "All") {
      this.holds(
        "the Service is wide only while a candidate has a share",
        rollout?.step !== undefined && candidate !== undefined,
      );
      const kept = [active?.revision, candidate?.revision];
      const others = [...cluster.children.keys()].filter(
        (one) => !kept.includes(one) && cluster.pods(one, now, this.#world).length > 0,
      );
      this.holds("a wide Service never selects a third revision", others.length === 0, () => `r${others}`);
    } else if (active) this.holds("the Service selects the active revision", selects === active.revision, () => `${selects}`);
    if ((cluster.route?.weight ?? 0) === 0) return;
    const leads = lastPlan?.preview === candidate?.revision;
    this.holds("a route weighs only a candidate with a share", rollout?.step !== undefined && candidate !== undefined && leads);
  }

  /** When all has been well for a while: what can serve serves, and nothing is half done. */
  endsWell(): void {
    const { status } = this.#world;
    if (!status.active) return;
    const available = this.#world.condition("Available")?.status;
    this.holds("in the end what can serve serves", available === "True", () => `${status.phase}: ${status.message}`);
    this.holds("in the end no return is under way", !isOpen(status), status.message);
    this.holds("in the end nothing is down to make room", status.active.downSince === undefined, status.message);
  }
}
