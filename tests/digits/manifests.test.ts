import { readFileSync } from "node:fs";
import path from "node:path";
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { loadDigits } from "../../examples/digits/data.ts";
import { decodeModel, predict } from "../../examples/digits/model.ts";
import { RECIPES } from "../../examples/digits/versions.ts";
import { MetricSourceSchema } from "../../src/api/metricsource.ts";
import { ModelDeploymentSchema } from "../../src/api/modeldeployment.ts";
import { ModelVersionSchema } from "../../src/api/modelversion.ts";
import { RollbackPolicySchema } from "../../src/api/rollbackpolicy.ts";
import { systemClock } from "../../src/clock.ts";
import { compileSchema, type Schema } from "../../src/sandbox/apiserver/schema/compile.ts";
import { createSource } from "../../src/signals/createsource.ts";
import type { Query } from "../../src/signals/types.ts";
import { EXAMPLE, post, serving, weights } from "./support.ts";

const read = (file: string): Record<string, unknown> =>
  load(readFileSync(path.join(EXAMPLE, file), "utf8")) as Record<string, unknown>;

const MANIFESTS: readonly [string, z.ZodType, string][] = [
  ["version-1.yaml", ModelVersionSchema, "modelversions"],
  ["version-2.yaml", ModelVersionSchema, "modelversions"],
  ["version-3.yaml", ModelVersionSchema, "modelversions"],
  ["deployment.yaml", ModelDeploymentSchema, "modeldeployments"],
  ["policy.yaml", RollbackPolicySchema, "rollbackpolicies"],
  ["source.yaml", MetricSourceSchema, "metricsources"],
];

interface Crd {
  spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
}

describe.each(MANIFESTS)("%s", (file, schema, plural) => {
  it("is taken by the schema in zod", () => {
    expect(schema.safeParse(read(file)).error).toBeUndefined();
  });

  it("is taken by the CRD, with no field that it does not know", () => {
    const crd = load(readFileSync(path.join(EXAMPLE, `../../crds/${plural}.yaml`), "utf8")) as Crd;
    const compiled = compileSchema(crd.spec.versions[0]?.schema.openAPIV3Schema ?? expect.fail());
    const object = read(file);
    expect(compiled.prune(object)).toEqual([]);
    compiled.applyDefaults(object);
    expect(compiled.validate(object)).toEqual([]);
  });
});

describe("the deployment", () => {
  const { spec } = ModelDeploymentSchema.parse(read("deployment.yaml"));

  it("pins the first version, and its names fit together", () => {
    expect(spec.version).toBe(RECIPES[0]?.name);
    expect(spec.policy).toEqual({ kind: "RollbackPolicy", name: RollbackPolicySchema.parse(read("policy.yaml")).metadata.name });
    const source = MetricSourceSchema.parse(read("source.yaml")).metadata.name;
    const { checks = [] } = RollbackPolicySchema.parse(read("policy.yaml")).spec;
    expect(new Set(checks.map((check) => check.source))).toEqual(new Set([source]));
  });

  it("has a probe that is a digit of the training data, and every version recognises it, the bad one too", () => {
    const { body = "", expect: wanted } = spec.probe ?? expect.fail();
    const pixels = Buffer.from((JSON.parse(body) as { pixels: string }).pixels, "base64");
    expect(loadDigits().train.find((digit) => pixels.equals(digit.pixels))?.label).toBe(wanted.min);
    expect(wanted.max).toBe(wanted.min);
    for (const { name } of RECIPES) expect(predict(decodeModel(readFileSync(weights(name))), pixels).digit).toBe(wanted.min);
  });
});

describe("the policy's queries", () => {
  it("are answered by what the server shows: wrong answers, errors, latency, accuracy", async () => {
    const { url } = await serving("digits-1.0.0", "1");
    const { hostname, port } = new URL(url);
    const { checks = [] } = RollbackPolicySchema.parse(read("policy.yaml")).spec;
    const source = createSource({ type: "Pods" }, { clock: systemClock, secret: () => Promise.reject(new Error("none")) });
    const ask = async () => {
      const readings = checks.map(async ({ name, query, ratio }) => {
        const common = {
          windowMs: 1000,
          variables: {
            namespace: "demo",
            name: "digits",
            version: "digits-1.0.0",
            revision: "1",
            window: "1s",
            workload: "digits-r1",
          },
          pods: [{ name: "digits-r1-abc-x", ip: hostname, port: Number(port) }],
        };
        const asked: Query = ratio
          ? { ...common, kind: "ratio", numerator: ratio.numerator, denominator: ratio.denominator }
          : { ...common, kind: "scalar", query: query ?? "" };
        return [name, await source.read(asked)] as const;
      });
      return Object.fromEntries(await Promise.all(readings));
    };
    try {
      let readings = await ask();
      // A window of one second is known when a second has passed; something must happen in it.
      await expect
        .poll(
          async () => {
            for (let i = 0; i < 20; i++) {
              await post(`${url}/predict`, { pixels: Buffer.alloc(784).toString("base64") });
              await post(`${url}/feedback`, { predicted: 3, truth: i % 4 === 0 ? 5 : 3, revision: "1" });
            }
            readings = await ask();
            return Object.values(readings).map(({ kind }) => kind);
          },
          { timeout: 15_000, interval: 300 },
        )
        .toEqual(["Value", "Value", "Value", "Value"]);
      expect(readings["wrong-answers"]?.value).toBeCloseTo(0.25, 1);
      expect(readings["error-ratio"]?.value).toBe(0);
      expect(readings["p95-latency"]?.value).toBeGreaterThan(0);
      expect(readings.accuracy?.value).toBeCloseTo(0.75, 1);
    } finally {
      source.close();
    }
  });
});
