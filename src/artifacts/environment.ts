// The environment variables by which the operator tells the init container what to fetch, and the server what it has. Pure.
import { artifactPath } from "./location.ts";

/** As in a pod's container. */
export interface EnvVar {
  name: string;
  value: string;
}

export interface ArtifactContent {
  uri: string;
  digest?: string;
  files?: readonly { path: string; digest: string; sizeBytes?: number }[];
  sizeBytes?: number;
}

export interface FetchEnvironmentInput {
  /** Name of the ModelVersion. */
  version: string;
  artifact: ArtifactContent;
  /** `spec.modelPath` of the ModelDeployment. */
  modelPath: string;
  /** `spec.fetch.verify`. */
  verify?: "Always" | "Once";
  /** Of the installation: see `isAllowedHost`. Absent or empty: every host, and no redirect to another one. */
  allowedHosts?: readonly string[];
  /** A duration; default 30m. */
  timeout?: string;
  /** A duration; default 30s. */
  idleTimeout?: string;
  /** Lets `file:` URIs through: for the sandbox and tests. */
  allowFile?: boolean;
}

export interface ServerEnvironmentInput {
  version: string;
  revision: number;
  artifact: ArtifactContent;
  modelPath: string;
  /** `artifactDigest` of core/hash: the digest, or that of the list of files. */
  digest: string;
  /** False where the server loads the artifact by itself (`load: None`): there is no file to name then. */
  fetched?: boolean;
}

// Kubernetes expands $(NAME) in values, and reads $$ as $.
const literal = (value: string): string => value.replaceAll("$", "$$$$");

const list = (entries: Readonly<Record<string, string | undefined>>): EnvVar[] =>
  Object.entries(entries).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [{ name, value: literal(value) }],
  );

/** For the container `rollguard-fetch`. Throws BadUri where the artifact's URI can't be read. */
export function fetchEnvironment(input: FetchEnvironmentInput): EnvVar[] {
  const { version, artifact, modelPath, verify, allowedHosts, timeout, idleTimeout, allowFile } = input;
  const files = artifact.files?.map(({ path, digest, sizeBytes }) => ({ path, digest, sizeBytes }));
  return list({
    ROLLGUARD_VERSION: version,
    ROLLGUARD_ARTIFACT_URI: artifact.uri,
    ROLLGUARD_ARTIFACT_DIGEST: artifact.digest,
    ROLLGUARD_ARTIFACT_FILES: files && JSON.stringify(files),
    ROLLGUARD_ARTIFACT_SIZE: artifact.sizeBytes === undefined ? undefined : String(artifact.sizeBytes),
    ROLLGUARD_MODEL_PATH: modelPath,
    ROLLGUARD_FETCH_VERIFY: verify,
    ROLLGUARD_ALLOWED_HOSTS: allowedHosts?.join(","),
    ROLLGUARD_FETCH_TIMEOUT: timeout,
    ROLLGUARD_FETCH_IDLE_TIMEOUT: idleTimeout,
    ROLLGUARD_ALLOW_FILE: allowFile ? "true" : undefined,
  });
}

/** For the container that serves. Throws BadUri where the artifact's URI can't be read. */
export function serverEnvironment(input: ServerEnvironmentInput): EnvVar[] {
  const { version, revision, artifact, modelPath, digest, fetched = true } = input;
  return list({
    ROLLGUARD_VERSION: version,
    ROLLGUARD_REVISION: String(revision),
    ROLLGUARD_MODEL_DIGEST: digest,
    ROLLGUARD_MODEL_PATH: fetched ? modelPath : undefined,
    ROLLGUARD_MODEL_FILE: fetched ? artifactPath(modelPath, artifact.uri) : undefined,
  });
}
