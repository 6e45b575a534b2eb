// A pin whose ModelVersion was made again under its name: what of it counts as other content, and what ends the wait.

import { describe, expect, test } from "vitest";
import { proven, World } from "./world.ts";

const CHANGES = [
  { what: "other weights", more: { digest: "sha256:other" } },
  { what: "other serving settings", more: { digest: "sha256:v2", serving: { args: ["--threads=8"] } } },
] as const;

/** v2 is proven and serves, and was then deleted and made again. */
function madeAgain(more: object): World {
  const world = proven();
  world.pin("v2").run(30_000);
  return world.version("v2", more).run(60_000);
}

describe("a ModelVersion that was made again under its name with other content: Stalled, VersionContentChanged", () => {
  test.each(CHANGES)("$what: nothing that serves is touched, until a retry", ({ more }) => {
    const world = madeAgain(more);
    expect(world.condition("Stalled")).toMatchObject({ status: "True", reason: "VersionContentChanged" });
    expect(world.status.active).toMatchObject({ version: "v2", revision: 2 });
    expect(world.status.sequence).toBe(2);
    world.request("retry", "v2").run(40_000);
    expect(world.status.active).toMatchObject({ version: "v2", revision: 3, standing: "Proven" });
    expect(world.status.phase).toBe("Guarding");
  });

  test.each(CHANGES)("$what: or until a new pin", ({ more }) => {
    const world = madeAgain(more);
    world.pin("v3").run(40_000);
    expect(world.status.active?.version).toBe("v3");
    expect(world.status.phase).toBe("Guarding");
  });

  test("the same content made again is the same revision, and nobody has to do anything", () => {
    const world = madeAgain({ digest: "sha256:v2" });
    expect(world.status).toMatchObject({ phase: "Guarding", active: { version: "v2", revision: 2 }, sequence: 2 });
  });

  test("another template of the deployment is a new revision of the same version, and no such change", () => {
    const world = proven();
    const template = { spec: { containers: [{ name: "server", image: "y" }] } };
    world.deployment.spec = { ...world.deployment.spec, template };
    world.run(40_000);
    expect(world.status.active).toMatchObject({ version: "v1", revision: 2, standing: "Proven" });
    expect(world.status.history?.at(-1)?.trigger).toBe("ConfigChange");
  });
});

const bad = { kind: "Value", value: 0.5 } as const;
const good = { kind: "Value", value: 0.01 } as const;

describe("the same hash is the same revision and the same number", () => {
  test("it stays proven, and bakes again when it is pinned again", () => {
    const world = proven().pin("v2").run(40_000);
    const { provenAt } = world.revisions.find((known) => known.version === "v1") ?? {};
    world.pin("v1");
    while (world.status.active?.version !== "v1") world.run(500);
    expect(world.status.active).toMatchObject({ revision: 1, standing: "Proven", provenAt, baking: true });
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "Baking" });
    world.run(5000);
    expect(world.status.phase).toBe("Baking");
    world.run(40_000);
    expect(world.story().at(-1)).toBe("3 Rollout v1 Proven");
    expect(Date.parse(world.status.active?.provenAt ?? "")).toBeGreaterThan(Date.parse(provenAt ?? ""));
    // The latest proof counts: it is what would be returned to.
    world.pin("v3").run(40_000);
    expect(world.condition("RollbackReady")?.message).toContain("r1 (v1)");
  });

  test("bad weights under a new name are still quarantined", () => {
    const world = proven();
    world.measure = (_check, version) => (version === "v2" ? bad : good);
    world.pin("v2").run(40_000);
    expect(world.status.phase).toBe("RolledBack");
    world.measure = () => good;
    const { sequence } = world.status;
    world.version("v2-again", { digest: "sha256:v2" }).pin("v2-again").run(60_000);
    expect(world.status).toMatchObject({ phase: "RolledBack", active: { version: "v1" }, sequence });
    expect(world.condition("Ready")?.message).toContain("v2-again is quarantined");
    expect(world.traffic.map((one) => one.version)).toEqual(["v1", "v2", "v1"]);
  });
});

describe("numbers are never used twice for a name", () => {
  const gone = (world: World, revision: number) => {
    world.children.delete(revision);
    world.cluster.revisions = world.revisions.filter((known) => known.revision !== revision);
  };

  test.each(["superseded", "cancelled", "rejected"])("a revision that was %s, and of which nothing is left", (how) => {
    const world = proven();
    world.startMs = (version) => (version === "v2" ? Number.POSITIVE_INFINITY : 2000);
    if (how === "rejected") world.breaks = (version) => (version === "v2" ? (CRASH as never) : undefined);
    world.pin("v2").run(3000);
    world.pin(how === "superseded" ? "v9" : "v1").run(10_000);
    expect(world.status.candidate).toBeUndefined();
    gone(world, 2);
    // Not even in the quarantine.
    world.deployment.status = { ...world.status, quarantine: [] };
    world.pin("v3").run(40_000);
    expect(world.status.active).toMatchObject({ version: "v3", revision: 3 });
  });

  test("nor is a sequence; both go on from the records of an earlier deployment of the name", () => {
    const world = new World().version("v1").version("v2");
    const snapshot = world.snapshot.bind(world);
    world.snapshot = () => ({ ...snapshot(), floor: { revision: 7, sequence: 12 } });
    world.run(30_000).pin("v2").run(40_000);
    expect((world.status.history ?? []).map((entry) => [entry.sequence, entry.to?.revision])).toEqual([
      [13, 8],
      [14, 9],
    ]);
  });
});

const CRASH = [{ name: "server", init: false, restarts: 5, terminated: { reason: "Error", exitCode: 1, message: "" } }];
