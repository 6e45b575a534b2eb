// The part of OpenAPI v3 schemas that the server reads, for built-in kinds and CRDs alike.

export interface JsonSchema {
  type?: string;
  format?: string;
  description?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  required?: string[];
  default?: unknown;
  enum?: unknown[];
  "x-kubernetes-list-type"?: string;
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: string;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-patch-merge-key"?: string;
  "x-kubernetes-patch-strategy"?: string;
  [key: string]: unknown;
}

/** The schema of a field of an object, or undefined where the schema does not know it. */
export function child(schema: JsonSchema | undefined, key: string): JsonSchema | undefined {
  const property = schema?.properties?.[key];
  if (property !== undefined) return property;
  const additional = schema?.additionalProperties;
  return typeof additional === "object" ? additional : undefined;
}

/** How the items of a list are told apart: "set" by value, "map" by keys, "atomic" not at all (also where nothing is said). */
export function listType(schema: JsonSchema | undefined): "atomic" | "set" | "map" {
  const type = schema?.["x-kubernetes-list-type"];
  return type === "set" || type === "map" ? type : "atomic";
}

/** The key fields of a list item, with the schema's defaults for those that are missing; undefined if one is missing still. */
export function itemKey(schema: JsonSchema | undefined, item: unknown): Record<string, unknown> | undefined {
  if (typeof item !== "object" || item === null) return undefined;
  const key: Record<string, unknown> = {};
  for (const name of schema?.["x-kubernetes-list-map-keys"] ?? []) {
    const value = (item as Record<string, unknown>)[name] ?? schema?.items?.properties?.[name]?.default;
    if (value === undefined) return undefined;
    key[name] = value;
  }
  return key;
}
