// Strategic merge patch, which kubectl sends for built-in kinds: lists with a merge key are merged by it, with the
// directives $patch, $deleteFromPrimitiveList, $setElementOrder and $retainKeys (apimachinery/pkg/util/strategicpatch).
import { copy, isObject, type JsonObject } from "./json.ts";
import { child, type JsonSchema } from "./jsonschema.ts";

/** A patched copy of `target`. */
export function strategicMerge(target: unknown, patch: unknown, schema: JsonSchema | undefined): unknown {
  if (!isObject(patch)) return copy(patch);
  if (patch.$patch === "replace") return without(patch, ["$patch"]);
  if (patch.$patch === "delete") return {};
  const out: JsonObject = isObject(target) ? { ...target } : {};
  const retained = patch.$retainKeys;
  if (Array.isArray(retained)) for (const key of Object.keys(out)) if (!retained.includes(key)) delete out[key];
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$")) continue;
    const field = child(schema, key);
    if (value === null) delete out[key];
    else if (Array.isArray(value)) out[key] = mergeList(out[key], value, field, patch[`$setElementOrder/${key}`]);
    else out[key] = strategicMerge(out[key], value, field);
  }
  for (const [key, value] of Object.entries(patch)) {
    const from = /^\$deleteFromPrimitiveList\/(.+)$/.exec(key)?.[1];
    const list = from === undefined ? undefined : out[from];
    if (from !== undefined && Array.isArray(list) && Array.isArray(value)) {
      out[from] = list.filter((item) => !value.includes(item));
    }
    const ordered = /^\$setElementOrder\/(.+)$/.exec(key)?.[1];
    // Only the order changed, so the list itself is not in the patch.
    if (ordered !== undefined && !(ordered in patch) && Array.isArray(out[ordered])) {
      out[ordered] = inOrder(out[ordered], value, mergeKey(child(schema, ordered)));
    }
  }
  return out;
}

function mergeKey(schema: JsonSchema | undefined): string | undefined {
  return schema?.["x-kubernetes-patch-merge-key"];
}

function mergeList(target: unknown, patch: unknown[], schema: JsonSchema | undefined, order: unknown): unknown[] {
  const strategy = String(schema?.["x-kubernetes-patch-strategy"] ?? "");
  const replaces = patch.some((item) => isObject(item) && item.$patch === "replace");
  const live = Array.isArray(target) && !replaces ? target : [];
  if (!strategy.split(",").includes("merge")) return patch.map(copy);
  const key = mergeKey(schema);
  if (key === undefined) return inOrder([...new Set([...live, ...patch])], order, undefined);
  let out = [...live];
  for (const item of patch) {
    if (!isObject(item) || item.$patch === "replace") continue;
    const place = out.findIndex((candidate) => isObject(candidate) && candidate[key] === item[key]);
    if (item.$patch === "delete") out = out.filter((_, i) => i !== place);
    else if (place < 0) out.push(strategicMerge({}, item, schema?.items));
    else out[place] = strategicMerge(out[place], item, schema?.items);
  }
  return inOrder(out, order, key);
}

/** Items in the order that the patch names; those that it does not name keep their place after those before them. */
function inOrder(items: unknown[], order: unknown, key: string | undefined): unknown[] {
  if (!Array.isArray(order)) return items;
  const idOf = (item: unknown) => (key !== undefined && isObject(item) ? item[key] : item);
  const wanted = order.map(idOf);
  const named = items.filter((item) => wanted.includes(idOf(item)));
  named.sort((a, b) => wanted.indexOf(idOf(a)) - wanted.indexOf(idOf(b)));
  let next = 0;
  return items.map((item) => (wanted.includes(idOf(item)) ? named[next++] : item));
}

function without(object: JsonObject, keys: string[]): JsonObject {
  return Object.fromEntries(Object.entries(copy(object)).filter(([key]) => !keys.includes(key)));
}
