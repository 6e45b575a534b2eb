// Plain JSON values: narrowing, copying, comparing, walking by dotted path. Nothing here knows Kubernetes.

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A deep copy of plain JSON; faster than structuredClone, and drops nothing that JSON can hold but `undefined`. */
export function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const key of Object.keys(value)) {
    if (value[key] !== undefined) out[key] = copy(value[key]);
  }
  return out as T;
}

/** Deep equality of plain JSON; the order of keys does not matter, and a key that is undefined counts as missing. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  for (const key of Object.keys(a)) if (!equal(a[key], b[key])) return false;
  for (const key of Object.keys(b)) if (b[key] !== undefined && a[key] === undefined) return false;
  return true;
}

/** The value at a dotted path such as ".spec.replicas" (a leading dot is allowed), or undefined. */
export function at(value: unknown, path: string): unknown {
  let here = value;
  for (const part of path.split(".")) {
    if (part === "") continue;
    if (!isObject(here)) return undefined;
    here = here[part];
  }
  return here;
}

/** Sets the value at a dotted path, making the objects on the way. */
export function setAt(target: JsonObject, path: string, value: unknown): void {
  const parts = path.split(".").filter((part) => part !== "");
  const last = parts.pop();
  if (last === undefined) return;
  let here = target;
  for (const part of parts) {
    const next = here[part];
    if (isObject(next)) here = next;
    else {
      const made: JsonObject = {};
      here[part] = made;
      here = made;
    }
  }
  here[last] = value;
}

/** JSON with sorted keys: equal values give equal texts. Used for the keys of list items in managed fields. */
export function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${stable(value[key])}`).join(",")}}`;
}

export function objectAt(value: unknown, path: string): JsonObject {
  const found = at(value, path);
  return isObject(found) ? found : {};
}

export function arrayAt(value: unknown, path: string): unknown[] {
  const found = at(value, path);
  return Array.isArray(found) ? found : [];
}

export function textAt(value: unknown, path: string): string {
  const found = at(value, path);
  return typeof found === "string" ? found : typeof found === "number" || typeof found === "boolean" ? String(found) : "";
}
