// Drops what the schema does not know, and says what that was (`fieldValidation: Strict|Warn` reports it).
import { childPath, indexPath, isObject, type Schema } from "./types.ts";

const ROOT_FIELDS = new Set(["apiVersion", "kind", "metadata"]);

/** Removes unknown fields of `object` in place. Returns their paths, such as `spec.checks[0].colour`. */
export function prune(schema: Schema, object: unknown): string[] {
  const unknown: string[] = [];
  pruneNode(schema, object, "", true, unknown);
  return unknown;
}

function pruneNode(schema: Schema, value: unknown, path: string, isResource: boolean, unknown: string[]): void {
  if (Array.isArray(value)) {
    if (schema.items === undefined) return;
    for (const [index, item] of value.entries()) {
      pruneNode(schema.items, item, indexPath(path, index), schema.items["x-kubernetes-embedded-resource"] === true, unknown);
    }
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    if (isResource && ROOT_FIELDS.has(key)) continue;
    const child = schema.properties !== undefined && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    if (child !== undefined) {
      pruneNode(child, value[key], childPath(path, key), child["x-kubernetes-embedded-resource"] === true, unknown);
      continue;
    }
    const rest = schema.additionalProperties;
    if (typeof rest === "object") {
      pruneNode(rest, value[key], childPath(path, key), rest["x-kubernetes-embedded-resource"] === true, unknown);
    } else if (rest !== true && schema["x-kubernetes-preserve-unknown-fields"] !== true) {
      delete value[key];
      unknown.push(childPath(path, key));
    }
  }
}
