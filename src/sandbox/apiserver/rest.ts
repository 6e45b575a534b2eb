// Reading and writing objects: the one order in which the rules of metadata, fields, validation and managed fields are
// applied to each write. Synchronous, and the same for HTTP and for the sandbox's own parts.
import type { Clock } from "../../clock.ts";
import type { StoredObject } from "../api.ts";
import {
  alreadyExists,
  badRequest,
  conflict,
  type FieldError,
  forbidden,
  internal,
  invalid,
  invalidValue,
  modified,
  notFound,
} from "./errors.ts";
import { copy, equal, type JsonObject } from "./json.ts";
import { appliedPart, apply, recordUpdate, type Writer } from "./managed.ts";
import { checkIdentity, keepServerFields, stampNew, validateMetadata } from "./metadata.ts";
import { groupVersion, present, type ResourceDef } from "./resources.ts";
import { type Store, storeKey } from "./store.ts";

export interface WriteOptions {
  dryRun: boolean;
  /** The field manager. */
  manager: string;
  fieldValidation: "Strict" | "Warn" | "Ignore";
  /** Receives what the client should be warned of. */
  warnings: string[];
  /** "" or "status" or "scale". */
  subresource: string;
  /** The text of a patch, which Kubernetes shows in the refusal of a field that it does not know. */
  patchText?: string;
}

export interface DeleteOptions {
  dryRun: boolean;
  gracePeriodSeconds?: number;
  uid?: string;
  resourceVersion?: string;
  propagationPolicy?: string;
}

export interface RestParts {
  store: Store;
  clock: Clock;
  newUid: () => string;
  /** 0 ≤ x < 1, for generateName. */
  random: () => number;
}

export class Rest {
  readonly #parts: RestParts;

  constructor(parts: RestParts) {
    this.#parts = parts;
  }

  /** The object in the version of `def`; treat it as read-only. Throws 404. */
  get(def: ResourceDef, namespace: string | undefined, name: string): StoredObject {
    const found = this.find(def, namespace, name);
    if (found === undefined) throw notFound(def, name);
    return found;
  }

  find(def: ResourceDef, namespace: string | undefined, name: string): StoredObject | undefined {
    const stored = this.#parts.store.get(def.storage, storeKey(def.namespaced ? namespace : "", name));
    return stored === undefined ? undefined : present(def, stored);
  }

  create(def: ResourceDef, namespace: string | undefined, body: unknown, options: WriteOptions): StoredObject {
    const object = checkIdentity(def, namespace, copy(body));
    if (object.metadata.resourceVersion) throw internal("resourceVersion should not be set on objects to be created");
    this.#decode(def, object, options, false);
    return this.#create(def, object, options, () => recordUpdate(undefined, object, def.schema, this.#writer(def, options)));
  }

  /** Replaces; the body's resourceVersion and uid are preconditions. */
  update(def: ResourceDef, namespace: string | undefined, name: string, body: unknown, options: WriteOptions): StoredObject {
    const draft = checkIdentity(def, namespace, copy(body), name);
    const old = this.get(def, namespace, name);
    this.#checkPreconditions(def, old, draft);
    this.#decode(def, draft, options, false);
    return this.#update(def, old, draft, options, (next) => recordUpdate(old, next, def.schema, this.#writer(def, options)));
  }

  /** As `update`, with a body that `change` makes from the live object. */
  patch(
    def: ResourceDef,
    namespace: string | undefined,
    name: string,
    change: (live: StoredObject) => unknown,
    options: WriteOptions,
  ): StoredObject {
    const old = this.get(def, namespace, name);
    const draft = checkIdentity(def, namespace, copy(change(copy(old))), name);
    this.#checkPreconditions(def, old, draft);
    this.#decode(def, draft, options, true);
    return this.#update(def, old, draft, options, (next) => recordUpdate(old, next, def.schema, this.#writer(def, options)));
  }

