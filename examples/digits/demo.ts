// The main job on real input, in about a minute: node examples/digits/demo.ts [--keep]
// Nothing is simulated: real handwritten digits, real weights, real processes, real requests. It checks itself and says so.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { RolloutRecord } from "../../src/api/rolloutrecord.ts";
import { sleep, systemClock } from "../../src/clock.ts";
import { type Answer, type Clients, startClients } from "./client.ts";
import { loadDigits } from "./data.ts";
import { Narrator } from "./narrator.ts";
import { NAME, NAMESPACE, raiseStage, type Stage } from "./stage.ts";

const RATE_PER_SECOND = 120;
const LIMIT_MS = 60_000;

type Status = NonNullable<ModelDeployment["status"]>;

class DemoFailed extends Error {}

/** Polls until `done` gives something and says so on a terminal; fails with the status's own words after a minute. */
async function until<T>(
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
    if (stage.operator.exitCode !== null) throw new DemoFailed(`the operator ended with exit code ${stage.operator.exitCode}`);
    if (Date.now() > since + LIMIT_MS)
      throw new DemoFailed(
        `${what} did not happen within ${LIMIT_MS / 1000} s; the status says: ${deployment.status?.phase}: ${deployment.status?.message}`,
      );
    say.waiting(what, since);
    await sleep(systemClock, 50);
  }
}

const pin = (version: string) => (object: { kind: string; spec?: unknown }) => {
  if (object.kind === "ModelDeployment") (object.spec as { version: string }).version = version;
};

/** Counts what clients see of each version since it was asked. */
class Traffic {
  answers: Answer[] = [];
  clients: Clients | undefined;

