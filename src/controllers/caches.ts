// What the operator watches, each kind trimmed to the fields that it reads, and which deployment each change concerns.

import { isDeepStrictEqual } from "node:util";
import type { ClusterRollbackPolicy } from "../api/clusterrollbackpolicy.ts";
import type { MetricSource } from "../api/metricsource.ts";
import type { ModelVersion } from "../api/modelversion.ts";
import { FIELD_MANAGER, LABELS } from "../api/names.ts";
import type { RollbackPolicy } from "../api/rollbackpolicy.ts";
import type { RollguardConfig } from "../api/rollguardconfig.ts";
import type { Clock } from "../clock.ts";
import type { KubeClient } from "../kube/client.ts";
import { FixedObjects, type Held } from "../kube/held.ts";
import type {
  ConfigMap,
  ControllerRevision,
  Deployment,
  EndpointSlice,
  KubeObject,
  Node,
  Pod,
  PodDisruptionBudget,
  Service,
} from "../kube/objects.ts";
import { Reflector } from "../kube/reflector.ts";
import { RESOURCES, type Resource } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import {
  type CachedConfigMap,
  type CachedDeployment,
  type CachedRecord,
  keyOf,
  splitKey,
  trimConfigMap,
  trimDeployment,
  trimNode,
  trimPod,
  trimRecord,
} from "./cached.ts";
import { concernsPolicy, concernsVersion, namedKey, namesConfigMap, policiesChanged, versionsOf } from "./concerns.ts";
import { Owned, ownerKey } from "./owned.ts";
import { concernsRevocation } from "./revocations.ts";
import { RouteWatch } from "./routes.ts";

export interface CachesOptions {
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  /** 0 to 1, for back-off; see Reflector. */
  random?: (() => number) | undefined;
  /** What is in others is not held. Absent: all of them. One is watched alone; of several, the whole cluster is watched. */
  namespaces?: readonly string[] | undefined;
  /** In place of watching what belongs to the cluster; then nodes and the labels of namespaces are not known. */
  clusterObjects?: readonly KubeObject[] | undefined;
}

/** Who does something about changes: the one that leads. */
export interface CachesListener {
  /** A deployment that may have to do something. */
  onChange(key: string): void;
  /** A version whose status may have to change. */
  onVersion(key: string): void;
  /** A policy or source whose status may have to change, as `<kind>/<namespace>/<name>`. */
  onNamed(key: string): void;
  /** The RollguardConfig changed. */
  onConfig(): void;
}

export class Caches {
  readonly deployments: Reflector<CachedDeployment>;
  readonly versions: Reflector<ModelVersion & KubeObject>;
  readonly policies: Reflector<RollbackPolicy & KubeObject>;
  readonly clusterPolicies: Held<ClusterRollbackPolicy & KubeObject>;
  readonly configs: Held<RollguardConfig & KubeObject>;
  readonly sources: Held<MetricSource & KubeObject>;
  readonly configMaps: Reflector<CachedConfigMap>;
  readonly nodes: Held<Node>;
  readonly namespaces: Held<KubeObject>;
  readonly children = new Owned<Deployment>();
  readonly pods = new Owned<Pod>();
  readonly budgets = new Owned<PodDisruptionBudget>();
  readonly services = new Owned<Service>();
  readonly slices = new Owned<EndpointSlice>();
  readonly revisions = new Owned<ControllerRevision>();
  /** ControllerRevisions that keep the layers of a policy. */
  readonly keptPolicies = new Owned<ControllerRevision>();
  readonly records = new Owned<CachedRecord>();
  readonly routes: RouteWatch;
  /** Whether what belongs to the cluster is the API server's, and so has a status to write. */
  readonly hasClusterScope: boolean;
  #all: Reflector<KubeObject>[] = [];
  #options: CachesOptions;
  #listener: CachesListener | undefined;

