// How layers of policies are merged: the table of tighten.ts row by row, the order of the layers, and what always holds.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Check, CheckSchema, RollbackPolicySpecSchema } from "../../src/api/rollbackpolicy.ts";
import { effectivePolicy, inOrder, type Layer, MAX_CHECKS, mergeLayers } from "../../src/core/layers.ts";
import { setAt, valueAt } from "../../src/core/paths.ts";
import { FIELD_RULES, type FieldRule, isTighter, RULES_OF } from "../../src/core/tighten.ts";
import { filledIn } from "../../src/core/tightencheck.ts";
import { policyProblems } from "../../src/core/valid.ts";

type Spec = Layer["spec"];
const required = (spec: Spec, name = "base"): Layer => ({
  kind: "ClusterRollbackPolicy",
  name,
  generation: 1,
  enforcement: "Required",
  spec,
});
const offered = (spec: Spec, name = "usual"): Layer => ({ ...required(spec, name), enforcement: "Default" });
const own = (spec: Spec, name = "mine"): Layer => ({ kind: "RollbackPolicy", name, generation: 2, spec });
const check = (more: object = {}): Check =>
  CheckSchema.parse({ name: "errors", source: "prometheus", query: "q", threshold: { max: 0.1 }, ...more });

/** Of every row two values, the looser first; where there is no order, two that differ. */
const VALUES: Record<string, [unknown, unknown]> = {
  mode: ["Observe", "Recommend"],
  warmup: ["2m", "10s"],
  bake: ["5m", "20m"],
  builtInInterval: ["1m", "5s"],
  "available.unready": ["60%", "20%"],
  "available.for": ["5m", "30s"],
  "restarts.failures": [5, 2],
  "restarts.in": ["5m", "20m"],
  "restarts.pods": ["90%", "10%"],
  "actions.Critical": ["Hold", "Rollback"],
  "actions.Warning": ["Alert", "Rollback"],
  "actions.Info": ["Alert", "Hold"],
  "onMissingData.after": ["20m", "1m"],
  "onMissingData.action": ["Alert", "Hold"],
  "rollback.cooldown": ["20m", "1m"],
  "rollback.budget": [
    { limit: 5, per: "1h" },
    { limit: 1, per: "1h" },
  ],
  "rollback.maxDepth": [3, 2],
  "rollback.verify": ["1m", "5m"],
  "rollback.deadline": ["12m", "5m"],
  "checks[].source": ["prometheus", "other"],
  "checks[].query": ["q", "other"],
  "checks[].ratio.numerator": ["a", "other"],
  "checks[].ratio.denominator": ["b", "other"],
  "checks[].preset.server": ["vLLM", "Triton"],
  "checks[].preset.measure": ["ErrorRatio", "LatencyP95"],
  "checks[].ratio.minSamples": [100, 10],
  "checks[].preset.minSamples": [100, 10],
  "checks[].ratio.confidence": [0.99, 0.9],
  "checks[].preset.confidence": [0.99, 0.9],
  "checks[].ratio.falseAlarm": [
    { atMost: 1, per: "90d" },
    { atMost: 1, per: "30d" },
  ],
  "checks[].preset.falseAlarm": [
    { atMost: 1, per: "90d" },
    { atMost: 1, per: "30d" },
  ],
  "checks[].window": ["30s", "20s"],
  "checks[].freshness": ["f", "other"],
  "checks[].interval": ["5m", "2m"],
  "checks[].overlapping": [false, true],
  "checks[].threshold.max": [0.2, 0.01],
  "checks[].threshold.min": [0.01, 0.05],
  "checks[].baseline.from": ["Active", "LastHealthy"],
  "checks[].baseline.metric": ["accuracy", "auc"],
  "checks[].baseline.maxIncreasePercent": [50, 10],
  "checks[].baseline.maxDecreasePercent": [50, 10],
  "checks[].baseline.maxIncrease": [5, 1],
  "checks[].baseline.maxDecrease": [5, 1],
  "checks[].baseline.guard": ["Hold", "Rollback"],
  "checks[].breach.count": [4, 1],
  "checks[].breach.of": [6, 8],
  "checks[].severity": ["Info", "Warning"],
};

