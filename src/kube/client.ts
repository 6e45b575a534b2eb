// The API server, as raw JSON in and out: client-node's typed models would silently drop fields that they don't know.
import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import { type Access, openAccess } from "./access.ts";
import { ApiError } from "./errors.ts";
import type { KubeObject, ObjectKey } from "./objects.ts";
import { apiVersionOf, collectionPath, keyOf, objectPath, type Resource, resourceOf } from "./resources.ts";
import { ServerTime } from "./servertime.ts";
import { type Exchange, type Lane, type OnCall, Transport } from "./transport.ts";
import { readWatch, type WatchEvent } from "./watch.ts";

export interface ConnectOptions {
  /** A kubeconfig file; without one KUBECONFIG, ~/.kube/config and the pod's service account are tried. */
  kubeconfig?: string;
  context?: string;
  clock: Clock;
  /** In place of the connection pool, for running without sockets. Without `kubeconfig` no credentials are sent then. */
  dispatcher?: Dispatcher;
  /** `rollguard/<version>`. */
  userAgent: string;
  /** Field manager of writes that name none; default `rollguard`. */
  fieldManager?: string;
  /** Time limit of a call that names none, ms; default 10 s. */
  timeoutMs?: number;
  /** Ordinary calls at once; default 64. */
  concurrency?: number;
  onCall?: OnCall;
}

/** For every call. A call whose `signal` aborts rejects with the signal's reason; every other failure is an ApiError. */
export interface CallOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
  lane?: Lane;
}

export interface WriteOptions extends CallOptions {
  fieldManager?: string;
  /** Everything but the commit: admission, validation, defaults. */
  dryRun?: boolean;
  /** Default Strict: an unknown field is refused, not dropped. */
  fieldValidation?: "Strict" | "Warn" | "Ignore";
}

export interface ListOptions extends CallOptions {
  /** Absent: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface Page<T> {
  items: T[];
  /** Of the whole list; where a watch goes on from. */
  resourceVersion: string;
  /** There is more: pass it to the next call. */
  continue?: string;
}

export interface DeleteOptions extends CallOptions {
  preconditions?: { uid?: string; resourceVersion?: string };
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
  gracePeriodSeconds?: number;
}

export interface WatchOptions extends ListOptions {
  resourceVersion: string;
  /** After which the server ends the watch. */
  timeoutSeconds: number;
}

/** Items a page of a list. */
export const PAGE_SIZE = 500;

const PATCH_TYPES = { merge: "application/merge-patch+json", json: "application/json-patch+json" } as const;

/** Throws an Error with a helpful message where there is no usable configuration. */
export function connect(options: ConnectOptions): KubeClient {
  return new KubeClient(options, openAccess({ ...options, dispatcher: options.dispatcher }));
}

export class KubeClient {
  /** The namespace of the kubeconfig's context, or of the pod. */
  readonly namespace: string | undefined;
  /** The kubeconfig's context; empty when there is none. */
  readonly context: string;
  readonly server: string;
  #access: Access;
  #time: ServerTime;
  #transport: Transport;
  #timeoutMs: number;
  #fieldManager: string;

