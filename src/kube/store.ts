// What a reflector holds: objects by namespace and name, changed by events one at a time or swapped whole after a list,
// and the changes that follow from either, told to one handler that can't break anything.
import type { Logger } from "../log.ts";
import { sanitizeLine } from "../text.ts";
import { type KubeObject, keyText } from "./objects.ts";
import { keyOf } from "./resources.ts";
import type { WatchEvent } from "./watch.ts";

export type ChangeType = "ADDED" | "MODIFIED" | "DELETED";

/** `previous` is what was held before; for DELETED `object` is the last known state. Called after the store has changed. */
export type OnChange<T> = (type: ChangeType, key: string, object: T, previous: T | undefined) => void;

export interface StoreOptions<T> {
  /** Reduces an object to the fields that are used, before it is held; may change it in place. managedFields are dropped after it. */
  trim: ((object: T) => T) | undefined;
  onChange: OnChange<T> | undefined;
  logger: Logger;
}

/** Where `kubectl apply` keeps what it applied; the content of a ConfigMap, too. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** What became of an event. */
export type Applied =
  /** The store changed. */
  | "Changed"
  /** Known already, or older than what is known of this object. */
  | "Stale"
  /** It contradicts the order in which a watch must tell changes: what is held can't be trusted until a new list. */
  | "OutOfOrder";

type Objects<T> = Map<string, Map<string, T>>;

export class Store<T extends KubeObject> {
  #options: StoreOptions<T>;
  // Two levels, so that a lookup and a namespace's list build no strings and visit no others.
  #objects: Objects<T> = new Map();

  constructor(options: StoreOptions<T>) {
    this.#options = options;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(namespace ?? "")?.get(name);
  }

  list(namespace?: string): T[] {
    if (namespace !== undefined) return [...(this.#objects.get(namespace)?.values() ?? [])];
    return [...this.#objects.values()].flatMap((inner) => [...inner.values()]);
  }

  get size(): number {
    let size = 0;
    for (const inner of this.#objects.values()) size += inner.size;
    return size;
  }

  /** Holds exactly `items` from now on; the differences are told once all are in place, deletions first. */
  swap(items: readonly T[]): void {
    const before = this.#objects;
    const after: Objects<T> = new Map();
    const changes: (() => void)[] = [];
    for (const item of items) {
      const old = before.get(item.metadata.namespace ?? "")?.get(item.metadata.name);
      // The object that is held already is the same, and perhaps referred to: the new copy is not needed.
      const unchanged = old !== undefined && same(old, item) && old.metadata.resourceVersion === item.metadata.resourceVersion;
      const object = unchanged ? old : this.#trim(item);
      put(after, object);
      if (!unchanged) changes.push(() => this.#tellPut(object, old));
    }
    this.#objects = after;
    for (const [namespace, inner] of before) {
      for (const [name, old] of inner) if (!after.get(namespace)?.has(name)) this.#tell("DELETED", old, old);
    }
    for (const change of changes) change();
  }

  /** `position`: the highest resource version that this watch has told so far. */
  apply(event: WatchEvent<T> & { object: T }, position: string): Applied {
    const { metadata } = event.object;
    const old = this.get(metadata.namespace, metadata.name);
    if (event.type === "DELETED") {
      // Of an earlier object of this name: the new one is known already.
      if (old === undefined || !same(old, event.object)) return "Stale";
      this.#remove(old);
      this.#tell("DELETED", this.#trim(event.object), old);
      return "Changed";
    }
    const since = old?.metadata.resourceVersion ?? position;
    if (isNewer(metadata.resourceVersion, since) === false) return old === undefined ? "OutOfOrder" : "Stale";
    const object = this.#trim(event.object);
    put(this.#objects, object);
    this.#tellPut(object, old);
    return "Changed";
  }

  #remove(object: T): void {
    const namespace = object.metadata.namespace ?? "";
    const inner = this.#objects.get(namespace);
    inner?.delete(object.metadata.name);
    if (inner?.size === 0) this.#objects.delete(namespace);
  }

  #tellPut(object: T, old: T | undefined): void {
    if (old !== undefined && !same(old, object)) {
      // Deleted and made again while nobody looked: two changes, or the old one's dependents would never be let go.
      this.#tell("DELETED", old, old);
      this.#tell("ADDED", object, undefined);
    } else this.#tell(old === undefined ? "ADDED" : "MODIFIED", object, old);
  }

  #tell(type: ChangeType, object: T, previous: T | undefined): void {
    const key = keyText(keyOf(object));
    const failed = (error: unknown) =>
      this.#options.logger.error({ key, type, error: sanitizeLine(String(error)) }, "a handler of changes failed");
    try {
      // An async handler is a mistake that the types allow; its rejection must not end the process.
      const result: unknown = this.#options.onChange?.(type, key, object, previous);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #trim(object: T): T {
    let trimmed = object;
    try {
      trimmed = this.#options.trim?.(object) ?? object;
    } catch (error) {
      this.#options.logger.error({ key: keyText(keyOf(object)), error: sanitizeLine(String(error)) }, "trimming failed");
    }
    // Most of an object's size, and nothing that a cache is asked for; the annotation is all that was applied, once more.
    delete trimmed.metadata.managedFields;
    delete trimmed.metadata.annotations?.[LAST_APPLIED];
    return trimmed;
  }
}

function put<T extends KubeObject>(objects: Objects<T>, object: T): void {
  const { namespace = "", name } = object.metadata;
  const inner = objects.get(namespace);
  if (inner === undefined) objects.set(namespace, new Map([[name, object]]));
  else inner.set(name, object);
}

function same(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid;
}

/**
 * Whether resource version `a` is later than `b`; undefined where they can't be compared. Kubernetes promises since 1.35 that
 * versions of one resource are decimal numbers that can be compared (KEP-5504), and they always were for etcd.
 */
export function isNewer(a: string | undefined, b: string | undefined): boolean | undefined {
  if (a === undefined || b === undefined || !/^\d+$/.test(a) || !/^\d+$/.test(b)) return undefined;
  return a.length === b.length ? a > b : a.length > b.length;
}
