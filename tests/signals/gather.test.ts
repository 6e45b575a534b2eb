// Queries of one tick are one request, exact for each of them, and nobody's query harms another's.

import { afterEach, describe, expect, it } from "vitest";
import { shapeOf } from "../../src/signals/promql/shape.ts";
import type { Query, Source } from "../../src/signals/types.ts";
import { answerQueries, queriesOf } from "../support/queries.ts";
import { serve, type TestServer } from "./server.ts";
import { ratio, scalar, source, VARIABLES } from "./support.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Refusal = { code: number; error: string } | "hang" | undefined;

/** Answers each query with its own number; may refuse a request by the queries that it holds. */
async function played(refuse: (texts: string[]) => Refusal = () => undefined): Promise<TestServer> {
  const server: TestServer = await serve((_req, res) => {
    const body = server.requests.at(-1)?.body ?? "";
    const refusal = refuse(queriesOf(body).map(({ text }) => text));
    if (refusal === "hang") return;
    if (refusal)
      return void res.writeHead(refusal.code).end(JSON.stringify({ status: "error", errorType: "x", error: refusal.error }));
    res.end(answerQueries(body, Date.now(), (text) => valuesOf(text)));
  });
  cleanups.push(() => server.close());
  return server;
}

const valuesOf = (text: string): (number | string)[] => {
  if (text === "nothing") return [];
  if (text === "two") return [1, 2];
  if (text === "nan") return ["NaN"];
  return [Number(/\d+/.exec(text)?.[0] ?? "0")];
};

function opened(server: TestServer, more: object = {}): Source {
  const asked = source({ type: "Prometheus", address: server.url, timeout: "2s", ...more });
  cleanups.push(() => asked.close());
  return asked;
}

const many = (count: number): Query[] => Array.from({ length: count }, (_, index) => scalar(`sum(metric_${index})`));

describe("queries that fall due at the same time are asked as one", () => {
  it("and each gets its own answer, of whatever kind", async () => {
    const server = await played();
    const asked = opened(server);
    const queries = [
      scalar("sum(metric_7)"),
      ratio("bad_1", "all_4"),
      scalar("two"),
      scalar("nothing"),
      scalar("nan"),
      scalar("scalar(metric_9)"),
      ratio("nothing", "all_5"),
    ];
    const readings = await Promise.all(queries.map((query) => asked.read(query)));
    expect(readings.map(({ kind, value, denominator }) => [kind, value, denominator])).toEqual([
      ["Value", 7, undefined],
      ["Value", 0.25, 4],
      ["TooManySeries", undefined, undefined],
      ["Empty", undefined, undefined],
      ["NotFinite", undefined, undefined],
      ["Value", 9, undefined],
      ["Value", 0, 5],
    ]);
    expect(server.requests).toHaveLength(1);
  });

  it("at most 512 in a request, and not those of another tenant", async () => {
    const server = await played();
    const asked = opened(server, { tenancy: { queryParameter: "ns" } });
    const other = scalar("sum(metric_3)", { variables: { ...VARIABLES, namespace: "ranking" } });
    const readings = await Promise.all([...many(1200), other, scalar("sum(metric_1)")].map((query) => asked.read(query)));
    expect(readings.map(({ value }) => value)).toEqual([...Array.from({ length: 1200 }, (_, index) => index), 3, 1]);
    const sizes = server.requests.map(({ url, body }) => [url.split("=")[1], queriesOf(body).length]);
    expect(sizes.sort()).toEqual([
      ["fraud", 176],
      ["fraud", 512],
      ["fraud", 512],
      ["ranking", 1],
    ]);
  });

  it("ranges as well", async () => {
    const server = await played();
    const asked = opened(server);
    const span = { fromMs: 0, toMs: 120_000, stepMs: 60_000 };
    const readings = await Promise.all(many(50).map((query) => asked.readRange?.(query, span)));
    expect(readings.map((list) => list?.map(({ value }) => value))).toEqual(
      Array.from({ length: 50 }, (_, index) => [index, index, index]),
    );
    expect(server.requests).toHaveLength(1);
  });
});

