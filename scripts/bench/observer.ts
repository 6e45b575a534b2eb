// What a bystander sees of one kind: a watch over HTTP, as kubectl's or the operator's own, that notes when each change came.

import type { KubeClient } from "../../src/kube/client.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import type { Resource } from "../../src/kube/resources.ts";

/** @param at when the event came, performance.now() in ms */
type Listener<T> = (object: T, at: number) => void;

export class Observer<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<Listener<T>>();
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();

  /** Rejects where the first list fails. */
  async start(client: KubeClient, resource: Resource): Promise<this> {
    const { items, resourceVersion } = await client.listAll<T>(resource);
    for (const item of items) this.#objects.set(keyOf(item), item);
    this.#running = this.#watch(client, resource, resourceVersion);
    return this;
  }

  async #watch(client: KubeClient, resource: Resource, resourceVersion: string): Promise<void> {
    try {
      const options = { resourceVersion, timeoutSeconds: 3600, signal: this.#abort.signal };
      for await (const event of client.watch<T>(resource, options)) {
        const at = performance.now();
        if (event.type === "BOOKMARK") continue;
        if (event.type === "DELETED") this.#objects.delete(keyOf(event.object));
        else this.#objects.set(keyOf(event.object), event.object);
        for (const listener of this.#listeners) listener(event.object, at);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
    }
  }

  list(namespace: string): T[] {
    return [...this.#objects.values()].filter((object) => object.metadata.namespace === namespace);
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(`${namespace}/${name}`);
  }

  /** Returns how to stop listening. */
  on(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves with the time of the event after which `holds`; rejects, saying what it waited for, after `limitMs`. */
  until(what: string, holds: () => boolean, limitMs = 60_000): Promise<number> {
    if (holds()) return Promise.resolve(performance.now());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        off();
        reject(new Error(`not within ${limitMs / 1000} s: ${what}`));
      }, limitMs);
      const off = this.on((_object, at) => {
        if (!holds()) return;
        clearTimeout(timer);
        off();
        resolve(at);
      });
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error("stopped"));
    await this.#running;
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}
