// What the commands for people share: the connection, the namespace that is meant, finding a deployment by name, and errors
// that say what to do.
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { systemClock } from "../clock.ts";
import { kubeconfigInUse } from "../config.ts";
import { connect, type KubeClient } from "../kube/client.ts";
import { ApiError, isKind } from "../kube/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES, type Resource } from "../kube/resources.ts";
import { sanitizeLine } from "../text.ts";
import { userAgent } from "../version.ts";
import { CliError, type Io } from "./io.ts";
import type { Format } from "./output.ts";

/** The options of the commands for people, as commander gives them. */
export interface CommonOptions {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
  allNamespaces?: boolean;
  output?: Format;
}

export interface Session {
  client: KubeClient;
  /** Absent: all namespaces. */
  namespace: string | undefined;
  io: Io;
}

const CONFIGURE =
  "name a cluster with --kubeconfig FILE and --context NAME, or set KUBECONFIG; `rollguard sandbox` starts one to try";

/** Runs a command's work on a connection, closes it, and puts what went wrong into words. */
export async function withSession(options: CommonOptions, io: Io, work: (session: Session) => Promise<number>): Promise<number> {
  const { kubeconfig, context } = options;
  let client: KubeClient;
  try {
    client = connect({
      clock: systemClock,
      userAgent: userAgent(),
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
    });
  } catch (error) {
    const said = sanitizeLine(error instanceof Error ? error.message : String(error));
    throw new CliError(`no cluster to talk to: ${said}`, [`the kubeconfig was ${kubeconfigInUse(kubeconfig)}`, CONFIGURE]);
  }
  try {
    const namespace = options.allNamespaces ? undefined : (options.namespace ?? client.namespace ?? "default");
    return await work({ client, namespace, io });
  } catch (error) {
    throw explained(error, client, kubeconfig);
  } finally {
    await client.close();
  }
}

function explained(error: unknown, client: KubeClient, kubeconfig: string | undefined): unknown {
  if (!(error instanceof ApiError)) return error;
  const where = `the kubeconfig was ${kubeconfigInUse(kubeconfig)}, context ${client.context || "-"}`;
  switch (error.kind) {
    case "Network":
    case "Timeout":
    case "Unavailable":
      return new CliError(`can't reach the API server ${client.server}: ${error.message}`, [where, CONFIGURE]);
    case "Unauthorized":
      return new CliError(`the API server ${client.server} does not know you: ${error.message}`, [where]);
    case "Forbidden":
      return new CliError(`you may not do this: ${error.message}`, [
        "reading needs get, list and watch on modeldeployments and rolloutrecords in the group rollguard.dev",
      ]);
    case "BadAnswer":
      // A 404 that is no Status is about the path: the kind is not known there.
      if (error.status === 404) {
        return new CliError(`${client.server} has no Rollguard resources: its CRDs are not installed, or it is another cluster`, [
          "install them and the operator with `kubectl apply -k manifests/`",
          where,
        ]);
      }
      return new CliError(`${client.server} does not answer as an API server does: ${error.message}`, [where]);
    default:
      return new CliError(error.message, [where]);
  }
}

/** As `listAll`, once more where the list expired while it was read. */
export async function listObjects<T extends KubeObject>(client: KubeClient, resource: Resource, namespace: string | undefined) {
  const scope = namespace === undefined ? {} : { namespace };
  try {
    return await client.listAll<T>(resource, scope);
  } catch (error) {
    if (!isKind(error, "Gone")) throw error;
    return await client.listAll<T>(resource, scope);
  }
}

type Deployment = ModelDeployment & KubeObject;

/** The deployment of that name; undefined where there is none. With -A it is looked for everywhere. */
export async function findDeployment(session: Session, name: string): Promise<Deployment | undefined> {
  const { client, namespace } = session;
  if (namespace !== undefined) return client.find<Deployment>(RESOURCES.modelDeployments, { namespace, name });
  const { items } = await listObjects<Deployment>(client, RESOURCES.modelDeployments, undefined);
  const found = items.filter((item) => item.metadata.name === name);
  if (found.length > 1) {
    const places = found.map((item) => item.metadata.namespace).join(", ");
    throw new CliError(`there is a ${name} in several namespaces: ${places}`, ["name one with -n"], 2);
  }
  return found[0];
}

/** The error for a name that does not exist: it names those that do. */
export async function unknownDeployment(session: Session, name: string): Promise<CliError> {
  const { client, namespace } = session;
  const what = `there is no ModelDeployment ${sanitizeLine(name, 253)} in ${namespace === undefined ? "any namespace" : `the namespace ${namespace}`}`;
  const here = await names(client, namespace);
  const hints = [
    here.length > 0 ? `there are: ${here.slice(0, 20).join(", ")}${here.length > 20 ? ", …" : ""}` : "there are none",
  ];
  if (namespace !== undefined) {
    // Only a help: whoever may not list everywhere gets the first hint alone.
    const elsewhere = (await names(client, undefined).catch(() => [])).filter((one) => one.endsWith(`/${name}`));
    if (elsewhere.length > 0) hints.push(`but there is ${elsewhere.join(", ")}: use -n`);
  }
  return new CliError(what, hints);
}

async function names(client: KubeClient, namespace: string | undefined): Promise<string[]> {
  const { items } = await listObjects(client, RESOURCES.modelDeployments, namespace);
  return items.map(({ metadata }) =>
    sanitizeLine(namespace === undefined ? `${metadata.namespace}/${metadata.name}` : metadata.name),
  );
}