/** A policy in which this field has this value, and whatever else it needs. */
function policyWith(field: string, value: unknown): Spec {
  const path = field.startsWith("checks[].") ? field.slice("checks[].".length) : undefined;
  const spec: Record<string, unknown> = {};
  if (path === undefined) {
    setAt(spec, field, value);
    return spec as Spec;
  }
  const form: Record<string, unknown> = { name: "errors", source: "prometheus", threshold: { max: 0.1 }, interval: "10m" };
  if (path.startsWith("ratio.")) form.ratio = { numerator: "a", denominator: "b" };
  else if (path.startsWith("preset.")) form.preset = { server: "vLLM", measure: "ErrorRatio" };
  else form.query = "q";
  if (path.startsWith("baseline."))
    form.baseline = { from: path === "baseline.metric" ? "ValidationMetric" : "LastHealthy", maxDecreasePercent: 90 };
  setAt(form, path, value);
  return { checks: [CheckSchema.parse(form)] };
}

const found = (spec: Spec, field: string): unknown =>
  field.startsWith("checks[].") ? valueAt(spec.checks?.[0], field.slice("checks[].".length)) : valueAt(spec, field);

const scalar = FIELD_RULES.filter((rule) => rule.order.by !== "Items");
const ordered = scalar.filter((rule) => rule.order.by !== "Fixed" && rule.order.by !== "Identity");
const unordered = scalar.filter((rule) => rule.order.by === "Fixed" || rule.order.by === "Identity");
const title = (rule: FieldRule) => [rule.field, rule] as const;

describe("the table", () => {
  test("has a row for every field of a policy, and none for what is no field", () => {
    const leaves = (schema: z.core.JSONSchema._JSONSchema, path: string): string[] => {
      if (typeof schema !== "object") return [];
      const inner = schema.properties ? Object.entries(schema.properties) : [];
      return inner.length === 0 ? [path] : inner.flatMap(([key, one]) => leaves(one, path === "" ? key : `${path}.${key}`));
    };
    const schema = z.toJSONSchema(RollbackPolicySpecSchema, { unrepresentable: "any", io: "input" });
    const checks = z.toJSONSchema(CheckSchema, { unrepresentable: "any", io: "input" });
    const fields = [...leaves(schema, ""), ...leaves(checks, "checks[]").filter((field) => field !== "checks[].name")];
    const rows = FIELD_RULES.map((rule) => rule.field);
    expect(fields.filter((field) => !rows.some((row) => field === row || field.startsWith(`${row}.`)))).toEqual([]);
    expect(rows.filter((row) => !fields.some((field) => field === row || field.startsWith(`${row}.`)))).toEqual([]);
    expect(new Set(rows).size).toBe(rows.length);
  });

  test.each(ordered.map(title))("%s: a lower layer may tighten it", (field) => {
    const [loose, tight] = VALUES[field] ?? [];
    const merged = mergeLayers([required(policyWith(field, loose)), own(policyWith(field, tight))]);
    expect(found(merged.spec, field)).toEqual(tight);
    expect(merged.refused).toEqual([]);
    const path = field.replace("[]", "[errors]");
    expect(merged.origins.filter((one) => one.field === path)).toEqual([{ field: path, layer: "RollbackPolicy/mine" }]);
  });

  test.each(ordered.map(title))("%s: loosening is refused, with the layer that forbids it and what was kept", (field) => {
    const [loose, tight] = VALUES[field] ?? [];
    const merged = mergeLayers([required(policyWith(field, tight)), own(policyWith(field, loose))]);
    expect(found(merged.spec, field)).toEqual(tight);
    // What the API server fills in may never have been written: it yields without a word.
    if (loose === filledIn(field)) return expect(merged.refused).toEqual([]);
    expect(merged.refused).toEqual([
      {
        field: field.replace("[]", "[errors]"),
        layer: "RollbackPolicy/mine",
        asked: String(loose),
        forbiddenBy: "ClusterRollbackPolicy/base",
        kept: String(tight),
      },
    ]);
  });

  test.each(ordered.map(title))("%s: of two Required layers the tighter wins, whatever their names", (field) => {
    const [loose, tight] = VALUES[field] ?? [];
    for (const [a, b] of [
      [loose, tight],
      [tight, loose],
    ]) {
      const merged = mergeLayers([required(policyWith(field, a), "a"), required(policyWith(field, b), "b")]);
      expect(found(merged.spec, field)).toEqual(tight);
    }
  });

  test.each(unordered.map(title))("%s: may not be changed either way", (field) => {
    const values = VALUES[field] ?? [];
    for (const [was, now] of [values, [...values].reverse()]) {
      if (field === "checks[].overlapping" && was === true) continue; // false is the API's default: it yields without a word.
      const merged = mergeLayers([required(policyWith(field, was)), own(policyWith(field, now))]);
      expect(found(merged.spec, field)).toEqual(was);
      expect(merged.refused).toMatchObject([{ layer: "RollbackPolicy/mine", forbiddenBy: "ClusterRollbackPolicy/base" }]);
      expect(merged.refused[0]?.field.startsWith(field.startsWith("checks[]") ? "checks[errors]" : field)).toBe(true);
    }
  });

  test("checks and freeze windows may be added to, and none is removed", () => {
    const friday = { schedule: "0 18 * * 5", duration: "60h", timeZone: "UTC" };
    const lunch = { schedule: "0 12 * * *", duration: "1h", timeZone: "UTC" };
    const base = required({ checks: [check()], freeze: [friday] });
    const merged = mergeLayers([base, own({ checks: [check({ name: "latency" })], freeze: [lunch] })]);
    expect(merged.spec.checks?.map((one) => one.name)).toEqual(["errors", "latency"]);
    expect(merged.spec.freeze).toEqual([friday, lunch]);
    expect(merged.required).toEqual({ errors: "ClusterRollbackPolicy/base" });
    const none = mergeLayers([base, own({ checks: [], freeze: [] })]);
    expect(none.spec.checks?.map((one) => one.name)).toEqual(["errors"]);
    expect(none.spec.freeze).toEqual([friday]);
  });
});

