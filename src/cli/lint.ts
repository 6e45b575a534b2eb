// `lint`: what is likely wrong in policies and deployments, in files or as they are in the cluster.
import type { MetricSource } from "../api/metricsource.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelVersion } from "../api/modelversion.ts";
import type { RollbackPolicySpec } from "../api/rollbackpolicy.ts";
import { isOf } from "../core/baseline.ts";
import { resolvePolicy } from "../core/resolve.ts";
import { isKind } from "../kube/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { sanitizeLine } from "../text.ts";
import { type LintFinding, lintDeployment, lintPolicy } from "../trial/lint.ts";
import { CliError, EXIT, type Io } from "./io.ts";
import { type Manifest, readManifests } from "./manifests.ts";
import { document, paint, type Style } from "./output.ts";
import { policyInForce } from "./policy-in-force.ts";
import { type CommonOptions, findDeployment, type Session, unknownDeployment, withSession } from "./session.ts";

export interface LintOptions extends CommonOptions {
  filename?: string[];
  strict?: boolean;
}

interface Located extends LintFinding {
  /** The object, such as `policy.yaml: RollbackPolicy/strict`. */
  object: string;
}

/** Exactly one of files and a name. Ends with 1 where there is an error, or with `strict` anything. */
export async function lintCommand(name: string | undefined, options: LintOptions, io: Io): Promise<number> {
  const { filename, strict = false, ...common } = options;
  if ((name === undefined) === (filename === undefined))
    throw new CliError("name a ModelDeployment, or files with -f policy.yaml -f deployment.yaml", [], EXIT.usage);
  if (filename !== undefined) return report(ofFiles(readManifests(filename)), common, strict, io);
  return withSession(common, io, async (session) => {
    const mdep = await findDeployment(session, name ?? "");
    if (!mdep) throw await unknownDeployment(session, name ?? "");
    return report(await ofDeployment(session, mdep), common, strict, io);
  });
}

const specOf = (written: unknown): Record<string, unknown> | undefined => {
  const { spec } = written as { spec?: unknown };
  return typeof spec === "object" && spec !== null ? (spec as Record<string, unknown>) : undefined;
};

const withWritten = (manifest: Manifest) => {
  const written = specOf(manifest.written);
  return written ? { written } : {};
};

/** What a check compares with the validation metrics of these versions scored, by check. */
function scored(spec: RollbackPolicySpec, versions: readonly ModelVersion[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const check of spec.checks ?? []) {
    const metric = check.baseline?.from === "ValidationMetric" ? check.baseline.metric : undefined;
    const values = versions.flatMap((one) => one.spec.validationMetrics ?? []).filter((one) => one.name === metric);
    const [value] = values;
    if (value) found[check.name] = value.value;
  }
  return found;
}

function ofFiles(manifests: readonly Manifest[]): Located[] {
  const objects = manifests.map((one) => one.object);
  const sources = new Map(objects.flatMap((one) => (one.kind === "MetricSource" ? [[one.metadata.name, one.spec]] : [])));
  const versions = objects.filter((one): one is ModelVersion => one.kind === "ModelVersion");
  return manifests.flatMap((manifest): Located[] => {
    const { object, where } = manifest;
    const located = (found: readonly LintFinding[]) =>
      found.map((one) => ({ object: `${where}: ${object.kind}/${object.metadata.name}`, ...one }));
    switch (object.kind) {
      case "RollbackPolicy":
      case "ClusterRollbackPolicy":
        return located(
          lintPolicy({
            spec: object.spec,
            policy: resolvePolicy(object.spec),
            ...withWritten(manifest),
            ...(object.kind === "RollbackPolicy" && object.metadata.namespace ? { namespace: object.metadata.namespace } : {}),
            // Files without any source say nothing about which there are.
            ...(sources.size > 0 ? { sources } : {}),
            measured: scored(object.spec, versions),
          }),
        );
      case "ModelDeployment": {
        const named = object.spec.policy;
        const policy = objects.find((one) => one.kind === named?.kind && one.metadata.name === named?.name);
        const inFiles = policy?.kind === "RollbackPolicy" || policy?.kind === "ClusterRollbackPolicy" ? policy : undefined;
        return located(
          lintDeployment({
            spec: object.spec,
            ...withWritten(manifest),
            ...(inFiles ? { policy: resolvePolicy(inFiles.spec) } : {}),
          }),
        );
      }
      default:
        return [];
    }
  });
}

async function ofDeployment(session: Session, mdep: ModelDeployment): Promise<Located[]> {
  const { namespace = "default", name } = mdep.metadata;
  const { spec, policy, name: policyName } = await policyInForce(session, mdep);
  const named = mdep.spec.policy;
  const sources = await sourcesOf(session);
  const kept = (mdep.status?.lastHealthy?.baseline ?? []).filter((one) => policy.checks.some((check) => isOf(one, check)));
  const measured = Object.fromEntries(kept.map((one) => [one.name, one.value]));
  const found = named === undefined || policy.names.some((one) => one.split("@")[0] === `${named.kind}/${named.name}`);
  return [
    ...lintDeployment({ spec: mdep.spec, policy, policyFound: found }).map((one) => ({
      object: `ModelDeployment/${name}`,
      ...one,
    })),
    ...lintPolicy({ spec, policy, namespace, measured, ...(sources ? { sources } : {}) }).map((one) => ({
      object: policyName,
      ...one,
    })),
  ];
}

/** Undefined where one may not read them: then nothing is said about them. */
async function sourcesOf({ client }: Session) {
  try {
    const { items } = await client.listAll<MetricSource & KubeObject>(RESOURCES.metricSources);
    return new Map(items.map((one) => [one.metadata.name, one.spec]));
  } catch (error) {
    if (isKind(error, "Forbidden")) return undefined;
    throw error;
  }
}

function report(found: readonly Located[], { output: format = "table" }: CommonOptions, strict: boolean, io: Io): number {
  const sorted = [...found].sort((a, b) => (a.severity === b.severity ? 0 : a.severity === "Error" ? -1 : 1));
  if (format === "json" || format === "yaml") io.out(document(sorted, format));
  else io.out(text(sorted, { terminal: io.terminal, color: io.color, width: io.width, wide: format === "wide" }));
  const fails = strict ? found.length > 0 : found.some((one) => one.severity === "Error");
  return fails ? EXIT.failed : EXIT.ok;
}

function text(found: readonly Located[], style: Style): string {
  if (found.length === 0) return `${paint("nothing to object to", "good", style)}\n`;
  const lines = found.map(({ severity, object, path, message, rule, mend }) => {
    const word = paint(severity.toLowerCase().padEnd(7), severity === "Error" ? "bad" : "unsure", style);
    const what = sanitizeLine(`${object} ${path}: ${message} (${rule})`, 1024);
    return `${word} ${what}\n        ${paint(sanitizeLine(mend, 512), "dim", style)}\n`;
  });
  const errors = found.filter((one) => one.severity === "Error").length;
  return `${lines.join("")}\n${errors} errors, ${found.length - errors} warnings; docs/lint.md explains each rule\n`;
}
