// What disappears in the background: objects whose owners are gone, the contents of a namespace or of a CRD that is being
// deleted, and the finalizers of foreground and orphaning deletions. One pass in a later turn handles all that piled up.
import type { Clock } from "../../clock.ts";
import type { StoredObject } from "../api.ts";
import { CRD_FINALIZER, CRD_STORAGE, storageOf } from "./crd.ts";
import type { Registry } from "./resources.ts";
import type { Rest, WriteOptions } from "./rest.ts";
import { type Change, type Store, storeKey } from "./store.ts";

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";

export class GarbageCollector {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #rest: Rest;
  readonly #clock: Clock;
  /** Every object that lives, by uid. */
  readonly #alive = new Map<string, Located>();
  /** Owner uid → uids of its dependents. */
  readonly #dependents = new Map<string, Set<string>>();
  /** Uids of owners that went, and of objects on their way out. */
  readonly #work = new Set<string>();
  #scheduled = false;
  #stopped = false;
  readonly #stop: () => void;

  constructor(parts: { store: Store; registry: Registry; rest: Rest; clock: Clock }) {
    this.#store = parts.store;
    this.#registry = parts.registry;
    this.#rest = parts.rest;
    this.#clock = parts.clock;
    this.#stop = this.#store.listen("*", (change) => this.#note(change));
  }

  stop(): void {
    this.#stopped = true;
    this.#stop();
  }

  #note({ type, storage, object, previous }: Change): void {
    const { uid, namespace, deletionTimestamp, ownerReferences = [] } = object.metadata;
    for (const owner of previous?.metadata.ownerReferences ?? []) this.#dependents.get(owner.uid)?.delete(uid);
    if (type === "DELETED") {
      this.#alive.delete(uid);
      if ((this.#dependents.get(uid)?.size ?? 0) > 0) this.#add(uid);
      // The last object of a namespace or CRD lets that go.
      const home = this.#store.get("namespaces", storeKey("", namespace ?? ""));
      if (home?.metadata.deletionTimestamp !== undefined) this.#add(home.metadata.uid);
      const crd = this.#store.get(CRD_STORAGE, storeKey("", storage));
      if (crd?.metadata.deletionTimestamp !== undefined) this.#add(crd.metadata.uid);
      for (const owner of ownerReferences)
        if (this.#alive.get(owner.uid)?.object.metadata.deletionTimestamp) this.#add(owner.uid);
      return;
    }
    this.#alive.set(uid, { storage, object });
    for (const owner of ownerReferences) {
      const dependents = this.#dependents.get(owner.uid);
      if (dependents === undefined) this.#dependents.set(owner.uid, new Set([uid]));
      else dependents.add(uid);
      if (!this.#alive.has(owner.uid)) this.#add(owner.uid);
    }
    if (deletionTimestamp !== undefined) this.#add(uid);
  }

  #add(uid: string): void {
    this.#work.add(uid);
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#clock.after(0, () => {
      this.#scheduled = false;
      if (this.#stopped) return;
      const uids = [...this.#work];
      this.#work.clear();
      for (const each of uids) this.#handle(each);
    });
  }

  #handle(uid: string): void {
    const found = this.#alive.get(uid);
    if (found === undefined) {
      for (const dependent of this.#dependentsOf(uid)) this.#releaseOrDelete(dependent, uid);
      this.#dependents.delete(uid);
      return;
    }
    const { object, storage } = found;
    if (object.metadata.deletionTimestamp === undefined) return;
    const finalizers = object.metadata.finalizers ?? [];
    if (finalizers.includes(ORPHAN)) {
      for (const dependent of this.#dependentsOf(uid)) this.#dropOwner(dependent, uid);
      this.#dropFinalizer(found, ORPHAN);
    } else if (finalizers.includes(FOREGROUND)) this.#deleteInForeground(found);
    else if (storage === "namespaces") this.#emptyNamespace(object);
    else if (storage === CRD_STORAGE) this.#emptyCrd(found);
  }

  #dependentsOf(uid: string): Located[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap((dependent) => this.#alive.get(dependent) ?? []);
  }

  /** A dependent with another owner that lives only loses the reference. */
  #releaseOrDelete(dependent: Located, gone: string): void {
    const others = (dependent.object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== gone);
    if (others.some((owner) => this.#alive.has(owner.uid))) this.#dropOwner(dependent, gone);
    else this.#delete(dependent);
  }

  #deleteInForeground(owner: Located): void {
    const { uid } = owner.object.metadata;
    const blocking = this.#dependentsOf(uid).filter(({ object }) =>
      object.metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.blockOwnerDeletion === true),
    );
    for (const dependent of this.#dependentsOf(uid)) {
      if (dependent.object.metadata.deletionTimestamp === undefined) this.#delete(dependent, "Foreground");
    }
    if (blocking.every(({ object }) => !this.#alive.has(object.metadata.uid))) this.#dropFinalizer(owner, FOREGROUND);
  }

  #emptyNamespace(namespace: StoredObject): void {
    let left = 0;
    for (const storage of this.#store.storages()) {
      for (const object of this.#store.list(storage)) {
        if (object.metadata.namespace !== namespace.metadata.name) continue;
        left++;
        if (object.metadata.deletionTimestamp === undefined) this.#delete({ storage, object });
        if (!this.#alive.has(object.metadata.uid)) left--;
      }
    }
    if (left === 0 && (namespace.metadata.finalizers ?? []).length === 0) {
      this.#store.remove("namespaces", storeKey("", namespace.metadata.name));
    }
  }

  #emptyCrd(crd: Located): void {
    const storage = storageOf(crd.object);
    for (const object of this.#store.list(storage)) {
      if (object.metadata.deletionTimestamp === undefined) this.#delete({ storage, object });
    }
    if (this.#store.list(storage).length === 0) this.#dropFinalizer(crd, CRD_FINALIZER);
  }

  #delete({ storage, object }: Located, propagationPolicy?: string): void {
    const def = this.#registry.byStorage(storage);
    const { namespace, name, uid } = object.metadata;
    // It may have gone, or be another one by the same name, since it was looked at.
    if (def === undefined || this.#rest.find(def, namespace, name)?.metadata.uid !== uid) return;
    this.#rest.delete(def, namespace, name, { dryRun: false, uid, ...(propagationPolicy && { propagationPolicy }) });
  }

  #dropOwner(dependent: Located, uid: string): void {
    this.#change(dependent, (object) => {
      object.metadata.ownerReferences = object.metadata.ownerReferences?.filter((owner) => owner.uid !== uid);
    });
  }

  #dropFinalizer(located: Located, finalizer: string): void {
    this.#change(located, (object) => {
      object.metadata.finalizers = object.metadata.finalizers?.filter((each) => each !== finalizer);
    });
  }

  #change({ storage, object }: Located, change: (object: StoredObject) => void): void {
    const def = this.#registry.byStorage(storage);
    const { namespace, name } = object.metadata;
    if (def === undefined || this.#rest.find(def, namespace, name) === undefined) return;
    this.#rest.patch(
      def,
      namespace,
      name,
      (live) => {
        change(live);
        return live;
      },
      internalWrite(),
    );
  }
}

interface Located {
  storage: string;
  object: StoredObject;
}

/** How the sandbox's own parts write. */
export function internalWrite(subresource = ""): WriteOptions {
  return { dryRun: false, manager: "rollguard-sandbox", fieldValidation: "Ignore", warnings: [], subresource };
}
