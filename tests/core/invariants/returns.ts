// What may begin a return by itself, and where a walk may go.

import type { ModelDeploymentStatus, RevisionRef } from "../../../src/api/modeldeployment-status.ts";
import type { Check } from "../../../src/core/policy.ts";
import type { World } from "../world.ts";
import { type Answers, COMMON_CAUSE, isOpen, isProven, type Promises, type Step } from "./promises.ts";

interface AutomaticReturn {
  at: number;
  proven: boolean;
}

export class ReturnRules {
  readonly #world: World;
  readonly #promises: Promises;
  readonly #answers: Answers;
  readonly #returns: AutomaticReturn[] = [];

  constructor(world: World, promises: Promises, answers: Answers) {
    this.#world = world;
    this.#promises = promises;
    this.#answers = answers;
  }

  judge(step: Step): void {
    this.#begins(step);
    this.#walk(step);
    const { before, after } = step;
    if (after.stall?.reason === "CommonCause" && before.stall?.reason !== "CommonCause") this.#promises.holds(COMMON_CAUSE, true);
  }

  /** A return that a breach began, and that no person asked for or approved. */
  #begins({ before, after, snapshot }: Step): void {
    const { rollback } = after;
    if (!rollback || rollback.sequence === before.rollback?.sequence) return;
    if (rollback.trigger !== "Breach") return;
    const { policy } = snapshot;
    const from = before.active;
    const words = `r${from?.revision} for ${rollback.check}`;
    this.#promises.holds("Observe returns nothing", policy.mode !== "Observe", words);
    if (rollback.initiator?.source !== "Operator") {
      const about = before.recommendation?.from.revision;
      this.#promises.holds("a person approves only what is recommended", about === from?.revision, words);
      return;
    }
    const { now } = this.#world;
    const check = policy.checks.find((one) => one.name === rollback.check);
    const paused = snapshot.deployment.spec.paused || after.paused;
    this.#promises.holds(
      "no automatic return while paused, but for a Required check",
      !paused || check?.required === true,
      words,
    );
    this.#isBreached(check, from, words);
    this.#isNoCommonCause(before, check?.name, words);
    const proven = isProven(from);
    if (proven) {
      const { cooldownMs, budget } = policy;
      const { storm } = this.#world;
      const last = this.#returns.at(-1);
      this.#promises.holds(
        "at most one incident in a cooldown from a proven revision",
        !last || now - last.at >= cooldownMs,
        words,
      );
      const spent = this.#returns.filter((one) => one.proven && now - one.at < budget.perMs).length;
      this.#promises.holds("the budget is never exceeded", spent < budget.limit, `${words}: ${spent} of ${budget.limit}`);
      const held = storm !== undefined && (storm.source === undefined || storm.source === check?.source);
      this.#promises.holds("the storm breaker holds returns from proven revisions", !held, words);
      this.#promises.holds("Recommend leaves no proven revision unasked", policy.mode !== "Recommend", words);
    }
    this.#returns.push({ at: now, proven });
  }

  /** The source did answer so badly, and not only by silence: of the built-in checks the pods speak. */
  #isBreached(check: Check | undefined, from: RevisionRef | undefined, words: string): void {
    if (check?.source === undefined || !check.threshold || check.baseline || !from) return;
    const answers = this.#answers.of(from.revision, check.name, Date.parse(from.judgedFrom ?? from.since));
    const bad = answers.filter((one) => one.quality === "Bad").length;
    const least = check.kind === "Ratio" ? 1 : check.breach.count;
    this.#promises.holds(
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
    const good = rule.threshold && !rule.baseline ? this.#answers.wasGood(active.revision, check) : true;
    const noted = rollback.healthyChecks?.includes(check) === true;
    this.#promises.holds(COMMON_CAUSE, good && noted, words);
  }

  #walk({ before, after, snapshot }: Step): void {
    const [was, is] = [before.rollback, after.rollback];
    if (isOpen(after) && is?.passedOver?.length)
      this.#promises.holds(
        "no target is tried twice in an incident",
        !is.passedOver.includes(is.to?.revision ?? 0),
        `r${is.to?.revision}`,
      );
    if (!was || !is || was.sequence !== is.sequence || was.to?.revision === is.to?.revision) return;
    const deeper = (is.depth ?? 1) > (was.depth ?? 1);
    const words = `r${was.to?.revision} to r${is.to?.revision}`;
    if (!deeper) return;
    this.#promises.holds("a walk goes no deeper than maxDepth", (is.depth ?? 1) <= snapshot.policy.maxDepth, words);
    // What it goes on for is what was breached on the target just now, and nothing that it was returned to for.
    const bad = (after.checks ?? []).filter((line) => line.revision === was.to?.revision && line.verdict === "Breached");
    const common = bad.filter(
      (line) => line.source !== undefined && was.checks?.includes(line.name) && !was.healthyChecks?.includes(line.name),
    );
    this.#promises.holds(COMMON_CAUSE, common.length === 0, words);
  }
}
