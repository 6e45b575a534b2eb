// `npm run simulate`: runs seeds of the deterministic simulation, on as many processes as there are cores, and tells what was found and
// what was tried. A failing seed is shown again, and shortened, by its number.

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Violation } from "../tests/simulation/checker.ts";
import { add, type Counts, table, untried } from "../tests/simulation/coverage.ts";
import { pointsOf, SCENARIOS } from "../tests/simulation/crashpoints.ts";
import { planOf } from "../tests/simulation/plan.ts";
import { shrink } from "../tests/simulation/shrink.ts";
import { simulate } from "../tests/simulation/simulate.ts";
import { describe, Timeline } from "../tests/simulation/timeline.ts";
import { runAll, type Task, type Told } from "./simulate/pool.ts";

const HELP = `Usage: npm run simulate -- [--seed N [--no-shrink]] | [--seeds N] [--from N] [--for 1h] | --crash-points

Runs the real operator against the sandbox's API server under a clock, a random source and faults that a seed decides.

  --seed N        this one: its plan, its story, and where it fails the shortest plan that still does
  --no-shrink     with --seed: as it is
  --seeds N       so many (1000)
  --from N        beginning with this one (1)
  --for TIME      as many as fit in this time: 90s, 10m, 1h
  --first         ends at the first one that fails
  --all-phases    fails where a fault was never tried in a phase
  --crash-points  every request of ${Object.keys(SCENARIOS).length} small scenarios, with the operator killed there
  --jobs N        processes at once (one a core)
  --help          this text
`;

async function one(seed: number, shorten: boolean): Promise<number> {
  const plan = planOf(seed);
  const timeline = new Timeline();
  const { violations, simulatedMs } = await simulate(plan, { witnesses: [timeline] });
  if (violations.length === 0 || !shorten) print(describe(plan), timeline.lines, violations);
  console.log(`\n${simulatedMs / 1000} simulated seconds, ${violations.length} broken promises`);
  const [first] = violations;
  if (!first) return 0;
  if (!shorten) return 1;
  console.log(`\n${first.promise}: ${first.detail}\nlooking for a shorter plan …`);
  const shortest = await shrink(plan, first.promise, (better, runs) =>
    process.stderr.write(`\r${runs} runs: ${better.steps.length} steps, ${better.faults.length} faults   `),
  );
  const story = new Timeline();
  const again = await simulate(shortest, { witnesses: [story] });
  console.log("\n");
  print(describe(shortest), story.lines, again.violations);
  console.log(`\nthe plan: ${JSON.stringify(shortest)}`);
  return 1;
}

function print(plan: string, story: readonly string[], violations: readonly Violation[]): void {
  console.log(`${plan}\n\n${story.join("\n")}`);
  for (const { promise, at, detail } of violations)
    console.log(`\nBROKEN at ${(at / 1000).toFixed(3)} s: ${promise}\n  ${detail}`);
}

/** What has been run so far. */
class Found {
  readonly failed: Told[] = [];
  readonly counts: Counts = {};
  readonly #begun = performance.now();
  #done = 0;
  #simulatedMs = 0;
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  add(told: Told): void {
    this.#done++;
    this.#simulatedMs += told.simulatedMs;
    add(this.counts, told.counts);
    if (told.violations.length > 0) {
      this.failed.push(told);
      const [broken] = told.violations;
      process.stderr.write(`\n${told.again}: ${broken?.promise}: ${broken?.detail.slice(0, 400)}\n`);
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${this.line()}   `);
    else if (this.#done % 500 === 0) process.stderr.write(`${this.line()}\n`);
  }

  line(): string {
    const seconds = (performance.now() - this.#begun) / 1000;
    const hours = this.#simulatedMs === 0 ? "" : `, ${Math.round(this.#simulatedMs / 3_600_000)} simulated hours`;
    const rate = `${Math.round(seconds)} s, ${(this.#done / seconds).toFixed(1)} a second`;
    return `${this.#done} ${this.#what} in ${rate}${hours}: ${this.failed.length} failed`;
  }
}

function milliseconds(text: string): number {
  const [, number, unit] = /^(\d+)(s|m|h)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`--for ${text}: write 90s, 10m or 1h`);
  return Number(number) * { s: 1000, m: 60_000, h: 3_600_000 }[unit as "s" | "m" | "h"];
}

interface Wanted {
  from: number;
  /** Undefined: as many as fit. */
  count: number | undefined;
  forMs: number | undefined;
  first: boolean;
  jobs: number;
  allPhases: boolean;
}

async function seeds({ from, count, forMs, first, jobs, allPhases }: Wanted): Promise<number> {
  const until = performance.now() + (forMs ?? Number.POSITIVE_INFINITY);
  const found = new Found("seeds");
  let seed = from;
  const next = (): Task | undefined => {
    const over =
      performance.now() >= until || (count !== undefined && seed >= from + count) || (first && found.failed.length > 0);
    return over ? undefined : { seed: seed++ };
  };
  await runAll(jobs, next, (told) => found.add(told));
  const missing = untried(found.counts);
  console.log(`\n${table(found.counts)}\n\n${found.line()}`);
  if (missing.length > 0)
    console.log(
      `never tried: ${missing.slice(0, 40).join(", ")}${missing.length > 40 ? ` and ${missing.length - 40} more` : ""}`,
    );
  return report(found) || (allPhases && missing.length > 0 ? 1 : 0);
}

async function crashPoints(jobs: number): Promise<number> {
  const found = new Found("crash points");
  const tasks: Task[] = [];
  for (const name of Object.keys(SCENARIOS)) {
    const { expected, points } = await pointsOf(name);
    if (expected.broken.length > 0) throw new Error(`${name} fails without a crash: ${expected.broken.join("; ")}`);
    for (const point of points) tasks.push({ point, expected });
  }
  let next = 0;
  await runAll(
    jobs,
    () => tasks[next++],
    (told) => found.add(told),
  );
  console.log(found.line());
  return report(found);
}

function report({ failed }: Found): number {
  for (const { again, violations } of failed.slice(0, 20))
    console.log(`npm run simulate -- ${again}   ${violations[0]?.promise}`);
  return failed.length > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      shrink: { type: "boolean", default: true },
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      for: { type: "string" },
      jobs: { type: "string" },
      first: { type: "boolean", default: false },
      "all-phases": { type: "boolean", default: false },
      "crash-points": { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
    allowNegative: true,
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const jobs = Number(values.jobs ?? availableParallelism());
  if (values["crash-points"]) return crashPoints(jobs);
  if (values.seed !== undefined) return one(Number(values.seed), values.shrink);
  const forMs = values.for === undefined ? undefined : milliseconds(values.for);
  return seeds({
    from: Number(values.from),
    count: values.seeds !== undefined ? Number(values.seeds) : forMs === undefined ? 1000 : undefined,
    forMs,
    first: values.first,
    jobs,
    allPhases: values["all-phases"],
  });
}

process.exitCode = await main();
