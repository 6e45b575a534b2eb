// Requests and answers as the server's core sees them, with or without a socket, and how a path is read.
import { noSuchPath } from "./errors.ts";

export interface ApiRequest {
  method: string;
  /** Path and query, with or without scheme and host. */
  url: string;
  /** Names in lower case. */
  headers: Record<string, string | undefined>;
  /** As text; of protobuf, a character a byte (latin1). */
  body?: string;
  /** Aborted when the client goes away; ends a watch. */
  signal?: AbortSignal;
}

export interface ApiResponse {
  status: number;
  headers: Record<string, string>;
  /** A stream for watches: one JSON document a line. */
  body: string | AsyncIterable<string>;
}

/** A resource path taken apart. Empty strings stand for parts that are not there. */
export interface ResourcePath {
  group: string;
  version: string;
  namespace: string;
  resource: string;
  name: string;
  subresource: string;
}

/**
 * Reads `/api/v1/…` and `/apis/<group>/<version>/…`; undefined for other paths and for those that name no resource.
 * `/api/v1/namespaces/x` is the Namespace x, `/api/v1/namespaces/x/pods` are pods in it.
 */
export function parsePath(pathname: string): ResourcePath | undefined {
  const parts = pathname.split("/").filter((part) => part !== "");
  const decoded = parts.map(decodePart);
  const prefix = decoded.shift();
  let group = "";
  if (prefix === "apis") group = decoded.shift() ?? "";
  else if (prefix !== "api") return undefined;
  const version = decoded.shift();
  if (version === undefined || decoded.length === 0) return undefined;
  let namespace = "";
  const [first, second, third] = decoded;
  const isNamespaceItself = third === undefined || ["status", "finalize"].includes(third);
  if (first === "namespaces" && second !== undefined && !(isNamespaceItself && decoded.length <= 3)) {
    namespace = second;
    decoded.splice(0, 2);
  }
  const [resource = "", name = "", subresource = "", ...rest] = decoded;
  if (rest.length > 0) throw noSuchPath();
  return { group, version, namespace, resource, name, subresource };
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw noSuchPath();
  }
}
