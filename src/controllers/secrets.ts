// Values of Secrets of the operator's own namespace, and of no other: credentials of metric sources and of sinks.

import type { Clock } from "../clock.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Secret } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";

const TTL_MS = 30_000;

export class Secrets {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #namespace: string;
  #known = new Map<string, { at: number; value: Promise<string> }>();

  constructor(client: KubeClient, clock: Clock, operatorNamespace: string) {
    this.#client = client;
    this.#clock = clock;
    this.#namespace = operatorNamespace;
  }

  /** Trimmed, and at most half a minute old. Rejects where there is none. */
  read(name: string, key: string): Promise<string> {
    const id = `${name}/${key}`;
    const now = this.#clock.monotonic();
    const known = this.#known.get(id);
    if (known && now - known.at < TTL_MS) return known.value;
    const value = this.#read(name, key);
    // A failure is asked again at once: the Secret may just have been made.
    value.catch(() => this.#known.delete(id));
    this.#known.set(id, { at: now, value });
    return value;
  }

  async #read(name: string, key: string): Promise<string> {
    const secret = await this.#client.get<Secret>(RESOURCES.secrets, { namespace: this.#namespace, name });
    const value = secret.data?.[key];
    if (value === undefined) throw new Error(`the Secret ${name} has no key ${key}`);
    return Buffer.from(value, "base64").toString("utf8").trim();
  }
}
