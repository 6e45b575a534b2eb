// The identity of a revision: a hash of what would run, and of nothing else. Names, descriptions, lineage and lifecycle are
// left out, so that bad weights under a new name are still quarantined and a label change redeploys nothing.

import { createHash } from "node:crypto";
import canonicalize from "canonicalize";

/** What a revision is made of. Plain JSON; absent members and undefined ones are the same. */
export interface RevisionContent {
  artifact: { uri?: string; digest?: string; files?: unknown; format?: string; load?: string };
  serving?: unknown;
  template: unknown;
  container?: string;
  modelPath?: string;
  /** Hash of the content of each ConfigMap that the template names, by name. */
  configMaps: Record<string, string>;
}

/** Length of the hash in hexadecimal digits (64 bits): short enough for a column, long enough for one deployment's life. */
const DIGITS = 16;

/** SHA-256 over the canonical JSON (RFC 8785) of the content, shortened. */
export function revisionHash(content: RevisionContent): string {
  const { artifact, serving, template, container, modelPath, configMaps } = content;
  const { uri, digest, files, format, load } = artifact;
  const text = canonicalize(
    JSON.parse(
      JSON.stringify({ artifact: { uri, digest, files, format, load }, serving, template, container, modelPath, configMaps }),
    ),
  );
  return createHash("sha256")
    .update(text ?? "")
    .digest("hex")
    .slice(0, DIGITS);
}

/** Hash of what a ModelVersion gives to a revision: its weights and its serving settings, whatever the deployment adds. */
export function versionHash({ artifact, serving }: RevisionContent): string {
  return revisionHash({ artifact, ...(serving === undefined ? {} : { serving }), template: null, configMaps: {} });
}

/** Hash of what a ConfigMap holds, whatever it is called. */
export function configMapHash(content: { data?: Record<string, string>; binaryData?: Record<string, string> }): string {
  const text = canonicalize({ data: content.data ?? {}, binaryData: content.binaryData ?? {} }) ?? "";
  return createHash("sha256").update(text).digest("hex").slice(0, DIGITS);
}

/** One digest for an artifact: its own, or for a directory the hash of its list of files. */
export function artifactDigest(artifact: {
  digest?: string;
  files?: { path: string; digest: string; sizeBytes?: number }[];
}): string {
  if (artifact.digest) return artifact.digest;
  const files = (artifact.files ?? [])
    .map((file) => ({ path: file.path, digest: file.digest }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  return `sha256:${createHash("sha256")
    .update(canonicalize(files) ?? "")
    .digest("hex")}`;
}
