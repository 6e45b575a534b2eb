// The Pods source beside a real Prometheus: the same queries on the same targets. Runs where a `prometheus` is installed.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { PodTarget, Query, Source } from "../../src/signals/types.ts";
import { serve } from "./server.ts";
import { pod, ratio, scalar, source, VARIABLES } from "./support.ts";

const installed = spawnSync("prometheus", ["--version"]).status === 0;

const WINDOW = { windowMs: 4000, variables: { ...VARIABLES, window: "4s" } };
const OURS = '{namespace="${namespace}",pod=~"${workload}-.+"}';

/** A query and how far the two may be apart: nothing for what is now, more for growth, which Prometheus extrapolates. */
const QUERIES: readonly [Query, number][] = [
  [scalar(`sum(accuracy${OURS})`, WINDOW), 0],
  [scalar('accuracy{pod="${workload}-b"}', WINDOW), 0],
  [scalar(`avg(accuracy) - min(accuracy) * 2 + max(accuracy${OURS}) / count(accuracy)`, WINDOW), 1e-9],
  [scalar('count(requests_total{code=~"2.."}) or vector(0)', WINDOW), 0],
  [scalar("sum(no_such_metric) or vector(7)", WINDOW), 0],
  [scalar("histogram_quantile(0.9, sum by (le) (latency_seconds_bucket))", WINDOW), 0.01],
  [scalar("histogram_quantile(0.5, sum without (pod, instance, job) (rate(latency_seconds_bucket[${window}])))", WINDOW), 0.1],
  [scalar(`sum(rate(requests_total${OURS}[\${window}]))`, WINDOW), 0.35],
  [scalar(`sum(increase(requests_total${OURS}[\${window}]))`, WINDOW), 0.5],
  [ratio('sum(increase(requests_total{code="500"}[${window}]))', "sum(increase(requests_total[${window}]))", WINDOW), 0.25],
  [scalar("avg(max_over_time(accuracy[${window}]))", WINDOW), 0],
  [scalar("max(timestamp(up))", WINDOW), 1e-9],
];

describe.runIf(installed)("the same queries on the same targets, by Prometheus and by Pods", () => {
  const cleanups: (() => unknown)[] = [];
  const sources: { prometheus?: Source; pods?: Source } = {};
  const targets: PodTarget[] = [];

  beforeAll(async () => {
    for (const name of ["scorer-r7-a", "scorer-r7-b"]) targets.push(await model(name));
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "rollguard-prometheus-"));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const jobs = targets.map(({ name, port: target }) => ({
      targets: [`127.0.0.1:${target}`],
      labels: { namespace: "fraud", pod: name },
    }));
    const config = {
      global: { scrape_interval: "500ms", scrape_timeout: "500ms" },
      scrape_configs: [{ job_name: "models", static_configs: jobs }],
    };
    // JSON is YAML.
    writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
    const args = [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const child = spawn("prometheus", args, { stdio: "ignore" });
    cleanups.push(() => ended(child));
    sources.prometheus = source({ type: "Prometheus", address: `http://127.0.0.1:${port}` }, { coalesceMs: 0 });
    sources.pods = source({ type: "Pods" });
    cleanups.push(
      () => sources.prometheus?.close(),
      () => sources.pods?.close(),
    );
    // What nobody asks for isn't kept: ask for all of it, until both have scrapes all over the window.
    const covered = scalar("min(count_over_time(accuracy[4s]))", WINDOW);
    await vi.waitFor(
      async () => {
        await Promise.all(QUERIES.map(([query]) => ask(sources.pods, query)));
        for (const asked of [sources.prometheus, sources.pods])
          expect((await ask(asked, covered)).value).toBeGreaterThanOrEqual(4);
      },
      { timeout: 25_000, interval: 250 },
    );
    await new Promise((resolve) => setTimeout(resolve, 4500));
  }, 40_000);

  afterAll(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  function ask(asked: Source | undefined, query: Query) {
    if (!asked) throw new Error("not started");
    return asked.read({ ...query, pods: targets });
  }

  async function model(name: string): Promise<PodTarget> {
    const registry = new Registry();
    const registers = [registry];
    const requests = new Counter({ name: "requests_total", help: "h", labelNames: ["code"], registers });
    const latency = new Histogram({ name: "latency_seconds", help: "h", buckets: [0.1, 0.5, 1], registers });
    new Gauge({ name: "accuracy", help: "h", registers }).set(name.endsWith("a") ? 0.9 : 0.6);
    for (const value of [0.05, 0.3, 0.3, 0.7, 2]) latency.observe(value);
    // Steady traffic, with a restart of the counters every second and a half on one of them.
    let ticks = 0;
    const timer = setInterval(() => {
      if (name.endsWith("b") && ++ticks % 75 === 0) requests.reset();
      requests.inc({ code: "200" }, 9);
      requests.inc({ code: "500" }, 1);
    }, 20);
    const traffic = setInterval(() => {
      for (const value of [0.05, 0.3, 0.3, 0.7]) latency.observe(value);
    }, 100);
    const server = await serve(
      async (_req, res) => void res.setHeader("content-type", registry.contentType).end(await registry.metrics()),
    );
    cleanups.push(() => {
      clearInterval(timer);
      clearInterval(traffic);
      return server.close();
    });
    return pod(server.port, name);
  }

  it.each(
    QUERIES.map(([query, tolerance]) => [query.kind === "ratio" ? query.numerator : query.query, tolerance, query] as const),
  )("%s, within %f", async (_text, tolerance, query) => {
    const [theirs, ours] = await Promise.all([ask(sources.prometheus, query), ask(sources.pods, query)]);
    expect([theirs.kind, ours.kind]).toEqual(["Value", "Value"]);
    const [a, b] = [theirs.value ?? Number.NaN, ours.value ?? Number.NaN];
    expect(Math.abs(a - b), `Prometheus says ${a}, Pods ${b}`).toBeLessThanOrEqual(tolerance * Math.abs(a));
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}