describe("the layers", () => {
  test("go from Default to Required to the deployment's own, those of one sort by name", () => {
    const layers = [own({}), required({}, "b"), offered({}, "z"), required({}, "a"), offered({}, "y")];
    expect(inOrder(layers).map((one) => one.name)).toEqual(["y", "z", "a", "b", "mine"]);
    expect(mergeLayers(layers).layers).toEqual(inOrder(layers));
  });

  test("of two Default layers the later name wins, and the deployment's own goes before both", () => {
    const two = [offered({ bake: "1m" }, "a"), offered({ bake: "2m" }, "b")];
    expect(mergeLayers(two).spec.bake).toBe("2m");
    expect(mergeLayers([...two, own({ bake: "30s" })])).toMatchObject({ spec: { bake: "30s" }, refused: [] });
  });

  test("a Default layer's check gives way to one of the same name", () => {
    const merged = mergeLayers([offered({ checks: [check()] }), own({ checks: [check({ query: "other" })] })]);
    expect(merged.spec.checks).toEqual([check({ query: "other" })]);
    expect(merged.broughtBy).toEqual({ errors: "RollbackPolicy/mine" });
  });

  test("a Required layer bounds a Default one, too, and says nothing about it", () => {
    const layers = [offered({ bake: "1m", mode: "Enforce" }), required({ bake: "5m", mode: "Recommend" })];
    expect(mergeLayers(layers)).toMatchObject({ spec: { bake: "5m", mode: "Enforce" }, refused: [] });
  });

  test("one policy alone is in force as it is written", () => {
    const spec = RollbackPolicySpecSchema.parse({
      mode: "Observe",
      bake: "3m",
      checks: [check()],
      available: { for: "1m" },
      rollback: { budget: {} },
      freeze: [{ schedule: "0 18 * * 5", duration: "60h" }],
    });
    expect(mergeLayers([own(spec)]).spec).toEqual(spec);
  });

  test("without any layer the built-in policy is in force", () => {
    const policy = effectivePolicy(mergeLayers([]), { current: true, notices: [] });
    expect(policy).toMatchObject({ mode: "Enforce", names: [], origins: [], current: true });
    expect(policy.checks.map((one) => one.name)).toEqual(["available", "restarts"]);
  });

  test.each<[string, Spec]>([
    ["observing only", { mode: "Observe" }],
    ["a long warm-up", { warmup: "24h" }],
    ["letting breaches of their severity pass", { actions: { Critical: "Alert" } }],
  ])("a Required layer's checks can't be made idle by %s", (_words, spec) => {
    const merged = mergeLayers([required({ checks: [check()] }), own(spec)]);
    expect(merged.refused).toMatchObject([{ layer: "RollbackPolicy/mine", forbiddenBy: "ClusterRollbackPolicy/base" }]);
    const policy = effectivePolicy(merged, { current: true, notices: [] });
    expect(policy).toMatchObject({ mode: "Enforce", warmupMs: 60_000, actions: { Critical: "Rollback" } });
    expect(policy.notice).toContain("is refused by ClusterRollbackPolicy/base");
  });

  test("the actions of other severities than those of Required checks are the deployment's own", () => {
    const merged = mergeLayers([required({ checks: [check()] }), own({ actions: { Warning: "Alert" } })]);
    expect(merged).toMatchObject({ refused: [], spec: { actions: { Warning: "Alert" } } });
  });

  test("a check of the same name that measures something else is refused as a whole", () => {
    const merged = mergeLayers([
      required({ checks: [check()] }),
      own({ checks: [check({ query: "vector(0)", threshold: { max: 0.01 } })] }),
    ]);
    expect(merged.spec.checks).toEqual([check()]);
    expect(merged.refused).toMatchObject([{ field: "checks[errors]", asked: "with another query" }]);
  });

  test("tightening a check into what could never be healthy is refused", () => {
    const merged = mergeLayers([required({ checks: [check()] }), own({ checks: [check({ threshold: { min: 0.5 } })] })]);
    expect(merged.spec.checks).toEqual([check()]);
    expect(merged.refused[0]?.asked).toContain("min 0.5 is above max 0.1");
  });

  test("what the API server fills in for a field that was left out is no attempt to loosen it", () => {
    const merged = mergeLayers([
      required({ checks: [check({ interval: "15s", window: "15s", breach: { count: 1, of: 9 } })] }),
      own({ checks: [check({ threshold: { max: 0.05 } })] }),
    ]);
    expect(merged.refused).toEqual([]);
    expect(merged.spec.checks).toMatchObject([
      { interval: "15s", window: "15s", breach: { count: 1, of: 9 }, threshold: { max: 0.05 } },
    ]);
  });

  test("there is room for so many checks; the lowest layers give way, and Required ones never", () => {
    const many = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => check({ name: `${prefix}${n}` }));
    const merged = mergeLayers([
      offered({ checks: many("d", 10) }),
      own({ checks: many("o", 20) }),
      required({ checks: many("r", 16) }),
    ]);
    expect(merged.spec.checks).toHaveLength(MAX_CHECKS);
    expect(Object.keys(merged.required)).toHaveLength(16);
    expect(merged.refused.map((one) => one.layer)).toEqual(Array(8).fill("ClusterRollbackPolicy/usual"));
  });

  test("the same check is another policy where it is required: a pause does not stop its returns", () => {
    const one = { checks: [check()] };
    const hashes = [required(one), own(one)].map((layer) => mergeLayers([layer]).hash);
    expect(hashes[0]).not.toBe(hashes[1]);
    const policy = effectivePolicy(mergeLayers([required(one)]), { current: true, notices: [] });
    expect(policy.checks.map((each) => [each.name, each.required === true])).toEqual([
      ["errors", true],
      ["available", false],
      ["restarts", false],
    ]);
  });

  test("only the check that changed as merged begins anew", () => {
    const fingerprints = (layers: Layer[]) =>
      effectivePolicy(mergeLayers(layers), { current: true, notices: [] }).checks.map((one) => one.fingerprint);
    const mine = own({ checks: [check(), check({ name: "latency" })] });
    const before = fingerprints([mine]);
    // The same content from another layer, or under another generation, is the same check.
    expect(fingerprints([own({ ...mine.spec, bake: "1h" }, "other")])).toEqual(before);
    const after = fingerprints([required({ checks: [check({ threshold: { max: 0.05 } })] }), mine]);
    expect(after.filter((one) => !before.includes(one))).toHaveLength(1);
  });
});

