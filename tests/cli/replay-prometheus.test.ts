// Replay from a real Prometheus that holds two past hours of a server, read by range queries. Runs where `prometheus` and `promtool`
// are installed.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Io } from "../../src/cli/io.ts";
import { run } from "../../src/cli/program.ts";
import { freePort } from "../support/free-port.ts";

const installed = ["prometheus", "promtool"].every((name) => spawnSync(name, ["--version"]).status === 0);

/** Whole minutes, and so far back that the time of the test does not matter. */
const FROM = Math.floor(Date.now() / 60_000) * 60 - 6 * 3600;
const MINUTES = 120;
/** From this minute on 5 % of the requests fail; before it 0.5 %. */
const BAD_FROM = 70;
const PER_MINUTE = 2000;

/** Counters of one pod as OpenMetrics with times, in seconds. */
function history(): string {
  const lines = ["# TYPE http_requests counter"];
  for (const code of ["200", "500"]) {
    let total = 0;
    for (let minute = 0; minute <= MINUTES; minute++) {
      const failed = PER_MINUTE * (minute >= BAD_FROM ? 0.05 : 0.005);
      total += code === "500" ? failed : PER_MINUTE - failed;
      lines.push(`http_requests_total{namespace="fraud",pod="scorer-r7-a",code="${code}"} ${total} ${FROM + minute * 60}`);
    }
  }
  return `${lines.join("\n")}\n# EOF\n`;
}

const POLICY = `apiVersion: rollguard.dev/v1alpha1
kind: RollbackPolicy
metadata: { name: errors, namespace: fraud }
spec:
  checks:
    - name: error-ratio
      source: prometheus
      ratio:
        numerator: sum(increase(http_requests_total{namespace="\${namespace}",pod=~"\${workload}-.+",code=~"5.."}[\${window}]))
        denominator: sum(increase(http_requests_total{namespace="\${namespace}",pod=~"\${workload}-.+"}[\${window}]))
        minSamples: 100
        confidence: 0.95
      window: 2m
      interval: 2m
      threshold: { max: 0.02 }
      breach: { count: 3, of: 5 }
      severity: Critical
`;

describe.runIf(installed)("replay from a real Prometheus", () => {
  const folder = mkdtempSync(join(tmpdir(), "rollguard-replay-"));
  let prometheus: ChildProcess | undefined;
  let address = "";

  beforeAll(async () => {
    writeFileSync(join(folder, "history.om"), history());
    writeFileSync(join(folder, "prometheus.yml"), "{}");
    writeFileSync(join(folder, "policy.yaml"), POLICY);
    const made = spawnSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", "history.om", "data"], { cwd: folder });
    expect(made.status, String(made.stderr)).toBe(0);
    const port = await freePort();
    address = `http://127.0.0.1:${port}`;
    const data = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`];
    prometheus = spawn("prometheus", [...data, `--web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" });
    await vi.waitFor(async () => expect((await fetch(`${address}/-/ready`)).status).toBe(200), {
      timeout: 25_000,
      interval: 100,
    });
  }, 60_000);

  afterAll(async () => {
    const exit = prometheus && new Promise((resolve) => prometheus?.once("exit", resolve));
    prometheus?.kill("SIGKILL");
    await exit;
    rmSync(folder, { recursive: true, force: true });
  });

  test("says when a policy would have rolled back, and how long the breach lasted before it was seen", async () => {
    const said = { out: "", err: "" };
    const io: Io = {
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
      },
      terminal: false,
      color: false,
      width: 120,
      signal: new AbortController().signal,
    };
    const at = (minute: number) => new Date((FROM + minute * 60) * 1000).toISOString();
    const policy = ["-f", join(folder, "policy.yaml"), "--prometheus", address];
    const where = ["--namespace", "fraud", "--workload", "scorer-r7", "--from", at(2), "--to", at(MINUTES)];
    const code = await run(["replay", ...policy, ...where, "-o", "json"], "rollguard", io);
    expect([code, said.err]).toEqual([0, ""]);
    const [replayed] = JSON.parse(said.out) as {
      incidents: { kind: string; at: number; firstBadAt: number; message?: string }[];
    }[];
    const [incident] = replayed?.incidents ?? [];
    expect(incident?.kind).toBe("Returned");
    // The first window of two minutes that is bad at all, and then three of them.
    const minutes = (time: number | undefined) => ((time ?? 0) / 1000 - FROM) / 60;
    expect(minutes(incident?.firstBadAt)).toBeGreaterThanOrEqual(BAD_FROM);
    expect(minutes(incident?.firstBadAt)).toBeLessThanOrEqual(BAD_FROM + 4);
    expect(minutes(incident?.at) - minutes(incident?.firstBadAt)).toBe(4);
  }, 60_000);
});
