// Rows of the table of faults as the operator would see them.

import { childFacts, podFacts } from "../../src/controllers/facts.ts";
import type { FaultRow } from "../../src/core/faulttable/row.ts";
import type { Child } from "../../src/core/snapshot.ts";
import type { Deployment, Pod } from "../../src/kube/objects.ts";

/** The row as the operator's caches would hold it. */
export function childOf({ pod, failure }: FaultRow, nodeReady = true): Child {
  const conditions = failure ? [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: failure }] : [];
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "m-r2", generation: 1, ownerReferences: [{ uid: "uid-1", controller: true }] },
    spec: { replicas: 2, selector: {}, template: { spec: { containers: [] } } },
    status: { observedGeneration: 1, conditions },
  } as unknown as Deployment;
  const scheduled = JSON.stringify(pod ?? {}).includes('"PodScheduled","status":"True"');
  const object = {
    metadata: { name: "m-r2-0", creationTimestamp: "2026-11-24T10:00:00Z" },
    spec: { containers: [], ...(scheduled ? { nodeName: "n1" } : {}) },
    status: pod,
  } as unknown as Pod;
  return childFacts(deployment, 2, pod ? [podFacts(object, nodeReady)] : [], "uid-1");
}
