// Watches: a stream of JSON lines from a resourceVersion on, with selectors (an object that leaves the selection is
// DELETED to its watcher), bookmarks, the initial events of a WatchList, a time limit, and 410 for what is too old.
import type { Clock, Timer } from "../../clock.ts";
import type { StoredObject } from "../api.ts";
import { badRequest, expired, invalid, toStatus } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import { readRevision, selection } from "./list.ts";
import { groupVersion, present, type ResourceDef } from "./resources.ts";
import type { Change, Store } from "./store.ts";

/** Bookmarks come about once a minute from a real API server. */
const BOOKMARK_MS = 60_000;
const DEFAULT_TIMEOUT_S = 1800;
/** A watcher that is this many events behind is cut off, as the watch cache does; it comes back from its last version. */
const MAX_BEHIND = 20_000;

/** Lines that were pushed, each once, to one reader; ends when `end` is called or the reader returns. */
export class LineStream implements AsyncIterable<string> {
  readonly #lines: string[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  readonly #onEnd: (() => void)[] = [];

  push(line: string): void {
    if (this.#ended) return;
    this.#lines.push(line);
    if (this.#lines.length > MAX_BEHIND) this.end();
    else this.#wake?.();
  }

  /** What is still queued is read first. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const fn of this.#onEnd) fn();
    this.#wake?.();
  }

  onEnd(fn: () => void): void {
    this.#onEnd.push(fn);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    try {
      for (;;) {
        // All that waits goes as one chunk: fewer turns of the event loop for a burst.
        if (this.#lines.length > 0) yield this.#lines.splice(0).join("");
        else if (this.#ended) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      this.end();
    }
  }
}

export interface WatchParts {
  store: Store;
  clock: Clock;
  def: ResourceDef;
  namespace: string;
  query: URLSearchParams;
  /** The form of an object that the client accepts (as it is, or a table). */
  render: (object: StoredObject) => unknown;
  signal: AbortSignal | undefined;
}

/** Opens a watch. Throws StatusError for a query that makes no sense. */
export function openWatch({ store, clock, def, namespace, query, render, signal }: WatchParts): LineStream {
  const selected = selection(def, namespace, query);
  const bookmarks = query.get("allowWatchBookmarks") === "true" || query.get("allowWatchBookmarks") === "1";
  const asked = query.get("resourceVersion") ?? "";
  const initial = query.get("sendInitialEvents");
  if (initial !== null) checkInitial(initial, query, bookmarks);
  const timeout = Number(query.get("timeoutSeconds") ?? DEFAULT_TIMEOUT_S);
  if (!Number.isFinite(timeout)) throw badRequest("timeoutSeconds is not a number");

  const stream = new LineStream();
  const send = (type: string, object: unknown) => stream.push(`${JSON.stringify({ type, object })}\n`);
  const bookmark = (annotations?: JsonObject) =>
    send("BOOKMARK", {
      kind: def.kind,
      apiVersion: groupVersion(def),
      metadata: { resourceVersion: String(store.revision), creationTimestamp: null, ...(annotations && { annotations }) },
    });
  const deliver = (change: Change) => {
    const is = change.type !== "DELETED" && selected(change.object);
    const was = change.previous !== undefined && selected(change.previous);
    if (!is && !was) return;
    const type = is ? (was ? "MODIFIED" : "ADDED") : "DELETED";
    send(type, render(present(def, change.object)));
  };

  const fromNow = asked === "" || asked === "0";
  if (initial === "true" || (fromNow && initial !== "false")) {
    for (const object of store.list(def.storage)) if (selected(object)) send("ADDED", render(present(def, object)));
    if (initial === "true") bookmark({ "k8s.io/initial-events-end": "true" });
  } else if (!fromNow) {
    const revision = readRevision(asked);
    if (revision < store.compacted) {
      send("ERROR", toStatus(expired(`too old resource version: ${revision} (${store.compacted})`)));
      stream.end();
      return stream;
    }
    for (const change of store.since(def.storage, revision)) deliver(change);
  }

  stream.onEnd(store.listen(def.storage, deliver));
  const end = () => stream.end();
  const finish = clock.after(timeout * 1000, () => {
    if (bookmarks) bookmark();
    end();
  });
  stream.onEnd(() => finish.cancel());
  if (bookmarks) stream.onEnd(every(clock, BOOKMARK_MS, () => bookmark()));
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  stream.onEnd(() => signal?.removeEventListener("abort", end));
  return stream;
}

function every(clock: Clock, ms: number, fn: () => void): () => void {
  let timer: Timer;
  const again = () => {
    timer = clock.after(ms, () => {
      fn();
      again();
    });
  };
  again();
  return () => timer.cancel();
}

function checkInitial(initial: string, query: URLSearchParams, bookmarks: boolean): void {
  const subject = { group: "meta.k8s.io", kind: "ListOptions" };
  const forbid = (field: string, message: string) =>
    invalid(subject, "", [{ field, type: "FieldValueForbidden", message: `Forbidden: ${message}` }]);
  if (query.get("resourceVersionMatch") !== "NotOlderThan") {
    throw forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (initial === "true" && !bookmarks) {
    throw forbid("sendInitialEvents", "sendInitialEvents requires setting allowWatchBookmarks to true");
  }
}
