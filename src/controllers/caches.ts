// What the operator watches, each kind trimmed to the fields that it reads, and which deployment each change concerns.

import type { MetricSource } from "../api/metricsource.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { ModelVersion } from "../api/modelversion.ts";
import { FIELD_MANAGER, GROUP, LABELS } from "../api/names.ts";
import type { RollbackPolicy } from "../api/rollbackpolicy.ts";
import type { Clock } from "../clock.ts";
import { configMapHash } from "../core/hash.ts";
import { configMapsOf } from "../core/render.ts";
import type { KubeClient } from "../kube/client.ts";
import type { ConfigMap, ControllerRevision, Deployment, EndpointSlice, KubeObject, Pod, Service } from "../kube/objects.ts";
import { Reflector } from "../kube/reflector.ts";
import { RESOURCES, type Resource } from "../kube/resources.ts";
import type { Logger } from "../log.ts";

/** A ModelDeployment as cached: who owns the field of its pin is read before the managed fields are dropped. */
export type CachedDeployment = ModelDeployment & {
  pinManager?: string;
  /** Who wrote each of our annotations, by annotation. */
  annotators?: Readonly<Record<string, string>>;
};

/** A ConfigMap as cached: its content is read again when it is copied. */
export type CachedConfigMap = KubeObject & { contentHash: string };

