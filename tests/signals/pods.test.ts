// The Pods source on real prom-client registries over HTTP: windows, restarts, pods that come, go and don't answer.

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { MemoryDispatcher } from "../../src/sandbox/apiserver/dispatcher.ts";
import type { PodTarget, Query, Source } from "../../src/signals/types.ts";
import { serve, type TestServer } from "./server.ts";
import { pod, ratio, scalar, source, VARIABLES } from "./support.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A model server's metrics; `restart` begins them anew, as a new process does. */
class ModelServer {
  #registry = new Registry();
  #counter = this.#makeCounter();
  #accuracy = this.#makeGauge();
  #latency = this.#makeHistogram();
  server: TestServer | undefined;
  answer: "metrics" | "failure" | "html" = "metrics";

  static async start(): Promise<ModelServer> {
    const model = new ModelServer();
    const server = await serve(async (_req, res) => {
      if (model.answer === "failure") return void res.writeHead(503).end();
      if (model.answer === "html") return void res.writeHead(200, { "content-type": "text/html" }).end("<html></html>");
      res.writeHead(200, { "content-type": model.#registry.contentType }).end(await model.#registry.metrics());
    });
    model.server = server;
    cleanups.push(() => server.close());
    return model;
  }

  get port(): number {
    return this.server?.port ?? 0;
  }

  get scrapes(): number {
    return this.server?.requests.length ?? 0;
  }

  serve(code: string, count: number): void {
    this.#counter.inc({ code }, count);
  }

  accuracy(value: number): void {
    this.#accuracy.set(value);
  }

  observe(...seconds: number[]): void {
    for (const value of seconds) this.#latency.observe(value);
  }

  restart(): void {
    this.#registry = new Registry();
    this.#counter = this.#makeCounter();
    this.#accuracy = this.#makeGauge();
    this.#latency = this.#makeHistogram();
  }

  #makeCounter() {
    return new Counter({ name: "requests_total", help: "h", labelNames: ["code"], registers: [this.#registry] });
  }
  #makeGauge() {
    return new Gauge({ name: "accuracy", help: "h", registers: [this.#registry] });
  }
  #makeHistogram() {
    return new Histogram({ name: "latency_seconds", help: "h", buckets: [0.1, 0.2, 1], registers: [this.#registry] });
  }
}

/** A scrape may be reused for 30 ms only, so that the tests need not wait for a tick. */
function opened(...[spec, deps]: Parameters<typeof source>): Source {
  const asked = source(spec, { coalesceMs: 30, ...deps });
  cleanups.push(() => asked.close());
  return asked;
}

// Wide enough that a slow machine lets no sample fall out of it. Scrapes then come every 1.5 s, and at each read.
const WINDOW = { windowMs: 6000, variables: { ...VARIABLES, window: "6s" } };

const ERRORS = (pods: PodTarget[], more: Partial<Query> = {}): Query =>
  ratio(
    'sum(increase(requests_total{namespace="${namespace}",pod=~"${workload}-.+",code=~"5.."}[${window}]))',
    'sum(increase(requests_total{namespace="${namespace}",pod=~"${workload}-.+"}[${window}]))',
    { pods, ...WINDOW, ...more },
  );

/** Half of the time between two scrapes of WINDOW, and some: growth is not told from less. */
const APART = 800;

const pause = (ms = 300) => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads again, from a new scrape. */
async function reread(asked: Source, query: Query, ms = 60) {
  await pause(ms);
  return asked.read(query);
}

describe("Pods: increase over real counters", () => {
  it("counts what happened between the scrapes, through a restart, and first errors too", async () => {
    const model = await ModelServer.start();
    const asked = opened({ type: "Pods" });
    const query = ERRORS([pod(model.port, "scorer-r7-a")]);
    model.serve("200", 1000);
    expect(await asked.read(query)).toMatchObject({ kind: "Empty", denominator: 0 });
    model.serve("200", 90);
    // The first errors: a series that was not there before.
    model.serve("500", 10);
    expect(await reread(asked, query, APART)).toMatchObject({ kind: "Value", numerator: 10, denominator: 100, value: 0.1 });
    model.restart();
    model.serve("200", 40);
    model.serve("500", 4);
    expect(await reread(asked, query, APART)).toMatchObject({ kind: "Value", numerator: 14, denominator: 144 });
  });

  it("a window that no two scrapes cover is Empty, and not 0", async () => {
    const model = await ModelServer.start();
    const asked = opened({ type: "Pods" });
    const query = scalar("sum(rate(requests_total[6s])) or vector(0)", { pods: [pod(model.port)], ...WINDOW });
    // Two scrapes that follow each other at once are no better.
    for (const reading of [await asked.read(query), await reread(asked, query)]) {
      expect(reading).toMatchObject({ kind: "Empty", message: expect.stringContaining("not covered yet") });
    }
    model.serve("200", 1);
    expect((await reread(asked, query, APART)).kind).toBe("Value");
  });

  it("quantiles and gauges over several pods", async () => {
    const [a, b] = [await ModelServer.start(), await ModelServer.start()];
    const asked = opened({ type: "Pods" });
    const pods = [pod(a.port, "scorer-r7-a"), pod(b.port, "scorer-r7-b")];
    a.accuracy(0.8);
    b.accuracy(0.6);
    const p50 = scalar("histogram_quantile(0.5, sum by (le) (rate(latency_seconds_bucket[6s])))", { pods, ...WINDOW });
    expect((await asked.read(p50)).kind).toBe("Empty");
    a.observe(0.05, 0.15);
    b.observe(0.15, 0.15);
    const readings = await Promise.all([reread(asked, p50, APART), reread(asked, scalar("avg(accuracy)", { pods }), APART)]);
    // Rank 2 of 4: one is below 0.1, so one third of the way through the three up to 0.2.
    expect(readings[0]?.value).toBeCloseTo(0.1 + 0.1 / 3, 9);
    expect(readings[1]?.value).toBeCloseTo(0.7, 9);
    expect(await asked.read(scalar("accuracy", { pods }))).toMatchObject({ kind: "TooManySeries" });
    expect(await asked.read(scalar('accuracy{pod="scorer-r7-b"}', { pods }))).toMatchObject({ value: 0.6 });
    expect(await asked.read(scalar(`accuracy{instance="127.0.0.1:${a.port}"}`, { pods }))).toMatchObject({ value: 0.8 });
  });

  it("goes on scraping between reads, so that a short window has samples in it", async () => {
    const model = await ModelServer.start();
    const asked = opened({ type: "Pods" });
    const query = scalar("sum(increase(requests_total[1s]))", { pods: [pod(model.port)], windowMs: 1000 });
    await asked.read(query);
    const before = model.scrapes;
    await expect.poll(() => model.scrapes, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + 3);
    asked.close();
    await pause(50);
    const after = model.scrapes;
    await pause(600);
    expect(model.scrapes).toBe(after);
  });
});

describe("Pods: pods that don't answer", () => {
  it("are left out and named, and are back when they answer", async () => {
    const [a, b] = [await ModelServer.start(), await ModelServer.start()];
    const asked = opened({ type: "Pods" });
    const query = scalar("sum(accuracy)", { pods: [pod(a.port, "a"), pod(b.port, "b")] });
    a.accuracy(1);
    b.accuracy(2);
    expect(await asked.read(query)).toEqual({ at: expect.any(Number), kind: "Value", value: 3 });
    b.answer = "failure";
    expect(await reread(asked, query)).toMatchObject({
      kind: "Value",
      value: 1,
      message: "1 of 2 pods answered; left out: b (HTTP 503)",
    });
    b.answer = "html";
    expect(await reread(asked, query)).toMatchObject({ kind: "Value", value: 1, message: expect.stringContaining("HTML") });
    expect(await asked.read(scalar('up{pod="b"}', { pods: query.pods }))).toMatchObject({ kind: "Value", value: 0 });
    a.answer = "failure";
    const none = await reread(asked, query);
    expect(none).toMatchObject({ kind: "Error", message: expect.stringContaining("no pod answered: ") });
    expect(none.message).toContain("a (HTTP 503)");
    a.answer = b.answer = "metrics";
    expect(await reread(asked, query)).toMatchObject({ kind: "Value", value: 3 });
  });

  it("without a port or an address they are left out too", async () => {
    const model = await ModelServer.start();
    model.accuracy(1);
    const asked = opened({ type: "Pods" });
    const pods = [
      pod(model.port, "a"),
      { name: "b", ip: "127.0.0.1" },
      { name: "c", ip: "", port: 80 },
      { name: "d", ip: "evil.example", port: 80 },
    ];
    const reading = await asked.read(scalar("sum(accuracy)", { pods: [...pods, { name: "e", ip: "127.0.0.1", port: 0 }] }));
    expect(reading).toMatchObject({ kind: "Value", value: 1 });
    expect(reading.message).toBe(
      "1 of 5 pods answered; left out: b (it shows no port to scrape), c (it has no IP address yet), d (it has no IP address yet), 1 more",
    );
    expect(await asked.read(scalar("sum(accuracy)"))).toMatchObject({ kind: "Empty", message: "there is no pod to scrape" });
  });

  it("a pod's own path is asked of that pod and of nobody else", async () => {
    const model = await ModelServer.start();
    model.accuracy(1);
    const asked = opened({ type: "Pods" });
    for (const path of ["/custom/metrics?format=prometheus", "//evil.example/x", "http://evil.example/", "@evil.example"]) {
      await asked.read(scalar("accuracy", { pods: [{ ...pod(model.port), path }] }));
    }
    expect(model.server?.requests.map((request) => request.url)).toEqual([
      "/custom/metrics?format=prometheus",
      "//evil.example/x",
      "/http://evil.example/",
      "/@evil.example",
    ]);
  });

  it("gets no credential and no header of the source", async () => {
    const model = await ModelServer.start();
    const auth = { secretRef: { name: "token", key: "t" } };
    const asked = opened({ type: "Pods", auth, headers: { "x-key": "secret" } }, { secret: () => Promise.resolve("secret") });
    await asked.read(scalar("accuracy", { pods: [pod(model.port)] }));
    expect(model.server?.requests[0]?.headers).not.toHaveProperty("authorization");
    expect(model.server?.requests[0]?.headers).not.toHaveProperty("x-key");
  });
});

describe("Pods: scraping", () => {
  it("one scrape serves all checks that read in the same tick", async () => {
    const model = await ModelServer.start();
    model.accuracy(0.5);
    const asked = opened({ type: "Pods" }, { coalesceMs: 1000 });
    const pods = [pod(model.port)];
    const queries = [
      ERRORS(pods),
      scalar("avg(accuracy)", { pods }),
      scalar("sum(rate(latency_seconds_count[1m]))", { pods }),
      scalar("up", { pods }),
    ];
    const first = await Promise.all([...queries, ...queries].map((query) => asked.read(query)));
    expect(model.scrapes).toBe(1);
    expect(new Set(first.map((reading) => reading.at)).size).toBe(1);
    // A moment later nothing is asked again either.
    await Promise.all(queries.map((query) => asked.read(query)));
    expect(model.scrapes).toBe(1);
    await pause(1050);
    await Promise.all(queries.map((query) => asked.read(query)));
    expect(model.scrapes).toBe(2);
  });

  it("keeps two revisions and two namespaces apart", async () => {
    const [a, b] = [await ModelServer.start(), await ModelServer.start()];
    a.accuracy(1);
    b.accuracy(2);
    const asked = opened({ type: "Pods" });
    const of = (port: number, workload: string, namespace: string) =>
      scalar('accuracy{namespace="${namespace}",pod=~"${workload}-.+"}', {
        pods: [pod(port, `${workload}-x`)],
        variables: { ...VARIABLES, workload, namespace },
      });
    const queries = [of(a.port, "scorer-r7", "fraud"), of(b.port, "scorer-r8", "fraud"), of(b.port, "scorer-r7", "ranking")];
    expect((await Promise.all(queries.map((query) => asked.read(query)))).map((reading) => reading.value)).toEqual([1, 2, 2]);
  });

  it("two readers that disagree on the pods both get an answer", async () => {
    const [a, b] = [await ModelServer.start(), await ModelServer.start()];
    a.accuracy(1);
    b.accuracy(2);
    const asked = opened({ type: "Pods" });
    const readings = await Promise.all([
      asked.read(scalar("sum(accuracy)", { pods: [pod(a.port, "a")] })),
      asked.read(scalar("sum(accuracy)", { pods: [pod(a.port, "a"), pod(b.port, "b")] })),
    ]);
    expect(readings.map((reading) => reading.value)).toEqual([1, 3]);
  });

  it("the age of the newest sample is that of its scrape", async () => {
    const model = await ModelServer.start();
    model.accuracy(1);
    const asked = opened({ type: "Pods" });
    const query = scalar("avg(accuracy)", { pods: [pod(model.port)], freshness: 'max(timestamp(up{pod=~"${workload}-.+"}))' });
    const before = Date.now();
    const reading = await asked.read(query);
    expect(reading.kind).toBe("Value");
    expect(reading.at).toBeGreaterThanOrEqual(before - 1000);
    expect(reading.at).toBeLessThanOrEqual(Date.now() + 1000);
    const later = await reread(asked, query);
    expect(later.at).toBeGreaterThan(reading.at);
  });

  it("a label without bounds is refused rather than kept", async () => {
    const lines = Array.from({ length: 2001 }, (_, index) => `many{id="${index}"} 1\n`).join("");
    const server = await serve((_req, res) => void res.end(`few 1\n${lines}`));
    cleanups.push(() => server.close());
    const asked = opened({ type: "Pods" });
    expect(await asked.read(scalar("few", { pods: [pod(server.port)] }))).toMatchObject({ kind: "Value", value: 1 });
    const reading = await asked.read(scalar("sum(many)", { pods: [pod(server.port)] }));
    expect(reading).toMatchObject({ kind: "Error", message: expect.stringContaining("more than 2000 series") });
  });

  it("pods that are too much only together are refused together, and read again when they are not", async () => {
    let each = 1900;
    const page = () => Array.from({ length: each }, (_, index) => `many{id="${index}"} 1\n`).join("");
    const server = await serve((_req, res) => void res.end(page()));
    cleanups.push(() => server.close());
    const asked = opened({ type: "Pods" });
    const pods = Array.from({ length: 11 }, (_, index) => pod(server.port, `scorer-r7-${index}`));
    const reading = await asked.read(scalar("sum(many)", { pods }));
    expect(reading).toMatchObject({ kind: "Error", message: expect.stringContaining("together show more than 20000 series") });
    each = 1000;
    expect(await reread(asked, scalar("sum(many)", { pods }))).toMatchObject({ kind: "Value", value: 11_000 });
  });

  it("what many pods show at the same time is read one by one, and other work comes between", async () => {
    const body = "# TYPE x gauge\nx 1\n";
    const dispatcher = new MemoryDispatcher(() => Promise.resolve({ status: 200, headers: {}, body }));
    const turnsOf = async (count: number) => {
      const asked = opened({ type: "Pods" }, { dispatcher, concurrency: 64 });
      let turns = 0;
      let over = false;
      const turn = () => {
        turns++;
        if (!over) setImmediate(turn);
      };
      setImmediate(turn);
      const pods = Array.from({ length: count }, (_, index) => pod(80, `scorer-r7-${index}`));
      expect(await asked.read(scalar("sum(x)", { pods }))).toMatchObject({ kind: "Value", value: count });
      over = true;
      return turns;
    };
    const [few, many] = [await turnsOf(2), await turnsOf(60)];
    expect(many - few).toBeGreaterThanOrEqual(50);
  });

  it("labels that the pod uses itself are kept as exported_…", async () => {
    const server = await serve((_req, res) => void res.end('x{namespace="other",pod="p"} 1\nup 5\n'));
    cleanups.push(() => server.close());
    const asked = opened({ type: "Pods" });
    const query = scalar('x{namespace="fraud",exported_namespace="other",exported_pod="p"}', { pods: [pod(server.port)] });
    expect(await asked.read(query)).toMatchObject({ kind: "Value", value: 1 });
    expect(await asked.read(scalar("up", { pods: [pod(server.port)] }))).toMatchObject({ kind: "Value", value: 1 });
  });
});