describe("what can be wrong although the API server took it", () => {
  test.each<[string, Spec, string]>([
    ["a schedule", { freeze: [{ schedule: "99 18 * * 5", duration: "1h", timeZone: "UTC" }] }, "freeze[0]"],
    ["a time zone", { freeze: [{ schedule: "0 18 * * 5", duration: "1h", timeZone: "Europe/Nowhere" }] }, "Europe/Nowhere"],
    ["a window longer than the interval", { checks: [check({ window: "5m" })] }, "checks[errors].interval"],
    ["limits that cross", { checks: [check({ threshold: { min: 2, max: 1 } })] }, "checks[errors].threshold"],
    ["more bad samples than there are", { checks: [check({ breach: { count: 6, of: 5 } })] }, "checks[errors].breach"],
    ["a name twice", { checks: [check(), check()] }, "there are two of that name"],
  ])("%s", (_words, spec, words) => {
    expect(policyProblems(spec).join("\n")).toContain(words);
  });

  test("a usual policy has no problem", () => {
    expect(
      policyProblems({ checks: [check()], freeze: [{ schedule: "0 18 * * 5", duration: "60h", timeZone: "Europe/Berlin" }] }),
    ).toEqual([]);
  });
});

// --- what always holds -----------------------------------------------------------------------------------------------

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const anyCheck: fc.Arbitrary<Check> = fc
  .record({
    name: fc.constantFrom("errors", "latency", "drift"),
    query: fc.constantFrom("q", "other"),
    fields: fc.dictionary(
      fc.constantFrom(
        ...RULES_OF.check
          .map((rule) => rule.field)
          .filter((field) => !/^(query|ratio|preset|baseline.metric)/.test(field) && field !== "overlapping"),
      ),
      fc.nat(1),
    ),
  })
  .map(({ name, query, fields }) => {
    const form: Record<string, unknown> = { name, source: "prometheus", query, threshold: { max: 0.1 } };
    for (const [path, index] of Object.entries(fields)) {
      if (path.startsWith("baseline.") && form.baseline === undefined) form.baseline = { maxIncrease: 7 };
      setAt(form, path, VALUES[`checks[].${path}`]?.[index]);
    }
    return CheckSchema.parse(form);
  });

