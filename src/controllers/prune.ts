// Keeps the audit trail within its limits: deletes the records that core/retention.ts names, oldest first, a few at a time.
// What fails is left for the next look: no record is urgent to get rid of.

import { parseDuration } from "../api/common.ts";
import { CONFIG_NAME } from "../api/names.ts";
import { RollguardConfigSpecSchema } from "../api/rollguardconfig.ts";
import { type Prunable, type PruneReason, prunable, type Retention } from "../core/retention.ts";
import { isKind } from "../kube/errors.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import { sanitizeLine } from "../text.ts";
import type { PassResult } from "../workqueue/worker.ts";
import type { Executor } from "./apply.ts";
import { type CachedRecord, splitKey } from "./cached.ts";
import type { Caches } from "./caches.ts";

/** How often records are looked at, ms; the first time when so much of a term has passed, so that restarts prune no faster. */
export const PRUNE_EVERY_MS = 60_000;
/** So many are deleted at a look, at most: a limit that was lowered must not load the API server, and can be raised again. */
export const PRUNE_AT_ONCE = 60;

export interface PruneDeps extends Pick<Executor, "client" | "assertLeading"> {
  caches: Pick<Caches, "configs" | "deployments" | "records">;
  logger: Logger;
  /** The API server's time, ms epoch. */
  now(): number;
  onPruned(reason: PruneReason): void;
}

function retentionOf({ caches }: PruneDeps): Retention {
  const { keep, maxAge } = (caches.configs.get(undefined, CONFIG_NAME)?.spec ?? RollguardConfigSpecSchema.parse({})).records;
  return { keep, maxAgeMs: parseDuration(maxAge) };
}

type Found = Prunable<CachedRecord["spec"] & { object: CachedRecord }>;

/** What is beyond the limits over all names, those that ended first before others. */
function found(deps: PruneDeps): Found[] {
  const retention = retentionOf(deps);
  const { records, deployments } = deps.caches;
  const all = records.keys().flatMap((key) => {
    const { namespace, name } = splitKey(key);
    const shown = new Set(deployments.get(namespace, name)?.status?.history?.map((entry) => entry.sequence));
    const known = records.of(key).map((object) => ({ ...object.spec, object }));
    return prunable(known, retention, shown, deps.now());
  });
  return all.sort((a, b) => a.record.finishedAt - b.record.finishedAt);
}

/** Looks once, and says when to look again. Never rejects: trying again at once would be faster than what was promised. */
export async function pruneRecords(deps: PruneDeps): Promise<PassResult> {
  try {
    for (const { record, reason } of found(deps).slice(0, PRUNE_AT_ONCE)) {
      deps.assertLeading();
      if (await prune(deps, record.object)) deps.onPruned(reason);
    }
  } catch (error) {
    deps.logger.warn({ error: sanitizeLine(String(error), 1024) }, "records beyond their limits could not be deleted");
  }
  return { requeueAfterMs: PRUNE_EVERY_MS };
}

/** False: it is gone already, or is another one than the one that was looked at. */
async function prune({ client }: PruneDeps, { metadata }: CachedRecord): Promise<boolean> {
  const { namespace = "", name, uid, resourceVersion } = metadata;
  try {
    await client.delete(RESOURCES.rolloutRecords, { namespace, name }, { preconditions: { uid, resourceVersion } });
    return true;
  } catch (error) {
    if (isKind(error, "NotFound", "Conflict")) return false;
    throw error;
  }
}
