// Range reads: at each time what an instant query would have given then, whatever the server answers.

import { afterEach, describe, expect, it } from "vitest";
import type { Query, Reading, Source } from "../../src/signals/types.ts";
import { answerQueries } from "../support/queries.ts";
import { ANSWERS } from "./answers.ts";
import type { AnswerCase } from "./answers-transport.ts";
import { answering, closeServers, type Shape, serve, started, type TestServer } from "./server.ts";
import { ratio, scalar, source, success } from "./support.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await closeServers();
});

function opened(server: TestServer, deps: Parameters<typeof source>[1] = {}): Source {
  const asked = source({ type: "Prometheus", address: server.url, timeout: "400ms" }, { gatherMs: 1, ...deps });
  cleanups.push(() => asked.close());
  return asked;
}

/** A server with a value for each query and time. */
async function remembering(valuesOf: (text: string, at: number) => readonly (number | string)[]): Promise<TestServer> {
  const server: TestServer = await started((_req, res) => {
    const last = server.requests.at(-1);
    res.end(
      answerQueries(last?.body ?? "", Date.now(), (text, at) => (text === "time()" ? [Date.now() / 1000] : valuesOf(text, at))),
    );
  });
  return server;
}

const END = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
const span = (steps: number, stepMs = 60_000) => ({ fromMs: END - (steps - 1) * stepMs, toMs: END, stepMs });

async function readRange(asked: Source, query: Query, steps: number, stepMs?: number): Promise<Reading[]> {
  if (!asked.readRange) throw new Error("this source has no history");
  return asked.readRange(query, span(steps, stepMs));
}

describe("readRange", () => {
  it("gives one reading for each time, in order, and Empty where there is no point", async () => {
    const server = await remembering((_text, at) => (at === END - 60_000 ? [] : [(END - at) / 60_000]));
    const readings = await readRange(opened(server), scalar("up"), 4);
    expect(readings.map(({ at, kind, value }) => [at - END, kind, value])).toEqual([
      [-180_000, "Value", 3],
      [-120_000, "Value", 2],
      [-60_000, "Empty", undefined],
      [0, "Value", 0],
    ]);
  });

  it("joins both sides of a ratio by time: an empty numerator is 0, an empty denominator is Empty", async () => {
    const at = (steps: number) => END - steps * 60_000;
    const sides: Record<string, Record<number, number>> = {
      n: { [at(2)]: 1, [at(0)]: 3 },
      d: { [at(3)]: 0, [at(2)]: 4, [at(1)]: 5 },
    };
    const server = await remembering((text, time) => [sides[text]?.[time] ?? []].flat());
    const readings = await readRange(opened(server), ratio("n", "d"), 4);
    expect(readings.map(({ kind, value, denominator }) => [kind, value, denominator])).toEqual([
      ["Empty", undefined, 0],
      ["Value", 0.25, 4],
      ["Value", 0, 5],
      ["Empty", undefined, 0],
    ]);
  });

  it("tells the kinds that instant queries have: not finite, more than one series, too old", async () => {
    const server = await remembering((text, at) => {
      const step = (END - at) / 60_000;
      if (text === "fresh") return [at / 1000 - (step === 0 ? 500 : 10)];
      return step === 3 ? ["NaN"] : step === 2 ? [1, 2] : [7];
    });
    const readings = await readRange(opened(server), scalar("q", { freshness: "fresh" }), 4);
    expect(readings.map(({ at, kind }) => [at - END, kind])).toEqual([
      [-180_000, "NotFinite"],
      [-120_000, "TooManySeries"],
      [-70_000, "Value"],
      [-500_000, "Stale"],
    ]);
  });

  it("asks for at most 11,000 points at once", async () => {
    const server = await remembering((_text, at) => [(END - at) / 1000]);
    const readings = await readRange(opened(server), scalar("up"), 25_000, 1000);
    expect(readings.map(({ value }) => value)).toEqual(Array.from({ length: 25_000 }, (_, i) => 24_999 - i));
    expect(server.requests).toHaveLength(3);
  });

  it("follows a server that aligns ranges to their step", async () => {
    const server = await remembering((_text, at) => [at]);
    const aligned: TestServer = await started((_req, res) => {
      const form = new URLSearchParams(aligned.requests.at(-1)?.body);
      for (const name of ["start", "end"]) form.set(name, String(Math.floor(Number(form.get(name)) / 60) * 60));
      void fetch(`${server.url}/`, { method: "POST", body: form.toString() }).then(async (answer) =>
        res.end(await answer.text()),
      );
    });
    const asked = opened(aligned);
    const readings = await asked.readRange?.(scalar("up"), { fromMs: END - 80_000, toMs: END + 40_000, stepMs: 60_000 });
    expect(readings?.map(({ at, value }) => [at - END, (value ?? 0) - END])).toEqual([
      [-120_000, -120_000],
      [-60_000, -60_000],
      [0, 0],
    ]);
  });

  it("a query that can't be asked is one Error", async () => {
    const server = await remembering(() => [1]);
    expect(await readRange(opened(server), scalar("up{a=${name}}"), 3)).toMatchObject([{ kind: "Error" }]);
    expect(server.requests).toHaveLength(0);
  });

  it("sources without history have none", () => {
    for (const type of ["Web", "Pods"] as const) {
      const asked = source({ type, ...(type === "Web" ? { address: "http://127.0.0.1:9" } : {}) });
      expect(asked.readRange).toBeUndefined();
      asked.close();
    }
  });
});

