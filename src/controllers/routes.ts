// HTTPRoutes of the Gateway API: watched only where a deployment wants one and the cluster has the kind, read into facts, and
// written: ours by server-side apply, an adopted one of somebody else by a patch of two weights under a test.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import { ANNOTATIONS, LABELS, previewName } from "../api/names.ts";
import { type Clock, sleep } from "../clock.ts";
import { percent } from "../core/canary.ts";
import type { RouteFacts } from "../core/snapshot.ts";
import type { KubeClient } from "../kube/client.ts";
import type { BackendRef, HttpRoute, KubeObject } from "../kube/objects.ts";
import { Reflector } from "../kube/reflector.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import { sanitizeLine } from "../text.ts";
import { decisionOf, isControlledBy } from "./facts.ts";
import { ownedMeta } from "./objects.ts";

/** How long until the cluster is asked again whether it has HTTPRoutes, ms. */
const AGAIN_MS = 30_000;

export interface RouteWatchOptions {
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  namespace?: string;
  holds?: (object: KubeObject) => boolean;
  /** 0 to 1, for back-off; see Reflector. */
  random?: () => number;
  /** Another state of the route of this namespace and name. */
  onRoute(key: string): void;
  /** It has become known whether the cluster has the kind. */
  onServed(): void;
}

/** Begins with the first deployment that wants a route, and goes on asking until the cluster has the kind. */
export class RouteWatch {
  #options: RouteWatchOptions;
  #reflector: Reflector<HttpRoute>;
  #signal?: AbortSignal;
  #served: boolean | undefined;
  #begun = false;

  constructor(options: RouteWatchOptions) {
    this.#options = options;
    const { client, clock, logger, namespace, holds, random } = options;
    this.#reflector = new Reflector<HttpRoute>({
      client,
      resource: RESOURCES.httpRoutes,
      clock,
      logger,
      ...(namespace === undefined ? {} : { namespace }),
      holds,
      ...(random ? { random } : {}),
      onChange: (_type, key) => options.onRoute(key),
    });
  }

  /** True where routes are watched; false where the cluster has no such kind; undefined while it is not known. */
  get served(): boolean | undefined {
    return this.#served;
  }

  get(namespace: string | undefined, name: string): HttpRoute | undefined {
    return this.#served ? this.#reflector.get(namespace, name) : undefined;
  }

  start(signal: AbortSignal): void {
    this.#signal = signal;
  }

  want(): void {
    if (this.#begun || !this.#signal) return;
    this.#begun = true;
    void this.#run(this.#signal).catch(() => undefined);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, onServed } = this.#options;
    while (!(await this.#isServed(signal))) await sleep(clock, AGAIN_MS, signal);
    this.#reflector.start(signal);
    await this.#reflector.synced();
    this.#served = true;
    onServed();
  }

  async #isServed(signal: AbortSignal): Promise<boolean> {
    const { client, logger, onServed } = this.#options;
    try {
      const served = await hasRoutes(client, signal);
      const news = !served && this.#served === undefined;
      if (!served) this.#served = false;
      if (news) onServed();
      return served;
    } catch (error) {
      if (signal.aborted) throw error;
      logger.warn({ error: sanitizeLine(String(error)) }, "it is not known whether there are HTTPRoutes; asked again");
      return false;
    }
  }
}

/** Asks the server's discovery, which always answers: a 404 of the collection itself might be a proxy's. */
async function hasRoutes(client: KubeClient, signal: AbortSignal): Promise<boolean> {
  const { group, version, plural } = RESOURCES.httpRoutes;
  const groups = (await client.getPath("/apis", { signal })).groups as
    | { name?: string; versions?: { version?: string }[] }[]
    | undefined;
  if (!groups?.find((one) => one.name === group)?.versions?.some((one) => one.version === version)) return false;
  const kinds = (await client.getPath(`/apis/${group}/${version}`, { signal })).resources as { name?: string }[] | undefined;
  return kinds?.some((one) => one.name === plural) ?? false;
}

/** The two backends of a deployment in one list of a route, where it names both. */
function pairIn(
  refs: readonly BackendRef[] | undefined,
  deployment: string,
  namespace: string | undefined,
): { main: number; preview: number } | undefined {
  // A Service of another namespace may have the same name.
  const isHere = (ref: BackendRef) => (ref.namespace ?? namespace) === namespace && (ref.group ?? "") === "";
  const of = (name: string) =>
    (refs ?? []).findIndex((ref) => ref.name === name && (ref.kind ?? "Service") === "Service" && isHere(ref));
  const main = of(deployment);
  const preview = of(previewName(deployment));
  return main < 0 || preview < 0 ? undefined : { main, preview };
}

const adopted = (route: HttpRoute, deployment: string) => route.metadata.annotations?.[ANNOTATIONS.adopt] === deployment;

/**
 * @param selects what the two Services select now
 */
export function routeFacts(
  route: HttpRoute,
  deployment: { name: string; uid: string | undefined },
  selects: { main: number | undefined; preview: number | undefined },
): RouteFacts {
  const { name, uid } = deployment;
  const ours = isControlledBy(route, uid);
  const lists = (route.spec.rules ?? []).map((rule) => rule.backendRefs ?? []);
  const shares = lists.flatMap((refs) => {
    const pair = pairIn(refs, name, route.metadata.namespace);
    if (!pair) return [];
    const [main, preview] = [refs[pair.main]?.weight ?? 1, refs[pair.preview]?.weight ?? 1];
    return [percent(preview, main + preview)];
  });
  // Where rules differ, the candidate still gets what the largest one sends.
  const preview = Math.max(0, ...shares);
  const weights: Record<number, number> = {};
  if (selects.main !== undefined) weights[selects.main] = 100 - preview;
  if (selects.preview !== undefined) weights[selects.preview] = (weights[selects.preview] ?? 0) + preview;
  const refused =
    !ours && !adopted(route, name)
      ? `HTTPRoute ${name} exists and is not controlled by this ModelDeployment`
      : shares.length === 0
        ? `no rule of HTTPRoute ${name} has both backends ${name} and ${previewName(name)}`
        : undefined;
  const judged = acceptance(route);
  return {
    owner: ours ? "Ours" : "Foreign",
    ...judged,
    ...(refused === undefined ? {} : { accepted: "False" as const, message: refused }),
    preview,
    weights,
    decision: decisionOf(route),
  };
}

/** What the Gateways say: each parent has to have looked at this generation, and to take the route with all its backends. */
function acceptance(route: HttpRoute): Pick<RouteFacts, "generationSeen" | "accepted" | "message"> {
  const { generation = 0 } = route.metadata;
  const parents = route.spec.parentRefs ?? [];
  const said = parents.map((parent) =>
    (route.status?.parents ?? []).find(
      ({ parentRef }) =>
        parentRef?.name === parent.name &&
        (parent.sectionName === undefined || parentRef?.sectionName === parent.sectionName) &&
        (parent.namespace === undefined || parentRef?.namespace === undefined || parentRef.namespace === parent.namespace),
    ),
  );
  const conditions = said.flatMap((one) => one?.conditions ?? []);
  const generationSeen =
    parents.length > 0 &&
    said.every((one) => {
      const accepted = one?.conditions?.find((condition) => condition.type === "Accepted");
      return accepted !== undefined && (accepted.observedGeneration ?? 0) >= generation;
    });
  const bad = conditions.find((one) => (one.type === "Accepted" || one.type === "ResolvedRefs") && one.status !== "True");
  if (bad) {
    const message = sanitizeLine(`${bad.type} is ${bad.status}: ${bad.reason ?? ""} ${bad.message ?? ""}`.trim(), 256);
    return { generationSeen, accepted: bad.status === "False" ? "False" : "Unknown", message };
  }
  const missing = parents.find((_, index) => !said[index]?.conditions?.some((one) => one.type === "Accepted"));
  if (missing || parents.length === 0) {
    const message = sanitizeLine(`Gateway ${String(missing?.name ?? "")} has not said yet whether it accepts the HTTPRoute`, 256);
    return { generationSeen, accepted: "Unknown", message };
  }
  return { generationSeen, accepted: "True", message: generationSeen ? "" : "the Gateway has not seen the newest weights yet" };
}

const ALL_PATHS = [{ path: { type: "PathPrefix", value: "/" } }];

/** The HTTPRoute of a deployment as it is applied: two backends, which share 100. */
export function httpRoute(deployment: ModelDeployment, weight: number, decision: number): HttpRoute {
  const { name } = deployment.metadata;
  // What is left out is written as the server would keep it, so that a field that was taken out of the spec goes from the route.
  const { parentRefs = [], hostnames = [], matches = ALL_PATHS } = deployment.spec.strategy?.canary?.route ?? {};
  const { port = 80 } = deployment.spec.service ?? {};
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: ownedMeta(deployment, name, { [LABELS.deployment]: name }, { [ANNOTATIONS.decision]: String(decision) }),
    spec: {
      parentRefs,
      hostnames,
      rules: [
        {
          matches: matches as Record<string, unknown>[],
          backendRefs: [
            { name, port, weight: 100 - weight },
            { name: previewName(name), port, weight },
          ],
        },
      ],
    },
  };
}

