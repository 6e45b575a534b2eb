// What a person asks for by the command line: against the real API server, handled by the real operator.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { run } from "../../src/cli/program.ts";
import { targetOf, willHappen } from "../../src/cli/requests.ts";
import { systemClock } from "../../src/clock.ts";
import { runOperator } from "../../src/controllers/operator.ts";
import { connect } from "../../src/kube/client.ts";
import { silentLogger } from "../../src/log.ts";
import { ApiServer, kubeconfig } from "../../src/sandbox/apiserver/index.ts";
import { Health } from "../../src/server/health.ts";
import { createMetrics } from "../../src/telemetry.ts";
import { deployment, guarding, identity, ref } from "./fixtures.ts";

const MDEPS = { group: "rollguard.dev", version: "v1alpha1", resource: "modeldeployments" };
const dir = mkdtempSync(join(tmpdir(), "rollguard-requests-"));
const config = join(dir, "config");
const stop = new AbortController();
let server: ApiServer;
let close: () => Promise<void>;
let operator: Promise<void>;

beforeAll(async () => {
  server = new ApiServer({ clock: systemClock });
  const listening = await server.listen();
  close = listening.close;
  writeFileSync(config, kubeconfig(listening.url));
  for (const file of readdirSync("crds").filter((name) => name.endsWith(".yaml")))
    server.installCrd(load(readFileSync(`crds/${file}`, "utf8")));
  const client = connect({ clock: systemClock, dispatcher: server.dispatcher(), userAgent: "operator" });
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "fraud" } });
  await client.create(mdep("scorer") as never);
  operator = runOperator(
    {
      operatorNamespace: "default",
      leaderElect: false,
      identity: "operator",
      environment: "",
      workers: 1,
      logLevel: "error",
      logFormat: "json",
      fetchImage: "rollguard",
      namespaces: ["fraud"],
    },
    {
      logger: silentLogger,
      metrics: createMetrics().metrics,
      health: new Health(),
      clock: systemClock,
      signal: stop.signal,
      client,
    },
  );
  await seen("scorer");
});

afterAll(async () => {
  stop.abort(new Error("the test is over"));
  await operator.catch(() => undefined);
  server.close();
  await close();
  rmSync(dir, { recursive: true, force: true });
});

const mdep = (name: string) => {
  const { apiVersion, kind, spec } = guarding();
  return { apiVersion, kind, metadata: { name, namespace: "fraud" }, spec };
};
const live = (name = "scorer") => server.get(MDEPS, "fraud", name) as unknown as ModelDeployment;

async function seen(name: string): Promise<void> {
  while (!live(name).status?.handled) await new Promise((resolve) => setTimeout(resolve, 20));
}

const ask = (...args: string[]) => askIn("fraud", ...args);

async function askIn(namespace: string, ...args: string[]) {
  let out = "";
  let err = "";
  const io = {
    out(text: string) {
      out += text;
    },
    err(text: string) {
      err += text;
    },
    terminal: false,
    color: false,
    width: 120,
    signal: new AbortController().signal,
  };
  const code = await run([...args, "-n", namespace, "--kubeconfig", config], "kubectl-rollguard", io);
  return { code, out, err };
}

