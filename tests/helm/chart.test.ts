// The chart by the real Helm, without a cluster: lint, what each set of values of charts/rollguard/ci/ makes, what the schema refuses, and
// that it makes what the manifests make. Skipped where there is no Helm; `node tests/helm/helm.ts` builds it.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { loadAll } from "js-yaml";
import { describe, expect, test } from "vitest";
import { plannedPrograms } from "../cluster/build.ts";
import { CHART, findHelm } from "./helm.ts";

const ROOT = join(CHART, "../..");
const SETS = readdirSync(join(CHART, "ci")).sort();
const helm = findHelm();
const kubectl = [join(plannedPrograms().folder, "kubectl"), "kubectl"].find(
  (one) => spawnSync(one, ["version", "--client"]).status === 0,
);

interface Made {
  kind: string;
  metadata: { name: string; namespace?: string };
  [field: string]: unknown;
}

const run = (program: string, ...args: string[]) => execFileSync(program, args, { cwd: ROOT, encoding: "utf8", maxBuffer: 64e6 });
const parsed = (text: string) => (loadAll(text) as (Made | null)[]).filter((one): one is Made => one !== null);
const render = (namespace: string, ...args: string[]) =>
  parsed(run(helm ?? "", "template", "rollguard", CHART, "--namespace", namespace, ...args));
const kustomize = (folder: string) => parsed(run(kubectl ?? "", "kustomize", folder));
const values = (set: string) => ["--values", join(CHART, "ci", set)];

describe.skipIf(helm === undefined)("the chart (needs Helm: node tests/helm/helm.ts)", () => {
  test.each(SETS)("lint finds nothing in it with %s", (set) => {
    const { stdout, status } = spawnSync(helm ?? "", ["lint", "--strict", CHART, ...values(set)], { encoding: "utf8" });
    expect(stdout).not.toMatch(/\[(WARNING|ERROR)\]/);
    expect(status).toBe(0);
  });

  test("each switch is on in some set, so that each template is made", () => {
    const made = new Set(
      SETS.flatMap((set) =>
        [...run(helm ?? "", "template", "rollguard", CHART, ...values(set)).matchAll(/^# Source: rollguard\/(\S+)/gm)].map(
          ([, file]) => file,
        ),
      ),
    );
    const templates = readdirSync(join(CHART, "templates")).filter((name) => name.endsWith(".yaml"));
    expect(templates.filter((name) => !made.has(`templates/${name}`))).toEqual([]);
    const kinds = new Set(SETS.flatMap((set) => render("any", ...values(set))).map(({ kind }) => kind));
    for (const kind of ["PodMonitor", "ServiceMonitor", "PrometheusRule", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"])
      expect(kinds).toContain(kind);
  });

  test.each([
    [["image.tagg=1"], "tagg"],
    [["replicas=0"], "replicas"],
    [["scope=Everything"], "scope"],
    [["image.digest=latest"], "digest"],
    [["clusterObjects[0].kind=MetricSource"], "scope: Namespace"],
  ])("refuses --set %s", (set, word) => {
    const { status, stderr } = spawnSync(helm ?? "", ["template", CHART, ...set.flatMap((one) => ["--set", one])], {
      encoding: "utf8",
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain(word);
  });

  test("with scope Namespace it makes nothing that belongs to the cluster", () => {
    const wide = render("any", ...values("one-namespace-values.yaml")).filter(({ metadata }) => metadata.namespace !== "any");
    expect(wide).toEqual([]);
  });

  test("a CustomResourceDefinition stays when the release goes, and none is made where that is asked for", () => {
    const crds = (...args: string[]) => render("any", ...args).filter(({ kind }) => kind === "CustomResourceDefinition");
    expect(crds().length).toBe(readdirSync(join(ROOT, "crds")).filter((name) => name.endsWith(".yaml")).length);
    for (const { metadata } of crds()) expect(metadata).toMatchObject({ annotations: { "helm.sh/resource-policy": "keep" } });
    expect(crds("--set", "crds.install=false")).toEqual([]);
  });

  // The overlay's namespace is an example; the chart's is the release's.
  test.skipIf(kubectl === undefined).each([
    ["manifests", "rollguard-system", "default-values.yaml"],
    ["manifests/overlays/high-availability", "rollguard-system", "high-availability-values.yaml"],
    ["manifests/overlays/one-namespace", "models", "one-namespace-values.yaml"],
  ])("makes what %s makes (needs kubectl)", (folder, namespace, set) => {
    const manifests = kustomize(folder);
    // Helm makes the namespace by --create-namespace.
    const wanted = manifests.filter(({ kind }) => kind !== "Namespace");
    expect(wanted.length).toBeGreaterThan(6);
    expect(comparable(render(namespace, ...values(set)))).toEqual(comparable(wanted));
  });

  test.skipIf(kubectl === undefined)(
    "makes what the manifests make with the component manifests/admission (needs kubectl)",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "rollguard-overlay-"));
      try {
        const [resources, components] = ["manifests", "manifests/admission"].map((one) => [relative(folder, join(ROOT, one))]);
        writeFileSync(join(folder, "kustomization.yaml"), JSON.stringify({ resources, components }));
        const wanted = kustomize(folder).filter(({ kind }) => kind !== "Namespace");
        expect(wanted.filter(({ kind }) => kind.includes("AdmissionPolicy")).length).toBe(6);
        const made = render("rollguard-system", ...values("admission-values.yaml"));
        expect(comparable(made)).toEqual(comparable(wanted));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});

/** By kind and name, with what has no order sorted, the hashes in names taken away, and the content of ConfigMaps read. */
function comparable(objects: readonly Made[]): Record<string, unknown> {
  const plain = JSON.parse(JSON.stringify(objects).replace(/(rollguard-cluster-objects)-\w+/g, "$1")) as Made[];
  const entries = plain.map((object): [string, unknown] => {
    if (object.kind === "Deployment") sortEnvironment(object);
    if (object.kind !== "ConfigMap") return [`${object.kind} ${object.metadata.name}`, object];
    const data = Object.entries(object.data as Record<string, string>).map(([name, text]) => [name, parsed(text)]);
    const { metadata } = object;
    return [`${object.kind} ${metadata.name}`, { metadata: { name: metadata.name, namespace: metadata.namespace }, data }];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => a.localeCompare(b)));
}

function sortEnvironment(deployment: Made): void {
  const { containers } = (deployment.spec as { template: { spec: { containers: { env: { name: string }[] }[] } } }).template.spec;
  for (const { env } of containers) env.sort((a, b) => a.name.localeCompare(b.name));
}

test("alerts and dashboard ask for metrics that the operator has", async () => {
  const { METRICS } = await import("../../src/telemetry.ts");
  const known = Object.values(METRICS).flatMap(({ name, type }) =>
    type === "histogram" ? ["_bucket", "_count", "_sum"].map((end) => `${name}${end}`) : [name],
  );
  for (const file of ["alerts.yaml", "dashboard.json"]) {
    const asked = readFileSync(join(CHART, "files", file), "utf8").match(/\brollguard_\w+/g) ?? [];
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((name) => !known.includes(name))).toEqual([]);
  }
});

const promtool = spawnSync("promtool", ["--version"]).status === 0;
test.skipIf(!promtool)("Prometheus takes the alerts (needs promtool)", () => {
  expect(run("promtool", "check", "rules", join(CHART, "files/alerts.yaml"))).toContain("SUCCESS");
});
