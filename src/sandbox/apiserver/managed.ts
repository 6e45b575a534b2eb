// metadata.managedFields: who set which field, kept at every write, and server-side apply on top of it
// (k8s.io/apimachinery/pkg/util/managedfields, sigs.k8s.io/structured-merge-diff/merge/update.go).
import { StatusError, type StoredObject } from "../api.ts";
import { fromFieldsV1, leaves, type Path, printPath, toFieldsV1, withParents } from "./fields.ts";
import { copy, equal, isObject, type JsonObject } from "./json.ts";
import type { JsonSchema } from "./jsonschema.ts";
import { mergeApplied, removeFields } from "./merge.ts";

/** Who writes, and how. */
export interface Writer {
  manager: string;
  apiVersion: string;
  /** "" for the object itself. */
  subresource: string;
  /** RFC 3339, whole seconds. */
  time: string;
}

interface Entry extends Writer {
  operation: "Apply" | "Update";
  fields: Set<Path>;
}

/** Fields that nobody owns: the server sets them, or they name the object. */
const UNOWNED = new Set(
  ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"]
    .concat(["managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName"])
    .map((field) => `f:metadata\nf:${field}`)
    .concat(["f:apiVersion", "f:kind", "f:metadata"]),
);

/** Records in `next` what `writer` changed against `old` by a create, a PUT or a patch that is no apply. */
export function recordUpdate(old: StoredObject | undefined, next: StoredObject, schema: JsonSchema, writer: Writer): void {
  const entries = takenOver(old, next);
  const before = owned(old, schema);
  const after = owned(next, schema);
  const { changed, removed } = compare(before, after);
  for (const entry of entries) {
    const isSelf = sameWriter(entry, writer, "Update");
    for (const path of removed) entry.fields.delete(path);
    if (!isSelf) for (const path of changed) entry.fields.delete(path);
  }
  if (changed.size > 0) {
    let entry = entries.find((candidate) => sameWriter(candidate, writer, "Update"));
    if (entry === undefined) {
      entry = { ...writer, operation: "Update", fields: new Set() };
      entries.push(entry);
    }
    for (const path of changed) entry.fields.add(path);
    entry.time = writer.time;
  }
  write(next, entries);
}

/**
 * The object that results when `writer` applies `config` over `live` (undefined: creates it), with its managed fields.
 * Throws StatusError 409 where another manager owns a field that would change, unless `force`.
 */
export function apply(
  live: StoredObject | undefined,
  config: StoredObject,
  schema: JsonSchema,
  writer: Writer,
  force: boolean,
): StoredObject {
  const entries = live === undefined ? [] : read(live.metadata.managedFields);
  const self = entries.find((entry) => sameWriter(entry, writer, "Apply"));
  const others = entries.filter((entry) => entry !== self);
  const applied = new Set(owned(config, schema).keys());
  const stillOwned = withParents([...applied, ...others.flatMap((entry) => [...entry.fields])]);
  const dropped = new Set([...(self?.fields ?? [])].filter((path) => !applied.has(path)));
  const merged = mergeApplied(live, config, schema);
  const next = removeFields(merged, schema, dropped, stillOwned) as StoredObject;

  const { changed, removed } = compare(owned(live, schema), owned(next, schema));
  const conflicts = others.flatMap((entry) =>
    [...entry.fields].filter((path) => changed.has(path)).map((path) => ({ entry, path })),
  );
  if (conflicts.length > 0 && !force) throw applyConflict(conflicts);
  for (const { entry, path } of conflicts) entry.fields.delete(path);
  for (const entry of others) for (const path of removed) entry.fields.delete(path);

  const unchanged = self !== undefined && sameSet(self.fields, applied) && changed.size === 0 && removed.size === 0;
  others.push({ ...writer, operation: "Apply", fields: applied, time: unchanged ? self.time : writer.time });
  next.metadata = { ...next.metadata };
  write(next, others);
  return next;
}

function owned(object: StoredObject | undefined, schema: JsonSchema): Map<Path, unknown> {
  if (object === undefined) return new Map();
  const found = leaves(object, schema);
  for (const path of found.keys()) {
    // The children of managedFields are below it, and so are left out by their start.
    if (UNOWNED.has(path) || path.startsWith("f:metadata\nf:managedFields")) found.delete(path);
  }
  return found;
}

