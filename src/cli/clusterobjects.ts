// What belongs to the cluster, from a file: for an operator that may read nothing beyond its namespaces. The same schemas as those of
// the API server, without the rules that only CEL can say; `kubectl apply --dry-run=server -f` says those.
import { CLUSTER_ROLLBACK_POLICY, METRIC_SOURCE, ROLLGUARD_CONFIG } from "../api/kinds.ts";
import { CONFIG_NAME } from "../api/names.ts";
import type { KubeObject } from "../kube/objects.ts";
import { CliError, EXIT } from "./io.ts";
import { readManifests } from "./manifests.ts";

const KINDS = [METRIC_SOURCE, CLUSTER_ROLLBACK_POLICY, ROLLGUARD_CONFIG].map(({ kind }) => kind);

/** Reads a file or folder. Throws a CliError that names what can't be used: another kind, an unknown field, a name that comes twice. */
export function clusterObjectsOf(path: string): KubeObject[] {
  const seen = new Set<string>();
  return readManifests([path]).map(({ where, written, object }) => {
    const { kind, metadata } = object as unknown as KubeObject;
    const refuse = (why: string) => new CliError(`${where}: ${why}`, [], EXIT.usage);
    if (!KINDS.includes(kind))
      throw refuse(`a ${kind} belongs to a namespace: apply it there. Only ${KINDS.join(", ")} may stand here`);
    const unknown = unknownField(written, object);
    if (unknown !== undefined) throw refuse(`${kind} has no field ${unknown}`);
    if (kind === ROLLGUARD_CONFIG.kind && metadata.name !== CONFIG_NAME) throw refuse(`the ${kind} must be named ${CONFIG_NAME}`);
    const name = `${kind} ${metadata.name}`;
    if (seen.has(name)) throw refuse(`${name} comes twice`);
    seen.add(name);
    return { ...(object as unknown as KubeObject), metadata: { ...metadata, generation: 1 } };
  });
}

/** The path of the first field that was written and that the schema does not know, which is what parsing dropped. */
function unknownField(written: unknown, parsed: unknown, path = ""): string | undefined {
  if (typeof written !== "object" || written === null) return undefined;
  for (const [name, inner] of Object.entries(written)) {
    const here = Array.isArray(written) ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`;
    // What kubectl or a generator adds to the metadata does not matter.
    if (here === "metadata") continue;
    if (typeof parsed !== "object" || parsed === null || !(name in parsed)) return here;
    const found = unknownField(inner, (parsed as Record<string, unknown>)[name], here);
    if (found !== undefined) return found;
  }
  return undefined;
}
