// Canary on the simulated operator: steps by replica share and by an HTTPRoute, kills at every write, routes of somebody else.

import { describe, expect, test } from "vitest";
import { PODS, type Pod, timestamp, withCondition } from "../../src/sandbox/controllers/kinds.ts";
import { installGateway, routeOf, weightsOf } from "./gateway.ts";
import { differences, placesIn } from "./kills.ts";
import { IDS, nameOf, type Simulation } from "./simulated.ts";
import { atRest, begin, endOf, guarding, guardingTwo, pinned, prepare, repeatable, version } from "./story.ts";

const LIMIT = 180_000;

repeatable();

const steps = [
  { weight: 33, hold: "3s" },
  { weight: 50, hold: "3s" },
];
const strategy = (more: object = {}) => ({
  type: "Canary",
  canary: { steps, ...more },
  drain: "1s",
  progressDeadline: "120s",
});
const route = { route: { parentRefs: [{ name: "g" }] } };

/** Every moment in which the Service selected a pod that had no business there. */
function strangersOf(simulation: Simulation): string[] {
  const found: string[] = [];
  const look = () => {
    const service = simulation.server.get(IDS.services, "default", "toy") as
      | { spec?: { selector?: Record<string, string> } }
      | undefined;
    if (!service?.spec?.selector || "rollguard.dev/revision" in service.spec.selector) return;
    const { active, candidate } = simulation.deployment()?.status ?? {};
    for (const pod of simulation.server.list(PODS, "default")) {
      const revision = pod.metadata.labels?.["rollguard.dev/revision"];
      const known = [active?.revision, candidate?.revision].map(String).includes(revision ?? "");
      // What a newer candidate supersedes keeps its pods until the Service is narrow again.
      if (!known) found.push(`${pod.metadata.name} beside r${active?.revision} and r${candidate?.revision}`);
    }
  };
  simulation.server.watch(PODS, look);
  simulation.server.watch(IDS.services, look);
  return found;
}

/** v1 and v2 are proven and v1 is the standby; v3 is rolled out by canary and breaches at its second step. */
async function setback(simulation: Simulation, prepared: () => void = () => undefined): Promise<object> {
  await guardingTwo(simulation, { strategy: strategy() });
  prepared();
  const second = () => (simulation.deployment()?.status?.rollout?.step ?? 0) >= 1;
  simulation.errorShare = (revision) => (revision === 3 && second() ? 0.5 : 0.01);
  await simulation.apply(version("v3"));
  await simulation.apply(pinned("v3", { strategy: strategy() }));
  await simulation.until("rejected", ({ status }) => status?.phase === "RolledBack");
  await atRest(simulation);
  return endOf(simulation);
}