  constructor(options: ConnectOptions, access: Access) {
    this.namespace = access.namespace;
    this.context = access.context;
    this.server = access.origin + access.prefix;
    this.#access = access;
    this.#time = new ServerTime(options.clock);
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#fieldManager = options.fieldManager ?? "rollguard";
    this.#transport = new Transport({
      access,
      clock: options.clock,
      time: this.#time,
      userAgent: options.userAgent,
      concurrency: options.concurrency ?? 64,
      onCall: options.onCall,
    });
  }

  /** The API server's time in ms since the epoch: the local monotonic clock plus the offset learned from its answers. */
  serverNow(): number {
    return this.#time.now();
  }

  /** Closes all connections; calls that run are aborted. */
  close(): Promise<void> {
    return this.#access.close();
  }

  async get<T extends KubeObject = KubeObject>(resource: Resource, key: ObjectKey, options: CallOptions = {}): Promise<T> {
    return this.#object<T>({ method: "GET", path: objectPath(resource, key), ...this.#call(options) });
  }

  /** As `get`, with undefined in place of NotFound. Every other failure still throws: not knowing is not absence. */
  async find<T extends KubeObject = KubeObject>(
    resource: Resource,
    key: ObjectKey,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return await this.get<T>(resource, key, options);
    } catch (error) {
      if (error instanceof ApiError && error.kind === "NotFound") return undefined;
      throw error;
    }
  }

  /** One page. Items get the apiVersion and kind that the server leaves out in lists. */
  async list<T extends KubeObject = KubeObject>(
    resource: Resource,
    options: ListOptions & { limit?: number; continue?: string | undefined } = {},
  ): Promise<Page<T>> {
    const path = collectionPath(resource, options.namespace);
    const query = {
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      limit: options.limit === undefined ? undefined : String(options.limit),
      continue: options.continue,
    };
    return asPage<T>(resource, path, await this.#transport.json({ method: "GET", path, query, ...this.#call(options) }));
  }

  /** All pages. Throws Gone when the list could not be finished before its snapshot expired. */
  async listAll<T extends KubeObject = KubeObject>(resource: Resource, options: ListOptions = {}): Promise<Page<T>> {
    let page = await this.list<T>(resource, { ...options, limit: PAGE_SIZE });
    const items = page.items;
    while (page.continue !== undefined) {
      page = await this.list<T>(resource, { ...options, limit: PAGE_SIZE, continue: page.continue });
      for (const item of page.items) items.push(item);
    }
    return { items, resourceVersion: page.resourceVersion };
  }

  async create<T extends KubeObject>(object: T, options: WriteOptions = {}): Promise<T> {
    const path = collectionPath(resourceOf(object), object.metadata.namespace);
    return this.#object<T>({ method: "POST", path, body: object, query: this.#write(options), ...this.#call(options) });
  }

  /** A resourceVersion in the object is a precondition: Conflict when it is not the newest. */
  async replace<T extends KubeObject>(object: T, options: WriteOptions = {}): Promise<T> {
    const path = objectPath(resourceOf(object), keyOf(object));
    return this.#object<T>({ method: "PUT", path, body: object, query: this.#write(options), ...this.#call(options) });
  }

  /** As `replace`, for the status alone; of the rest only the identity and the resourceVersion count. */
  async replaceStatus<T extends KubeObject>(object: T, options: WriteOptions = {}): Promise<T> {
    const path = objectPath(resourceOf(object), keyOf(object), "status");
    return this.#object<T>({ method: "PUT", path, body: object, query: this.#write(options), ...this.#call(options) });
  }

  /** `merge` takes an object (RFC 7386), `json` a list of operations (RFC 6902). */
  async patch<T extends KubeObject = KubeObject>(
    resource: Resource,
    key: ObjectKey,
    type: keyof typeof PATCH_TYPES,
    body: object,
    options: WriteOptions & { subresource?: string } = {},
  ): Promise<T> {
    const path = objectPath(resource, key, options.subresource);
    const contentType = PATCH_TYPES[type];
    return this.#object<T>({ method: "PATCH", path, body, contentType, query: this.#write(options), ...this.#call(options) });
  }

  /** Server-side apply of all that our field manager owns. Without `force` a field of another manager is a Conflict. */
  async apply<T extends KubeObject>(
    object: T,
    options: WriteOptions & { force?: boolean; subresource?: string } = {},
  ): Promise<T> {
    const path = objectPath(resourceOf(object), keyOf(object), options.subresource);
    // JSON is YAML: the media type is the only one that every supported server knows for this.
    const contentType = "application/apply-patch+yaml";
    const query = { ...this.#write(options), force: options.force ? "true" : undefined };
    return this.#object<T>({ method: "PATCH", path, body: object, contentType, query, ...this.#call(options) });
  }

  /** Resolves when the deletion is accepted, which may be before the object is gone. */
  async delete(resource: Resource, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    const { preconditions, propagationPolicy, gracePeriodSeconds } = options;
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions, propagationPolicy, gracePeriodSeconds };
    await this.#transport.json({ method: "DELETE", path: objectPath(resource, key), body, ...this.#call(options) });
  }

  /**
   * The changes after `resourceVersion`, until the server ends the watch. Throws an ApiError when it breaks (Gone: list again).
   * The time limit is for its headers. It is ended from outside by the signal, from inside by leaving the loop.
   */
  watch<T extends KubeObject = KubeObject>(
    resource: Resource,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const path = collectionPath(resource, options.namespace);
    const query = {
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: options.resourceVersion,
      timeoutSeconds: String(options.timeoutSeconds),
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    };
    const chunks = this.#transport.stream({ method: "GET", path, query, ...this.#call(options) });
    return readWatch<T>(`watch ${path}`, chunks);
  }

  /** Any other path of the server, such as `/version` or `/apis/rollguard.dev/v1alpha1`. */
  async getPath(path: string, options: CallOptions = {}): Promise<Record<string, unknown>> {
    return (await this.#transport.json({ method: "GET", path, ...this.#call(options) })) as Record<string, unknown>;
  }

  #call(options: CallOptions): Pick<Exchange, "timeoutMs" | "signal" | "lane"> {
    return { timeoutMs: options.timeoutMs ?? this.#timeoutMs, signal: options.signal, lane: options.lane };
  }

  #write(options: WriteOptions): Record<string, string | undefined> {
    return {
      fieldManager: options.fieldManager ?? this.#fieldManager,
      fieldValidation: options.fieldValidation ?? "Strict",
      dryRun: options.dryRun ? "All" : undefined,
    };
  }

  async #object<T extends KubeObject>(exchange: Exchange): Promise<T> {
    const object = await this.#transport.json(exchange);
    if (isObject(object) && typeof object.kind === "string" && typeof object.apiVersion === "string") return object as T;
    throw new ApiError("BadAnswer", `${exchange.method} ${exchange.path}: the answer is no Kubernetes object`);
  }
}

function asPage<T extends KubeObject>(resource: Resource, path: string, answer: unknown): Page<T> {
  const list = answer as { items?: unknown; metadata?: { resourceVersion?: unknown; continue?: unknown } };
  const items = list.items ?? [];
  const resourceVersion = list.metadata?.resourceVersion;
  if (!Array.isArray(items) || typeof resourceVersion !== "string" || !items.every(isObject)) {
    throw new ApiError("BadAnswer", `GET ${path}: the answer is no list`);
  }
  const apiVersion = apiVersionOf(resource);
  for (const item of items) {
    item.apiVersion ??= apiVersion;
    item.kind ??= resource.kind;
  }
  const more = list.metadata?.continue;
  return { items: items as T[], resourceVersion, ...(typeof more === "string" && more !== "" ? { continue: more } : {}) };
}

/** Has a name, and may have the rest. */
function isObject(value: unknown): value is Partial<KubeObject> {
  if (typeof value !== "object" || value === null || !("metadata" in value)) return false;
  const { metadata } = value;
  return typeof metadata === "object" && metadata !== null && "name" in metadata && typeof metadata.name === "string";
}
