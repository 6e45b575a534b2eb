// What each kind of rule stands on: promises that are counted and may be broken, one step, and what the sources answered.

import type { ModelDeploymentStatus, RevisionRef } from "../../../src/api/modeldeployment-status.ts";
import type { Decision } from "../../../src/core/decide.ts";
import type { Check } from "../../../src/core/policy.ts";
import type { Snapshot } from "../../../src/core/snapshot.ts";
import type { StageReading } from "../../../src/trial/stage.ts";

/** A promise that was broken, by its name. */
export class Broken extends Error {
  readonly promise: string;

  constructor(promise: string, detail: string) {
    super(`${promise}: ${detail}`);
    this.promise = promise;
  }
}

export class Promises {
  /** How often each promise had something to hold: one that is never put to the test says nothing. */
  readonly seen = new Map<string, number>();

  /** @param detail said where it does not hold */
  holds(promise: string, ok: boolean, detail: string | (() => string) = ""): void {
    this.seen.set(promise, (this.seen.get(promise) ?? 0) + 1);
    if (!ok) throw new Broken(promise, typeof detail === "string" ? detail : detail());
  }
}

/** One pass. */
export interface Step {
  before: ModelDeploymentStatus;
  after: ModelDeploymentStatus;
  snapshot: Snapshot;
  decision: Decision;
}

type Quality = "Good" | "Bad" | "Unknown";

/** What one check was answered of one revision in this operator's life. */
export interface Answer {
  at: number;
  quality: Quality;
}

export class Answers {
  readonly #answers = new Map<string, Answer[]>();
  /** Revision and check that were answered well since that revision has the traffic, whatever an operator forgot since. */
  readonly #wasGood = new Set<string>();

  note(at: number, check: Check, revision: number, { kind, value = 0, denominator = 1 }: StageReading): void {
    const key = `${revision}/${check.name}`;
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = check.threshold ?? {};
    const known = kind === "Value" && denominator > 0;
    const quality = !known ? "Unknown" : value > max || value < min ? "Bad" : "Good";
    const answers = this.#answers.get(key) ?? [];
    this.#answers.set(key, answers);
    answers.push({ at, quality });
    if (quality === "Good") this.#wasGood.add(key);
  }

  of(revision: number, check: string, since: number): Answer[] {
    return (this.#answers.get(`${revision}/${check}`) ?? []).filter((one) => one.at >= since);
  }

  wasGood(revision: number, check: string): boolean {
    return this.#wasGood.has(`${revision}/${check}`);
  }

  /** What was only in memory. */
  forget(): void {
    this.#answers.clear();
  }

  /** A revision gets the traffic: what it was before says nothing of it. */
  moved(revision: number): void {
    for (const key of this.#wasGood) if (key.startsWith(`${revision}/`)) this.#wasGood.delete(key);
  }
}

export const COMMON_CAUSE = "a common cause never walks through the proven ones";

export const isOpen = (status: ModelDeploymentStatus) => status.rollback !== undefined && status.rollback.outcome === undefined;
export const isProven = (ref: RevisionRef | undefined) => ref?.standing === "Proven" && !ref.baking;
export const inQuarantine = (status: ModelDeploymentStatus, hash: string | undefined) =>
  (status.quarantine ?? []).some((entry) => entry.hash === hash);
