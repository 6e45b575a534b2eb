// The main job on real input, in about a minute: node examples/digits/demo.ts [canary] [--keep] [--cluster …]
// Nothing is simulated: real handwritten digits, real weights, real processes, real requests. It checks itself and says so.

import { parseArgs } from "node:util";
import { PLACE_ARGS, PLACE_USAGE, placeName } from "../../scripts/place.ts";
import type { RolloutRecord } from "../../src/api/rolloutrecord.ts";
import { sleep, systemClock } from "../../src/clock.ts";
import { canaryStory } from "./canary.ts";
import { raiseClusterStage } from "./cluster-stage.ts";
import { Narrator } from "./narrator.ts";
import { raiseSandboxStage } from "./sandbox-stage.ts";
import { DemoFailed, expectThat, firstVersion, percent, pin, Traffic, until } from "./scene.ts";
import { NAME, NAMESPACE, type Stage } from "./stage.ts";

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

async function mainStory(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  await firstVersion(stage, say, traffic);
  await badVersion(stage, say, traffic);
  await syncedAgain(stage, say);
  await darkMetrics(stage, say);
  await mendedVersion(stage, say, traffic);
  await report(stage, say, traffic);
}

const USAGE = `usage: npm run demo -- [canary] [--keep] [--cluster WHERE]
  canary              a canary that is set back at 50 %, in place of the main job
  --keep              leave everything up at the end, with traffic, until Ctrl-C
${PLACE_USAGE}`;

interface Wanted {
  canary: boolean;
  keep: boolean;
  raise: (say: Narrator) => Promise<Stage>;
}

/** Throws an Error with the usage for what it does not know. */
function wanted(): Wanted {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { ...PLACE_ARGS, keep: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } },
  });
  const unknown = positionals.filter((one) => one !== "canary");
  if (values.help || unknown.length > 0) throw new Error(unknown.length > 0 ? `unknown: ${unknown.join(" ")}\n${USAGE}` : USAGE);
  const { cluster, yes = false, "image-prefix": imagePrefix } = values;
  const raise =
    cluster === "sandbox"
      ? () => raiseSandboxStage()
      : (say: Narrator) =>
          raiseClusterStage(placeName(cluster), { say: (line) => say.line(line), yes, ...(imagePrefix ? { imagePrefix } : {}) });
  if (cluster !== "sandbox") placeName(cluster);
  return { canary: positionals.includes("canary"), keep: values.keep, raise };
}

async function main(): Promise<void> {
  const { canary, keep, raise } = wanted();
  const say = new Narrator(process.stdout);
  say.title(
    canary ? "Rollguard demo: a canary is set back at 50 %" : "Rollguard demo: a bad model is taken back by itself",
    "real weights, real requests; about a minute",
  );
  const started = Date.now();
  const raising = raise(say);
  let ending = false;
  // Also while it is being raised: what was begun is ended then.
  const interrupted = () => {
    ending = true;
    say.clear();
    void raising
      .then((raised) => raised.close())
      .catch(() => undefined)
      .then(() => process.exit(130));
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  const stage = await raising;
  say.line(`on ${stage.about}`);
  const traffic = new Traffic(canary ? { keepAlive: 1, fresh: 7 } : undefined);
  try {
    await (canary ? canaryStory : mainStory)(stage, say, traffic);
    say.done(`everything above was checked; ${((Date.now() - started) / 1000).toFixed(0)} s`);
    if (keep) await keepUp(stage, say, traffic);
  } catch (error) {
    // Ctrl-C reaches the operator too; that it ends then is no failure.
    if (ending) return;
    say.failed(error instanceof Error ? error.message : String(error), (await stage.log()).slice(-15));
    process.exitCode = 1;
  } finally {
    await traffic.clients?.stop().catch(() => undefined);
    await stage.close();
  }
}

/** Leaves everything up until Ctrl-C, with traffic, so that the guard has something to judge. */
async function keepUp(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  const url = await stage.serviceUrl();
  if (url) traffic.start(stage, url, false);
  say.line("still up, with traffic; in another terminal, in this folder:");
  if (stage.kubeconfig !== undefined) say.line(`  export KUBECONFIG=${stage.kubeconfig}`);
  say.line(`  kubectl get rollguard -n ${NAMESPACE}`);
  say.line(`  kubectl describe mdep ${NAME} -n ${NAMESPACE}`);
  for (const command of ["status", "history", "explain"])
    say.line(`  npm run --silent rollguard -- ${command} ${NAME} -n ${NAMESPACE}`);
  say.line("Ctrl-C ends it and leaves nothing behind");
  await new Promise(() => setInterval(() => undefined, 60_000));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
