// Reads the manifests and the bad-manifest fixtures of the tests, and applies a fixture's change to its good manifest.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import { openApiSchema } from "../../src/api/crd.ts";
import { KINDS } from "../../src/api/kinds.ts";
import { type CompiledSchema, compileSchema, type FieldError, type Schema } from "../../src/sandbox/apiserver/schema/compile.ts";

const ROOT = join(import.meta.dirname, "../..");
const BAD = "tests/fixtures/bad-manifests";
const GOOD = "examples/manifests";

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  spec: Record<string, unknown>;
  [key: string]: unknown;
}

/** One shape that is refused. */
export interface BadShape {
  title: string;
  set?: Record<string, unknown>;
  remove?: string[];
  /** The field that the refusal must name. */
  field: string;
  /** What the refusal must contain. */
  words: string;
}

export interface BadFile {
  good: string;
  bad: BadShape[];
  updates?: BadShape[];
}

export const readYaml = <T>(path: string): T => load(readFileSync(join(ROOT, path), "utf8")) as T;
export const goodManifests = (): string[] => readdirSync(join(ROOT, GOOD)).map((name) => `${GOOD}/${name}`);
export const badFiles = (): [string, BadFile][] =>
  readdirSync(join(ROOT, BAD)).map((name) => [name.replace(".yaml", ""), readYaml<BadFile>(`${BAD}/${name}`)]);

// Through JSON, as a CRD travels.
const SCHEMAS: ReadonlyMap<string, CompiledSchema> = new Map(
  KINDS.map((kind) => [kind.kind, compileSchema(JSON.parse(JSON.stringify(openApiSchema(kind))) as Schema)]),
);

/** The compiled schema of a kind's generated CRD. */
export function schemaOf(kind: string): CompiledSchema {
  const schema = SCHEMAS.get(kind);
  if (schema === undefined) throw new Error(`no kind ${kind}`);
  return schema;
}

/** What a strict `kubectl apply` of a manifest answers: unknown fields, then errors; and the object as it would be stored. */
export function admit(manifest: Manifest, old?: Manifest): { errors: FieldError[]; stored: Manifest } {
  const stored = structuredClone(manifest);
  const schema = schemaOf(manifest.kind);
  const unknown = schema.prune(stored);
  schema.applyDefaults(stored);
  const errors: FieldError[] = unknown.map((field) => ({
    field,
    type: "FieldValueInvalid",
    message: `unknown field "${field}"`,
  }));
  return { errors: [...errors, ...schema.validate(stored, old)], stored };
}

/** The manifest with a shape's change. Throws where the change does not fit, so that no fixture tests nothing. */
export function changed(manifest: Manifest, shape: Pick<BadShape, "set" | "remove" | "title">): Manifest {
  const out = structuredClone(manifest);
  for (const path of shape.remove ?? []) {
    const [parent, key] = parentOf(out, path);
    if (!Object.hasOwn(parent, key)) throw new Error(`${shape.title}: there is no ${path} to remove`);
    delete parent[key];
  }
  for (const [path, value] of Object.entries(shape.set ?? {})) {
    const [parent, key] = parentOf(out, path);
    parent[key] = expand(value);
  }
  return out;
}

function parentOf(object: unknown, path: string): [Record<string, unknown>, string] {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let node = object as Record<string, unknown>;
  for (const key of keys) {
    const next = node[key];
    if (typeof next !== "object" || next === null) throw new Error(`there is no ${path}`);
    node = next as Record<string, unknown>;
  }
  return [node, last];
}

function expand(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$repeat" in value) {
    const [text, count] = value.$repeat as [string, number];
    return text.repeat(count);
  }
  if ("$list" in value) {
    const [entry, count] = value.$list as [unknown, number];
    const template = JSON.stringify(entry);
    return Array.from({ length: count }, (_, index) => JSON.parse(template.replaceAll("#", String(index))));
  }
  return value;
}
