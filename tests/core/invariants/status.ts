// What the status tells: numbers and history without gaps, conditions that are true, a size that fits.

import {
  type HistoryEntry,
  type ModelDeploymentStatus,
  ModelDeploymentStatusSchema,
} from "../../../src/api/modeldeployment-status.ts";
import type { World } from "../world.ts";
import { inQuarantine, isOpen, isProven, type Promises, type Step } from "./promises.ts";

/** The status is validated every so many writes: it costs as much as ten decisions. */
const VALIDATE_EVERY = 11;

export class StatusRules {
  readonly #world: World;
  readonly #promises: Promises;
  readonly #finished = new Map<number, string>();
  #writes = 0;

  constructor(world: World, promises: Promises) {
    this.#world = world;
    this.#promises = promises;
  }

  judge(step: Step): void {
    this.#stallEnds(step);
    if (!step.decision.changed) return;
    this.#sequence(step);
    this.#conditions(step);
    this.#recommendation(step);
    const size = Buffer.byteLength(JSON.stringify(step.after));
    this.#promises.holds("the status stays below 32 KiB", size < 32 * 1024, String(size));
    if (this.#writes++ % VALIDATE_EVERY === 0) this.#valid(step.after);
  }

  #sequence({ before, after }: Step): void {
    const known = new Set((before.history ?? []).map((entry) => entry.sequence));
    for (const entry of after.history ?? []) this.#finishes(entry, known.has(entry.sequence));
    const open = [after.rollout?.sequence, isOpen(after) ? after.rollback?.sequence : undefined];
    const numbers = [...this.#finished.keys(), ...open.filter((one) => one !== undefined)];
    const last = after.sequence ?? 0;
    const whole = new Set(numbers).size === last && numbers.length === last && Math.max(0, ...numbers) === last;
    this.#promises.holds(
      "each number is under way or has one entry, without gaps",
      whole,
      () => `${numbers.sort((a, b) => a - b)} of ${last}`,
    );
  }

  #finishes(entry: HistoryEntry, wasThere: boolean): void {
    const text = JSON.stringify(entry);
    const before = this.#finished.get(entry.sequence);
    this.#promises.holds("an entry is written once", wasThere ? before === text : before === undefined, () => text);
    this.#finished.set(entry.sequence, text);
  }

  /** A stall whose cause is remembered, and not seen anew in each pass, ends by what the table names. */
  #stallEnds({ before, after }: Step): void {
    const { spec } = this.#world.deployment;
    const retried = before.handled?.retry !== after.handled?.retry;
    if (before.desired?.remade !== undefined) {
      const ended = after.desired?.remade === undefined;
      const asked = retried || spec.version !== before.desired.version;
      this.#promises.holds("VersionContentChanged ends only by a retry or a new pin", !ended || asked);
    }
    const reason = before.stall?.reason ?? "";
    if (!["CommonCause", "TargetBreached", "ReturnFailed"].includes(reason) || after.stall) return;
    const moved = before.active?.revision !== after.active?.revision || before.rollout?.sequence !== after.rollout?.sequence;
    if (retried || moved || isOpen(after)) return;
    const of = (after.checks ?? []).filter((line) => line.revision === after.active?.revision && line.severity === "Critical");
    const about = of.filter((line) => line.name === before.stall?.check);
    const asked = reason === "CommonCause" && about.length > 0 ? about : of;
    const healthy = asked.length > 0 && asked.every((line) => line.verdict === "Healthy" || line.verdict === "NoData");
    this.#promises.holds(
      "the stall of a failed return ends by health",
      healthy && !inQuarantine(after, after.active?.hash),
      reason,
    );
  }

  #conditions({ after, snapshot }: Step): void {
    const { metadata } = this.#world.deployment;
    const is = (type: string) => after.conditions?.find((one) => one.type === type)?.status === "True";
    const said = [is("Ready"), is("Reconciling"), is("Stalled")];
    this.#promises.holds(
      "exactly one of Ready, Reconciling and Stalled is true",
      said.filter(Boolean).length === 1,
      () => `${said}`,
    );
    const current = (after.conditions ?? []).every((one) => one.observedGeneration === metadata.generation);
    this.#promises.holds(
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
    this.#promises.holds("Ready is true only for a pinned, proven, unbreached revision", whole && !bad, after.message);
  }

  #recommendation({ after, snapshot }: Step): void {
    const { recommendation, active, candidate } = after;
    if (!recommendation) return;
    const about = recommendation.action === "Return" ? active : candidate;
    const words = JSON.stringify(recommendation);
    this.#promises.holds("what is recommended is about what is there", about?.revision === recommendation.from.revision, words);
    this.#promises.holds("what is recommended is of the policy's mode", recommendation.mode === snapshot.policy.mode, words);
  }

  #valid(status: ModelDeploymentStatus): void {
    const { error } = ModelDeploymentStatusSchema.safeParse(status);
    this.#promises.holds("the status is valid", error === undefined, () => JSON.stringify(error?.issues));
  }
}
