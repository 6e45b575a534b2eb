// The API server of the sandbox, put together: one `handle` for requests with and without sockets, and SandboxApi for
// the sandbox's own parts.
import { randomUUID } from "node:crypto";
import type { Dispatcher } from "undici";
import type { Clock } from "../../clock.ts";
import type { LogReader, ResourceId, SandboxApi, StoredObject, WatchEvent } from "../api.ts";
import { StatusError } from "../api.ts";
import { builtins } from "./builtins.ts";
import { CRD_STORAGE, customResources, establish, storageOf, validateCrd } from "./crd.ts";
import { discover } from "./discovery.ts";
import { MemoryDispatcher } from "./dispatcher.ts";
import { noSuchPath, toStatus } from "./errors.ts";
import { ConnectionReset, type Intercept, suffer } from "./faults.ts";
import { GarbageCollector, internalWrite } from "./gc.ts";
import { type HandlerParts, handleResource, json } from "./handlers.ts";
import { type ApiRequest, type ApiResponse, parsePath } from "./http.ts";
import { copy } from "./json.ts";
import { type Listening, listen } from "./listen.ts";
import { Models } from "./models.ts";
import { openapi } from "./openapi.ts";
import { present, Registry, type ResourceDef } from "./resources.ts";
import { Rest, timestamp } from "./rest.ts";
import { type Change, Store } from "./store.ts";
import type { LineStream } from "./watch.ts";

export interface ApiServerOptions {
  clock: Clock;
  /** The clusterIP of a new Service; without it, addresses of 10.96.0.0/16 that lead nowhere. */
  allocateServiceIp?: () => string;
  /** How many changes can be watched from afterwards (10,000). */
  historyLimit?: number;
  /** For tests that must repeat: the source of uids, and of the ends of generated names (0 ≤ x < 1). */
  newUid?: () => string;
  random?: () => number;
  intercept?: Intercept;
  /** Told of every change in order, within the write that makes it; what it is given must not be changed. */
  onChange?: (change: Change) => void;
}

