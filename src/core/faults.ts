// Whose fault it is that a candidate's pods don't get ready: the model's own (quarantine) or the cluster's (wait and try again).
// One small rule a state, in the order in which they are asked; faulttable/ has an example of each. What can't be told apart is
// the cluster's: unknown never quarantines.

import type { FaultReason, StalledReason } from "../api/reasons.ts";
import { sanitizeLine } from "../text.ts";
import type { Child, ContainerFacts, PodFacts } from "./snapshot.ts";

export type Fault = { message: string } & (
  | { /** Of the version or its settings. */ of: "Own"; reason: FaultReason }
  | { /** Of what is around it; it may pass by itself. */ of: "Cluster"; reason: StalledReason }
);

/** Exit codes of `rollguard fetch`: whose fault a failed download is. After sysexits.h: EX_DATAERR and EX_TEMPFAIL. */
export const FETCH_EXIT = { artifact: 65, source: 75 } as const;

/** Name of the init container that the operator adds. */
export const FETCH_CONTAINER = "rollguard-fetch";

function fetchFault(container: ContainerFacts): Fault | undefined {
  if (container.name !== FETCH_CONTAINER || !container.terminated || container.terminated.exitCode === 0) return undefined;
  const { exitCode, message: text } = container.terminated;
  const told = readMessage(text);
  const message = told.message || `rollguard fetch ended with exit code ${exitCode}`;
  // The fetch is ours: its reasons are those of artifacts/errors.ts.
  if (exitCode === FETCH_EXIT.artifact) return { of: "Own", reason: (told.reason ?? "ArtifactInvalid") as FaultReason, message };
  return { of: "Cluster", reason: (told.reason ?? "ArtifactUnavailable") as StalledReason, message };
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

/** Reasons of the kubelet for an image that is not there. */
const PULL = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "ErrImageNeverPull",
  "ImageInspectError",
  "RegistryUnavailable",
  "SignatureValidationFailed",
]);
/** Words of containerd, CRI-O and Docker for a registry that answered that it has no such image. */
const NOT_FOUND = /not found|manifest unknown|name unknown|no match(ing manifest)? for platform|no matching manifest/i;
/** A registry hides private images behind the same words, and a name server has words like them. */
const UNSURE = /authoriz|unauthorized|denied|forbidden|no pull access|no such host|lookup |dial tcp|secret|timeout|x509/i;

function imageFault({ waiting }: ContainerFacts): Fault | undefined {
  if (!waiting) return undefined;
  const { reason, message } = waiting;
  if (reason === "InvalidImageName") return { of: "Own", reason, message };
  if (!PULL.has(reason)) return undefined;
  const gone = reason !== "ErrImageNeverPull" && NOT_FOUND.test(message) && !UNSURE.test(message);
  return gone ? { of: "Own", reason: "ImageNotFound", message } : { of: "Cluster", reason: "ImageUnavailable", message };
}

/** Reasons for a container that was not made or did not start: the kubelet's, containerd's and Docker's. */
const NOT_STARTED = new Set(["CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"]);
/** Words of the OCI runtimes for a command or an image that can't be run anywhere. */
const CANNOT_RUN = /exec format error|executable file not found|no command specified|exec: .*(no such file|permission denied)/i;

function startFault({ waiting, terminated }: ContainerFacts): Fault | undefined {
  if (waiting?.reason === "CreateContainerConfigError")
    // A missing Secret, or a key in it, may yet be made.
    return { of: "Cluster", reason: "CreateContainerConfigError", message: waiting.message };
  const seen = [waiting, terminated].find((one) => one && NOT_STARTED.has(one.reason));
  if (!seen) return undefined;
  if (CANNOT_RUN.test(seen.message)) return { of: "Own", reason: "ContainerCannotRun", message: seen.message };
  return { of: "Cluster", reason: "ContainerNotStarted", message: `${seen.reason}: ${seen.message}` };
}

function crashFault(container: ContainerFacts, failures: number): Fault | undefined {
  if (container.name === FETCH_CONTAINER || container.restarts < failures) return undefined;
  const end = container.terminated;
  const reason = end?.reason === "OOMKilled" ? "OOMKilled" : "CrashLoop";
  const how = end ? `last ended with ${end.reason} (exit code ${end.exitCode})` : "keeps restarting";
  return { of: "Own", reason, message: `container ${container.name} restarted ${container.restarts} times; it ${how}` };
}

/** The kubelet's reasons for a pod that it will not run on its node, whatever the scheduler thought. */
const REJECTED =
  /^(UnexpectedAdmissionError|OutOf.+|NodeAffinity|NodePorts|TopologyAffinityError|SMTAlignmentError|InvalidNodeInfo)$/;

/** What ended a pod from outside; its successor is already on its way. */
const isGone = (pod: PodFacts): boolean =>
  pod.terminating ||
  pod.lost === true ||
  ["Evicted", "NodeLost", "NodeShutdown", "Terminated", "Preempting"].includes(pod.reason ?? "");

/**
 * The first fault that the pods of a candidate show, an own one before a cluster's.
 * @param failures restarts of one container from which on it counts as a crash loop
 */
export function faultOf(pods: readonly PodFacts[], failures: number): Fault | undefined {
  const faults: Fault[] = [];
  for (const pod of pods) {
    if (isGone(pod)) continue;
    if (pod.unschedulable !== undefined) faults.push({ of: "Cluster", reason: "Unschedulable", message: pod.unschedulable });
    if (REJECTED.test(pod.reason ?? ""))
      faults.push({ of: "Cluster", reason: "NodeRejected", message: `${pod.name}: ${pod.reason}: ${pod.message ?? ""}` });
    // What is ready now has got over its restarts: a lifetime's count says nothing about this rollout.
    for (const container of pod.ready ? [] : pod.containers) {
      const fault = fetchFault(container) ?? imageFault(container) ?? startFault(container) ?? crashFault(container, failures);
      if (fault) faults.push({ ...fault, message: `${pod.name}: ${fault.message}` });
    }
  }
  return faults.find((fault) => fault.of === "Own") ?? faults[0];
}

/** As `faultOf`, with what keeps the Deployment's controller from making pods at all. */
export function childFault(child: Child, failures: number): Fault | undefined {
  const fault = faultOf(child.pods, failures);
  if (fault?.of === "Own" || !child.trouble) return fault;
  const { message } = child.trouble;
  return { of: "Cluster", reason: /exceeded quota/i.test(message) ? "QuotaExceeded" : "AdmissionRefused", message };
}

/** What is known of pods that did not get ready in time and show no fault: no reason to give up before the deadline. */
export function lateFault(pods: readonly PodFacts[]): Fault | undefined {
  for (const pod of pods) {
    const { name, reason, message } = pod;
    if (reason === "Evicted") return { of: "Cluster", reason, message: `${name}: ${message ?? "evicted"}` };
    if (pod.lost) return { of: "Cluster", reason: "NodeLost", message: `${name}: its node is not ready` };
    if (pod.gated !== undefined) return { of: "Cluster", reason: "SchedulingGated", message: `${name}: ${pod.gated}` };
    const made = pod.containers.some((one) => one.running || one.terminated);
    if (pod.placed && !made && !isGone(pod))
      return {
        of: "Cluster",
        reason: "PodNotStarted",
        message: `${name} is placed and none of its containers was made: volumes, network or device; its events say which`,
      };
  }
  return undefined;
}
