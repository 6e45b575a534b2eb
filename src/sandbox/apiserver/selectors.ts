// Label and field selectors in their query form ("a=b,c!=d,e in (f,g),!h"), and label selectors of objects as text.
import type { StoredObject } from "../api.ts";
import { badRequest } from "./errors.ts";
import { arrayAt, at, isObject, objectAt } from "./json.ts";
import type { ResourceDef } from "./resources.ts";

type Test = (object: StoredObject) => boolean;

/** A test for `labelSelector`. Throws 400 for what it cannot read. */
export function labelTest(selector: string): Test {
  const tests = splitOutsideParentheses(selector).map(requirement);
  return (object) => tests.every((test) => test(object.metadata.labels ?? {}));
}

function requirement(text: string): (labels: Record<string, string>) => boolean {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(text);
  if (set !== null) {
    const [, key = "", operator, list = ""] = set;
    const values = new Set(list.split(",").map((value) => value.trim()));
    return operator === "in"
      ? (labels) => labels[key] !== undefined && values.has(labels[key])
      : (labels) => labels[key] === undefined || !values.has(labels[key]);
  }
  const comparison = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(text);
  if (comparison !== null) {
    const [, key = "", operator, value = ""] = comparison;
    return operator === "!=" ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  const absent = /^!\s*([^=!\s]+)$/.exec(text)?.[1];
  if (absent !== undefined) return (labels) => labels[absent] === undefined;
  if (/^[^=!\s()]+$/.test(text)) return (labels) => labels[text] !== undefined;
  throw badRequest(`unable to parse requirement: invalid label selector "${text}"`);
}

function splitOutsideParentheses(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** Fields that may be selected by, beside metadata.name and metadata.namespace, by kind. */
const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  Pod: ["spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"],
  Event: ["reason", "type", "source", "reportingComponent", "reportingController"],
  Namespace: ["status.phase"],
  ReplicaSet: ["status.replicas"],
  Secret: ["type"],
  Node: ["spec.unschedulable"],
};

/** A test for `fieldSelector` of objects of `def`. Throws 400 for a field that the kind cannot be selected by. */
export function fieldTest(def: ResourceDef, selector: string): Test {
  const tests = splitOutsideParentheses(selector).map((text): Test => {
    const match = /^([^=!]+?)(==|=|!=)(.*)$/.exec(text);
    if (match === null) throw badRequest(`invalid field selector: "${text}"`);
    const [, path = "", operator, value = ""] = match;
    const known = path === "metadata.name" || path === "metadata.namespace" || (SELECTABLE[def.kind] ?? []).includes(path);
    if (!known && !(def.kind === "Event" && /^(involvedObject|regarding)\./.test(path))) {
      throw badRequest(`field label not supported: ${path}`);
    }
    const wanted = operator !== "!=";
    return (object) => (String(at(object, path) ?? "") === value) === wanted;
  });
  return (object) => tests.every((test) => test(object));
}

/** Whether a LabelSelector object (matchLabels, matchExpressions) selects `labels`; an empty one selects everything. */
export function selectorMatches(selector: unknown, labels: Record<string, unknown>): boolean {
  for (const [key, value] of Object.entries(objectAt(selector, "matchLabels"))) if (labels[key] !== value) return false;
  return arrayAt(selector, "matchExpressions").every((expression) => {
    if (!isObject(expression)) return false;
    const value = labels[String(expression.key)];
    const among = arrayAt(expression, "values").includes(value);
    if (expression.operator === "In") return among;
    if (expression.operator === "NotIn") return !among;
    return (expression.operator === "Exists") === (value !== undefined);
  });
}

/** The query form of a LabelSelector object. */
export function selectorText(selector: unknown): string {
  const labels = Object.entries(objectAt(selector, "matchLabels")).map(([key, value]) => `${key}=${value}`);
  const expressions = arrayAt(selector, "matchExpressions")
    .filter(isObject)
    .map(({ key, operator, values }) => {
      if (operator === "Exists") return String(key);
      if (operator === "DoesNotExist") return `!${key}`;
      return `${key} ${operator === "In" ? "in" : "notin"} (${arrayAt({ values }, "values").join(",")})`;
    });
  return [...labels.sort(), ...expressions].join(",");
}