  /** Server-side apply. `created` tells a 201 from a 200. */
  apply(
    def: ResourceDef,
    namespace: string | undefined,
    name: string,
    body: unknown,
    options: WriteOptions & { force: boolean },
  ): { object: StoredObject; created: boolean } {
    const config = checkIdentity(def, namespace, copy(body), name);
    if (config.metadata.managedFields !== undefined) throw badRequest("metadata.managedFields must be nil");
    const old = this.find(def, namespace, name);
    if (old === undefined && options.subresource !== "") throw notFound(def, name);
    if (old !== undefined) this.#checkPreconditions(def, old, config, true);
    const unknown = def.strategy.decode(copy(config));
    if (unknown.length > 0 && options.fieldValidation !== "Ignore") {
      const which = `(${namespace ? `${namespace}/` : ""}${name}; ${groupVersion(def)}, Kind=${def.kind})`;
      throw internal(`failed to create typed patch object ${which}: .${unknown[0]}: field not declared in schema`);
    }
    const part = appliedPart(config, options.subresource, def.hasStatus);
    const draft = apply(old, part, def.schema, this.#writer(def, options), options.force);
    const mine = copy(draft);
    def.strategy.decode(mine);
    if (old === undefined) return { object: this.#create(def, mine, options, () => {}), created: true };
    return { object: this.#update(def, old, mine, options, () => {}), created: false };
  }

  /** Deletes, or marks for deletion where a grace period or finalizers ask for it. `gone` says which. */
  delete(
    def: ResourceDef,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions,
  ): { object: StoredObject; gone: boolean } {
    const old = this.get(def, namespace, name);
    if (options.uid !== undefined && options.uid !== old.metadata.uid) {
      const why = `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${old.metadata.uid}`;
      throw conflict(def, name, why);
    }
    if (options.resourceVersion !== undefined && options.resourceVersion !== old.metadata.resourceVersion) {
      const why = `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${old.metadata.resourceVersion}`;
      throw conflict(def, name, why);
    }
    const next = copy(old);
    const { metadata } = next;
    const finalizer = { Foreground: "foregroundDeletion", Orphan: "orphan" }[options.propagationPolicy ?? ""];
    if (finalizer !== undefined && metadata.deletionTimestamp === undefined) {
      metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), finalizer])];
    }
    let grace = def.strategy.gracePeriod?.(next, options.gracePeriodSeconds) ?? 0;
    // A grace period that runs can be shortened, never lengthened.
    if (metadata.deletionGracePeriodSeconds !== undefined) grace = Math.min(grace, metadata.deletionGracePeriodSeconds);
    const waits = grace > 0 || (metadata.finalizers ?? []).length > 0 || def.kind === "Namespace";
    if (options.dryRun) return { object: next, gone: !waits };
    if (!waits) {
      const removed = this.#parts.store.remove(def.storage, keyOf(next));
      return { object: present(def, removed ?? next), gone: true };
    }
    if (grace !== metadata.deletionGracePeriodSeconds) {
      metadata.deletionTimestamp = timestamp(this.#parts.clock.now() + grace * 1000);
      metadata.deletionGracePeriodSeconds = grace;
    }
    if (metadata.generation !== undefined && old.metadata.deletionTimestamp === undefined) metadata.generation++;
    if (def.kind === "Namespace") next.status = { ...next.status, phase: "Terminating" };
    if (equal(next, old)) return { object: old, gone: false };
    return { object: this.#put(def, next), gone: false };
  }

  #writer(def: ResourceDef, options: WriteOptions): Writer {
    const { manager, subresource } = options;
    return { manager, subresource, apiVersion: groupVersion(def), time: timestamp(this.#parts.clock.now()) };
  }

  #create(def: ResourceDef, object: StoredObject, options: WriteOptions, record: () => void): StoredObject {
    const { clock, newUid, random, store } = this.#parts;
    def.strategy.applyDefaults(object as unknown as JsonObject);
    if (def.hasStatus && !def.keepsStatusOnCreate) delete object.status;
    const stamps = { now: timestamp(clock.now()), uid: newUid, suffix: () => suffix(random) };
    const nameless = stampNew(object, stamps, def.generation !== "none");
    if (nameless.length > 0) throw invalid(def, "", nameless);
    this.#checkNamespace(def, object);
    if (store.get(def.storage, keyOf(object)) !== undefined) throw alreadyExists(def, object.metadata.name);
    def.strategy.prepareForCreate?.(object);
    record();
    this.#validate(def, object, undefined);
    if (options.dryRun) return object;
    return this.#put(def, object);
  }

  #update(
    def: ResourceDef,
    old: StoredObject,
    draft: StoredObject,
    options: WriteOptions,
    record: (next: StoredObject) => void,
  ): StoredObject {
    const { managedFields } = draft.metadata;
    const next = options.subresource === "status" ? { ...copy(old), status: draft.status } : draft;
    if (options.subresource === "status") next.metadata.managedFields = managedFields;
    else if (def.hasStatus) next.status = copy(old.status);
    for (const field of ["status", "managedFields"]) {
      const holder = field === "status" ? next : next.metadata;
      if (holder[field] === undefined) delete holder[field];
    }
    keepServerFields(next, old);
    def.strategy.applyDefaults(next as unknown as JsonObject);
    if (options.subresource !== "status") def.strategy.prepareForUpdate?.(next, copy(old));
    record(next);
    if (old.metadata.deletionTimestamp !== undefined) this.#checkFinalizers(def, next, old);
    this.#validate(def, next, old);
    if (def.generation !== "none" && specChanged(def, next, old)) next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    if (options.dryRun || sameButForTimes(next, old)) return options.dryRun ? next : old;
    const finished =
      next.metadata.deletionTimestamp !== undefined &&
      (next.metadata.finalizers ?? []).length === 0 &&
      !next.metadata.deletionGracePeriodSeconds &&
      def.kind !== "Namespace";
    if (finished) return present(def, this.#parts.store.remove(def.storage, keyOf(next)) ?? next);
    return this.#put(def, next);
  }

  #put(def: ResourceDef, object: StoredObject): StoredObject {
    const stored = (def.strategy.toStorage?.(object as unknown as JsonObject) ?? object) as StoredObject;
    return present(def, this.#parts.store.put(def.storage, keyOf(object), stored));
  }

  #decode(def: ResourceDef, object: StoredObject, options: WriteOptions, isPatch: boolean): void {
    const unknown = def.strategy.decode(object as unknown as JsonObject);
    if (unknown.length === 0 || options.fieldValidation === "Ignore") return;
    const words = unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
    if (options.fieldValidation === "Warn") options.warnings.push(...words);
    else if (isPatch) {
      const error: FieldError = invalidValue("patch", options.patchText ?? "", `strict decoding error: ${words.join(", ")}`);
      throw invalid({ group: "", kind: "" }, "", [error]);
    } else {
      throw badRequest(
        `${def.kind} in version "${def.version}" cannot be handled as a ${def.kind}: strict decoding error: ${words.join(", ")}`,
      );
    }
  }

