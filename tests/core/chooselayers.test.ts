// Which policies have a say for a deployment, and what takes the place of one that can't be used.
import { expect, test } from "vitest";
import type { ClusterRollbackPolicy } from "../../src/api/clusterrollbackpolicy.ts";
import type { RollbackPolicy } from "../../src/api/rollbackpolicy.ts";
import { chooseLayers, type LayerChoice } from "../../src/core/chooselayers.ts";
import { type Layer, layerName } from "../../src/core/layers.ts";

const cluster = (name: string, spec: object = {}, generation = 1) =>
  ({
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "ClusterRollbackPolicy",
    metadata: { name, generation },
    spec: { enforcement: "Default", ...spec },
  }) as ClusterRollbackPolicy;
const namespaced = (name: string, spec: object = {}) =>
  ({ ...cluster(name), kind: "RollbackPolicy", spec }) as unknown as RollbackPolicy;
const BAD = { freeze: [{ schedule: "99 0 * * *", duration: "1h", timeZone: "UTC" }] };
const own = (name: string, generation = 1): Layer => ({ kind: "RollbackPolicy", name, generation, spec: {} });
const required = (name: string, generation = 1): Layer => ({
  kind: "ClusterRollbackPolicy",
  name,
  generation,
  enforcement: "Required",
  spec: {},
});
const named = (name: string, kind: Layer["kind"] = "RollbackPolicy") => ({ kind, name });

const choose = (choice: Partial<LayerChoice>) => {
  const chosen = chooseLayers({ cluster: [], namespaced: () => undefined, last: [], ...choice });
  const layers = chosen.layers.map((one) => `${layerName(one)}@${one.generation} ${one.enforcement ?? "own"}`);
  return { layers, current: chosen.current, notices: chosen.notices };
};

test.each<[string, Partial<LayerChoice>, string[]]>([
  ["no policy at all", {}, []],
  ["the one that is named", { named: named("a"), namespaced: () => namespaced("a") }, ["RollbackPolicy/a@1 own"]],
  [
    "cluster policies that select it by the namespace's labels and its own",
    {
      cluster: [
        cluster("by-namespace", { namespaceSelector: { matchLabels: { tier: "gold" } } }),
        cluster("by-label", { selector: { matchLabels: { team: "a" } }, enforcement: "Required" }),
        cluster("elsewhere", { namespaceSelector: { matchLabels: { team: "a" } } }),
      ],
      labels: { team: "a" },
      namespaceLabels: { tier: "gold" },
    },
    ["ClusterRollbackPolicy/by-namespace@1 Default", "ClusterRollbackPolicy/by-label@1 Required"],
  ],
  [
    "a cluster policy that is named needs not select it",
    { named: named("a", "ClusterRollbackPolicy"), cluster: [cluster("a", { selector: { matchLabels: { none: "such" } } })] },
    ["ClusterRollbackPolicy/a@1 own"],
  ],
  [
    "a Default one that is named is the deployment's own, and no Default besides",
    { named: named("a", "ClusterRollbackPolicy"), cluster: [cluster("a"), cluster("b")] },
    ["ClusterRollbackPolicy/b@1 Default", "ClusterRollbackPolicy/a@1 own"],
  ],
  [
    "a Required one that selects it stays Required when it is named",
    { named: named("a", "ClusterRollbackPolicy"), cluster: [cluster("a", { enforcement: "Required" })] },
    ["ClusterRollbackPolicy/a@1 Required"],
  ],
  [
    "the cluster's default for a deployment that names none",
    { fallback: "usual", cluster: [cluster("usual", { selector: { matchLabels: { none: "such" } } })] },
    ["ClusterRollbackPolicy/usual@1 own"],
  ],
  [
    "a policy that is named goes before the cluster's default",
    {
      named: named("a"),
      fallback: "usual",
      namespaced: () => namespaced("a"),
      cluster: [cluster("usual", { selector: { matchLabels: { none: "such" } } })],
    },
    ["RollbackPolicy/a@1 own"],
  ],
])("%s", (_words, choice, layers) => {
  expect(choose(choice)).toEqual({ layers, current: true, notices: [] });
});

test.each<[string, Partial<LayerChoice>, string[], string]>([
  [
    "is gone: as it last was valid",
    { named: named("a"), last: [own("a", 4)] },
    ["RollbackPolicy/a@4 own"],
    "does not exist; the last valid one",
  ],
  [
    "is another that does not exist: what was valid last stays until another is there",
    { named: named("typo"), last: [own("a", 4)] },
    ["RollbackPolicy/a@4 own"],
    "RollbackPolicy/typo does not exist; the last valid one, RollbackPolicy/a of generation 4, stays in force",
  ],
  ["never was: nothing", { named: named("a") }, [], "does not exist; the built-in checks and the other layers are in force"],
  [
    "can't be used: as it last was valid",
    { named: named("a"), namespaced: () => namespaced("a", BAD), last: [own("a", 4)] },
    ["RollbackPolicy/a@4 own"],
    "RollbackPolicy/a can't be used (freeze[0]",
  ],
  [
    "was Required and is gone: it stays Required",
    { named: named("a", "ClusterRollbackPolicy"), last: [required("a", 3), own("b")] },
    ["ClusterRollbackPolicy/a@3 Required"],
    "ClusterRollbackPolicy/a does not exist",
  ],
  [
    "is the cluster's default and does not exist",
    { fallback: "usual" },
    [],
    "ClusterRollbackPolicy/usual (named by the RollguardConfig) does not exist",
  ],
])("a policy that is named and %s", (_words, choice, layers, notice) => {
  const chosen = choose(choice);
  expect(chosen).toMatchObject({ layers, current: false });
  expect(chosen.notices.join()).toContain(notice);
});

test("a cluster policy that selects and can't be used counts as it last was valid; one that is deleted has ended", () => {
  const broken = choose({ cluster: [cluster("a", { enforcement: "Required", ...BAD }, 5)], last: [required("a", 4)] });
  expect(broken).toMatchObject({ layers: ["ClusterRollbackPolicy/a@4 Required"], current: false });
  expect(choose({ last: [required("a", 4)] })).toEqual({ layers: [], current: true, notices: [] });
});

test("a deployment that names none any more has none of its own", () => {
  expect(choose({ last: [own("a")] })).toEqual({ layers: [], current: true, notices: [] });
});