  constructor(options: CachesOptions) {
    this.#options = options;
    this.hasClusterScope = options.clusterObjects === undefined;
    const onChange = (key: string) => this.#listener?.onChange(key);
    const onVersion = (key: string) => this.#listener?.onVersion(key);
    const onNamed = (key: string) => this.#listener?.onNamed(key);
    this.deployments = this.#watch<CachedDeployment>(
      RESOURCES.modelDeployments,
      (object, previous) => {
        onChange(keyOf(object));
        // Also what it no longer uses: that version's status has to say so.
        for (const version of new Set([...versionsOf(object), ...(previous ? versionsOf(previous) : [])]))
          onVersion(`${object.metadata.namespace ?? ""}/${version}`);
        const exists = this.deployments.get(object.metadata.namespace, object.metadata.name) !== undefined;
        for (const policy of policiesChanged(object, previous, exists)) onNamed(policy);
      },
      { trim: trimDeployment },
    );
    this.versions = this.#watch(RESOURCES.modelVersions, (object) => {
      onVersion(keyOf(object));
      this.#each(object, (one) => concernsVersion(one, object.metadata.name));
    });
    this.policies = this.#watch(RESOURCES.rollbackPolicies, (object) => {
      onNamed(namedKey(object));
      this.#each(
        object,
        ({ spec: { policy } }) => policy?.kind !== "ClusterRollbackPolicy" && policy?.name === object.metadata.name,
      );
    });
    this.clusterPolicies = this.#watchCluster<ClusterRollbackPolicy & KubeObject>(
      RESOURCES.clusterRollbackPolicies,
      (object, previous) => {
        onNamed(namedKey(object));
        // What selected a deployment before and does no longer ends there.
        this.#each(
          object,
          (one) =>
            concernsPolicy(this, one, object) ||
            (previous !== undefined && concernsPolicy(this, one, previous)) ||
            concernsRevocation(one, object, previous),
        );
      },
    );
    this.configs = this.#watchCluster<RollguardConfig & KubeObject>(RESOURCES.rollguardConfigs, (object, previous) => {
      this.#listener?.onConfig();
      // Also when it is deleted.
      const now = this.configs.get(undefined, object.metadata.name)?.spec.defaults?.policy;
      if (now !== previous?.spec.defaults?.policy) this.#each(object, (one) => one.spec.policy === undefined);
    });
    this.sources = this.#watchCluster<MetricSource & KubeObject>(RESOURCES.metricSources, (object, previous) => {
      onNamed(namedKey(object));
      // A policy says whether its sources exist.
      if (previous && this.sources.get(undefined, object.metadata.name)) return;
      for (const policy of [...this.policies.list(), ...this.clusterPolicies.list()])
        if (policy.spec.checks?.some((check) => check.source === object.metadata.name)) onNamed(namedKey(policy));
    });
    this.configMaps = this.#watch<CachedConfigMap>(
      RESOURCES.configMaps,
      (object) => {
        // A copy of a revision, too: deleted, it is made again.
        const owner = ownerKey(object);
        if (owner !== undefined) onChange(owner);
        this.#each(object, (one) => namesConfigMap(one, object.metadata.name));
      },
      {
        trim: (object) => trimConfigMap(object as unknown as ConfigMap),
      },
    );
    this.nodes = this.#watchCluster<Node>(RESOURCES.nodes, () => undefined, { trim: trimNode });
    this.namespaces = this.#watchCluster(RESOURCES.namespaces, (object, previous) => {
      if (isDeepStrictEqual(object.metadata.labels, previous?.metadata.labels)) return;
      for (const deployment of this.deployments.list(object.metadata.name)) onChange(keyOf(deployment));
    });
    const { client, clock, logger } = options;
    this.routes = new RouteWatch({
      client,
      clock,
      logger,
      ...this.#chance(),
      ...this.#scope(),
      onRoute: (key) => {
        const { namespace: where, name } = splitKey(key);
        if (this.deployments.get(where, name)) onChange(key);
      },
      onServed: () => {
        for (const one of this.deployments.list()) if (one.spec.strategy.canary?.route) onChange(keyOf(one));
      },
    });
    this.#owned(RESOURCES.deployments, this.children);
    this.#owned(RESOURCES.pods, this.pods, trimPod);
    this.#owned(RESOURCES.services, this.services);
    this.#owned(RESOURCES.podDisruptionBudgets, this.budgets);
    this.#owned(RESOURCES.endpointSlices, this.slices);
    this.#owned<ControllerRevision>(RESOURCES.controllerRevisions, (object) =>
      object.metadata.labels?.[LABELS.keeps] === undefined ? this.revisions : this.keptPolicies,
    );
    this.#owned<CachedRecord>(RESOURCES.rolloutRecords, this.records, trimRecord);
  }

  /** Starts all watches; resolves when each has listed once. */
  async start(signal: AbortSignal): Promise<void> {
    this.routes.start(signal);
    for (const reflector of this.#all) reflector.start(signal);
    await Promise.all(this.#all.map((reflector) => reflector.synced()));
  }

  /**
   * For who begins to lead: tells from now on what changes, and first all that there is. What has filled while somebody else led may be
   * behind: the deployments, on whose status everything is decided, are listed anew, and all watches opened anew.
   */
  async follow(listener: CachesListener): Promise<void> {
    await Promise.all(this.#all.map((reflector) => reflector.synced()));
    for (const reflector of this.#all) reflector.renew();
    await this.deployments.relist();
    this.#listener = listener;
    listener.onConfig();
    for (const one of this.deployments.list()) listener.onChange(keyOf(one));
    for (const one of this.versions.list()) listener.onVersion(keyOf(one));
    for (const one of [...this.policies.list(), ...this.clusterPolicies.list(), ...this.sources.list()])
      listener.onNamed(namedKey(one));
  }

  #watch<T extends KubeObject>(
    resource: Resource,
    onChange: (object: T, previous: T | undefined) => void,
    more: { trim?: (object: T) => T; cluster?: boolean } = {},
  ): Reflector<T> {
    const { client, clock, logger } = this.#options;
    const reflector = new Reflector<T>({
      client,
      resource,
      clock,
      logger,
      ...this.#chance(),
      ...(more.cluster ? {} : this.#scope()),
      ...(more.trim ? { trim: more.trim } : {}),
      onChange: (_type, _key, object, previous) => onChange(object, previous),
    });
    this.#all.push(reflector as unknown as Reflector<KubeObject>);
    return reflector;
  }

  /** Of what belongs to no namespace: watched, or as it was given to us. */
  #watchCluster<T extends KubeObject>(
    resource: Resource,
    onChange: (object: T, previous: T | undefined) => void,
    more: { trim?: (object: T) => T } = {},
  ): Held<T> {
    const { clusterObjects } = this.#options;
    if (clusterObjects === undefined) return this.#watch(resource, onChange, { ...more, cluster: true });
    return new FixedObjects(clusterObjects.filter(({ kind }) => kind === resource.kind) as T[]);
  }

  #owned<T extends KubeObject>(resource: Resource, into: Owned<T> | ((object: T) => Owned<T>), trim?: (object: T) => T): void {
    const { client, clock, logger } = this.#options;
    const reflector = new Reflector<T>({
      client,
      resource,
      clock,
      logger,
      labelSelector: LABELS.deployment,
      ...this.#chance(),
      ...this.#scope(),
      ...(trim ? { trim } : {}),
      onChange: (type, _key, object, previous) => {
        const place = (one: T) => (typeof into === "function" ? into(one) : into);
        if (previous) place(previous).remove(previous);
        if (type === "DELETED") place(object).remove(object);
        else place(object).set(object);
        for (const key of new Set([ownerKey(object), previous && ownerKey(previous)]))
          if (key !== undefined) this.#listener?.onChange(key);
      },
    });
    this.#all.push(reflector as unknown as Reflector<KubeObject>);
  }

  #chance(): { random?: () => number } {
    const { random } = this.#options;
    return random ? { random } : {};
  }

  /** Which objects of namespaces are watched and held. */
  #scope(): { namespace?: string; holds?: (object: KubeObject) => boolean } {
    const { namespaces } = this.#options;
    if (namespaces === undefined) return {};
    const [only, ...others] = namespaces;
    if (only !== undefined && others.length === 0) return { namespace: only };
    const held = new Set(namespaces);
    return { holds: ({ metadata }) => held.has(metadata.namespace ?? "") };
  }

  #each(object: KubeObject, concerns: (deployment: CachedDeployment) => boolean): void {
    // The first lists may arrive in any order; what comes before the deployments is seen when they come.
    for (const deployment of this.deployments?.list(object.metadata.namespace) ?? []) {
      if (concerns(deployment)) this.#listener?.onChange(keyOf(deployment));
    }
  }
}

export { FIELD_MANAGER };
