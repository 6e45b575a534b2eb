// The commands for trying a policy: with files, and against the sandbox's API server.
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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

/** A Prometheus whose every series is good for half an hour and then bad. */
async function prometheus() {
  const asked: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      const form = new URLSearchParams(body);
      asked.push(form);
      const [start, end, step] = ["start", "end", "step"].map((name) => Number(form.get(name))) as [number, number, number];
      const values = [];
      for (let at = start; at <= end; at += step) values.push([at, at - start > 1800 ? "2" : "0.2"]);
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ status: "success", data: { resultType: "matrix", result: [{ metric: {}, values }] } }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, close: () => server.close() };
}

const LATENCY = (max: number, more = "") => `apiVersion: rollguard.dev/v1alpha1
kind: RollbackPolicy
metadata: { name: latency-${max} }
spec:
  checks:
    - name: latency
      source: prometheus
      query: p95{pod=~"\${workload}-.+"}
      threshold: { max: ${max} }
${more}`;

test("replay asks a Prometheus for a past time, records it, and shows what two policies would have done", async () => {
  const source = await prometheus();
  const [tight, loose, recording, svg] = ["tight.yaml", "loose.yaml", "recording.csv", "plot.svg"].map((name) =>
    join(dir, name),
  ) as [string, string, string, string];
  writeFileSync(tight, LATENCY(0.8));
  writeFileSync(loose, LATENCY(3));
  const time = ["--from", "2026-11-20T00:00:00Z", "--to", "2026-11-20T01:00:00Z"];
  const first = await rollguard(
    ...["replay", "-f", tight, "--against", loose, "--prometheus", source.url, "--workload", "scorer-r7", ...time],
    ...["--record", recording, "--svg", svg],
  );
  source.close();
  expect([first.code, first.err]).toEqual([0, ""]);
  expect(source.asked.some((form) => form.get("query")?.includes('pod=~"scorer-r7-.+"'))).toBe(true);
  expect(first.out).toMatch(/latency-0\.8 +[1-9] /);
  expect(first.out).toMatch(/latency-3 +0 /);
  expect(first.out).toContain("ROLLS BACK");
  expect(first.out).toContain("nothing would have happened");
  expect(readFileSync(svg, "utf8")).toMatch(/^<svg .*<\/svg>\n$/s);
  // The recording says the same without a server.
  const again = await rollguard("replay", "-f", tight, "--recording", recording, "-o", "json");
  const [replayed] = JSON.parse(again.out) as { incidents: { kind: string; at: number; firstBadAt: number }[] }[];
  expect(replayed?.incidents[0]).toMatchObject({ kind: "Returned", firstBadAt: Date.parse("2026-11-20T00:31:00Z") });
}, 60_000);

test("replay says what it lacks", async () => {
  const file = join(dir, "latency.yaml");
  writeFileSync(file, LATENCY(0.8));
  for (const [args, code, words] of [
    [[], 2, "-f"],
    [["-f", file], 2, "--from"],
    [["-f", file, "--from", "soon"], 2, "--from must be a time"],
    [["-f", file, "--from", "2h", "--prometheus", "http://127.0.0.1:1"], 2, "--workload"],
    [["-f", file, "--from", "2h", "--prometheus", "http://127.0.0.1:1", "--workload", "a-r1"], 1, "latency: "],
    [["-f", file, "--from", "2h", "--workload", "a-r1", ...cluster()], 1, "there is no MetricSource prometheus"],
    [["-f", file, "--recording", join(dir, "none.csv")], 1, "can't read"],
  ] as const) {
    const { code: ended, err } = await rollguard("replay", ...args);
    expect([args, ended]).toEqual([args, code]);
    expect(err).toContain(words);
  }
}, 60_000);

test("lint names the field, the rule and how to mend it, and ends with 1 for errors, with --strict for warnings too", async () => {
  const [bad, warned, sound] = ["bad-lint.yaml", "warned.yaml", "sound.yaml"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(bad, LATENCY(0.8).replace('{pod=~"${workload}-.+"}', ""));
  writeFileSync(warned, LATENCY(0.8, "  bake: 2m\n"));
  writeFileSync(sound, LATENCY(0.8, "  rollback: { cooldown: 10m, budget: { limit: 3, per: 1h } }\n"));
  const found = await rollguard("lint", "-f", bad);
  expect(found.code).toBe(1);
  expect(found.out).toMatch(
    /^error +.*bad-lint.yaml: RollbackPolicy\/latency-0.8 spec.checks\[0\].query: .* \(query-without-workload\)\n +select one/,
  );
  const warnings = await rollguard("lint", "-f", warned, "-o", "json");
  expect([warnings.code, JSON.parse(warnings.out)]).toEqual([
    0,
    [expect.objectContaining({ rule: "bake-too-short", severity: "Warning", path: "spec.bake" })],
  ]);
  expect((await rollguard("lint", "-f", warned, "--strict")).code).toBe(1);
  expect(await rollguard("lint", "-f", sound, "--strict")).toEqual({ code: 0, out: "nothing to object to\n", err: "" });
  // With its source beside it, who may use it is known too.
  const source = join(dir, "source.yaml");
  writeFileSync(source, read("examples/manifests/metricsource.yaml").replace("name: prometheus\n", "name: another\n"));
  expect((await rollguard("lint", "-f", sound, "-f", source)).out).toContain("(source-missing)");
  expect((await rollguard("lint")).code).toBe(2);
}, 60_000);

test("lint of a deployment reads its policy in force and the sources of the cluster", async () => {
  const { code, out } = await rollguard("lint", "scorer", "-n", "fraud", "-o", "json", ...cluster());
  const rules = (JSON.parse(out) as { rule: string; object: string }[]).map((one) => `${one.rule} ${one.object}`);
  expect(code).toBe(1);
  expect(rules).toContain("source-missing RollbackPolicy/strict");
  expect(rules).toContain("probe-missing ModelDeployment/scorer");
  expect(rules).not.toContain("policy-missing ModelDeployment/scorer");
}, 60_000);
