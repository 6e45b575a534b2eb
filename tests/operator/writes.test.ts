// What the operator's writes carry, and what never gets into them, in simulated time.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ResourceId, StoredObject } from "../../src/sandbox/api.ts";
import { PODS } from "../../src/sandbox/controllers/kinds.ts";
import { IDS, isRenewal, nameOf, type Write } from "./simulated.ts";
import { atRest, begin, closeAll, guarding, guardingTwo, pinned, prepare, version } from "./story.ts";

beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(async () => {
  await closeAll();
  vi.restoreAllMocks();
});

const LIMIT = { timeout: 120_000 };

/** The version of what is there that a write was decided on; undefined: it names none. */
function versionOf({ method, body }: Write): string | undefined {
  const parsed = JSON.parse(body || "{}");
  return method === "DELETE" ? parsed.preconditions?.resourceVersion : parsed.metadata?.resourceVersion;
}

describe("every write carries the resource version that it was decided on", LIMIT, () => {
  const recreate = { strategy: { type: "Recreate", drain: "1s", progressDeadline: "120s" } };
  test.each([
    ["BlueGreen", {}],
    ["Recreate", recreate],
  ])("%s: rollout, breach, return, another rollout and a standby that goes", async (_words, spec) => {
    const simulation = begin();
    const bare: string[] = [];
    let held = 0;
    simulation.onWrite = (write) => {
      const { group, version: apiVersion, resource, namespace, name } = write.path;
      const id: ResourceId = { group, version: apiVersion, resource };
      // What is made carries none; dry runs change nothing.
      if (isRenewal(write) || write.method === "POST" || !simulation.server.get(id, namespace, name)) return undefined;
      if (versionOf(write) === undefined) bare.push(nameOf(write));
      else held++;
      return undefined;
    };
    await guarding(spec, simulation);
    await simulation.apply(pinned("v2", spec));
    await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
    await simulation.apply(version("v3"));
    await simulation.apply(pinned("v3", spec));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v3");
    await atRest(simulation);
    expect(bare).toEqual([]);
    expect(held).toBeGreaterThan(20);
  });
});

describe("a decision about traffic", LIMIT, () => {
  const decisionOf = (object: StoredObject | undefined) => Number(object?.metadata.annotations?.["rollguard.dev/decision"]);

  test.each([
    ["BlueGreen", {}],
    ["Recreate, where the Service goes on selecting what it did", { strategy: { type: "Recreate", drain: "1s" } }],
  ])("writes its number on the Service: %s", async (_words, spec) => {
    const simulation = await guardingTwo(undefined, spec);
    const decided = new Set<number>();
    const written = new Set<number>();
    simulation.server.watch(IDS.deployments, ({ object }) => {
      decided.add((object as unknown as { status: { decision: number } }).status.decision);
    });
    simulation.server.watch(IDS.services, ({ object }) => {
      if (object.metadata.name === "toy") written.add(decisionOf(object));
    });
    simulation.errorShare = (revision) => (revision === 2 ? 0.5 : 0.01);
    await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
    await atRest(simulation);
    expect(decided.size).toBeGreaterThan(1);
    expect([...written]).toEqual([...decided]);
  });

  test("that a child shows and the cache does not: the deployment is read from the API server, and nothing is undone", async () => {
    const simulation = await guardingTwo();
    const reads: string[] = [];
    let silent = true;
    simulation.onRead = ({ resource, name }) => {
      if (resource === "modeldeployments" && name !== "") reads.push(name);
      return silent && resource === "modeldeployments" && name === "" ? { before: { do: "hang" } } : undefined;
    };
    simulation.server.dropWatches();
    await simulation.clock.advance(500);
    await simulation.apply(pinned("v1"));
    // As its successor would: the traffic is on r1, and this one's cache of the status stands still.
    const live = simulation.deployment() as unknown as StoredObject & { status: Record<string, unknown> };
    const before = live.status as { decision: number; active: object; standby: object };
    const decision = before.decision + 1;
    simulation.server.updateStatus(IDS.deployments, {
      ...live,
      status: { ...live.status, decision, active: before.standby, standby: before.active },
    } as StoredObject);
    const service = simulation.get(IDS.services, "toy");
    simulation.server.update(IDS.services, {
      ...service,
      metadata: { ...service.metadata, annotations: { "rollguard.dev/decision": String(decision) } },
      spec: { ...service.spec, selector: { "rollguard.dev/deployment": "toy", "rollguard.dev/revision": "1" } },
    });
    const conflicts = simulation.conflicts;
    await simulation.clock.advance(10_000);
    expect(reads).not.toEqual([]);
    expect([simulation.traffic, simulation.conflicts]).toEqual([[1, 2, 1], conflicts]);
    expect(decisionOf(simulation.get(IDS.services, "toy"))).toBe(decision);
    silent = false;
    const reasons = simulation.server.list(IDS.events, "default").map((event) => (event as { reason?: string }).reason);
    expect(reasons).not.toContain("DecisionRepaired");
  });
});

