// Fields of plain data by their path, such as `rollback.budget`.

/** The value at a path; undefined where a part of it is missing. */
export function valueAt(data: unknown, path: string): unknown {
  let value = data;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Sets the value at a path, in place; what is missing on the way is made. */
export function setAt(data: Record<string, unknown>, path: string, value: unknown): void {
  const parts = path.split(".");
  const last = parts.pop() ?? path;
  let inner = data;
  for (const part of parts) {
    const next = inner[part];
    const object = typeof next === "object" && next !== null ? (next as Record<string, unknown>) : {};
    inner[part] = object;
    inner = object;
  }
  inner[last] = value;
}
