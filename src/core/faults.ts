// Whose fault it is that a candidate's pods don't get ready: the model's own (quarantine) or the cluster's (wait and try again).
// One small rule a state, in the order in which they are asked; reasons are the kubelet's and the scheduler's own.

import { sanitizeLine } from "../text.ts";
import type { ContainerFacts, PodFacts } from "./snapshot.ts";

export interface Fault {
  /** Own: of the version or its settings. Cluster: of what is around it; it may pass by itself. */
  of: "Own" | "Cluster";
  reason: string;
  message: string;
}

/** Exit codes of `rollguard fetch`: whose fault a failed download is. After sysexits.h: EX_DATAERR and EX_TEMPFAIL. */
export const FETCH_EXIT = { artifact: 65, source: 75 } as const;

/** Name of the init container that the operator adds. */
export const FETCH_CONTAINER = "rollguard-fetch";

const NOT_FOUND = /not found|manifest unknown|does not exist|name unknown|repository does not exist/i;

function fetchFault(container: ContainerFacts): Fault | undefined {
  if (container.name !== FETCH_CONTAINER || !container.terminated || container.terminated.exitCode === 0) return undefined;
  const { exitCode, message } = container.terminated;
  const told = readMessage(message);
  const words = told.message || `rollguard fetch ended with exit code ${exitCode}`;
  if (exitCode === FETCH_EXIT.artifact) return { of: "Own", reason: told.reason ?? "ArtifactInvalid", message: words };
  return { of: "Cluster", reason: told.reason ?? "ArtifactSourceUnavailable", message: words };
}

/** The termination message of the fetch is one JSON line {reason, message}; anything else is taken as text. */
function readMessage(text: string): { reason?: string; message: string } {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) return { message: text };
    const { reason, message } = parsed as { reason?: unknown; message?: unknown };
    return {
      ...(typeof reason === "string" && /^[A-Za-z]{1,64}$/.test(reason) ? { reason } : {}),
      // Escapes become what they stand for only here.
      message: typeof message === "string" ? sanitizeLine(message, 512) : "",
    };
  } catch {
    return { message: text };
  }
}

function imageFault(container: ContainerFacts): Fault | undefined {
  const { reason, message } = container.waiting ?? { reason: "", message: "" };
  if (reason === "InvalidImageName") return { of: "Own", reason, message };
  if (reason !== "ErrImagePull" && reason !== "ImagePullBackOff" && reason !== "ErrImageNeverPull") return undefined;
  if (reason === "ErrImageNeverPull" || NOT_FOUND.test(message)) return { of: "Own", reason: "ImageNotFound", message };
  return { of: "Cluster", reason: "ImagePullFailed", message };
}

function crashFault(container: ContainerFacts, failures: number): Fault | undefined {
  if (container.name === FETCH_CONTAINER || container.restarts < failures) return undefined;
  const end = container.terminated;
  const reason = end?.reason === "OOMKilled" ? "OOMKilled" : "CrashLoop";
  const how = end ? `last ended with ${end.reason} (exit code ${end.exitCode})` : "keeps restarting";
  return { of: "Own", reason, message: `container ${container.name} restarted ${container.restarts} times; it ${how}` };
}

function configFault(container: ContainerFacts): Fault | undefined {
  const { reason, message } = container.waiting ?? { reason: "", message: "" };
  if (reason !== "CreateContainerConfigError" && reason !== "CreateContainerError" && reason !== "RunContainerError")
    return undefined;
  // A missing Secret may yet be made; a command that can't be started is the version's own.
  return { of: reason === "CreateContainerConfigError" ? "Cluster" : "Own", reason, message };
}

/**
 * The first fault that the pods of a candidate show, an own one before a cluster's.
 * @param failures restarts of one container from which on it counts as a crash loop
 */
export function faultOf(pods: readonly PodFacts[], failures: number): Fault | undefined {
  const faults: Fault[] = [];
  for (const pod of pods) {
    if (pod.terminating || pod.reason === "Evicted" || pod.reason === "NodeLost") continue;
    if (pod.unschedulable !== undefined) faults.push({ of: "Cluster", reason: "Unschedulable", message: pod.unschedulable });
    // What is ready now has got over its restarts: a lifetime's count says nothing about this rollout.
    for (const container of pod.ready ? [] : pod.containers) {
      const fault = fetchFault(container) ?? imageFault(container) ?? configFault(container) ?? crashFault(container, failures);
      if (fault) faults.push({ ...fault, message: `${pod.name}: ${fault.message}` });
    }
  }
  return faults.find((fault) => fault.of === "Own") ?? faults[0];
}
