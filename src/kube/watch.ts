// A watch's stream of lines as events. One event is one line of JSON; an ERROR event ends the watch as an ApiError.
import { ApiError, errorOfAnswer } from "./errors.ts";
import type { KubeObject } from "./objects.ts";

export type WatchEvent<T extends KubeObject> =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: T }
  /** Nothing changed up to this resource version: go on from here. */
  | { type: "BOOKMARK"; resourceVersion: string };

/** Throws BadAnswer where the stream breaks off within a line or holds something else than events. */
export async function* readWatch<T extends KubeObject>(
  what: string,
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const decoder = new TextDecoder();
  // Pieces of the line that is not complete yet: joined once, so that a line of many chunks costs no more than its length.
  let pieces: string[] = [];
  for await (const chunk of chunks) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    for (let i = 0; i < lines.length; i++) {
      pieces.push(lines[i] ?? "");
      if (i === lines.length - 1) break;
      const line = pieces.join("");
      pieces = [];
      if (line.trim() !== "") yield toEvent<T>(what, line);
    }
  }
  if (pieces.join("").trim() !== "") throw new ApiError("BadAnswer", `${what}: ended within an event`);
}

function toEvent<T extends KubeObject>(what: string, line: string): WatchEvent<T> {
  let event: { type?: unknown; object?: { code?: unknown; metadata?: { name?: unknown; resourceVersion?: unknown } } } | null;
  try {
    event = JSON.parse(line);
  } catch {
    throw new ApiError("BadAnswer", `${what}: an event that is no JSON`);
  }
  const object = event?.object;
  const version = object?.metadata?.resourceVersion;
  switch (event?.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (typeof object?.metadata?.name === "string" && typeof version === "string") {
        return { type: event.type, object: object as unknown as T };
      }
      break;
    case "BOOKMARK":
      if (typeof version === "string") return { type: "BOOKMARK", resourceVersion: version };
      break;
    case "ERROR": {
      const code = typeof object?.code === "number" ? object.code : 500;
      throw errorOfAnswer(what, code, object, undefined, 0);
    }
  }
  throw new ApiError("BadAnswer", `${what}: an event of an unknown form`);
}
