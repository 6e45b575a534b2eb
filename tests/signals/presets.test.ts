// Each preset on metrics pages as the servers' documentation shows them: two of each, a minute apart, evaluated by the Pods source,
// give the number that was computed by hand.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PRESET_MEASURES, PRESET_MEASURES_OF, PRESET_SERVERS, type PresetMeasure } from "../../src/api/reasons.ts";
import { CheckSchema } from "../../src/api/rollbackpolicy.ts";
import { PRESETS, presetOf } from "../../src/core/presets.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import { policyProblems } from "../../src/core/valid.ts";
import { MemoryDispatcher } from "../../src/sandbox/apiserver/dispatcher.ts";
import { createSource } from "../../src/signals/createsource.ts";
import { shapeOf } from "../../src/signals/promql/shape.ts";
import { expandPromql } from "../../src/signals/template.ts";
import type { Query, Reading } from "../../src/signals/types.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { VARIABLES } from "./support.ts";

const MINUTE = 60_000;

/** What each gives on its pages, worked out by hand from what lies between the two. */
const EXPECTED: Record<string, Partial<Record<PresetMeasure, { value: number; of?: number }>>> = {
  vLLM: {
    // 84 stop, 6 length, 6 abort, 4 error.
    ErrorRatio: { value: 4 / 100, of: 100 },
    // 60 up to 1, 30 in 2.5 to 5, 10 in 5 to 10: the 95th is half-way through the last.
    LatencyP95: { value: 7.5 },
    LatencyP99: { value: 9.5 },
    // 90 in 0.08 to 0.1, 10 in 0.1 to 0.25.
    TimeToFirstTokenP95: { value: 0.175 },
    QueueLength: { value: 7 },
  },
  Triton: {
    // 392 succeeded, 8 failed; 40 that clients cancelled don't count.
    ErrorRatio: { value: 8 / 400, of: 400 },
    LatencyP95: { value: 0.082 },
    LatencyP99: { value: 0.214 },
    // 80 up to 100 ms, 20 in 100 to 500 ms: the 95th is three quarters through.
    TimeToFirstTokenP95: { value: 0.4 },
    QueueLength: { value: 6 },
  },
  TorchServe: {
    // 185 of 2xx, 5 of 4xx, and the first 10 of 5xx ever.
    ErrorRatio: { value: 10 / 200, of: 200 },
  },
  KServe: {
    // 90 in 0.025 to 0.05, 10 in 0.25 to 0.5.
    LatencyP95: { value: 0.375 },
    LatencyP99: { value: 0.475 },
  },
  HTTP: {
    // 6, 3 and 1 by the labels of three libraries, of 96, 73 and 31.
    ErrorRatio: { value: 10 / 200, of: 200 },
    // 160 up to 0.1, 40 in 0.3 to 1.5: the 190th of 200 is three quarters through.
    LatencyP95: { value: 1.2 },
    LatencyP99: { value: 1.44 },
  },
};

const ALL = PRESET_SERVERS.flatMap((server) => PRESET_MEASURES_OF[server].map((measure) => ({ server, measure })));

function pages(server: string): [string, string] {
  const file = (name: string) => readFileSync(new URL(`../fixtures/presets/${name}.txt`, import.meta.url), "utf8");
  return [file(`${server.toLowerCase()}.before`), file(server.toLowerCase())];
}

/** The query of a check as a policy that was written resolves it. */
function queryOf(server: string, measure: string): Query {
  const check = CheckSchema.parse({
    name: "preset",
    source: "pods",
    preset: { server, measure },
    threshold: { max: 1 },
  });
  const found = resolvePolicy({ checks: [check] } as never).checks.find((one) => one.name === "preset");
  if (!found) throw new Error("no check");
  expect(found.preset).toBe(true);
  const common = { windowMs: MINUTE, intervalMs: MINUTE, variables: { ...VARIABLES, window: "1m" } };
  const pods = [{ name: "scorer-r7-abc", ip: "10.0.0.1", port: 8080 }];
  return found.kind === "Ratio"
    ? { kind: "ratio", numerator: found.numerator ?? "", denominator: found.denominator ?? "", ...common, pods }
    : { kind: "scalar", query: found.query ?? "", ...common, pods };
}

async function read(server: string, measure: string): Promise<Reading> {
  const clock = new FakeClock();
  const began = clock.now();
  const [before, after] = pages(server);
  const dispatcher = new MemoryDispatcher(async () => ({
    status: 200,
    headers: { "content-type": "text/plain; version=0.0.4" },
    body: clock.now() - began < MINUTE / 2 ? before : after,
  }));
  const source = createSource({ type: "Pods" }, { clock, dispatcher, secret: () => Promise.reject(new Error("none")) });
  try {
    const query = queryOf(server, measure);
    await source.read(query);
    await clock.advance(MINUTE);
    return await source.read(query);
  } finally {
    source.close();
  }
}

describe("each preset on the server's own page", () => {
  it.each(ALL)("$server $measure", async ({ server, measure }) => {
    const expected = EXPECTED[server]?.[measure];
    const reading = await read(server, measure);
    expect(reading.kind, reading.message).toBe("Value");
    expect(reading.value).toBeCloseTo(expected?.value ?? Number.NaN, 9);
    expect(reading.denominator).toBe(expected?.of);
  });
});

describe("each preset", () => {
  const texts = (server: (typeof PRESET_SERVERS)[number], measure: PresetMeasure): string[] => {
    const { query, ratio } = presetOf(server, measure) ?? {};
    return ratio ? [ratio.numerator, ratio.denominator] : [query ?? ""];
  };

  it.each(ALL)("$server $measure names one workload in each selector, and may be asked with others", ({ server, measure }) => {
    for (const text of texts(server, measure)) {
      const selectors = [...text.matchAll(/\w\{/g)];
      const named = text.split('{namespace="${namespace}",pod=~"${workload}-.+"').length - 1;
      expect(named).toBeGreaterThan(0);
      expect(selectors).toHaveLength(named);
      expect(shapeOf(expandPromql(text, VARIABLES))).toBe("vector");
    }
  });

  it("is in the table if and only if the API allows it", () => {
    for (const server of PRESET_SERVERS) expect(Object.keys(PRESETS[server])).toEqual([...PRESET_MEASURES_OF[server]]);
  });

  it("a measure that a server has no metric for is said to be one", () => {
    const check = (server: string, measure: string) => ({
      checks: [CheckSchema.parse({ name: "x", source: "p", preset: { server, measure }, threshold: { max: 1 } })],
    });
    for (const server of PRESET_SERVERS) {
      for (const measure of PRESET_MEASURES) {
        const problems = policyProblems(check(server, measure) as never);
        expect(problems).toHaveLength(presetOf(server, measure) ? 0 : 1);
      }
    }
    expect(policyProblems(check("TorchServe", "LatencyP95") as never)[0]).toContain(
      "checks[x].preset.measure: TorchServe has metrics for ErrorRatio only",
    );
  });

  it("that is a ratio is judged as one: minSamples, confidence and falseAlarm", () => {
    const check = CheckSchema.parse({
      name: "x",
      source: "p",
      preset: { server: "vLLM", measure: "ErrorRatio", minSamples: 20, confidence: 0.9, falseAlarm: { atMost: 2, per: "30d" } },
      threshold: { max: 0.1 },
    });
    expect(resolvePolicy({ checks: [check] } as never).checks[0]).toMatchObject({
      kind: "Ratio",
      minSamples: 20,
      confidence: 0.9,
      falseAlarm: { atMost: 2, perMs: 30 * 86_400_000 },
    });
  });
});
