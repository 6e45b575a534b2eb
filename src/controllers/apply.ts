// Server-side apply of what Rollguard owns, where it differs, with the resource version that it was compared with: a late leader or
// a stale cache changes nothing. What somebody else owns is not touched.

import { ANNOTATIONS, FIELD_MANAGER } from "../api/names.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject } from "../kube/objects.ts";
import { resourceOf } from "../kube/resources.ts";
import type { Caches } from "./caches.ts";
import type { Edits } from "./edits.ts";
import { isControlledBy } from "./facts.ts";
import { differences } from "./objects.ts";

/** A child or Service of ours whose name another owner has. */
export class NameTaken extends Error {}

export interface Executor {
  client: KubeClient;
  caches: Caches;
  /** Throws unless this operator holds the lease for long enough to finish a write. */
  assertLeading(): void;
  /** What was applied to an object as it is without changing it: the same again would change nothing either. */
  settled: WeakMap<KubeObject, string>;
  /** What others changed in our objects. */
  edits: Edits;
}

/** Applies `wanted` where `live` differs; with the resource version of what it was compared with. */
export async function applyWhereDifferent(
  executor: Executor,
  wanted: KubeObject,
  live: KubeObject | undefined,
  owner: string | undefined,
  lane?: "urgent",
): Promise<boolean> {
  const present =
    live ??
    (await executor.client.find(resourceOf(wanted), { namespace: wanted.metadata.namespace, name: wanted.metadata.name }));
  if (present && !mayWrite(present, wanted, owner))
    throw new NameTaken(`${wanted.kind} ${wanted.metadata.name} exists and is not controlled by this ModelDeployment`);
  if (present && differences(wanted, present).length === 0) {
    executor.edits.remember(wanted, present);
    return false;
  }
  // Written otherwise than the server keeps it ("1024Mi", an empty value): seen once, not in every pass.
  const text = JSON.stringify(wanted);
  if (present && executor.settled.get(present) === text) return false;
  executor.assertLeading();
  const { resourceVersion } = present?.metadata ?? {};
  const object = resourceVersion === undefined ? wanted : { ...wanted, metadata: { ...wanted.metadata, resourceVersion } };
  const applied = await executor.client.apply(object, { fieldManager: FIELD_MANAGER, force: true, ...(lane ? { lane } : {}) });
  if (present && applied.metadata.resourceVersion === resourceVersion) executor.settled.set(present, text);
  else if (present) executor.edits.undone(wanted, present);
  executor.edits.remember(wanted, applied);
  return true;
}

/** True where `present` is ours, or given to this deployment by its annotation. */
export function mayWrite(present: KubeObject, wanted: KubeObject, owner: string | undefined): boolean {
  if (isControlledBy(present, owner)) return true;
  const controlled = (present.metadata.ownerReferences ?? []).some((one) => one.controller);
  const adopts = present.metadata.annotations?.[ANNOTATIONS.adopt];
  return !controlled && adopts !== undefined && wanted.metadata.ownerReferences?.[0]?.name === adopts;
}
