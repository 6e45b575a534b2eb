// What single built-in kinds do beyond the common rules: first status, addresses of Services, a pod's grace period,
// and the checks that matter for what the operator writes.
import type { StoredObject } from "../api.ts";
import type { FieldError } from "./errors.ts";
import { equal, objectAt } from "./json.ts";
import type { Strategy } from "./resources.ts";
import { immutable, validateDeployment, validateLease, validatePod, validateService } from "./validation.ts";

export type Hooks = Partial<Strategy>;

/** By kind. */
export function HOOKS(allocateServiceIp: () => string): Record<string, Hooks> {
  return {
    Namespace: {
      prepareForCreate: (object) => {
        object.status = { phase: "Active" };
        // The admission plugin that names every namespace in a label.
        object.metadata.labels = { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name };
      },
      prepareForUpdate: (object, old) => {
        object.spec = old.spec;
      },
    },
    Pod: {
      prepareForCreate: (object) => {
        object.status = { phase: "Pending", qosClass: "BestEffort" };
      },
      validate: validatePod,
      gracePeriod: (object, asked) => {
        const done = object.status?.phase === "Succeeded" || object.status?.phase === "Failed";
        if (!object.spec?.nodeName || done) return 0;
        return asked ?? object.spec?.terminationGracePeriodSeconds ?? 30;
      },
    },
    Service: {
      prepareForCreate: (object) => {
        giveAddress(object, allocateServiceIp);
        object.status = { loadBalancer: {} };
      },
      prepareForUpdate: (object, old) => {
        // A PUT or an apply without the address keeps it.
        for (const field of ["clusterIP", "clusterIPs"]) {
          if (object.spec && object.spec[field] === undefined) object.spec[field] = old.spec?.[field];
        }
        giveAddress(object, allocateServiceIp);
      },
      validate: validateService,
    },
    Deployment: { validate: validateDeployment },
    ReplicaSet: { validate: validateDeployment },
    ControllerRevision: { validate: (object, old) => (old ? immutable("data", object.data, old.data) : []) },
    ConfigMap: { validate: (object, old) => frozen(object, old, ["data", "binaryData"]) },
    Secret: {
      prepareForCreate: foldStringData,
      prepareForUpdate: foldStringData,
      validate: (object, old) => [...(old ? immutable("type", object.type, old.type) : []), ...frozen(object, old, ["data"])],
    },
    Lease: { validate: (object) => validateLease(object) },
  };
}

function giveAddress(object: StoredObject, allocate: () => string): void {
  const spec = object.spec;
  if (!spec || spec.type === "ExternalName") return;
  spec.clusterIP ??= allocate();
  spec.clusterIPs ??= [spec.clusterIP];
}

function foldStringData(object: StoredObject): void {
  for (const [key, value] of Object.entries(objectAt(object, "stringData"))) {
    object.data = { ...object.data, [key]: Buffer.from(String(value)).toString("base64") };
  }
  delete object.stringData;
}

/** ConfigMaps and Secrets with `immutable: true`. */
function frozen(object: StoredObject, old: StoredObject | undefined, fields: string[]): FieldError[] {
  if (old?.immutable !== true) return [];
  return fields
    .filter((field) => !equal(object[field], old[field]))
    .map((field) => ({ field, type: "FieldValueForbidden", message: "Forbidden: field is immutable when `immutable` is set" }));
}
