// The rules of metadata that all kinds share (k8s.io/apiserver/pkg/registry/rest, apimachinery/pkg/api/validation):
// names, labels, what the server sets on create and keeps on update.
import type { StoredObject } from "../api.ts";
import { badRequest, type FieldError, invalidValue, required } from "./errors.ts";
import { isObject, type JsonObject } from "./json.ts";
import { groupVersion, type ResourceDef } from "./resources.ts";

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

const SUBDOMAIN_WORDS =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_WORDS =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035_WORDS =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE_WORDS =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED_WORDS =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/** Kinds whose names are DNS labels (true for namespaces) or start with a letter too (Services). */
export function validateName(kind: string, name: string): FieldError[] {
  const [pattern, limit, words] =
    kind === "Service"
      ? [DNS_1035, 63, DNS_1035_WORDS]
      : kind === "Namespace"
        ? [DNS_LABEL, 63, LABEL_WORDS]
        : [DNS_SUBDOMAIN, 253, SUBDOMAIN_WORDS];
  const errors: FieldError[] = [];
  if (name.length > limit) errors.push(invalidValue("metadata.name", name, `must be no more than ${limit} characters`));
  if (!(pattern as RegExp).test(name)) errors.push(invalidValue("metadata.name", name, words as string));
  return errors;
}

function validateKey(field: string, key: string): FieldError[] {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = key.slice(slash + 1);
  const errors: FieldError[] = [];
  if (prefix !== undefined && !DNS_SUBDOMAIN.test(prefix))
    errors.push(invalidValue(field, key, `prefix part ${SUBDOMAIN_WORDS}`));
  if (name.length > 63) errors.push(invalidValue(field, key, "name part must be no more than 63 characters"));
  if (!QUALIFIED.test(name)) errors.push(invalidValue(field, key, QUALIFIED_WORDS));
  return errors;
}

/** Checks name, labels, annotations, finalizers and owner references. */
export function validateMetadata(def: ResourceDef, object: StoredObject): FieldError[] {
  const { metadata } = object;
  const errors = validateName(def.kind, metadata.name);
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    errors.push(...validateKey("metadata.labels", key));
    if (value.length > 63) errors.push(invalidValue("metadata.labels", value, "must be no more than 63 characters"));
    if (!LABEL_VALUE.test(value)) errors.push(invalidValue("metadata.labels", value, LABEL_VALUE_WORDS));
  }
  let size = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    errors.push(...validateKey("metadata.annotations", key.toLowerCase()));
    size += key.length + value.length;
  }
  if (size > 262_144) {
    errors.push({
      field: "metadata.annotations",
      type: "FieldValueTooLong",
      message: "Too long: may not be more than 262144 bytes",
    });
  }
  (metadata.ownerReferences ?? []).forEach((owner, i) => {
    const field = `metadata.ownerReferences[${i}]`;
    for (const part of ["apiVersion", "kind", "name", "uid"] as const) {
      if (!owner[part])
        errors.push(
          invalidValue(`${field}.${part}`, owner[part] ?? "", `${part === "apiVersion" ? "version" : part} must not be empty`),
        );
    }
  });
  const controllers = (metadata.ownerReferences ?? []).filter((owner) => owner.controller === true);
  if (controllers.length > 1) {
    errors.push(
      invalidValue("metadata.ownerReferences", metadata.ownerReferences, "Only one reference can have Controller set to true."),
    );
  }
  return errors;
}

/** The object of a request body, checked to be of the kind and namespace that the path names. Throws 400. */
export function checkIdentity(def: ResourceDef, namespace: string | undefined, body: unknown, name?: string): StoredObject {
  if (!isObject(body)) throw badRequest(`the object provided is unrecognized (must be of type ${def.kind})`);
  const apiVersion = groupVersion(def);
  if (body.kind !== undefined && body.kind !== def.kind) {
    throw badRequest(`${String(body.kind)} in version "${String(body.apiVersion)}" cannot be handled as a ${def.kind}`);
  }
  if (body.apiVersion !== undefined && body.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${String(body.apiVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  body.kind = def.kind;
  body.apiVersion = apiVersion;
  if (!isObject(body.metadata)) body.metadata = {};
  const metadata = body.metadata as JsonObject;
  if (def.namespaced) {
    if (metadata.namespace === undefined || metadata.namespace === "") metadata.namespace = namespace;
    if (metadata.namespace !== namespace) {
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    }
  } else if (metadata.namespace !== undefined) {
    delete metadata.namespace;
  }
  if (name !== undefined) {
    if (metadata.name === undefined || metadata.name === "") metadata.name = name;
    if (metadata.name !== name) {
      throw badRequest(`the name of the object (${String(metadata.name)}) does not match the name on the URL (${name})`);
    }
  }
  return body as unknown as StoredObject;
}

export interface Stamps {
  now: string;
  uid: () => string;
  suffix: () => string;
}

/** Sets what the server owns in a new object. Returns errors for a name that is missing. */
export function stampNew(object: StoredObject, stamps: Stamps, hasGeneration: boolean): FieldError[] {
  const { metadata } = object;
  if (!metadata.name && typeof metadata.generateName === "string" && metadata.generateName !== "") {
    metadata.name = metadata.generateName.slice(0, 58) + stamps.suffix();
  }
  metadata.uid = stamps.uid();
  metadata.creationTimestamp = stamps.now;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  delete metadata.generation;
  if (hasGeneration) metadata.generation = 1;
  return metadata.name ? [] : [required("metadata.name", "name or generateName is required")];
}

/** Keeps in an update what only the server may change. */
export function keepServerFields(object: StoredObject, old: StoredObject): void {
  const kept = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName"];
  for (const field of kept) {
    if (old.metadata[field] === undefined) delete object.metadata[field];
    else object.metadata[field] = old.metadata[field];
  }
  delete object.metadata.selfLink;
  object.metadata.resourceVersion = old.metadata.resourceVersion;
}
