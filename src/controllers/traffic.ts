// The writes that move traffic: the Service, the HTTPRoute and the preview Service, each in one request.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import { FIELD_MANAGER, previewName } from "../api/names.ts";
import type { Plan } from "../core/plan.ts";
import type { Service } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { applyWhereDifferent, type Executor, mayWrite } from "./apply.ts";
import { portsInTheWay, service } from "./objects.ts";
import { httpRoute, mayPatch, weightsPatch } from "./routes.ts";

/** Applies a Service; a port that somebody else put under the name of ours goes first, since apply takes no item away from its owner. */
async function applyService(
  executor: Executor,
  wanted: Service,
  live: Service | undefined,
  owner: string | undefined,
  lane?: "urgent",
): Promise<void> {
  let present = live;
  if (present && mayWrite(present, wanted, owner) && portsInTheWay(wanted, present)) {
    executor.assertLeading();
    const { namespace, name, resourceVersion } = present.metadata;
    present = await executor.client.patch<Service>(
      RESOURCES.services,
      { namespace, name },
      "merge",
      { metadata: { resourceVersion }, spec: { ports: wanted.spec.ports } },
      { fieldManager: FIELD_MANAGER, ...(lane ? { lane } : {}) },
    );
    if (live) executor.edits.undone(wanted, live);
  }
  await applyWhereDifferent(executor, wanted, present, owner, lane);
}

/** The Service: one write moves all the traffic, or lets every pod of the deployment have a share. */
export async function writeService(executor: Executor, key: string, deployment: ModelDeployment, plan: Plan): Promise<void> {
  if (plan.service === undefined) return;
  const { name, uid } = deployment.metadata;
  const live = executor.caches.services.of(key).find((one) => one.metadata.name === name);
  const wanted = service(deployment, plan.service, deployment.status?.decision ?? 0, false);
  await applyService(executor, wanted, live, uid, "urgent");
}

export async function writePreview(executor: Executor, key: string, deployment: ModelDeployment, plan: Plan): Promise<void> {
  if (plan.preview === undefined) return;
  const { name, uid } = deployment.metadata;
  const live = executor.caches.services.of(key).find((one) => one.metadata.name === previewName(name));
  await applyService(executor, service(deployment, plan.preview, deployment.status?.decision ?? 0, true), live, uid);
}

/** The HTTPRoute: one write shares the traffic, or gives all of it back. */
export async function writeRoute(executor: Executor, deployment: ModelDeployment, plan: Plan): Promise<void> {
  const { routes } = executor.caches;
  if (plan.routeWeight === undefined || !routes.served) return;
  const { namespace, name, uid } = deployment.metadata;
  const decision = deployment.status?.decision ?? 0;
  const live = routes.get(namespace, name);
  if (!live || !mayPatch(live, deployment)) {
    await applyWhereDifferent(executor, httpRoute(deployment, plan.routeWeight, decision), live, uid, "urgent");
    return;
  }
  const patch = weightsPatch(live, name, plan.routeWeight, decision);
  if (patch.length === 0) return;
  executor.assertLeading();
  const at = { name, ...(namespace === undefined ? {} : { namespace }) };
  await executor.client.patch(RESOURCES.httpRoutes, at, "json", patch, { fieldManager: FIELD_MANAGER, lane: "urgent" });
}
