// One request for a resource, from its path and method to its answer: the verbs of the API over rest.ts, list.ts and watch.ts.
import type { Clock } from "../../clock.ts";
import { type LogReader, StatusError, type StoredObject } from "../api.ts";
import { badRequest, methodNotAllowed, noSuchPath } from "./errors.ts";
import type { ApiRequest, ApiResponse, ResourcePath } from "./http.ts";
import { isObject, type JsonObject } from "./json.ts";
import { listPage, selection } from "./list.ts";
import { contentType, deleteOptions, readBody, writeOptions } from "./options.ts";
import { jsonPatch, mergePatch } from "./patch.ts";
import { groupVersion, present, type Registry, type ResourceDef } from "./resources.ts";
import type { Rest, WriteOptions } from "./rest.ts";
import { fromScale, toScale } from "./scale.ts";
import type { Store } from "./store.ts";
import { strategicMerge } from "./strategic.ts";
import { toTable, wantsTable } from "./table.ts";
import { type LineStream, openWatch } from "./watch.ts";

export interface HandlerParts {
  store: Store;
  registry: Registry;
  rest: Rest;
  clock: Clock;
  logReader: () => LogReader | undefined;
  onWatch: (stream: LineStream) => void;
}

interface Call {
  parts: HandlerParts;
  request: ApiRequest;
  query: URLSearchParams;
  path: ResourcePath;
  def: ResourceDef;
}

/** Answers a request for a resource. Throws StatusError. */
export function handleResource(
  parts: HandlerParts,
  request: ApiRequest,
  query: URLSearchParams,
  path: ResourcePath,
): ApiResponse {
  const def = parts.registry.find(path);
  if (def === undefined || (path.namespace !== "" && !def.namespaced)) throw noSuchPath();
  const call = { parts, request, query, path, def };
  if (path.name === "") return onCollection(call);
  if (def.namespaced && path.namespace === "") throw noSuchPath();
  if (path.subresource === "") return onObject(call);
  if (path.subresource === "log" && def.kind === "Pod") return onLog(call);
  if (path.subresource === "scale" && def.scale !== undefined) return onScale(call);
  if (path.subresource === "status" && def.hasStatus) return onObject(call);
  throw noSuchPath();
}

function onCollection(call: Call): ApiResponse {
  const { parts, request, query, path, def } = call;
  switch (request.method) {
    case "GET": {
      if (["true", "1"].includes(query.get("watch") ?? "")) return watch(call);
      return list(call);
    }
    case "POST": {
      if (def.namespaced && path.namespace === "") throw methodNotAllowed();
      const options = writeOptions(request, query, "");
      return answer(call, parts.rest.create(def, path.namespace || undefined, readBody(request), options), 201, options);
    }
    case "DELETE": {
      const selected = selection(def, path.namespace, query);
      const found = parts.store.list(def.storage).filter(selected);
      const options = deleteOptions(request, query);
      for (const { metadata } of found) parts.rest.delete(def, metadata.namespace, metadata.name, options);
      return json(
        200,
        listObject(
          def,
          found.map((object) => present(def, object)),
          { resourceVersion: String(parts.store.revision) },
        ),
      );
    }
    default:
      throw methodNotAllowed();
  }
}

function list(call: Call): ApiResponse {
  const { parts, request, query, path, def } = call;
  const page = listPage(parts.store, def, path.namespace, query);
  if (wantsTable(request.headers.accept)) {
    const options = { now: parts.clock.now(), include: query.get("includeObject"), ...page };
    return json(200, toTable(def, page.items, options));
  }
  const metadata: JsonObject = { resourceVersion: page.resourceVersion };
  if (page.continue !== undefined) metadata.continue = page.continue;
  if (page.remaining !== undefined) metadata.remainingItemCount = page.remaining;
  return json(200, listObject(def, page.items, metadata));
}

function listObject(def: ResourceDef, items: StoredObject[], metadata: JsonObject): JsonObject {
  return { kind: `${def.kind}List`, apiVersion: groupVersion(def), metadata, items };
}

function watch({ parts, request, query, path, def }: Call): ApiResponse {
  const asTable = wantsTable(request.headers.accept);
  const include = query.get("includeObject");
  const render = (object: StoredObject) => (asTable ? toTable(def, [object], { now: parts.clock.now(), include }) : object);
  const { store, clock } = parts;
  const stream = openWatch({ store, clock, def, namespace: path.namespace, query, render, signal: request.signal });
  parts.onWatch(stream);
  return { status: 200, headers: { "content-type": "application/json" }, body: stream };
}

