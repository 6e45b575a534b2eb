// Each lint rule with what it finds and with what it lets pass.

import { load } from "js-yaml";
import { describe, expect, test } from "vitest";
import type { MetricSourceSpec } from "../../src/api/metricsource.ts";
import { type ModelDeployment, ModelDeploymentSpecSchema } from "../../src/api/modeldeployment.ts";
import { type RollbackPolicy, type RollbackPolicySpec, RollbackPolicySpecSchema } from "../../src/api/rollbackpolicy.ts";
import { resolvePolicy } from "../../src/core/resolve.ts";
import { lintDeployment, lintPolicy, RULES_FOR_DEPLOYMENTS, RULES_FOR_POLICIES } from "../../src/trial/lint.ts";
import type { DeploymentSubject, PolicySubject } from "../../src/trial/lint-rule.ts";
import { read } from "../house/files.ts";

const QUERY = 'sum(rate(x{pod=~"${workload}-.+"}[${window}]))';
const RATIO = { numerator: QUERY, denominator: QUERY, minSamples: 100, confidence: 0.95 };

/** A policy with nothing to object to, changed by `over`, and its one check by `check`. */
function policy(over: object = {}, check: object = {}, more: Partial<PolicySubject> = {}): PolicySubject {
  const written = {
    checks: [{ name: "errors", source: "prometheus", ratio: RATIO, threshold: { max: 0.05 }, ...check }],
    rollback: { cooldown: "10m", budget: { limit: 3, per: "1h" } },
    ...over,
  };
  const spec = RollbackPolicySpecSchema.parse(written) as RollbackPolicySpec;
  return { spec, written, policy: resolvePolicy(spec), ...more };
}

const scalar = (over: object = {}) => ({ ratio: undefined, query: QUERY, ...over });

const source = (over: Partial<MetricSourceSpec> = {}): ReadonlyMap<string, MetricSourceSpec> =>
  new Map([
    ["prometheus", { type: "Prometheus", address: "http://p", namespaces: ["*"], freeQueries: true, timeout: "5s", ...over }],
  ]);

const CONTAINER = { name: "server", image: "registry.example.com:5000/server:1.2", readinessProbe: { httpGet: {} } };

function deployment(over: object = {}, container: object = {}, more: Partial<DeploymentSubject> = {}): DeploymentSubject {
  const spec = ModelDeploymentSpecSchema.parse({
    model: "m",
    version: "v1",
    replicas: 10,
    template: { spec: { containers: [{ ...CONTAINER, ...container }] } },
    probe: { path: "/predict" },
    policy: { kind: "RollbackPolicy", name: "strict" },
    ...over,
  }) as ModelDeployment["spec"];
  return { spec, policy: policy().policy, policyFound: true, ...more };
}

const canary = (...steps: object[]) => ({ strategy: { type: "Canary", canary: { steps } } });

interface Fixture<Subject> {
  bad: Subject[];
  good: Subject[];
}

