// The audit trail: one immutable RolloutRecord for every entry of the history, made from the status until it exists,
// so that a crash loses none and duplicates none. A record that can't be written never blocks a return.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { HistoryEntry, RevisionIdentity } from "../api/modeldeployment-status.ts";
import { API_VERSION, LABELS, recordName } from "../api/names.ts";
import type { RolloutRecordSpec } from "../api/rolloutrecord.ts";
import type { Check, Policy } from "../core/policy.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { isKind } from "../kube/errors.ts";
import type { ControllerRevision, KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { buildInfo } from "../version.ts";
import type { Executor } from "./apply.ts";
import { keptOf } from "./facts.ts";

type Recorded = NonNullable<RolloutRecordSpec["to"]>;

function revision(identity: RevisionIdentity | undefined, kept: readonly ControllerRevision[]): Recorded | undefined {
  if (!identity) return undefined;
  const object = kept.find((one) => one.revision === identity.revision);
  const content = object && keptOf(object)?.versionSpec;
  return { ...identity, ...(content ? { content: content as Recorded["content"] } : {}) };
}

/** Leaves of a plain JSON value as `path: text`; items of a list go by their name where they have one. */
function leaves(value: unknown, path: string, into: Map<string, string>): Map<string, string> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const named = typeof item === "object" && item !== null && typeof item.name === "string" ? item.name : String(index);
      leaves(item, `${path}[${named}]`, into);
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) leaves(item, path === "" ? key : `${path}.${key}`, into);
  } else if (value !== undefined) into.set(path, String(value).slice(0, 2048));
  return into;
}

/** What differs between the configurations of two revisions: what would run, and the serving settings of their versions. */
export function changesBetween(
  from: ControllerRevision | undefined,
  to: ControllerRevision | undefined,
): NonNullable<RolloutRecordSpec["changes"]> {
  const configuration = (object: ControllerRevision | undefined) => {
    const kept = object && keptOf(object);
    if (!kept) return undefined;
    return leaves(
      { serving: kept.versionSpec.serving, configMaps: kept.configMaps, artifact: kept.versionSpec.artifact },
      "",
      new Map(),
    );
  };
  const before = configuration(from);
  const after = configuration(to);
  if (!before || !after) return [];
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .slice(0, 100)
    .map((path) => {
      const [old, now] = [before.get(path), after.get(path)];
      return { path: path.slice(0, 512), ...(old === undefined ? {} : { from: old }), ...(now === undefined ? {} : { to: now }) };
    });
}

function asked(check: Check | undefined): { source?: string; query?: string } {
  if (!check) return {};
  const query = check.query ?? (check.numerator === undefined ? undefined : `${check.numerator} / ${check.denominator}`);
  return { ...(check.source === undefined ? {} : { source: check.source }), ...(query === undefined ? {} : { query }) };
}

/** A record has room for so many fields, each with a path of so many characters. */
const [MAX_ORIGINS, MAX_FIELD] = [500, 256];

function recordedPolicy({ names, generations, hash, mode, origins }: Policy): NonNullable<RolloutRecordSpec["policy"]> {
  const kept = origins.slice(0, MAX_ORIGINS).map(({ field, layer }) => ({ field: field.slice(0, MAX_FIELD), layer }));
  return { names, generations, hash, mode, ...(kept.length > 0 ? { origins: kept } : {}) };
}

/** The record of one entry. Pure. */
export function recordOf(
  deployment: ModelDeployment,
  entry: HistoryEntry,
  policy: Policy,
  kept: readonly ControllerRevision[],
): KubeObject & { spec: RolloutRecordSpec } {
  const { name, namespace, uid } = deployment.metadata;
  const { checks, from, to, ...rest } = entry;
  const { rollback } = deployment.status ?? {};
  const about = rollback?.sequence === entry.sequence ? rollback : undefined;
  const automatic = entry.action === "Return" ? deployment.status?.returns?.find((one) => one.at === entry.decidedAt) : undefined;
  const find = (identity: RevisionIdentity | undefined) => kept.find((one) => one.revision === identity?.revision);
  const recorded = { from: revision(from, kept), to: revision(to, kept) };
  const changes = changesBetween(find(from), find(to));
  return {
    apiVersion: API_VERSION,
    kind: "RolloutRecord",
    metadata: { name: recordName(name, entry.sequence), namespace: namespace ?? "", labels: { [LABELS.deployment]: name } },
    spec: {
      ...rest,
      deployment: { name, uid: uid ?? "" },
      ...(recorded.from ? { from: recorded.from } : {}),
      ...(recorded.to ? { to: recorded.to } : {}),
      ...(changes.length > 0 ? { changes } : {}),
      policy: recordedPolicy(policy),
      checks: (checks ?? []).map((check) => ({ ...check, ...asked(policy.checks.find((one) => one.name === check.name)) })),
      ...(about?.check === undefined ? {} : { check: about.check }),
      ...(about?.depth === undefined ? {} : { depth: about.depth }),
      ...(about?.passedOver ? { passedOver: about.passedOver } : {}),
      ...(automatic ? { leftProven: automatic.proven } : {}),
      operatorVersion: buildInfo().version,
    },
  };
}

/** A record of this name that tells of something else would hide ours. */
async function checkOurs(executor: Executor, deployment: ModelDeployment, entry: HistoryEntry): Promise<void> {
  const { namespace, name, uid } = deployment.metadata;
  const key = { namespace, name: recordName(name, entry.sequence) };
  const { spec } = (await executor.client.get(RESOURCES.rolloutRecords, key)) as KubeObject & { spec: RolloutRecordSpec };
  if (spec.deployment.uid === uid && spec.sequence === entry.sequence) return;
  throw new Error(`the RolloutRecord ${key.name} is somebody else's; delete it, so that the transition can be recorded`);
}

/** Which were written is remembered for so many; the cache shows them soon. */
const REMEMBERED = 10_000;

/** So many may wait until people were told, at most: the status has no room for ever more entries without a record. */
const HELD = 10;

/**
 * Writes the records that are missing, oldest first.
 * @param told whether people were told of it: until then it has none, so that the next operator tells them
 */
export async function writeRecords(
  executor: Executor,
  key: string,
  deployment: ModelDeployment,
  snapshot: Snapshot,
  written: Set<string>,
  told: (entry: HistoryEntry) => boolean,
): Promise<void> {
  const kept = executor.caches.revisions.of(key);
  const errors: unknown[] = [];
  const idOf = ({ sequence }: HistoryEntry) => `${deployment.metadata.uid}/${sequence}`;
  const history = deployment.status?.history ?? [];
  const missing = history.filter((entry) => !snapshot.recorded.has(entry.sequence) && !written.has(idOf(entry)));
  for (const [index, entry] of missing.entries()) {
    if (!told(entry) && index >= missing.length - HELD) continue;
    executor.assertLeading();
    try {
      await writeRecord(executor, deployment, entry, recordOf(deployment, entry, snapshot.policy, kept));
      if (written.size > REMEMBERED) written.clear();
      written.add(idOf(entry));
    } catch (error) {
      // One that can't be written must not keep the later ones from being written.
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

async function writeRecord(
  executor: Executor,
  deployment: ModelDeployment,
  entry: HistoryEntry,
  record: KubeObject,
): Promise<void> {
  try {
    await executor.client.create(record);
  } catch (error) {
    if (!isKind(error, "AlreadyExists")) throw error;
    await checkOurs(executor, deployment, entry);
  }
}
