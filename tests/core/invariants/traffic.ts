// Who gets the traffic, when, and what the cluster looks like then.

import type { ModelDeploymentStatus } from "../../../src/api/modeldeployment-status.ts";
import type { Snapshot } from "../../../src/core/snapshot.ts";
import type { World } from "../world.ts";
import { type Answers, inQuarantine, isOpen, type Promises, type Step } from "./promises.ts";

export class TrafficRules {
  readonly #world: World;
  readonly #promises: Promises;
  readonly #answers: Answers;
  readonly #oneByOne: boolean;
  /** Who had the traffic, in order, since a person last did something. */
  #served: number[] = [];
  /** Returns that failed since then, so that what had the traffic was started again. */
  readonly #failed = new Set<string>();

  /** @param oneByOne the story never lets two revisions have pods at once */
  constructor(world: World, promises: Promises, answers: Answers, oneByOne: boolean) {
    this.#world = world;
    this.#promises = promises;
    this.#answers = answers;
    this.#oneByOne = oneByOne;
  }

  /** A person's act: what follows from it is no loop of ours, nor is the move of a return that began before it. */
  person(): void {
    const { status } = this.#world;
    const underWay = isOpen(status) && status.rollback?.to?.revision !== status.active?.revision;
    this.#served = underWay ? [] : this.#served.slice(-1);
    this.#failed.clear();
  }

  judge(step: Step): void {
    this.#moves(step);
    this.#decisionNumber(step);
  }

  #moves({ before, after, snapshot }: Step): void {
    const { active } = after;
    if (!active || active.revision === before.active?.revision) return;
    const had = before.active;
    const from = this.#ready(snapshot, had?.revision);
    const to = this.#ready(snapshot, active.revision);
    const restored = after.rollback?.outcome === "Failed" && after.rollback.from?.revision === active.revision;
    const who = `r${had?.revision} (${from} ready) to r${active.revision} (${to} ready)`;
    if (!restored) {
      const revoked = this.#world.versions[active.version]?.revoked === true;
      this.#promises.holds("traffic moves only to unquarantined revisions", !inQuarantine(after, active.hash), who);
      this.#promises.holds("traffic moves only to revisions that are not revoked", !revoked, who);
      const down = before.active?.downSince !== undefined || (isOpen(before) && before.rollback?.strategy === "Recreate");
      // Where what had the traffic has no ready pod, nothing is lost by moving at once.
      const lost = from === 0 && had !== undefined && !down;
      this.#promises.holds("traffic moves only to ready revisions", to > 0 || lost, who);
      if (isOpen(after) && !down) this.#promises.holds("a return moves traffic to a warm target", lost || to >= 0.8 * from, who);
    }
    if (before.candidate?.revision === active.revision && !isOpen(after)) this.#switches({ before, after, snapshot }, to);
    this.#answers.moved(active.revision);
    if (restored) {
      // It had the traffic, and no target started: it gets it back, once.
      const failed = `r${active.revision} to r${had?.revision}`;
      this.#promises.holds("a return that failed is not begun again by itself", !this.#failed.has(failed), failed);
      this.#failed.add(failed);
      this.#served = [];
    }
    this.#served.push(active.revision);
    const [a, b, c, d] = this.#served.slice(-4);
    const loop = d !== undefined && a === c && b === d;
    this.#promises.holds("never A→B→A→B", !loop, () => `${this.#served}`);
  }

  #switches({ before, after, snapshot }: Omit<Step, "decision">, ready: number): void {
    const wanted = this.#world.deployment.spec.replicas ?? 1;
    this.#promises.holds(
      "a candidate takes all the traffic at its full size",
      ready >= wanted && wanted > 0,
      `${ready} of ${wanted}`,
    );
    if (before.active?.downSince !== undefined) return;
    const paused = snapshot.deployment.spec.paused || after.paused;
    this.#promises.holds("no candidate takes traffic while paused", !paused);
    if (!before.rollout?.promoted) this.#promises.holds("no candidate takes traffic while frozen", !after.freeze?.active);
  }

  #decisionNumber({ before, after }: Step): void {
    const [was, is] = [before.decision ?? 0, after.decision ?? 0];
    this.#promises.holds("the decision's number never falls", is >= was, `${was} to ${is}`);
    const traffic = (status: ModelDeploymentStatus) =>
      `${status.active?.revision} ${status.active?.downSince} ${status.candidate ? status.rollout?.step : undefined}`;
    // A step that is over because its candidate has all the traffic, or a downSince that a new active one does not have.
    if (traffic(before) !== traffic(after))
      this.#promises.holds(
        "the decision's number rises with every decision about traffic",
        is > was,
        () => `${traffic(before)} → ${traffic(after)}`,
      );
  }

  /** What the cluster looks like when all that a status says was done. */
  carriedOut(): void {
    const { status, cluster, selects, now, lastPlan } = this.#world;
    const { active, candidate, rollout } = status;
    if (this.#oneByOne) {
      const having = [...cluster.children.keys()].filter((one) => cluster.pods(one, now, this.#world).length > 0);
      this.#promises.holds("with Recreate no two revisions have pods at once", having.length <= 1, () => `r${having}`);
    }
    if (active)
      this.#promises.holds("what serves has its Deployment", cluster.children.has(active.revision), `r${active.revision}`);
    if (selects === "All") {
      this.#promises.holds(
        "the Service is wide only while a candidate has a share",
        rollout?.step !== undefined && candidate !== undefined,
      );
      const kept = [active?.revision, candidate?.revision];
      const others = [...cluster.children.keys()].filter(
        (one) => !kept.includes(one) && cluster.pods(one, now, this.#world).length > 0,
      );
      this.#promises.holds("a wide Service never selects a third revision", others.length === 0, () => `r${others}`);
    } else if (active)
      this.#promises.holds("the Service selects the active revision", selects === active.revision, () => `${selects}`);
    if ((cluster.route?.weight ?? 0) === 0) return;
    const leads = lastPlan?.preview === candidate?.revision;
    this.#promises.holds(
      "a route weighs only a candidate with a share",
      rollout?.step !== undefined && candidate !== undefined && leads,
    );
  }

  #ready(snapshot: Snapshot, revision: number | undefined): number {
    return snapshot.children.find((child) => child.revision === revision)?.ready ?? 0;
  }
}
