// The wording of Kubernetes' field errors (apimachinery's field package and kube-openapi's validation errors).
import type { FieldError, FieldErrorType } from "./types.ts";

const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null || value === undefined) return "null";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

export const required = (field: string, detail = ""): FieldError => ({
  field,
  type: "FieldValueRequired",
  message: detail === "" ? "Required value" : `Required value: ${detail}`,
});

export const invalid = (field: string, value: unknown, detail: string): FieldError => ({
  field,
  type: "FieldValueInvalid",
  message: `Invalid value: ${show(value)}: ${detail}`,
});

export const invalidInBody = (field: string, value: unknown, detail: string): FieldError =>
  invalid(field, value, `${field} in body ${detail}`);

export const wrongType = (field: string, expected: string, actual: string): FieldError => ({
  field,
  type: "FieldValueTypeInvalid",
  message: `Invalid value: ${show(actual)}: ${field} in body must be of type ${expected}: ${show(actual)}`,
});

export const notSupported = (field: string, value: unknown, supported: unknown[]): FieldError => ({
  field,
  type: "FieldValueNotSupported",
  message: `Unsupported value: ${show(value)}: supported values: ${supported.map(show).join(", ")}`,
});

export const tooLong = (field: string, max: number): FieldError => ({
  field,
  type: "FieldValueTooLong",
  message: `Too long: may not be more than ${max} bytes`,
});

export const tooMany = (field: string, actual: number, max: number): FieldError => ({
  field,
  type: "FieldValueTooMany",
  message: `Too many: ${actual}: must have at most ${max} items`,
});

export const duplicate = (field: string, value: unknown): FieldError => ({
  field,
  type: "FieldValueDuplicate",
  message: `Duplicate value: ${show(value)}`,
});

const forbidden = (field: string, detail: string): FieldError => ({
  field,
  type: "FieldValueForbidden",
  message: `Forbidden: ${detail}`,
});

/** The error of a broken CEL rule. The API server tells the value where it is one, and leaves out an object or a list. */
export function ruleError(field: string, value: unknown, detail: string, reason: FieldErrorType | undefined): FieldError {
  if (reason === "FieldValueForbidden") return forbidden(field, detail);
  if (reason === "FieldValueRequired") return required(field, detail);
  if (reason === "FieldValueDuplicate") return duplicate(field, value);
  if (typeof value === "object") return { field, type: "FieldValueInvalid", message: `Invalid value: ${detail}` };
  return invalid(field, value, detail);
}

const BLOCKING: readonly FieldErrorType[] = [
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
];

/** Whether rules can't be evaluated on an object with these errors, because its shape is not what they were typed for. */
export const blocksRules = (errors: FieldError[]): boolean => errors.some((error) => BLOCKING.includes(error.type));

/** The note that the API server adds when it did not evaluate the rules. */
export const RULES_NOT_CHECKED: FieldError = {
  field: "<nil>",
  type: "FieldValueInvalid",
  message:
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
};
