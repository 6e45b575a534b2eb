// What a machine must have for the cluster, asked before anything is started: what is missing is said by name, with the
// command that installs it.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A program, and Debian's package of it. */
const PROGRAMS: Readonly<Record<string, string>> = {
  containerd: "containerd",
  ctr: "containerd",
  runc: "runc",
  iptables: "iptables",
  ip: "iproute2",
  nsenter: "util-linux",
  unshare: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  openssl: "openssl",
};

/** Where Debian and the project itself put the CNI plugins, and their package. */
const PLUGIN_FOLDERS = ["/usr/lib/cni", "/opt/cni/bin"];
const PLUGINS = ["bridge", "host-local", "loopback"];
const PLUGINS_PACKAGE = "containernetworking-plugins";

/** What the kernel must be able to do, as commands that need nothing but it, each in namespaces that end with the command. */
const FEATURES: Readonly<Record<string, string>> = {
  "namespaces of processes and mounts": "unshare --mount-proc --pid --fork true",
  "a network namespace with a bridge": "unshare --net ip link add test type bridge",
  "a network namespace with a cable (veth)": "unshare --net ip link add test type veth peer name other",
  "network address translation by iptables": "unshare --net --mount sh -c 'mount -t tmpfs tmpfs /run && iptables -t nat -L'",
  "overlay file systems": "grep -qw overlay /proc/filesystems || modprobe overlay",
};

export interface Machine {
  platform: string;
  root: boolean;
  /** Paths of those that are there. */
  programs: Readonly<Record<string, string>>;
  pluginFolder: string | undefined;
  /** What of the features did not work, with what the command said. */
  broken: Readonly<Record<string, string>>;
  cgroup: "v1" | "v2" | "none";
  /** "1.26.0"; undefined without Go. */
  go: string | undefined;
}

/** What is missing, one line each. `goNeeded`: the version for the build, or undefined where the binary is there already. */
export function missing(machine: Machine, goNeeded: string | undefined): string[] {
  if (machine.platform !== "linux") return [`the cluster needs Linux; this is ${machine.platform}`];
  const lines: string[] = [];
  if (!machine.root) lines.push("root: namespaces, mounts and control groups are made; run it as root");
  const names = Object.keys(PROGRAMS).filter((name) => !machine.programs[name]);
  if (!machine.pluginFolder) names.push(`the CNI plugins ${PLUGINS.join(", ")}`);
  if (names.length > 0) {
    const packages = new Set(names.map((name) => PROGRAMS[name] ?? PLUGINS_PACKAGE));
    const command = `apt-get update && apt-get install --no-install-recommends ${[...packages].join(" ")}`;
    lines.push(`programs: ${names.join(", ")}. On Debian and Ubuntu: ${command}`);
  }
  if (goNeeded !== undefined && !(machine.go && isAtLeast(machine.go, goNeeded))) {
    const found = machine.go ? `this one is ${machine.go}` : "there is none in the PATH";
    lines.push(`Go ${goNeeded} or newer, to build Kubernetes once (${found}). See https://go.dev/doc/install`);
  }
  // Without the programs and without root the features can't be tried.
  if (lines.length > 0) return lines;
  for (const [what, why] of Object.entries(machine.broken)) lines.push(`the kernel: ${what} (${why})`);
  if (machine.cgroup === "none") lines.push("control groups with cpu, memory and pids, mounted below /sys/fs/cgroup");
  return lines;
}

/** Compares versions of numbers and dots. */
export function isAtLeast(version: string, needed: string): boolean {
  const [one, other] = [version, needed].map((text) => text.split(".").map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) {
    const difference = (one?.[i] ?? 0) - (other?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Asks this machine. */
export function askMachine(): Machine {
  const platform = process.platform;
  const root = process.getuid?.() === 0;
  const programs = Object.fromEntries(Object.keys(PROGRAMS).flatMap((name) => find(name)));
  const pluginFolder = PLUGIN_FOLDERS.find((folder) => PLUGINS.every((plugin) => existsSync(join(folder, plugin))));
  const broken: Record<string, string> = {};
  if (platform === "linux" && root && Object.keys(PROGRAMS).every((name) => programs[name])) {
    for (const [what, command] of Object.entries(FEATURES)) {
      const [ok, said] = attempt("sh", ["-c", command]);
      if (!ok) broken[what] = said;
    }
  }
  const cgroup = platform === "linux" ? cgroupVersion(readFileSync("/proc/mounts", "utf8")) : "none";
  const [, version] = attempt("go", ["env", "GOVERSION"]);
  return { platform, root, programs, pluginFolder, broken, cgroup, go: /^go(\d+\.\d+(\.\d+)?)/.exec(version)?.[1] };
}

/** From the text of /proc/mounts. On a machine with both, the first version is what the controllers are in. */
export function cgroupVersion(mounts: string): Machine["cgroup"] {
  const groups = cgroupMounts(mounts);
  const controllers = new Set(groups.filter(({ type }) => type === "cgroup").flatMap(({ options }) => options));
  if (["cpu", "memory", "pids"].every((name) => controllers.has(name))) return "v1";
  return groups.some(({ path, type }) => type === "cgroup2" && path === "/sys/fs/cgroup") ? "v2" : "none";
}

/** The mounted hierarchies of control groups. */
export function cgroupMounts(mounts: string): { path: string; type: string; options: string[] }[] {
  return mounts
    .split("\n")
    .map((line) => line.split(" "))
    .flatMap(([, path = "", type = "", options = ""]) =>
      type === "cgroup" || type === "cgroup2" ? [{ path, type, options: options.split(",") }] : [],
    );
}

/** The PATH, with the folders of programs for root that it may lack after `su`. */
export function searchPath(): string {
  return [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);
}

function find(name: string): [string, string][] {
  const folder = searchPath()
    .split(delimiter)
    .find((each) => each !== "" && existsSync(join(each, name)));
  return folder === undefined ? [] : [[name, join(folder, name)]];
}

function attempt(command: string, args: string[]): [ok: boolean, said: string] {
  try {
    const env = { ...process.env, PATH: searchPath() };
    return [true, execFileSync(command, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"], timeout: 10_000 })];
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return [false, (stderr || message).trim().split("\n")[0] ?? ""];
  }
}
