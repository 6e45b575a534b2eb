// Where the pods of a revision are asked: for their metrics, and by the probe.

import type { Pod } from "../kube/objects.ts";
import type { PodTarget } from "../signals/types.ts";
import type { Caches } from "./caches.ts";
import { revisionOfPod } from "./facts.ts";

/** The port of a pod by the annotation, the name `http`, or a name or number that is asked for. */
function portOf(pod: Pod, wanted: string | number | undefined): number | undefined {
  if (typeof wanted === "number") return wanted;
  const annotated = Number(pod.metadata.annotations?.["prometheus.io/port"]);
  if (wanted === undefined && Number.isInteger(annotated) && annotated > 0 && annotated < 65_536) return annotated;
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  const numeric = Number(wanted);
  if (Number.isInteger(numeric) && numeric > 0) return numeric;
  return ports.find((port) => port.name === (wanted ?? "http"))?.containerPort;
}

/** The pods of a revision that can be scraped or probed, and where. */
export function scrapeTargets(
  caches: Caches,
  key: string,
  revision: number,
  settings: { port?: string | number; path?: string },
): PodTarget[] {
  return caches.pods
    .of(key)
    .filter((pod) => revisionOfPod(pod) === revision && pod.metadata.deletionTimestamp === undefined && pod.status?.podIP)
    .map((pod) => {
      const port = portOf(pod, settings.port);
      const path = settings.path ?? pod.metadata.annotations?.["prometheus.io/path"];
      return {
        name: pod.metadata.name,
        ip: pod.status?.podIP ?? "",
        ...(port === undefined ? {} : { port }),
        ...(path === undefined ? {} : { path }),
      };
    });
}
