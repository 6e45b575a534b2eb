// The main job on a real cluster: npm run test:e2e -- --cluster local [arguments of vitest]
// `local` is the Kubernetes of one node that tests/cluster/ builds and starts; it needs root on Linux.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const args = process.argv.slice(2);
const at = args.indexOf("--cluster");
const cluster = at < 0 ? "local" : args.splice(at, 2)[1];
if (cluster !== "local") {
  console.error(`--cluster ${cluster ?? ""}: must be local, the cluster of tests/cluster/`);
  process.exit(2);
}
const vitest = join(root, "node_modules/.bin/vitest");
const env = { ...process.env, ROLLGUARD_E2E: "local" };
const { status } = spawnSync(vitest, ["run", "tests/e2e", ...args], { cwd: root, stdio: "inherit", env });
process.exit(status ?? 1);
