// `policy show`: the policy that is in force for a deployment, or the one that files would make together.
import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import { chooseLayers } from "../core/chooselayers.ts";
import { mergeLayers } from "../core/layers.ts";
import { CliError, EXIT, type Io } from "./io.ts";
import { type Ours, readManifests } from "./manifests.ts";
import { document, type Format } from "./output.ts";
import { policyInForce } from "./policy-in-force.ts";
import { type PolicyView, policyView, renderPolicy } from "./policy-view.ts";
import { type CommonOptions, findDeployment, unknownDeployment, withSession } from "./session.ts";

export interface PolicyOptions extends CommonOptions {
  filename?: string[];
}

/** Exactly one of files and a name. */
export async function policyShow(name: string | undefined, options: PolicyOptions, io: Io): Promise<number> {
  const { filename, output: format = "table", ...common } = options;
  if ((name === undefined) === (filename === undefined))
    throw new CliError("name a ModelDeployment, or policies with -f cluster.yaml -f policy.yaml", [], EXIT.usage);
  if (filename !== undefined) {
    io.out(text(viewOfFiles(readManifests(filename).map((one) => one.object)), format, io));
    return EXIT.ok;
  }
  return withSession(common, io, async (session) => {
    const mdep = await findDeployment(session, name ?? "");
    if (!mdep) throw await unknownDeployment(session, name ?? "");
    const { merged, policy } = await policyInForce(session, mdep);
    const message = mdep.status?.policy?.message ?? policy.notice;
    const deployment = `${mdep.metadata.namespace}/${mdep.metadata.name}`;
    io.out(
      text(
        policyView(merged, { deployment, current: policy.current, ...(message === undefined ? {} : { message }) }),
        format,
        io,
      ),
    );
    return EXIT.ok;
  });
}

function text(view: PolicyView, format: Format, io: Io): string {
  if (format === "json" || format === "yaml") return document(view, format);
  return renderPolicy(view, { terminal: io.terminal, color: io.color, width: io.width, wide: format === "wide" });
}

function of<K extends Ours["kind"]>(objects: readonly Ours[], kind: K): Extract<Ours, { kind: K }>[] {
  return objects.filter((one): one is Extract<Ours, { kind: K }> => one.kind === kind);
}

/**
 * What these objects make together: the cluster policies, and the policy of the namespace. A ModelDeployment among them says which
 * one it names and has the labels that selectors ask for; those of namespaces are not known, and taken to fit.
 */
export function viewOfFiles(objects: readonly Ours[]): PolicyView {
  const [deployment, other] = of(objects, "ModelDeployment");
  if (other) throw new CliError("there are several ModelDeployments in the files; one is meant", [], EXIT.usage);
  const namespaced = of(objects, "RollbackPolicy");
  const named = deployment
    ? deployment.spec.policy
    : namespaced[0] && { kind: namespaced[0].kind, name: namespaced[0].metadata.name };
  if (!deployment && namespaced.length > 1)
    throw new CliError(
      `there are ${namespaced.length} RollbackPolicies in the files: ${namespaced.map((one) => one.metadata.name).join(", ")}`,
      ["leave one, or add the ModelDeployment that names one"],
      EXIT.usage,
    );
  const cluster = of(objects, "ClusterRollbackPolicy").map((policy): ClusterRollbackPolicy => {
    const { namespaceSelector: _unknown, selector, ...spec } = policy.spec;
    return { ...policy, spec: deployment && selector ? { ...spec, selector } : spec };
  });
  if (cluster.length === 0 && namespaced.length === 0)
    throw new CliError("there is no RollbackPolicy and no ClusterRollbackPolicy in the files", [], EXIT.usage);
  const { layers, notices } = chooseLayers({
    ...(named ? { named } : {}),
    ...(deployment?.metadata.labels ? { labels: deployment.metadata.labels } : {}),
    cluster,
    namespaced: (name) => namespaced.find((one) => one.metadata.name === name),
    last: [],
  });
  if (notices.length > 0) throw new CliError("this can't be in force as it is written", notices);
  return policyView(mergeLayers(layers), { current: true });
}