/** An instant answer as the range answer that the same server would give for these times. */
function asRange(shape: Shape, body: string): Shape {
  let document: { data?: { resultType?: string; result?: unknown } };
  try {
    document = JSON.parse(shape.body ?? "");
  } catch {
    return shape;
  }
  const form = new URLSearchParams(body);
  const [start, end, step] = ["start", "end", "step"].map((name) => Number(form.get(name)));
  const { resultType, result } = document?.data ?? {};
  if (!form.has("start")) {
    // Asked for its clock: the time that its samples have.
    const pair: unknown = Array.isArray(result) ? (result[0] as { value?: unknown })?.value : undefined;
    const at = Array.isArray(pair) && typeof pair[0] === "number" ? pair[0] : Date.now() / 1000;
    return { ...shape, status: 200, body: success("scalar", [at, String(at)]) };
  }
  if (start === undefined || end === undefined || step === undefined || !Array.isArray(result)) return shape;
  const times = Array.from({ length: Math.round((end - start) / step) + 1 }, (_, i) => start + i * step);
  const move = (pair: unknown) => times.map((at) => (Array.isArray(pair) && pair.length === 2 ? [at, pair[1]] : pair));
  const series = (one: unknown) => {
    if (typeof one !== "object" || one === null) return one;
    const { metric, value, histogram } = one as { metric: unknown; value?: unknown; histogram?: unknown };
    return { metric, ...(value ? { values: move(value) } : {}), ...(histogram ? { histograms: move(histogram) } : {}) };
  };
  const matrix =
    resultType === "vector" ? result.map(series) : resultType === "scalar" ? [{ metric: {}, values: move(result) }] : undefined;
  if (!matrix) return shape;
  return { ...shape, body: JSON.stringify({ ...document, data: { resultType: "matrix", result: matrix } }) };
}

describe("each shape of answer has the kind that it has for an instant query", () => {
  const cases = ANSWERS.filter((entry) => entry.source === "Prometheus" || entry.source === "Any");
  // A range query of a range or a string is refused by the server itself.
  const ranges = cases.filter((entry) => entry.name !== "a range (matrix)");

  async function read(entry: AnswerCase): Promise<Reading[]> {
    const now = Date.now() / 1000;
    const shape = typeof entry.answer === "function" ? entry.answer(now) : entry.answer;
    const server: TestServer = await serve((req, res) => {
      const body = server.requests.at(-1)?.body ?? "";
      answering(asRange(shape ?? {}, body))(req, res);
    });
    if (shape) cleanups.push(() => server.close());
    else await server.close();
    // Up to now, so that the source's clock is looked at as well.
    const to = Math.floor(Date.now() / 1000) * 1000;
    const range = { fromMs: to - 120_000, toMs: to, stepMs: 60_000 };
    const readings = await opened(server, { maxBodyBytes: 65_536 }).readRange?.(scalar(entry.query ?? "score"), range);
    return readings ?? [];
  }

  it.each(ranges.map((entry) => [entry.name, entry] as const))("%s", async (_name, entry) => {
    const readings = await read(entry);
    expect(readings.length).toBeGreaterThan(0);
    for (const reading of readings) {
      expect(reading.kind, reading.message).toBe(entry.kind);
      expect(reading.value).toBe(entry.value);
      expect((reading.message ?? "").length).toBeLessThanOrEqual(300);
    }
    if (entry.kind === "Value") expect(readings).toHaveLength(3);
  });
});
