// The real Helm: the one that was built from its Go module, kept beside the cluster kit's programs, or the one on the PATH.
// node tests/helm/helm.ts builds it.
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildOnce, cacheFolder, go, hashOf } from "../cluster/build.ts";

const SOURCES = join(import.meta.dirname);
const ROOT = join(SOURCES, "../..");
export const CHART = join(ROOT, "charts/rollguard");

function planned(): { folder: string; version: string } {
  const inputs = ["go.mod", "go.sum"].map((file) => readFileSync(join(SOURCES, file), "utf8"));
  const version = /helm\.sh\/helm\/v4 v(\S+)/.exec(inputs[0] ?? "")?.[1];
  if (!version) throw new Error("tests/helm/go.mod names no version of helm.sh/helm/v4");
  return { folder: join(cacheFolder(), `helm-${hashOf(inputs, process.arch)}`), version };
}

/** Undefined where there is none: then the tests that need it are skipped. */
export function findHelm(): string | undefined {
  const built = join(planned().folder, "helm");
  if (existsSync(built)) return built;
  return spawnSync("helm", ["version"]).status === 0 ? "helm" : undefined;
}

/** Returns the program, building it where it is not there. */
export async function buildHelm(say: (line: string) => void): Promise<string> {
  const { folder, version } = planned();
  await buildOnce(folder, `Helm ${version}`, say, async (into) => {
    say(`building Helm ${version} from its Go module, into ${cacheFolder()}: some minutes the first time`);
    mkdirSync(into, { recursive: true });
    const flags = `-s -w -X helm.sh/helm/v4/internal/version.version=v${version}`;
    const args = [
      "build",
      "-trimpath",
      "-buildvcs=false",
      "-ldflags",
      flags,
      "-o",
      join(into, "helm"),
      "helm.sh/helm/v4/cmd/helm",
    ];
    await go(SOURCES, args, () => undefined);
  });
  return join(folder, "helm");
}

const run = promisify(execFile);

/** Runs a program and gives what it printed; fails with what it said. */
export async function output(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { stdout } = await run(program, args, { cwd: ROOT, env, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

if (import.meta.main) console.log(await buildHelm((line) => process.stderr.write(`${line}\n`)));
