// What the API allows in a MetricSource, signals/ can be made from.

import { expect, it } from "vitest";
import { MetricSourceSpecSchema } from "../../src/api/metricsource.ts";
import type { SourceSpec } from "../../src/signals/types.ts";
import { scalar, source } from "./support.ts";

it("a spec with the API's defaults is a SourceSpec that can be used", async () => {
  for (const spec of [
    { type: "Prometheus", address: "http://127.0.0.1:9", namespaces: ["*"], auth: { secretRef: { name: "a", key: "b" } } },
    { type: "Web", address: "http://127.0.0.1:9/base", namespaces: ["*"], web: {} },
    { type: "Pods", namespaces: ["*"], pods: {} },
  ]) {
    const parsed: SourceSpec = MetricSourceSpecSchema.parse(spec);
    const asked = source(parsed);
    expect((await asked.read(scalar(spec.type === "Web" ? "/x" : "up"))).message).not.toContain("can't be used");
    asked.close();
  }
});
