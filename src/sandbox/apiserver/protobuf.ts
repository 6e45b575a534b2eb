// Kubernetes' protobuf, as far as `kubectl create namespace|configmap|secret|serviceaccount` sends it: kubectl has no
// JSON fallback for these. Answers are JSON, which it takes (k8s.io/api/core/v1/generated.proto has the numbers).
import { StatusError } from "../api.ts";
import { badRequest } from "./errors.ts";
import type { JsonObject } from "./json.ts";

type FieldType = "text" | "base64" | "bool" | "texts" | "text map" | "base64 map" | Message;
interface Message {
  [number: number]: readonly [name: string, type: FieldType];
}

const META: Message = {
  1: ["name", "text"],
  2: ["generateName", "text"],
  3: ["namespace", "text"],
  11: ["labels", "text map"],
  12: ["annotations", "text map"],
  14: ["finalizers", "texts"],
};

const KINDS: Readonly<Record<string, Message>> = {
  Namespace: { 1: ["metadata", META] },
  ServiceAccount: { 1: ["metadata", META] },
  ConfigMap: { 1: ["metadata", META], 2: ["data", "text map"], 3: ["binaryData", "base64 map"], 4: ["immutable", "bool"] },
  Secret: {
    1: ["metadata", META],
    2: ["data", "base64 map"],
    3: ["type", "text"],
    4: ["stringData", "text map"],
    5: ["immutable", "bool"],
  },
};

const MAGIC = "k8s\0";

/** The JSON form of a protobuf body. Throws 415 for kinds that are not known here and 400 for what is no protobuf. */
export function decodeProtobuf(bytes: Buffer): JsonObject {
  if (bytes.subarray(0, 4).toString("latin1") !== MAGIC) throw badRequest("the body is no Kubernetes protobuf");
  const envelope = decode(bytes.subarray(4), {
    1: ["type", { 1: ["apiVersion", "text"], 2: ["kind", "text"] }],
    2: ["raw", "base64"],
  });
  const { apiVersion, kind } = envelope.type as { apiVersion: string; kind: string };
  const message = apiVersion === "v1" ? KINDS[kind] : undefined;
  if (message === undefined) {
    throw new StatusError(
      415,
      "UnsupportedMediaType",
      `the sandbox reads no protobuf of ${kind}: send JSON or YAML (kubectl apply -f)`,
    );
  }
  return { apiVersion, kind, ...decode(Buffer.from(String(envelope.raw), "base64"), message) };
}

function decode(bytes: Buffer, message: Message): JsonObject {
  const out: JsonObject = {};
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++];
      if (byte === undefined || shift > 49) throw badRequest("the protobuf of the body is damaged");
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (offset < bytes.length) {
    const tag = varint();
    const field = message[Math.floor(tag / 8)];
    if (tag % 8 === 0) {
      const value = varint();
      if (field?.[1] === "bool") out[field[0]] = value !== 0;
      continue;
    }
    if (tag % 8 !== 2) throw badRequest("the protobuf of the body is damaged");
    const length = varint();
    if (offset + length > bytes.length) throw badRequest("the protobuf of the body is damaged");
    const content = bytes.subarray(offset, offset + length);
    offset += length;
    if (field !== undefined) put(out, field[0], field[1], content);
  }
  return out;
}

function put(out: JsonObject, name: string, type: FieldType, content: Buffer): void {
  if (type === "text") {
    // Go writes every string, and JSON omits the empty ones.
    if (content.length > 0) out[name] = content.toString("utf8");
  } else if (type === "base64") out[name] = content.toString("base64");
  else if (type === "texts") out[name] = [...((out[name] as string[] | undefined) ?? []), content.toString("utf8")];
  else if (type === "text map" || type === "base64 map") {
    const entry = decode(content, { 1: ["key", "text"], 2: ["value", type === "text map" ? "text" : "base64"] });
    out[name] = { ...(out[name] as JsonObject | undefined), [String(entry.key ?? "")]: entry.value ?? "" };
  } else if (typeof type === "object") out[name] = decode(content, type);
}