const POLICIES: Record<string, Fixture<PolicySubject>> = {
  "query-without-workload": {
    bad: [policy({}, scalar({ query: "up" })), policy({}, { freshness: "max(timestamp(up))" })],
    good: [
      policy(),
      policy({}, scalar({ query: "sum(up)" }), { sources: source({ type: "Pods", address: undefined }) }),
      policy({}, { ratio: undefined, preset: { server: "vLLM", measure: "LatencyP95" } }),
    ],
  },
  "unknown-variable": {
    bad: [policy({}, scalar({ query: 'up{pod="${workload}",x="${pod}"}' })), policy({}, scalar({ query: "up${workload}" }))],
    good: [policy()],
  },
  "query-syntax": {
    bad: [
      policy({}, scalar({ query: 'sum(rate(x{pod="${workload}"}[${window}])' })),
      // Prometheus knows it, a source that scrapes pods does not.
      policy({}, scalar({ query: 'x{pod="${workload}"} offset 5m' }), { sources: source({ type: "Pods", address: undefined }) }),
    ],
    good: [policy(), policy({}, scalar({ query: 'x{pod="${workload}"} offset 5m' }))],
  },
  "source-missing": {
    bad: [policy({}, { source: "other" }, { sources: source() })],
    good: [policy({}, {}, { sources: source() }), policy()],
  },
  "source-not-allowed": {
    bad: [
      policy({}, {}, { sources: source({ namespaces: ["ranking"] }), namespace: "fraud" }),
      policy({}, {}, { sources: source({ freeQueries: false }) }),
    ],
    good: [
      policy({}, {}, { sources: source({ namespaces: ["fraud"] }), namespace: "fraud" }),
      policy({}, {}, { sources: source({ freeQueries: false, tenancy: { queryParameter: "namespace" } }) }),
      policy(
        {},
        { ratio: undefined, preset: { server: "vLLM", measure: "LatencyP95" } },
        { sources: source({ freeQueries: false }) },
      ),
    ],
  },
  "duplicate-query": {
    bad: [policy({ checks: ["a", "b"].map((name) => ({ name, source: "prometheus", query: QUERY, threshold: { max: 1 } })) })],
    good: [
      policy({
        checks: ["a", "b"].map((name, index) => ({ name, source: "prometheus", query: QUERY, threshold: { max: index } })),
      }),
    ],
  },
  "invalid-policy": { bad: [policy({}, { window: "5m", interval: "1m", ratio: RATIO, overlapping: true })], good: [policy()] },
  "threshold-breached-by-baseline": {
    bad: [policy({}, {}, { measured: { errors: 0.06 } })],
    good: [policy({}, {}, { measured: { errors: 0.01 } }), policy()],
  },
  "window-longer-than-bake": {
    bad: [policy({ bake: "20m" }, { window: "30m" })],
    good: [policy({ bake: "40m" }, { window: "30m" })],
  },
  "bake-too-short": { bad: [policy({ bake: "2m" })], good: [policy({ bake: "10m" })] },
  "ratio-default-samples": {
    bad: [policy({}, { ratio: { numerator: QUERY, denominator: QUERY, confidence: 0.95 } })],
    good: [policy(), policy({}, scalar())],
  },
  "one-error-breaches": {
    bad: [policy({}, { ratio: { ...RATIO, minSamples: 10 } })],
    good: [policy({}, { ratio: { ...RATIO, minSamples: 20 } })],
  },
  "ratio-without-confidence": {
    bad: [policy({}, { ratio: { ...RATIO, confidence: undefined } })],
    good: [policy(), policy({}, scalar())],
  },
  "comparison-only": {
    bad: [
      policy({}, scalar({ threshold: undefined, baseline: { from: "LastHealthy", maxIncreasePercent: 25, guard: "Rollback" } })),
    ],
    good: [policy({}, scalar({ baseline: { from: "LastHealthy", maxIncreasePercent: 25 } }))],
  },
  "comparison-holds-in-guard": {
    bad: [policy({}, scalar({ threshold: undefined, baseline: { from: "LastHealthy", maxIncreasePercent: 25 } }))],
    good: [
      policy({}, scalar({ threshold: undefined, baseline: { from: "LastHealthy", maxIncreasePercent: 25, guard: "Rollback" } })),
    ],
  },
  "critical-does-not-roll-back": {
    bad: [policy({ actions: { Critical: "Alert" } })],
    good: [policy({ actions: { Warning: "Alert" } })],
  },
  "no-metric-check": { bad: [policy({ checks: [] }), policy({}, { severity: "Warning" })], good: [policy()] },
  "verify-longer-than-deadline": {
    bad: [policy({ rollback: { verify: "10m", deadline: "9m" } })],
    good: [policy({ rollback: { verify: "9m", deadline: "10m" } })],
  },
  "cooldown-zero": { bad: [policy({ rollback: { cooldown: "0s" } })], good: [policy()] },
  "budget-never-spent": {
    bad: [policy({ rollback: { cooldown: "30m", budget: { limit: 3, per: "1h" } } })],
    good: [policy({ rollback: { cooldown: "10m", budget: { limit: 3, per: "1h" } } })],
  },
  "freeze-never-ends": {
    bad: [policy({ freeze: [{ schedule: "0 0 * * *", duration: "24h", timeZone: "UTC" }] })],
    good: [
      policy({ freeze: [{ schedule: "0 18 * * 5", duration: "60h", timeZone: "Europe/Berlin" }] }),
      policy({ freeze: [{ schedule: "0 0 24 12 *", duration: "72h", timeZone: "UTC" }] }),
    ],
  },
  observes: { bad: [policy({ mode: "Observe" })], good: [policy({ mode: "Recommend" })] },
  "guard-slower-than-a-day": {
    bad: [policy({ bake: "200h" }, { interval: "12h", breach: { count: 3, of: 5 } })],
    good: [policy({}, { interval: "1h" })],
  },
};

