// OpenAPI v3 documents, one a group and version: as much as `kubectl apply`, `explain` and validation read.
import { noSuchPath } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { JsonSchema } from "./jsonschema.ts";
import type { Models } from "./models.ts";
import type { Registry, ResourceDef } from "./resources.ts";

/** The answer to /openapi/v3 and below; undefined for other paths. Throws 404 for an unknown group or version. */
export function openapi(registry: Registry, models: Models, pathname: string): JsonObject | undefined {
  if (pathname === "/openapi/v3") return index(registry);
  const prefix = "/openapi/v3/";
  if (!pathname.startsWith(prefix)) return undefined;
  const served = registry.all().filter((def) => documentPath(def) === pathname.slice(prefix.length));
  if (served.length === 0) throw noSuchPath();
  return document(served, models);
}

function documentPath(def: { group: string; version: string }): string {
  return def.group === "" ? `api/${def.version}` : `apis/${def.group}/${def.version}`;
}

function index(registry: Registry): JsonObject {
  const paths = new Set(registry.all().map(documentPath));
  return { paths: Object.fromEntries([...paths].map((path) => [path, { serverRelativeURL: `/openapi/v3/${path}` }])) };
}

function document(defs: ResourceDef[], models: Models): JsonObject {
  const components: Record<string, JsonSchema> = {};
  const paths: JsonObject = {};
  for (const def of defs) {
    const name = schemaName(def);
    const gvk = { group: def.group, version: def.version, kind: def.kind };
    const body = print(def.schema, models, components, true);
    components[name] = { ...body, "x-kubernetes-group-version-kind": [gvk] };
    Object.assign(paths, operations(def, name, gvk));
  }
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "v1.36.3" },
    paths,
    components: { schemas: components },
  };
}

function schemaName(def: ResourceDef): string {
  const group = def.group === "" ? "core" : def.group;
  return `${group.split(".").reverse().join(".")}.${def.version}.${def.kind}`;
}

/** The schema with models named by `$ref` and put among the components, which also ends cycles. */
function print(schema: JsonSchema, models: Models, components: Record<string, JsonSchema>, inline: boolean): JsonSchema {
  // "V1PodSpec" → "v1.PodSpec": kubectl explain shows what follows the last dot.
  const model = inline ? undefined : models.nameOf(schema)?.replace(/^(?:Core|Events)?V1(?=[A-Z])/, "v1.");
  if (model !== undefined) {
    if (components[model] === undefined) {
      components[model] = {};
      components[model] = print(schema, models, components, true);
    }
    return { allOf: [{ $ref: `#/components/schemas/${model}` }] };
  }
  const out: JsonSchema = { ...schema };
  if (out["x-kubernetes-int-or-string"] === true) {
    delete out["x-kubernetes-int-or-string"];
    Object.assign(out, { type: "string", format: "int-or-string" });
  }
  if (schema.properties !== undefined) {
    out.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([key, property]) => [key, print(property, models, components, false)]),
    );
  }
  if (schema.items !== undefined) out.items = print(schema.items, models, components, false);
  if (typeof schema.additionalProperties === "object") {
    out.additionalProperties = print(schema.additionalProperties, models, components, false);
  }
  return out;
}

function operations(def: ResourceDef, name: string, gvk: JsonObject): JsonObject {
  const root = `/${documentPath(def)}${def.namespaced ? "/namespaces/{namespace}" : ""}/${def.resource}`;
  const mark = (action: string) => ({ "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk });
  const content = (types: string[]) =>
    Object.fromEntries(types.map((type) => [type, { schema: { $ref: `#/components/schemas/${name}` } }]));
  const answer = { "200": { description: "OK", content: content(["application/json"]) } };
  const query = (parameter: string) => ({ name: parameter, in: "query", schema: { type: "string" } });
  const write = ["dryRun", "fieldManager", "fieldValidation"].map(query);
  const patches = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
  if (!def.custom) patches.push("application/strategic-merge-patch+json");
  const body = { requestBody: { content: content(["application/json"]) } };
  return {
    [root]: {
      get: { ...mark("list"), responses: answer },
      post: { ...mark("post"), parameters: write, ...body, responses: answer },
    },
    [`${root}/{name}`]: {
      get: { ...mark("get"), responses: answer },
      put: { ...mark("put"), parameters: write, ...body, responses: answer },
      patch: {
        ...mark("patch"),
        parameters: [...write, query("force")],
        requestBody: { content: content(patches) },
        responses: answer,
      },
      delete: { ...mark("delete"), parameters: [query("dryRun")], responses: answer },
    },
  };
}
