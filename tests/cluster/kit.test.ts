// The kit's parts that need no cluster: what a slot names, what a machine lacks, what a build is kept by, what an image holds.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { writeImage } from "../../scripts/oci.ts";
import { hashOf, versions } from "./build.ts";
import { cgroupVersion, isAtLeast, type Machine, missing } from "./machine.ts";
import { commandLines, configFiles, type PartOptions } from "./parts.ts";
import { claim, claimAny, isAlive, ownerOf, release, SLOTS, type Slot, slotOf, startOf } from "./slots.ts";

const folder = mkdtempSync(join(tmpdir(), "rollguard-kit-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Owners are told apart by /proc.
describe.skipIf(process.platform !== "linux")("slots", () => {
  test("no two slots share a name, an address, a folder or a device", () => {
    const slots = Array.from({ length: SLOTS }, (_, number) => slotOf(number, "/tmp"));
    const values = slots.flatMap((slot) => Object.values(slot));
    expect(new Set(values).size).toBe(values.length);
    // What Linux allows as the name of a device.
    for (const { cable } of slots) expect(cable.length).toBeLessThanOrEqual(15);
  });

  test("a slot that is held is not given again, and the next free one is", () => {
    const base = join(folder, "held");
    mkdirSync(base);
    const first = claimAny(base, undefined, () => {});
    const second = claimAny(base, undefined, () => {});
    expect([first.number, second.number]).toEqual([0, 1]);
    expect(() => claimAny(base, 1, () => {})).toThrow("slot 1 is taken");
    release(first);
    expect(claimAny(base, undefined, () => {}).number).toBe(0);
  });

  test("a slot whose owner is dead is cleared and given again", async () => {
    const base = join(folder, "dead");
    mkdirSync(base);
    const slot = slotOf(3, base);
    const child = spawn("true");
    const owner = { pid: child.pid ?? 0, started: "1" };
    await new Promise((resolve) => child.once("exit", resolve));
    writeFileSync(slot.lock, JSON.stringify(owner));
    expect(isAlive(owner)).toBe(false);
    const cleared: Slot[] = [];
    expect(claim(slot, (one) => cleared.push(one))).toBe(true);
    expect(cleared).toEqual([slot]);
    expect(ownerOf(slot)).toEqual({ pid: process.pid, started: startOf(process.pid) });
    expect(readdirSync(base).sort()).toEqual(["rollguard-cluster-3", "rollguard-cluster-3.lock"]);
  });

  test("a process with the number of a dead owner is not taken for it", () => {
    const started = startOf(process.pid) ?? "";
    expect(isAlive({ pid: process.pid, started })).toBe(true);
    expect(isAlive({ pid: process.pid, started: `${Number(started) - 1}` })).toBe(false);
  });
});

describe("what a machine lacks", () => {
  const programs = Object.fromEntries(
    ["containerd", "ctr", "runc", "iptables", "ip", "nsenter", "unshare", "setpriv", "mount", "openssl"].map((name) => [
      name,
      name,
    ]),
  );
  const whole: Machine = {
    platform: "linux",
    root: true,
    programs,
    pluginFolder: "/usr/lib/cni",
    broken: {},
    cgroup: "v2",
    go: "1.26.1",
  };
  const without = (name: string) => Object.fromEntries(Object.entries(programs).filter(([each]) => each !== name));

  test.each<[string, Partial<Machine>, string[]]>([
    ["nothing", {}, []],
    ["Linux", { platform: "darwin" }, ["Linux", "darwin"]],
    ["root", { root: false }, ["root"]],
    ["a program", { programs: without("runc") }, ["programs: runc.", "apt-get install --no-install-recommends runc"]],
    [
      "a package once for two programs",
      { programs: {} },
      ["recommends containerd runc iptables iproute2 util-linux mount openssl"],
    ],
    ["the CNI plugins", { pluginFolder: undefined }, ["bridge, host-local, loopback", "containernetworking-plugins"]],
    ["Go", { go: undefined }, ["Go 1.26.0 or newer", "none in the PATH"]],
    ["a newer Go", { go: "1.25.9" }, ["Go 1.26.0 or newer", "this one is 1.25.9"]],
    [
      "a feature of the kernel",
      { broken: { "overlay file systems": "no such device" } },
      ["overlay file systems (no such device)"],
    ],
    ["control groups", { cgroup: "none" }, ["control groups"]],
  ])("%s", (_what, change, words) => {
    const lines = missing({ ...whole, ...change }, "1.26.0");
    expect(lines).toHaveLength(words.length === 0 ? 0 : 1);
    for (const word of words) expect(lines[0]).toContain(word);
  });

  test("Go is asked for only where there is something to build", () => {
    expect(missing({ ...whole, go: undefined }, undefined)).toEqual([]);
  });

  test("versions are compared by their numbers", () => {
    expect([isAtLeast("1.26.0", "1.26"), isAtLeast("1.9.9", "1.26.0"), isAtLeast("1.100.0", "1.26.1")]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test.each<[Machine["cgroup"], string]>([
    ["v2", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"],
    ["v1", ["cpu", "memory", "pids"].map((name) => `cgroup /sys/fs/cgroup/${name} cgroup rw,${name} 0 0\n`).join("")],
    ["none", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"],
  ])("control groups of kind %s are told by the mounts", (kind, mounts) => {
    expect(cgroupVersion(mounts)).toBe(kind);
  });
});

describe("the build", () => {
  test("is kept by all of its inputs and by the architecture", () => {
    const hashes = [hashOf(["a", "b"], "x64"), hashOf(["a", "c"], "x64"), hashOf(["ab", ""], "x64"), hashOf(["a", "b"], "arm64")];
    expect(new Set(hashes).size).toBe(4);
    expect(hashOf(["a", "b"], "x64")).toBe(hashes[0]);
  });

  test("takes the versions from go.mod, where all of Kubernetes is of one release", () => {
    const text = readFileSync(join(import.meta.dirname, "kubernetes/go.mod"), "utf8");
    const { kubernetes, go } = versions(text);
    expect(kubernetes).toMatch(/^1\.\d+\.\d+$/);
    expect(go).toMatch(/^1\.\d+\.\d+$/);
    const staging = [...text.matchAll(/=> k8s\.io\/\S+ v0\.(\S+)/g)].map(([, version]) => version);
    expect(staging.length).toBeGreaterThan(20);
    expect(new Set(staging)).toEqual(new Set([kubernetes.replace(/^1\./, "")]));
    expect(() => versions("module x\n")).toThrow("go.mod");
  });
});

test("all that a cluster writes is in the folder of its slot", () => {
  const slot = slotOf(5, "/place");
  const options: PartOptions = {
    programs: "/programs",
    runc: "/usr/sbin/runc",
    plugins: "/usr/lib/cni",
    cgroup: "v2",
    audit: true,
    apiServerFlags: [],
  };
  const texts = [...Object.values(commandLines(slot, options)).flat(), ...Object.values(configFiles(slot, options))];
  const paths = texts.flatMap((text) => [...text.matchAll(/(?<![\w:/.])\/[\w./-]+/g)].map(([path]) => path));
  expect(paths.length).toBeGreaterThan(30);
  const known = [slot.folder, options.programs, options.runc, options.plugins, `/${slot.name}`];
  expect(paths.filter((path) => !known.some((start) => path.startsWith(start)))).toEqual([]);
});

test("an image is an OCI archive with its files owned by root, and the same files give the same bytes", () => {
  const source = join(folder, "source");
  mkdirSync(join(source, "inner"), { recursive: true });
  writeFileSync(join(source, "inner", "program"), "#!/bin/sh\n", { mode: 0o755 });
  const long = `${"long/".repeat(25)}name`;
  const files = { "/opt": source, "/etc/text": { text: "words\n" }, [`/${long}`]: { text: "deep" } };
  const spec = { reference: "localhost/test:1", files, entrypoint: ["/opt/inner/program"], user: "1000:1000" };
  const archive = join(folder, "image.tar");
  writeImage(spec, archive);
  const bytes = readFileSync(archive);
  writeImage(spec, archive);
  expect(readFileSync(archive).equals(bytes)).toBe(true);

  const unpacked = join(folder, "unpacked");
  mkdirSync(unpacked);
  execFileSync("tar", ["-xf", archive, "-C", unpacked]);
  const read = (file: string) => JSON.parse(readFileSync(join(unpacked, file), "utf8"));
  const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
  const [listed] = read("index.json").manifests;
  expect(listed.annotations["io.containerd.image.name"]).toBe("localhost/test:1");
  const { config, layers } = read(blob(listed.digest));
  expect(read(blob(config.digest)).config).toMatchObject({ Entrypoint: ["/opt/inner/program"], User: "1000:1000" });
  const layer = join(unpacked, blob(layers[0].digest));
  const lines = execFileSync("tar", ["-tvzf", layer, "--numeric-owner"], { encoding: "utf8" }).trim().split("\n");
  expect(lines.every((line) => line.includes(" 0/0 "))).toBe(true);
  expect(lines.find((line) => line.endsWith("opt/inner/program"))).toMatch(/^-rwxr-xr-x/);
  expect(lines.some((line) => line.endsWith(` ${long}`))).toBe(true);
  expect(execFileSync("tar", ["-xzOf", layer, "etc/text"], { encoding: "utf8" })).toBe("words\n");
});
