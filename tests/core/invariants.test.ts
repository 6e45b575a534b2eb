// What the checker of the random stories takes for a loop, and what not: traffic told by hand, since no right rule loops.

import { describe, expect, test } from "vitest";
import type { ModelDeploymentStatus } from "../../src/api/modeldeployment-status.ts";
import { Answers, Promises } from "./invariants/promises.ts";
import { TrafficRules } from "./invariants/traffic.ts";
import { proven } from "./world.ts";

const at = new Date(0).toISOString();
const ref = (revision: number) => ({
  version: `v${revision}`,
  revision,
  hash: `h${revision}`,
  artifactDigest: `sha256:v${revision}`,
  since: at,
});

/** Moves the traffic to one revision after the other; `failed`: as a return whose target did not start. */
class Moves {
  readonly #world = proven();
  readonly #rules = new TrafficRules(this.#world, new Promises(), new Answers(), false);
  #decision = 0;
  #active: number | undefined;

  to(...revisions: number[]): this {
    for (const revision of revisions) this.#move(revision, undefined);
    return this;
  }

  backTo(revision: number): this {
    this.#move(revision, { from: ref(revision), to: ref(this.#active ?? 0), outcome: "Failed" });
    return this;
  }

  /** A person does something, while a return to that revision is under way or while nothing is. */
  person(returningTo?: number): this {
    const rollback = returningTo === undefined ? undefined : { from: ref(this.#active ?? 0), to: ref(returningTo) };
    this.#world.deployment.status = {
      active: ref(this.#active ?? 0),
      ...(rollback ? { rollback } : {}),
    } as ModelDeploymentStatus;
    this.#rules.person();
    return this;
  }

  #move(revision: number, rollback: object | undefined): void {
    const of = (active: number | undefined) => ({
      ...(active === undefined ? {} : { active: ref(active) }),
      decision: this.#decision,
    });
    const before = of(this.#active) as ModelDeploymentStatus;
    this.#decision++;
    const after = { ...of(revision), ...(rollback ? { rollback } : {}) } as ModelDeploymentStatus;
    const snapshot = {
      ...this.#world.snapshot(),
      children: [revision, this.#active].map((one) => ({ revision: one, ready: 1 })),
    };
    this.#rules.judge({ before, after, snapshot, decision: { status: after, changed: true } } as never);
    this.#active = revision;
  }
}

describe("never A→B→A→B", () => {
  test.each<[string, (moves: Moves) => void]>([
    ["there and back, and there and back", (moves) => moves.to(1, 2, 1, 2)],
    ["also later", (moves) => moves.to(1, 2, 3, 2, 3)],
    ["also after a person did something else", (moves) => moves.to(1, 2).person().to(1, 2, 1)],
    ["after what was started again, too", (moves) => moves.to(1, 2, 1).backTo(2).to(1, 2, 1)],
  ])("is broken by: %s", (_words, play) => {
    expect(() => play(new Moves())).toThrow("never A→B→A→B");
  });

  test.each<[string, (moves: Moves) => void]>([
    ["there and back, and one that is another", (moves) => moves.to(1, 2, 1, 3, 1)],
    ["a person who pins or retries in between", (moves) => moves.to(1, 2, 1).person().to(2, 1)],
    ["one who retries while the return is under way", (moves) => moves.to(1, 2).person(1).to(1, 2, 1)],
    ["what had the traffic and is started again", (moves) => moves.to(1, 2, 1).backTo(2)],
  ])("is not broken by: %s", (_words, play) => {
    expect(() => play(new Moves())).not.toThrow();
  });
});

test("a return that failed is not begun again by itself, and is when a person did something", () => {
  const moves = () => new Moves().to(1, 2, 1).backTo(2);
  expect(() => moves().to(1).backTo(2)).toThrow("a return that failed is not begun again by itself");
  expect(() => moves().person().to(1).backTo(2)).not.toThrow();
});
