// The command line as a process of its own, as it is shipped: the bundle, in a folder that has nothing else, against the
// sandbox's API server.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "js-yaml";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { systemClock } from "../../src/clock.ts";
import type { StoredObject } from "../../src/sandbox/api.ts";
import { ApiServer, kubeconfig } from "../../src/sandbox/apiserver/index.ts";
import { ROOT, read } from "../house/files.ts";
import { deployment, guarding, record, rolledBack } from "./fixtures.ts";

const MDEPS = { group: "rollguard.dev", version: "v1alpha1", resource: "modeldeployments" };
const RECORDS = { ...MDEPS, resource: "rolloutrecords" };
const NAMESPACES = { group: "", version: "v1", resource: "namespaces" };

let dir: string;
let main: string;
let bare: string;
const servers: { server: ApiServer; close(): Promise<void> }[] = [];

async function serve(file: string): Promise<ApiServer> {
  const server = new ApiServer({ clock: systemClock });
  const { url, close } = await server.listen();
  servers.push({ server, close });
  writeFileSync(file, kubeconfig(url));
  return server;
}

function put(server: ApiServer, mdep: ModelDeployment): void {
  const { status, ...rest } = mdep;
  const created = server.create(MDEPS, { ...rest, metadata: { name: mdep.metadata.name, namespace: mdep.metadata.namespace } });
  server.updateStatus(MDEPS, { ...created, status });
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "rollguard-cli-"));
  const dist = join(dir, "dist");
  execFileSync(process.execPath, [join(ROOT, "scripts/build.ts"), "--outdir", dist], { stdio: "pipe" });
  main = join(dist, "rollguard.js");
  bare = join(dir, "bare");
  await serve(bare);
  const server = await serve(join(dir, "config"));
  for (const file of readdirSync(join(ROOT, "crds")).filter((one) => one.endsWith(".yaml")))
    server.installCrd(load(read(`crds/${file}`)));
  for (const name of ["fraud", "empty"]) server.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  put(server, rolledBack());
  const other = guarding();
  put(server, { ...other, metadata: { ...other.metadata, name: "ranker" } });
  // A record of a deployment that is gone, and one that the status knows too.
  server.create(RECORDS, record(1, { deployment: { name: "gone", uid: "uid-9" } }));
  const uid = server.get(MDEPS, "fraud", "scorer")?.metadata.uid ?? "";
  server.create(RECORDS, record(2, { deployment: { name: "scorer", uid }, message: "as the record says" }));
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const { server, close } of servers) {
    server.close();
    await close();
  }
  rmSync(dir, { recursive: true, force: true });
});

interface Result {
  code: number | null;
  out: string;
  err: string;
}

interface Options {
  config?: string;
  env?: Record<string, string>;
  /** A file in place of the bundle's. */
  program?: string;
  /** Told all output so far; a promise ends the process with SIGTERM when it has settled. */
  onOut?(all: string): Promise<unknown> | undefined;
}

const children = new Set<ChildProcess>();

