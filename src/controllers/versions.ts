// The status of each ModelVersion: whether it can be used, and which deployments use it where.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelVersion } from "../api/modelversion.ts";
import { FIELD_MANAGER } from "../api/names.ts";
import { artifactDigest } from "../core/hash.ts";
import { isKind } from "../kube/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Executor } from "./apply.ts";
import { splitKey } from "./cached.ts";
import { differences } from "./objects.ts";

type Status = NonNullable<ModelVersion["status"]>;
type Use = NonNullable<Status["deployments"]>[number];

/** Where a deployment has revisions of this version. Pure. */
export function usesOf(version: string, deployment: ModelDeployment): Use[] {
  const { status, metadata } = deployment;
  const positions = [
    ["Active", status?.active],
    ["Candidate", status?.candidate],
    ["Standby", status?.standby],
  ] as const;
  const held = positions.flatMap(([position, ref]): Use[] =>
    ref?.version === version ? [{ name: metadata.name, revision: ref.revision, position, standing: ref.standing }] : [],
  );
  const quarantined = (status?.quarantine ?? [])
    .filter((entry) => entry.version === version && !held.some((one) => one.revision === entry.revision))
    .map((entry): Use => ({ name: metadata.name, revision: entry.revision, position: "None", standing: "Quarantined" }));
  return [...held, ...quarantined];
}

/** The status that a version should have; times of conditions are kept where nothing changed. */
export function versionStatus(version: ModelVersion, deployments: readonly ModelDeployment[], now: string): Status {
  const { lifecycle, artifact } = version.spec;
  const revoked = lifecycle === "Revoked";
  const reason = revoked ? "Revoked" : lifecycle === "Deprecated" ? "Deprecated" : "Valid";
  const before = version.status?.conditions?.find((one) => one.type === "Ready");
  const status = revoked ? "False" : "True";
  const message = revoked ? "revoked: it leaves wherever it serves in this namespace" : "can be pinned";
  const uses = deployments
    .flatMap((one) => usesOf(version.metadata.name, one))
    .sort((a, b) => (`${a.name}${a.revision}` < `${b.name}${b.revision}` ? -1 : 1));
  return {
    observedGeneration: version.metadata.generation ?? 0,
    digest: artifactDigest(artifact),
    inUse: new Set(uses.filter((use) => use.position !== "None").map((use) => use.name)).size,
    deployments: uses.slice(0, 100),
    conditions: [
      {
        type: "Ready",
        status,
        reason,
        message,
        observedGeneration: version.metadata.generation ?? 0,
        lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
      },
    ],
  };
}

/** Brings one version's status up to date; nothing is written where nothing changed. */
export async function reconcileVersion(executor: Executor, key: string, now: () => number): Promise<void> {
  const { namespace, name } = splitKey(key);
  const version = executor.caches.versions.get(namespace, name);
  if (!version || version.metadata.deletionTimestamp !== undefined) return;
  const wanted = versionStatus(version, executor.caches.deployments.list(namespace), new Date(now()).toISOString());
  if (differences(wanted, version.status ?? {}).length === 0) return;
  executor.assertLeading();
  const { apiVersion, kind, metadata, spec } = version;
  const { uid, resourceVersion } = metadata;
  try {
    await executor.client.replaceStatus(
      { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, spec, status: wanted } as KubeObject,
      { fieldManager: FIELD_MANAGER },
    );
  } catch (error) {
    // The next event brings the newer object.
    if (!isKind(error, "Conflict", "NotFound")) throw error;
  }
}
