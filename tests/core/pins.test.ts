// A pin whose ModelVersion was made again under its name: what of it counts as other content, and what ends the wait.

import { describe, expect, test } from "vitest";
import { proven, type World } from "./world.ts";

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