const DEPLOYMENTS: Record<string, Fixture<DeploymentSubject>> = {
  "canary-share-not-reached": {
    bad: [
      deployment({ ...canary({ weight: 80, hold: "10m" }) }),
      deployment({ replicas: 2, ...canary({ weight: 5, hold: "10m" }) }),
    ],
    good: [
      deployment({ ...canary({ weight: 10, hold: "10m" }, { weight: 50, hold: "10m" }) }),
      deployment({
        strategy: {
          type: "Canary",
          canary: { steps: [{ weight: 80, hold: "10m" }], route: { parentRefs: [{ name: "gateway" }] } },
        },
      }),
    ],
  },
  "canary-hold-too-short": {
    bad: [deployment(canary({ weight: 10, hold: "2m" }))],
    good: [deployment(canary({ weight: 10, hold: "3m" }, { weight: 50, pause: true }))],
  },
  "standby-never-warm": {
    bad: [deployment({ strategy: { standby: { for: "0s" } } })],
    good: [deployment(), deployment({ strategy: { type: "Recreate", standby: { for: "0s" } } })],
  },
  "deadline-before-warmup": {
    bad: [deployment({ strategy: { progressDeadline: "30s" } })],
    good: [deployment({ strategy: { progressDeadline: "2m" } })],
  },
  "probe-missing": { bad: [deployment({ probe: undefined })], good: [deployment()] },
  "readiness-missing": { bad: [deployment({}, { readinessProbe: undefined })], good: [deployment()] },
  "image-floats": {
    bad: [
      deployment({}, { image: "server" }),
      deployment({}, { image: "server:latest" }),
      deployment({}, { image: "registry.example.com:5000/server" }),
    ],
    good: [deployment(), deployment({}, { image: "server@sha256:abc" })],
  },
  "policy-missing": { bad: [deployment({}, {}, { policyFound: false })], good: [deployment()] },
  "policy-none": { bad: [deployment({ policy: undefined }, {}, { policy: resolvePolicy(undefined) })], good: [deployment()] },
};

describe("each rule", () => {
  test("has a case that it finds and one that it lets pass", () => {
    expect(Object.keys(POLICIES)).toEqual(RULES_FOR_POLICIES.map((rule) => rule.id));
    expect(Object.keys(DEPLOYMENTS)).toEqual(RULES_FOR_DEPLOYMENTS.map((rule) => rule.id));
  });

  test.each(Object.entries(POLICIES))("%s finds what is wrong and nothing else", (id, { bad, good }) => {
    for (const subject of bad) expect(lintPolicy(subject).map((one) => one.rule)).toContain(id);
    for (const subject of good) expect(lintPolicy(subject).map((one) => one.rule)).not.toContain(id);
  });

  test.each(Object.entries(DEPLOYMENTS))("%s finds what is wrong and nothing else", (id, { bad, good }) => {
    for (const subject of bad) expect(lintDeployment(subject).map((one) => one.rule)).toContain(id);
    for (const subject of good) expect(lintDeployment(subject).map((one) => one.rule)).not.toContain(id);
  });
});

test("a sound policy and a sound deployment have nothing to object to", () => {
  expect(lintPolicy(policy())).toEqual([]);
  expect(lintDeployment(deployment())).toEqual([]);
});

test("a finding names the field, and a syntax error its place", () => {
  const [found] = lintPolicy(policy({}, scalar({ query: 'sum(x{pod="${workload}"}' })));
  expect(found).toMatchObject({ rule: "query-syntax", severity: "Error", path: "spec.checks[0].query" });
  expect(found?.message).toMatch(/^PromQL syntax error at character \d+/);
});

test("the examples have no errors", () => {
  for (const file of ["examples/manifests/rollbackpolicy.yaml", "examples/digits/policy.yaml"]) {
    const { spec } = load(read(file)) as RollbackPolicy;
    const parsed = RollbackPolicySpecSchema.parse(spec) as RollbackPolicySpec;
    const found = lintPolicy({ spec: parsed, written: spec as Record<string, unknown>, policy: resolvePolicy(parsed) });
    expect(found.filter((one) => one.severity === "Error")).toEqual([]);
  }
});
