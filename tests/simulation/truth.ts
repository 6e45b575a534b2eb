// What is really so, whatever anybody was told: what runs in which revision, how it is fated, who has had the traffic, and what is
// measured. The source answers from it, and the checker asks it.

import type { Pod } from "../../src/sandbox/controllers/kinds.ts";
import { START } from "./clock.ts";
import type { Fate, Plan } from "./plan.ts";
import { type Commit, KEPT, type State } from "./state.ts";

/** What a revision's container is told. */
export interface Content {
  version: string;
  variant: string;
}

/** The plan's one threshold in the beginning; what is bad lies beyond any that it sets later. */
const GOOD = 0.01;
const BAD = 0.5;

interface Selected {
  /** 0: every pod of the deployment. */
  revision: number;
  from: number;
}

export class Truth {
  readonly #plan: Plan;
  readonly #state: State;
  /** Of `<deployment>-r<n>`, also when it is gone: numbers are never used twice. */
  readonly #contents = new Map<string, Content>();
  readonly #selected = new Map<string, Selected[]>();

  constructor(plan: Plan, state: State) {
    this.#plan = plan;
    this.#state = state;
  }

  committed({ storage, object, type, at }: Commit): void {
    if (storage === KEPT.children && type !== "DELETED") {
      const content = contentOf((object as unknown as Pod & { spec: { template: Pod } }).spec.template);
      // The first one counts: what others edit is put right.
      if (!this.#contents.has(object.metadata.name)) this.#contents.set(object.metadata.name, content);
    }
    if (storage !== KEPT.services || object.metadata.name.endsWith("-preview")) return;
    const { selector } = (object.spec ?? {}) as { selector?: Record<string, string> };
    const deployment = selector?.["rollguard.dev/deployment"];
    const revision = type === "DELETED" || deployment === undefined ? -1 : Number(selector?.["rollguard.dev/revision"] ?? 0);
    const known = this.#selected.get(object.metadata.name) ?? [];
    this.#selected.set(object.metadata.name, known);
    if (known.at(-1)?.revision !== revision) known.push({ revision, from: at });
  }

  contentOf(deployment: string, revision: number): Content | undefined {
    return this.#contents.get(`${deployment}-r${revision}`);
  }

  fateOfPod(pod: Pod): Fate {
    const deployment = pod.metadata.labels?.["rollguard.dev/deployment"] ?? "";
    return this.fateOfContent(deployment, contentOf(pod));
  }

  fateOf(deployment: string, revision: number): Fate {
    const content = this.contentOf(deployment, revision);
    return content ? this.fateOfContent(deployment, content) : "Good";
  }

  /** Whether the plan has a time in which something of it measures badly. */
  troubled(deployment: string): boolean {
    return this.#plan.troubles.some((one) => one.deployment === deployment);
  }

  fateOfContent(deployment: string, { version, variant }: Content): Fate {
    const of = this.#plan.deployments.find(({ name }) => name === deployment);
    const fates = [of?.fates[version] ?? "Good", of?.variants[variant] ?? "Good"];
    return fates.find((fate) => fate !== "Good") ?? "Good";
  }

  /** Whether what a revision measures is beyond its threshold at a time, ms since the start. */
  isBad(deployment: string, revision: number, at: number): boolean {
    if (this.fateOf(deployment, revision) === "Bad") return true;
    const version = this.contentOf(deployment, revision)?.version;
    return this.#plan.troubles.some(
      (one) =>
        one.deployment === deployment && (one.version === undefined || one.version === version) && at >= one.from && at < one.to,
    );
  }

  /** How long it was bad within a time, ms. */
  badMs(deployment: string, revision: number, from: number, to: number): number {
    if (this.fateOf(deployment, revision) === "Bad") return to - from;
    const version = this.contentOf(deployment, revision)?.version;
    return this.#plan.troubles
      .filter((one) => one.deployment === deployment && (one.version === undefined || one.version === version))
      .reduce((sum, one) => sum + Math.max(Math.min(one.to, to) - Math.max(one.from, from), 0), 0);
  }

  /** @param at ms epoch */
  measures(deployment: string, revision: number, at: number): number | undefined {
    const ms = at - START;
    const selected = this.#selected.get(deployment)?.findLast((one) => one.from <= ms)?.revision;
    if (selected !== revision && selected !== 0) return undefined;
    if (selected === 0 && !this.#hasPods(deployment, revision)) return undefined;
    if (this.isBad(deployment, revision, ms)) return BAD;
    return GOOD + 0.001 * (Math.floor(ms / 1000) % 7);
  }

  #hasPods(deployment: string, revision: number): boolean {
    return this.#state
      .list(KEPT.pods)
      .some(
        ({ metadata: { labels } }) =>
          labels?.["rollguard.dev/deployment"] === deployment && labels["rollguard.dev/revision"] === String(revision),
      );
  }
}

function contentOf({ spec }: Pick<Pod, "spec">): Content {
  const env = spec.containers[0]?.env ?? [];
  const value = (name: string) => env.find((one) => one.name === name)?.value ?? "";
  return { version: value("SETTING"), variant: value("VARIANT") };
}
