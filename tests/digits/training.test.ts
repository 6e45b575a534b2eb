import { readFileSync } from "node:fs";
import path from "node:path";
import { load } from "js-yaml";
import { beforeAll, describe, expect, it } from "vitest";
import { damageLabels, loadDigits, type Splits } from "../../examples/digits/data.ts";
import { accuracy, decodeModel, MODEL_BYTES, predict } from "../../examples/digits/model.ts";
import { manifest, RECIPES, type Trained, trainVersion } from "../../examples/digits/versions.ts";
import { EXAMPLE, weights } from "./support.ts";

let splits: Splits;
let trained: Trained[];
// About four seconds on one core; more while others use it.
beforeAll(() => {
  splits = loadDigits();
  trained = RECIPES.map((recipe) => trainVersion(recipe, splits));
}, 60_000);

const named = (name: string): Trained => trained.find(({ recipe }) => recipe.name === name) ?? expect.fail(name);

describe("training again makes the committed files", () => {
  it.each(RECIPES.map(({ name }, index) => [name, index + 1] as const))(
    "%s: weights to the bit, and the manifest",
    (name, position) => {
      const again = named(name);
      expect(again.file.equals(readFileSync(weights(name)))).toBe(true);
      const yaml = readFileSync(path.join(EXAMPLE, `version-${position}.yaml`), "utf8");
      const { spec } = load(yaml) as { spec: { artifact: { digest: string }; training: { completedAt: string } } };
      expect(spec.artifact.digest).toBe(again.digest);
      // Where this fails though the weights are the same, the training code was edited: run train.ts, it names its source.
      expect(yaml).toBe(manifest(again, spec.training.completedAt));
    },
  );
});

describe("the splits are honest", () => {
  it("8,000, 1,000 and 1,000 digits, and none of the live ones was seen by training or validation", () => {
    expect([splits.train.length, splits.validation.length, splits.live.length]).toEqual([8000, 1000, 1000]);
    const key = (pixels: Uint8Array) => Buffer.from(pixels).toString("base64");
    const seen = new Set([...splits.train, ...splits.validation].map(({ pixels }) => key(pixels)));
    expect(splits.live.filter(({ pixels }) => seen.has(key(pixels)))).toEqual([]);
  });

  it("damage changes labels of some digits and no pixel", () => {
    const damaged = damageLabels(splits.live);
    const changed = new Set(splits.live.filter(({ label }, i) => damaged[i]?.label !== label).map(({ label }) => label));
    expect([...changed].sort()).toEqual([4, 7, 9]);
    expect(damaged.every(({ pixels }, i) => pixels === splits.live[i]?.pixels)).toBe(true);
  });
});

describe("the offline check is passed, the world disagrees", () => {
  it("version 1 is good, and as good as it says", () => {
    const { validationAccuracy, liveAccuracy } = named("digits-1.0.0");
    expect(validationAccuracy).toBeGreaterThanOrEqual(0.88);
    expect(Math.abs(validationAccuracy - liveAccuracy)).toBeLessThan(0.03);
  });

  it("version 2 looks fine in its own validation and is wrong for a third of the world", () => {
    const { validationAccuracy, liveAccuracy } = named("digits-2.0.0");
    expect(validationAccuracy).toBeGreaterThanOrEqual(0.88);
    expect(liveAccuracy).toBeLessThan(0.7);
  });

  it("version 3 is at least as good as version 1", () => {
    expect(named("digits-2.0.1").liveAccuracy).toBeGreaterThanOrEqual(named("digits-1.0.0").liveAccuracy);
  });
});

describe("a file of weights", () => {
  it("gives the model that was trained", () => {
    const { file, liveAccuracy, model } = named("digits-1.0.0");
    expect(decodeModel(file)).toEqual(model);
    expect(accuracy(decodeModel(file), splits.live)).toBe(liveAccuracy);
    const { probabilities, score } = predict(model, splits.live[0]?.pixels ?? new Uint8Array());
    expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
    expect(score).toBe(Math.max(...probabilities));
  });

  it.each([
    ["short", (file: Buffer) => file.subarray(1), `${MODEL_BYTES - 1}`],
    ["of another kind", (file: Buffer) => Buffer.concat([Buffer.from("ONNX"), file.subarray(4)]), "header"],
    [
      "with NaN",
      (file: Buffer) => Buffer.concat([file.subarray(0, 100), Buffer.from([0, 0, 0xc0, 0x7f]), file.subarray(104)]),
      "finite",
    ],
  ])("%s is refused", (_kind, spoil, words) => {
    expect(() => decodeModel(spoil(named("digits-1.0.0").file))).toThrow(words);
  });
});
