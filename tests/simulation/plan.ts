// A run as data: what people do and when, what the models are like, what goes wrong and when. One seed makes one plan, and a plan is
// all that a run depends on, so that a failing one can be made shorter and run again.

import { Random } from "../support/random.ts";
import { FAULTS, type FaultKind } from "./faults.ts";

/** What the content of a version or template does when it runs. */
export type Fate =
  | "Good"
  /** Its metrics are beyond the threshold whenever it serves. */
  | "Bad"
  /** Its container ends again and again. */
  | "Crashing"
  /** Its container runs and never gets ready. */
  | "NeverReady"
  /** Ready, and the probe inference answers otherwise than expected. */
  | "Wrong";

export type Strategy = "BlueGreen" | "Canary" | "Recreate";

export interface DeploymentPlan {
  name: string;
  strategy: Strategy;
  replicas: number;
  mode: "Enforce" | "Recommend" | "Observe";
  probe: boolean;
  /** By version name. */
  fates: Record<string, Fate>;
  /** Template variants that are not Good. */
  variants: Record<string, Fate>;
}

/** A time in which what a deployment serves measures badly, ms since the start. */
export interface Trouble {
  deployment: string;
  /** Absent: whatever it serves. */
  version?: string;
  from: number;
  to: number;
}

/** What a person, or Git, does. */
export type Act =
  | { do: "Create"; version: string }
  | { do: "Pin"; version: string }
  | { do: "Template"; variant: string }
  | { do: "Scale"; replicas: number }
  | { do: "Policy"; max: number; bake: string }
  | { do: "Pause"; paused: boolean; by: "Spec" | "Request" }
  | { do: "Retry"; target: string }
  | { do: "RollbackTo"; target: string }
  | { do: "Promote" }
  | { do: "Approve" }
  | { do: "Revoke"; version: string }
  | { do: "Sync" }
  | { do: "Publish"; version: string }
  | { do: "Delete" };

export interface Step {
  /** After the step before, ms; where the run is stepwise, after all came to rest. */
  after: number;
  deployment: string;
  act: Act;
}

export interface Fault {
  kind: FaultKind;
  /** Since the start, ms. */
  at: number;
  /** How long it lasts, or by how much, ms. */
  ms: number;
  /** How many it hits. */
  count: number;
  /** The resource that it is about; empty: any. */
  on: string;
  /** 0 to 1: chooses among what is there. */
  pick: number;
}

/** A process that is killed at one of its requests. */
export interface Crash {
  /** Which process, from 1. */
  process: number;
  /** Which of its requests, from 0; or the first that changes something. */
  request: number | "FirstWrite";
  when: "Before" | "After";
}

export interface Plan {
  seed: number;
  operators: 1 | 2;
  latency: "Even" | "Small" | "Uneven";
  /** Each step waits until all is at rest: then what comes of it does not depend on timing. */
  stepwise: boolean;
  deployments: DeploymentPlan[];
  troubles: Trouble[];
  steps: Step[];
  faults: Fault[];
  /** Only of crash points. */
  crashes?: Crash[];
}

const VERSIONS = ["v1", "v2", "v3", "v4"];

/** How many deployments a run has: many are dear, and few find most. */
function fleetSize(random: Random): number {
  return random.weighted<number>([
    [70, () => 1],
    [20, () => 2],
    [7, () => random.int(3, 4)],
    [2.5, () => random.int(5, 9)],
    [0.5, () => random.int(10, 20)],
  ]);
}

function fate(random: Random): Fate {
  return random.weighted<Fate>([
    [60, () => "Good"],
    [25, () => "Bad"],
    [6, () => "Crashing"],
    [6, () => "NeverReady"],
    [3, () => "Wrong"],
  ]);
}

function deploymentPlan(random: Random, index: number, stepwise: boolean): DeploymentPlan {
  const strategy = random.weighted<Strategy>([
    [70, () => "BlueGreen"],
    [15, () => "Canary"],
    [15, () => "Recreate"],
  ]);
  const mode = random.weighted<DeploymentPlan["mode"]>([
    [stepwise ? 1 : 86, () => "Enforce"],
    [stepwise ? 0 : 8, () => "Recommend"],
    [stepwise ? 0 : 6, () => "Observe"],
  ]);
  const fates = Object.fromEntries(VERSIONS.map((name) => [name, fate(random)]));
  // Something to come back to, nearly always.
  if (random.chance(0.9)) fates.v1 = "Good";
  const variants: Record<string, Fate> = random.chance(0.3) ? { "1": fate(random) } : {};
  return { name: `m${index}`, strategy, replicas: random.int(1, 2), mode, probe: random.chance(0.2), fates, variants };
}

