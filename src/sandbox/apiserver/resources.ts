// What the server knows about a kind, and the registry of the kinds it serves: the built-in ones and those of CRDs.
import type { ResourceId, StoredObject } from "../api.ts";
import type { FieldError } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { JsonSchema } from "./jsonschema.ts";

/** A column of `kubectl get`; either a JSONPath into the object, or a function of it. */
export interface Column {
  name: string;
  type: string;
  format?: string;
  description?: string;
  /** Above 0: shown by `-o wide` only. */
  priority?: number;
  jsonPath?: string;
  value?: (object: StoredObject, now: number) => unknown;
}

export interface ScalePaths {
  specReplicas: string;
  statusReplicas: string;
  /** Path of the status' selector text (CRDs); without it the label selector in spec.selector is rendered. */
  selector?: string;
}

/** What a kind does beyond the rules that all kinds share. Each gets an object of its own that it may change. */
export interface Strategy {
  /** Checks types, removes unknown fields and returns their paths. Throws StatusError 400 for what cannot be decoded. */
  decode(object: JsonObject): string[];
  applyDefaults(object: JsonObject): void;
  prepareForCreate?(object: StoredObject): void;
  prepareForUpdate?(object: StoredObject, old: StoredObject): void;
  validate(object: StoredObject, old?: StoredObject): FieldError[];
  /** Seconds between the request to delete and the removal by the node; 0 removes at once. */
  gracePeriod?(object: StoredObject, asked: number | undefined): number;
  /** To the form in which kinds with several groups share one store, and back. */
  toStorage?(object: JsonObject): JsonObject;
  fromStorage?(object: StoredObject): StoredObject;
}

export interface ResourceDef extends ResourceId {
  kind: string;
  singular: string;
  namespaced: boolean;
  shortNames: string[];
  categories: string[];
  /** The name of its store; two definitions with the same one are two views of the same objects. */
  storage: string;
  /** Of a CRD. */
  custom: boolean;
  hasStatus: boolean;
  /** Whether a status in a create is kept (Nodes register with one). */
  keepsStatusOnCreate: boolean;
  scale?: ScalePaths;
  /** When metadata.generation rises: never, when the spec changes, or (Deployments) annotations too. */
  generation: "none" | "spec" | "spec and annotations";
  /** Whether a PUT needs no resourceVersion. */
  unconditionalUpdate: boolean;
  columns: Column[];
  schema: JsonSchema;
  strategy: Strategy;
}

export function groupVersion(id: { group: string; version: string }): string {
  return id.group === "" ? id.version : `${id.group}/${id.version}`;
}

export class Registry {
  readonly #byId = new Map<string, ResourceDef>();

  add(def: ResourceDef): void {
    this.#byId.set(keyOf(def), def);
  }

  /** Stops serving a resource in all its versions. */
  removeStorage(storage: string): void {
    for (const [key, def] of this.#byId) if (def.storage === storage) this.#byId.delete(key);
  }

  find(id: ResourceId): ResourceDef | undefined {
    return this.#byId.get(keyOf(id));
  }

  /** Any definition of a kind by apiVersion and kind, as owner references name it. */
  byKind(apiVersion: string, kind: string): ResourceDef | undefined {
    return this.all().find((def) => def.kind === kind && groupVersion(def) === apiVersion);
  }

  /** The first served definition of a store. */
  byStorage(storage: string): ResourceDef | undefined {
    return this.all().find((def) => def.storage === storage);
  }

  all(): ResourceDef[] {
    return [...this.#byId.values()];
  }
}

function keyOf(id: ResourceId): string {
  return `${id.group}/${id.version}/${id.resource}`;
}

/** A copy of a stored object in the group and version of `def`. The copy is shallow: never change what it holds. */
export function present(def: ResourceDef, object: StoredObject): StoredObject {
  const converted = def.strategy.fromStorage?.(object) ?? object;
  const apiVersion = groupVersion(def);
  return converted.apiVersion === apiVersion ? converted : { ...converted, apiVersion };
}
