// What caches ask of whatever holds objects of one kind, and the holder that never changes: objects that came from a file.
import type { KubeObject } from "./objects.ts";

export interface Held<T extends KubeObject> {
  /** The held object itself: not to be changed. */
  get(namespace: string | undefined, name: string): T | undefined;
  /** The held objects themselves, of one namespace or of all. */
  list(namespace?: string): T[];
}

/** Objects that belong to the cluster, from somewhere else than its API server. */
export class FixedObjects<T extends KubeObject> implements Held<T> {
  #objects: Map<string, T>;

  constructor(objects: readonly T[]) {
    this.#objects = new Map(objects.map((object) => [object.metadata.name, object]));
  }

  get(_namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(name);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }
}