describe("by replica share", () => {
  test("v2 goes by its steps, takes everything and is proven", async () => {
    const simulation = await guarding({ strategy: strategy() });
    const strangers = strangersOf(simulation);
    simulation.errorShare = () => 0.01;
    await simulation.apply(pinned("v2", { strategy: strategy() }));
    const first = await simulation.until("at its first step", ({ status }) => status?.rollout?.stepSince);
    expect(first.status?.phase).toBe("Shifting");
    expect(first.status?.rollout).toMatchObject({ step: 0, weight: 33, share: 33 });
    expect(first.status).toMatchObject({ replicas: 3, readyReplicas: 3 });
    expect(simulation.get(IDS.services, "toy").spec?.selector).toEqual({ "rollguard.dev/deployment": "toy" });
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2" && status.phase === "Guarding");
    expect(simulation.traffic).toEqual([1, 0, 2]);
    expect(strangers).toEqual([]);
  });

  test("a candidate with a share whose only pod is not ready any more is judged by that, and set back", async () => {
    const held = { ...strategy(), canary: { steps: [{ weight: 33, hold: "10m" }] } };
    const simulation = await guarding({ strategy: held });
    simulation.errorShare = () => 0.01;
    await simulation.apply(pinned("v2", { strategy: held }));
    await simulation.until("at its first step", ({ status }) => status?.rollout?.stepSince);
    const pod = simulation.server
      .list(PODS, "default")
      .find((one) => one.metadata.labels?.["rollguard.dev/revision"] === "2") as unknown as Pod;
    const conditions = withCondition(
      pod.status?.conditions,
      { type: "Ready", status: "False" },
      timestamp(simulation.clock.now()),
    );
    const containerStatuses = ((pod.status?.containerStatuses ?? []) as object[]).map((one) => ({ ...one, ready: false }));
    simulation.server.updateStatus(PODS, { ...pod, status: { ...pod.status, conditions, containerStatuses } });
    const { status } = await simulation.until("rejected", (one) => one.status?.phase === "RolledBack", 60_000);
    expect(status?.quarantine?.map((one) => [one.version, one.reason])).toEqual([["v2", "CheckBreached"]]);
    expect(status?.quarantine?.[0]?.message).toContain("available 1");
    expect(simulation.traffic).toEqual([1, 0, 1]);
  });

  test("while the write that narrows the Service fails, no target of a return comes up behind it", async () => {
    const simulation = await guardingTwo(begin(), { strategy: strategy() });
    const strangers = strangersOf(simulation);
    let refused = 0;
    simulation.onWrite = (write) => {
      const narrows = nameOf(write) === "PATCH services toy" && simulation.deployment()?.status?.phase === "RollingBack";
      if (!narrows || refused >= 4) return undefined;
      refused++;
      return { before: { do: "refuse", status: 500, reason: "InternalError" } };
    };
    await simulation.apply(version("v3"));
    await simulation.apply(pinned("v3", { strategy: strategy() }));
    await simulation.until("shared", ({ status }) => status?.rollout?.stepSince);
    // What was active is breached: the share goes back, and the target is brought up from nothing.
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.until("returned", ({ status }) => status?.active?.version === "v1");
    expect(refused).toBe(4);
    expect(strangers).toEqual([]);
    await simulation.until("the candidate goes on", ({ status }) => status?.lastHealthy?.version === "v3");
    expect(strangers).toEqual([]);
  });

  test("Killed after any request of a canary and its setback: the same end state as without the kill", {
    timeout: LIMIT,
  }, async () => {
    const whole = begin();
    let from = 0;
    const play = async (simulation: Simulation) => {
      const strangers = strangersOf(simulation);
      const end = await setback(simulation, () => {
        if (simulation === whole) from = simulation.writes.length;
      });
      return { ...end, strangers };
    };
    const expected = await play(whole);
    expect(expected).toMatchObject({
      phase: "RolledBack",
      active: "r2 v2",
      // The standby had to go before the Service selected every pod.
      standby: undefined,
      quarantine: ["r3 v3 CheckBreached"],
      children: ["toy-r2 2"],
      strangers: [],
    });
    // BlueGreen's first two, the canary's, and back in one write.
    expect((expected as unknown as { traffic: number[] }).traffic.slice(-3)).toEqual([2, 0, 2]);
    const places = placesIn(whole, from);
    expect(places.length).toBeGreaterThan(15);
    expect(await differences(play, whole, expected, places)).toEqual([]);
  });
});

