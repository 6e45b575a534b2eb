// Trains the three versions and writes their weights and manifests: node examples/digits/train.ts
// Fixed seeds and plain arithmetic: it writes the same bytes on every machine.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { load } from "js-yaml";
import { loadDigits } from "./data.ts";
import { manifest, RECIPES, type Trained, trainVersion } from "./versions.ts";

const folder = import.meta.dirname;

/** Weights that did not change were not trained anew: their time stays. */
function completedAt(file: string, digest: string): string {
  if (existsSync(file)) {
    const { spec } = load(readFileSync(file, "utf8")) as {
      spec: { artifact: { digest: string }; training: { completedAt: string } };
    };
    if (spec.artifact.digest === digest) return spec.training.completedAt;
  }
  return new Date().toISOString();
}

function write(trained: Trained, position: number): void {
  const yaml = path.join(folder, `version-${position}.yaml`);
  writeFileSync(path.join(folder, "weights", `${trained.recipe.name}.bin`), trained.file);
  writeFileSync(yaml, manifest(trained, completedAt(yaml, trained.digest)));
}

const started = performance.now();
const splits = loadDigits();
mkdirSync(path.join(folder, "weights"), { recursive: true });
RECIPES.forEach((recipe, index) => {
  const trained = trainVersion(recipe, splits);
  write(trained, index + 1);
  const [own, live] = [trained.validationAccuracy, trained.liveAccuracy].map((value) => value.toFixed(3));
  console.log(
    `${recipe.name}: ${recipe.labels} labels, accuracy ${own} in its own validation, ${live} on unseen digits, ${trained.digest}`,
  );
});
console.log(`trained in ${((performance.now() - started) / 1000).toFixed(1)} s`);