describe("One tenant's query never harms another's", () => {
  const bad = "sum(bad_0)";
  it.each([
    ["that can't be executed", { code: 422, error: "many-to-many" }],
    ["that the server can't read", { code: 400, error: "parse error" }],
    ["that is too slow for the server", { code: 503, error: "query timed out" }],
    ["that is never answered", "hang"],
  ] as [string, Refusal][])(
    "one %s: the others are answered in the same tick, and the next time it is apart",
    async (_name, refusal) => {
      const server = await played((texts) => (texts.includes(bad) ? refusal : undefined));
      const asked = opened(server);
      const tick = () => Promise.all([...many(100), scalar(bad)].map((query) => asked.read(query)));
      const first = await tick();
      expect(first.slice(0, 100).map(({ value }) => value)).toEqual(Array.from({ length: 100 }, (_, index) => index));
      expect(first[100]?.kind).toBe("Error");
      expect(server.requests.length).toBeLessThan(40);
      await new Promise((resolve) => setTimeout(resolve, 250));
      const before = server.requests.length;
      const second = await tick();
      expect(second.slice(0, 100).every(({ kind }) => kind === "Value")).toBe(true);
      expect(second[100]?.kind).toBe("Error");
      expect(server.requests.length - before).toBe(2);
    },
  );

  it("where a server takes only small queries, groups become smaller, and nobody is blamed", async () => {
    const server = await played((texts) => (texts.length > 100 ? { code: 400, error: "query too long" } : undefined));
    const asked = opened(server);
    for (let i = 0; i < 4; i++) {
      const readings = await Promise.all(many(512).map((query) => asked.read(query)));
      expect(readings.every(({ kind }) => kind === "Value")).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const last = server.requests.slice(-8).map(({ body }) => queriesOf(body).length);
    expect(last).toEqual(Array.from({ length: 8 }, () => 64));
  });

  it("a source that is down is asked once, not once for each", async () => {
    const server = await played(() => ({ code: 502, error: "bad gateway" }));
    const readings = await Promise.all(many(100).map((query) => opened(server).read(query)));
    expect(readings.every(({ kind }) => kind === "Error")).toBe(true);
    const one = opened(server);
    const before = server.requests.length;
    await Promise.all(many(100).map((query) => one.read(query)));
    expect(server.requests.length - before).toBe(1);
  });
});

describe("a query that could reach beyond its place is asked alone", () => {
  it.each([
    'up) or label_replace(up,"rollguard_query","0","",""',
    "up # ) or up",
    "up #",
    "up\n# comment\n",
    'up{a="b',
    'up{a="\\q"}',
    'up{a="\\""} or up{b="}',
    "up{a=`b\n`}",
    'up{a="b\nc"}',
    "(up",
    "up]",
    "sum(up}",
    "up[5m]",
    '"text"',
    "",
    "up;down",
    "up{a='\u0000'}",
    "sum(",
    "up ) + ( up",
  ])("%j", (text) => expect(shapeOf(text)).toBeUndefined());

  it.each([
    ["up", "vector"],
    ['sum by (le) (rate(x_bucket{pod=~"scorer-r7-.+", a!=\'b"c\'}[1m]))', "vector"],
    ["1 + 2 * time()", "scalar"],
    ["-scalar(up)", "scalar"],
    ["(up offset 5m) > bool 3", "vector"],
    ["up @ 1700000000", "vector"],
    ["vector(1) or vector(2)", "vector"],
    ['up{a=~"\\\\d+"}', "vector"],
    ["max_over_time(rate(x[1m])[5m:1m])", "vector"],
    ["vllm:num_requests_waiting", "vector"],
  ])("%s is complete, and its type is known", (text, shape) => expect(shapeOf(text)).toBe(shape));

  it("and gets what the server says of it", async () => {
    const server = await played();
    const asked = opened(server);
    const evil = 'metric_1) or label_replace(metric_666,"rollguard_query","0","",""';
    const [first, second] = await Promise.all([asked.read(scalar("sum(metric_5)")), asked.read(scalar(evil))]);
    expect(first).toMatchObject({ kind: "Value", value: 5 });
    expect(second?.kind).toBe("Value");
    expect(server.requests).toHaveLength(2);
  });
});