const anySpec: fc.Arbitrary<Spec> = fc
  .record({
    fields: fc.dictionary(
      fc.constantFrom(...scalar.map((rule) => rule.field).filter((field) => !field.startsWith("checks"))),
      fc.nat(1),
    ),
    checks: maybe(fc.uniqueArray(anyCheck, { maxLength: 3, selector: (one) => one.name })),
    freeze: maybe(fc.array(fc.constantFrom("0 18 * * 5", "0 0 1 * *"), { maxLength: 2 })),
  })
  .map(({ fields, checks, freeze }) => {
    const spec: Record<string, unknown> = {};
    for (const [field, index] of Object.entries(fields)) setAt(spec, field, VALUES[field]?.[index]);
    if (checks) spec.checks = checks;
    if (freeze) spec.freeze = freeze.map((schedule) => ({ schedule, duration: "1h", timeZone: "UTC" }));
    return RollbackPolicySpecSchema.parse(spec);
  })
  .filter((spec) => policyProblems(spec).length === 0);

const anyLayers = fc
  .record({
    defaults: fc.array(anySpec, { maxLength: 2 }),
    required: fc.array(anySpec, { maxLength: 2 }),
    own: maybe(anySpec),
  })
  .map(({ defaults, required: bounds, own: mine }) => [
    ...defaults.map((spec, n) => offered(spec, `default-${n}`)),
    ...bounds.map((spec, n) => required(spec, `required-${n}`)),
    ...(mine ? [own(mine)] : []),
  ]);

const RUNS = { numRuns: 500, seed: Number(process.env.ROLLGUARD_TEST_SEED ?? 20_261_124) };

/** Whether `value` is at least as tight as `bound` by a row of the table. */
function atLeast(rule: FieldRule, value: unknown, bound: unknown): boolean {
  return JSON.stringify(value) === JSON.stringify(bound) || isTighter(rule.order, value, bound);
}

