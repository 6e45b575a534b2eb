// Binds pods to nodes: selector, cordons and the sum of requests are looked at, in the words of the real scheduler.
import type { Clock } from "../../clock.ts";
import type { SandboxApi } from "../api.ts";
import { type Condition, keyOf, NODES, type Node, PODS, type Pod, type PodSpec, timestamp, withCondition } from "./kinds.ts";
import { KeyLoop } from "./loop.ts";
import { Mirror } from "./mirror.ts";
import { quantity, same } from "./text.ts";

export function scheduler(
  api: SandboxApi,
  clock: Clock,
  pods: Mirror<Pod>,
  listen: (onPod: (pod: Pod, previous: Pod | undefined, type: string) => void) => void,
  onError: (key: string, error: unknown) => void,
): { stop(): void } {
  const loop = new KeyLoop(clock, schedule, onError);
  const waiting = new Set<string>();
  const markWaiting = () => {
    for (const key of waiting) loop.mark(key);
  };
  const nodes = new Mirror<Node>(api, NODES, markWaiting);
  listen((pod, _previous, type) => {
    const key = keyOf(pod);
    if (type === "DELETED") {
      waiting.delete(key);
      markWaiting();
    } else if (!pod.spec.nodeName) loop.mark(key);
    else if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") markWaiting();
  });

  function schedule(key: string): undefined {
    const pod = pods.get(key);
    if (!pod || pod.spec.nodeName || pod.metadata.deletionTimestamp) {
      waiting.delete(key);
      return;
    }
    const reasons = new Map<string, number>();
    const candidates = nodes.list();
    const fitting = candidates.filter((node) => {
      const reason = whyNot(pod, node);
      if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      return !reason;
    });
    const load = (node: Node) => onNode(node).length;
    const chosen = fitting.sort((a, b) => load(a) - load(b))[0];
    if (chosen) return bind(pod, chosen);
    waiting.add(key);
    const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).join(", ");
    const message = candidates.length
      ? `0/${candidates.length} nodes are available: ${why}.`
      : "no nodes available to schedule pods";
    tell(pod, { type: "PodScheduled", status: "False", reason: "Unschedulable", message });
  }

  function bind(pod: Pod, node: Node): undefined {
    waiting.delete(keyOf(pod));
    const bound = api.update(PODS, { ...pod, spec: { ...pod.spec, nodeName: node.metadata.name } }) as Pod;
    tell(bound, { type: "PodScheduled", status: "True" });
  }

  function tell(pod: Pod, next: Condition): void {
    const conditions = withCondition(pod.status?.conditions, next, timestamp(clock.now()));
    const status = { ...pod.status, phase: pod.status?.phase ?? "Pending", conditions };
    if (!same(status, pod.status ?? {})) api.updateStatus(PODS, { ...pod, status });
  }

  function onNode(node: Node): Pod[] {
    return pods
      .list()
      .filter(
        (pod) => pod.spec.nodeName === node.metadata.name && pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed",
      );
  }

  function whyNot(pod: Pod, node: Node): string | undefined {
    const ready = node.status?.conditions?.find((each) => each.type === "Ready");
    if (ready && ready.status !== "True") return "node(s) were not ready";
    if (node.spec?.unschedulable) return "node(s) were unschedulable";
    const labels = node.metadata.labels ?? {};
    if (Object.entries(pod.spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) {
      return "node(s) didn't match Pod's node affinity/selector";
    }
    const wanted = Object.entries(requests(pod.spec));
    if (wanted.length === 0) return undefined;
    const taken = onNode(node).map((other) => requests(other.spec));
    for (const [resource, amount] of wanted) {
      const used = taken.reduce((total, each) => total + (each[resource] ?? 0), 0);
      if (used + amount > (quantity(node.status?.allocatable?.[resource]) ?? 0)) return `Insufficient ${resource}`;
    }
    return undefined;
  }

  return {
    stop() {
      loop.stop();
      nodes.stop();
    },
  };
}

/** What a pod asks for: the sum of its containers, or its largest init container; a limit alone is a request too. */
function requests(spec: PodSpec): Record<string, number> {
  const total: Record<string, number> = {};
  const of = (container: PodSpec["containers"][number]) =>
    Object.entries({ ...container.resources?.limits, ...container.resources?.requests });
  for (const container of spec.containers) {
    for (const [name, amount] of of(container)) total[name] = (total[name] ?? 0) + (quantity(amount) ?? 0);
  }
  for (const container of spec.initContainers ?? []) {
    for (const [name, amount] of of(container)) total[name] = Math.max(total[name] ?? 0, quantity(amount) ?? 0);
  }
  return total;
}
