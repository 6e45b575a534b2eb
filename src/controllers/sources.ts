// The metric sources that the platform team offers: made from MetricSource objects, made anew when those change, with
// credentials from the operator's own namespace and from nowhere else.

import type { Clock } from "../clock.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Secret } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { createSource } from "../signals/createsource.ts";
import type { Source, SourceDeps } from "../signals/types.ts";
import type { Caches } from "./caches.ts";

export interface SourcesDeps {
  client: KubeClient;
  caches: Caches;
  clock: Clock;
  /** Where secrets of sources are read. */
  operatorNamespace: string;
  /** A query is sent, for the operator's own metrics. */
  onQuery?: (source: string) => void;
  /** In place of the sources' own connections. */
  dispatcher?: SourceDeps["dispatcher"];
}

const SECRET_TTL_MS = 30_000;

export class Sources {
  #deps: SourcesDeps;
  #made = new Map<string, { generation: string; source: Source }>();
  #secrets = new Map<string, { at: number; value: Promise<string> }>();

  constructor(deps: SourcesDeps) {
    this.#deps = deps;
  }

  /**
   * The source for a namespace, or in words why it can't be used.
   *
   * @param preset the queries are of a preset: they name one workload of that namespace and nothing else
   */
  get(name: string, namespace: string, preset = false): Source | string {
    const object = this.#deps.caches.sources.get(undefined, name);
    const made = this.#made.get(name);
    if (!object) {
      made?.source.close();
      this.#made.delete(name);
      return `there is no MetricSource ${name}`;
    }
    if (!object.spec.namespaces.includes("*") && !object.spec.namespaces.includes(namespace)) {
      return `the MetricSource ${name} may not be used in the namespace ${namespace} (spec.namespaces)`;
    }
    const { type, tenancy, freeQueries } = object.spec;
    if (preset && type === "Web") return `the MetricSource ${name} is of type Web, and presets are PromQL: write a query`;
    if (type !== "Pods" && !tenancy && !freeQueries && !preset) {
      // Without a proxy that enforces the namespace, a query could read what belongs to others.
      return `the MetricSource ${name} answers presets only: for other queries it needs spec.tenancy, or spec.freeQueries: true`;
    }
    const generation = `${object.metadata.uid}/${object.metadata.generation}`;
    if (made?.generation === generation) return made.source;
    made?.source.close();
    const { client, clock, dispatcher, onQuery } = this.#deps;
    const source = createSource(object.spec, {
      secret: (secret, key) => this.#secret(secret, key),
      clock,
      now: () => client.serverNow(),
      onQuery: () => onQuery?.(name),
      ...(dispatcher === undefined ? {} : { dispatcher }),
    });
    this.#made.set(name, { generation, source });
    return source;
  }

  close(): void {
    for (const { source } of this.#made.values()) source.close();
    this.#made.clear();
  }

  #secret(name: string, key: string): Promise<string> {
    const id = `${name}/${key}`;
    const now = this.#deps.clock.monotonic();
    const known = this.#secrets.get(id);
    if (known && now - known.at < SECRET_TTL_MS) return known.value;
    const value = this.#read(name, key);
    // A failure is asked again at once: the Secret may just have been made.
    value.catch(() => this.#secrets.delete(id));
    this.#secrets.set(id, { at: now, value });
    return value;
  }

  async #read(name: string, key: string): Promise<string> {
    const { client, operatorNamespace } = this.#deps;
    const secret = await client.get<Secret>(RESOURCES.secrets, { namespace: operatorNamespace, name });
    const value = secret.data?.[key];
    if (value === undefined) throw new Error(`the Secret ${name} has no key ${key}`);
    return Buffer.from(value, "base64").toString("utf8").trim();
  }
}
