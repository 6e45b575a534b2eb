// Runs a plan from its first step to the time when nothing is left to happen.

import { createHash } from "node:crypto";
import type { Request, Trap } from "./network.ts";
import { isObserved, perform, prepare } from "./people.ts";
import type { Crash, Plan } from "./plan.ts";
import { KEPT } from "./state.ts";
import { type Witness, World } from "./world.ts";

/**
 * At rest: no operator wrote anything but renewals and events for so long, ms. Longer than anything that a run may wait for without a
 * write: a silent watch is given up after 90 s, a bake, a cooldown, a drain and each back-off of this policy last less.
 */
export const REST_MS = 130_000;
/** Who is not at rest by then, ms after the last fault, never will be. */
const REST_LIMIT_MS = 1_200_000;
/** Between two steps of a stepwise run: there are no dead watches to wait for that a step could not wait for itself. */
const STEP_REST_MS = 70_000;

export interface Ran {
  world: World;
  /** Since when no fault acts, ms. */
  calmAt: number;
  /** Nothing was written any more. */
  atRest: boolean;
  /** Simulated time, ms. */
  simulatedMs: number;
}

/** Tells when the operators wrote last: renewals and events are no sign of work. */
class Activity implements Witness {
  last = 0;
  committed({ storage, at, by }: { storage: string; at: number; by: string }): void {
    if (by !== "cluster" && storage !== KEPT.leases && storage !== KEPT.events) this.last = at;
  }
}

/** Kills a process at one of its requests. The lease's are not counted: where they fall depends on nothing but time. */
function trapOf({ process, request, when }: Crash): Trap {
  let next = 0;
  const matches = ({ caller, path, kind }: Request): boolean => {
    if (caller.name !== `operator-${process}` || path.resource === "leases") return false;
    if (request === "FirstWrite") return kind === "Write";
    return next++ === request;
  };
  return { matches, left: 1, until: Number.POSITIVE_INFINITY, effect: { do: "Kill", when }, onHit() {} };
}

/** @param whileOpen called at the end, before everything is torn down */
export async function run<T>(plan: Plan, witnesses: Witness[], whileOpen: (ran: Ran) => T): Promise<T> {
  const activity = new Activity();
  const world = new World(plan, [activity, ...witnesses]);
  const { clock } = world;
  try {
    prepare(world);
    for (const crash of plan.crashes ?? []) world.network.arm(trapOf(crash));
    world.start();
    let calm = false;
    plan.faults.forEach((fault, index) => {
      clock.after(fault.at, () => {
        if (!calm) world.begin(index);
      });
    });
    for (const [index, { after, deployment, act }] of plan.steps.entries()) {
      if (plan.stepwise) {
        const isAtRest = () => isObserved(world, plan) && clock.monotonic() - activity.last >= STEP_REST_MS;
        if (index > 0) await clock.run(REST_LIMIT_MS, isAtRest);
      } else await clock.run(after);
      perform(world, deployment, act, `t${index}`);
    }
    // What goes wrong last meets the last steps, too.
    const lastFault = plan.faults.at(-1)?.at ?? 0;
    await clock.run(Math.max(20_000, Math.min(lastFault + 1000 - clock.monotonic(), 60_000)));
    calm = true;
    world.calm();
    const calmAt = clock.monotonic();
    const isAtRest = () => clock.monotonic() - Math.max(activity.last, calmAt) >= REST_MS;
    await clock.run(REST_LIMIT_MS, isAtRest);
    return whileOpen({ world, calmAt, atRest: isAtRest(), simulatedMs: clock.monotonic() });
  } finally {
    world.close();
    await clock.run(0);
  }
}

/** Everything that was committed, sent and logged, as one hash: two runs of a plan must give the same. */
export class Trace implements Witness {
  readonly #hash = createHash("sha256");
  lines = 0;

  #line(...parts: unknown[]): void {
    this.lines++;
    this.#hash.update(`${JSON.stringify(parts)}\n`);
  }

  committed: NonNullable<Witness["committed"]> = ({ at, by, type, storage, object }) => this.#line(at, by, type, storage, object);
  sent: NonNullable<Witness["sent"]> = ({ caller, method, path, body }, at) => this.#line(at, caller.name, method, path, body);
  answered: NonNullable<Witness["answered"]> = ({ caller, path }, status, at) => this.#line(at, caller.name, path, status);
  logged: NonNullable<Witness["logged"]> = (...parts) => this.#line(...parts);
  process: NonNullable<Witness["process"]> = (...parts) => this.#line(...parts);
  fault: NonNullable<Witness["fault"]> = (...parts) => this.#line(...parts);

  digest(): string {
    return this.#hash.digest("hex");
  }
}
