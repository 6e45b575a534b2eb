// A read-only copy of one kind, kept by a watch: the controllers read it without copying the store each time.
// What it hands out is shared and must not be changed.
import type { ResourceId, SandboxApi, StoredObject } from "../api.ts";
import { controllerOf, keyOf } from "./kinds.ts";

export class Mirror<T extends StoredObject> {
  readonly #objects = new Map<string, T>();
  readonly #byNamespace = new Map<string, Map<string, T>>();
  readonly #byOwner = new Map<string, Map<string, T>>();
  readonly #stop: () => void;

  /** `onChange` is called synchronously within the change, after the mirror holds it. */
  constructor(
    api: SandboxApi,
    id: ResourceId,
    onChange: (object: T, type: "ADDED" | "MODIFIED" | "DELETED", previous?: T) => void,
  ) {
    this.#stop = api.watch(id, (event) => {
      const object = event.object as T;
      const key = keyOf(object);
      const previous = this.#objects.get(key);
      if (previous) this.#forget(key, previous);
      if (event.type !== "DELETED") this.#keep(key, object);
      onChange(object, event.type, previous);
    });
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** All, or those of one namespace, in the order of their names. */
  list(namespace?: string): T[] {
    const of = namespace === undefined ? this.#objects : this.#byNamespace.get(namespace);
    return sorted(of);
  }

  ownedBy(uid: string): T[] {
    return sorted(this.#byOwner.get(uid));
  }

  stop(): void {
    this.#stop();
  }

  #keep(key: string, object: T): void {
    this.#objects.set(key, object);
    within(this.#byNamespace, object.metadata.namespace ?? "").set(key, object);
    const owner = controllerOf(object);
    if (owner) within(this.#byOwner, owner.uid).set(key, object);
  }

  #forget(key: string, object: T): void {
    this.#objects.delete(key);
    remove(this.#byNamespace, object.metadata.namespace ?? "", key);
    const owner = controllerOf(object);
    if (owner) remove(this.#byOwner, owner.uid, key);
  }
}

function within<T>(index: Map<string, Map<string, T>>, name: string): Map<string, T> {
  let found = index.get(name);
  if (!found) {
    found = new Map();
    index.set(name, found);
  }
  return found;
}

function remove<T>(index: Map<string, Map<string, T>>, name: string, key: string): void {
  const found = index.get(name);
  found?.delete(key);
  if (found?.size === 0) index.delete(name);
}

function sorted<T>(objects: Map<string, T> | undefined): T[] {
  if (!objects) return [];
  return [...objects.entries()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, object]) => object);
}
