// Schemas of the built-in kinds, made from the type tables that client-node's models carry, so that none has to be written
// down here: fields and types from there, keys of lists and patch strategies from listkeys.ts.
import * as client from "@kubernetes/client-node";
import type { JsonSchema } from "./jsonschema.ts";
import { LIST_KEYS, QUANTITIES } from "./listkeys.ts";

interface Attribute {
  baseName: string;
  type: string;
  format: string;
}

/** Schemas by model name; models that contain each other share objects, so a schema may be cyclic. */
export class Models {
  readonly #byName = new Map<string, JsonSchema>();
  readonly #names = new Map<JsonSchema, string>();

  /** The schema of a model such as "V1Deployment". Throws for an unknown one, which is a bug. */
  get(name: string): JsonSchema {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const attributes = attributesOf(name);
    if (attributes === undefined) throw new Error(`no model ${name}`);
    const properties: Record<string, JsonSchema> = {};
    const schema: JsonSchema = { type: "object", properties };
    this.#byName.set(name, schema);
    this.#names.set(schema, name);
    for (const attribute of attributes) {
      const path = `${name}.${attribute.baseName}`;
      properties[attribute.baseName] = this.#field(path, attribute.type, attribute.format);
    }
    if (name === "V1ContainerPort" || name === "V1ServicePort") properties.protocol = { type: "string", default: "TCP" };
    return schema;
  }

  /** The model's name of a schema that `get` made. */
  nameOf(schema: JsonSchema): string | undefined {
    return this.#names.get(schema);
  }

  #field(path: string, type: string, format: string): JsonSchema {
    if (QUANTITIES.has(path)) {
      const quantity: JsonSchema = { "x-kubernetes-int-or-string": true };
      return type === "string" ? quantity : { type: "object", additionalProperties: quantity };
    }
    const schema = this.#type(type, format);
    const keys = LIST_KEYS[path];
    if (keys === undefined) return schema;
    // A copy, since the same model may be used as another field.
    return { ...schema, ...keys };
  }

  #type(type: string, format: string): JsonSchema {
    const list = /^Array<(.+)>$/.exec(type)?.[1];
    if (list !== undefined) return { type: "array", items: this.#type(list, format) };
    const map = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
    if (map !== undefined) return { type: "object", additionalProperties: this.#type(map, format) };
    switch (type) {
      case "string":
        return format === "" ? { type: "string" } : { type: "string", format };
      case "boolean":
        return { type: "boolean" };
      case "number":
        return format.startsWith("int") ? { type: "integer", format } : { type: "number", format: "double" };
      case "Date":
      case "V1MicroTime":
        return { type: "string", format: "date-time" };
      case "IntOrString":
        return { "x-kubernetes-int-or-string": true };
      case "any":
      case "object":
        return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
      default:
        return this.get(type);
    }
  }
}

function attributesOf(name: string): Attribute[] | undefined {
  const model = (client as unknown as Record<string, { getAttributeTypeMap?: () => Attribute[] } | undefined>)[name];
  return model?.getAttributeTypeMap?.();
}
