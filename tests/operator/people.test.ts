// What people do to a deployment and its objects, with the real operator: taking a Service over, tokens from Git, deleting and
// making again.

import { afterEach, describe, expect, test } from "vitest";
import { RESOURCES } from "../../src/kube/resources.ts";
import { PODS, type Pod } from "../../src/sandbox/controllers/kinds.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { atRest, begin, closeAll, guarding, guardingTwo, pinned, prepare, version } from "./story.ts";

afterEach(closeAll);

const KEY = { namespace: "default", name: "toy" };

function selector(simulation: Simulation): object | undefined {
  return (simulation.server.get(IDS.services, "default", "toy")?.spec as { selector?: object } | undefined)?.selector;
}

function events(simulation: Simulation, reason: string): string[] {
  const all = simulation.server.list(IDS.events) as unknown as { reason: string; note: string }[];
  return all.filter((one) => one.reason === reason).map((one) => one.note);
}

const annotate = (simulation: Simulation, annotations: Record<string, string | null>) =>
  simulation.tester.patch(RESOURCES.modelDeployments, KEY, "merge", { metadata: { annotations } });

describe("adopt takes an existing Service over", () => {
  const old = (annotations: object) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "toy", namespace: "default", annotations },
    spec: { selector: { app: "old" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  });

  test("its selector changes only when the first revision is ready", async () => {
    const simulation = begin();
    await prepare(simulation);
    await simulation.apply(old({ "rollguard.dev/adopt": "toy" }));
    const seen: { selector: string; ready: number }[] = [];
    simulation.server.watch(IDS.services, ({ object }) => {
      if (object.metadata.name !== "toy") return;
      const pods = simulation.server.list(PODS, "default") as unknown as Pod[];
      const ready = pods.filter((pod) => pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True"));
      seen.push({ selector: JSON.stringify(selector(simulation)), ready: ready.length });
    });
    await simulation.apply(pinned("v1"));
    await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
    const moved = seen.filter((one) => !one.selector.includes('"app":"old"'));
    expect(moved.length).toBeGreaterThan(0);
    expect(moved.every((one) => one.ready === 2)).toBe(true);
    expect(selector(simulation)).toMatchObject({ "rollguard.dev/revision": "1" });
  });

  test.each([
    ["without the annotation", {}],
    ["for another deployment", { "rollguard.dev/adopt": "other" }],
  ])("%s it is not touched", async (_words, annotations) => {
    const simulation = begin();
    await prepare(simulation);
    await simulation.apply(old(annotations));
    await simulation.apply(pinned("v1"));
    await simulation.until("stalled", ({ status }) => status?.phase === "Stalled");
    expect(simulation.deployment()?.status?.reason).toBe("NameTaken");
    expect(selector(simulation)).toEqual({ app: "old" });
  });
});

describe("requests are tokens, handled once", () => {
  test("those that come with the object from Git are noted; a new one is acted on, recorded with who wrote it", async () => {
    const simulation = begin();
    await prepare(simulation);
    await simulation.apply(pinned("v1", {}, { annotations: { "rollguard.dev/pause": "toy/from-git" } }));
    await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
    expect(simulation.deployment()?.status?.paused ?? false).toBe(false);
    expect(simulation.deployment()?.status?.handled?.pause).toBe("toy/from-git");
    await annotate(simulation, { "rollguard.dev/pause": "toy/mine" });
    await simulation.until("paused", ({ status }) => status?.paused, 5000);
    expect(events(simulation, "Paused")).toEqual(["paused by tester"]);
  });

  test("their removal, by Flux say, means nothing", async () => {
    const simulation = await guarding();
    await annotate(simulation, { "rollguard.dev/pause": "toy/one" });
    await simulation.until("paused", ({ status }) => status?.paused, 5000);
    await annotate(simulation, { "rollguard.dev/pause": null });
    await atRest(simulation);
    expect(simulation.deployment()?.status?.paused).toBe(true);
  });

  test("one that is refused says why, in the status and as an event", async () => {
    const simulation = await guarding();
    await annotate(simulation, { "rollguard.dev/promote": "r9/one" });
    await simulation.until("refused", ({ status }) => status?.refused, 5000);
    const why = "r9 is neither the candidate nor baking";
    expect(simulation.deployment()?.status?.refused).toMatchObject({ kind: "promote", request: "r9/one", message: why });
    await atRest(simulation);
    expect(events(simulation, "RequestRefused")).toEqual([`promote r9/one: ${why}`]);
  });

  test("a value that is no token at all is refused, however long it is", async () => {
    const simulation = await guarding();
    await annotate(simulation, { "rollguard.dev/retry": "x".repeat(5000) });
    await simulation.until("refused", ({ status }) => status?.refused, 5000);
    expect(simulation.deployment()?.status?.refused?.message).toContain("must be <target>/<token>");
    const { writes } = simulation;
    const before = writes.length;
    await simulation.clock.advance(3000);
    expect(writes.slice(before).filter((write) => write.path.resource === "modeldeployments")).toEqual([]);
  });
});

