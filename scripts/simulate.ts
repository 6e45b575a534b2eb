// `npm run simulate`: runs seeds of the deterministic simulation, on as many processes as there are cores, and tells what was found and
// what was tried. A failing seed is shown again, and shortened, by its number.

import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { add, type Counts, Coverage, table, untried } from "../tests/simulation/coverage.ts";
import { planOf } from "../tests/simulation/plan.ts";
import { shrink } from "../tests/simulation/shrink.ts";
import { simulate } from "../tests/simulation/simulate.ts";
import { describe, Timeline } from "../tests/simulation/timeline.ts";

const HELP = `Usage: npm run simulate -- [--seed N [--no-shrink]] | [--seeds N] [--from N] [--for 1h] [--jobs N]

Runs the real operator against the sandbox's API server under a clock, a random source and faults that a seed decides.

  --seed N       this one: its plan, its story, and where it fails the shortest plan that still does
  --no-shrink    with --seed: as it is
  --seeds N      so many (1000)
  --from N       beginning with this one (1)
  --for TIME     as many as fit in this time: 90s, 10m, 1h
  --jobs N       processes at once (one a core)
  --all-phases   fails where a fault was never tried in a phase
  --help         this text
`;

/** In place of a seed. */
const NO_MORE = -1;

/** What a process that runs seeds tells of them. */
interface Told {
  seed: number;
  simulatedMs: number;
  violations: { promise: string; at: number; detail: string }[];
  counts: Counts;
}

async function tell(seed: number): Promise<Told> {
  const coverage = new Coverage();
  try {
    const { violations, simulatedMs } = await simulate(planOf(seed), { witnesses: [coverage] });
    return { seed, simulatedMs, violations, counts: coverage.counts };
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { seed, simulatedMs: 0, violations: [{ promise: "the simulation itself", at: 0, detail }], counts: coverage.counts };
  }
}

/** In a process of its own: asks for seeds and runs them until it is told that there are no more. */
function work(): void {
  process.on("message", (seed: number) => {
    if (seed === NO_MORE) process.exit(0);
    void tell(seed).then((told) => process.send?.(told));
  });
  process.send?.("ready");
}

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

function print(plan: string, story: readonly string[], violations: Told["violations"]): void {
  console.log(`${plan}\n\n${story.join("\n")}`);
  for (const { promise, at, detail } of violations)
    console.log(`\nBROKEN at ${(at / 1000).toFixed(3)} s: ${promise}\n  ${detail}`);
}

interface Many {
  from: number;
  /** Undefined: as many as fit. */
  count: number | undefined;
  /** Monotonic time after which none is begun, ms. */
  until: number;
  jobs: number;
}

interface Found {
  done: number;
  simulatedMs: number;
  counts: Counts;
  failed: Told[];
}

function many({ from, count, until, jobs }: Many): Promise<Found> {
  const found: Found = { done: 0, simulatedMs: 0, counts: {}, failed: [] };
  const begun = performance.now();
  let next = from;
  const progress = () => {
    const seconds = (performance.now() - begun) / 1000;
    process.stderr.write(
      `\r${found.done} seeds, ${(found.done / seconds).toFixed(1)} a second, ${Math.round(found.simulatedMs / 3_600_000)} simulated hours, ${found.failed.length} failed, ${untried(found.counts).length} of fault × phase untried   `,
    );
  };
  const hand = (): number => {
    if (performance.now() >= until || (count !== undefined && next >= from + count)) return NO_MORE;
    return next++;
  };
  const workers = Array.from({ length: jobs }, () => {
    const child = fork(process.argv[1] ?? "", ["--work"]);
    child.on("message", (told: Told | "ready") => {
      if (told !== "ready") {
        found.done++;
        found.simulatedMs += told.simulatedMs;
        add(found.counts, told.counts);
        if (told.violations.length > 0) {
          found.failed.push(told);
          const [first] = told.violations;
          process.stderr.write(`\nseed ${told.seed}: ${first?.promise}: ${first?.detail.slice(0, 300)}\n`);
        }
        if (process.stderr.isTTY || found.done % 250 === 0) progress();
      }
      child.send(hand());
    });
    return new Promise<void>((resolve, reject) => {
      child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a process ended with ${code}`))));
    });
  });
  return Promise.all(workers).then(() => {
    progress();
    process.stderr.write("\n");
    return found;
  });
}

function milliseconds(text: string): number {
  const [, number, unit] = /^(\d+)(s|m|h)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`--for ${text}: write 90s, 10m or 1h`);
  return Number(number) * { s: 1000, m: 60_000, h: 3_600_000 }[unit as "s" | "m" | "h"];
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
      "all-phases": { type: "boolean" },
      work: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
    allowNegative: true,
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.work) {
    work();
    return new Promise(() => {});
  }
  if (values.seed !== undefined) return one(Number(values.seed), values.shrink);
  const begun = performance.now();
  const time = values.for === undefined ? undefined : milliseconds(values.for);
  const found = await many({
    from: Number(values.from),
    count: values.seeds !== undefined ? Number(values.seeds) : time === undefined ? 1000 : undefined,
    until: time === undefined ? Number.POSITIVE_INFINITY : begun + time,
    jobs: Number(values.jobs ?? availableParallelism()),
  });
  const missing = untried(found.counts);
  console.log(`${table(found.counts)}\n`);
  console.log(
    `${found.done} seeds in ${Math.round((performance.now() - begun) / 1000)} s, ${Math.round(found.simulatedMs / 3_600_000)} simulated hours: ${found.failed.length} failed`,
  );
  if (missing.length > 0) console.log(`never tried: ${missing.join(", ")}`);
  for (const { seed, violations } of found.failed.slice(0, 20))
    console.log(`npm run simulate -- --seed ${seed}   ${violations[0]?.promise}`);
  return found.failed.length > 0 || (values["all-phases"] && missing.length > 0) ? 1 : 0;
}

process.exitCode = await main();
