// Deployment → ReplicaSets: one set a pod template, sizes by the strategy, revisions, and cleaning up of old sets.
import type { Clock } from "../../clock.ts";
import type { SandboxApi } from "../api.ts";
import { deploymentStatus } from "./deploymentstatus.ts";
import {
  controllerOf,
  DEPLOYMENTS,
  type Deployment,
  keyOf,
  ownerReference,
  POD_TEMPLATE_HASH,
  type Pod,
  REPLICA_SETS,
  REVISION,
  type ReplicaSet,
} from "./kinds.ts";
import { KeyLoop } from "./loop.ts";
import { Mirror } from "./mirror.ts";
import { limitsOf, nextSizes } from "./rollout.ts";
import { canonical, safeHash, same } from "./text.ts";

export interface DeploymentController {
  /** A pod is gone: what waits for it (Recreate) looks again. */
  podGone(pod: Pod): void;
  stop(): void;
}

export function deploymentController(
  api: SandboxApi,
  clock: Clock,
  pods: Mirror<Pod>,
  onError: (key: string, error: unknown) => void,
): DeploymentController {
  const loop = new KeyLoop(clock, reconcile, onError);
  const deployments = new Mirror<Deployment>(api, DEPLOYMENTS, (object) => loop.mark(keyOf(object)));
  const sets = new Mirror<ReplicaSet>(api, REPLICA_SETS, (set) => markOwner(set));

  function markOwner(set: ReplicaSet): void {
    const owner = controllerOf(set);
    if (owner?.kind === "Deployment") loop.mark(`${set.metadata.namespace}/${owner.name}`);
  }

  function reconcile(key: string): number | undefined {
    const deployment = deployments.get(key);
    if (!deployment || deployment.metadata.deletionTimestamp) return undefined;
    const owned = sets.ownedBy(deployment.metadata.uid).filter((set) => !set.metadata.deletionTimestamp);
    owned.sort((a, b) => revisionOf(a) - revisionOf(b));
    let current = owned.find((set) => same(withoutHash(set), deployment.spec.template));
    const old = owned.filter((set) => set !== current);

    if (deployment.spec.paused) {
      // Paused stops rollouts, not scaling: only an unambiguous set follows the size.
      const alive = owned.filter((set) => (set.spec.replicas ?? 0) > 0);
      const only = alive.length === 1 ? alive[0] : undefined;
      if (only) scale(only, deployment.spec.replicas ?? 1);
    } else if (deployment.spec.strategy?.type === "Recreate") {
      for (const set of old) scale(set, 0);
      if (current || !old.some(hasPods)) {
        current = ensureCurrent(deployment, current, old, 0);
        if (!old.some(hasPods)) scale(current, deployment.spec.replicas ?? 1);
      }
    } else {
      current = ensureCurrent(deployment, current, old, 0);
      const next = nextSizes(deployment.spec.replicas ?? 1, limitsOf(deployment), sizeOf(current), old.map(sizeOf));
      scale(current, next.current);
      old.forEach((set, index) => {
        scale(set, next.old[index] ?? 0);
      });
    }
    return settle(key, current?.metadata.name);
  }

  /** Reads again what was just written, tells it in the status, and drops sets that nothing needs. */
  function settle(key: string, currentName: string | undefined): number | undefined {
    const deployment = deployments.get(key);
    if (!deployment) return undefined;
    const owned = sets.ownedBy(deployment.metadata.uid);
    const current = owned.find((set) => set.metadata.name === currentName);
    const { status, againInMs, complete } = deploymentStatus(deployment, current, owned, clock.now());
    if (complete)
      cleanUp(
        deployment,
        owned.filter((set) => set !== current),
      );
    if (!same(status, deployment.status ?? {})) api.updateStatus(DEPLOYMENTS, { ...deployment, status });
    return againInMs;
  }

  function ensureCurrent(deployment: Deployment, current: ReplicaSet | undefined, old: ReplicaSet[], replicas: number) {
    const highest = Math.max(0, ...old.map(revisionOf));
    const revision = current && revisionOf(current) > highest ? revisionOf(current) : highest + 1;
    const set = current ? refreshed(deployment, current, revision) : createSet(deployment, revision, replicas);
    if (deployment.metadata.annotations?.[REVISION] !== String(revision)) {
      const annotations = { ...deployment.metadata.annotations, [REVISION]: String(revision) };
      api.update(DEPLOYMENTS, { ...deployment, metadata: { ...deployment.metadata, annotations } });
    }
    return set;
  }

  function refreshed(deployment: Deployment, set: ReplicaSet, revision: number): ReplicaSet {
    const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
    if (revisionOf(set) === revision && (set.spec.minReadySeconds ?? 0) === minReadySeconds) return set;
    const annotations = { ...set.metadata.annotations, [REVISION]: String(revision) };
    const metadata = { ...set.metadata, annotations };
    return api.update(REPLICA_SETS, { ...set, metadata, spec: { ...set.spec, minReadySeconds } }) as ReplicaSet;
  }

  function createSet(deployment: Deployment, revision: number, replicas: number): ReplicaSet {
    const { template, selector, minReadySeconds } = deployment.spec;
    const hash = safeHash(canonical(template), 10);
    const labels = { ...template.metadata?.labels, [POD_TEMPLATE_HASH]: hash };
    return api.create(REPLICA_SETS, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: {
        name: `${deployment.metadata.name}-${hash}`,
        namespace: deployment.metadata.namespace,
        labels,
        annotations: { [REVISION]: String(revision) },
        ownerReferences: [ownerReference(deployment)],
      },
      spec: {
        replicas,
        ...(minReadySeconds ? { minReadySeconds } : {}),
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    }) as ReplicaSet;
  }

  function scale(set: ReplicaSet, replicas: number): void {
    const fresh = sets.get(keyOf(set));
    if (!fresh || (fresh.spec.replicas ?? 1) === replicas) return;
    api.update(REPLICA_SETS, { ...fresh, spec: { ...fresh.spec, replicas } });
  }

  function hasPods(set: ReplicaSet): boolean {
    const left = pods.ownedBy(set.metadata.uid);
    return left.some((pod) => pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed");
  }

  function cleanUp(deployment: Deployment, old: ReplicaSet[]): void {
    const limit = deployment.spec.revisionHistoryLimit ?? 10;
    const idle = old.filter((set) => (set.spec.replicas ?? 0) === 0 && (set.status?.replicas ?? 0) === 0);
    idle.sort((a, b) => revisionOf(a) - revisionOf(b));
    for (const set of idle.slice(0, Math.max(0, old.length - limit))) {
      if (set.metadata.deletionTimestamp) continue;
      api.delete(REPLICA_SETS, set.metadata.namespace, set.metadata.name, { uid: set.metadata.uid });
    }
  }

  return {
    podGone(pod) {
      const owner = controllerOf(pod);
      const set = owner && sets.get(`${pod.metadata.namespace}/${owner.name}`);
      if (set) markOwner(set);
    },
    stop() {
      loop.stop();
      deployments.stop();
      sets.stop();
    },
  };
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0);
}

function sizeOf(set: ReplicaSet) {
  return { replicas: set.spec.replicas ?? 1, available: set.status?.availableReplicas ?? 0 };
}

/** The set's template as the Deployment wrote it. */
function withoutHash(set: ReplicaSet) {
  const { [POD_TEMPLATE_HASH]: _hash, ...labels } = set.spec.template.metadata?.labels ?? {};
  return { ...set.spec.template, metadata: { ...set.spec.template.metadata, labels } };
}