describe("kubectl-rollguard asks, and waits until it is handled", () => {
  test("pause and resume, each with a token of its own, by a field manager of its own", async () => {
    const paused = await ask("pause", "scorer");
    expect(paused).toMatchObject({ code: 0, err: "" });
    expect(paused.out).toContain("rollouts and automatic returns stop");
    expect(paused.out).toMatch(/asked: rollguard.dev\/pause: scorer\/\d{4}-\d\d-\d\dT\S+\ndone: /);
    expect(live().status?.paused).toBe(true);
    const fields = live().metadata.managedFields as { manager: string; fieldsV1: object }[];
    const owners = fields.filter((one) => JSON.stringify(one.fieldsV1).includes("f:rollguard.dev/pause"));
    expect(owners.map((one) => one.manager)).toEqual(["kubectl-rollguard"]);
    expect((await ask("resume", "scorer")).code).toBe(0);
    expect(live().status?.paused).toBe(false);
    // The same command again is a new request.
    expect((await ask("pause", "scorer")).code).toBe(0);
    expect(live().status?.paused).toBe(true);
    await ask("resume", "scorer");
  });

  test("what is refused fails, and says why", async () => {
    const refused = await ask("promote", "scorer", "r7");
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("refused: r7 is neither the candidate nor baking");
  });

  test("--reason is written as the change-cause in the same write", async () => {
    const causes: (string | undefined)[] = [];
    const unwatch = server.watch(MDEPS, ({ object }) => {
      const { annotations } = object.metadata;
      if (annotations?.["rollguard.dev/rollback-to"]?.startsWith("previous/"))
        causes.push(annotations["rollguard.dev/change-cause"]);
    });
    expect((await ask("rollback", "scorer", "--reason", "refunds are refused", "--no-wait")).code).toBe(0);
    expect(causes.length).toBeGreaterThan(0);
    expect(new Set(causes)).toEqual(new Set(["refunds are refused"]));
    unwatch();
  });

  test("as a document it is the request and what came of it", async () => {
    const { out, code } = await ask("pause", "scorer", "-o", "json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ request: "rollguard.dev/pause", handled: true });
    await ask("resume", "scorer");
  });

  test("it says when nothing handles it, and that it stays asked", async () => {
    // In a namespace that no operator watches; it was looked at before.
    const client = connect({ clock: systemClock, dispatcher: server.dispatcher(), userAgent: "test" });
    await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "left" } });
    const created = await client.create({ ...mdep("old"), metadata: { name: "old", namespace: "left" } } as never);
    server.updateStatus(MDEPS, { ...(created as object), status: { handled: {} } } as never);
    const { code, err } = await askIn("left", "pause", "old", "--timeout", "0.5");
    expect(code).toBe(1);
    expect(err).toContain("no operator handled it within 0.5 s; it stays asked");
    await client.close();
  });

  test.each([
    [["pause"], 2, "missing required argument"],
    [["pause", "nobody"], 1, "there is no ModelDeployment nobody"],
    [["approve", "scorer"], 1, "nothing is recommended for scorer now"],
    [["promote", "scorer"], 1, "nothing bakes"],
    [["rollback", "scorer", "../x"], 2, "the target must be the name of a version"],
    [["pause", "scorer", "--timeout", "soon"], 2, "--timeout must be a number of seconds"],
  ])("%s fails with %d: %s", async (args, code, words) => {
    const result = await ask(...args);
    expect(result.code).toBe(code);
    expect(result.err).toContain(words);
  });
});

describe("it says what will happen before it asks", () => {
  const status = (more: object) => deployment("scorer", { active: ref(2, { standing: "Proven" }), ...more });
  const recommendation = {
    action: "Return",
    mode: "Recommend",
    from: identity(2),
    to: identity(1),
    reason: "Breached",
    message: "error-ratio (≤ 0.02) is breached",
    since: "2026-11-24T11:00:00Z",
  } as const;

  test.each([
    ["approve", status({ recommendation }), "r2", ["back to r1 (scorer-1.0.0)", "error-ratio (≤ 0.02) is breached"]],
    ["rollbackTo", status({}), "previous", ["from r2 (scorer-2.0.0) back to previous", "is quarantined until a retry"]],
    [
      "promote",
      status({ candidate: ref(3), freeze: { active: true, from: "a", until: "2026-11-30", schedule: "s" } }),
      "r3",
      ["r3 (scorer-3.0.0) takes the traffic", "past the freeze until 2026-11-30"],
    ],
    ["promote", status({ active: ref(2, { baking: true }) }), "r2", ["r2 counts as proven before its bake is over"]],
    ["retry", status({}), "scorer-1.0.0", ["the quarantine or stall of scorer-1.0.0 is lifted"]],
    ["pause", status({}), "scorer", ["the returns of a Required policy go on"]],
    ["resume", status({}), "scorer", ["what was held meanwhile is done now"]],
  ] as const)("%s %#", (kind, mdep, target, words) => {
    expect(targetOf(kind, mdep)).toBe(target);
    for (const one of words) expect(willHappen(kind, mdep, target)).toContain(one);
  });
});
