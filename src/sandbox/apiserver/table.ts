// The table form of objects (meta.k8s.io/v1 Table), which kubectl prints as it comes.
import { query } from "jsonpath-rfc9535";
import type { StoredObject } from "../api.ts";
import { age } from "./columns.ts";
import type { JsonObject } from "./json.ts";
import type { Column, ResourceDef } from "./resources.ts";

/** Whether an Accept header asks for tables before it asks for plain JSON. */
export function wantsTable(accept: string | undefined): boolean {
  const first = (accept ?? "").split(",")[0] ?? "";
  return /;\s*as=Table\b/.test(first);
}

export interface TableOptions {
  now: number;
  /** The query's includeObject: "None", "Metadata" (the default) or "Object". */
  include: string | null;
  resourceVersion?: string;
  continue?: string;
  remaining?: number;
}

export function toTable(def: ResourceDef, objects: StoredObject[], options: TableOptions): JsonObject {
  const rowObject = (object: StoredObject): unknown => {
    if (options.include === "None") return null;
    if (options.include === "Object") return object;
    return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
  };
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: {
      resourceVersion: options.resourceVersion ?? objects[0]?.metadata.resourceVersion ?? "",
      ...(options.continue === undefined ? {} : { continue: options.continue }),
      ...(options.remaining === undefined ? {} : { remainingItemCount: options.remaining }),
    },
    columnDefinitions: def.columns.map(({ name, type, format, description, priority }) => ({
      name,
      type,
      format: format ?? "",
      description: description ?? "",
      priority: priority ?? 0,
    })),
    rows: objects.map((object) => ({
      cells: def.columns.map((column) => cell(column, object, options.now)),
      object: rowObject(object),
    })),
  };
}

function cell(column: Column, object: StoredObject, now: number): unknown {
  const value = column.value !== undefined ? column.value(object, now) : lookUp(column.jsonPath ?? "", object);
  if (value === undefined || value === null) return column.type === "date" ? "<unknown>" : null;
  if (column.type === "date") return column.value === undefined ? age(value, now) : value;
  if (column.type === "integer" || column.type === "number") return Number(value);
  if (column.type === "boolean") return Boolean(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Several values are joined, as kubectl's JSONPath prints them. A path that cannot be read gives no value. */
function lookUp(jsonPath: string, object: StoredObject): unknown {
  // Kubernetes escapes dots in names with a backslash; RFC 9535 wants such names in brackets.
  const path = jsonPath.replace(
    /\.((?:[^.[\]\\]|\\.)*\\\.(?:[^.[\]\\]|\\.)*)/g,
    (_, name: string) => `['${name.replaceAll("\\.", ".")}']`,
  );
  try {
    const values = query(object as never, `$${path}`) as unknown[];
    return values.length <= 1
      ? values[0]
      : values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(" ");
  } catch {
    return undefined;
  }
}
