// What a cluster could leave on the machine, gathered before and after. Other work goes on meanwhile: of processes, only those in
// namespaces other than ours are listed, and of files only the kit's own.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupMounts } from "./machine.ts";
import { KERNEL_SETTINGS } from "./space.ts";

export interface Traces {
  processes: string[];
  mounts: string[];
  links: string;
  routes: string;
  rules: string;
  controlGroups: string[];
  files: string[];
  kernel: Record<string, string>;
}

export function traces(): Traces {
  const mounts = readFileSync("/proc/mounts", "utf8");
  const groups = cgroupMounts(mounts).map(({ path }) => path);
  const settings = [...Object.keys(KERNEL_SETTINGS), "net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max"];
  return {
    processes: foreign(),
    mounts: mounts.trim().split("\n").sort(),
    links: run("ip", "-brief", "link"),
    routes: run("ip", "route"),
    rules: run("iptables-save").replace(/^#.*\n/gm, ""),
    controlGroups: groups.flatMap((path) => ours(path).map((name) => join(path, name))),
    files: [...ours(tmpdir()), ...ours("/run"), ...ours("/var/lib"), ...ours("/var/log")],
    kernel: Object.fromEntries(settings.map((name) => [name, readFileSync(`/proc/sys/${name}`, "utf8").trim()])),
  };
}

const NAMES = /^(rollguard-cluster|kubepods|kubelet|containerd|netns|cni|calico|pods$|containers$)/;

function ours(folder: string): string[] {
  return readdirSync(folder).filter((name) => NAMES.test(name));
}

/** Processes that live in another namespace of processes or of the network than this one. */
function foreign(): string[] {
  const spaces = (pid: string) => ["pid", "net"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)).join(" ");
  const mine = spaces("self");
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      if (spaces(pid) === mine) return [];
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 80)}`];
    } catch {
      // It has ended meanwhile, or is a zombie that nobody has collected yet.
      return [];
    }
  });
}

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}
