// Lists: filtered, paged, and, for the later pages, as of the resourceVersion of the first one.
import type { StoredObject } from "../api.ts";
import { StatusError } from "../api.ts";
import { badRequest, expired } from "./errors.ts";
import { present, type ResourceDef } from "./resources.ts";
import { fieldTest, labelTest } from "./selectors.ts";
import { type Store, storeKey } from "./store.ts";

export interface Page {
  items: StoredObject[];
  resourceVersion: string;
  continue: string | undefined;
  remaining: number | undefined;
}

/** The predicate of a list or watch: namespace, labelSelector and fieldSelector of the query. */
export function selection(def: ResourceDef, namespace: string, query: URLSearchParams): (object: StoredObject) => boolean {
  const labels = labelTest(query.get("labelSelector") ?? "");
  const fields = fieldTest(def, query.get("fieldSelector") ?? "");
  return (object) =>
    (namespace === "" || object.metadata.namespace === namespace) && labels(object) && fields(present(def, object));
}

/** One page of a list. Throws 410 where the resourceVersion of a continue token is no longer in the log. */
export function listPage(store: Store, def: ResourceDef, namespace: string, query: URLSearchParams): Page {
  const selected = selection(def, namespace, query);
  const limit = Number(query.get("limit") ?? 0);
  const token = readToken(query.get("continue") ?? "");
  const asked = query.get("resourceVersion") ?? "";
  let revision = token?.revision ?? store.revision;
  if (token === undefined && asked !== "" && asked !== "0") {
    const wanted = readRevision(asked);
    if (wanted > store.revision) throw tooLarge(wanted, store.revision);
    if (query.get("resourceVersionMatch") === "Exact") revision = wanted;
  }
  if (revision < store.compacted && revision < store.revision) {
    throw expired("The provided continue parameter is too old to display a consistent list result.");
  }
  const all = snapshot(store, def.storage, revision).filter(selected);
  const rest = token === undefined ? all : all.filter((object) => keyOf(object) > token.after);
  const cut = limit > 0 && rest.length > limit;
  const items = cut ? rest.slice(0, limit) : rest;
  const last = items.at(-1);
  return {
    items: items.map((object) => present(def, object)),
    resourceVersion: String(revision),
    continue: cut && last !== undefined ? writeToken({ revision, after: keyOf(last) }) : undefined,
    // As the API server does: it does not count behind a selector.
    remaining: cut && !query.has("labelSelector") && !query.has("fieldSelector") ? rest.length - limit : undefined,
  };
}

/** A resourceVersion as a number. Throws 400 for what is none. */
export function readRevision(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(`invalid resource version "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  }
  return Number(text);
}

/** The objects as they were at `revision`: those of now, with the later changes undone. */
function snapshot(store: Store, storage: string, revision: number): StoredObject[] {
  const now = store.list(storage);
  if (revision >= store.revision) return now;
  const objects = new Map(now.map((object) => [keyOf(object), object]));
  for (const change of store.since(storage, revision).reverse()) {
    if (change.previous === undefined) objects.delete(keyOf(change.object));
    else objects.set(keyOf(change.object), change.previous);
  }
  return [...objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}

function keyOf(object: StoredObject): string {
  return storeKey(object.metadata.namespace, object.metadata.name);
}

interface Token {
  revision: number;
  after: string;
}

function writeToken(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function readToken(text: string): Token | undefined {
  if (text === "") return undefined;
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString()) as Token;
    if (Number.isInteger(token.revision) && typeof token.after === "string") return token;
  } catch {}
  throw badRequest("continue key is not valid");
}

function tooLarge(wanted: number, current: number): StatusError {
  return new StatusError(504, "Timeout", `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}