function onObject(call: Call): ApiResponse {
  const { parts, request, query, path, def } = call;
  const namespace = path.namespace || undefined;
  switch (request.method) {
    case "GET":
      return answer(call, parts.rest.get(def, namespace, path.name), 200);
    case "PUT": {
      const options = writeOptions(request, query, path.subresource);
      return answer(call, parts.rest.update(def, namespace, path.name, readBody(request), options), 200, options);
    }
    case "PATCH":
      return patch(call);
    case "DELETE": {
      if (path.subresource !== "") throw methodNotAllowed();
      const { object, gone } = parts.rest.delete(def, namespace, path.name, deleteOptions(request, query));
      if (!gone || def.kind === "Pod") return json(200, object);
      const { name, uid } = object.metadata;
      const group = def.group === "" ? {} : { group: def.group };
      return json(200, {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Success",
        details: { name, ...group, kind: def.resource, uid },
      });
    }
    default:
      throw methodNotAllowed();
  }
}

function patch(call: Call): ApiResponse {
  const { parts, request, query, path, def } = call;
  const namespace = path.namespace || undefined;
  const options = { ...writeOptions(request, query, path.subresource), patchText: request.body };
  if (contentType(request) === "application/apply-patch+yaml") {
    if (!query.get("fieldManager"))
      throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch');
    // YAML takes JSON too.
    const force = query.get("force") === "true";
    const { object, created } = parts.rest.apply(def, namespace, path.name, readBody(request), { ...options, force });
    return answer(call, object, created ? 201 : 200, options);
  }
  const change = patcher(call);
  return answer(call, parts.rest.patch(def, namespace, path.name, change, options), 200, options);
}

/** How the body changes an object, by its content type. Throws 415. */
function patcher({ request, def, path }: Call): (live: JsonObject) => unknown {
  const type = contentType(request);
  const body = readBody(request);
  if (type === "application/json-patch+json") return (live) => jsonPatch(live, body);
  if (!isObject(body)) throw badRequest("a merge patch must be an object");
  if (type === "application/merge-patch+json") return (live) => mergePatch(live, body);
  if (type === "application/strategic-merge-patch+json" && !def.custom) {
    return (live) => strategicMerge(live, body, path.subresource === "scale" ? undefined : def.schema);
  }
  const accepted = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`;
  throw new StatusError(415, "UnsupportedMediaType", message);
}

function onScale(call: Call): ApiResponse {
  const { parts, request, query, path, def } = call;
  const namespace = path.namespace || undefined;
  const options = writeOptions(request, query, "scale");
  const live = parts.rest.get(def, namespace, path.name);
  if (request.method === "GET") return json(200, toScale(def, live));
  let scale: unknown;
  if (request.method === "PUT") scale = readBody(request);
  else if (request.method === "PATCH") scale = patcher(call)(toScale(def, live));
  else throw methodNotAllowed();
  const wanted = fromScale(def, live, scale);
  const version = wanted.metadata.resourceVersion;
  const next = parts.rest.patch(
    def,
    namespace,
    path.name,
    (object) => ({ ...wanted, metadata: { ...wanted.metadata, resourceVersion: version || object.metadata.resourceVersion } }),
    options,
  );
  return json(200, toScale(def, next));
}

function onLog({ parts, request, query, path, def }: Call): ApiResponse {
  if (request.method !== "GET") throw methodNotAllowed();
  const read = parts.logReader();
  if (read === undefined) throw new StatusError(503, "ServiceUnavailable", "no node runs in this sandbox");
  parts.rest.get(def, path.namespace, path.name);
  const tail = query.get("tailLines");
  const text = read(path.namespace, path.name, query.get("container") ?? undefined, {
    ...(tail === null ? {} : { tailLines: Number(tail) }),
    previous: query.get("previous") === "true",
  });
  return { status: 200, headers: { "content-type": "text/plain" }, body: text };
}

function answer(call: Call, object: StoredObject, status: number, options?: WriteOptions): ApiResponse {
  const { parts, request, query, def } = call;
  const asTable = request.method === "GET" && wantsTable(request.headers.accept);
  const table = { now: parts.clock.now(), include: query.get("includeObject") };
  const response = json(status, asTable ? toTable(def, [object], table) : object);
  const warnings = (options?.warnings ?? []).map((text) => `299 - ${JSON.stringify(text)}`);
  if (warnings.length > 0) response.headers.warning = warnings.join(", ");
  return response;
}

export function json(status: number, body: unknown): ApiResponse {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
