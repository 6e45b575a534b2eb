// Evaluates `x-kubernetes-validations` node by node. Rules with oldSelf are transition rules: they run where an old value exists.
import { Environment } from "@marcbachmann/cel-js";
import { invalid, ruleError } from "./errors.ts";
import {
  childPath,
  equalJson,
  type FieldError,
  indexPath,
  isObject,
  keyPath,
  type Schema,
  type ValidationRule,
} from "./types.ts";
import { correlate } from "./values.ts";

interface CompiledRule {
  rule: ValidationRule;
  usesOld: boolean;
  evaluate: (context: { self: unknown; oldSelf?: unknown }) => unknown;
}

/** A node that has rules, or leads to one. */
interface RuleNode {
  schema: Schema;
  rules: CompiledRule[];
  properties: Map<string, RuleNode>;
  items?: RuleNode;
  additional?: RuleNode;
}

/** Compiles all rules of a schema. Throws where one does not parse or type-check. Undefined where there are none. */
export function compileRules(schema: Schema): RuleNode | undefined {
  const environment = new Environment({
    unlistedVariablesAreDyn: false,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
  })
    .registerVariable("self", "dyn")
    .registerVariable("oldSelf", "dyn");
  return compileNode(schema, environment);
}

function compileNode(schema: Schema, environment: Environment): RuleNode | undefined {
  const properties = new Map<string, RuleNode>();
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const node = compileNode(child, environment);
    if (node !== undefined) properties.set(key, node);
  }
  const items = schema.items === undefined ? undefined : compileNode(schema.items, environment);
  const additional =
    typeof schema.additionalProperties === "object" ? compileNode(schema.additionalProperties, environment) : undefined;
  const rules = (schema["x-kubernetes-validations"] ?? []).map((rule) => {
    const parsed = environment.parse(rule.rule);
    const checked = parsed.check();
    if (!checked.valid) throw new Error(`rule ${rule.rule}: ${checked.error?.message ?? "does not type-check"}`);
    return { rule, usesOld: /\boldSelf\b/.test(rule.rule), evaluate: (context: object) => parsed(context) };
  });
  if (rules.length === 0 && properties.size === 0 && items === undefined && additional === undefined) return undefined;
  return { schema, rules, properties, items, additional };
}

/** All broken rules of `value` and what is below it. */
export function checkRules(node: RuleNode, value: unknown, old: unknown, path: string): FieldError[] {
  if (value === null || value === undefined) return [];
  const errors = ownRules(node, value, old, path);
  if (Array.isArray(value) && node.items !== undefined) {
    const oldOf = correlate(node.schema, old);
    for (const [index, item] of value.entries()) {
      errors.push(...checkRules(node.items, item, oldOf(item), indexPath(path, index)));
    }
  }
  if (isObject(value)) {
    const before = isObject(old) && node.schema["x-kubernetes-map-type"] !== "atomic" ? old : {};
    for (const [key, item] of Object.entries(value)) {
      const child = node.properties.get(key);
      if (child !== undefined) errors.push(...checkRules(child, item, before[key], childPath(path, key)));
      else if (node.additional !== undefined && node.schema.properties?.[key] === undefined) {
        errors.push(...checkRules(node.additional, item, before[key], keyPath(path, key)));
      }
    }
  }
  return errors;
}

function ownRules(node: RuleNode, value: unknown, old: unknown, path: string): FieldError[] {
  if (node.rules.length === 0) return [];
  const hasOld = old !== undefined && old !== null;
  const unchanged = hasOld && equalJson(value, old);
  const self = toCel(node.schema, value);
  const context = hasOld ? { self, oldSelf: toCel(node.schema, old) } : { self };
  const errors: FieldError[] = [];
  for (const { rule, usesOld, evaluate } of node.rules) {
    // Ratcheting: what was there before a rule came is not refused for it.
    if (usesOld ? !hasOld : unchanged) continue;
    const field = `${path}${rule.fieldPath ?? ""}`.replace(/^\./, "");
    const type = node.schema.type ?? "";
    try {
      const result = evaluate(context);
      if (result === true) continue;
      errors.push(ruleError(field || "<nil>", value, (rule.message ?? `failed rule: ${rule.rule}`).trim(), rule.reason));
    } catch (error) {
      const text = error instanceof Error ? error.message.split("\n")[0] : String(error);
      errors.push(invalid(path || "<nil>", type, `${text} evaluating rule: ${rule.message ?? rule.rule}`));
    }
  }
  return errors;
}

/** A JSON value as CEL sees it: whole numbers are BigInt where the schema says integer, or where it says nothing. */
function toCel(schema: Schema | undefined, value: unknown): unknown {
  if (typeof value === "number") {
    const isInteger = schema?.type === "integer" || (schema?.type === undefined && Number.isInteger(value));
    return isInteger ? BigInt(value) : value;
  }
  if (Array.isArray(value)) return value.map((item) => toCel(schema?.items, item));
  if (!isObject(value)) return value;
  const rest = typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toCel(schema?.properties?.[key] ?? rest, item)]));
}
