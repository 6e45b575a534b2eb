// Fills in defaults from the top down, as the API server does: a default object is filled in turn.
import { isObject, type Schema } from "./types.ts";

/**
 * Sets absent fields of `object` to the schema's defaults, in place. A null where null is not allowed counts as absent, and
 * is removed where there is no default.
 */
export function applyDefaults(schema: Schema, object: unknown): void {
  if (Array.isArray(object)) {
    if (schema.items !== undefined) for (const item of object) applyDefaults(schema.items, item);
    return;
  }
  if (!isObject(object)) return;
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const present = Object.hasOwn(object, key) && object[key] !== undefined;
    if (child.default !== undefined && (!present || (object[key] === null && child.nullable !== true))) {
      object[key] = structuredClone(child.default);
    }
    if (object[key] === null && child.nullable !== true) delete object[key];
    if (Object.hasOwn(object, key)) applyDefaults(child, object[key]);
  }
  if (typeof schema.additionalProperties === "object") {
    for (const [key, value] of Object.entries(object)) {
      if (schema.properties === undefined || !Object.hasOwn(schema.properties, key)) {
        applyDefaults(schema.additionalProperties, value);
      }
    }
  }
}
