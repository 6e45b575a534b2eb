// Bad YAML is refused with a message that names the field; good YAML is taken, by the CRDs and by zod alike.
import { describe, expect, it } from "vitest";
import { KINDS } from "../../src/api/kinds.ts";
import { admit, badFiles, changed, goodManifests, type Manifest, readYaml } from "./manifests.ts";

const all = badFiles();

describe.each(all)("%s", (_name, file) => {
  const good = readYaml<Manifest>(file.good);

  it.each(file.bad)("refuses $title", (shape) => {
    const { errors } = admit(changed(good, shape));
    expect(errors.map(({ field, message }) => `${field}: ${message}`)).toContainEqual(
      expect.stringMatching(new RegExp(`^${literal(shape.field)}: .*${literal(shape.words)}`, "s")),
    );
  });

  it.each(file.updates ?? [])("refuses a change: $title", (shape) => {
    const { stored } = admit(good);
    const { errors } = admit(changed(stored, shape), stored);
    expect(errors.map(({ field, message }) => `${field}: ${message}`)).toContainEqual(
      expect.stringMatching(new RegExp(`^${literal(shape.field)}: .*${literal(shape.words)}`, "s")),
    );
  });
});

describe("fixtures", () => {
  it("hold at least 80 shapes, each under its own title, for all kinds", () => {
    const titles = all.flatMap(([kind, file]) =>
      [...file.bad, ...(file.updates ?? [])].map((shape) => `${kind}: ${shape.title}`),
    );
    expect(titles.length).toBeGreaterThanOrEqual(80);
    expect(new Set(titles).size).toBe(titles.length);
    expect(all.map(([kind]) => kind).sort()).toEqual(KINDS.map((kind) => kind.singular).sort());
  });
});

describe("good manifests", () => {
  it.each([...goodManifests(), "tests/fixtures/rolloutrecord.yaml"])("%s is taken, by the CRD and by zod", (path) => {
    const manifest = readYaml<Manifest>(path);
    const { errors, stored } = admit(manifest);
    expect(errors).toEqual([]);
    // The same defaults from both, so that a mounted file means what the same object in the cluster means.
    const kind = KINDS.find((candidate) => candidate.kind === manifest.kind);
    expect(kind?.schema.parse(manifest)).toEqual(stored);
    expect(kind?.schema.parse(stored)).toEqual(stored);
  });

  it("an update that changes nothing is taken", () => {
    for (const path of goodManifests()) {
      const { stored } = admit(readYaml<Manifest>(path));
      expect(admit(stored, stored).errors).toEqual([]);
    }
  });
});

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
