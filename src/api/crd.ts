// zod → CustomResourceDefinition: a structural schema with defaults, bounds and CEL rules. Pure; scripts/generate.ts writes it.
import { z } from "zod";
import type { CelRule } from "./common.ts";
import type { Kind } from "./kinds.ts";

/** A node of the generated schema; plain JSON. */
export interface SchemaNode {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  properties?: Record<string, SchemaNode>;
  required?: string[];
  items?: SchemaNode;
  additionalProperties?: SchemaNode | boolean;
  "x-kubernetes-validations"?: CelRule[];
  [key: string]: unknown;
}

/** A CustomResourceDefinition; plain JSON. */
export interface Crd {
  apiVersion: "apiextensions.k8s.io/v1";
  kind: "CustomResourceDefinition";
  metadata: { name: string; annotations: Record<string, string> };
  spec: {
    group: string;
    scope: "Namespaced" | "Cluster";
    names: Record<string, string | string[]>;
    versions: [{ name: string; schema: { openAPIV3Schema: SchemaNode }; [key: string]: unknown }];
  };
}

const KEY_ORDER = ["description", "type", "format", "default", "enum", "x-kubernetes-validations"];

/** The whole CRD of a kind. */
export function crdOf(kind: Kind): Crd {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    // Helm would delete it with the release, and every object of the kind with it.
    metadata: { name: `${kind.plural}.${kind.group}`, annotations: { "helm.sh/resource-policy": "keep" } },
    spec: {
      group: kind.group,
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: kind.shortNames,
        categories: ["rollguard"],
      },
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          additionalPrinterColumns: kind.columns,
          ...(kind.status || kind.scale
            ? { subresources: { ...(kind.status ? { status: {} } : {}), ...(kind.scale ? { scale: kind.scale } : {}) } }
            : {}),
          schema: { openAPIV3Schema: openApiSchema(kind) },
        },
      ],
    },
  };
}

/** The structural schema of a kind: what zod knows, less what Kubernetes forbids, and the rules that only CEL can say. */
export function openApiSchema(kind: Kind): SchemaNode {
  const json = z.toJSONSchema(kind.schema, {
    target: "openapi-3.0",
    io: "input",
    reused: "inline",
    cycles: "throw",
    unrepresentable: "throw",
  }) as SchemaNode;
  const root = structural(json);
  const { spec, status } = root.properties ?? {};
  if (spec === undefined) throw new Error(`${kind.kind} has no spec`);
  if (kind.kind === "ModelVersion") addRules(spec, immutableExcept(spec, "lifecycle"));
  // A required enum of one is said by the CRD itself; Kubernetes fills these two in and checks them.
  const properties: Record<string, SchemaNode> = {
    apiVersion: { type: "string", description: "Version of the schema of this object." },
    kind: { type: "string", description: "Kind of this object." },
    metadata: metadataNode(kind),
    spec,
    ...(status === undefined ? {} : { status }),
  };
  return ordered({
    type: "object",
    description: kind.summary,
    properties,
    required: ["spec"],
    ...(kind.rules.length > 0 ? { "x-kubernetes-validations": kind.rules } : {}),
  });
}

/** Name and generateName together are what Kubernetes types `self.metadata` by; the bound keeps the cost of rules on it low. */
function metadataNode(kind: Kind): SchemaNode {
  if (kind.maxName === undefined) return { type: "object" };
  const name: SchemaNode = { type: "string", maxLength: kind.maxName };
  return { type: "object", properties: { name, generateName: { type: "string", maxLength: 253 } } };
}