export const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ""}/${object.metadata.name}`;

export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The deployment that an object of ours belongs to, by its label. */
function ownerKey(object: KubeObject): string | undefined {
  const name = object.metadata.labels?.[LABELS.deployment];
  return name === undefined ? undefined : `${object.metadata.namespace ?? ""}/${name}`;
}

function pinManager(object: KubeObject): string | undefined {
  const owners = (object.metadata.managedFields ?? []).filter((entry) => {
    const spec = entry.subresource === undefined ? entry.fieldsV1?.["f:spec"] : undefined;
    return typeof spec === "object" && spec !== null && "f:version" in spec;
  });
  return owners.sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? 1 : -1))[0]?.manager;
}

function annotatorsOf(object: KubeObject): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of object.metadata.managedFields ?? []) {
    const metadata = entry.fieldsV1?.["f:metadata"] as Record<string, unknown> | undefined;
    const annotations = metadata?.["f:annotations"];
    if (typeof annotations !== "object" || annotations === null) continue;
    for (const key of Object.keys(annotations))
      if (key.startsWith(`f:${GROUP}/`)) found[key.slice(2)] = entry.manager ?? "unknown";
  }
  return found;
}

function trimDeployment(object: CachedDeployment): CachedDeployment {
  const manager = pinManager(object as KubeObject);
  const annotators = annotatorsOf(object as KubeObject);
  return { ...object, ...(manager === undefined ? {} : { pinManager: manager }), annotators };
}

function trimConfigMap(object: ConfigMap): CachedConfigMap {
  const { apiVersion, kind, metadata } = object;
  return { apiVersion, kind, metadata, contentHash: configMapHash(object) };
}

function trimPod(pod: Pod): Pod {
  const { apiVersion, kind, metadata, spec, status } = pod;
  const { name, namespace, uid, labels, annotations, creationTimestamp, deletionTimestamp, resourceVersion } = metadata;
  const scrape = Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => key.startsWith("prometheus.io/")));
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, labels, annotations: scrape, creationTimestamp, deletionTimestamp, resourceVersion },
    spec: {
      nodeName: spec.nodeName,
      containers: spec.containers.map(({ name: container, ports }) => ({ name: container, ports })),
    },
    status,
  };
}

/** Objects by the deployment that their label names. */
class Owned<T extends KubeObject> {
  #byOwner = new Map<string, Map<string, T>>();

  of(key: string): T[] {
    return [...(this.#byOwner.get(key)?.values() ?? [])];
  }

  set(object: T): void {
    const owner = ownerKey(object);
    if (owner === undefined) return;
    const group = this.#byOwner.get(owner) ?? new Map<string, T>();
    group.set(object.metadata.name, object);
    this.#byOwner.set(owner, group);
  }

  remove(object: T): void {
    const owner = ownerKey(object);
    const group = owner === undefined ? undefined : this.#byOwner.get(owner);
    group?.delete(object.metadata.name);
    if (owner !== undefined && group?.size === 0) this.#byOwner.delete(owner);
  }
}

export interface CachesOptions {
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  /** One namespace, or undefined for all. */
  namespace?: string;
  /** A deployment that may have to do something. */
  onChange(key: string): void;
  /** A version whose status may have to change. */
  onVersion(key: string): void;
}

export class Caches {
  readonly deployments: Reflector<CachedDeployment>;
  readonly versions: Reflector<ModelVersion & KubeObject>;
  readonly policies: Reflector<RollbackPolicy & KubeObject>;
  readonly sources: Reflector<MetricSource & KubeObject>;
  readonly configMaps: Reflector<CachedConfigMap>;
  readonly nodes: Reflector<KubeObject & { status?: { conditions?: { type: string; status: string }[] } }>;
  readonly namespaces: Reflector<KubeObject>;
  readonly children = new Owned<Deployment>();
  readonly pods = new Owned<Pod>();
  readonly services = new Owned<Service>();
  readonly slices = new Owned<EndpointSlice>();
  readonly revisions = new Owned<ControllerRevision>();
  readonly records = new Owned<KubeObject>();
  #all: Reflector<KubeObject>[] = [];
  #options: CachesOptions;

  constructor(options: CachesOptions) {
    this.#options = options;
    const { onChange, onVersion } = options;
    this.deployments = this.#watch<CachedDeployment>(
      RESOURCES.modelDeployments,
      (object, previous) => {
        onChange(keyOf(object));
        // Also what it no longer uses: that version's status has to say so.
        for (const version of new Set([...versionsOf(object), ...(previous ? versionsOf(previous) : [])]))
          onVersion(`${object.metadata.namespace ?? ""}/${version}`);
      },
      { trim: trimDeployment },
    );
    this.versions = this.#watch(RESOURCES.modelVersions, (object) => {
      onVersion(keyOf(object));
      this.#each(object, (one) => concernsVersion(one, object.metadata.name));
    });
    this.policies = this.#watch(RESOURCES.rollbackPolicies, (object) =>
      this.#each(object, (one) => one.spec.policy?.name === object.metadata.name),
    );
    this.sources = this.#watch(RESOURCES.metricSources, () => undefined, { cluster: true });
    this.configMaps = this.#watch<CachedConfigMap>(
      RESOURCES.configMaps,
      (object) => this.#each(object, (one) => namesConfigMap(one, object.metadata.name)),
      {
        trim: (object) => trimConfigMap(object as unknown as ConfigMap),
      },
    );
    this.nodes = this.#watch(RESOURCES.nodes, () => undefined, { cluster: true });
    this.namespaces = this.#watch(RESOURCES.namespaces, () => undefined, { cluster: true });
    this.#owned(RESOURCES.deployments, this.children);
    this.#owned(RESOURCES.pods, this.pods, trimPod);
    this.#owned(RESOURCES.services, this.services);
    this.#owned(RESOURCES.endpointSlices, this.slices);
    this.#owned(RESOURCES.controllerRevisions, this.revisions);
    this.#owned(RESOURCES.rolloutRecords, this.records, ({ apiVersion, kind, metadata, ...rest }) => ({
      apiVersion,
      kind,
      metadata,
      spec: numbersOf(rest),
    }));
  }

  /** Starts all watches; resolves when each has listed once. */
  async start(signal: AbortSignal): Promise<void> {
    for (const reflector of this.#all) reflector.start(signal);
    await Promise.all(this.#all.map((reflector) => reflector.synced()));
  }

  #watch<T extends KubeObject>(
    resource: Resource,
    onChange: (object: T, previous: T | undefined) => void,
    more: { trim?: (object: T) => T; cluster?: boolean; labelSelector?: string } = {},
  ): Reflector<T> {
    const { client, clock, logger, namespace } = this.#options;
    const reflector = new Reflector<T>({
      client,
      resource,
      clock,
      logger,
      ...(namespace === undefined || more.cluster ? {} : { namespace }),
      ...(more.labelSelector === undefined ? {} : { labelSelector: more.labelSelector }),
      ...(more.trim ? { trim: more.trim } : {}),
      onChange: (_type, _key, object, previous) => onChange(object, previous),
    });
    this.#all.push(reflector as unknown as Reflector<KubeObject>);
    return reflector;
  }

  #owned<T extends KubeObject>(resource: Resource, into: Owned<T>, trim?: (object: T) => T): void {
    const { client, clock, logger, namespace, onChange } = this.#options;
    const reflector = new Reflector<T>({
      client,
      resource,
      clock,
      logger,
      labelSelector: LABELS.deployment,
      ...(namespace === undefined ? {} : { namespace }),
      ...(trim ? { trim } : {}),
      onChange: (type, _key, object, previous) => {
        if (previous) into.remove(previous);
        if (type === "DELETED") into.remove(object);
        else into.set(object);
        for (const key of new Set([ownerKey(object), previous && ownerKey(previous)])) if (key !== undefined) onChange(key);
      },
    });
    this.#all.push(reflector as unknown as Reflector<KubeObject>);
  }

  #each(object: KubeObject, concerns: (deployment: CachedDeployment) => boolean): void {
    // The first lists may arrive in any order; what comes before the deployments is seen when they come.
    for (const deployment of this.deployments?.list(object.metadata.namespace) ?? []) {
      if (concerns(deployment)) this.#options.onChange(keyOf(deployment));
    }
  }
}

/** What a record must tell to go on counting after its deployment was made again. */
function numbersOf(rest: object): { sequence: number; uid: string; revision: number } {
  const spec = (rest as { spec?: { sequence?: number; deployment?: { uid?: string }; to?: { revision?: number } } }).spec;
  return { sequence: spec?.sequence ?? 0, uid: spec?.deployment?.uid ?? "", revision: spec?.to?.revision ?? 0 };
}

function versionsOf({ spec, status }: CachedDeployment): Set<string> {
  const refs = [status?.active, status?.candidate, status?.standby, ...(status?.quarantine ?? [])];
  return new Set([spec.version, ...refs.flatMap((ref) => (ref ? [ref.version] : []))]);
}

function concernsVersion(deployment: CachedDeployment, version: string): boolean {
  const { status, spec } = deployment;
  if (spec.version === version) return true;
  return (
    [status?.active, status?.candidate, status?.standby].some((ref) => ref?.version === version) || status?.pending !== undefined
  );
}

function namesConfigMap(deployment: CachedDeployment, name: string): boolean {
  return configMapsOf(deployment.spec.template as Record<string, unknown>).some((one) => one.name === name);
}

export { FIELD_MANAGER };
