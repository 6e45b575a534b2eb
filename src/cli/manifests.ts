// Objects of ours from YAML files, as kubectl takes them: several documents, folders, "-" for standard input. What does not fit the
// schema is refused with the file, the document and the field.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import { KINDS } from "../api/kinds.ts";
import type { MetricSource } from "../api/metricsource.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelVersion } from "../api/modelversion.ts";
import { API_VERSION } from "../api/names.ts";
import type { RollbackPolicy } from "../api/rollbackpolicy.ts";
import type { RollguardConfig } from "../api/rollguardconfig.ts";
import { sanitizeLine } from "../text.ts";
import { CliError, EXIT } from "./io.ts";

export type Ours = ModelDeployment | ModelVersion | RollbackPolicy | ClusterRollbackPolicy | MetricSource | RollguardConfig;

export interface Manifest {
  /** Where it stands, such as `policy.yaml` or `all.yaml#2`. */
  where: string;
  /** As it was written, without defaults. */
  written: unknown;
  /** With the schema's defaults. */
  object: Ours;
}

/** Reads all objects of the group rollguard.dev in these files; others are left out. Throws a CliError. */
export function readManifests(files: readonly string[]): Manifest[] {
  return files.flatMap(expand).flatMap((file) => {
    const documents = parse(file).filter((one) => isRecord(one) && one.apiVersion === API_VERSION);
    return documents.map((written, index) => {
      const where = documents.length > 1 ? `${file}#${index + 1}` : file;
      return { where, written, object: checked(written as Record<string, unknown>, where) };
    });
  });
}

/** The one policy that a file holds. */
export function onePolicy(file: string): RollbackPolicy | ClusterRollbackPolicy {
  const found = readManifests([file]).map((one) => one.object);
  const policies = found.filter((one) => one.kind === "RollbackPolicy" || one.kind === "ClusterRollbackPolicy");
  const [first, second] = policies;
  if (!first) throw new CliError(`${file} holds no RollbackPolicy and no ClusterRollbackPolicy`, [], EXIT.usage);
  if (second) throw new CliError(`${file} holds ${policies.length} policies; one is meant`, [], EXIT.usage);
  return first;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function expand(path: string): string[] {
  if (path === "-") return [path];
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => /\.(ya?ml|json)$/.test(name))
      .sort()
      .map((name) => join(path, name));
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): CliError {
  return new CliError(
    `can't read ${sanitizeLine(path)}: ${sanitizeLine(error instanceof Error ? error.message : String(error))}`,
    [],
  );
}

function parse(file: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
  try {
    return loadAll(text);
  } catch (error) {
    throw new CliError(`${file} is not YAML: ${sanitizeLine(error instanceof Error ? error.message : String(error))}`);
  }
}

function checked(written: Record<string, unknown>, where: string): Ours {
  const kind = KINDS.find((one) => one.kind === written.kind);
  if (!kind) throw new CliError(`${where}: there is no kind ${sanitizeLine(String(written.kind))} in ${API_VERSION}`);
  const result = kind.schema.safeParse(written);
  if (result.success) return result.data as unknown as Ours;
  const lines = result.error.issues.slice(0, 10).map((issue) => `${pathText(issue.path)}: ${issue.message}`);
  throw new CliError(`${where}: ${kind.kind} is not valid`, lines);
}

/** `spec.checks[0].threshold`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${String(part)}`))
    .join("");
}
