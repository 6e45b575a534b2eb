// Random stories: a policy in layers, a strategy, and what people, metrics, pods and crashes do. Plain data, so that one that breaks
// a promise can be shortened and printed.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { type Check, CheckSchema, type RollbackPolicySpec, RollbackPolicySpecSchema } from "../../src/api/rollbackpolicy.ts";
import type { Layer } from "../../src/core/layers.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import { policyProblems } from "../../src/core/valid.ts";
import type { Random } from "../support/random.ts";

export const VERSIONS = ["v1", "v2", "v3", "v4", "v5", "v6"] as const;
/** Whatever version serves, or is the candidate, when the act comes. */
export const SERVING = "@active";
export const COMING = "@candidate";
export type Shape = "Good" | "Bad" | "Swing" | "Slow" | "Dark" | "NotFinite" | "Empty" | "Thin" | "Gaps";

export type Act =
  | { do: "wait"; seconds: number }
  | { do: "pin"; version: string }
  /** What a check says of a version from now on; without a version of all of them: a common cause. */
  | { do: "measure"; version?: string; check?: string; shape: Shape; periodMs: number }
  | { do: "start"; version: string; seconds: number }
  | { do: "crash"; version: string; value: boolean }
  | { do: "ail"; version: string; unready: number; restarts: number }
  | { do: "end"; seconds: number }
  | { do: "vanish" }
  | { do: "probe"; version: string; outcome: "Passed" | "Failed" | "Running" }
  | { do: "ask"; kind: keyof Snapshot["requests"]; target: string; token: string }
  | { do: "pause"; value: boolean }
  | { do: "storm"; open: boolean; source?: string }
  | { do: "revoke"; version: string }
  | { do: "remake"; version: string; digest: string }
  | { do: "replicas"; count: number }
  | { do: "policy"; layers: Layer[] }
  | { do: "strategy"; strategy: Strategy }
  /** The operator dies: before the status is written, after it, or in the middle of what follows from it. */
  | { do: "die"; when: "BeforeWrite" | "AfterWrite" | "HalfWay" };

export type Strategy = ModelDeployment["spec"]["strategy"];

export interface Story {
  layers: Layer[];
  strategy: Strategy;
  replicas: number;
  historyLimit: number;
  probe: boolean;
  /** How long pods take to end. */
  endSeconds: number;
  acts: Act[];
}

const s = (seconds: number) => `${seconds}s`;

function anyCheck(random: Random, name: string, interval: string): Check {
  const of = random.pick([1, 3, 5]);
  const common = {
    name,
    source: random.pick(["prometheus", "feedback"]),
    interval,
    window: interval,
    breach: { count: random.int(1, of), of },
    severity: random.pick(["Critical", "Critical", "Critical", "Critical", "Critical", "Warning", "Info"]),
  };
  const guard = random.pick(["Hold", "Rollback"]);
  const relative = { from: random.pick(["LastHealthy", "Active"]), maxIncreasePercent: 50, guard };
  switch (name) {
    case "errors":
      return CheckSchema.parse({
        ...common,
        ratio: {
          numerator: "n",
          denominator: "d",
          minSamples: random.pick([1, 50, 300]),
          ...(random.chance(0.5) ? { confidence: 0.95 } : {}),
          ...(random.chance(0.5) ? { falseAlarm: { atMost: 1, per: "90d" } } : {}),
        },
        threshold: { max: 0.1 },
      });
    case "accuracy":
      return CheckSchema.parse({
        ...common,
        query: "a",
        ...(random.chance(0.5)
          ? { threshold: { min: 0.8 } }
          : { baseline: { from: "ValidationMetric", metric: "accuracy", maxDecreasePercent: 5, guard } }),
      });
    case "drift":
      return CheckSchema.parse({ ...common, query: "b", baseline: relative });
    default:
      return CheckSchema.parse({
        ...common,
        query: "l",
        threshold: { max: 0.8 },
        ...(random.chance(0.3) ? { baseline: relative } : {}),
      });
  }
}

