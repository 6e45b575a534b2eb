// A pod's status from its containers: phase and conditions by the kubelet's rules. Conditions of others are kept.
import { type Condition, type Pod, type PodStatus, timestamp, withCondition } from "../controllers/kinds.ts";
import type { ContainerRun } from "./container.ts";

export function podStatus(
  pod: Pod,
  ip: string,
  init: readonly ContainerRun[],
  main: readonly ContainerRun[],
  nowMs: number,
): PodStatus {
  const now = timestamp(nowMs);
  const phase = phaseOf(pod, init, main);
  const initialized = init.filter((each) => !(exitCode(each) === 0 || (each.spec.restartPolicy === "Always" && each.started)));
  const unready = main.filter((each) => !each.ready);
  const done = phase === "Succeeded";
  let conditions = pod.status?.conditions;
  const set = (type: string, missing: readonly ContainerRun[], reason: string, what: string) => {
    const names = missing.map((each) => each.spec.name).join(" ");
    const next: Condition =
      missing.length === 0
        ? { type, status: "True", ...(done && type === "Initialized" ? { reason: "PodCompleted" } : {}) }
        : {
            type,
            status: "False",
            reason: done ? "PodCompleted" : reason,
            ...(done ? {} : { message: `containers with ${what} status: [${names}]` }),
          };
    conditions = withCondition(conditions, next, now);
  };
  const ran = phase === "Running" || phase === "Succeeded";
  set("Initialized", ran ? [] : initialized, "ContainersNotInitialized", "incomplete");
  set("ContainersReady", unready, "ContainersNotReady", "unready");
  set("Ready", unready, "ContainersNotReady", "unready");
  // Bound, but the scheduler's own word is missing (a pod made with its nodeName).
  conditions = withCondition(conditions, { type: "PodScheduled", status: "True" }, now);
  return {
    ...pod.status,
    phase,
    conditions,
    hostIP: "127.0.0.1",
    podIP: ip,
    podIPs: [{ ip }],
    startTime: pod.status?.startTime ?? now,
    ...(init.length > 0
      ? { initContainerStatuses: init.map((each) => ({ ...each.status(), ready: exitCode(each) === 0 })) }
      : {}),
    containerStatuses: main.map((each) => each.status()),
  };
}

function phaseOf(pod: Pod, init: readonly ContainerRun[], main: readonly ContainerRun[]): string {
  const current = pod.status?.phase;
  if (current === "Succeeded" || current === "Failed") return current;
  const policy = pod.spec.restartPolicy ?? "Always";
  if (policy === "Never" && init.some((each) => (exitCode(each) ?? 0) !== 0)) return "Failed";
  if (main.some((each) => "waiting" in each.state && !each.ranBefore)) return "Pending";
  const ended = main.every((each) => "terminated" in each.state && !each.alive);
  if (!ended || policy === "Always") return "Running";
  if (main.every((each) => exitCode(each) === 0)) return "Succeeded";
  return policy === "Never" ? "Failed" : "Running";
}

function exitCode(container: ContainerRun): number | undefined {
  return "terminated" in container.state ? container.state.terminated.exitCode : undefined;
}