  #checkNamespace(def: ResourceDef, object: StoredObject): void {
    if (!def.namespaced) return;
    const name = object.metadata.namespace ?? "";
    const namespace = this.#parts.store.get("namespaces", storeKey("", name));
    if (namespace === undefined) throw notFound({ group: "", resource: "namespaces", kind: "Namespace" }, name);
    if (namespace.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${name} because it is being terminated`;
    const message = `namespace ${name} is being terminated`;
    throw forbidden(def, object.metadata.name, why, [{ reason: "NamespaceTerminating", message, field: "metadata.namespace" }]);
  }

  #checkPreconditions(def: ResourceDef, old: StoredObject, draft: StoredObject, isApply = false): void {
    const { uid, resourceVersion } = draft.metadata;
    if (uid && uid !== old.metadata.uid) {
      const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`;
      throw conflict(def, old.metadata.name, why);
    }
    if (resourceVersion) {
      if (resourceVersion !== old.metadata.resourceVersion) throw modified(def, old.metadata.name);
    } else if (!def.unconditionalUpdate && !isApply) {
      const message = "Invalid value: 0: must be specified for an update";
      throw invalid(def, old.metadata.name, [{ field: "metadata.resourceVersion", type: "FieldValueInvalid", message }]);
    }
  }

  #checkFinalizers(def: ResourceDef, next: StoredObject, old: StoredObject): void {
    const had = old.metadata.finalizers ?? [];
    const added = (next.metadata.finalizers ?? []).filter((finalizer) => !had.includes(finalizer));
    if (added.length === 0) return;
    const why = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
    throw invalid(def, next.metadata.name, [
      { field: "metadata.finalizers", type: "FieldValueForbidden", message: `Forbidden: ${why}` },
    ]);
  }

  #validate(def: ResourceDef, object: StoredObject, old: StoredObject | undefined): void {
    const errors = [...validateMetadata(def, object), ...def.strategy.validate(object, old)];
    if (errors.length > 0) throw invalid(def, object.metadata.name, errors);
  }
}

/** RFC 3339 in whole seconds, as metav1.Time is written. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}

function keyOf(object: StoredObject): string {
  return storeKey(object.metadata.namespace, object.metadata.name);
}

function suffix(random: () => number): string {
  // The letters of apimachinery/pkg/util/rand: no vowels, so that no words come out.
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  return Array.from({ length: 5 }, () => letters[Math.floor(random() * letters.length)]).join("");
}

function specChanged(def: ResourceDef, next: StoredObject, old: StoredObject): boolean {
  const { metadata: a, ...nextRest } = next;
  const { metadata: b, ...oldRest } = old;
  if (def.hasStatus) {
    delete nextRest.status;
    delete oldRest.status;
  }
  if (!equal(nextRest, oldRest)) return true;
  return def.generation === "spec and annotations" && !equal(a.annotations ?? {}, b.annotations ?? {});
}

/** A write that would change nothing but the times in managedFields is none. */
function sameButForTimes(next: StoredObject, old: StoredObject): boolean {
  const bare = (object: StoredObject): unknown => {
    const entries = object.metadata.managedFields;
    if (!Array.isArray(entries)) return object;
    const untimed = entries.map((entry: JsonObject) => ({ ...entry, time: "" }));
    return { ...object, metadata: { ...object.metadata, managedFields: untimed } };
  };
  return equal(bare(next), bare(old));
}
