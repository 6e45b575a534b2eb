// Reading what requests carry beside the path: bodies, write and delete options, the field manager.
import { load } from "js-yaml";
import { StatusError } from "../api.ts";
import { badRequest, invalid } from "./errors.ts";
import type { ApiRequest } from "./http.ts";
import { at, isObject } from "./json.ts";
import { decodeProtobuf } from "./protobuf.ts";
import type { DeleteOptions, WriteOptions } from "./rest.ts";

/** The body as JSON, or YAML where the content type says so. Throws 400 and 415. */
export function readBody(request: ApiRequest): unknown {
  const type = contentType(request);
  if (type === "application/vnd.kubernetes.protobuf") return decodeProtobuf(Buffer.from(request.body ?? "", "latin1"));
  if (type.includes("cbor")) {
    throw new StatusError(
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
    );
  }
  const text = request.body ?? "";
  try {
    return type.includes("yaml") ? load(text) : JSON.parse(text);
  } catch (error) {
    throw badRequest(`error decoding the body: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
  }
}

export function contentType(request: ApiRequest): string {
  return (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim() ?? "";
}

function isDryRun(value: unknown): boolean {
  const values = Array.isArray(value) ? value : value === null || value === undefined ? [] : [value];
  if (values.some((each) => each !== "All")) {
    throw invalid({ group: "meta.k8s.io", kind: "CreateOptions" }, "", [
      {
        field: "dryRun",
        type: "FieldValueNotSupported",
        message: `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`,
      },
    ]);
  }
  return values.length > 0;
}

/** Throws 422 for values that are none. */
export function writeOptions(request: ApiRequest, query: URLSearchParams, subresource: string): WriteOptions {
  const validation = query.get("fieldValidation") ?? "Warn";
  if (validation !== "Strict" && validation !== "Warn" && validation !== "Ignore") {
    const message = `Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`;
    throw invalid({ group: "meta.k8s.io", kind: "CreateOptions" }, "", [
      { field: "fieldValidation", type: "FieldValueNotSupported", message },
    ]);
  }
  // Without a name of its own, a manager is called after the start of its user agent.
  const manager = query.get("fieldManager") || (request.headers["user-agent"] ?? "unknown").split("/")[0] || "unknown";
  return {
    dryRun: isDryRun(query.getAll("dryRun").filter((value) => value !== "")),
    manager: manager.slice(0, 128),
    fieldValidation: validation,
    warnings: [],
    subresource,
  };
}

/** From the body, or from the query where that has none. */
export function deleteOptions(request: ApiRequest, query: URLSearchParams): DeleteOptions {
  const body = request.body === undefined || request.body === "" ? {} : readBody(request);
  if (!isObject(body)) throw badRequest("the body of a delete must be DeleteOptions");
  const grace = at(body, "gracePeriodSeconds") ?? query.get("gracePeriodSeconds");
  const policy = at(body, "propagationPolicy") ?? query.get("propagationPolicy");
  const uid = at(body, "preconditions.uid");
  const resourceVersion = at(body, "preconditions.resourceVersion");
  return {
    dryRun: isDryRun(body.dryRun ?? query.getAll("dryRun").filter((value) => value !== "")),
    ...(grace === null || grace === undefined ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(typeof policy === "string" ? { propagationPolicy: policy } : {}),
    ...(typeof uid === "string" ? { uid } : {}),
    ...(typeof resourceVersion === "string" ? { resourceVersion } : {}),
  };
}
