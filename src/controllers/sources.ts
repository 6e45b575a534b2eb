// The metric sources that the platform team offers: made from MetricSource objects, made anew when those change.

import type { Clock } from "../clock.ts";
import type { KubeClient } from "../kube/client.ts";
import { createSource } from "../signals/createsource.ts";
import type { Source, SourceDeps } from "../signals/types.ts";
import type { Caches } from "./caches.ts";
import type { Secrets } from "./secrets.ts";

export interface SourcesDeps {
  client: KubeClient;
  caches: Caches;
  clock: Clock;
  secrets: Secrets;
  /** A query is sent, for the operator's own metrics. */
  onQuery?: (source: string) => void;
  /** In place of the sources' own connections. */
  dispatcher?: SourceDeps["dispatcher"];
}

export class Sources {
  #deps: SourcesDeps;
  #made = new Map<string, { generation: string; source: Source }>();

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
    const { client, clock, dispatcher, onQuery, secrets } = this.#deps;
    const source = createSource(object.spec, {
      secret: (secret, key) => secrets.read(secret, key),
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
}