function anySpec(random: Random): RollbackPolicySpec {
  const names = ["latency", "errors", "accuracy", "drift"].filter((name) => random.chance(name === "latency" ? 0.85 : 0.4));
  const maybe = <T>(share: number, value: T): T | undefined => (random.chance(share) ? value : undefined);
  // Samples that come together are one step: more happens in as many.
  const interval = s(random.pick([3, 5, 10]));
  const plain = {
    mode: random.pick([undefined, "Enforce", "Enforce", "Enforce", "Enforce", "Recommend", "Observe"]),
    warmup: s(random.pick([0, 2, 10])),
    bake: s(random.pick([1, 1, 20, 60])),
    checks: names.map((name) => anyCheck(random, name, interval)),
    builtInInterval: random.pick([interval, "10s"]),
    available: maybe(0.5, { unready: random.pick(["20%", "50%", "100%"]), for: s(random.pick([10, 30])) }),
    restarts: maybe(0.3, { failures: random.pick([1, 3]), in: "2m", pods: "50%" }),
    actions: maybe(0.3, { Critical: random.pick(["Rollback", "Hold"]), Warning: random.pick(["Hold", "Rollback", "Alert"]) }),
    onMissingData: maybe(0.5, { after: s(random.pick([20, 120])), action: random.pick(["Alert", "Hold"]) }),
    rollback: {
      cooldown: s(random.pick([0, 0, 60, 300])),
      budget: { limit: random.int(1, 3), per: random.pick(["5m", "30m", "2h"]) },
      maxDepth: random.pick([1, 1, 2, 4]),
      verify: s(random.pick([1, 10, 30])),
      deadline: s(random.pick([15, 60, 300])),
    },
    freeze: maybe(0.08, [{ schedule: "*/10 * * * *", duration: random.pick(["1m", "5m"]), timeZone: "Europe/Berlin" }]),
  };
  return RollbackPolicySpecSchema.parse(JSON.parse(JSON.stringify(plain)));
}

/** A layer that says a few things only. */
function fewOf(random: Random, spec: RollbackPolicySpec): RollbackPolicySpec {
  return Object.fromEntries(Object.entries(spec).filter(() => random.chance(0.4))) as RollbackPolicySpec;
}

function anyLayers(random: Random): Layer[] {
  const cluster = (name: string, enforcement: "Default" | "Required"): Layer => ({
    kind: "ClusterRollbackPolicy",
    name,
    generation: 1,
    enforcement,
    spec: fewOf(random, anySpec(random)),
  });
  const layers: Layer[] = [
    ...(random.chance(0.3) ? [cluster("usual", "Default")] : []),
    ...(random.chance(0.3) ? [cluster("base", "Required")] : []),
    { kind: "RollbackPolicy", name: "mine", generation: 1, spec: anySpec(random) },
  ];
  const usable = layers.filter((layer) => policyProblems(layer.spec).length === 0);
  return usable;
}

function anyStrategy(random: Random): Strategy {
  const type = random.pick(["BlueGreen", "BlueGreen", "Canary", "Canary", "Canary", "Recreate"] as const);
  const common = {
    drain: s(random.pick([1, 5, 30])),
    progressDeadline: s(random.pick([30, 120])),
    standby: { replicas: random.pick(["100%", "50%", 1]), for: s(random.pick([1, 60, 3600])) },
  };
  if (type !== "Canary") return { type, ...common };
  const steps = Array.from({ length: random.int(1, 3) }, (_, index) => ({
    weight: [random.pick([5, 25, 34]), 40, 50][index] ?? 50,
    ...(random.chance(0.5) ? { hold: s(random.int(1, 30)) } : {}),
    ...(random.chance(0.15) ? { pause: true } : {}),
  }));
  const route = random.chance(0.35) ? { route: { parentRefs: [{ name: "g" }] } } : {};
  return { type, ...common, canary: { steps, ...route } } as Strategy;
}

const SHAPES: readonly Shape[] = ["Good", "Good", "Bad", "Bad", "Swing", "Slow", "Dark", "NotFinite", "Empty", "Thin", "Gaps"];

