// `npm run bench`: measures the operator, as it is shipped, against the goals, on the sandbox's API server. It prints and never
// judges: its exit status tells only whether everything could be measured, since machines are noisy.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { arch, availableParallelism, loadavg, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { memory } from "./bench/memory.ts";
import { type Row, table } from "./bench/report.ts";
import { rest } from "./bench/rest.ts";
import { returns } from "./bench/returns.ts";
import { storm } from "./bench/storm.ts";
import { startWorld, type World } from "./bench/world.ts";

const ROOT = join(import.meta.dirname, "..");
const PARTS: Record<string, { about: string; run(world: World): Promise<Row[]> }> = {
  returns: { about: "breach → return committed → traffic moved: 44 single returns", run: returns },
  memory: { about: "resident memory with nothing to guard", run: memory },
  rest: { about: "API requests and writes of 50 healthy deployments in 30 s", run: rest },
  storm: { about: "100 deployments created at once, and 100 breaching at once", run: storm },
};
const NAMES = Object.keys(PARTS);
const HELP = `Usage: npm run bench -- [--only NAME]... [--sources]

Measures the operator against the goals and prints a table. All parts take about two minutes.

  --only NAME   run this part only; may be given several times:
${NAMES.map((name) => `                  ${name.padEnd(8)} ${PARTS[name]?.about}`).join("\n")}
  --sources     run src/main.ts instead of the bundle
  --help        this text
`;

/** Builds the bundle into a folder of its own, so that no other build meanwhile can touch what runs. Throws where it can't be built. */
function bundleIn(folder: string): string {
  const args = [join(ROOT, "scripts/build.ts"), "--outdir", folder];
  const built = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
  if (built.status !== 0) throw new Error(`scripts/build.ts failed: ${built.stderr}`);
  return join(folder, "rollguard.js");
}

async function measure(name: string, program: string): Promise<Row[]> {
  const part = PARTS[name];
  if (!part) throw new Error(`there is no part ${name}`);
  const begun = performance.now();
  process.stderr.write(`${name}: ${part.about} … `);
  const world = await startWorld(program);
  try {
    const rows = await part.run(world);
    process.stderr.write(`${Math.round((performance.now() - begun) / 1000)} s\n`);
    return rows;
  } finally {
    await world.close();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: "string", multiple: true }, sources: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const wanted = values.only ?? NAMES;
  const unknown = wanted.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(", ")}: the parts are ${NAMES.join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "rollguard-bundle-"));
  const rows: Row[] = [];
  let failed = 0;
  try {
    const program = values.sources ? join(ROOT, "src/main.ts") : bundleIn(folder);
    for (const name of wanted) {
      try {
        rows.push(...(await measure(name, program)));
      } catch (error) {
        failed++;
        process.stderr.write(`failed\n  ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const load = loadavg()[0]?.toFixed(1);
  const what = values.sources ? "src/main.ts" : "the bundle";
  process.stdout.write(
    `\n${what} on Node ${process.version}, ${platform()} ${arch()}, ${availableParallelism()} cores, load ${load}\n\n${table(rows)}\n`,
  );
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`rollguard bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
