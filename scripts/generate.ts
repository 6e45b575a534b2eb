// `npm run generate` writes crds/*.yaml and docs/reference/*.md from the zod schemas, and the pages of docs/ that are made from what the
// code itself goes by, and what of the chart is the same elsewhere; `--check` exits 1 where they are stale.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { load } from "js-yaml";
import { generatedFiles } from "../src/api/generated.ts";
import type { ModelDeployment } from "../src/api/modeldeployment.ts";
import type { RollbackPolicy } from "../src/api/rollbackpolicy.ts";
import { faultsPage } from "../src/core/faulttable/table.ts";
import { policyLayersPage } from "../src/core/layerspage.ts";
import { phasesPage } from "../src/core/phasespage.ts";
import { presetsPage } from "../src/core/presetspage.ts";
import { lintPage, matrixPage } from "../src/trial/docs.ts";
import { promisesPage } from "../tests/promises.ts";
import { chartFiles } from "./chart/files.ts";
import { verdictsPage } from "./verdicts.ts";

const root = join(import.meta.dirname, "..");
const check = process.argv.includes("--check");
const example = (name: string) => load(readFileSync(join(root, "examples/digits", name), "utf8"));
const { spec: policy } = example("policy.yaml") as RollbackPolicy;
const { spec: deployment } = example("deployment.yaml") as ModelDeployment;
const files = generatedFiles()
  .set("docs/policy-layers.md", policyLayersPage())
  .set("docs/faults.md", faultsPage())
  .set("docs/phases.md", phasesPage())
  .set("docs/matrix.md", matrixPage(policy, deployment))
  .set("docs/lint.md", lintPage())
  .set("docs/presets.md", presetsPage())
  .set("docs/promises.md", promisesPage())
  .set("docs/verdicts.md", verdictsPage());
const read = (path: string) => files.get(path) ?? readFileSync(join(root, path), "utf8");
const crds = [...files.keys()].filter((path) => /^crds\/.*\.yaml$/.test(path)).map((path) => basename(path));
for (const [path, content] of chartFiles(read, crds)) files.set(path, content);
const stale: string[] = [];

for (const [path, content] of files) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, "utf8") === content) continue;
  stale.push(path);
  if (check) continue;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}
for (const folder of ["crds", "charts/rollguard/files/crds", "docs/reference"]) {
  const path = join(root, folder);
  for (const name of existsSync(path) ? readdirSync(path) : []) {
    if (files.has(`${folder}/${name}`)) continue;
    stale.push(`${folder}/${name}`);
    if (!check) rmSync(join(path, name));
  }
}

for (const path of stale) process.stdout.write(`${check ? "stale" : "wrote"} ${path}\n`);
if (stale.length === 0) process.stdout.write(`${files.size} generated files are current\n`);
else if (check) {
  process.stdout.write("run: npm run generate\n");
  process.exitCode = 1;
}
