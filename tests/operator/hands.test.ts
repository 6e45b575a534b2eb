// Nothing is written at rest, and what other writers do to our objects is put right or left alone, in simulated time.

import { describe, expect, test } from "vitest";
import type { ResourceId, StoredObject } from "../../src/sandbox/api.ts";
import { IDS, type Simulation } from "./simulated.ts";
import { atRest, begin, endOf, guarding, guardingTwo, mainJob, pinned, prepare, repeatable, touch, writesFrom } from "./story.ts";

repeatable();

describe("at rest", () => {
  test("the same pin, synced again by Git every three seconds, changes nothing and writes nothing", async () => {
    const simulation = begin();
    const end = await mainJob(simulation);
    const written = writesFrom(simulation);
    for (let i = 0; i < 40; i++) {
      await simulation.apply(pinned("v2"));
      // Tools of Git leave a mark of theirs, so that the object really changes.
      await simulation.apply(pinned("v2", {}, { annotations: { "git.example/synced": String(i) } }));
      await simulation.clock.advance(3000);
    }
    expect(written()).toEqual([]);
    expect(endOf(simulation)).toEqual(end);
  });

  test("a pass that changes nothing writes nothing: ten minutes of guarding", async () => {
    const simulation = await guardingTwo();
    simulation.errorShare = () => 0.01 + 0.001 * (simulation.queries % 7);
    const written = writesFrom(simulation);
    const asked = simulation.queries;
    await simulation.clock.advance(600_000);
    expect(written()).toEqual([]);
    expect(simulation.queries - asked).toBeGreaterThan(500);
  });

  test("a restart writes nothing that is right already", async () => {
    const simulation = await guardingTwo();
    const written = writesFrom(simulation);
    for (let i = 0; i < 3; i++) {
      simulation.running().kill();
      simulation.operator();
      await simulation.clock.advance(30_000);
    }
    expect(simulation.running().name).toBe("operator-4");
    expect(simulation.writes.at(-1)?.by).toBe(simulation.running());
    const others = written().filter((name) => name !== "PUT modeldeployments toy status");
    expect(others).toEqual([]);
  });
});

