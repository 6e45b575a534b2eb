// A played Gateway for the simulated operator: the CRD of HTTPRoutes, and a controller that says of each route whether it takes it.

import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import type { HttpRoute } from "../../src/kube/objects.ts";
import { IDS, type Simulation } from "./simulated.ts";

const CRD = load(readFileSync("tests/fixtures/gateway-api/httproutes.yaml", "utf8"));

/** How long it takes to look at a route, ms. */
const LOOK_MS = 300;

export interface PlayedGateway {
  /** False: it refuses every route from now on. */
  accepts: boolean;
  /** Each pair of weights that it was given, as "100/0". */
  readonly seen: string[];
}

export const routeOf = (simulation: Simulation): HttpRoute | undefined =>
  simulation.server.get(IDS.routes, "default", "toy") as unknown as HttpRoute | undefined;

export const weightsOf = (route: HttpRoute | undefined): string =>
  (route?.spec.rules?.[0]?.backendRefs ?? []).map((ref) => ref.weight ?? 1).join("/");

/** Installs the Gateway API and a Gateway. */
export function installGateway(simulation: Simulation): PlayedGateway {
  const { server, clock } = simulation;
  const gateway: PlayedGateway = { accepts: true, seen: [] };
  server.installCrd(CRD);
  simulation.previewWeight = () => Number(weightsOf(routeOf(simulation)).split("/")[1] ?? 0);
  const look = () => {
    const route = routeOf(simulation);
    if (!route) return;
    const observed = route.status?.parents?.[0]?.conditions?.[0];
    const status = gateway.accepts ? "True" : "False";
    if (observed?.observedGeneration === route.metadata.generation && observed?.status === status) return;
    const common = { observedGeneration: route.metadata.generation };
    const conditions = [
      { type: "Accepted", status, reason: gateway.accepts ? "Accepted" : "NotAllowedByListeners", message: "", ...common },
      { type: "ResolvedRefs", status: "True", reason: "ResolvedRefs", message: "", ...common },
    ];
    const parents = [{ parentRef: { name: "g" }, controllerName: "example.com/gateway", conditions }];
    server.updateStatus(IDS.routes, { ...route, status: { parents } } as never);
  };
  server.watch(IDS.routes, () => {
    const weights = weightsOf(routeOf(simulation));
    if (gateway.seen.at(-1) !== weights) gateway.seen.push(weights);
    clock.after(LOOK_MS, look);
  });
  return gateway;
}