describe("whatever a source or a pod says", LIMIT, () => {
  const SECRET = "t0ken-of-the-platform-team";
  // Escapes, line breaks, marks that turn text around; and the secret, which an answer may echo.
  const NASTY = `\u001b[31mred\u001b[0m\r\nnext\u0000\u202e ${SECRET} \u0007 http://user:${SECRET}@host/`;
  // Control characters, and what reorders or hides text.
  const RAW = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

  function texts(value: unknown, path = ""): [string, string][] {
    if (typeof value === "string") return [[path, value]];
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([key, item]) => [[path, key] as [string, string], ...texts(item, `${path}.${key}`)]);
  }

  test("no secret, raw newline or terminal escape reaches a log, status, event or record", async () => {
    const simulation = begin();
    const found: string[] = [];
    let seen = 0;
    const told = new Set<string>();
    const look = (where: string, value: unknown) => {
      for (const [path, text] of texts(value)) {
        seen++;
        told.add(text);
        if (RAW.test(text) || text.includes(SECRET)) found.push(`${where}${path}: ${JSON.stringify(text)}`);
      }
    };
    const log = (fields: object, message: string) => look("log", { ...fields, message });
    simulation.logger = { debug: log, info: log, warn: log, error: log };
    simulation.running().kill();
    simulation.operator();
    const { deployments, records, events } = IDS;
    const configs = { ...deployments, resource: "rollguardconfigs" };
    for (const [name, id] of Object.entries({ deployments, records, events, configs }))
      simulation.server.watch(id, ({ object }) =>
        look(name, { status: object.status, spec: name === "records" ? object.spec : 0, ...(name === "events" ? object : {}) }),
      );
    simulation.server.watch({ ...IDS.deployments, resource: "metricsources" }, ({ object }) => look("source", object.status));
    simulation.server.create(
      { group: "", version: "v1", resource: "secrets" },
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "prometheus", namespace: "default" },
        data: { token: Buffer.from(SECRET).toString("base64") },
      },
    );
    await prepare(simulation);
    await simulation.apply({
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "MetricSource",
      metadata: { name: "prometheus" },
      spec: {
        type: "Prometheus",
        address: "http://metrics.example",
        auth: { secretRef: { name: "prometheus", key: "token" } },
        namespaces: ["*"],
        freeQueries: true,
      },
    });
    simulation.errorShare = () => 0.01;
    await simulation.apply(pinned("v1"));
    await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
    await simulation.apply(pinned("v2"));
    await simulation.until("proven", ({ status }) => status?.lastHealthy?.version === "v2" && status.phase === "Guarding");
    const answer = simulation.answerQuery.bind(simulation);
    const sent = new Set<string | undefined>();
    const metric = { [NASTY]: NASTY };
    const value = [simulation.clock.now() / 1000, NASTY];
    const headers = { "content-type": "application/json" };
    const nasty = [
      { status: 400, body: JSON.stringify({ status: "error", errorType: NASTY, error: NASTY }) },
      { status: 500, body: NASTY },
      { status: 200, body: NASTY },
      { status: 200, body: JSON.stringify({ status: "success", data: { resultType: NASTY, result: NASTY } }) },
      { status: 200, body: JSON.stringify({ status: "success", data: { resultType: "vector", result: [{ metric, value }] } }) },
    ];
    for (const each of nasty) {
      simulation.answerQuery = async (request) => {
        sent.add(request.headers.authorization);
        return { ...each, headers };
      };
      await simulation.clock.advance(5000);
      expect(simulation.deployment()?.status?.checks?.find((one) => one.name === "errors")?.verdict).toBe("ProviderError");
    }
    expect([...told].join()).toContain("red next [redacted]");
    expect([...sent]).toEqual([`Bearer ${SECRET}`]);
    simulation.answerQuery = answer;
    // Candidates that can't start, each with its reason in the words of others, and then one that is rejected for such.
    const words = NASTY.replaceAll(SECRET, "word");
    const state = (revision: number, status: object, ...container: object[]) => {
      for (const pod of simulation.server.list(PODS, "default")) {
        if (pod.metadata.labels?.["rollguard.dev/revision"] !== String(revision)) continue;
        const of = (name: string) =>
          container.map((one) => ({ name, image: "toy", imageID: "", ready: false, restartCount: 1, ...one }));
        const init = "initContainerStatuses" in status ? { initContainerStatuses: of("rollguard-fetch") } : {};
        const containers = { containerStatuses: of("server") };
        simulation.server.updateStatus(PODS, { ...pod, status: { ...pod.status, ...containers, ...status, ...init } });
      }
    };
    const scheduled = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: words }];
    const waiting = { state: { waiting: { reason: "ImagePullBackOff", message: words } } };
    const fetched = { state: { terminated: { reason: "Error", exitCode: 65, message: words } } };
    const cases: [string, (revision: number) => void][] = [
      ["Unschedulable", (revision) => state(revision, { conditions: scheduled })],
      ["ImageUnavailable", (revision) => state(revision, {}, waiting)],
      ["ArtifactInvalid", (revision) => state(revision, { initContainerStatuses: [], containerStatuses: [] }, fetched)],
    ];
    simulation.starts = (revision) => revision < 3;
    for (const [index, [reason, ails]] of cases.entries()) {
      const name = `v${index + 3}`;
      told.clear();
      await simulation.apply(version(name));
      await simulation.apply(pinned(name));
      await simulation.until("brought up", ({ status }) => status?.candidate?.version === name);
      await simulation.clock.advance(2000);
      ails(index + 3);
      await simulation.until(
        reason,
        ({ status }) => status?.stall?.reason === reason || status?.history?.at(-1)?.reason === reason,
      );
      expect([...told].join(), reason).toContain("red next word");
    }
    await simulation.apply(pinned("v2"));
    await atRest(simulation);
    expect(simulation.server.list(IDS.records, "default").length).toBeGreaterThanOrEqual(4);
    expect(seen).toBeGreaterThan(1000);
    expect(found).toEqual([]);
  });
});
