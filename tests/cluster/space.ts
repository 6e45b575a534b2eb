// The space that a cluster lives in: namespaces of its own for processes, mounts and network. Their first process is tied to
// the one that made it, so that whatever happens to that, the kernel ends every process, mount, rule and device in them.
// What is left for us to remove are control groups and files.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupMounts, type Machine } from "./machine.ts";
import { isAlive, type Owner, type Slot, startOf } from "./slots.ts";

/** Settings of the kernel that the kubelet insists on. It is shown files with these values: the machine's own stay as they are. */
export const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};

/** Folders that programs write to whatever they are told; in the cluster they are empty and its own. */
const COVERED = ["/run", "/var/lib", "/var/log"];

/** Runs `argv` in the space whose first process is `init`. Not `ip netns exec`, which hides the control groups from runc. */
export function within(init: number, argv: readonly string[]): string[] {
  return ["nsenter", `--target=${init}`, "--mount", "--net", "--pid", "--", ...argv];
}

export interface Space {
  /** Process id (as the machine sees it) of the first process. */
  init: number;
  /** Ends everything in it, and resolves when it is gone. */
  end(): Promise<void>;
}

/** Makes the space of a slot; `first` is the program of its first process. */
export async function makeSpace(slot: Slot, first: string): Promise<Space> {
  for (const path of [slot.folder, first]) {
    if (COVERED.some((folder) => path.startsWith(`${folder}/`))) {
      throw new Error(
        `the cluster could not see ${path}: set TMPDIR and ROLLGUARD_CLUSTER_CACHE to folders not in ${COVERED.join(", ")}`,
      );
    }
  }
  const namespaces = ["--mount-proc", "--pid", "--net", "--fork", "--kill-child=KILL"];
  const holder = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...namespaces, "--", first], { stdio: "ignore" });
  let init = 0;
  const end = async () => {
    // unshare ends when the first process has; killed itself, it would leave that to whoever collects orphans.
    if (init === 0 || !kill(init)) holder.kill("SIGKILL");
    await ended(holder);
    // The first process is gone only when all others in its namespace are.
    await until(() => startOf(init) === undefined, 20_000, `the end of process ${init}`);
  };
  try {
    await until(
      () => {
        init = childOf(holder.pid ?? 0) ?? 0;
        return isProgram(init, first);
      },
      5_000,
      "the first process of the cluster",
    );
    writeFileSync(join(slot.folder, INIT), JSON.stringify({ pid: init, started: startOf(init) }));
    furnish(slot, init);
    return { init, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Mounts, network and kernel settings inside, the cable and the routes outside. */
function furnish(slot: Slot, init: number): void {
  const settings = join(slot.folder, "kernel");
  mkdirSync(settings);
  const commands = ["mount --make-rshared /"];
  for (const [name, value] of Object.entries(KERNEL_SETTINGS)) {
    const file = join(settings, name.replaceAll("/", "."));
    writeFileSync(file, `${value}\n`);
    commands.push(`mount --bind '${file}' /proc/sys/${name}`);
  }
  for (const folder of COVERED) commands.push(`mount -t tmpfs -o mode=755 tmpfs ${folder}`);
  commands.push(
    "ip link set lo up",
    "ip link add cni0 type bridge",
    `ip addr add ${slot.node}/24 dev cni0`,
    "ip link set cni0 up",
    `ip addr add ${slot.inside}/30 dev uplink`,
    "ip link set uplink up",
    // Without a route a packet to a ClusterIP is refused before kube-proxy's rules can turn it to a pod.
    `ip route add ${slot.services} dev cni0`,
    "echo 1 >/proc/sys/net/ipv4/ip_forward",
  );
  // In the network of the cluster, the other end is gone with it, and with it this one and the routes.
  const cable = `ip link add ${slot.cable} type veth peer name uplink netns ${init}`;
  const routes = [slot.pods, slot.services].map((range) => `ip route add ${range} via ${slot.inside}`);
  const outside = [`ip addr add ${slot.outside}/30 dev ${slot.cable}`, `ip link set ${slot.cable} up`];
  shell(["sh", "-ec", cable]);
  shell(within(init, ["sh", "-ec", commands.join("\n")]));
  shell(["sh", "-ec", [...outside, ...routes].join("\n")]);
}

function shell(argv: readonly string[]): void {
  const [command = "", ...args] = argv;
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${argv.at(-1)}\nfailed: ${error?.message ?? stderr}`);
}

/** Makes the slot's control group in every hierarchy; the kubelet wants to find it there. */
export function makeControlGroups(slot: Slot, version: Machine["cgroup"]): void {
  for (const { path, type } of hierarchies()) {
    const folder = join(path, slot.name);
    mkdirSync(folder, { recursive: true });
    const copy = (file: string) => writeFileSync(join(folder, file), readFileSync(join(path, file)));
    if (type === "cgroup" && readdirSync(folder).includes("cpuset.cpus"))
      for (const file of ["cpuset.cpus", "cpuset.mems"]) copy(file);
    if (version === "v2" && type === "cgroup2") {
      const controllers = readFileSync(join(path, "cgroup.controllers"), "utf8").trim().split(" ");
      for (const each of [path, folder]) {
        for (const name of controllers) writeFileSync(join(each, "cgroup.subtree_control"), `+${name}`);
      }
    }
  }
}

/** Removes everything that a slot's cluster leaves behind; waits for its processes, which end with their keeper. */
export function clearSlot(slot: Slot): void {
  const first = readInit(slot);
  for (let waited = 0; first && isAlive(first) && waited < 200; waited++) wait(50);
  for (const { path } of hierarchies()) removeGroup(join(path, slot.name));
  rmSync(slot.folder, { recursive: true, force: true, maxRetries: 5 });
}

function hierarchies(): ReturnType<typeof cgroupMounts> {
  return cgroupMounts(readFileSync("/proc/mounts", "utf8"));
}

/** A control group is an empty folder to the one who removes it, whatever files it shows; its children come first. */
function removeGroup(folder: string): void {
  let entries: string[];
  try {
    entries = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return;
  }
  for (const entry of entries) removeGroup(join(folder, entry));
  for (let attempt = 0; ; attempt++) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      // The kernel needs a moment after the last process; a second is long.
      if (attempt === 20) throw error;
      wait(50);
    }
  }
}

const INIT = "init.json";

function readInit(slot: Slot): Owner | undefined {
  try {
    return JSON.parse(readFileSync(join(slot.folder, INIT), "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

/** Clearing away is done in one go, also on the way out of a process: it waits without letting anything else run. */
function wait(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** The first child of a process. */
export function childOf(pid: number): number | undefined {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1");
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid) return Number(entry);
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}

function isProgram(pid: number, program: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(program);
  } catch {
    return false;
  }
}

/** Resolves when a child has ended. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

/** Asks until it is so; throws after `ms`. */
export async function until(ask: () => boolean | Promise<boolean>, ms: number, what: string): Promise<void> {
  const end = performance.now() + ms;
  while (!(await ask())) {
    if (performance.now() > end) throw new Error(`gave up after ${ms / 1000} s waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