/**
 * The JSON patch (RFC 6902) that gives an adopted route its weights; empty: they are right. Lists of backends are atomic in the
 * Gateway API, so each is tested as it was seen: what another writer changed meanwhile makes the patch fail.
 */
export function weightsPatch(route: HttpRoute, deployment: string, weight: number, decision: number): object[] {
  const changes = (route.spec.rules ?? []).flatMap((rule, index) => {
    const refs = rule.backendRefs ?? [];
    const pair = pairIn(refs, deployment, route.metadata.namespace);
    const path = `/spec/rules/${index}/backendRefs`;
    if (!pair) return [];
    if (refs[pair.main]?.weight === 100 - weight && refs[pair.preview]?.weight === weight) return [];
    const set = (place: number, value: number) => ({ op: "add", path: `${path}/${place}/weight`, value });
    return [{ op: "test", path, value: refs }, set(pair.main, 100 - weight), set(pair.preview, weight)];
  });
  if (changes.length === 0) return [];
  return [
    { op: "test", path: "/metadata/resourceVersion", value: route.metadata.resourceVersion },
    ...changes,
    // There are annotations: the one that allows the adoption, or our own number.
    { op: "add", path: `/metadata/annotations/${ANNOTATIONS.decision.replace("/", "~1")}`, value: String(decision) },
  ];
}

/** True where only the weights are ours to change: an adopted route, or one that the spec does not describe any more. */
export function mayPatch(route: HttpRoute, deployment: ModelDeployment): boolean {
  if (isControlledBy(route, deployment.metadata.uid)) return deployment.spec.strategy?.canary?.route === undefined;
  const controlled = (route.metadata.ownerReferences ?? []).some((one) => one.controller && one.uid !== deployment.metadata.uid);
  return !controlled && adopted(route, deployment.metadata.name);
}
