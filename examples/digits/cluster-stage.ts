// The stage on a real Kubernetes: the operator installed as docs/install.md says, the weights and the clients in a pod of the
// cluster, real containers, the traffic through the Service's ClusterIP.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { openPlace, type Place, type PlaceName, type PlaceOptions } from "../../scripts/place.ts";
import type { KubeObject, Service } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import type { ClientOptions, Clients } from "./client.ts";
import { startRemoteClients } from "./remote.ts";
import { endAll, NAME, NAMESPACE, openDesk, type Stage } from "./stage.ts";
import { WEIGHTS_PORT } from "./versions.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
export const SYSTEM = "rollguard-system";
const STORE = "store";
const run = promisify(execFile);

/** A stage with what only a real cluster has. */
export interface ClusterStage extends Stage {
  place: Place;
  /** kubectl's standard output; its warnings and errors are `said`. Rejects where it fails. */
  kubectl(args: readonly string[], input?: string): Promise<{ stdout: string; said: string }>;
  /** Makes the namespace with the store in it, also again after it was deleted. Resolves when the store answers. */
  prepare(): Promise<void>;
  /** What kubectl warned of while the operator was installed; undefined where it was there already. */
  warned: string | undefined;
}

/** Installs what is missing on a cluster, and resolves when the operator and the store run. Whatever fails, it is ended again. */
export async function raiseClusterStage(name: PlaceName, options: PlaceOptions): Promise<ClusterStage> {
  const place = await openPlace(name, options);
  const opened: (() => unknown)[] = [() => place.close()];
  const close = () => endAll(opened);
  const kubectl: ClusterStage["kubectl"] = async (args, input) => {
    const access = place.kubeconfig === undefined ? [] : ["--kubeconfig", place.kubeconfig];
    const running = run(place.kubectl, [...access, ...args], { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 });
    running.child.stdin?.end(input ?? "");
    const { stdout, stderr } = await running;
    return { stdout, said: stderr };
  };
  try {
    let store = "";
    const desk = openDesk(place.kubeconfig, () => store);
    opened.push(() => desk.client.close());
    if (await desk.client.find(RESOURCES.namespaces, { name: NAMESPACE })) {
      throw new Error(
        `the namespace ${NAMESPACE} exists already, and this would delete it in the end: delete or rename it first`,
      );
    }
    options.say("installing the operator");
    const warned = await install(place, kubectl, opened);
    opened.push(() => kubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s"]));
    const address = async (service: string, port: number) => {
      const found = await desk.client.find<Service>(RESOURCES.services, { namespace: NAMESPACE, name: service });
      return found?.spec?.clusterIP === undefined ? undefined : `${found.spec.clusterIP}:${port}`;
    };
    const prepare = async () => {
      await desk.apply("namespace.yaml");
      await desk.applyObjects(storeObjects(place.images.digits));
      await kubectl(["rollout", "status", `deployment/${STORE}`, "-n", NAMESPACE, "--timeout=120s"]);
      store = (await address(STORE, WEIGHTS_PORT)) ?? "";
    };
    await prepare();
    return {
      ...desk,
      // The model server's image, as this cluster's nodes find it.
      apply: (file, edit) =>
        desk.apply(file, (object) => {
          useImage(object, place.images.digits);
          edit?.(object);
        }),
      about: { local: "a real Kubernetes of one node", kind: "a real Kubernetes in a container", current: "your cluster" }[name],
      place,
      kubectl,
      prepare,
      kubeconfig: place.kubeconfig,
      warned,
      serviceUrl: async () => {
        const found = await address(NAME, 80);
        return found && `http://${found}`;
      },
      startClients: (clientOptions) => clientsIn(place, clientOptions),
      operatorEnded: () => undefined,
      async log() {
        const { stdout } = await kubectl(["logs", "-n", SYSTEM, "-l", "app.kubernetes.io/name=rollguard", "--tail=100"]);
        return stdout.split("\n").filter(Boolean);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** CRDs and operator, unless they are there; what kubectl warned of. CRDs stay, for what users made of them would go with them. */
async function install(place: Place, kubectl: ClusterStage["kubectl"], opened: (() => unknown)[]): Promise<string | undefined> {
  const { stdout } = await kubectl(["get", "deployment", "-A", "-l", "app.kubernetes.io/name=rollguard", "-o", "name"]);
  if (stdout.trim() !== "") return undefined;
  for (const folder of ["manifests/user-roles", "manifests/base"]) {
    opened.push(() => kubectl(["delete", "-k", folder, "--ignore-not-found", "--timeout=60s"]));
  }
  const manifests = await kubectl(["kustomize", "manifests/overlays/high-availability"]);
  const placed = manifests.stdout.replace(/image: .*rollguard:.*/g, `image: ${place.images.operator}`);
  const operator = await kubectl(["apply", "-f", "-"], placed);
  await kubectl(["rollout", "status", "deployment/rollguard", "-n", SYSTEM, "--timeout=120s"]);
  return manifests.said + operator.said;
}

function clientsIn(place: Place, options: ClientOptions): Clients {
  const access = place.kubeconfig === undefined ? [] : ["--kubeconfig", place.kubeconfig];
  const exec = ["exec", "-i", "-n", NAMESPACE, `deployment/${STORE}`, "--", "node", "examples/digits/remote.ts"];
  return startRemoteClients([place.kubectl, ...access, ...exec], options);
}

/** A pod that serves the weights, and in which the clients run, behind a ClusterIP: not every cluster has a DNS. */
function storeObjects(image: string): KubeObject[] {
  const labels = { app: STORE };
  const metadata = { name: STORE, namespace: NAMESPACE };
  const container = {
    name: STORE,
    image,
    args: ["examples/digits/weights.ts"],
    env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
    readinessProbe: { tcpSocket: { port: WEIGHTS_PORT }, periodSeconds: 1 },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
  };
  const spec = {
    containers: [container],
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
  };
  const template = { metadata: { labels }, spec };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: { replicas: 1, selector: { matchLabels: labels }, template },
  };
  const service = { apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels, ports: [{ port: WEIGHTS_PORT }] } };
  return [deployment, service];
}

function useImage(object: KubeObject, image: string): void {
  if (object.kind !== "ModelDeployment") return;
  const { containers } = (object as KubeObject & { spec: { template: { spec: { containers: { image: string }[] } } } }).spec
    .template.spec;
  for (const container of containers) container.image = image;
}