function anyAct(random: Random): Act {
  const version = random.pick(VERSIONS);
  return random.weighted<Act>([
    [9, () => ({ do: "wait", seconds: random.int(1, random.pick([10, 40, 90])) })],
    [5, () => ({ do: "pin", version: random.chance(0.03) ? "gone" : version })],
    [
      6,
      () => ({
        do: "measure",
        ...(random.chance(0.85) ? { version: random.pick([version, SERVING, SERVING, COMING]) } : {}),
        ...(random.chance(0.5) ? { check: random.pick(["latency", "errors", "accuracy", "drift"]) } : {}),
        shape: random.pick(SHAPES),
        periodMs: random.int(2, 90) * 1000,
      }),
    ],
    [1.5, () => ({ do: "start", version, seconds: random.pick([1, 1, 20, 100, Number.POSITIVE_INFINITY]) })],
    [0.7, () => ({ do: "crash", version: random.pick([version, COMING]), value: random.chance(0.6) })],
    [
      0.7,
      () => ({
        do: "ail",
        version: random.pick([version, SERVING]),
        unready: random.pick([0, 0, 0.5, 1]),
        restarts: random.pick([0, 0, 4]),
      }),
    ],
    [0.3, () => ({ do: "end", seconds: random.pick([0, 3, 30]) })],
    [0.4, () => ({ do: "vanish" })],
    [0.5, () => ({ do: "probe", version, outcome: random.pick(["Passed", "Passed", "Failed", "Running"]) })],
    [
      2,
      () => ({
        do: "ask",
        kind: random.pick(["retry", "rollbackTo", "promote", "approve", "approve", "pause", "resume"]),
        target: random.pick([version, "previous", "m", "r1", "r2", "r3", "r4", "r5"]),
        token: String(random.int(1, 9)),
      }),
    ],
    [0.5, () => ({ do: "pause", value: random.chance(0.4) })],
    [0.7, () => ({ do: "storm", open: random.chance(0.4), ...(random.chance(0.5) ? { source: "prometheus" } : {}) })],
    [0.2, () => ({ do: "revoke", version })],
    [0.1, () => ({ do: "remake", version, digest: `sha256:${version}-${random.int(2, 3)}` })],
    [0.8, () => ({ do: "replicas", count: random.pick([0, 1, 2, 3, 6]) })],
    [0.4, () => ({ do: "policy", layers: anyLayers(random) })],
    [0.2, () => ({ do: "strategy", strategy: anyStrategy(random) })],
    [1, () => ({ do: "die", when: random.pick(["BeforeWrite", "AfterWrite", "HalfWay"]) })],
  ]);
}

/** What leads to a return: what serves, or everything, gets worse, and perhaps better again; or a version is tried once more. */
function anyEpisode(random: Random): Act[] {
  const version = random.pick(VERSIONS);
  const wait = (most: number): Act => ({ do: "wait", seconds: random.int(5, most) });
  const check = random.chance(0.6) ? { check: random.pick(["latency", "errors", "accuracy"]) } : {};
  const turn = (shape: Shape, whose: string | undefined): Act => ({
    do: "measure",
    ...(whose === undefined ? {} : { version: whose }),
    ...check,
    shape,
    periodMs: random.int(5, 60) * 1000,
  });
  const whose = random.pick([SERVING, SERVING, SERVING, undefined]);
  const bad = [turn(random.pick(["Bad", "Bad", "Bad", "Swing", "Slow", "Dark"]), whose), wait(60)];
  if (random.chance(0.1)) bad.unshift({ do: "revoke", version });
  const again: Act[] = [
    { do: "measure", version, shape: "Good", periodMs: 1000 },
    { do: "ask", kind: "retry", target: version, token: String(random.int(1, 99)) },
    { do: "pin", version },
    wait(80),
  ];
  // What was returned to gets worse, too, and by another check: an incident that walks on.
  if (random.chance(0.3)) {
    const turns = (["latency", "errors", "accuracy"] as const).map(
      (name): Act => ({
        do: "measure",
        version: SERVING,
        check: name,
        shape: "Bad",
        periodMs: 1000,
      }),
    );
    bad.push(random.pick(turns), wait(25), random.pick(turns), wait(40));
  }
  const well = random.chance(0.4) ? [turn("Good", undefined), wait(30)] : [];
  return random.chance(0.6) ? [...again, ...bad, ...well] : [...bad, ...well];
}

/** Most stories begin with something proven: else little could be returned to. */
function beginning(random: Random): Act[] {
  const acts: Act[] = [];
  for (const version of VERSIONS.slice(0, random.pick([0, 1, 2, 2, 3])))
    acts.push({ do: "pin", version }, { do: "wait", seconds: 100 });
  return acts;
}

/** True where no two revisions may have pods at any time: they are never rolled out but one by one, and none hangs while it ends. */
export function isOneByOne({ strategy, acts }: Story): boolean {
  const other = acts.some(
    (act) => (act.do === "strategy" && act.strategy.type !== "Recreate") || (act.do === "end" && act.seconds > 4),
  );
  return strategy.type === "Recreate" && !other;
}

export function anyStory(random: Random): Story {
  return {
    layers: anyLayers(random),
    strategy: anyStrategy(random),
    replicas: random.pick([1, 2, 2, 3, 6]),
    historyLimit: random.pick([2, 50]),
    probe: random.chance(0.3),
    endSeconds: random.pick([0, 0, 3]),
    acts: [
      ...beginning(random),
      ...Array.from({ length: random.int(6, 25) }, () => (random.chance(0.25) ? anyEpisode(random) : [anyAct(random)])).flat(),
    ],
  };
}