function rollguard(args: string[], options: Options = {}) {
  return new Promise<Result>((resolve) => {
    const env = {
      PATH: process.env.PATH ?? "",
      HOME: dir,
      KUBECONFIG: options.config ?? join(dir, "config"),
      ...options.env,
    };
    const child = spawn(process.execPath, [options.program ?? main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    let out = "";
    let err = "";
    let ended = false;
    const end = () => {
      if (!ended) child.kill("SIGTERM");
      ended = true;
    };
    child.stdout.on("data", (chunk) => {
      out += String(chunk);
      options.onOut?.(out)?.then(end, end);
    });
    child.stderr.on("data", (chunk) => {
      err += String(chunk);
    });
    child.on("close", (code) => {
      children.delete(child);
      resolve({ code, out, err });
    });
  });
}

test("status lists what serves, as plain aligned lines in a pipe", async () => {
  const { code, out, err } = await rollguard(["status", "-n", "fraud"]);
  expect([code, err]).toEqual([0, ""]);
  const lines = out.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^NAME +PINNED +SERVES +SINCE +PHASE +HEALTHY +RETURN +READY$/);
  expect(lines[1]).toMatch(/^ranker +scorer-1\.0\.0 +r1 \(scorer-1\.0\.0\) Proven +\S+ +Guarding +True +NoTarget +3\/3$/);
  expect(lines[2]).toMatch(/^scorer +scorer-2\.0\.0 +r1 \(scorer-1\.0\.0\) Proven +\S+ +RolledBack/);
  expect(out).not.toContain("\u001b");
});

test("status of one shows its checks, its quarantine and its last return; wherever the options stand", async () => {
  const { code, out } = await rollguard(["-n", "fraud", "status", "scorer"]);
  expect(code).toBe(0);
  expect(out).toMatch(/^fraud\/scorer {3}RolledBack\n/);
  expect(out).toMatch(/^accuracy +Healthy +0\.91 +≥ 0\.85 +0\.913 +Critical/m);
  expect(out).toMatch(/^scorer-2\.0\.0 +r2 +Breached/m);
  expect(out).toContain("decided +12ms, traffic restored +238ms");
});

test("-A and -o json are for programs: a document with each deployment", async () => {
  const { out } = await rollguard(["status", "-A", "-o", "json"]);
  const views = JSON.parse(out) as { namespace: string; name: string; phase: string; active: { revision: number } }[];
  expect(views.map(({ namespace, name, phase, active }) => [namespace, name, phase, active.revision])).toEqual([
    ["fraud", "ranker", "Guarding", 1],
    ["fraud", "scorer", "RolledBack", 1],
  ]);
  const yaml = load((await rollguard(["status", "ranker", "-A", "-o", "yaml"])).out) as {
    name: string;
    checks: { value: number }[];
  };
  expect([yaml.name, yaml.checks[0]?.value]).toEqual(["ranker", 0.0012346]);
});

test("history joins the status and the records, and knows a deployment that is gone", async () => {
  const { code, out } = await rollguard(["history", "scorer", "-n", "fraud"]);
  expect(code).toBe(0);
  const lines = out.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/^1 .* Proven +flux \(field manager\)/);
  expect(lines[2]).toMatch(/^2 .* RolledBack .*"retrained on October data"; as the record says$/);
  const limited = await rollguard(["history", "scorer", "-n", "fraud", "--limit", "1"]);
  expect(limited.out.trimEnd().split("\n")).toHaveLength(2);
  expect(limited.err).toContain("1 older ones are not shown");
  expect((await rollguard(["history", "gone", "-n", "fraud", "-o", "json"])).out).toContain('"record": "scorer-1"');
});

test("explain gives the cause and commands to copy", async () => {
  const { code, out } = await rollguard(["explain", "scorer", "-n", "fraud"]);
  expect(code).toBe(0);
  expect(out).toContain("fraud/scorer is RolledBack: the pinned version was taken back");
  expect(out).toContain("kubectl rollguard retry scorer scorer-2.0.0 -n fraud");
});

test("status -w shows each change until it is ended, and ends well", async () => {
  const server = servers[1]?.server;
  put(server as ApiServer, deployment("moving", { phase: "Progressing", message: "r1 is brought up" }));
  let changed = false;
  const { code, out } = await rollguard(["status", "moving", "-n", "fraud", "-w"], {
    onOut(all) {
      if (all.includes("Baking")) return Promise.resolve();
      if (changed || !all.includes("Progressing")) return undefined;
      changed = true;
      const now = server?.get(MDEPS, "fraud", "moving") as StoredObject;
      server?.updateStatus(MDEPS, { ...now, status: { phase: "Baking", message: "r1 bakes" } });
      return undefined;
    },
  });
  expect(code).toBe(0);
  expect(out.indexOf("Progressing")).toBeLessThan(out.indexOf("Baking"));
  server?.delete(MDEPS, "fraud", "moving");
});

test("an unknown name is answered with the names that exist, and with where it exists", async () => {
  const here = await rollguard(["status", "skorer", "-n", "fraud"]);
  expect(here.code).toBe(1);
  expect(here.err).toContain("there is no ModelDeployment skorer in the namespace fraud");
  expect(here.err).toMatch(/there are: .*ranker.*scorer/);
  const elsewhere = await rollguard(["explain", "scorer", "-n", "empty"]);
  expect(elsewhere.err).toContain("but there is fraud/scorer: use -n");
  expect((await rollguard(["status", "nope", "-w"])).code).toBe(1);
  expect((await rollguard(["history", "nope", "-A"])).code).toBe(1);
});

test("no cluster: which kubeconfig was meant, and how to name another", async () => {
  const missing = await rollguard(["status"], { config: join(dir, "no-such-file") });
  expect(missing.code).toBe(1);
  expect(missing.err).toContain(`${join(dir, "no-such-file")} (from KUBECONFIG)`);
  expect(missing.err).toContain("--kubeconfig FILE");
  const dead = join(dir, "dead");
  writeFileSync(dead, kubeconfig("http://127.0.0.1:1"));
  const refused = await rollguard(["status", "--kubeconfig", dead]);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain("can't reach the API server http://127.0.0.1:1");
  expect(refused.err).toContain(`${dead} (from --kubeconfig)`);
  expect((await rollguard(["status", "--context", "other"])).err).toContain('no context "other"');
});

