// `policy show`: what is in force, where each field comes from, and what was refused; of a deployment and of files.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "js-yaml";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Io } from "../../src/cli/io.ts";
import { policyInForce } from "../../src/cli/policy-in-force.ts";
import { type PolicyView, policyView, renderPolicy } from "../../src/cli/policy-view.ts";
import { run } from "../../src/cli/program.ts";
import type { Session } from "../../src/cli/session.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { begin, closeAll, guarding } from "../operator/story.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "rollguard-policy-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
afterEach(closeAll);

const PLAIN = { terminal: false, color: false, width: 80, wide: false };

async function rollguard(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const io: Io = {
    ...PLAIN,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    signal: new AbortController().signal,
  };
  return { code: await run(args, "kubectl rollguard", io), out, err };
}

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const CHECK = `
  checks:
    - name: errors
      source: prometheus
      query: errors
      threshold: {max: LIMIT}
`;
const base = () =>
  file(
    "base.yaml",
    `apiVersion: rollguard.dev/v1alpha1
kind: ClusterRollbackPolicy
metadata: {name: base}
spec:
  enforcement: Required
  bake: 20m
  selector: {matchLabels: {tier: gold}}${CHECK.replace("LIMIT", "0.05")}`,
  );
const team = (limit = "0.1", more = "bake: 5m") =>
  file(
    "team.yaml",
    `apiVersion: rollguard.dev/v1alpha1
kind: RollbackPolicy
metadata: {name: team, namespace: fraud}
spec:
  ${more}${CHECK.replace("LIMIT", limit)}`,
  );
const deployment = (labels: string) =>
  file(
    "deployment.yaml",
    `apiVersion: rollguard.dev/v1alpha1
kind: ModelDeployment
metadata: {name: scorer, namespace: fraud, labels: ${labels}}
spec:
  model: scorer
  version: scorer-1
  policy: {name: team}
  template: {spec: {containers: [{name: server, image: "x:1"}]}}
`,
  );

test("files are merged as the operator would: values, origins, and what is refused by whom", async () => {
  const { code, out, err } = await rollguard("policy", "show", "-f", base(), "-f", team());
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain("ClusterRollbackPolicy/base (Required) < RollbackPolicy/team");
  expect(out).toMatch(/^bake +ClusterRollbackPolicy\/base +20m$/m);
  expect(out).toMatch(/^warmup +built-in +60s$/m);
  expect(out).toMatch(/^checks\[errors\]\.threshold\.max +ClusterRollbackPolicy\/base +0\.05$/m);
  expect(out).toContain("bake 5m of RollbackPolicy/team is refused by ClusterRollbackPolicy/base, which keeps 20m");
  expect(out).toContain("checks[errors].threshold.max 0.1 of RollbackPolicy/team is refused by ClusterRollbackPolicy/base");
});

test("as a document for programs", async () => {
  const { out } = await rollguard("policy", "show", "-f", base(), "-f", team("0.01"), "-o", "yaml");
  const view = load(out) as PolicyView;
  expect(view.fields).toContainEqual({ field: "checks[errors].threshold.max", value: 0.01, from: "RollbackPolicy/team" });
  expect(view.fields).toContainEqual({ field: "checks[errors].query", value: "errors", from: "ClusterRollbackPolicy/base" });
  expect(view.refused.map((one) => one.field)).toEqual(["bake"]);
  expect(view.layers.map((one) => one.name)).toEqual(["ClusterRollbackPolicy/base", "RollbackPolicy/team"]);
  const json = await rollguard("policy", "show", "-f", base(), "-f", team("0.01"), "-o", "json");
  expect(JSON.parse(json.out)).toEqual(view);
});

test.each([
  ["a deployment that a selector selects", "{tier: gold}", ["ClusterRollbackPolicy/base", "RollbackPolicy/team"]],
  ["a deployment that it does not select", "{tier: silver}", ["RollbackPolicy/team"]],
])("%s has these layers", async (_words, labels, layers) => {
  const { out } = await rollguard("policy", "show", "-f", base(), "-f", team(), "-f", deployment(labels), "-o", "json");
  expect((JSON.parse(out) as PolicyView).layers.map((one) => one.name)).toEqual(layers);
});

test("a policy that can't be in force says which field is wrong", async () => {
  const bad = team("0.1", 'freeze: [{schedule: "99 18 * * 5", duration: 1h}]');
  const { code, err } = await rollguard("policy", "show", "-f", bad);
  expect(code).toBe(1);
  expect(err).toContain("RollbackPolicy/team can't be used (freeze[0]");
});

test("neither a name nor a file is wrong usage, and so are both", async () => {
  expect((await rollguard("policy", "show")).code).toBe(2);
  expect((await rollguard("policy", "show", "scorer", "-f", team())).code).toBe(2);
});

test("of a deployment it shows what its operator decides by, also when that is the last valid policy", async () => {
  const simulation = begin();
  await simulation.apply({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "ClusterRollbackPolicy",
    metadata: { name: "base" },
    spec: { enforcement: "Required", rollback: { maxDepth: 2 } },
  });
  await guarding({}, simulation);
  const session = { client: simulation.tester, namespace: "default" } as unknown as Session;
  const show = async () => {
    const mdep = simulation.deployment();
    if (!mdep) throw new Error("no deployment");
    const { merged, policy } = await policyInForce(session, mdep);
    expect(policy.hash).toBe(mdep.status?.policy?.hash);
    const { current = true, message } = mdep.status?.policy ?? {};
    return renderPolicy(policyView(merged, { deployment: "default/toy", current, ...(message ? { message } : {}) }), PLAIN);
  };
  const before = await show();
  expect(before).toMatch(/^in force +as it is written$/m);
  expect(before).toMatch(/^rollback\.maxDepth +ClusterRollbackPolicy\/base +2$/m);
  expect(before).toMatch(/^bake +RollbackPolicy\/toy +4s$/m);
  await simulation.tester.delete(RESOURCES.rollbackPolicies, { namespace: "default", name: "toy" });
  await simulation.until("told", ({ status }) => status?.policy?.current === false);
  const after = await show();
  expect(after).toMatch(/^in force +the last valid one$/m);
  expect(after).toMatch(/^because +RollbackPolicy\/toy does not exist; the last valid one/m);
  expect(after).toMatch(/^bake +RollbackPolicy\/toy +4s$/m);
});
