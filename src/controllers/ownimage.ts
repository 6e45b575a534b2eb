// The image that the operator runs from is also that of the init container that fetches weights, so it is named in one place.
import { type Clock, sleep } from "../clock.ts";
import type { KubeClient } from "../kube/client.ts";
import { isKind } from "../kube/errors.ts";
import type { Pod } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Logger } from "../log.ts";

/** As the manifests and the chart name it: others may be put beside it. */
const CONTAINER = "operator";
const RETRY_MS = 1_000;

/**
 * The image of the pod of that name, asked for until there is an answer; undefined where there is no such pod, since we run outside
 * of the cluster. Throws where we may not read it.
 */
export async function ownImage(
  pod: { namespace: string; name: string },
  deps: { client: KubeClient; clock: Clock; logger: Logger; signal: AbortSignal },
): Promise<string | undefined> {
  const { client, clock, logger, signal } = deps;
  for (;;) {
    try {
      const containers = (await client.find<Pod>(RESOURCES.pods, pod))?.spec.containers ?? [];
      return (containers.find((one) => one.name === CONTAINER) ?? containers[0])?.image;
    } catch (error) {
      if (signal.aborted || isKind(error, "Forbidden")) throw error;
      logger.warn({ err: error, pod: pod.name }, "can't read the image of the operator's own pod");
      await sleep(clock, RETRY_MS, signal);
    }
  }
}