function compare(before: Map<Path, unknown>, after: Map<Path, unknown>): { changed: Set<Path>; removed: Set<Path> } {
  const changed = new Set<Path>();
  for (const [path, value] of after) {
    if (!before.has(path) || !equal(before.get(path), value)) changed.add(path);
  }
  const removed = new Set([...before.keys()].filter((path) => !after.has(path)));
  return { changed, removed };
}

/** Managed fields that a client sent replace the live ones (this is how kubectl migrates them); none sent keeps those. */
function takenOver(old: StoredObject | undefined, next: StoredObject): Entry[] {
  const sent = next.metadata.managedFields;
  if (!Array.isArray(sent) || sent.length === 0) return read(old?.metadata.managedFields);
  return read(sent);
}

function read(managedFields: unknown): Entry[] {
  if (!Array.isArray(managedFields)) return [];
  return managedFields.filter(isObject).flatMap((entry): Entry[] => {
    const fields = fromFieldsV1(entry.fieldsV1);
    if (fields.size === 0) return [];
    return [
      {
        manager: String(entry.manager ?? ""),
        operation: entry.operation === "Apply" ? "Apply" : "Update",
        apiVersion: String(entry.apiVersion ?? ""),
        subresource: String(entry.subresource ?? ""),
        time: String(entry.time ?? ""),
        fields,
      },
    ];
  });
}

function write(object: StoredObject, entries: Entry[]): void {
  const kept = entries.filter((entry) => entry.fields.size > 0);
  if (kept.length === 0) {
    delete object.metadata.managedFields;
    return;
  }
  object.metadata.managedFields = kept.map((entry): JsonObject => {
    const { manager, operation, apiVersion, time, subresource } = entry;
    const wire = { manager, operation, apiVersion, time, fieldsType: "FieldsV1", fieldsV1: toFieldsV1(entry.fields) };
    return subresource === "" ? wire : { ...wire, subresource };
  });
}

function sameWriter(entry: Entry, writer: Writer, operation: Entry["operation"]): boolean {
  return (
    entry.manager === writer.manager &&
    entry.operation === operation &&
    entry.subresource === writer.subresource &&
    (operation === "Apply" || entry.apiVersion === writer.apiVersion)
  );
}

function sameSet(a: Set<Path>, b: Set<Path>): boolean {
  return a.size === b.size && [...a].every((path) => b.has(path));
}

function applyConflict(conflicts: { entry: Entry; path: Path }[]): StatusError {
  const causes = conflicts.map(({ entry, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${printManager(entry)}`,
    field: printPath(path),
  }));
  let message: string;
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) {
    message = `Apply failed with 1 conflict: conflict with ${printManager(first.entry)}: ${printPath(first.path)}`;
  } else {
    const byManager = new Map<string, string[]>();
    for (const { entry, path } of conflicts) {
      const manager = printManager(entry);
      byManager.set(manager, [...(byManager.get(manager) ?? []), `- ${printPath(path)}`]);
    }
    const texts = [...byManager].sort().map(([manager, paths]) => `conflicts with ${manager}:\n${paths.join("\n")}`);
    message = `Apply failed with ${conflicts.length} conflicts: ${texts.join("\n")}`;
  }
  return new StatusError(409, "Conflict", message, { causes });
}

function printManager(entry: Entry): string {
  const name = JSON.stringify(entry.manager);
  const where = entry.subresource === "" ? name : `${name} with subresource ${JSON.stringify(entry.subresource)}`;
  if (entry.operation === "Apply") return where;
  return `${where} using ${entry.apiVersion}${entry.time === "" ? "" : ` at ${entry.time}`}`;
}

/** A copy of an applied configuration without what an apply to this endpoint does not set. Throws nothing. */
export function appliedPart(config: StoredObject, subresource: string, hasStatus: boolean): StoredObject {
  const part = copy(config);
  if (subresource === "" && hasStatus) delete part.status;
  if (subresource === "status") {
    const { apiVersion, kind, metadata, status } = part;
    const { name, namespace } = metadata;
    return { apiVersion, kind, metadata: { name, namespace }, ...(status === undefined ? {} : { status }) } as StoredObject;
  }
  return part;
}
