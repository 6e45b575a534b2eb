// What both demos are made of: waiting for the status with its own words on failure, the traffic and what clients saw of each
// version, and the first version's way to its proof.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { sleep, systemClock } from "../../src/clock.ts";
import type { Answer, Clients } from "./client.ts";
import { loadDigits } from "./data.ts";
import type { Narrator } from "./narrator.ts";
import type { Stage } from "./stage.ts";

export const RATE_PER_SECOND = 120;
const LIMIT_MS = 60_000;

export type Status = NonNullable<ModelDeployment["status"]>;

export class DemoFailed extends Error {}

/** Polls until `done` gives something and says so on a terminal; fails with the status's own words after a minute. */
export async function until<T>(
  stage: Stage,
  say: Narrator,
  what: string,
  done: (status: Status, deployment: ModelDeployment) => T | undefined | false,
): Promise<T> {
  const since = Date.now();
  for (;;) {
    const deployment = await stage.deployment();
    const found = done(deployment.status ?? {}, deployment);
    if (found) return found;
    const over = stage.operatorEnded();
    if (over !== undefined) throw new DemoFailed(over);
    if (Date.now() > since + LIMIT_MS)
      throw new DemoFailed(
        `${what} did not happen within ${LIMIT_MS / 1000} s; the status says: ${deployment.status?.phase}: ${deployment.status?.message}`,
      );
    say.waiting(what, since);
    await sleep(systemClock, 50);
  }
}

/** For `apply`: pins the deployment to a version. */
export const pin = (version: string) => (object: { kind: string; spec?: unknown }) => {
  if (object.kind === "ModelDeployment") (object.spec as { version: string }).version = version;
};

/** Counts what clients see of each version since it was asked. */
export class Traffic {
  answers: Answer[] = [];
  clients: Clients | undefined;

  readonly #keepAlive: number;
  readonly #fresh: number;

  /** How many clients keep their connection, and how many make one for each digit. */
  constructor(clients: { keepAlive: number; fresh: number } = { keepAlive: 4, fresh: 4 }) {
    this.#keepAlive = clients.keepAlive;
    this.#fresh = clients.fresh;
  }

  /** `keep`: whether each answer is kept, or counted only. */
  start(stage: Stage, url: string, keep = true): void {
    this.clients = stage.startClients({
      url,
      keepAlive: this.#keepAlive,
      fresh: this.#fresh,
      ratePerSecond: RATE_PER_SECOND,
      stream: loadDigits().live,
      ...(keep ? { onAnswer: (answer: Answer) => this.answers.push(answer) } : {}),
    });
  }

  failed(): number {
    return this.clients?.counts().failed ?? 0;
  }

  /** "1,204 answers, 9.8 % wrong" of one version. */
  of(version: string): { answered: number; wrong: number; setting: number } {
    const rows = [...(this.clients?.counts().byRevision.values() ?? [])].filter((row) => row.version === version);
    return {
      answered: rows.reduce((sum, row) => sum + row.answered, 0),
      wrong: rows.reduce((sum, row) => sum + row.wrong, 0),
      setting: rows.at(-1)?.rejectBelow ?? Number.NaN,
    };
  }

  firstWrongOf(version: string): number | undefined {
    return this.answers.find((one) => one.prediction?.version === version && one.prediction.digit !== one.prediction.truth)?.at;
  }

  lastOf(version: string): Answer | undefined {
    return this.answers.findLast((one) => one.prediction?.version === version);
  }
}

export const percent = ({ answered, wrong }: { answered: number; wrong: number }) =>
  `${((100 * wrong) / Math.max(answered, 1)).toFixed(1)} % of ${answered} answers wrong`;

export function expectThat(holds: boolean, what: string): void {
  if (!holds) throw new DemoFailed(`expected that ${what}`);
}

type Edit = Parameters<Stage["apply"]>[1];

/** @param edit may change the deployment before it is applied */
export async function firstVersion(stage: Stage, say: Narrator, traffic: Traffic, edit: Edit = () => undefined): Promise<void> {
  say.chapter("Version 1.0.0 is applied: weights are fetched, verified and served");
  for (const file of ["namespace.yaml", "source.yaml", "policy.yaml", "version-1.yaml", "version-2.yaml", "version-3.yaml"])
    await stage.apply(file);
  await stage.apply("deployment.yaml", edit);
  await until(stage, say, "the first version serving", (status) => status.active?.settledAt);
  const url = await stage.serviceUrl();
  if (!url) throw new DemoFailed("the Service has no address");
  say.line(`it serves at ${url}; ${RATE_PER_SECOND} digits a second that no training saw are sent through it from now on`);
  traffic.start(stage, url);
  await until(stage, say, "the proof of version 1", (status) => status.lastHealthy?.version === "digits-1.0.0");
  say.line(`proven: its checks stayed healthy for the bake; ${percent(traffic.of("digits-1.0.0"))}`);
}
