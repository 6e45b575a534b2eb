// The real operator under thousands of schedules of faults. Here as many as fit into a test run; `npm run simulate` runs more.

import { afterEach, expect, test, vi } from "vitest";
import { planOf } from "./plan.ts";
import { run, Trace } from "./run.ts";
import { simulate } from "./simulate.ts";
import { describe as inWords, Timeline } from "./timeline.ts";

/** Others than the first thousands, which CI and people run. */
const FIRST = 1_000_000;
/** As many seeds as fit into so much time of one core, ms; by hand, more. */
const BUDGET_MS = 12_000;
const LEAST = 10;
/** A machine with much else to do needs longer for it. */
const LIMIT = 1_200_000;

afterEach(() => {
  vi.restoreAllMocks();
});

function spentMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function traceOf(seed: number): Promise<string> {
  const trace = new Trace();
  await run(planOf(seed), [trace], () => undefined);
  return `${trace.lines} ${trace.digest()}`;
}

test("the same seed twice gives the same trace, byte for byte, whatever ran before", { timeout: LIMIT }, async () => {
  const seeds = [3, 29, 14];
  const first = [];
  for (const seed of seeds) first.push(await traceOf(seed));
  const second = [];
  for (const seed of [...seeds].reverse()) second.push(await traceOf(seed));
  expect(second.reverse()).toEqual(first);
  expect(new Set(first).size).toBe(seeds.length);
});

test("no real time and no chance enters a run", { timeout: LIMIT }, async () => {
  const asked: string[] = [];
  const leak = (name: string) => () => {
    asked.push(`${name} ${new Error().stack?.split("\n").slice(2, 5).join(" ")}`);
    return 0;
  };
  vi.spyOn(Math, "random").mockImplementation(leak("Math.random"));
  vi.spyOn(Date, "now").mockImplementation(leak("Date.now"));
  vi.spyOn(performance, "now").mockImplementation(leak("performance.now"));
  vi.spyOn(globalThis, "setTimeout").mockImplementation(leak("setTimeout") as never);
  vi.spyOn(globalThis, "setInterval").mockImplementation(leak("setInterval") as never);
  await run(planOf(17), [], () => undefined);
  vi.restoreAllMocks();
  expect(asked).toEqual([]);
});

test("every promise holds under every schedule of faults", { timeout: LIMIT }, async () => {
  const broken: string[] = [];
  const begun = spentMs();
  let seed = FIRST;
  for (; seed < FIRST + LEAST || spentMs() - begun < BUDGET_MS; seed++) {
    const plan = planOf(seed);
    const { violations } = await simulate(plan);
    const [first] = violations;
    if (!first) continue;
    const timeline = new Timeline();
    await run(plan, [timeline], () => undefined);
    broken.push(
      `${first.promise}: ${first.detail}\n${inWords(plan)}\n${timeline.lines.join("\n")}\nnpm run simulate -- --seed ${seed}`,
    );
  }
  console.log(`${seed - FIRST} seeds in ${Math.round((spentMs() - begun) / 1000)} s of one core`);
  expect(broken).toEqual([]);
});
