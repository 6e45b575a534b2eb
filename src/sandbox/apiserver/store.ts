// Objects in memory under one increasing resourceVersion, with a bounded log of what happened, as etcd and the watch cache
// keep it. It knows no rule of any kind. Stored objects are never changed in place: a write puts a new one.
import type { StoredObject } from "../api.ts";

/** One change. `previous` is the object before it (undefined for ADDED). */
export interface Change {
  revision: number;
  storage: string;
  type: "ADDED" | "MODIFIED" | "DELETED";
  object: StoredObject;
  previous: StoredObject | undefined;
}

export type Listener = (change: Change) => void;

export class Store {
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #log: Change[] = [];
  readonly #limit: number;
  readonly #undelivered: Change[] = [];
  #delivering = false;
  #revision: number;
  /** Changes up to and including this revision are no longer in the log. */
  #compacted: number;

  /** `limit`: how many changes can be watched from afterwards. */
  constructor(limit: number) {
    this.#limit = limit;
    // Not 0, which clients read as "any version".
    this.#revision = 1;
    this.#compacted = 1;
  }

  get revision(): number {
    return this.#revision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  get(storage: string, key: string): StoredObject | undefined {
    return this.#objects.get(storage)?.get(key);
  }

  /** All objects of a kind, in the order of their keys ("namespace/name"). */
  list(storage: string): StoredObject[] {
    const objects = this.#objects.get(storage);
    if (objects === undefined) return [];
    return [...objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** The names of the kinds that have objects. */
  storages(): string[] {
    return [...this.#objects.keys()];
  }

  /** Stores `object` under a new resourceVersion, and returns what was stored. */
  put(storage: string, key: string, object: StoredObject): StoredObject {
    let objects = this.#objects.get(storage);
    if (objects === undefined) {
      objects = new Map();
      this.#objects.set(storage, objects);
    }
    const previous = objects.get(key);
    const stored = this.#stamped(object);
    objects.set(key, stored);
    this.#publish({ revision: this.#revision, storage, type: previous ? "MODIFIED" : "ADDED", object: stored, previous });
    return stored;
  }

  /** Removes the object and returns it with the resourceVersion of its removal. */
  remove(storage: string, key: string): StoredObject | undefined {
    const objects = this.#objects.get(storage);
    const previous = objects?.get(key);
    if (objects === undefined || previous === undefined) return undefined;
    objects.delete(key);
    const last = this.#stamped(previous);
    this.#publish({ revision: this.#revision, storage, type: "DELETED", object: last, previous });
    return last;
  }

  /** Changes of a kind after `revision`, oldest first. Only meaningful when `revision >= compacted`. */
  since(storage: string, revision: number): Change[] {
    let first = this.#log.length;
    while (first > 0 && (this.#log[first - 1]?.revision ?? 0) > revision) first--;
    return this.#log.slice(first).filter((change) => change.storage === storage);
  }

  /** Calls `listener` after each change of a kind, in order, also when a listener itself writes. Returns how to stop. */
  listen(storage: string, listener: Listener): () => void {
    let listeners = this.#listeners.get(storage);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(storage, listeners);
    }
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Forgets the log, so that every older resourceVersion is too old to watch from. */
  compact(): void {
    this.#log.length = 0;
    this.#compacted = this.#revision;
  }

  #stamped(object: StoredObject): StoredObject {
    this.#revision++;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
  }

  #publish(change: Change): void {
    this.#log.push(change);
    // Trimmed in blocks: shifting one element at each write would copy the whole log each time.
    if (this.#log.length > this.#limit * 1.25) {
      const dropped = this.#log.splice(0, this.#log.length - this.#limit);
      this.#compacted = dropped.at(-1)?.revision ?? this.#compacted;
    }
    this.#undelivered.push(change);
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let next = this.#undelivered.shift(); next !== undefined; next = this.#undelivered.shift()) {
        for (const listener of [...(this.#listeners.get(next.storage) ?? []), ...(this.#listeners.get("*") ?? [])]) {
          listener(next);
        }
      }
    } finally {
      this.#delivering = false;
    }
  }
}

export function storeKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ""}/${name}`;
}
