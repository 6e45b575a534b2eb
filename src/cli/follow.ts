// The state of deployments each time that it changes, for `status -w`: a list, then a watch from it, and again when that breaks.
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { sleep, systemClock } from "../clock.ts";
import { ApiError } from "../kube/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { listObjects, type Session } from "./session.ts";

type Deployment = ModelDeployment & KubeObject;

const WATCH_SECONDS = 240;
const RETRY_MS = 1000;

/** Yields all that match, by namespace and name. Ends when the signal aborts; throws only what the first list throws. */
export async function* follow(session: Session, name: string | undefined, signal: AbortSignal): AsyncGenerator<Deployment[]> {
  const { client, namespace } = session;
  const key = (one: Deployment) => `${one.metadata.namespace}/${one.metadata.name}`;
  const matches = (one: Deployment) => name === undefined || one.metadata.name === name;
  let first = true;
  while (!signal.aborted) {
    try {
      const list = await listObjects<Deployment>(client, RESOURCES.modelDeployments, namespace);
      const known = new Map(list.items.filter(matches).map((item) => [key(item), item]));
      const sorted = () => [...known.keys()].sort().flatMap((one) => known.get(one) ?? []);
      first = false;
      yield sorted();
      const scope = { ...(namespace === undefined ? {} : { namespace }), signal, timeoutSeconds: WATCH_SECONDS };
      const events = client.watch<Deployment>(RESOURCES.modelDeployments, { ...scope, resourceVersion: list.resourceVersion });
      for await (const event of events) {
        if (event.type === "BOOKMARK" || !matches(event.object)) continue;
        if (event.type === "DELETED") known.delete(key(event.object));
        else known.set(key(event.object), event.object);
        yield sorted();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (first || !(error instanceof ApiError)) throw error;
      await sleep(systemClock, RETRY_MS, signal).catch(() => {});
    }
  }
}
