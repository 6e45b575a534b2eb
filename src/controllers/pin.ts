// What `spec.version` resolves to now, and how its content is rendered and kept when it becomes a revision.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelVersion } from "../api/modelversion.ts";
import { revisionLabels } from "../api/names.ts";
import { fetchEnvironment, serverEnvironment } from "../artifacts/environment.ts";
import { artifactDigest, type RevisionContent, revisionHash } from "../core/hash.ts";
import { configMapsOf, renderTemplate } from "../core/render.ts";
import type { Pin } from "../core/snapshot.ts";
import type { KeptRevision } from "./facts.ts";

type Json = Record<string, unknown>;

/**
 * @param configMap content hash of a ConfigMap of the namespace; undefined where there is none
 * @param revoker what revokes weights of that digest everywhere; undefined: nothing does
 */
export function resolvePin(
  deployment: ModelDeployment,
  version: ModelVersion | undefined,
  known: () => string[],
  configMap: (name: string) => string | undefined,
  revoker: (digest: string) => string | undefined,
): Pin {
  const name = deployment.spec.version;
  if (!version || version.metadata.deletionTimestamp !== undefined) return { state: "Missing", version: name, known: known() };
  if (version.spec.model !== deployment.spec.model) return { state: "OtherModel", version: name, model: version.spec.model };
  if (version.spec.lifecycle === "Revoked") return { state: "Revoked", version: name };
  const by = revoker(artifactDigest(version.spec.artifact));
  if (by !== undefined) return { state: "Revoked", version: name, by };
  const template = deployment.spec.template as Json;
  const maps = configMapsOf(template).map((one) => ({ ...one, hash: configMap(one.name) }));
  const missing = maps.filter((one) => one.hash === undefined && !one.optional).map((one) => one.name);
  if (missing.length > 0) return { state: "ConfigMapMissing", version: name, names: missing };
  const content: RevisionContent = {
    artifact: version.spec.artifact,
    ...(version.spec.serving ? { serving: version.spec.serving } : {}),
    template,
    ...(deployment.spec.container === undefined ? {} : { container: deployment.spec.container }),
    modelPath: deployment.spec.modelPath,
    configMaps: Object.fromEntries(maps.flatMap((one) => (one.hash === undefined ? [] : [[one.name, one.hash]]))),
  };
  return {
    state: "Usable",
    version: name,
    hash: revisionHash(content),
    artifactDigest: artifactDigest(version.spec.artifact),
    content,
    deprecated: version.spec.lifecycle === "Deprecated",
  };
}

/** Twice the artifact and some room, so that a replaced file fits; without a size a generous default. */
function sizeLimit(bytes: number | undefined): string {
  return bytes === undefined ? "100Gi" : `${Math.ceil((2 * bytes) / 1_048_576) + 64}Mi`;
}

/** Renders the revision, once; what comes out is kept in its ControllerRevision. */
export function keep(
  deployment: ModelDeployment,
  version: ModelVersion,
  pin: Extract<Pin, { state: "Usable" }>,
  revision: number,
  fetch: { image: string; command?: string[] | undefined },
): KeptRevision {
  const { spec } = deployment;
  const { artifact, serving } = version.spec;
  const fetches = artifact.load !== "None";
  const where = { version: version.metadata.name, modelPath: spec.modelPath, artifact };
  const template = renderTemplate({
    name: deployment.metadata.name,
    revision,
    template: spec.template as Json,
    ...(spec.container === undefined ? {} : { container: spec.container }),
    modelPath: spec.modelPath,
    ...(serving ? { serving } : {}),
    fetch: fetches,
    fetchImage: spec.fetch?.image ?? fetch.image,
    ...(fetch.command ? { fetchCommand: fetch.command } : {}),
    fetchOptions: spec.fetch ?? {},
    fetchEnv: fetches ? fetchEnvironment({ ...where, verify: spec.fetch?.verify }) : [],
    serverEnv: serverEnvironment({ ...where, revision, digest: pin.artifactDigest, fetched: fetches }),
    sizeLimit: sizeLimit(artifact.sizeBytes ?? artifact.files?.reduce((sum, file) => sum + (file.sizeBytes ?? 0), 0)),
    labels: revisionLabels(deployment.metadata.name, revision),
  });
  return {
    hash: pin.hash,
    version: pin.version,
    artifactDigest: pin.artifactDigest,
    versionSpec: version.spec as unknown as Json,
    template,
    configMaps: pin.content.configMaps,
  };
}
