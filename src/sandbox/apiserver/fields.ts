// Sets of fields, as managed fields name them: each leaf of an object as one path, and the FieldsV1 form on the wire
// ("f:name" a field, "k:{…}" a list item by its keys, "v:…" an item of a set, "." the item itself).
import { isObject, type JsonObject, stable } from "./json.ts";
import { child, itemKey, type JsonSchema, listType } from "./jsonschema.ts";

/** Segments joined by line feeds, which no field name has. */
export type Path = string;

const SEPARATOR = "\n";

export function join(path: Path, segment: string): Path {
  return path === "" ? segment : path + SEPARATOR + segment;
}

/** The name of a list item in a path; undefined in atomic lists and for items without their keys. */
export function itemSegment(schema: JsonSchema | undefined, item: unknown): string | undefined {
  const type = listType(schema);
  if (type === "set") return `v:${stable(item)}`;
  if (type !== "map") return undefined;
  const key = itemKey(schema, item);
  return key === undefined ? undefined : `k:${stable(key)}`;
}

/** Every leaf (and every item of a keyed list) of a value, with what it holds. Items hold `undefined`: only their presence counts. */
export function leaves(value: unknown, schema: JsonSchema | undefined): Map<Path, unknown> {
  const found = new Map<Path, unknown>();
  collect(value, schema, "", found);
  return found;
}

function collect(value: unknown, schema: JsonSchema | undefined, path: Path, found: Map<Path, unknown>): void {
  if (isObject(value) && schema?.["x-kubernetes-map-type"] !== "atomic") {
    const keys = Object.keys(value);
    if (keys.length > 0) {
      for (const key of keys) collect(value[key], child(schema, key), join(path, `f:${key}`), found);
      return;
    }
  }
  if (Array.isArray(value) && listType(schema) !== "atomic" && value.length > 0) {
    const segments = value.map((item) => itemSegment(schema, item));
    if (segments.every((segment) => segment !== undefined)) {
      value.forEach((item, i) => {
        const here = join(path, segments[i] ?? "");
        found.set(here, undefined);
        if (isObject(item)) collect(item, schema?.items, here, found);
      });
      return;
    }
  }
  if (path !== "") found.set(path, value);
}

/** The set that FieldsV1 stands for. */
export function fromFieldsV1(fields: unknown): Set<Path> {
  const paths = new Set<Path>();
  const walk = (node: unknown, path: Path) => {
    if (!isObject(node)) return;
    const keys = Object.keys(node);
    if (path !== "" && (keys.length === 0 || keys.includes("."))) paths.add(path);
    for (const key of keys) if (key !== ".") walk(node[key], join(path, key));
  };
  walk(fields, "");
  return paths;
}

export function toFieldsV1(paths: Iterable<Path>): JsonObject {
  const root: JsonObject = {};
  const members = new Set(paths);
  for (const path of [...members].sort()) {
    let node = root;
    let here = "";
    for (const segment of path.split(SEPARATOR)) {
      here = join(here, segment);
      let next = node[segment];
      if (!isObject(next)) {
        next = {};
        node[segment] = next;
      }
      node = next as JsonObject;
      // A member that has members below says so by "."; one without is an empty object.
      if (here !== path && members.has(here)) node["."] = {};
    }
  }
  return root;
}

/** All paths and the paths above them. */
export function withParents(paths: Iterable<Path>): Set<Path> {
  const all = new Set<Path>();
  for (const path of paths) {
    let here = "";
    for (const segment of path.split(SEPARATOR)) {
      here = join(here, segment);
      all.add(here);
    }
  }
  return all;
}

/** As Kubernetes prints a path: `.spec.containers[name="server"].image`. */
export function printPath(path: Path): string {
  return path
    .split(SEPARATOR)
    .map((segment) => {
      if (segment.startsWith("f:")) return `.${segment.slice(2)}`;
      if (segment.startsWith("v:")) return `[=${segment.slice(2)}]`;
      const key = JSON.parse(segment.slice(2)) as JsonObject;
      return `[${Object.entries(key)
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .join(",")}]`;
    })
    .join("");
}
