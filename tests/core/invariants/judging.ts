// What is made of the sources' answers: who is quarantined for them, and who is proven by them.

import { type Answers, inQuarantine, isOpen, type Promises, type Step } from "./promises.ts";

export class JudgingRules {
  readonly #promises: Promises;
  readonly #answers: Answers;
  /** Revisions that had all their pods ready once, and those of which a pod restarted, or was not ready any more: the pods speak. */
  readonly #stood = new Set<number>();
  readonly #ailed = new Set<number>();

  constructor(promises: Promises, answers: Answers) {
    this.#promises = promises;
    this.#answers = answers;
  }

  judge(step: Step): void {
    this.#pods(step);
    this.#quarantine(step);
    this.#proof(step);
  }

  #pods({ snapshot }: Step): void {
    for (const { revision, pods } of snapshot.children) {
      const restarted = pods.some((pod) => pod.containers.some((one) => one.restarts > 0));
      const ready = pods.length > 0 && pods.every((pod) => pod.ready);
      if (restarted || (this.#stood.has(revision) && !ready)) this.#ailed.add(revision);
      if (ready) this.#stood.add(revision);
    }
  }

  #quarantine({ before, after, snapshot }: Step): void {
    const { policy } = snapshot;
    const fresh = (after.quarantine ?? []).filter((entry) => !inQuarantine(before, entry.hash));
    for (const { revision, reason } of fresh.filter((entry) => entry.reason === "Breached" || entry.reason === "CheckBreached")) {
      this.#promises.holds("Observe quarantines nothing for a check", policy.mode !== "Observe", `r${revision}`);
      const asked = policy.checks.filter((check) => check.source !== undefined);
      if (reason === "Breached" || asked.some((check) => check.baseline)) continue;
      const answered = asked.some((check) => this.#answers.of(revision, check.name, 0).some((one) => one.quality === "Bad"));
      const bad = answered || this.#ailed.has(revision);
      this.#promises.holds("no candidate is quarantined for a check on good or unknown data", bad, `r${revision}`);
    }
    const lifted = before.handled?.retry !== after.handled?.retry;
    for (const { hash, revision } of before.quarantine ?? [])
      this.#promises.holds("only a retry lifts a quarantine", lifted || inQuarantine(after, hash), `r${revision}`);
    const { candidate } = after;
    if (candidate)
      this.#promises.holds("nothing quarantined is a candidate", !inQuarantine(after, candidate.hash), `r${candidate.revision}`);
  }

  #proof({ before, after, snapshot }: Step): void {
    const { active } = after;
    if (!active || active.provenAt === before.active?.provenAt || active.revision !== before.active?.revision) return;
    const promoted = before.active?.promoted || before.rollout?.promoted;
    if (promoted) return;
    this.#promises.holds("nothing is proven while a return is under way", !isOpen(after));
    const { policy } = snapshot;
    const since = Date.parse(before.active?.judgedFrom ?? "") + policy.warmupMs;
    for (const check of policy.checks) {
      if (check.severity !== "Critical" || check.source === undefined || !check.threshold) continue;
      const answers = this.#answers.of(active.revision, check.name, since);
      const known = answers.filter((one) => one.quality !== "Unknown");
      const words = `r${active.revision} on ${check.name}: ${known.length} of ${answers.length}`;
      this.#promises.holds("nothing is proven on unknown data", known.length >= check.breach.of, words);
      const covered = known.reduce(
        (sum, one, index) => sum + (index === 0 ? 0 : Math.min(one.at - (known[index - 1]?.at ?? 0), 2 * check.intervalMs)),
        0,
      );
      this.#promises.holds("samples cover the bake", covered >= policy.bakeMs, `${words}, ${covered} of ${policy.bakeMs} ms`);
      const dark = answers.slice(-2).every((one) => one.quality === "Unknown");
      this.#promises.holds("nothing is proven while a source is dark", !dark, words);
      if (check.kind === "Ratio") continue;
      const bad = known.slice(-check.breach.of).filter((one) => one.quality === "Bad").length;
      this.#promises.holds("nothing is proven that is breached", bad < check.breach.count, words);
    }
  }
}