describe("foreign hands", () => {
  type Loose = StoredObject & { spec: Record<string, unknown> };
  const cases: { what: string; id: ResourceId; name: string; edit?: (live: Loose) => Loose; path?: string }[] = [
    {
      what: "a Service selector that is edited",
      id: IDS.services,
      name: "toy",
      path: "spec.selector",
      edit: (live) => ({ ...live, spec: { ...live.spec, selector: { app: "else" } } }),
    },
    {
      what: "a Service selector that is pointed at another revision",
      id: IDS.services,
      name: "toy",
      path: "spec.selector",
      edit: (live) => ({
        ...live,
        spec: { ...live.spec, selector: { "rollguard.dev/deployment": "toy", "rollguard.dev/revision": "1" } },
      }),
    },
    {
      what: "a port of the Service that is edited",
      id: IDS.services,
      name: "toy",
      path: "spec.ports",
      edit: (live) => ({ ...live, spec: { ...live.spec, ports: [{ name: "http", port: 81, targetPort: "http" }] } }),
    },
    {
      what: "a preview Service that is edited",
      id: IDS.services,
      name: "toy-preview",
      path: "spec.ports",
      edit: (live) => ({ ...live, spec: { ...live.spec, ports: [{ name: "http", port: 81, targetPort: "http" }] } }),
    },
    {
      what: "an active child that is scaled to nothing",
      id: IDS.children,
      name: "toy-r2",
      path: "spec.replicas",
      edit: (live) => ({ ...live, spec: { ...live.spec, replicas: 0 } }),
    },
    {
      what: "a child whose image is edited",
      id: IDS.children,
      name: "toy-r2",
      path: "spec.template.spec.containers[0].image",
      edit: (live) => {
        const edited = structuredClone(live) as Loose & { spec: { template: { spec: { containers: { image: string }[] } } } };
        for (const container of edited.spec.template.spec.containers) container.image = "else:2";
        return edited;
      },
    },
    { what: "a Service that is deleted", id: IDS.services, name: "toy" },
    { what: "a preview Service that is deleted", id: IDS.services, name: "toy-preview" },
    { what: "an active child that is deleted", id: IDS.children, name: "toy-r2" },
    { what: "a standby that is deleted", id: IDS.children, name: "toy-r1" },
  ];

  test.each(cases)("$what is put right", async ({ id, name, edit, path }) => {
    const simulation = await guardingTwo();
    const ours = (object: StoredObject) => JSON.stringify((object as Loose).spec, ignoreAddresses);
    const before = ours(simulation.get(id, name));
    const { traffic: _before, ...end } = endOf(simulation) as Record<string, unknown>;
    if (edit) simulation.server.update(id, edit(simulation.get(id, name) as Loose));
    else simulation.server.delete(id, "default", name);
    await simulation.clock.advance(30_000);
    expect(ours(simulation.get(id, name))).toBe(before);
    const { traffic: _after, ...now } = endOf(simulation) as Record<string, unknown>;
    expect(now).toEqual(end);
    const status = simulation.deployment()?.status;
    expect([status?.phase, status?.readyReplicas]).toEqual(["Guarding", 2]);
    // What was edited is named; what is gone is only made again.
    expect(edits(simulation)).toEqual(
      edit ? [expect.stringContaining(`${name}: what somebody else changed was put back: ${path}`)] : [],
    );
  });

  test("two that fight over a field are told as something that goes on, and of a restart in between nothing is told anew", async () => {
    const simulation = await guardingTwo();
    for (let i = 0; i < 5; i++) {
      const live = simulation.get(IDS.children, "toy-r2") as Loose;
      simulation.server.update(IDS.children, { ...live, spec: { ...live.spec, replicas: 7 } });
      await simulation.clock.advance(3000);
      if (i !== 2) continue;
      simulation.running().kill();
      simulation.operator();
      await simulation.clock.advance(30_000);
    }
    expect(simulation.get(IDS.children, "toy-r2").spec?.replicas).toBe(2);
    expect(edits(simulation)).toEqual([
      expect.stringContaining("toy-r2: what somebody else changed was put back: spec.replicas"),
    ]);
  });

  test("our own decisions are no edits, also where the cache is behind: a rollout, a return, a scale", async () => {
    const simulation = begin();
    await mainJob(simulation);
    await simulation.apply(pinned("v2", { replicas: 3 }));
    await atRest(simulation);
    expect(simulation.get(IDS.children, "toy-r1").spec?.replicas).toBe(3);
    expect(edits(simulation)).toEqual([]);
  });

  test("other writers' fields are left alone: labels, an HPA's annotation, also through a rollback", async () => {
    const simulation = await guarding();
    const mark = (id: ResourceId, name: string) => {
      const live = simulation.get(id, name);
      touch(simulation, id, live, "yes");
      const again = simulation.get(id, name);
      const annotations = { ...again.metadata.annotations, "autoscaling.example/conditions": "[]" };
      simulation.server.update(id, { ...again, metadata: { ...again.metadata, annotations } });
    };
    mark(IDS.services, "toy");
    mark(IDS.children, "toy-r1");
    const written = writesFrom(simulation);
    await simulation.clock.advance(10_000);
    expect(written()).toEqual([]);
    await simulation.apply(pinned("v2"));
    await simulation.until("rolled back", ({ status }) => status?.phase === "RolledBack");
    await atRest(simulation);
    for (const [id, name] of [
      [IDS.services, "toy"],
      [IDS.children, "toy-r1"],
    ] as const) {
      const { labels, annotations } = simulation.get(id, name).metadata;
      expect(labels?.["team.example/touched"]).toBe("yes");
      expect(annotations?.["autoscaling.example/conditions"]).toBe("[]");
    }
  });

  test("what others add to a child's template stays, and is not written against in every pass", async () => {
    const simulation = await guarding();
    const live = structuredClone(simulation.get(IDS.children, "toy-r1")) as Loose & {
      spec: { template: { spec: { containers: { name: string; image: string; env?: object[] }[] } } };
    };
    const { containers } = live.spec.template.spec;
    containers[0]?.env?.push({ name: "ADDED", value: "by a webhook" });
    containers.push({ name: "sidecar", image: "mesh:1" });
    simulation.server.update(IDS.children, live);
    await simulation.clock.advance(2000);
    const written = writesFrom(simulation);
    await simulation.clock.advance(60_000);
    expect(written()).toEqual([]);
    expect(JSON.stringify(simulation.get(IDS.children, "toy-r1"))).toContain("mesh:1");
  });

  test("what the server keeps in other words than it was written in is not written in every pass", async () => {
    const resources = { requests: { memory: "1024Mi" } };
    const containers = [{ name: "server", image: "toy:1", ports: [{ name: "http", containerPort: 8080 }], resources }];
    const simulation = begin();
    // The kept template is raw data; in the Deployment a real server writes quantities in its own form.
    simulation.shows = (url, text) => (url.includes("/deployments") ? text.replaceAll('"1024Mi"', '"1Gi"') : text);
    await prepare(simulation);
    await simulation.apply(pinned("v1", { template: { spec: { containers } } }));
    await simulation.until("proven", ({ status }) => status?.phase === "Guarding");
    await simulation.clock.advance(2000);
    const written = writesFrom(simulation);
    await simulation.clock.advance(60_000);
    expect(written()).toEqual([]);
  });

  test("spec.service.port can be changed while it serves", async () => {
    const simulation = await guarding();
    await simulation.apply(pinned("v1", { service: { port: 8081 } }));
    await simulation.clock.advance(5000);
    const written = writesFrom(simulation);
    for (const name of ["toy", "toy-preview"]) {
      const ports = simulation.get(IDS.services, name).spec?.ports as { port: number }[];
      expect(ports.map((one) => one.port)).toEqual([8081]);
    }
    await simulation.clock.advance(10_000);
    expect(written()).toEqual([]);
  });

  test("a decision number that somebody raised: the counter is set above it, and an event says so", async () => {
    const simulation = await guarding();
    const live = simulation.get(IDS.services, "toy");
    const annotations = { ...live.metadata.annotations, "rollguard.dev/decision": "900" };
    simulation.server.update(IDS.services, { ...live, metadata: { ...live.metadata, annotations } });
    await simulation.clock.advance(5000);
    expect(simulation.deployment()?.status?.decision).toBe(901);
    expect(simulation.get(IDS.services, "toy").metadata.annotations?.["rollguard.dev/decision"]).toBe("901");
    const reasons = simulation.server.list(IDS.events, "default").map((event) => (event as { reason?: string }).reason);
    expect(reasons).toContain("DecisionRepaired");
    const written = writesFrom(simulation);
    await simulation.clock.advance(60_000);
    expect(written()).toEqual([]);
  });
});

/** What events say of edits that were undone. */
function edits(simulation: Simulation): string[] {
  const events = simulation.server.list(IDS.events, "default") as unknown as {
    reason: string;
    note: string;
    regarding: object;
  }[];
  const found = events.filter((event) => event.reason === "EditUndone");
  for (const event of found) expect(event.regarding).toMatchObject({ kind: "ModelDeployment", name: "toy" });
  return found.map((event) => event.note);
}

/** A Service that is made again gets another address. */
function ignoreAddresses(key: string, value: unknown): unknown {
  return key === "clusterIP" || key === "clusterIPs" ? undefined : value;
}
