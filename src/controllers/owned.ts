// Cached objects by the deployment that they belong to.

import { LABELS } from "../api/names.ts";
import type { KubeObject } from "../kube/objects.ts";

/** The deployment that an object of ours belongs to, by its label. */
export function ownerKey(object: KubeObject): string | undefined {
  const name = object.metadata.labels?.[LABELS.deployment];
  return name === undefined ? undefined : `${object.metadata.namespace ?? ""}/${name}`;
}

/** Objects by the deployment that their label names. */
export class Owned<T extends KubeObject> {
  #byOwner = new Map<string, Map<string, T>>();

  /** The deployments that have any, also those that are gone, as `<namespace>/<name>`. */
  keys(): string[] {
    return [...this.#byOwner.keys()];
  }

  of(key: string): T[] {
    return [...(this.#byOwner.get(key)?.values() ?? [])];
  }

  set(object: T): void {
    const owner = ownerKey(object);
    if (owner === undefined) return;
    const group = this.#byOwner.get(owner) ?? new Map<string, T>();
    group.set(object.metadata.name, object);
    this.#byOwner.set(owner, group);
  }

  remove(object: T): void {
    const owner = ownerKey(object);
    const group = owner === undefined ? undefined : this.#byOwner.get(owner);
    group?.delete(object.metadata.name);
    if (owner !== undefined && group?.size === 0) this.#byOwner.delete(owner);
  }
}
