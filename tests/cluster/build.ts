// Builds the one binary of all parts of Kubernetes, once for each state of its inputs: it is kept by their hash.
// A cold build takes minutes, so it says what it is at.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { claim, release, type Slot, slotOf } from "./slots.ts";

const SOURCES = join(import.meta.dirname, "kubernetes");
const INPUTS = ["go.mod", "go.sum", "main.go", "pause/main.go"];
const NAMES = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"];

export interface Programs {
  /** With a link for each part, kubectl, and `pause`. */
  folder: string;
  /** "1.36.3" */
  version: string;
}

/** Where builds are kept: ROLLGUARD_CLUSTER_CACHE, or `.cache/cluster` of the repository. */
export function cacheFolder(): string {
  return process.env.ROLLGUARD_CLUSTER_CACHE || join(import.meta.dirname, "../../.cache/cluster");
}

/** What go.mod says: the version of Kubernetes, and of the Go that it needs. */
export function versions(goMod: string): { kubernetes: string; go: string } {
  const kubernetes = /^\s*k8s\.io\/kubernetes v(\S+)/m.exec(goMod)?.[1];
  const go = /^go (\S+)/m.exec(goMod)?.[1];
  if (!kubernetes || !go) throw new Error("tests/cluster/kubernetes/go.mod names no version of k8s.io/kubernetes or of Go");
  return { kubernetes, go };
}

/** Of the inputs, in order; what the same inputs make differently on another architecture has another name. */
export function hashOf(inputs: readonly string[], architecture: string): string {
  const hash = createHash("sha256").update(architecture);
  for (const input of inputs) hash.update(`\0${input.length}\0`).update(input);
  return hash.digest("hex").slice(0, 16);
}

/** The programs as they would be kept, and whether they are there already. */
export function plannedPrograms(): Programs & { there: boolean; go: string } {
  const inputs = INPUTS.map((file) => readFileSync(join(SOURCES, file), "utf8"));
  const { kubernetes, go } = versions(inputs[0] ?? "");
  const folder = join(cacheFolder(), hashOf(inputs, process.arch));
  return { folder, version: kubernetes, go, there: existsSync(folder) };
}

/** Returns the kept programs, or builds them. `say` is told how it goes on. Waits where another process builds the same. */
export async function buildPrograms(say: (line: string) => void): Promise<Programs> {
  const { folder, version } = plannedPrograms();
  await buildOnce(folder, `Kubernetes ${version}`, say, (into) => build(into, version, say));
  return { folder, version };
}

/** Has `make` fill a folder that becomes `folder`, unless it is there. Waits where another process makes the same. */
export async function buildOnce(
  folder: string,
  what: string,
  say: (line: string) => void,
  make: (into: string) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) return;
  mkdirSync(cacheFolder(), { recursive: true });
  const lock: Slot = { ...slotOf(0, cacheFolder()), folder: `${folder}.building`, lock: `${folder}.lock` };
  const clear = () => rmSync(lock.folder, { recursive: true, force: true });
  while (!claim(lock, clear)) {
    say(`another process builds ${what}; waiting for it`);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
  try {
    if (existsSync(folder)) return;
    await make(lock.folder);
    renameSync(lock.folder, folder);
  } finally {
    clear();
    release(lock);
  }
}

async function build(folder: string, version: string, say: (line: string) => void): Promise<void> {
  const started = performance.now();
  const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`;
  say(
    `building Kubernetes ${version} from its Go modules, into ${cacheFolder()}: 8 to 20 minutes and 4 GB of Go's caches the first time`,
  );
  let [all, packages] = [0, 0];
  let latest = "downloading modules";
  const timer = setInterval(
    () => say(`building: ${elapsed()}, ${packages} of ${all || "?"} packages compiled, now ${latest}`),
    15_000,
  );
  const count = (line: string) => {
    if (!line.startsWith("go: ")) packages++;
    latest = line.replace(/^go: /, "");
  };
  const [major, minor] = version.split(".");
  const stamp = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  try {
    // What is in Go's cache already is not compiled again, and not counted: then it ends below the whole.
    await go(SOURCES, ["list", "-deps", "."], count);
    [all, packages] = [packages, 0];
    const binary = join(folder, "kubernetes");
    await go(
      SOURCES,
      ["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", ["-s -w", ...flags].join(" "), "-o", binary, "."],
      count,
    );
    const pause = ["build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", join(folder, "pause"), "./pause"];
    await go(SOURCES, pause, count);
  } finally {
    clearInterval(timer);
  }
  for (const name of NAMES) symlinkSync("kubernetes", join(folder, name));
  say(`built in ${elapsed()}`);
}

/** Runs go in the folder of a module; `line` gets what it tells. Its errors are what the failure says. */
export function go(cwd: string, args: string[], line: (text: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    // Fewer collections: a third of the time, for 2.7 GB at the peak.
    const env = { ...process.env, CGO_ENABLED: "0", GOGC: "400" };
    // Ends with this process, however that ends.
    const argv = ["--pdeathsig", "TERM", "go", ...args];
    const child = spawn("setpriv", argv, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const tail: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (text) => {
        line(text);
        tail.push(text);
        if (tail.length > 20) tail.shift();
      });
    }
    child.on("error", reject);
    child.on("spawn", () => {
      // Beside other work it is the one that waits.
      if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
    });
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`go ${args[0]} failed (${code}):\n${tail.join("\n")}`)),
    );
  });
}
