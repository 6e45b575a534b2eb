// Reading a built-in kind as Go's strict JSON decoder does: unknown fields are reported and removed, nulls are dropped,
// and a value of the wrong type is a 400.
import { badRequest } from "./errors.ts";
import { isObject, type JsonObject } from "./json.ts";
import { child, type JsonSchema } from "./jsonschema.ts";

/** Removes unknown fields of `object` and returns their paths. Throws StatusError 400 for a wrong type. */
export function decodeBuiltin(object: JsonObject, schema: JsonSchema, kind: string, version: string): string[] {
  const unknown: string[] = [];
  const fail = (path: string, value: unknown, wanted: string): never => {
    const got = Array.isArray(value) ? "array" : value === null ? "null" : typeof value === "boolean" ? "bool" : typeof value;
    throw badRequest(
      `${kind} in version "${version}" cannot be handled as a ${kind}: json: cannot unmarshal ${got} into Go struct field ${kind}.${path} of type ${wanted}`,
    );
  };
  walk(object, schema, "", unknown, fail);
  return unknown;
}

type Fail = (path: string, value: unknown, wanted: string) => never;

function walk(value: unknown, schema: JsonSchema, path: string, unknown: string[], fail: Fail): void {
  if (schema["x-kubernetes-int-or-string"] === true) {
    if (typeof value !== "string" && typeof value !== "number") fail(path, value, "intstr.IntOrString");
    return;
  }
  switch (schema.type) {
    case "string":
      if (typeof value !== "string") fail(path, value, "string");
      return;
    case "boolean":
      if (typeof value !== "boolean") fail(path, value, "bool");
      return;
    case "integer":
      if (!Number.isInteger(value)) fail(path, value, schema.format ?? "int64");
      return;
    case "number":
      if (typeof value !== "number") fail(path, value, "float64");
      return;
    case "array":
      if (!Array.isArray(value)) fail(path, value, "slice");
      else for (const [i, item] of value.entries()) walk(item, schema.items ?? {}, `${path}[${i}]`, unknown, fail);
      return;
    default:
      if (schema["x-kubernetes-preserve-unknown-fields"] === true) return;
      if (!isObject(value)) fail(path, value, "struct");
      else walkObject(value, schema, path, unknown, fail);
  }
}

function walkObject(object: JsonObject, schema: JsonSchema, path: string, unknown: string[], fail: Fail): void {
  for (const key of Object.keys(object)) {
    const here = path === "" ? key : `${path}.${key}`;
    const field = child(schema, key);
    if (field === undefined) {
      unknown.push(here);
      delete object[key];
    } else if (object[key] === null) delete object[key];
    else walk(object[key], field, here, unknown, fail);
  }
}