/** One rule for each field of `node`, also against adding and removing an optional one; CEL has no shorter way to say it. */
function immutableExcept(node: SchemaNode, free: string): CelRule[] {
  const required = new Set(node.required ?? []);
  return Object.keys(node.properties ?? {})
    .filter((field) => field !== free)
    .map((field) => ({
      rule: required.has(field)
        ? `self.${field} == oldSelf.${field}`
        : `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
      message: `${field} is immutable: a version describes one trained model; make a new ModelVersion under another name`,
      // The path must exist in the schema, not in the object, so it also names a field that was removed.
      fieldPath: `.${field}`,
    }));
}

function addRules(node: SchemaNode, list: CelRule[]): void {
  node["x-kubernetes-validations"] = [...(node["x-kubernetes-validations"] ?? []), ...list];
}

const SAFE_INTEGER = Number.MAX_SAFE_INTEGER;

/** Rewrites one node, and what is below it, into what a structural schema may hold. */
function structural(node: SchemaNode): SchemaNode {
  const { additionalProperties, properties, items, anyOf: _anyOf, ...rest } = node;
  const out: SchemaNode = { ...rest };
  if (node["x-kubernetes-int-or-string"] === true) {
    delete out.type;
  } else if (node.anyOf !== undefined || node.oneOf !== undefined || node.allOf !== undefined) {
    throw new Error(`a union can't be said in a structural schema: ${JSON.stringify(node).slice(0, 200)}`);
  }
  if (out.type === "integer") {
    out.format = "int64";
    if (out.maximum === SAFE_INTEGER) delete out.maximum;
    if (out.minimum === -SAFE_INTEGER) delete out.minimum;
  }
  if (out.type === "number") ruleForFractions(out);
  // A rule with the same pattern says it in words.
  if (typeof out.pattern === "string" && out["x-kubernetes-validations"]?.some((r) => r.rule.includes(".matches("))) {
    delete out.pattern;
  }
  if (properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(properties).map(([key, child]) => [key, structural(child)]));
    // zod's loose objects keep what they don't know.
    if (typeof additionalProperties === "object") out["x-kubernetes-preserve-unknown-fields"] = true;
  } else if (typeof additionalProperties === "object") {
    if (Object.keys(additionalProperties).length === 0) out["x-kubernetes-preserve-unknown-fields"] = true;
    else out.additionalProperties = structural(additionalProperties);
  }
  if (out.properties !== undefined && Object.keys(out.properties).length === 0) delete out.properties;
  if (items !== undefined) out.items = structural(items);
  if (out.default !== undefined) out.default = completed(out.default, out);
  return out;
}

/**
 * The API server holds a whole number against the whole part of a bound: it takes 0 where the minimum is 0.5, and refuses 95
 * for being above 0 where the maximum is 0.9999. A rule has neither fault.
 */
function ruleForFractions(node: SchemaNode): void {
  const { minimum, maximum } = node;
  if (typeof minimum !== "number" || typeof maximum !== "number") return;
  if (Number.isInteger(minimum) && Number.isInteger(maximum)) return;
  delete node.minimum;
  delete node.maximum;
  const double = (value: number) => (Number.isInteger(value) ? value.toFixed(1) : String(value));
  const rule = `self >= ${double(minimum)} && self <= ${double(maximum)}`;
  addRules(node, [{ rule, message: `must be from ${minimum} to ${maximum}` }]);
}

/** A default with the defaults of its fields: Kubernetes holds it against the rules as it is written, before it fills anything in. */
function completed(value: unknown, { properties = {} }: SchemaNode): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const given = value as Record<string, unknown>;
  const out = { ...given };
  for (const [key, child] of Object.entries(properties)) {
    const field = given[key] ?? child.default;
    if (field !== undefined) out[key] = completed(field, child);
  }
  return out;
}

/** A fixed order of keys, so that the files are stable and read well. */
function ordered(node: SchemaNode): SchemaNode {
  const out: SchemaNode = {};
  for (const key of KEY_ORDER) if (node[key] !== undefined) out[key] = node[key];
  for (const key of Object.keys(node).sort()) {
    if (out[key] !== undefined || key === "properties" || key === "items" || key === "additionalProperties") continue;
    out[key] = node[key];
  }
  if (node.items !== undefined) out.items = ordered(node.items);
  if (typeof node.additionalProperties === "object") out.additionalProperties = ordered(node.additionalProperties);
  if (node.properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(node.properties).map(([key, child]) => [key, ordered(child)]));
  }
  return out;
}