  /** `keep`: whether each answer is kept, or counted only. */
  start(url: string, keep = true): void {
    this.clients = startClients({
      url,
      keepAlive: 4,
      fresh: 4,
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

const percent = ({ answered, wrong }: { answered: number; wrong: number }) =>
  `${((100 * wrong) / Math.max(answered, 1)).toFixed(1)} % of ${answered} answers wrong`;

function expectThat(holds: boolean, what: string): void {
  if (!holds) throw new DemoFailed(`expected that ${what}`);
}

async function firstVersion(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  say.chapter("Version 1.0.0 is applied: weights are fetched, verified and served");
  for (const file of ["namespace.yaml", "source.yaml", "policy.yaml", "version-1.yaml", "version-2.yaml", "version-3.yaml"])
    await stage.apply(file);
  await stage.apply("deployment.yaml", pin("digits-1.0.0"));
  await until(stage, say, "the first version serving", (status) => status.active?.settledAt);
  const url = await stage.serviceUrl();
  if (!url) throw new DemoFailed("the Service has no address");
  say.line(`it serves at ${url}; ${RATE_PER_SECOND} digits a second that no training saw are sent through it from now on`);
  traffic.start(url);
  await until(stage, say, "the proof of version 1", (status) => status.lastHealthy?.version === "digits-1.0.0");
  say.line(`proven: its checks stayed healthy for the bake; ${percent(traffic.of("digits-1.0.0"))}`);
}

async function badVersion(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  say.chapter("Version 2.0.0 is pinned: its own validation says 0.908, but its labels were damaged");
  await stage.apply("deployment.yaml", pin("digits-2.0.0"));
  await until(stage, say, "version 2 taking the traffic", (status) => status.active?.version === "digits-2.0.0");
  say.line("it passed the probe inference and takes the traffic; version 1.0.0 stays warm");
  const rollback = await until(stage, say, "the decision to return", (status) => status.rollback);
  say.line(`decision: return from ${rollback.from?.version} to ${rollback.to?.version}, because ${rollback.message}`);
  const done = await until(
    stage,
    say,
    "the verified return",
    (status) => status.rollback?.outcome === "Verified" && status.rollback,
  );
  const first = traffic.firstWrongOf("digits-2.0.0") ?? Number.NaN;
  const last = traffic.lastOf("digits-2.0.0");
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const since = (time: string | undefined) => seconds(Date.parse(time ?? "") - first);
  say.table([
    ["first wrong answer of 2.0.0", "0.00 s"],
    ["breach detected and return decided", since(done.decidedAt)],
    ["Service moved back to 1.0.0", since(done.restoredAt)],
    [`last answer of 2.0.0${last?.keepAlive ? ", on a connection kept alive" : ""}`, seconds((last?.at ?? Number.NaN) - first)],
    ["return verified", since(done.verifiedAt)],
  ]);
  say.line(`2.0.0: ${percent(traffic.of("digits-2.0.0"))}`);
  const [one, two] = [traffic.of("digits-1.0.0").setting, traffic.of("digits-2.0.0").setting];
  const now = traffic.answers.findLast((answer) => answer.prediction)?.prediction;
  say.line(
    `the configuration came back with the weights: REJECT_BELOW was ${one}, became ${two} with 2.0.0, and is ${now?.rejectBelow}`,
  );
  expectThat(one !== two && now?.rejectBelow === one, "the setting of version 1 is back");
  expectThat(now?.version === "digits-1.0.0", "version 1 answers again");
}

async function syncedAgain(stage: Stage, say: Narrator): Promise<void> {
  say.chapter("Git syncs the bad pin again, five times");
  const before = await until(stage, say, "rest", (status, deployment) => status.phase === "RolledBack" && deployment);
  for (let i = 0; i < 5; i++) {
    await stage.apply("deployment.yaml", pin("digits-2.0.0"));
    await sleep(systemClock, 400);
  }
  const after = await stage.deployment();
  expectThat(after.metadata.resourceVersion === before.metadata.resourceVersion, "syncing the same pin again writes nothing");
  say.line(`nothing was written (resourceVersion ${after.metadata.resourceVersion} before and after). The status says why:`);
  say.line(`"${after.status?.message}"`);
}

async function darkMetrics(stage: Stage, say: Narrator): Promise<void> {
  say.chapter("The metrics go dark: sick data is not a sick model");
  const history = (await stage.deployment()).status?.history?.length;
  await stage.apply("source-dark.yaml");
  const message = await until(stage, say, "the metrics being missed", (status) => {
    const condition = status.conditions?.find((one) => one.type === "MetricsAvailable");
    return condition?.status === "False" && condition.message;
  });
  say.line(`MetricsAvailable=False: ${message}`);
  await sleep(systemClock, 3000);
  const status = (await stage.deployment()).status;
  expectThat(
    status?.active?.version === "digits-1.0.0" && status?.history?.length === history,
    "nothing was rolled back while the metrics were dark",
  );
  await stage.apply("source.yaml");
  await until(
    stage,
    say,
    "the metrics being back",
    (now) => now.conditions?.find((one) => one.type === "MetricsAvailable")?.status === "True",
  );
  say.line("nothing was rolled back; the source is back, and MetricsAvailable=True by itself");
}

async function mendedVersion(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  say.chapter("Version 2.0.1, the mended one, is pinned");
  await stage.apply("deployment.yaml", pin("digits-2.0.1"));
  await until(stage, say, "the proof of version 2.0.1", (status) => status.lastHealthy?.version === "digits-2.0.1");
  say.line(`it baked and is proven; ${percent(traffic.of("digits-2.0.1"))}`);
}

async function report(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  say.chapter("What is on record");
  const { status } = await stage.deployment();
  const expected = ["Rollout Proven", "Rollout RolledBack", "Return Verified", "Rollout Proven"];
  say.table(
    (status?.history ?? []).map((entry) => [
      `${entry.sequence}`,
      entry.action,
      entry.to?.version ?? "",
      entry.outcome,
      entry.reason,
      entry.initiator?.name ?? "",
      entry.finishedAt,
    ]),
    ["#", "action", "to", "outcome", "reason", "who", "finished"],
  );
  expectThat(
    JSON.stringify((status?.history ?? []).map((entry) => `${entry.action} ${entry.outcome}`)) === JSON.stringify(expected),
    `the history is ${expected.join(", ")}`,
  );
  const record = await recordOfReturn(stage, expected.length);
  say.line(`the RolloutRecord ${record.metadata.name} tells of the return:`);
  say.table(recordRows(record));
  const counts = await traffic.clients?.stop();
  say.line(`requests during all of it: ${counts?.sent} sent, ${counts?.failed} failed`);
  expectThat(counts?.failed === 0, `no request failed: ${JSON.stringify(counts?.failures.slice(0, 3))}`);
}

/** The record of the return, once every transition has its record. */
async function recordOfReturn(stage: Stage, count: number): Promise<RolloutRecord> {
  const end = Date.now() + 10_000;
  for (;;) {
    const records = await stage.records();
    const found = records.find((one) => one.spec.action === "Return");
    if (found && records.length === count) return found;
    if (Date.now() > end) throw new DemoFailed(`${records.length} of ${count} RolloutRecords exist`);
    await sleep(systemClock, 100);
  }
}

function recordRows({ spec }: RolloutRecord): string[][] {
  const { from, to, checks = [], changes = [] } = spec;
  const about = (side: typeof from) => `${side?.version} (r${side?.revision}), weights ${side?.artifactDigest.slice(0, 19)}…`;
  return [
    ["from", about(from)],
    ["to", about(to)],
    [
      "data",
      `${to?.content?.training?.dataset?.name} ${to?.content?.training?.dataset?.version}; owner ${to?.content?.owner?.team}`,
    ],
    ["who", `${spec.initiator?.name} (${spec.initiator?.source})`],
    ["why", `${spec.reason}: ${spec.message}`],
    ...checks.map((check) => [
      "check",
      `${check.name}: ${check.verdict}, ${check.value?.toPrecision(3)} (${check.threshold}), baseline ${check.baseline?.toPrecision(3) ?? "none"}`,
    ]),
    ...changes.slice(0, 4).map((change) => ["change", `${change.path}: ${change.from} → ${change.to}`]),
    ["when", `detected ${spec.detectedAt}, restored ${spec.restoredAt}, verified ${spec.verifiedAt}`],
  ];
}

async function main(): Promise<void> {
  const say = new Narrator(process.stdout);
  say.title(
    "Rollguard demo: a bad model is taken back by itself",
    "an embedded Kubernetes, real weights, real requests; about a minute",
  );
  const started = Date.now();
  const stage = await raiseStage();
  let ending = false;
  const interrupted = () => {
    ending = true;
    say.clear();
    void stage.close().then(() => process.exit(130));
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  const traffic = new Traffic();
  try {
    await firstVersion(stage, say, traffic);
    await badVersion(stage, say, traffic);
    await syncedAgain(stage, say);
    await darkMetrics(stage, say);
    await mendedVersion(stage, say, traffic);
    await report(stage, say, traffic);
    say.done(`everything above was checked; ${((Date.now() - started) / 1000).toFixed(0)} s`);
    if (process.argv.includes("--keep")) await keepUp(stage, say, traffic);
  } catch (error) {
    // Ctrl-C reaches the operator too; that it ends then is no failure.
    if (ending) return;
    say.failed(error instanceof Error ? error.message : String(error), stage.log().slice(-15));
    process.exitCode = 1;
  } finally {
    await traffic.clients?.stop();
    await stage.close();
  }
}

/** Leaves everything up until Ctrl-C, with traffic, so that the guard has something to judge. */
async function keepUp(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  const url = await stage.serviceUrl();
  if (url) traffic.start(url, false);
  say.line("still up, with traffic; in another terminal, in this folder:");
  say.line(`  export KUBECONFIG=${stage.sandbox.kubeconfigPath}`);
  say.line(`  kubectl get rollguard -n ${NAMESPACE}`);
  say.line(`  kubectl describe mdep ${NAME} -n ${NAMESPACE}`);
  for (const command of ["status", "history", "explain"])
    say.line(`  npm run --silent rollguard -- ${command} ${NAME} -n ${NAMESPACE}`);
  say.line("Ctrl-C ends it and leaves nothing behind");
  await new Promise(() => setInterval(() => undefined, 60_000));
}

await main();