const NAMESPACES: ResourceId = { group: "", version: "v1", resource: "namespaces" };
const CRDS: ResourceId = { group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions" };

export class ApiServer implements SandboxApi {
  /** Answers for container logs; the node sets it. */
  logReader: LogReader | undefined;
  /** Asked at each request whether a fault happens to it. */
  intercept: Intercept | undefined;
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #models = new Models();
  readonly #registry = new Registry();
  readonly #rest: Rest;
  readonly #collector: GarbageCollector;
  readonly #watches = new Set<LineStream>();
  readonly #handlers: HandlerParts;

  constructor(options: ApiServerOptions) {
    const { clock } = options;
    this.#clock = clock;
    this.intercept = options.intercept;
    this.#store = new Store(options.historyLimit ?? 10_000);
    if (options.onChange) this.#store.listen("*", options.onChange);
    const newUid = options.newUid ?? randomUUID;
    this.#rest = new Rest({ store: this.#store, clock, newUid, random: options.random ?? Math.random });
    for (const def of builtins(this.#models, options.allocateServiceIp ?? counted("10.96"))) {
      if (def.kind === "CustomResourceDefinition") this.#serveCrds(def);
      this.#registry.add(def);
    }
    this.#store.listen(CRD_STORAGE, ({ type, object }) => {
      this.#registry.removeStorage(storageOf(object));
      if (type === "DELETED") return;
      for (const def of customResources(object, this.#models.get("V1ObjectMeta"))) this.#registry.add(def);
    });
    this.#collector = new GarbageCollector({ store: this.#store, registry: this.#registry, rest: this.#rest, clock });
    this.#handlers = {
      store: this.#store,
      registry: this.#registry,
      rest: this.#rest,
      clock,
      logReader: () => this.logReader,
      onWatch: (stream) => {
        this.#watches.add(stream);
        stream.onEnd(() => this.#watches.delete(stream));
      },
    };
    for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"]) {
      this.create(NAMESPACES, { metadata: { name } });
    }
  }

  #serveCrds(def: ResourceDef): void {
    const now = () => timestamp(this.#clock.now());
    def.strategy.prepareForCreate = (crd) => establish(crd, now());
    def.strategy.prepareForUpdate = (crd) => establish(crd, now());
    def.strategy.validate = validateCrd;
  }

  /** The resourceVersion of the latest change. */
  get revision(): string {
    return String(this.#store.revision);
  }

  /** Answers a request; throws only ConnectionReset, where the client is to see a cut connection. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    let response: ApiResponse;
    try {
      const url = new URL(request.url, "http://sandbox");
      const path = parsePath(url.pathname);
      const faults = this.intercept?.(request, path);
      if (faults?.before !== undefined) await suffer(faults.before, this.#clock, request.signal);
      response = this.#route(request, url, path);
      if (faults?.after !== undefined) await suffer(faults.after, this.#clock, request.signal);
    } catch (error) {
      if (error instanceof ConnectionReset) throw error;
      response = failure(error);
    }
    response.headers.date = new Date(this.#clock.now()).toUTCString();
    response.headers["cache-control"] = "no-cache, private";
    return response;
  }

  #route(request: ApiRequest, url: URL, path: ReturnType<typeof parsePath>): ApiResponse {
    const { pathname } = url;
    if (["/healthz", "/readyz", "/livez"].includes(pathname)) {
      return { status: 200, headers: { "content-type": "text/plain" }, body: "ok" };
    }
    const document = discover(this.#registry, pathname) ?? openapi(this.#registry, this.#models, pathname);
    if (document !== undefined) return json(200, document);
    if (path === undefined) throw noSuchPath();
    return handleResource(this.#handlers, request, url.searchParams, path);
  }

  /** An undici Dispatcher whose requests come here without a socket, whatever their origin. */
  dispatcher(): Dispatcher {
    return new MemoryDispatcher((request) => this.handle(request));
  }

  /** Serves plain HTTP on 127.0.0.1; port 0 takes a free one. */
  listen(port = 0): Promise<Listening> {
    return listen((request) => this.handle(request), port);
  }

  /** Creates a CustomResourceDefinition, or replaces the one by its name. */
  installCrd(crd: unknown): void {
    const name = (crd as StoredObject).metadata.name;
    const old = this.get(CRDS, undefined, name);
    if (old === undefined) this.create(CRDS, crd);
    else {
      const next = copy(crd) as StoredObject;
      next.metadata = { ...next.metadata, resourceVersion: old.metadata.resourceVersion };
      this.update(CRDS, next);
    }
  }

  /** Ends every watch, as a restarted API server would. */
  dropWatches(): void {
    for (const stream of [...this.#watches]) stream.end();
  }

  /** Forgets all past changes, so that watches from an older resourceVersion meet 410. */
  compact(): void {
    this.#store.compact();
  }

  /** Ends watches and background work; listening sockets are closed by what `listen` returned. */
  close(): void {
    this.#collector.stop();
    this.dropWatches();
  }

  get(id: ResourceId, namespace: string | undefined, name: string): StoredObject | undefined {
    return copy(this.#rest.find(this.#def(id), namespace, name));
  }

  list(id: ResourceId, namespace?: string, labels?: Record<string, string>): StoredObject[] {
    const def = this.#def(id);
    const wanted = Object.entries(labels ?? {});
    return this.#store
      .list(def.storage)
      .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
      .filter(({ metadata }) => wanted.every(([key, value]) => metadata.labels?.[key] === value))
      .map((object) => copy(present(def, object)));
  }

  create(id: ResourceId, object: unknown): StoredObject {
    const def = this.#def(id);
    const namespace = (object as StoredObject).metadata.namespace;
    return copy(this.#rest.create(def, namespace, object, internalWrite()));
  }

  update(id: ResourceId, object: StoredObject): StoredObject {
    return this.#update(id, object, "");
  }

  updateStatus(id: ResourceId, object: StoredObject): StoredObject {
    return this.#update(id, object, "status");
  }

  #update(id: ResourceId, object: StoredObject, subresource: string): StoredObject {
    const def = this.#def(id);
    const { namespace, name } = object.metadata;
    return copy(this.#rest.update(def, namespace, name, object, internalWrite(subresource)));
  }

  delete(
    id: ResourceId,
    namespace: string | undefined,
    name: string,
    options?: { uid?: string; gracePeriodSeconds?: number },
  ): void {
    this.#rest.delete(this.#def(id), namespace, name, { dryRun: false, ...options });
  }

  watch(id: ResourceId, handler: (event: WatchEvent) => void): () => void {
    const def = this.#def(id);
    for (const object of this.list(id)) handler({ type: "ADDED", object });
    return this.#store.listen(def.storage, ({ type, object }) => handler({ type, object: copy(present(def, object)) }));
  }

  #def(id: ResourceId): ResourceDef {
    const def = this.#registry.find(id);
    if (def === undefined) throw noSuchPath();
    return def;
  }
}

function failure(error: unknown): ApiResponse {
  if (!(error instanceof StatusError)) {
    const message = `Internal error occurred: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    return json(500, toStatus(new StatusError(500, "InternalError", message)));
  }
  const response = json(error.code, toStatus(error));
  const seconds = error.details?.retryAfterSeconds;
  if (seconds !== undefined) response.headers["retry-after"] = String(seconds);
  return response;
}

/** Addresses <prefix>.0.1, <prefix>.0.2, … */
function counted(prefix: string): () => string {
  let last = 0;
  return () => {
    last++;
    return `${prefix}.${(last >> 8) & 255}.${last & 255}`;
  };
}
