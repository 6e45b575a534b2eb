// From a MetricSource's spec to something that can be asked.

import { SpecError } from "./endpoint.ts";
import { podsSource } from "./pods/source.ts";
import { prometheusSource } from "./prometheus/source.ts";
import { cleanMessage } from "./reading.ts";
import type { Source, SourceDeps, SourceSpec } from "./types.ts";
import { webSource } from "./web.ts";

/** Never throws: a spec that can't be used gives a source whose every reading is an Error that says why. */
export function createSource(spec: SourceSpec, deps: SourceDeps): Source {
  try {
    switch (spec.type) {
      case "Prometheus":
        return prometheusSource(spec, deps);
      case "Web":
        return webSource(spec, deps);
      case "Pods":
        return podsSource(spec, deps);
      default:
        throw new SpecError("type is not Prometheus, Web or Pods");
    }
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    const message = cleanMessage(`the MetricSource can't be used: ${error.message}`, []);
    return { read: () => Promise.resolve({ at: deps.clock.now(), kind: "Error", message }), close() {} };
  }
}
