// Validation of built-in kinds: only what an operator or a person plausibly gets wrong
// (k8s.io/kubernetes/pkg/apis/{core,apps,coordination}/validation).
import type { StoredObject } from "../api.ts";
import { type FieldError, fieldForbidden, invalidValue, required } from "./errors.ts";
import { arrayAt, at, copy, equal, isObject, type JsonObject, objectAt } from "./json.ts";
import { selectorMatches } from "./selectors.ts";

const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;

export function immutable(field: string, value: unknown, old: unknown): FieldError[] {
  return equal(value, old) ? [] : [invalidValue(field, value, "field is immutable")];
}

/** Deployments and ReplicaSets. */
export function validateDeployment(object: StoredObject, old?: StoredObject): FieldError[] {
  const spec = object.spec;
  if (!isObject(spec)) return [required("spec")];
  const errors: FieldError[] = [];
  const selector = spec.selector;
  const labels = objectAt(spec, "template.metadata.labels");
  if (!isObject(selector)) errors.push(required("spec.selector"));
  else if (Object.keys(objectAt(selector, "matchLabels")).length + arrayAt(selector, "matchExpressions").length === 0) {
    errors.push(invalidValue("spec.selector", selector, "empty selector is invalid for deployment"));
  } else if (!selectorMatches(selector, labels)) {
    errors.push(invalidValue("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
  }
  if (old !== undefined) errors.push(...immutable("spec.selector", selector, old.spec?.selector));
  if (typeof spec.replicas === "number" && spec.replicas < 0) {
    errors.push(invalidValue("spec.replicas", spec.replicas, "must be greater than or equal to 0"));
  }
  const template = objectAt(spec, "template.spec");
  errors.push(...validatePodSpec(template, "spec.template.spec"));
  if (template.restartPolicy !== undefined && template.restartPolicy !== "Always") {
    errors.push({
      field: "spec.template.spec.restartPolicy",
      type: "FieldValueNotSupported",
      message: `Unsupported value: "${String(template.restartPolicy)}": supported values: "Always"`,
    });
  }
  return errors;
}

export function validatePod(object: StoredObject, old?: StoredObject): FieldError[] {
  if (!isObject(object.spec)) return [required("spec.containers")];
  const errors = validatePodSpec(object.spec, "spec");
  if (old !== undefined && !equal(changeable(object.spec), changeable(old.spec))) {
    errors.push(
      fieldForbidden(
        "spec",
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
      ),
    );
  }
  return errors;
}

/** The spec without what may change in a pod that exists (nodeName: the scheduler binds by an update here). */
function changeable(spec: unknown): unknown {
  const rest = copy(spec);
  if (!isObject(rest)) return rest;
  delete rest.nodeName;
  delete rest.tolerations;
  delete rest.activeDeadlineSeconds;
  for (const item of [...arrayAt(rest, "containers"), ...arrayAt(rest, "initContainers")]) {
    if (isObject(item)) delete item.image;
  }
  return rest;
}

function validatePodSpec(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (arrayAt(spec, "containers").length === 0) errors.push(required(`${path}.containers`));
  const volumes = new Set(arrayAt(spec, "volumes").map((volume) => at(volume, "name")));
  const names = new Set<unknown>();
  for (const list of ["initContainers", "containers"]) {
    arrayAt(spec, list).forEach((item, i) => {
      const here = `${path}.${list}[${i}]`;
      if (!isObject(item)) return;
      if (!item.name) errors.push(required(`${here}.name`));
      else if (names.has(item.name)) {
        errors.push({ field: `${here}.name`, type: "FieldValueDuplicate", message: `Duplicate value: "${String(item.name)}"` });
      }
      names.add(item.name);
      if (!item.image) errors.push(required(`${here}.image`));
      errors.push(...validatePorts(item, here));
      arrayAt(item, "env").forEach((variable, n) => {
        if (!at(variable, "name")) errors.push(required(`${here}.env[${n}].name`));
      });
      arrayAt(item, "volumeMounts").forEach((mount, n) => {
        const name = at(mount, "name");
        if (!volumes.has(name)) {
          const message = `Not found: "${String(name)}"`;
          errors.push({ field: `${here}.volumeMounts[${n}].name`, type: "FieldValueNotFound", message });
        }
        if (!at(mount, "mountPath")) errors.push(required(`${here}.volumeMounts[${n}].mountPath`));
      });
    });
  }
  return errors;
}

function validatePorts(container: JsonObject, path: string): FieldError[] {
  return arrayAt(container, "ports").flatMap((port, i) => {
    const here = `${path}.ports[${i}]`;
    const number = at(port, "containerPort");
    const name = at(port, "name");
    const errors: FieldError[] = [];
    if (number === undefined) errors.push(required(`${here}.containerPort`));
    else errors.push(...portNumber(`${here}.containerPort`, number));
    if (typeof name === "string" && !PORT_NAME.test(name)) {
      errors.push(
        invalidValue(`${here}.name`, name, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), at most 15"),
      );
    }
    return errors;
  });
}

function portNumber(field: string, value: unknown): FieldError[] {
  const good = Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535;
  return good ? [] : [invalidValue(field, value, "must be between 1 and 65535, inclusive")];
}

export function validateService(object: StoredObject, old?: StoredObject): FieldError[] {
  const spec = object.spec;
  if (!isObject(spec)) return [required("spec.ports")];
  const errors: FieldError[] = [];
  const ports = arrayAt(spec, "ports");
  if (ports.length === 0 && spec.clusterIP !== "None" && spec.type !== "ExternalName") errors.push(required("spec.ports"));
  ports.forEach((port, i) => {
    const here = `spec.ports[${i}]`;
    if (ports.length > 1 && !at(port, "name")) errors.push(required(`${here}.name`));
    errors.push(...portNumber(`${here}.port`, at(port, "port") ?? 0));
    const target = at(port, "targetPort");
    if (typeof target === "number") errors.push(...portNumber(`${here}.targetPort`, target));
    else if (typeof target === "string" && !PORT_NAME.test(target)) {
      errors.push(
        invalidValue(
          `${here}.targetPort`,
          target,
          "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), at most 15",
        ),
      );
    }
  });
  const oldIp = old?.spec?.clusterIP;
  if (oldIp && old.spec.type === spec.type && spec.clusterIP !== oldIp) {
    errors.push(invalidValue("spec.clusterIPs[0]", [spec.clusterIP], "may not change once set"));
  }
  return errors;
}

export function validateLease(object: StoredObject): FieldError[] {
  const errors: FieldError[] = [];
  const seconds = object.spec?.leaseDurationSeconds;
  if (seconds !== undefined && !(seconds > 0)) {
    errors.push(invalidValue("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
  }
  if (object.spec?.holderIdentity === "" && object.spec?.strategy !== undefined) {
    errors.push(invalidValue("spec.holderIdentity", "", "must not be empty"));
  }
  return errors;
}
