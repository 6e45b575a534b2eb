// What makes a revision another one, from the objects that people write: what would run, and nothing else.

import { describe, expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { ModelVersion } from "../../src/api/modelversion.ts";
import { resolvePin } from "../../src/controllers/pin.ts";

const version = {
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ModelVersion",
  metadata: { name: "v1", namespace: "default", labels: { stage: "new" } },
  spec: {
    model: "toy",
    version: "1.0.0",
    description: "the first",
    artifact: {
      uri: "https://models.example/v1",
      digest: `sha256:${"1".repeat(64)}`,
      format: "onnx",
      load: "Fetch",
      sizeBytes: 100,
    },
    serving: { env: [{ name: "A", value: "1" }] },
    hyperparameters: { epochs: "12" },
    training: { dataset: { name: "transactions" } },
    validationMetrics: [{ name: "auc", value: 0.9 }],
    owner: { team: "fraud" },
    lifecycle: "Active",
  },
} as unknown as ModelVersion;

const deployment = {
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "ModelDeployment",
  metadata: { name: "toy", namespace: "default", labels: { team: "a" }, annotations: { "rollguard.dev/change-cause": "x" } },
  spec: {
    model: "toy",
    version: "v1",
    replicas: 2,
    template: {
      metadata: { labels: { app: "toy" } },
      spec: { containers: [{ name: "server", image: "toy:1", envFrom: [{ configMapRef: { name: "settings" } }] }] },
    },
    container: "server",
    modelPath: "/models",
    strategy: { type: "BlueGreen" },
    paused: false,
  },
} as unknown as ModelDeployment;

interface Objects {
  version: ModelVersion;
  deployment: ModelDeployment;
  /** Content hash of the ConfigMap that the template names. */
  settings: string;
}

function hashOf({ version: one, deployment: mdep, settings }: Objects): string {
  const pin = resolvePin(
    { ...mdep, spec: { ...mdep.spec, version: one.metadata.name } },
    one,
    () => [],
    () => settings,
    () => undefined,
  );
  if (pin.state !== "Usable") throw new Error(pin.state);
  return pin.hash;
}

type Loose = Record<string, never>;
/** Changes something deep in a copy. */
const changed = (change: (objects: { version: Loose; deployment: Loose } & { settings: string }) => void) => {
  const objects = structuredClone({ version, deployment, settings: "old" });
  change(objects as never);
  return hashOf(objects as Objects);
};
const whole = hashOf({ version, deployment, settings: "old" });

describe("the hash covers what would run", () => {
  test.each<[string, Parameters<typeof changed>[0]]>([
    ["the artifact's URI", (all) => set(all, "version.spec.artifact.uri", "https://models.example/v2")],
    ["its digest", (all) => set(all, "version.spec.artifact.digest", `sha256:${"2".repeat(64)}`)],
    ["its files", (all) => set(all, "version.spec.artifact.files", [{ path: "a", digest: `sha256:${"3".repeat(64)}` }])],
    ["its format", (all) => set(all, "version.spec.artifact.format", "torchscript")],
    ["who loads it", (all) => set(all, "version.spec.artifact.load", "None")],
    ["the serving settings", (all) => set(all, "version.spec.serving.env", [{ name: "A", value: "2" }])],
    ["the template's image", (all) => set(all, "deployment.spec.template.spec.containers.0.image", "toy:2")],
    ["the template's labels, which the pods bear", (all) => set(all, "deployment.spec.template.metadata.labels.app", "other")],
    ["which container serves", (all) => set(all, "deployment.spec.container", "other")],
    ["where the weights are", (all) => set(all, "deployment.spec.modelPath", "/weights")],
    ["the content of a ConfigMap that the template names", (all) => set(all, "settings", "new")],
  ])("%s", (_what, change) => {
    expect(changed(change)).not.toBe(whole);
  });
});

describe("and nothing else: bad weights under a new name are still the same, and a label change redeploys nothing", () => {
  test.each<[string, Parameters<typeof changed>[0]]>([
    ["the version's name", (all) => set(all, "version.metadata.name", "v1-again")],
    ["its version", (all) => set(all, "version.spec.version", "1.0.1")],
    ["its description", (all) => set(all, "version.spec.description", "the same")],
    ["its labels", (all) => set(all, "version.metadata.labels.stage", "old")],
    ["its lineage", (all) => set(all, "version.spec.training.dataset.name", "others")],
    ["its hyperparameters", (all) => set(all, "version.spec.hyperparameters.epochs", "13")],
    ["its validation metrics", (all) => set(all, "version.spec.validationMetrics.0.value", 0.8)],
    ["its owner", (all) => set(all, "version.spec.owner.team", "other")],
    ["its lifecycle", (all) => set(all, "version.spec.lifecycle", "Deprecated")],
    ["the deployment's labels", (all) => set(all, "deployment.metadata.labels.team", "b")],
    ["its change-cause", (all) => set(all, "deployment.metadata.annotations", {})],
    ["its replicas", (all) => set(all, "deployment.spec.replicas", 5)],
    ["its strategy", (all) => set(all, "deployment.spec.strategy.type", "Recreate")],
    ["a pause", (all) => set(all, "deployment.spec.paused", true)],
    ["the order in which members are written", (all) => Object.assign(all, reversed(all))],
  ])("%s", (_what, change) => {
    expect(changed(change)).toBe(whole);
  });
});

/** Sets a member by its path. */
function set(all: object, path: string, value: unknown): void {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let at = all as Record<string, never>;
  for (const key of keys) at = at[key] as never;
  at[last] = value as never;
}

/** The same with all members in another order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}