describe("by HTTPRoute", () => {
  test("the operator makes and owns the route; the weights go by the steps and end at 100/0", async () => {
    const simulation = begin();
    const gateway = installGateway(simulation);
    simulation.errorShare = () => 0.01;
    await guarding({ strategy: strategy(route) }, simulation);
    expect(routeOf(simulation)).toMatchObject({
      metadata: { ownerReferences: [{ kind: "ModelDeployment", name: "toy", controller: true }] },
      spec: {
        parentRefs: [{ name: "g" }],
        rules: [
          {
            backendRefs: [
              { name: "toy", port: 80, weight: 100 },
              { name: "toy-preview", port: 80, weight: 0 },
            ],
          },
        ],
      },
    });
    await simulation.apply(pinned("v2", { strategy: strategy(route) }));
    const first = await simulation.until("at its first step", ({ status }) => status?.rollout?.stepSince);
    expect(first.status?.rollout).toMatchObject({ step: 0, weight: 33, share: 33 });
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2" && status.phase === "Guarding");
    expect(gateway.seen).toEqual(["100/0", "67/33", "50/50", "100/0"]);
    expect(simulation.traffic).toEqual([1, 2]);
    expect(Number(routeOf(simulation)?.metadata.annotations?.["rollguard.dev/decision"])).toBe(
      simulation.deployment()?.status?.decision,
    );
  });

  test("a setback gives all weight back in one write, and no later candidate gets what is left of it", async () => {
    const simulation = begin();
    const gateway = installGateway(simulation);
    simulation.errorShare = () => 0.01;
    await guarding({ strategy: strategy(route) }, simulation);
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.apply(pinned("v2", { strategy: strategy(route) }));
    await simulation.until("rejected", ({ status }) => status?.phase === "RolledBack");
    expect(weightsOf(routeOf(simulation))).toBe("100/0");
    expect(gateway.seen).toEqual(["100/0", "67/33", "100/0"]);
    await atRest(simulation);
    expect(endOf(simulation)).toMatchObject({ active: "r1 v1", children: ["toy-r1 2"], traffic: [1] });
  });

  test("a newer candidate never gets what an old weight still sends, also while the route can't be written", async () => {
    const simulation = begin();
    installGateway(simulation);
    simulation.errorShare = () => 0.01;
    await guarding({ strategy: strategy(route) }, simulation);
    const wrong: string[] = [];
    const preview = () =>
      simulation.server.get(IDS.services, "default", "toy-preview")?.spec?.selector?.["rollguard.dev/revision"];
    const look = () => {
      const { candidate, rollout } = simulation.deployment()?.status ?? {};
      const weights = weightsOf(routeOf(simulation));
      if (preview() === "3" && weights !== "100/0" && rollout?.step === undefined)
        wrong.push(`r3 gets ${weights} with r${candidate?.revision}`);
    };
    simulation.server.watch(IDS.services, look);
    simulation.server.watch(IDS.routes, look);
    await simulation.apply(version("v3"));
    await simulation.apply(pinned("v2", { strategy: strategy(route) }));
    await simulation.until("shared", ({ status }) => status?.rollout?.stepSince);
    let refused = 0;
    simulation.onWrite = (write) => {
      if (write.path.resource !== "httproutes" || refused >= 4) return undefined;
      refused++;
      return { before: { do: "refuse", status: 500, reason: "InternalError" } };
    };
    await simulation.apply(pinned("v3", { strategy: strategy(route) }));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v3");
    expect(refused).toBe(4);
    expect(wrong).toEqual([]);
  });

  test("a cluster without HTTPRoutes holds the rollout and says so, and goes on when they come", async () => {
    const simulation = await guarding({ strategy: strategy(route) });
    simulation.errorShare = () => 0.01;
    await simulation.apply(pinned("v2", { strategy: strategy(route) }));
    const held = await simulation.until("held", ({ status }) => status?.message?.includes("CRDs"));
    expect(held.status?.reason).toBe("RouteNotAccepted");
    expect(held.status?.message).toContain("the cluster has no HTTPRoute (install the Gateway API CRDs)");
    expect(held.status?.phase).toBe("Progressing");
    installGateway(simulation);
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2");
  });

  test("a route that no Gateway accepts holds the rollout and says so", async () => {
    const simulation = begin();
    const gateway = installGateway(simulation);
    gateway.accepts = false;
    simulation.errorShare = () => 0.01;
    await guarding({ strategy: strategy(route) }, simulation);
    await simulation.apply(pinned("v2", { strategy: strategy(route) }));
    const held = await simulation.until("held", ({ status }) => status?.reason === "RouteNotAccepted");
    expect(held.status?.message).toContain("NotAllowedByListeners");
    await atRest(simulation);
    expect(gateway.seen).toEqual(["100/0"]);
  });

  test("what is taken out of the spec goes from the route", async () => {
    const simulation = begin();
    installGateway(simulation);
    simulation.errorShare = () => 0.01;
    const more = { hostnames: ["a.example"], matches: [{ path: { type: "PathPrefix", value: "/a" } }] };
    await guarding({ strategy: strategy({ route: { ...route.route, ...more } }) }, simulation);
    expect(routeOf(simulation)?.spec).toMatchObject({
      hostnames: ["a.example"],
      rules: [{ matches: [{ path: { value: "/a" } }] }],
    });
    await simulation.apply(pinned("v1", { strategy: strategy(route) }));
    await atRest(simulation);
    expect(routeOf(simulation)?.spec).toMatchObject({ hostnames: [], rules: [{ matches: [{ path: { value: "/" } }] }] });
    const writes = simulation.writes.length;
    await atRest(simulation);
    expect(simulation.writes.slice(writes).filter((write) => write.path.resource === "httproutes")).toEqual([]);
  });

  test("a route that the spec does not want any more goes back to rest and stays", async () => {
    const simulation = begin();
    const gateway = installGateway(simulation);
    simulation.errorShare = () => 0.01;
    await guarding({ strategy: strategy(route) }, simulation);
    await simulation.apply(pinned("v2", { strategy: strategy(route) }));
    await simulation.until("at its first step", ({ status }) => status?.rollout?.stepSince);
    await simulation.apply(pinned("v2", { strategy: { type: "BlueGreen", drain: "1s", progressDeadline: "120s" } }));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2" && status.phase === "Guarding");
    await atRest(simulation);
    expect(gateway.seen).toEqual(["100/0", "67/33", "100/0"]);
    expect(simulation.traffic).toEqual([1, 2]);
  });

  const foreign = (annotations: object = {}) => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "toy", namespace: "default", annotations: { "team.example/note": "ours", ...annotations } },
    spec: {
      parentRefs: [{ name: "g" }],
      rules: [
        {
          backendRefs: [
            { name: "toy", port: 80, weight: 100 },
            { name: "toy-preview", port: 80, weight: 0 },
          ],
        },
        { matches: [{ path: { type: "PathPrefix", value: "/static" } }], backendRefs: [{ name: "files", port: 80 }] },
      ],
    },
  });

  test("a route of somebody else is not touched", async () => {
    const simulation = begin();
    installGateway(simulation);
    await simulation.apply(foreign());
    const before = routeOf(simulation)?.spec;
    await guardingStalled(simulation);
    expect(simulation.deployment()?.status?.stall?.reason).toBe("NameTaken");
    expect(routeOf(simulation)?.spec).toEqual(before);
  });

  test("an adopted one is only patched with a test: two weights change and nothing else, also while another writer is at it", async () => {
    const simulation = begin();
    const gateway = installGateway(simulation);
    simulation.errorShare = () => 0.01;
    await simulation.apply(foreign({ "rollguard.dev/adopt": "toy" }));
    await guarding({ strategy: strategy(route) }, simulation);
    let met = 0;
    let refused = 0;
    simulation.onWrite = (write) => {
      if (write.path.resource !== "httproutes") return undefined;
      expect(JSON.parse(write.body)[0]).toMatchObject({ op: "test" });
      // Just before the first patch arrives, somebody adds a backend.
      if (met++ > 0) return undefined;
      refused++;
      const live = routeOf(simulation);
      const [first, ...rest] = live?.spec.rules ?? [];
      const rules = [
        { ...first, backendRefs: [...(first?.backendRefs ?? []), { name: "shadow", port: 80, weight: 0 }] },
        ...rest,
      ];
      simulation.server.update(IDS.routes, { ...live, spec: { ...live?.spec, rules } } as never);
      return undefined;
    };
    await simulation.apply(pinned("v2", { strategy: strategy(route) }));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2");
    await atRest(simulation);
    expect([refused, met]).toEqual([1, 4]);
    expect(gateway.seen).toEqual(["100/0", "100/0/0", "67/33/0", "50/50/0", "100/0/0"]);
    const { metadata, spec } = routeOf(simulation) ?? {};
    expect(metadata?.ownerReferences).toBeUndefined();
    expect(metadata?.annotations?.["team.example/note"]).toBe("ours");
    expect(spec?.rules?.[1]?.backendRefs).toEqual([{ group: "", kind: "Service", name: "files", port: 80, weight: 1 }]);
  });
});

/** As `guarding`, where a taken name keeps it stalled. */
async function guardingStalled(simulation: Simulation): Promise<void> {
  await prepare(simulation);
  await simulation.apply(pinned("v1", { strategy: strategy(route) }));
  await simulation.until("stalled", ({ status }) => status?.stall !== undefined);
  await atRest(simulation);
}
