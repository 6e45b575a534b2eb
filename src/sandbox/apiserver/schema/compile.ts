// compileSchema: what the API server does with a CRD's schema: prune, default, validate. Order as in apiextensions-apiserver.
import { applyDefaults } from "./defaulting.ts";
import { blocksRules, RULES_NOT_CHECKED } from "./errors.ts";
import { prune } from "./prune.ts";
import { checkRules, compileRules } from "./rules.ts";
import type { FieldError, Schema } from "./types.ts";
import { checkValue } from "./values.ts";

export type { FieldError, FieldErrorType, Schema } from "./types.ts";

export interface CompiledSchema {
  /** Removes unknown fields in place; returns their paths. */
  prune(object: unknown): string[];
  /** Sets defaults in place. Prune first. */
  applyDefaults(object: unknown): void;
  /** All errors of a pruned and defaulted object; with `old`, transition rules too, and unchanged parts are let be. */
  validate(object: unknown, old?: unknown): FieldError[];
}

/** Compiles the `openAPIV3Schema` of a CRD version. Throws where a CEL rule does not parse or type-check. */
export function compileSchema(schema: Schema): CompiledSchema {
  const rules = compileRules(schema);
  return {
    prune: (object) => prune(schema, object),
    applyDefaults: (object) => applyDefaults(schema, object),
    validate(object, old) {
      const errors = checkValue(schema, object, old, "");
      if (rules === undefined) return errors;
      if (blocksRules(errors)) return [...errors, RULES_NOT_CHECKED];
      return [...errors, ...checkRules(rules, object, old, "")];
    },
  };
}
