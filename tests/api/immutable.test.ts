// A ModelVersion is immutable in each field, also against adding and removing an optional one, except its lifecycle.
import { describe, expect, it } from "vitest";
import { openApiSchema } from "../../src/api/crd.ts";
import { MODEL_VERSION } from "../../src/api/kinds.ts";
import { admit, changed, type Manifest, readYaml } from "./manifests.ts";

const full = admit(readYaml<Manifest>("examples/manifests/modelversion.yaml")).stored;
const least = admit({
  apiVersion: full.apiVersion,
  kind: full.kind,
  metadata: full.metadata,
  spec: { model: "fraud-scorer", version: "2.1.0", artifact: full.spec.artifact },
}).stored;

/** Another valid value for each field, or a part of it. */
const OTHER: [field: string, path: string, value: unknown][] = [
  ["model", "spec.model", "other"],
  ["version", "spec.version", "2.1.1"],
  ["artifact", "spec.artifact.uri", "https://models.example.com/other"],
  ["artifact", "spec.artifact.digest", `sha256:${"0".repeat(64)}`],
  ["artifact", "spec.artifact.format", "torch"],
  ["artifact", "spec.artifact.sizeBytes", 5],
  ["artifact", "spec.artifact.load", "None"],
  ["parameters", "spec.parameters.count", "1"],
  ["parameters", "spec.parameters.more", "1"],
  ["hyperparameters", "spec.hyperparameters.epochs", "13"],
  ["training", "spec.training.dataset.version", "2026-11"],
  ["training", "spec.training.source.revision", "abc"],
  ["training", "spec.training.run.id", "run-1"],
  ["training", "spec.training.completedAt", "2026-11-21T09:00:00Z"],
  ["validationMetrics", "spec.validationMetrics.0.value", 0.99],
  ["validationMetrics", "spec.validationMetrics.1.dataset", "other"],
  ["owner", "spec.owner.team", "other"],
  ["owner", "spec.owner.contact", "other@example.com"],
  ["description", "spec.description", "Something else."],
  ["serving", "spec.serving.image", "registry.example.com/other"],
  ["serving", "spec.serving.args", []],
  ["serving", "spec.serving.args.0", "--threads=8"],
  ["serving", "spec.serving.env.0.value", "64"],
];
const fields = Object.keys(openApiSchema(MODEL_VERSION).properties?.spec?.properties ?? {}).filter(
  (field) => field !== "lifecycle",
);
const optional = fields.filter((field) => !["model", "version", "artifact"].includes(field));

const refusal = (field: string) =>
  expect.objectContaining({ field: `spec.${field}`, message: expect.stringContaining(`${field} is immutable`) });

describe("ModelVersion: the spec is immutable in every field, also against adding and removing an optional one", () => {
  it("has a rule for each field of the schema, and the table below has each of them", () => {
    expect(new Set(OTHER.map(([field]) => field))).toEqual(new Set(fields));
  });

  it.each(OTHER)("%s can't be changed at %s", (field, path, value) => {
    const { errors } = admit(changed(full, { title: path, set: { [path]: value } }), full);
    expect(errors).toEqual([refusal(field)]);
  });

  it.each(optional)("%s can't be removed", (field) => {
    const { errors } = admit(changed(full, { title: field, remove: [`spec.${field}`] }), full);
    expect(errors).toEqual([refusal(field)]);
  });

  it.each(optional)("%s can't be added", (field) => {
    const { errors } = admit(changed(least, { title: field, set: { [`spec.${field}`]: full.spec[field] } }), least);
    expect(errors).toEqual([refusal(field)]);
  });

  it.each(["Deprecated", "Revoked"])("lifecycle can become %s, and Active again", (lifecycle) => {
    const next = changed(full, { title: lifecycle, set: { "spec.lifecycle": lifecycle } });
    expect(admit(next, full).errors).toEqual([]);
    expect(admit(full, next).errors).toEqual([]);
  });

  it("labels and annotations can be changed", () => {
    const next = changed(full, { title: "labels", set: { "metadata.labels": { a: "b" }, "metadata.annotations": { c: "d" } } });
    expect(admit(next, full).errors).toEqual([]);
  });
});
