// The CRDs and the reference are those of the schemas, and keep the rules that Kubernetes has for CRDs.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crdOf, openApiSchema, type SchemaNode } from "../../src/api/crd.ts";
import { generatedFiles } from "../../src/api/generated.ts";
import { KINDS } from "../../src/api/kinds.ts";
import { admit, type Manifest, readYaml } from "./manifests.ts";

const ROOT = join(import.meta.dirname, "../..");

/** All nodes of a schema with their paths. */
function nodes(node: SchemaNode, path = ""): [string, SchemaNode][] {
  const below = Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
    nodes(child, path === "" ? key : `${path}.${key}`),
  );
  const items = node.items === undefined ? [] : nodes(node.items, `${path}[]`);
  const rest = typeof node.additionalProperties === "object" ? nodes(node.additionalProperties, `${path}.*`) : [];
  return [[path, node], ...below, ...items, ...rest];
}

describe("generated files", () => {
  it("are current: run npm run generate where this fails", () => {
    for (const [path, content] of generatedFiles()) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(readFileSync(join(ROOT, path), "utf8"), path).toBe(content);
    }
  });

  it("are all that is in their folders", () => {
    const paths = ["crds", "docs/reference"].flatMap((folder) =>
      readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
    );
    expect(paths.sort()).toEqual([...generatedFiles().keys()].sort());
  });
});

describe.each(KINDS)("the CRD of $kind", (kind) => {
  const crd = crdOf(kind);
  const schema = openApiSchema(kind);
  const all = nodes(schema);

  it("has short names, the category rollguard, printer columns and the status", () => {
    expect(crd.spec.names.categories).toEqual(["rollguard"]);
    expect(kind.shortNames.length).toBeGreaterThan(0);
    expect(kind.columns.length).toBeGreaterThan(2);
    expect(schema.properties?.status !== undefined).toBe(kind.status);
  });

  it("has columns that point at fields of the schema", () => {
    const known = new Set(all.map(([path]) => `.${path}`));
    for (const column of kind.columns) {
      const path = column.jsonPath.replace(/\[\?\([^)]*\)\]/, "[]");
      expect(path.startsWith(".metadata.") || known.has(path), column.jsonPath).toBe(true);
    }
  });

  it("has a bound on every string, list and map, also in the status", () => {
    const unbounded = all.filter(([path, node]) => {
      if (["apiVersion", "kind"].includes(path) || node["x-kubernetes-int-or-string"] === true) return false;
      if (node.type === "string") return node.maxLength === undefined && node.enum === undefined;
      if (node.type === "array") return node.maxItems === undefined;
      return typeof node.additionalProperties === "object" && node.maxProperties === undefined;
    });
    expect(unbounded.map(([path]) => path)).toEqual([]);
  });

  it("is structural: a type everywhere, no unions, no references, no closed objects", () => {
    for (const [path, node] of all) {
      expect(node.type !== undefined || node["x-kubernetes-int-or-string"] === true, path).toBe(true);
      for (const key of ["anyOf", "oneOf", "allOf", "not", "$ref", "$schema", "id", "const", "patternProperties"]) {
        expect(Object.hasOwn(node, key), `${path} has ${key}`).toBe(false);
      }
      expect(typeof node.additionalProperties === "boolean", path).toBe(false);
      expect(node.properties !== undefined && node.additionalProperties !== undefined, path).toBe(false);
    }
  });

  it("has list keys that are required or have a default", () => {
    for (const [path, node] of all) {
      const keys = (node["x-kubernetes-list-map-keys"] ?? []) as string[];
      for (const key of keys) {
        const property = node.items?.properties?.[key];
        expect(property !== undefined, `${path}.${key}`).toBe(true);
        expect(node.items?.required?.includes(key) || property?.default !== undefined, `${path}.${key}`).toBe(true);
      }
    }
  });

  it("has rules with a message of one line, a field path that exists, and no expression above Kubernetes' bounds", () => {
    for (const [path, node] of all) {
      for (const { rule, message, fieldPath } of node["x-kubernetes-validations"] ?? []) {
        expect(message, path).toMatch(/^[^\n]{10,}$/);
        expect(message.length, path).toBeLessThanOrEqual(2048);
        // No backslashes: they would need different escapes in YAML, CEL and RE2.
        expect(rule, path).not.toContain("\\");
        let target: SchemaNode | undefined = node;
        for (const key of (fieldPath ?? "").split(".").filter((part) => part !== "")) target = target?.properties?.[key];
        expect(target, `${path}${fieldPath}`).toBeDefined();
      }
    }
  });

  it("says in words what each field of the spec means", () => {
    const silent = all.filter(
      ([path, node]) =>
        path.startsWith("spec.") &&
        // The pod template is Kubernetes' own; entries of plain lists and maps are described by their list or map.
        !/^spec\.template|\[\]$|\.\*$/.test(path) &&
        node.description === undefined,
    );
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  it("has defaults that are valid", () => {
    for (const [path, node] of all) {
      if (node.default === undefined) continue;
      if (node.enum !== undefined) expect(node.enum, path).toContain(node.default);
      if (node.type !== undefined) expect(typeof node.default, path).toBe(node.type === "integer" ? "number" : node.type);
    }
  });

  it("has defaults of objects that are whole: Kubernetes holds them against the rules before it fills anything in", () => {
    for (const [path, node] of all) {
      if (typeof node.default !== "object") continue;
      for (const [key, child] of Object.entries(node.properties ?? {})) {
        if (child.default !== undefined) expect(node.default, path).toHaveProperty(key, child.default);
      }
    }
  });
});

describe("ModelDeployment.status", () => {
  const good = readYaml<Manifest>("examples/manifests/modeldeployment-small.yaml");

  it("may be empty", () => {
    expect(admit({ ...good, status: {} }).errors).toEqual([]);
  });

  it("refuses a phase that there is not, and keeps no unknown field", () => {
    const { errors } = admit({ ...good, status: { phase: "Dancing", colour: "red" } });
    expect(errors.map((error) => error.field)).toEqual(["status.colour", "status.phase"]);
  });

  it("gets the defaults that api.md promises", () => {
    expect(admit(good).stored.spec).toMatchObject({
      replicas: 1,
      modelPath: "/models",
      fetch: { verify: "Always" },
      service: { port: 80, targetPort: "http" },
      strategy: { type: "BlueGreen", standby: { replicas: "100%", for: "1h" }, drain: "30s", progressDeadline: "10m" },
      paused: false,
      historyLimit: 50,
    });
  });

  it("keeps pod fields that the schema does not know", () => {
    const pod = structuredClone(good);
    const template = pod.spec.template as { spec: Record<string, unknown> };
    template.spec.terminationGracePeriodSeconds = 90;
    template.spec.tolerations = [{ key: "gpu", operator: "Exists" }];
    const { errors, stored } = admit(pod);
    expect(errors).toEqual([]);
    expect(stored.spec.template).toMatchObject({ spec: { terminationGracePeriodSeconds: 90, tolerations: [{ key: "gpu" }] } });
  });
});
