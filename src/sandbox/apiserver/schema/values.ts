// Checks types, bounds, enums, patterns, required fields and list uniqueness, in Kubernetes' words.
import { duplicate, invalidInBody, notSupported, required, tooLong, tooMany, wrongType } from "./errors.ts";
import { childPath, equalJson, type FieldError, indexPath, isObject, type JsonObject, type Schema } from "./types.ts";

const typeName = (value: unknown): string => {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
};

const matchesType = (type: Schema["type"], value: unknown): boolean => {
  switch (type) {
    case "object":
      return isObject(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number" && Number.isFinite(value);
    default:
      return type === undefined || typeof value === type;
  }
};

const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** All errors of `value` and what is below it. Where `old` is equal, nothing is checked (ratcheting). */
export function checkValue(schema: Schema, value: unknown, old: unknown, path: string): FieldError[] {
  if (old !== undefined && equalJson(value, old)) return [];
  if (value === null) return schema.nullable === true ? [] : [wrongType(path, schema.type ?? "object", "null")];
  if (schema["x-kubernetes-int-or-string"] === true) {
    if (typeof value !== "string" && !Number.isInteger(value)) return [wrongType(path, "integer,string", typeName(value))];
  } else if (!matchesType(schema.type, value)) {
    const expected = schema.type ?? "object";
    const fraction = expected === "integer" && typeof value === "number" && schema.format !== undefined;
    return [fraction ? wrongType(path, String(schema.format), "float64") : wrongType(path, expected, typeName(value))];
  }
  const errors: FieldError[] = [];
  if (schema.enum !== undefined && !schema.enum.some((allowed) => equalJson(allowed, value))) {
    errors.push(notSupported(path, value, schema.enum));
  }
  if (typeof value === "string") errors.push(...checkString(schema, value, path));
  if (typeof value === "number") errors.push(...checkNumber(schema, value, path));
  if (Array.isArray(value)) errors.push(...checkList(schema, value, old, path));
  if (isObject(value)) errors.push(...checkObject(schema, value, old, path));
  return errors;
}

function checkString(schema: Schema, value: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  // Kubernetes counts characters, though it speaks of bytes.
  const length = [...value].length;
  if (schema.maxLength !== undefined && length > schema.maxLength) errors.push(tooLong(path, schema.maxLength));
  if (schema.minLength !== undefined && length < schema.minLength) {
    errors.push(invalidInBody(path, value, `should be at least ${schema.minLength} chars long`));
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    errors.push(invalidInBody(path, value, `should match '${schema.pattern}'`));
  }
  if (schema.format === "date-time" && !(DATE_TIME.test(value) && Number.isFinite(Date.parse(value)))) {
    errors.push(invalidInBody(path, value, `must be of type date-time: ${JSON.stringify(value)}`));
  }
  return errors;
}

function checkNumber(schema: Schema, value: number, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { multipleOf } = schema;
  // The API server compares an integer with the integer part of a bound: 0 is not below a minimum of 0.5.
  const bound = (limit: number | undefined) => (limit !== undefined && Number.isInteger(value) ? Math.trunc(limit) : limit);
  const [minimum, maximum] = [bound(schema.minimum), bound(schema.maximum)];
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    errors.push(invalidInBody(path, value, `should be greater than ${schema.exclusiveMinimum ? "" : "or equal to "}${minimum}`));
  }
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    errors.push(invalidInBody(path, value, `should be less than ${schema.exclusiveMaximum ? "" : "or equal to "}${maximum}`));
  }
  if (multipleOf !== undefined && value % multipleOf !== 0) {
    errors.push(invalidInBody(path, value, `should be a multiple of ${multipleOf}`));
  }
  return errors;
}

function checkList(schema: Schema, value: unknown[], old: unknown, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.maxItems !== undefined && value.length > schema.maxItems) errors.push(tooMany(path, value.length, schema.maxItems));
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push(invalidInBody(path, value.length, `should have at least ${schema.minItems} items`));
  }
  const { items } = schema;
  if (items !== undefined) {
    const oldOf = correlate(schema, old);
    for (const [index, item] of value.entries()) errors.push(...checkValue(items, item, oldOf(item), indexPath(path, index)));
  }
  return [...errors, ...checkUnique(schema, value, path)];
}

function checkUnique(schema: Schema, value: unknown[], path: string): FieldError[] {
  const listType = schema["x-kubernetes-list-type"];
  if (listType !== "set" && listType !== "map") return [];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const identity = (item: unknown): unknown =>
    listType === "map" && isObject(item) ? Object.fromEntries(keys.map((key) => [key, item[key]])) : item;
  const seen = new Set<string>();
  const errors: FieldError[] = [];
  for (const [index, item] of value.entries()) {
    const id = identity(item);
    const text = JSON.stringify(id);
    if (seen.has(text)) errors.push(duplicate(indexPath(path, index), id));
    seen.add(text);
  }
  return errors;
}

/** Finds the old value of a list's item: by keys in map lists; items of other lists have none. */
export function correlate(schema: Schema, old: unknown): (item: unknown) => unknown {
  if (schema["x-kubernetes-list-type"] !== "map" || !Array.isArray(old)) return () => undefined;
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const sameKeys = (a: unknown, b: unknown): boolean =>
    isObject(a) && isObject(b) && keys.every((key) => equalJson(a[key], b[key]));
  return (item) => old.find((candidate) => sameKeys(candidate, item));
}

function checkObject(schema: Schema, value: JsonObject, old: unknown, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const size = Object.keys(value).length;
  if (schema.maxProperties !== undefined && size > schema.maxProperties) errors.push(tooMany(path, size, schema.maxProperties));
  if (schema.minProperties !== undefined && size < schema.minProperties) {
    errors.push(invalidInBody(path, size, `should have at least ${schema.minProperties} properties`));
  }
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key) || value[key] === undefined) errors.push(required(childPath(path, key)));
  }
  const before = isObject(old) ? old : {};
  for (const [key, item] of Object.entries(value)) {
    const known = schema.properties !== undefined && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    const child = known ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined);
    if (child !== undefined && item !== undefined) errors.push(...checkValue(child, item, before[key], childPath(path, key)));
  }
  return errors;
}
