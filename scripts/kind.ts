// kind (Kubernetes in Docker), for machines that have a container engine: a cluster of its own for one demo or test run.
// The command line is the installed one, or it is made from its Go module. (npm's package of that name is another thing.)
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const VERSION = "v0.33.0";

/** A cluster that kind made. */
export interface KindCluster {
  /** Loads image archives onto its node. */
  load(archives: readonly string[]): void;
  /** Deletes it. */
  close(): void;
}

/** Path of a `kind`. Throws an Error that says how to get one. */
function findKind(say: (line: string) => void): string {
  if (spawnSync("kind", ["version"]).status === 0) return "kind";
  const folder = join(root, ".cache/kind", VERSION);
  const program = join(folder, "kind");
  if (existsSync(program)) return program;
  if (spawnSync("go", ["version"]).status !== 0) {
    throw new Error(
      "there is no kind and no Go to make it with: see https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    );
  }
  say(`making kind ${VERSION} from its Go module, once`);
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder };
  execFileSync("go", ["install", `sigs.k8s.io/kind@${VERSION}`], { env, stdio: ["ignore", "ignore", "inherit"] });
  return program;
}

/** Makes a cluster and writes its kubeconfig to a file. Throws an Error where there is no kind or no container engine. */
export function startKind(kubeconfig: string, say: (line: string) => void): KindCluster {
  if (["docker", "podman", "nerdctl"].every((engine) => spawnSync(engine, ["version"]).status !== 0)) {
    throw new Error("kind needs a container engine that runs (docker, podman or nerdctl), and none answers `version`");
  }
  const kind = findKind(say);
  const name = `rollguard-${process.pid}`;
  const run = (...args: string[]) => execFileSync(kind, [...args, "--name", name], { stdio: ["ignore", "ignore", "inherit"] });
  const close = () => void run("delete", "cluster", "--kubeconfig", kubeconfig);
  say(`starting the kind cluster ${name}`);
  try {
    run("create", "cluster", "--config", join(root, "scripts/kind.yaml"), "--kubeconfig", kubeconfig, "--wait", "120s");
  } catch (error) {
    close();
    throw error;
  }
  return {
    load: (archives) => {
      for (const archive of archives) run("load", "image-archive", archive);
    },
    close,
  };
}