test("missing CRDs: how to install them", async () => {
  for (const args of [["status"], ["status", "x"], ["history", "x"], ["explain", "x"]]) {
    const { code, err } = await rollguard(args, { config: bare });
    expect(code, args.join(" ")).toBe(1);
    expect(err).toContain("its CRDs are not installed");
    expect(err).toContain("kubectl apply -k manifests/");
  }
});

test("wrong usage ends with 2 and names what is wrong", async () => {
  for (const [args, word] of [
    [["staus"], "staus"],
    [["status", "--nope"], "--nope"],
    [["status", "-o", "xml"], "xml"],
    [["history"], "name"],
    [["history", "x", "--limit", "-1"], "--limit"],
    [["operator", "--workers", "none"], "--workers"],
    [["sandbox", "--port", "x"], "--port"],
    [[], "Usage"],
  ] as const) {
    const { code, err } = await rollguard([...args]);
    expect([args, code]).toEqual([args, 2]);
    expect(err).toContain(word);
  }
});

test("help explains each flag of the operator and names its variable", async () => {
  const { code, out } = await rollguard(["operator", "--help"]);
  expect(code).toBe(0);
  for (const word of ["--leader-elect", "--http-address", "ROLLGUARD_WORKERS", "POD_NAMESPACE", "default: 8"])
    expect(out).toContain(word);
});

test("version says what runs", async () => {
  expect((await rollguard(["version"])).out).toMatch(
    /^rollguard \d+\.\d+\.\d+ \(node \d+\.\d+\.\d+(, commit [0-9a-f]{12}(-dirty)?)?\)\n$/,
  );
  expect(JSON.parse((await rollguard(["version", "-o", "json"])).out)).toMatchObject({
    node: process.versions.node,
    bundled: true,
  });
});

test("as a kubectl plugin it names itself so", async () => {
  const plugin = join(dir, "kubectl-rollguard");
  symlinkSync(main, plugin);
  const asked = await rollguard(["--help"], { program: plugin });
  expect(asked.out).toMatch(/^Usage: kubectl rollguard /);
});

test("fetch takes its task from the environment and says what is wrong with it", async () => {
  const { code, out } = await rollguard(["fetch"], { env: { TERMINATION_LOG: join(dir, "termination") } });
  expect(code).toBeGreaterThan(2);
  expect(JSON.parse(readFileSync(join(dir, "termination"), "utf8"))).toMatchObject({ fault: expect.any(String) });
  expect(out).toContain("ROLLGUARD_");
});

test("the operator tells its probes when it is ready, and ends well on SIGTERM", async () => {
  const system = { apiVersion: "v1", kind: "Namespace", metadata: { name: "rollguard-system" } };
  servers[1]?.server.create(NAMESPACES, system);
  const paths = ["healthz", "readyz", "metrics"];
  let seen: Promise<string[]> | undefined;
  const { code, out } = await rollguard(["operator", "--http-address", "127.0.0.1:0", "--identity", "it"], {
    onOut(all) {
      const address = /"http":"([^"]+)"/.exec(all)?.[1];
      if (address === undefined || !all.includes("guarding")) return undefined;
      seen ??= Promise.all(paths.map(async (path) => (await fetch(`http://${address}/${path}`)).text()));
      return seen;
    },
  });
  const [healthz, readyz, metrics] = (await seen) ?? [];
  expect([code, healthz, readyz]).toEqual([0, "ok\n", "ok\n"]);
  expect(metrics).toContain("rollguard_leader 1");
  for (const line of out.trimEnd().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  const lease = servers[1]?.server.get(
    { group: "coordination.k8s.io", version: "v1", resource: "leases" },
    "rollguard-system",
    "rollguard",
  );
  expect(lease?.spec.holderIdentity || undefined).toBeUndefined();
});

test("a reader that closes early is no failure", async () => {
  const child = spawn("sh", ["-c", `"$0" "$1" status -A -o json | head -n 1`, process.execPath, main], {
    env: { PATH: process.env.PATH ?? "", KUBECONFIG: join(dir, "config") },
  });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += String(chunk);
  });
  child.stderr.on("data", (chunk) => {
    text += String(chunk);
  });
  await new Promise((resolve) => child.on("close", resolve));
  expect(text).toBe("[\n");
});