function act(random: Random, of: DeploymentPlan, stepwise: boolean): Act {
  const version = () => random.pick(VERSIONS);
  const choices: [number, () => Act][] = [
    [40, () => ({ do: "Pin", version: version() })],
    [8, () => ({ do: "Template", variant: String(random.int(0, 2)) })],
    [8, () => ({ do: "Scale", replicas: random.int(stepwise ? 1 : 0, 3) })],
    [5, () => ({ do: "Policy", max: random.pick([0.05, 0.1, 0.2]), bake: random.pick(["15s", "25s"]) })],
    [4, () => ({ do: "Pause", paused: true, by: random.pick(["Spec", "Request"]) })],
    [8, () => ({ do: "Pause", paused: false, by: random.pick(["Spec", "Request"]) })],
    [6, () => ({ do: "Retry", target: version() })],
    [7, () => ({ do: "RollbackTo", target: random.chance(0.7) ? "previous" : version() })],
    [3, () => ({ do: "Promote" })],
    [of.mode === "Recommend" ? 20 : 1, () => ({ do: "Approve" })],
    [4, () => ({ do: "Revoke", version: version() })],
    [4, () => ({ do: "Sync" })],
    [3, () => ({ do: "Publish", version: "v5" })],
    [2, () => ({ do: "Pin", version: "v5" })],
    [2, () => ({ do: "Delete" })],
  ];
  return random.weighted(choices);
}

function stepsOf(random: Random, deployments: DeploymentPlan[], stepwise: boolean): Step[] {
  const steps: Step[] = [];
  const pause = () => (stepwise ? 0 : random.chance(0.6) ? random.int(15_000, 60_000) : random.int(100, 15_000));
  for (const { name } of deployments)
    steps.push({ after: random.int(0, 2000), deployment: name, act: { do: "Create", version: "v1" } });
  const count =
    deployments.length === 1 ? random.int(3, 7) : random.int(deployments.length, Math.min(3 * deployments.length, 12));
  for (let i = 0; i < count; i++) {
    const of = random.pick(deployments);
    // One proven first: most of what can go wrong needs something to lose.
    const after = i === 0 && !stepwise && random.chance(0.7) ? random.int(28_000, 45_000) : pause();
    const next = act(random, of, stepwise);
    steps.push({ after, deployment: of.name, act: next });
    if (next.do === "Delete" && random.chance(0.8))
      steps.push({
        after: random.pick([0, 500, 8000]),
        deployment: of.name,
        act: { do: "Create", version: random.pick(VERSIONS) },
      });
  }
  return steps;
}

function troublesOf(random: Random, deployments: DeploymentPlan[], horizon: number): Trouble[] {
  return deployments.flatMap(({ name }) => {
    if (!random.chance(0.45)) return [];
    const from = random.int(35_000, Math.max(horizon, 40_000));
    const to = random.chance(0.3) ? Number.MAX_SAFE_INTEGER : from + random.pick([4000, 9000, 25_000, 60_000]);
    return [{ deployment: name, ...(random.chance(0.8) ? { version: random.pick(VERSIONS) } : {}), from, to }];
  });
}

function faultsOf(random: Random, horizon: number, stepwise: boolean): Fault[] {
  const kinds = (Object.keys(FAULTS) as FaultKind[]).filter((kind) => !stepwise || FAULTS[kind].harmless);
  // A seed has a few kinds of faults rather than a bit of each: what breaks things is the same thing again, or two together.
  const chosen = Array.from({ length: random.int(1, 4) }, () => random.pick(kinds));
  const count = random.chance(0.05) ? 0 : random.int(1, 12);
  return Array.from({ length: count }, () => {
    const kind = random.pick(chosen);
    const { ms, count: hits, on } = FAULTS[kind];
    return {
      kind,
      at: random.int(0, horizon),
      ms: random.int(ms[0], ms[1]),
      count: random.int(hits[0], hits[1]),
      on: random.pick(on),
      pick: random.next(),
    };
  }).sort((a, b) => a.at - b.at);
}

export function planOf(seed: number): Plan {
  const random = new Random(seed * 2_654_435_761);
  const stepwise = random.chance(0.2);
  const size = stepwise ? 1 : fleetSize(random);
  const deployments = Array.from({ length: size }, (_, index) => deploymentPlan(random, index, stepwise));
  const steps = stepsOf(random, deployments, stepwise);
  const horizon = stepwise ? steps.length * 60_000 : steps.reduce((sum, step) => sum + step.after, 20_000);
  return {
    seed,
    operators: random.chance(0.35) ? 2 : 1,
    latency: random.pick(["Even", "Small", "Uneven"]),
    stepwise,
    deployments,
    troubles: stepwise ? [] : troublesOf(random, deployments, horizon),
    steps,
    faults: faultsOf(random, horizon, stepwise),
  };
}