describe("always", () => {
  test("a lower layer never loosens: every field is at least as tight as each Required layer that has an order says", () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const merged = mergeLayers(layers);
        for (const { spec } of layers.filter((one) => one.enforcement === "Required")) {
          for (const rule of RULES_OF.policy) {
            const bound = valueAt(spec, rule.field);
            if (bound === undefined || rule.order.by === "Items" || rule.order.by === "Fixed") continue;
            expect(atLeast(rule, valueAt(merged.spec, rule.field), bound), rule.field).toBe(true);
          }
          for (const freeze of spec.freeze ?? []) expect(merged.spec.freeze).toContainEqual(freeze);
          for (const bound of spec.checks ?? []) {
            const inForce = merged.spec.checks?.find((one) => one.name === bound.name);
            expect(inForce).toBeDefined();
            // Of two Required checks of one name that measure different things, the first by name stands, and the other is named.
            if (merged.refused.some((one) => one.field.startsWith(`checks[${bound.name}]`) && one.layer.startsWith("Cluster")))
              continue;
            for (const rule of RULES_OF.check) {
              const limit = valueAt(bound, rule.field);
              const now = valueAt(inForce, rule.field);
              if (limit === undefined || layers.filter((one) => one.enforcement === "Required").length > 1) continue;
              expect(atLeast(rule, now, limit), `${bound.name}.${rule.field}`).toBe(true);
            }
          }
        }
      }),
      RUNS,
    );
  });

  test("what no layer may change is as the first Required layer by name says", () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const merged = mergeLayers(layers);
        for (const rule of RULES_OF.policy.filter((one) => one.order.by === "Fixed")) {
          const first = inOrder(layers).find(
            (one) => one.enforcement === "Required" && valueAt(one.spec, rule.field) !== undefined,
          );
          if (first) expect(valueAt(merged.spec, rule.field)).toEqual(valueAt(first.spec, rule.field));
        }
      }),
      RUNS,
    );
  });

  test("merging the merged policy in place of the deployment's own changes nothing", () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const once = mergeLayers(layers);
        const cluster = layers.filter((one) => one.enforcement !== undefined);
        const twice = mergeLayers([...cluster, own(once.spec)]);
        expect({ ...twice.spec, checks: undefined }).toEqual({ ...once.spec, checks: undefined });
        const sorted = (spec: Spec) => [...(spec.checks ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(sorted(twice.spec)).toEqual(sorted(once.spec));
        expect(twice.refused.filter((one) => one.layer === "RollbackPolicy/mine")).toEqual([]);
      }),
      RUNS,
    );
  });

  test("every origin names a layer that exists, and every field in force has one", () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const merged = mergeLayers(layers);
        const names = layers.map((one) => `${one.kind}/${one.name}`);
        for (const { layer } of merged.origins) expect(names).toContain(layer);
        const fields = merged.origins.map((one) => one.field);
        for (const rule of RULES_OF.policy)
          if (rule.order.by !== "Items" && valueAt(merged.spec, rule.field) !== undefined) expect(fields).toContain(rule.field);
        for (const one of merged.spec.checks ?? []) expect(fields).toContain(`checks[${one.name}]`);
        for (const { layer, forbiddenBy } of merged.refused)
          expect([...names, "Rollguard"]).toEqual(expect.arrayContaining([layer, forbiddenBy]));
      }),
      RUNS,
    );
  });

  test("the result of valid layers is valid", () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        expect(policyProblems(mergeLayers(layers).spec)).toEqual([]);
      }),
      RUNS,
    );
  });

  test("the hash changes with the content in force, and with nothing else", () => {
    fc.assert(
      fc.property(anyLayers, anyLayers, (a, b) => {
        const content = (layers: Layer[]) => {
          const { spec, required: names } = mergeLayers(layers);
          const keys = (_key: string, value: unknown) =>
            value && typeof value === "object" && !Array.isArray(value)
              ? Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)))
              : value;
          return JSON.stringify({ spec, names: Object.keys(names).sort() }, keys);
        };
        expect(mergeLayers(a).hash === mergeLayers(b).hash).toBe(content(a) === content(b));
        const renamed = a.map((layer) => ({ ...layer, generation: layer.generation + 1 }));
        expect(mergeLayers(renamed).hash).toBe(mergeLayers(a).hash);
      }),
      RUNS,
    );
  });

  test("the order in which layers are given does not matter", () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        expect(mergeLayers([...layers].reverse())).toEqual(mergeLayers(layers));
      }),
      RUNS,
    );
  });
});

test("what the API server fills in is known for each field that has a default", () => {
  expect(filledIn("checks[].interval")).toBe("1m");
  expect(filledIn("available.unready")).toBe("50%");
  expect(filledIn("checks[].preset.minSamples")).toBe(50);
  expect(filledIn("mode")).toBeUndefined();
});
