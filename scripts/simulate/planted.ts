// Plants faults in a copy of the operator's code, one at a time, and counts the seeds until the simulation finds each. Prints the
// table of docs/reliability.md; fails where one is not found. `--only TEXT` for those whose name has it.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PLANTED, type Planted } from "../../tests/simulation/planted.ts";

const ROOT = join(import.meta.dirname, "../..");
const PARTS = ["src", "crds", "package.json", "scripts/simulate.ts", "scripts/simulate", "tests/simulation", "tests/support"];
/** Each must be found within so many seeds. */
const MOST = 2000;

function copyInto(folder: string): void {
  for (const part of PARTS) {
    mkdirSync(join(folder, part, ".."), { recursive: true });
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
}

function plant(folder: string, { name, file, find, replace }: Planted): () => void {
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  if (text.split(find).length !== 2) throw new Error(`"${name}" can't be planted: ${file} does not have its place exactly once`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
  return () => writeFileSync(path, text);
}

/** The first failing seed, and what it broke; undefined: none of them all. */
function firstFound(folder: string, jobs: string[]): { seed: number; promise: string } | undefined {
  const args = ["scripts/simulate.ts", "--first", "--seeds", String(MOST), ...jobs];
  const ran = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  const found = [...ran.stdout.matchAll(/--seed (\d+) {3}(.*)/g)].map(([, seed, promise = ""]) => ({
    seed: Number(seed),
    promise,
  }));
  if (found.length === 0 && ran.status !== 0) throw new Error(`the simulation did not run: ${ran.stderr}`);
  return found.sort((a, b) => a.seed - b.seed)[0];
}

const { values } = parseArgs({ options: { only: { type: "string" }, jobs: { type: "string" } } });
const folder = mkdtempSync(join(tmpdir(), "rollguard-planted-"));
let missed = 0;
try {
  copyInto(folder);
  console.log("| fault | where | found by seed | what was broken |\n|---|---|---|---|");
  for (const one of PLANTED.filter(({ name }) => name.includes(values.only ?? ""))) {
    const restore = plant(folder, one);
    const found = firstFound(folder, values.jobs === undefined ? [] : ["--jobs", values.jobs]);
    restore();
    if (!found) missed++;
    console.log(`| ${one.name} | \`${one.file}\` | ${found?.seed ?? `not within ${MOST}`} | ${found?.promise ?? ""} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = missed > 0 ? 1 : 0;
