// JSON patch (RFC 6902) and JSON merge patch (RFC 7386).
import jsonpatch, { type Operation } from "fast-json-patch";
import { StatusError } from "../api.ts";
import { badRequest } from "./errors.ts";
import { copy, isObject, type JsonObject } from "./json.ts";

/** A patched copy. Throws 400 for what is no patch and 422 for one that cannot be applied. */
export function jsonPatch(object: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch");
  try {
    return jsonpatch.applyPatch(copy(object), patch as Operation[], true, true).newDocument;
  } catch (error) {
    const text = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new StatusError(422, "Invalid", `the server rejected our request due to an error in our request: ${text}`);
  }
}

/** A merged copy: null removes, objects merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return copy(patch);
  const out: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = mergePatch(out[key], value);
  }
  return out;
}
