// The Pods source beside a real Prometheus: the same queries on the same targets. Runs where a `prometheus` is installed.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { PRESET_MEASURES_OF, PRESET_SERVERS } from "../../src/api/reasons.ts";
import { presetOf } from "../../src/core/presets.ts";
import type { PodTarget, Query, Source } from "../../src/signals/types.ts";
import { freePort } from "../support/free-port.ts";
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
  let address = "";

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
    address = `http://127.0.0.1:${port}`;
    sources.prometheus = source({ type: "Prometheus", address }, { coalesceMs: 0 });
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

  it("every preset is a query that Prometheus takes", async () => {
    const texts = PRESET_SERVERS.flatMap((server) => PRESET_MEASURES_OF[server].map((measure) => presetOf(server, measure)));
    const queries = texts.flatMap((preset) => [preset?.query, preset?.ratio?.numerator, preset?.ratio?.denominator]);
    const readings = await Promise.all(
      queries.flatMap((query) => (query === undefined ? [] : [sources.prometheus?.read(scalar(query, WINDOW))])),
    );
    expect(readings.length).toBe(20);
    for (const reading of readings) expect(["Value", "Empty"], reading?.message).toContain(reading?.kind);
  });

  it("a range gives what instant queries give at its times", async () => {
    const queries = [...QUERIES.map(([query]) => query), scalar("requests_total", WINDOW), scalar("sum(none)", WINDOW)];
    const toMs = Date.now() - 1000;
    const span = { fromMs: toMs - 3000, toMs, stepMs: 500 };
    const readings = await Promise.all(queries.map((query) => sources.prometheus?.readRange?.(query, span)));
    for (const [index, query] of queries.entries()) {
      const expected: unknown[] = [];
      for (let at = span.fromMs; at <= toMs; at += span.stepMs) expected.push(await instantly(query, at));
      expect(readings[index]?.map(({ kind, value }) => ({ kind, value }))).toEqual(expected);
    }
  });

  /** What Prometheus' own API says of a query at a time, in the simplest reading of it. */
  async function instantly(query: Query, at: number): Promise<{ kind: string; value: number | undefined }> {
    const text = (template: string) =>
      template.replaceAll("${window}", "4s").replaceAll("${namespace}", "fraud").replaceAll("${workload}", "scorer-r7");
    const value = async (template: string): Promise<number[]> => {
      const url = `${address}/api/v1/query?time=${(at / 1000).toFixed(3)}&query=${encodeURIComponent(text(template))}`;
      const { data } = (await (await fetch(url)).json()) as { data: { result: { value: [number, string] }[] } };
      return data.result.map((series) => Number(series.value[1]));
    };
    if (query.kind === "ratio") {
      const [all, bad] = [await value(query.denominator), await value(query.numerator)];
      return { kind: "Value", value: (bad[0] ?? 0) / (all[0] ?? 0) };
    }
    const found = await value(query.query);
    if (found.length !== 1) return { kind: found.length === 0 ? "Empty" : "TooManySeries", value: undefined };
    return { kind: "Value", value: found[0] };
  }

  it("queries asked as one get what each gets alone", async () => {
    // At a time of the past, so that both see the same samples.
    const at = Math.floor(Date.now() / 1000) - 1;
    const selectors = /(\w+\{[^}]*\}|\b(?:accuracy|up|latency_seconds_bucket|requests_total)\b)(\[[^\]]*\])?/g;
    const past = QUERIES.flatMap(([query]) => (query.kind === "scalar" ? [query.query] : [])).map((text) =>
      scalar(text.replace(selectors, `$1$2 @ ${at}`), WINDOW),
    );
    const counting = source({ type: "Prometheus", address }, { coalesceMs: 0, onQuery: () => void asked++ });
    cleanups.push(() => counting.close());
    let asked = 0;
    const together = await Promise.all(past.map((query) => counting.read(query)));
    expect(asked).toBe(1);
    for (const [index, query] of past.entries()) {
      const alone = await counting.read(query);
      expect([together[index]?.kind, together[index]?.value]).toEqual([alone.kind, alone.value]);
    }
  });

  it("512 queries are one request, and two whose series differ only by our mark are still two", async () => {
    let asked = 0;
    const counting = source({ type: "Prometheus", address }, { coalesceMs: 0, onQuery: () => void asked++ });
    cleanups.push(() => counting.close());
    const queries = Array.from({ length: 508 }, (_, index) => scalar(`sum(accuracy) * 0 + ${index}`));
    const marks = [
      'label_replace(accuracy{pod="scorer-r7-a"}, "rollguard_query", "0", "", "")',
      'sum by (rollguard_query) (label_replace(accuracy, "rollguard_query", "$1", "pod", "(.*)"))',
      '{__name__=~"accuracy|up",pod="scorer-r7-a"}',
      'scalar(accuracy{pod="scorer-r7-b"})',
    ].map((text) => scalar(text));
    const readings = await Promise.all([...queries, ...marks.filter((_, index) => index !== 1)].map((one) => counting.read(one)));
    expect(asked).toBe(1);
    expect(readings.slice(0, 508).map(({ value }) => value)).toEqual(Array.from({ length: 508 }, (_, index) => index));
    expect(readings.slice(508).map(({ kind, value }) => [kind, value])).toEqual([
      ["Value", 0.9],
      ["TooManySeries", undefined],
      ["Value", 0.6],
    ]);
    // The one whose own series can't bear our mark spoils the group, is found, and harms nobody.
    const spoiled = await Promise.all([...queries, ...marks.slice(1, 2)].map((one) => counting.read(one)));
    expect(spoiled.map(({ value }) => value)).toEqual([...Array.from({ length: 508 }, (_, index) => index), undefined]);
    expect(spoiled.at(-1)?.kind).toBe("TooManySeries");
  });
});

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}
