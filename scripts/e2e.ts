// The main job on a cluster, by tests: npm run test:e2e -- [--cluster WHERE] [arguments of vitest]
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { askFirst, PLACE_USAGE, placeName } from "./place.ts";

const root = join(import.meta.dirname, "..");
const args = process.argv.slice(2);

/** Takes an option out of the arguments; undefined: not given. */
function take(name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
}

async function main(): Promise<number> {
  if (args.includes("--help")) {
    console.log(`usage: npm run test:e2e -- [--cluster WHERE] [FILE]... [arguments of vitest]\n${PLACE_USAGE}`);
    return 0;
  }
  const cluster = take("--cluster") ?? "local";
  const imagePrefix = take("--image-prefix");
  const yes = args.findIndex((arg) => arg === "--yes" || arg === "-y");
  if (yes >= 0) args.splice(yes, 1);
  if (cluster !== "sandbox") placeName(cluster);
  if (cluster === "current" && yes < 0) await askFirst(console.error);
  // The first arguments name files there: `main-job`, `incidents`.
  const options = args.findIndex((arg) => arg.startsWith("-"));
  const files = options < 0 ? args.splice(0) : args.splice(0, options);
  const chosen = files.length === 0 ? ["tests/e2e"] : files.map((file) => `tests/e2e/${file}`);
  // Each file is one story: after its first failure the rest says nothing.
  const vitest = join(root, "node_modules/.bin/vitest");
  const env = { ...process.env, ROLLGUARD_E2E: cluster, ...(imagePrefix ? { ROLLGUARD_E2E_IMAGE_PREFIX: imagePrefix } : {}) };
  return (
    spawnSync(vitest, ["run", ...chosen, "--no-file-parallelism", "--bail=1", ...args], { cwd: root, stdio: "inherit", env })
      .status ?? 1
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
