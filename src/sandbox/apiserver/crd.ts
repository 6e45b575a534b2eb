// CustomResourceDefinitions: what is checked when one is created, its status, and the resource definitions it stands for.
import type { StoredObject } from "../api.ts";
import { decodeBuiltin } from "./decode.ts";
import { type FieldError, invalidValue, required } from "./errors.ts";
import { arrayAt, at, isObject, type JsonObject, objectAt, textAt } from "./json.ts";
import type { JsonSchema } from "./jsonschema.ts";
import type { Column, ResourceDef, ScalePaths } from "./resources.ts";
import { compileSchema, type Schema } from "./schema/compile.ts";

export const CRD_STORAGE = "customresourcedefinitions.apiextensions.k8s.io";
/** Holds a CRD until its objects are gone. */
export const CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

/** The store of a CRD's objects. */
export function storageOf(crd: StoredObject): string {
  return `${textAt(crd, "spec.names.plural")}.${textAt(crd, "spec.group")}`;
}

/** Completes names, and sets the status of a CRD that is served at once. */
export function establish(crd: StoredObject, now: string): void {
  const names = objectAt(crd, "spec.names");
  names.singular ??= textAt(names, "kind").toLowerCase();
  names.listKind ??= `${textAt(names, "kind")}List`;
  if (isObject(crd.spec) && crd.spec.conversion === undefined) crd.spec.conversion = { strategy: "None" };
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: "True",
    lastTransitionTime: now,
    reason,
    message,
  });
  crd.status = {
    acceptedNames: { ...names },
    storedVersions: arrayAt(crd, "spec.versions")
      .filter((version) => at(version, "storage") === true)
      .map((version) => at(version, "name")),
    conditions: [
      condition("NamesAccepted", "NoConflicts", "no conflicts found"),
      condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ],
  };
  if (crd.metadata.deletionTimestamp === undefined) {
    crd.metadata.finalizers = [...new Set([...(crd.metadata.finalizers ?? []), CRD_FINALIZER])];
  }
}

export function validateCrd(crd: StoredObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["spec.group", "spec.names.plural", "spec.names.kind", "spec.scope"]) {
    if (textAt(crd, field) === "") errors.push(required(field));
  }
  const versions = arrayAt(crd, "spec.versions");
  if (crd.metadata.name !== storageOf(crd)) {
    errors.push(invalidValue("metadata.name", crd.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (versions.filter((version) => at(version, "storage") === true).length !== 1) {
    errors.push(invalidValue("spec.versions", versions.length, "must have exactly one version marked as storage version"));
  }
  versions.forEach((version, i) => {
    const field = `spec.versions[${i}].schema.openAPIV3Schema`;
    const schema = at(version, "schema.openAPIV3Schema");
    if (!isObject(schema)) errors.push(required(field, "schemas are required"));
    else if (schema.type !== "object") errors.push(invalidValue(`${field}.type`, schema.type, "must be object at the root"));
    else {
      try {
        compileSchema(schema);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        errors.push({ field, type: "FieldValueInvalid", message: `Invalid value: ${why}` });
      }
    }
  });
  return errors;
}

/** One definition for each served version of an established CRD. `metadata` is the schema of ObjectMeta. */
export function customResources(crd: StoredObject, metadata: JsonSchema): ResourceDef[] {
  const names = objectAt(crd, "spec.names");
  return arrayAt(crd, "spec.versions")
    .filter((version) => at(version, "served") === true)
    .map((version): ResourceDef => {
      const own = objectAt(version, "schema.openAPIV3Schema") as JsonSchema;
      const compiled = compileSchema(own as Schema);
      const kind = textAt(names, "kind");
      const name = textAt(version, "name");
      const schema: JsonSchema = {
        ...own,
        properties: { ...own.properties, apiVersion: { type: "string" }, kind: { type: "string" }, metadata },
      };
      const scale = objectAt(version, "subresources.scale");
      return {
        group: textAt(crd, "spec.group"),
        version: name,
        resource: textAt(names, "plural"),
        singular: textAt(names, "singular"),
        kind,
        namespaced: at(crd, "spec.scope") === "Namespaced",
        shortNames: arrayAt(names, "shortNames").map(String),
        categories: arrayAt(names, "categories").map(String),
        storage: storageOf(crd),
        custom: true,
        hasStatus: isObject(at(version, "subresources.status")),
        keepsStatusOnCreate: false,
        ...(Object.keys(scale).length === 0 ? {} : { scale: scalePaths(scale) }),
        generation: "spec",
        unconditionalUpdate: false,
        columns: columns(version),
        schema,
        strategy: {
          decode: (object) => decodeCustom(object, metadata, kind, name, compiled.prune),
          applyDefaults: (object) => compiled.applyDefaults(object),
          validate: (object, old) => compiled.validate(object, old),
        },
      };
    });
}

function decodeCustom(
  object: JsonObject,
  metadata: JsonSchema,
  kind: string,
  version: string,
  prune: (object: unknown) => string[],
): string[] {
  const holder = { metadata: object.metadata };
  const unknown = decodeBuiltin(holder, { type: "object", properties: { metadata } }, kind, version);
  return [...prune(object), ...unknown];
}

function scalePaths(scale: JsonObject): ScalePaths {
  const selector = textAt(scale, "labelSelectorPath");
  return {
    specReplicas: textAt(scale, "specReplicasPath"),
    statusReplicas: textAt(scale, "statusReplicasPath"),
    ...(selector === "" ? {} : { selector }),
  };
}

function columns(version: unknown): Column[] {
  const own = arrayAt(version, "additionalPrinterColumns").map(
    (column): Column => ({
      name: textAt(column, "name"),
      type: textAt(column, "type"),
      format: textAt(column, "format"),
      description: textAt(column, "description"),
      priority: Number(at(column, "priority") ?? 0),
      jsonPath: textAt(column, "jsonPath"),
    }),
  );
  const age: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };
  return [{ name: "Name", type: "string", format: "name", jsonPath: ".metadata.name" }, ...(own.length > 0 ? own : [age])];
}
