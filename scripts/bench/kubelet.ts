// A kubelet that runs nothing: each pod that is bound to the node is Running and Ready at once, and gone when it is deleted.
// What is measured is the operator; processes of pods would only share its cores.

import type { SandboxApi } from "../../src/sandbox/api.ts";
import { PODS, type Pod, timestamp } from "../../src/sandbox/controllers/kinds.ts";
import { NODE_NAME } from "../../src/sandbox/node/node.ts";

/** Returns how to stop. Pods have addresses of 127.1.0.0/16 at which nobody answers. */
export function startKubelet(api: SandboxApi): () => void {
  let last = 0;
  const started = new Set<string>();
  return api.watch(PODS, ({ type, object }) => {
    const pod = object as Pod;
    const { name, namespace, uid, deletionTimestamp } = pod.metadata;
    if (type === "DELETED") started.delete(uid);
    else if (deletionTimestamp !== undefined) {
      // In a later turn: the store is telling of a change just now.
      setImmediate(() => remove(api, namespace, name, uid));
    } else if (pod.spec.nodeName === NODE_NAME && !started.has(uid)) {
      started.add(uid);
      last++;
      const ip = `127.1.${(last >> 8) & 255}.${last & 255}`;
      setImmediate(() => run(api, namespace, name, uid, ip));
    }
  });
}

function remove(api: SandboxApi, namespace: string | undefined, name: string, uid: string): void {
  if (api.get(PODS, namespace, name)?.metadata.uid === uid) api.delete(PODS, namespace, name, { uid, gracePeriodSeconds: 0 });
}

function run(api: SandboxApi, namespace: string | undefined, name: string, uid: string, ip: string): void {
  const pod = api.get(PODS, namespace, name) as Pod | undefined;
  if (!pod || pod.metadata.uid !== uid || pod.metadata.deletionTimestamp !== undefined) return;
  const now = timestamp(Date.now());
  const yes = (condition: string) => ({ type: condition, status: "True" as const, lastTransitionTime: now });
  api.updateStatus(PODS, {
    ...pod,
    status: {
      ...pod.status,
      phase: "Running",
      hostIP: "127.0.0.1",
      podIP: ip,
      podIPs: [{ ip }],
      startTime: now,
      conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(yes),
      containerStatuses: pod.spec.containers.map((container) => ({
        name: container.name,
        image: container.image,
        imageID: "",
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: now } },
      })),
    },
  });
}
