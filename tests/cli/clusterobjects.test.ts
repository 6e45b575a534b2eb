// --cluster-objects: the platform team's objects from files, refused with the place and the reason where they can't be used.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dump } from "js-yaml";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clusterObjectsOf } from "../../src/cli/clusterobjects.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rollguard-objects-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const object = (kind: string, name: string, spec: object) => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind,
  metadata: { name },
  spec,
});
const source = (more: object = {}) =>
  object("MetricSource", "prometheus", { type: "Prometheus", address: "http://prometheus:9090", namespaces: ["*"], ...more });
const write = (...objects: object[]) => {
  const file = join(folder, "objects.yaml");
  writeFileSync(file, objects.map((one) => dump(one)).join("---\n"));
  return file;
};

test("a file and a folder give the same objects, with the schema's defaults", () => {
  const file = write(source(), object("RollguardConfig", "cluster", { stormBreaker: { atLeast: 3 } }));
  // As the kubelet mounts a ConfigMap: hidden folders beside links.
  symlinkSync(folder, join(folder, "..data"));
  const objects = clusterObjectsOf(file);
  expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    "MetricSource prometheus",
    "RollguardConfig cluster",
  ]);
  expect(objects[0]).toMatchObject({ metadata: { generation: 1 }, spec: { timeout: "5s", freeQueries: false } });
  expect(clusterObjectsOf(folder)).toEqual(objects);
});

test("an empty file is none", () => {
  const file = join(folder, "objects.yaml");
  writeFileSync(file, "# nothing yet\n");
  expect(clusterObjectsOf(file)).toEqual([]);
});

test.each([
  ["what belongs to a namespace", [object("RollbackPolicy", "strict", {})], "a RollbackPolicy belongs to a namespace"],
  ["an unknown field", [source({ adress: "http://x" })], "MetricSource has no field spec.adress"],
  [
    "an unknown field further in",
    [source({ tls: { caRef: { name: "x", key: "y", kind: "Secret" } } })],
    "MetricSource has no field spec.tls.caRef.kind",
  ],
  ["a value that does not fit", [source({ timeout: "soon" })], "MetricSource is not valid"],
  ["two of one name", [source(), source({ freeQueries: true })], "#2: MetricSource prometheus comes twice"],
  ["a config of another name", [object("RollguardConfig", "main", {})], "must be named cluster"],
])("%s is refused", (_what, objects, message) => {
  const file = write(...objects);
  expect(() => clusterObjectsOf(file)).toThrow(message);
  expect(() => clusterObjectsOf(file)).toThrow("objects.yaml");
});
