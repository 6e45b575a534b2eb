// A canary by replica share on real processes, with real requests through the Service: which share the candidate really gets, and
// that neither the step nor the setback costs a request.

import { afterAll, beforeAll, expect, test } from "vitest";
import { sleep, systemClock } from "../../src/clock.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { type Bed, makeBed, Subject } from "./harness.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await makeBed();
  bed.startOperator();
});
afterAll(() => bed.close());

/** Clients that ask until they are stopped, each with a connection of its own; what they got, in order. */
function clients(
  subject: Subject,
  count: number,
): { answers: { phase: string; revision: string }[]; failed: string[]; stop(): Promise<void> } {
  const answers: { phase: string; revision: string }[] = [];
  const failed: string[] = [];
  let phase = "";
  let stopped = false;
  const client = async () => {
    while (!stopped) {
      const before = phase;
      await subject.ask().then(
        ({ revision }) => answers.push({ phase: before === phase ? phase : "", revision }),
        (error: unknown) => failed.push(String(error)),
      );
      await sleep(systemClock, 10);
    }
  };
  const look = async () => {
    while (!stopped) {
      const { rollout } = await subject.status();
      phase = rollout?.stepSince === undefined ? "" : `${rollout.share} %`;
      await sleep(systemClock, 50);
    }
  };
  const running = [look(), ...Array.from({ length: count }, client)];
  return {
    answers,
    failed,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

test("a canary that breaches at 50 % by replica share: half of the requests reach it, all come back, and none fails", {
  timeout: 90_000,
}, async () => {
  const subject = await new Subject(bed, "canary").begin({ warmup: "2s" });
  await subject.version("v1");
  await subject.version("v2", { BAD_RATIO: "0.5" });
  const strategy = {
    type: "Canary",
    canary: { steps: [{ weight: 50, hold: "60s" }] },
    drain: "1s",
    progressDeadline: "30s",
  };
  await subject.pin("v1", { replicas: 2, strategy });
  await subject.until("proven", (status) => status.phase === "Guarding");
  const load = clients(subject, 4);
  await subject.pin("v2", { replicas: 2, strategy });
  await subject.until("shared", (status) => status.rollout?.share === 50);
  const status = await subject.until("set back", (one) => one.phase === "RolledBack");
  const before = load.answers.length;
  await sleep(systemClock, 4000);
  await load.stop();
  expect(load.failed).toEqual([]);
  const shared = load.answers.filter((one) => one.phase === "50 %");
  const reached = shared.filter((one) => one.revision === "2").length / shared.length;
  expect(shared.length).toBeGreaterThan(50);
  expect(reached).toBeGreaterThan(0.35);
  expect(reached).toBeLessThan(0.65);
  // What was under way when it was decided aside, the candidate gets nothing any more.
  expect(load.answers.slice(before + 20).filter((one) => one.revision === "2")).toEqual([]);
  expect(status.quarantine?.map((one) => `${one.version} ${one.reason}`)).toEqual(["v2 CheckBreached"]);
  expect(subject.story(status)).toEqual(["1 Rollout v1 Proven", "2 Rollout v2 Rejected"]);
  const children = await bed.client.listAll(RESOURCES.deployments, { namespace: "canary" });
  expect(children.items.map((one) => one.metadata.name)).toEqual(["toy-r1"]);
});
