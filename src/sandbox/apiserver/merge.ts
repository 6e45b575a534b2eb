// The structured merge of server-side apply: an applied configuration over the live object, and the removal of fields
// that a manager applied before and no longer does (sigs.k8s.io/structured-merge-diff, merge and remove).
import { itemSegment, join, type Path } from "./fields.ts";
import { copy, isObject, type JsonObject } from "./json.ts";
import { child, type JsonSchema, listType } from "./jsonschema.ts";

/** `config` over `live`: objects by field, keyed lists by item, everything else replaced. Neither is changed. */
export function mergeApplied(live: unknown, config: unknown, schema: JsonSchema | undefined): unknown {
  if (isObject(live) && isObject(config) && schema?.["x-kubernetes-map-type"] !== "atomic") {
    const out: JsonObject = { ...live };
    for (const key of Object.keys(config)) out[key] = mergeApplied(live[key], config[key], child(schema, key));
    return out;
  }
  if (Array.isArray(live) && Array.isArray(config) && listType(schema) !== "atomic") {
    return mergeLists(live, config, schema);
  }
  return copy(config);
}

/** Applied items in their order; items that only the live list has stay where they are between them. */
function mergeLists(live: unknown[], config: unknown[], schema: JsonSchema | undefined): unknown[] {
  const segmentOf = (item: unknown) => itemSegment(schema, item) ?? "";
  const byKey = new Map(live.map((item) => [segmentOf(item), item]));
  const applied = new Set(config.map(segmentOf));
  const out: unknown[] = [];
  let next = 0;
  const emit = () => {
    const item = config[next++];
    const old = byKey.get(segmentOf(item));
    out.push(old === undefined ? copy(item) : mergeApplied(old, item, schema?.items));
  };
  for (const item of live) {
    const segment = segmentOf(item);
    if (!applied.has(segment)) out.push(item);
    else {
      const place = config.findIndex((candidate) => segmentOf(candidate) === segment);
      while (next <= place) emit();
    }
  }
  while (next < config.length) emit();
  return out;
}

/**
 * `value` without the fields in `drop`. `owned` holds every path that a manager still owns, and the paths above them:
 * what is in it stays, and an object or list that became empty and is not in it goes too.
 */
export function removeFields(value: unknown, schema: JsonSchema | undefined, drop: Set<Path>, owned: Set<Path>): unknown {
  return prune(value, schema, "", drop, owned);
}

function prune(value: unknown, schema: JsonSchema | undefined, path: Path, drop: Set<Path>, owned: Set<Path>): unknown {
  if (isObject(value)) {
    const out: JsonObject = {};
    for (const key of Object.keys(value)) {
      const here = join(path, `f:${key}`);
      if (drop.has(here) && !owned.has(here)) continue;
      const kept = prune(value[key], child(schema, key), here, drop, owned);
      if (!becameEmpty(value[key], kept) || owned.has(here)) out[key] = kept;
    }
    return out;
  }
  if (Array.isArray(value) && listType(schema) !== "atomic") {
    return value.flatMap((item) => {
      const here = join(path, itemSegment(schema, item) ?? "");
      if (drop.has(here) && !owned.has(here)) return [];
      return [prune(item, schema?.items, here, drop, owned)];
    });
  }
  return value;
}

function becameEmpty(before: unknown, after: unknown): boolean {
  const size = (value: unknown) =>
    isObject(value) ? Object.keys(value).length : Array.isArray(value) ? value.length : Number.NaN;
  return size(after) === 0 && size(before) > 0;
}
