// The commands for trying a policy: with files, and against the sandbox's API server.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "js-yaml";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Io } from "../../src/cli/io.ts";
import { run } from "../../src/cli/program.ts";
import { systemClock } from "../../src/clock.ts";
import { ApiServer, kubeconfig } from "../../src/sandbox/apiserver/index.ts";
import { ROOT, read } from "../house/files.ts";
import { guarding } from "./fixtures.ts";

const own = (resource: string) => ({ group: "rollguard.dev", version: "v1alpha1", resource });
const NAMESPACES = { group: "", version: "v1", resource: "namespaces" };

let dir: string;
let server: ApiServer;
let close: () => Promise<void>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "rollguard-trial-"));
  server = new ApiServer({ clock: systemClock });
  const listening = await server.listen();
  close = listening.close;
  writeFileSync(join(dir, "config"), kubeconfig(listening.url));
  for (const file of readdirSync(join(ROOT, "crds")).filter((one) => one.endsWith(".yaml")))
    server.installCrd(load(read(`crds/${file}`)));
  server.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name: "fraud" } });
  server.create(own("rollbackpolicies"), load(read("examples/manifests/rollbackpolicy.yaml")) as never);
  const { status, spec } = guarding();
  const created = server.create(own("modeldeployments"), {
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "ModelDeployment",
    metadata: { name: "scorer", namespace: "fraud" },
    spec: { ...spec, policy: { kind: "RollbackPolicy", name: "strict" } },
  } as never);
  const checks = (status?.checks ?? []).map((line) => ({ ...line, verdict: "Breached" }));
  server.updateStatus(own("modeldeployments"), { ...created, status: { ...status, checks } } as never);
});

afterAll(async () => {
  server.close();
  await close();
  rmSync(dir, { recursive: true, force: true });
});

/** One command line, run here; the cluster is the sandbox's API server. */
async function rollguard(...args: string[]) {
  let out = "";
  let err = "";
  const io: Io = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    terminal: false,
    color: false,
    width: 80,
    signal: new AbortController().signal,
  };
  const code = await run(args, "rollguard", io);
  return { code, out, err };
}

const cluster = () => ["--kubeconfig", join(dir, "config")];

test("matrix prints a policy's situations as a table, as Markdown, as JSON and as one page of HTML", async () => {
  const file = join(dir, "plain.yaml");
  writeFileSync(file, "apiVersion: rollguard.dev/v1alpha1\nkind: RollbackPolicy\nmetadata: { name: plain }\nspec: {}\n");
  const [table, markdown, json, html] = await Promise.all(
    ["table", "markdown", "json", "html"].map((format) => rollguard("matrix", "-f", file, "-o", format)),
  );
  expect([table, markdown, json, html].map((one) => [one?.code, one?.err])).toEqual(Array(4).fill([0, ""]));
  expect(table?.out).toMatch(/^any Critical check +guard +bad +cold +- +Returns/m);
  expect(markdown?.out).toContain("| any Critical check | guard | bad | warm |");
  const rows = (JSON.parse(json?.out ?? "") as { rows: { outcome: string; data: string[] }[] }).rows;
  expect(rows.some((row) => row.outcome === "Returns")).toBe(true);
  expect(html?.out).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
  // The pages of the docs are the same rows.
  expect(read("docs/matrix.md")).toContain(markdown?.out.split("\n").at(-2) ?? "nothing");
}, 60_000);

test("matrix of a deployment reads its policy in force and marks the row that applies now", async () => {
  const { code, out } = await rollguard("matrix", "scorer", "-n", "fraud", ...cluster());
  expect(code).toBe(0);
  expect(out).toContain("fraud/scorer: RollbackPolicy/strict");
  const marked = out.split("\n").filter((line) => line.startsWith("→"));
  expect(marked.length).toBe(1);
  expect(marked[0]).toMatch(/guard +bad +none .*Stalls .*NoTarget/);
}, 60_000);

test("matrix says what is wrong with a file, and which field", async () => {
  const bad = join(dir, "bad.yaml");
  writeFileSync(bad, read("examples/digits/policy.yaml").replace("warmup: 2s", "warmup: soon"));
  const { code, err } = await rollguard("matrix", "-f", bad);
  expect(code).toBe(1);
  expect(err).toContain("RollbackPolicy is not valid");
  expect(err).toContain("spec.warmup: must be a duration");
  expect((await rollguard("matrix")).code).toBe(2);
  expect((await rollguard("matrix", "-f", join(dir, "none.yaml"))).err).toContain("can't read");
});
