// What the parts of the sandbox (controllers, node, garbage collector) may ask of its API server in-process.
// Synchronous, because the store is in memory: a simulation then needs no event loop turns to settle.

/** An object as stored: plain JSON. */
export interface StoredObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion: string;
    generation?: number;
    creationTimestamp: string;
    deletionTimestamp?: string;
    deletionGracePeriodSeconds?: number;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
    ownerReferences?: {
      apiVersion: string;
      kind: string;
      name: string;
      uid: string;
      controller?: boolean;
      blockOwnerDeletion?: boolean;
    }[];
    [key: string]: unknown;
  };
  // biome-ignore lint/suspicious/noExplicitAny: the sandbox stores any kind; each reader narrows what it reads.
  [key: string]: any;
}

/** Group ("" is core), version and plural resource name, such as {group: "apps", version: "v1", resource: "deployments"}. */
export interface ResourceId {
  group: string;
  version: string;
  resource: string;
}

export type WatchEvent = { type: "ADDED" | "MODIFIED" | "DELETED"; object: StoredObject };

/** An error answer as the API server gives it (metav1.Status). */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: Record<string, unknown> | undefined;
  constructor(code: number, reason: string, message: string, details?: Record<string, unknown>) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

export interface SandboxApi {
  /** A deep copy, or undefined where there is none. */
  get(id: ResourceId, namespace: string | undefined, name: string): StoredObject | undefined;
  /** Deep copies, optionally of one namespace and with labels equal to `labels`. */
  list(id: ResourceId, namespace?: string, labels?: Record<string, string>): StoredObject[];
  create(id: ResourceId, object: unknown): StoredObject;
  /** Replaces spec and metadata; a resourceVersion in the object is a precondition. */
  update(id: ResourceId, object: StoredObject): StoredObject;
  /** Replaces the status only. */
  updateStatus(id: ResourceId, object: StoredObject): StoredObject;
  delete(
    id: ResourceId,
    namespace: string | undefined,
    name: string,
    options?: { uid?: string; gracePeriodSeconds?: number },
  ): void;
  /** Calls `handler` synchronously after each later change (and, first, once ADDED for all that exists). Returns how to stop. */
  watch(id: ResourceId, handler: (event: WatchEvent) => void): () => void;
}

/**
 * Reads a container's log for `GET …/pods/<pod>/log`; the node provides it, and `ApiServer.logReader` is set to it.
 * Without `container`, the pod's only one is meant. Throws StatusError: 404 for an unknown pod, 400 for an unknown
 * container or a previous run that there was none of.
 */
export type LogReader = (
  namespace: string,
  pod: string,
  container: string | undefined,
  options: { tailLines?: number; previous?: boolean },
) => string;
