// What must hold after every pass, said a second time and from what can be seen only: statuses, pods, the Service, what the sources
// answered and what people did. Nothing of the rules that it checks is asked, so that a fault in them can't hide itself.

import type { RollbackPolicySpec } from "../../src/api/rollbackpolicy.ts";
import type { Layer } from "../../src/core/layers.ts";
import type { Check } from "../../src/core/policy.ts";
import type { StageReading } from "../../src/trial/stage.ts";
import { JudgingRules } from "./invariants/judging.ts";
import { Answers, isOpen, Promises, type Step } from "./invariants/promises.ts";
import { ReturnRules } from "./invariants/returns.ts";
import { StatusRules } from "./invariants/status.ts";
import { TrafficRules } from "./invariants/traffic.ts";
import { isLooser } from "./looser.ts";
import type { World } from "./world.ts";

export class Invariants {
  readonly promises = new Promises();
  readonly #world: World;
  readonly #answers = new Answers();
  readonly #traffic: TrafficRules;
  readonly #rules: readonly { judge(step: Step): void }[];

  /** @param oneByOne the story never lets two revisions have pods at once */
  constructor(world: World, oneByOne: boolean) {
    this.#world = world;
    this.#traffic = new TrafficRules(world, this.promises, this.#answers, oneByOne);
    const returns = new ReturnRules(world, this.promises, this.#answers);
    const judging = new JudgingRules(this.promises, this.#answers);
    this.#rules = [this.#traffic, judging, returns, new StatusRules(world, this.promises)];
  }

  /** A person does something. */
  person(): void {
    this.#traffic.person();
  }

  /** What was answered is forgotten where it was only in memory. */
  restarted(): void {
    this.#answers.forget();
  }

  reading(check: Check, revision: number, reading: StageReading): void {
    this.#answers.note(this.#world.now, check, revision, reading);
  }

  policyChanged(layers: readonly Layer[], merged: RollbackPolicySpec): void {
    this.#answers.forget();
    for (const layer of layers.filter((one) => one.enforcement === "Required")) {
      const looser = isLooser(merged, layer.spec);
      this.promises.holds("a policy layer never loosens", looser === undefined, `${looser} of ${layer.name}`);
    }
  }

  judge(step: Step): void {
    for (const rules of this.#rules) rules.judge(step);
  }

  /** When all that a status says was done. */
  carriedOut(): void {
    this.#traffic.carriedOut();
  }

  /** When all has been well for a while: what can serve serves, and nothing is half done. */
  endsWell(): void {
    const { status } = this.#world;
    if (!status.active) return;
    const available = this.#world.condition("Available")?.status;
    this.promises.holds("in the end what can serve serves", available === "True", () => `${status.phase}: ${status.message}`);
    this.promises.holds("in the end no return is under way", !isOpen(status), status.message);
    this.promises.holds("in the end nothing is down to make room", status.active.downSince === undefined, status.message);
  }
}
