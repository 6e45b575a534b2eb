// The policy in force for each deployment: its layers from the caches, merged once for all deployments that have the same ones, and
// kept in a ControllerRevision, so that the last valid one survives a restart.

import { FIELD_MANAGER, keptPolicyName } from "../api/names.ts";
import { chooseLayers } from "../core/chooselayers.ts";
import { effectivePolicy, type Layer, mergeLayers } from "../core/layers.ts";
import type { Policy } from "../core/policy.ts";
import { digest } from "../core/resolve.ts";
import { policyProblems } from "../core/valid.ts";
import { isKind } from "../kube/errors.ts";
import type { ControllerRevision } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Executor } from "./apply.ts";
import { type CachedDeployment, splitKey } from "./cached.ts";
import type { Caches } from "./caches.ts";
import { isControlledBy } from "./facts.ts";
import { keptPolicy } from "./objects.ts";

/** What a ControllerRevision keeps of a policy, in `data`. */
interface KeptPolicy {
  hash: string;
  layers: Layer[];
}

/** Policies that were merged and are remembered; beyond it all are merged anew as they are asked for. */
const REMEMBERED = 4096;

/** The layers that a ControllerRevision keeps; none where it is of something else. */
export function keptLayers(object: ControllerRevision): Layer[] {
  const { layers } = (object.data ?? {}) as Partial<KeptPolicy>;
  return Array.isArray(layers) ? layers.filter((one) => typeof one?.name === "string" && one.spec !== undefined) : [];
}

const newestFirst = (a: ControllerRevision, b: ControllerRevision) => b.revision - a.revision;

export class Policies {
  #caches: Caches;
  /** By the text of what they are made of. */
  #merged = new Map<string, { policy: Policy; layers: Layer[] }>();
  /** What was in force last, by deployment. */
  #last = new Map<string, { uid: string; layers: Layer[] }>();
  #problems = new WeakMap<object, string[]>();
  #hashes = new WeakMap<object, string>();

  constructor(caches: Caches) {
    this.#caches = caches;
  }

  /** The policy in force. The same object as long as nothing changed. */
  of(key: string, deployment: CachedDeployment): Policy {
    const caches = this.#caches;
    const { namespace } = splitKey(key);
    const { metadata, spec } = deployment;
    const uid = metadata.uid ?? "";
    const known = this.#last.get(key);
    const namespaceLabels = caches.namespaces.get(undefined, namespace)?.metadata.labels;
    const fallback = caches.configs.get(undefined, "cluster")?.spec.defaults?.policy;
    const { layers, current, notices } = chooseLayers({
      ...(spec.policy ? { named: spec.policy } : {}),
      ...(fallback === undefined ? {} : { fallback }),
      ...(metadata.labels ? { labels: metadata.labels } : {}),
      ...(namespaceLabels ? { namespaceLabels } : {}),
      cluster: caches.clusterPolicies.list(),
      namespaced: (name) => caches.policies.get(namespace, name),
      last: known?.uid === uid ? known.layers : this.#kept(key, uid),
      problems: (one) => this.#problemsOf(one),
    });
    const text = [...layers.map((one) => this.#identity(one)), ...notices].join("\n");
    const before = this.#merged.get(text);
    if (!before && this.#merged.size >= REMEMBERED) this.#merged.clear();
    const merged = before ?? { policy: effectivePolicy(mergeLayers(layers), { current, notices }), layers };
    this.#merged.set(text, merged);
    this.#last.set(key, { uid, layers: merged.layers });
    return merged.policy;
  }

  forget(key: string): void {
    this.#last.delete(key);
  }

  /**
   * Since when what is in force now has been in force, ms epoch: samples from before are not judged by it. Undefined where nothing is
   * kept of it, since nobody saw it come into force.
   */
  since(key: string, uid: string | undefined): number | undefined {
    const layers = this.#last.get(key)?.layers ?? [];
    const wanted = keptPolicyName(splitKey(key).name, this.#hashOf(layers));
    const kept = this.#ours(key, uid).find((one) => one.metadata.name === wanted);
    const created = Date.parse(kept?.metadata.creationTimestamp ?? "");
    // Stamps are whole seconds.
    return Number.isNaN(created) ? undefined : created + 1000;
  }

  /** Keeps what is in force, where it is not kept already. The new one is there before the old one goes. */
  async keep(executor: Executor, key: string, deployment: CachedDeployment): Promise<void> {
    const { uid, name } = deployment.metadata;
    const layers = this.#last.get(key)?.layers ?? [];
    const present = this.#ours(key, uid);
    const hash = this.#hashOf(layers);
    const wanted = keptPolicyName(name, hash);
    if (layers.length > 0 && !present.some((one) => one.metadata.name === wanted)) {
      const object = keptPolicy(deployment, wanted, (present[0]?.revision ?? 0) + 1, { hash, layers } satisfies KeptPolicy);
      executor.assertLeading();
      await executor.client.create(object, { fieldManager: FIELD_MANAGER }).catch((error: unknown) => {
        // The cache has not shown it yet.
        if (!isKind(error, "AlreadyExists")) throw error;
      });
    }
    for (const old of present.filter((one) => layers.length === 0 || one.metadata.name !== wanted)) {
      executor.assertLeading();
      const { namespace, name: oldName, uid: oldUid } = old.metadata;
      await executor.client
        .delete(RESOURCES.controllerRevisions, { namespace, name: oldName }, { preconditions: { uid: oldUid } })
        .catch((error: unknown) => {
          if (!isKind(error, "NotFound")) throw error;
        });
    }
  }

  #ours(key: string, uid: string | undefined): ControllerRevision[] {
    return this.#caches.keptPolicies
      .of(key)
      .filter((one) => isControlledBy(one, uid))
      .sort(newestFirst);
  }

  #kept(key: string, uid: string): Layer[] {
    const newest = this.#ours(key, uid)[0];
    return newest ? keptLayers(newest) : [];
  }

  #problemsOf(spec: Layer["spec"]): string[] {
    const found = this.#problems.get(spec) ?? policyProblems(spec);
    this.#problems.set(spec, found);
    return found;
  }

  /** A layer by everything that counts. */
  #identity({ kind, name, generation, enforcement, spec }: Layer): string {
    return `${kind} ${name} ${generation} ${enforcement ?? ""} ${this.#hashOf(spec)}`;
  }

  #hashOf(content: object): string {
    const hash = this.#hashes.get(content) ?? digest(content);
    this.#hashes.set(content, hash);
    return hash;
  }
}
