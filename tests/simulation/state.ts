// What the API server holds and held: every committed change, in order, with who wrote it. Objects are shared; nobody changes them.

import type { StoredObject } from "../../src/sandbox/api.ts";
import type { Change } from "../../src/sandbox/apiserver/index.ts";

/** One committed change. */
export interface Commit extends Change {
  /** World time, ms. */
  at: number;
  /** The process of an operator, `user`, `foreign`, or `cluster` for kubelet, controllers and garbage collector. */
  by: string;
}

export type Loose = StoredObject & { spec: Record<string, never>; status?: Record<string, never> };

const keyOf = ({ metadata }: StoredObject) => `${metadata.namespace ?? ""}/${metadata.name}`;

export class State {
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #history = new Map<string, Commit[]>();

  apply(commit: Commit): void {
    const objects = within(this.#objects, commit.storage, () => new Map<string, StoredObject>());
    if (commit.type === "DELETED") objects.delete(keyOf(commit.object));
    else objects.set(keyOf(commit.object), commit.object);
    within(this.#history, commit.storage, () => []).push(commit);
  }

  get<T = Loose>(storage: string, name: string, namespace = "default"): T | undefined {
    return this.#objects.get(storage)?.get(`${namespace}/${name}`) as T | undefined;
  }

  /** In the order in which they were made. */
  list<T = Loose>(storage: string): T[] {
    return [...(this.#objects.get(storage)?.values() ?? [])] as T[];
  }

  /** The objects of a kind as they were at a time, ms, and the resource version of that time. */
  at(storage: string, time: number): { objects: StoredObject[]; resourceVersion: string } {
    const objects = new Map<string, StoredObject>();
    let resourceVersion = "1";
    for (const commit of this.#history.get(storage) ?? []) {
      if (commit.at > time) break;
      if (commit.type === "DELETED") objects.delete(keyOf(commit.object));
      else objects.set(keyOf(commit.object), commit.object);
      resourceVersion = commit.object.metadata.resourceVersion;
    }
    const sorted = [...objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
    return { objects: sorted.map(([, object]) => object), resourceVersion };
  }
}

function within<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key) ?? make();
  map.set(key, known);
  return known;
}

/** Where the API server keeps a kind. */
export function storageOf({ group, resource }: { group: string; resource: string }): string {
  return group === "" || resource === "events" ? resource : `${resource}.${group}`;
}

export const KEPT = {
  deployments: "modeldeployments.rollguard.dev",
  versions: "modelversions.rollguard.dev",
  policies: "rollbackpolicies.rollguard.dev",
  records: "rolloutrecords.rollguard.dev",
  services: "services",
  children: "deployments.apps",
  revisions: "controllerrevisions.apps",
  pods: "pods",
  leases: "leases.coordination.k8s.io",
  events: "events",
} as const;