describe("deleting", () => {
  test("a version that serves: it goes on serving and says so, and is the same revision when it is applied again", async () => {
    const simulation = await guardingTwo();
    await simulation.tester.delete(RESOURCES.modelVersions, { namespace: "default", name: "v2" });
    await simulation.until("stalled", ({ status }) => status?.phase === "Stalled");
    const { status } = simulation.deployment() ?? {};
    expect(status?.message).toContain("there is no ModelVersion v2");
    expect(status?.message).toContain("r2 (v2) serves");
    await simulation.apply(version("v2"));
    await simulation.until("guarding", (one) => one.status?.phase === "Guarding");
    expect(simulation.deployment()?.status?.active?.revision).toBe(2);
    expect(simulation.traffic).toEqual([1, 2]);
  });

  test("the version of the target: the target survives it", async () => {
    const simulation = await guardingTwo();
    await simulation.tester.delete(RESOURCES.modelVersions, { namespace: "default", name: "v1" });
    await atRest(simulation);
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.until("returned", ({ status }) => status?.phase === "RolledBack");
    expect(simulation.traffic).toEqual([1, 2, 1]);
  });

  test("a deployment, and making it again: revisions and sequences go on from the records", async () => {
    const simulation = await guardingTwo();
    const before = simulation.deployment()?.status?.sequence ?? 0;
    await simulation.tester.delete(RESOURCES.modelDeployments, KEY);
    await atRest(simulation);
    expect(simulation.deployment()).toBeUndefined();
    await simulation.apply(pinned("v1"));
    await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
    await atRest(simulation);
    const { status, metadata } = simulation.deployment() ?? {};
    expect(status?.active?.revision).toBe(3);
    expect(status?.sequence).toBe(before + 1);
    const records = simulation.server.list(IDS.records, "default") as unknown as {
      spec: { sequence: number; deployment: { uid: string } };
    }[];
    expect(records.map((one) => one.spec.sequence).sort()).toEqual([1, 2, 3]);
    expect(records.find((one) => one.spec.sequence === 3)?.spec.deployment.uid).toBe(metadata?.uid);
  });

  test("… and so do cooldown and budget: making it again is no way around them", async () => {
    const simulation = await guardingTwo();
    await simulation.tester.patch(RESOURCES.rollbackPolicies, KEY, "merge", { spec: { rollback: { cooldown: "1h" } } });
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.until("returned", ({ status }) => status?.phase === "RolledBack");
    await atRest(simulation);
    await simulation.tester.delete(RESOURCES.modelDeployments, KEY);
    await atRest(simulation);
    await simulation.apply(pinned("v1"));
    await simulation.until("proven again", ({ status }) => status?.phase === "Guarding");
    await simulation.apply(pinned("v2"));
    const { status } = await simulation.until("the next is proven", (one) => one.status?.lastHealthy?.version === "v2");
    expect(status?.returns).toBeUndefined();
    simulation.errorShare = (revision) => (revision === status?.active?.revision ? 0.5 : 0.01);
    const held = await simulation.until("held", (one) => one.status?.conditions?.some(({ reason }) => reason === "Breached"));
    await atRest(simulation);
    expect(simulation.deployment()?.status).toMatchObject({
      reason: "Cooldown",
      active: { revision: held.status?.active?.revision },
    });
  });
});

describe("who set the pin", () => {
  const initiators = async (trustPinnedBy: boolean) => {
    const simulation = begin(0);
    simulation.operator({ trustPinnedBy });
    await guarding({}, simulation);
    await simulation.apply(pinned("v2", {}, { annotations: { "rollguard.dev/pinned-by": "alice@example.com" } }));
    const { status } = await simulation.until("over", (now) => now.status?.history?.some(({ to }) => to?.version === "v2"));
    return status?.history?.map(({ to, initiator }) => `${to?.version}: ${initiator?.source} ${initiator?.name}`);
  };

  test("is the annotation's name where an admission policy writes it, and its absence falls back to the field manager", async () => {
    expect(await initiators(true)).toEqual(["v1: FieldManager tester", "v2: Authenticated alice@example.com"]);
  });

  test("is never the annotation's where anybody could write it", async () => {
    expect(await initiators(false)).toEqual(["v1: FieldManager tester", "v2: FieldManager tester"]);
  });
});
