// A canary that looks well at its first step and is set back at 50 %: at first the clients send nothing that version 2 gets wrong,
// then the whole world comes. The traffic is shared by the number of pods, and a confidence sequence decides.

import { sleep, systemClock } from "../../src/clock.ts";
import { evidenceAgainst } from "../../src/core/confidence.ts";
import { loadDigits } from "./data.ts";
import type { Narrator } from "./narrator.ts";
import { DemoFailed, expectThat, firstVersion, percent, pin, type Status, type Traffic, until } from "./scene.ts";
import type { Stage } from "./stage.ts";

const STEPS = [
  { weight: 25, hold: "8s" },
  { weight: 50, hold: "30s" },
];
const CHECK = "wrong-answers";
const CONFIDENCE = 0.95;

type Edit = NonNullable<Parameters<Stage["apply"]>[1]>;

/** The deployment as a canary of three pods, pinned to a version. */
const canaryOf =
  (version: string): Edit =>
  (object) => {
    pin(version)(object);
    if (object.kind !== "ModelDeployment") return;
    const { spec } = object as typeof object & { spec: { replicas: number; strategy: Record<string, unknown> } };
    spec.replicas = 3;
    spec.strategy = { ...spec.strategy, type: "Canary", canary: { steps: STEPS } };
  };

const shareOf = (traffic: Traffic, version: string) => traffic.of(version).answered;

/** The 95 % confidence sequence for `hits` of `trials` by bisection on both sides of what was seen. */
function bounds(hits: number, trials: number): [number, number] {
  const limit = -Math.log(1 - CONFIDENCE);
  const seen = hits / trials;
  const edge = (outside: number): number => {
    let [out, inside] = [outside, seen];
    for (let i = 0; i < 40; i++) {
      const middle = (out + inside) / 2;
      if (evidenceAgainst(middle, hits, trials) >= limit) out = middle;
      else inside = middle;
    }
    return out;
  };
  return [edge(1e-9), edge(1 - 1e-9)];
}

/** Waits until a step is in force, and says which share clients see of it over two seconds. */
async function atStep(stage: Stage, say: Narrator, traffic: Traffic, index: number): Promise<void> {
  const weight = STEPS[index]?.weight;
  const rollout = await until(stage, say, `the step of ${weight} %`, (status) => {
    if (status.quarantine?.length) throw new DemoFailed(`it was set back before ${weight} %: ${status.message}`);
    return status.rollout?.step === index && status.rollout.stepSince !== undefined && status.rollout;
  });
  const before = { old: shareOf(traffic, "digits-1.0.0"), fresh: shareOf(traffic, "digits-2.0.0") };
  await sleep(systemClock, 2000);
  const got = shareOf(traffic, "digits-2.0.0") - before.fresh;
  const all = got + shareOf(traffic, "digits-1.0.0") - before.old;
  say.line(
    `step ${index + 1} of ${STEPS.length}: ${weight} % asked, ${rollout.share} % of the pods; clients see ${((100 * got) / all).toFixed(0)} % of ${all} answers from 2.0.0`,
  );
}

/** What the check says of the candidate now. */
const lineOf = (status: Status) =>
  status.checks?.find((line) => line.name === CHECK && line.revision === status.candidate?.revision);

async function firstStep(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  say.chapter("Version 2.0.0 is pinned as a canary, at an hour when no 4, 7 or 9 comes");
  say.line("these are the digits that its labels took for each other: nothing shows yet");
  traffic.clients?.send(loadDigits().live.filter(({ label }) => ![4, 7, 9].includes(label)));
  await stage.apply("deployment.yaml", canaryOf("digits-2.0.0"));
  await atStep(stage, say, traffic, 0);
  const line = await until(stage, say, "a verdict at the first step", (status) => {
    const found = lineOf(status);
    return found?.verdict === "Healthy" && found;
  });
  say.line(`${CHECK} is Healthy: ${line.message}; ${percent(traffic.of("digits-2.0.0"))} so far`);
}

async function setBack(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  await atStep(stage, say, traffic, 1);
  say.chapter("The whole world comes: 4, 7 and 9 too");
  const since = Date.now();
  traffic.clients?.send(loadDigits().live);
  const status = await until(stage, say, "the setback", (now) => (now.quarantine?.length ?? 0) > 0 && !now.candidate && now);
  const entry = status.history?.at(-1);
  expectThat(entry?.outcome === "Rejected", `the rollout is Rejected, not ${entry?.outcome}`);
  const found = entry?.checks?.find((one) => one.name === CHECK);
  say.line(`set back after ${((Date.now() - since) / 1000).toFixed(1)} s, in one write: ${entry?.message}`);
  const [hits, trials] =
    /(\d+) of (\d+) in all/
      .exec(entry?.message ?? "")
      ?.slice(1)
      .map(Number) ?? [];
  expectThat(hits !== undefined && trials !== undefined, `the history says what was counted: ${entry?.message}`);
  const [low, high] = bounds(hits ?? 0, trials ?? 1);
  say.table([
    ["counted since its first traffic", `${hits} of ${trials} answers wrong`],
    ["95 % confidence sequence", `${low.toFixed(3)} to ${high.toFixed(3)}`],
    ["limit", `${found?.threshold}: the whole sequence lies beyond it`],
    ["the active version meanwhile", percent(traffic.of("digits-1.0.0"))],
  ]);
  expectThat(low > 0.2, "the confidence sequence lies beyond the limit");
}

async function afterwards(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  say.chapter("What clients see afterwards");
  const decided = Date.now();
  await sleep(systemClock, 6000);
  const { status } = await stage.deployment();
  expectThat(status?.active?.version === "digits-1.0.0", "version 1 has all the traffic");
  const last = traffic.lastOf("digits-2.0.0")?.at ?? Number.NaN;
  expectThat(Date.now() - last > 1000, "2.0.0 answers nobody any more");
  say.line(`the last answer of 2.0.0 came ${((last - decided) / 1000).toFixed(2)} s after the setback was seen`);
  say.line(`"${status?.message}"`);
  const counts = await traffic.clients?.stop();
  say.line(`requests during all of it: ${counts?.sent} sent, ${counts?.failed} failed`);
  expectThat(counts?.failed === 0, `no request failed: ${JSON.stringify(counts?.failures.slice(0, 3))}`);
}

export async function canaryStory(stage: Stage, say: Narrator, traffic: Traffic): Promise<void> {
  await firstVersion(stage, say, traffic, canaryOf("digits-1.0.0"));
  await firstStep(stage, say, traffic);
  await setBack(stage, say, traffic);
  await afterwards(stage, say, traffic);
}
