// Service → EndpointSlices: the pods that its selector picks, with their conditions. Pods in which a named port has
// different numbers get a slice each, as in Kubernetes.
import type { Clock } from "../../clock.ts";
import type { SandboxApi } from "../api.ts";
import {
  containerPortOf,
  controllerOf,
  ENDPOINT_SLICES,
  type Endpoint,
  type EndpointSlice,
  keyOf,
  ownerReference,
  type Pod,
  SERVICES,
  type Service,
  selects,
} from "./kinds.ts";
import { KeyLoop } from "./loop.ts";
import { Mirror } from "./mirror.ts";
import { isReady } from "./replicaset.ts";
import { realPort } from "./sharedports.ts";
import { canonical, safeHash, same } from "./text.ts";

type SlicePorts = NonNullable<EndpointSlice["ports"]>;

export function endpointsController(
  api: SandboxApi,
  clock: Clock,
  pods: Mirror<Pod>,
  listen: (onPod: (pod: Pod, previous: Pod | undefined) => void) => void,
  onError: (key: string, error: unknown) => void,
): { stop(): void } {
  const loop = new KeyLoop(clock, reconcile, onError);
  const services = new Mirror<Service>(api, SERVICES, (service) => loop.mark(keyOf(service)));
  const slices = new Mirror<EndpointSlice>(api, ENDPOINT_SLICES, (slice) => {
    const owner = controllerOf(slice);
    if (owner?.kind === "Service") loop.mark(`${slice.metadata.namespace}/${owner.name}`);
  });
  listen((pod, previous) => {
    for (const service of services.list(pod.metadata.namespace)) {
      const { selector } = service.spec;
      if (selects(selector, pod.metadata.labels) || selects(selector, previous?.metadata.labels)) loop.mark(keyOf(service));
    }
  });

  function reconcile(key: string): undefined {
    const service = services.get(key);
    if (!service || service.metadata.deletionTimestamp || !service.spec.selector) return;
    const wanted = group(service, pods.list(service.metadata.namespace));
    const existing = new Map(slices.ownedBy(service.metadata.uid).map((slice) => [slice.metadata.name, slice]));
    for (const { ports, endpoints } of wanted) {
      const name = `${service.metadata.name}-${safeHash(canonical([service.metadata.uid, ports]), 5)}`;
      const slice = existing.get(name);
      existing.delete(name);
      if (!slice) api.create(ENDPOINT_SLICES, newSlice(service, name, ports, endpoints));
      else if (!same(slice.endpoints ?? [], endpoints)) api.update(ENDPOINT_SLICES, { ...slice, endpoints });
    }
    for (const slice of existing.values()) {
      api.delete(ENDPOINT_SLICES, slice.metadata.namespace, slice.metadata.name, { uid: slice.metadata.uid });
    }
  }

  return {
    stop() {
      loop.stop();
      services.stop();
      slices.stop();
    },
  };
}

function group(service: Service, pods: readonly Pod[]): { ports: SlicePorts; endpoints: Endpoint[] }[] {
  const groups = new Map<string, { ports: SlicePorts; endpoints: Endpoint[] }>();
  for (const pod of pods) {
    const phase = pod.status?.phase;
    if (!selects(service.spec.selector, pod.metadata.labels) || !pod.status?.podIP) continue;
    if (phase === "Succeeded" || phase === "Failed") continue;
    const ports = portsFor(service, pod);
    const key = canonical(ports);
    const found = groups.get(key) ?? { ports, endpoints: [] };
    found.endpoints.push(endpoint(service, pod, pod.status.podIP));
    groups.set(key, found);
  }
  // A Service without pods keeps one empty slice, so that who reads them sees "none" and not "unknown".
  return groups.size > 0 ? [...groups.values()] : [{ ports: portsFor(service, undefined), endpoints: [] }];
}

function endpoint(service: Service, pod: Pod, address: string): Endpoint {
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { name, namespace, uid } = pod.metadata;
  return {
    addresses: [address],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: "Pod", ...(namespace ? { namespace } : {}), name, uid },
  };
}

function portsFor(service: Service, pod: Pod | undefined): SlicePorts {
  return (service.spec.ports ?? []).flatMap((each) => {
    const target = each.targetPort ?? each.port;
    const port = pod ? targetOf(pod, target) : Number.isInteger(Number(target)) ? Number(target) : undefined;
    return port === undefined ? [] : [{ name: each.name ?? "", port, protocol: each.protocol ?? "TCP" }];
  });
}

function targetOf(pod: Pod, target: number | string): number | undefined {
  return typeof target === "number" ? realPort(pod, target) : containerPortOf(pod.spec, target);
}

function newSlice(service: Service, name: string, ports: SlicePorts, endpoints: Endpoint[]) {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name,
      namespace: service.metadata.namespace,
      labels: {
        ...service.metadata.labels,
        "kubernetes.io/service-name": service.metadata.name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
      },
      ownerReferences: [ownerReference(service)],
    },
    addressType: "IPv4",
    ports,
    endpoints,
  };
}
