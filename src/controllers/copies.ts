// A revision's own copies of the ConfigMaps that its template names. A copy is the only holder of its content: it is made from what
// has exactly that content, and made again from nothing else.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import { configMapCopyName, FIELD_MANAGER } from "../api/names.ts";
import { configMapHash } from "../core/hash.ts";
import { isKind } from "../kube/errors.ts";
import type { ConfigMap } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { type Executor, NameTaken } from "./apply.ts";
import { isControlledBy, keptOf } from "./facts.ts";
import { configMapCopy } from "./objects.ts";

/** What a revision lost: the ConfigMaps whose content is nowhere any more. */
export type LostContent = ReadonlyMap<number, readonly string[]>;

/** Makes the copy from `source`, whose content must be the one with this hash: an edit that came in between is another revision. */
async function makeCopy(
  executor: Executor,
  deployment: ModelDeployment,
  revision: number,
  original: string,
  hash: string,
  source: ConfigMap,
): Promise<void> {
  if (configMapHash(source) !== hash)
    throw new Error(`ConfigMap ${source.metadata.name} was changed while it was copied for r${revision}; looked at again`);
  const wanted = configMapCopy(deployment, revision, { ...source, metadata: { ...source.metadata, name: original } });
  executor.assertLeading();
  try {
    await executor.client.create(wanted, { fieldManager: FIELD_MANAGER });
  } catch (error) {
    if (!isKind(error, "AlreadyExists")) throw error;
    const present = await executor.client.get<ConfigMap>(RESOURCES.configMaps, wanted.metadata);
    if (isControlledBy(present, deployment.metadata.uid) && configMapHash(present) === hash) return;
    throw new NameTaken(`ConfigMap ${wanted.metadata.name} exists and is not r${revision}'s copy of ${original}`);
  }
}

/** Copies what a new revision names, before anything runs of it. */
export async function writeCopies(
  executor: Executor,
  deployment: ModelDeployment,
  revision: number,
  configMaps: Readonly<Record<string, string>>,
): Promise<void> {
  const { namespace } = deployment.metadata;
  for (const [original, hash] of Object.entries(configMaps)) {
    const source = await executor.client.get<ConfigMap>(RESOURCES.configMaps, { namespace, name: original });
    await makeCopy(executor, deployment, revision, original, hash, source);
  }
}

/**
 * Makes copies again that a foreign hand deleted, from any ConfigMap of the namespace with the same content: the original, or another
 * revision's copy. Where there is none, nothing is put in its place: other content under an old revision would be a lie.
 */
export async function healCopies(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  kept: ReadonlySet<number | undefined>,
): Promise<LostContent> {
  const { name, namespace, uid } = deployment.metadata;
  const { configMaps, revisions } = executor.caches;
  const lost = new Map<number, string[]>();
  for (const object of revisions.of(key)) {
    if (!kept.has(object.revision) || !isControlledBy(object, uid)) continue;
    for (const [original, hash] of Object.entries(keptOf(object)?.configMaps ?? {})) {
      const copy = configMapCopyName(name, object.revision, original);
      const good = (one: { contentHash: string } | undefined) => one?.contentHash === hash;
      if (good(configMaps.get(namespace, copy))) continue;
      // The cache may be behind: only the API server knows that it is gone.
      const live = await executor.client.find<ConfigMap>(RESOURCES.configMaps, { namespace, name: copy });
      if (live && configMapHash(live) === hash) continue;
      const source = live ? undefined : configMaps.list(namespace).find(good);
      const content =
        source && (await executor.client.find<ConfigMap>(RESOURCES.configMaps, { namespace, name: source.metadata.name }));
      if (content && configMapHash(content) === hash)
        await makeCopy(executor, deployment, object.revision, original, hash, content);
      else lost.set(object.revision, [...(lost.get(object.revision) ?? []), copy]);
    }
  }
  return lost;
}
