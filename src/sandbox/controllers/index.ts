// Starts the sandbox's controllers: Deployments, ReplicaSets, EndpointSlices and the scheduler, on any clock.
import type { Clock } from "../../clock.ts";
import type { SandboxApi } from "../api.ts";
import { deploymentController } from "./deployment.ts";
import { endpointsController } from "./endpoints.ts";
import { PODS, type Pod } from "./kinds.ts";
import { Mirror } from "./mirror.ts";
import { replicaSetController } from "./replicaset.ts";
import { scheduler } from "./scheduler.ts";
import { portRewriter } from "./sharedports.ts";

export interface ControllerOptions {
  /** Hears of passes that failed and will be retried. */
  onError?: (controller: string, key: string, error: unknown) => void;
  /** Pods have one address for all: each gets ports of its own. */
  sharedAddress?: boolean;
}

type PodListener = (pod: Pod, previous: Pod | undefined, type: "ADDED" | "MODIFIED" | "DELETED") => void;

/**
 * Controllers need no node: pods are created and bound, and whoever plays the kubelet moves their status.
 * Deterministic for a deterministic clock and store.
 */
export function startControllers(
  api: SandboxApi,
  clock: Clock,
  { onError = () => {}, sharedAddress = false }: ControllerOptions = {},
): { stop(): void } {
  const listeners: PodListener[] = [];
  const listen = (listener: PodListener) => void listeners.push(listener);
  const pods = new Mirror<Pod>(api, PODS, (pod, type, previous) => {
    for (const listener of listeners) listener(pod, previous, type);
  });
  const errors = (name: string) => (key: string, error: unknown) => onError(name, key, error);

  const deployments = deploymentController(api, clock, pods, errors("deployment"));
  listen((pod, _previous, type) => {
    if (type === "DELETED") deployments.podGone(pod);
  });
  const running = [
    deployments,
    replicaSetController(api, clock, pods, listen, errors("replicaset"), sharedAddress ? portRewriter(process.pid) : undefined),
    endpointsController(api, clock, pods, listen, errors("endpointslice")),
    scheduler(api, clock, pods, listen, errors("scheduler")),
  ];
  // Pods that were there before the controllers.
  for (const pod of pods.list()) for (const listener of listeners) listener(pod, undefined, "ADDED");

  return {
    stop() {
      for (const controller of running) controller.stop();
      pods.stop();
    },
  };
}
