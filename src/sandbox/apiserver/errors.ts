// The errors of the API server, in the words of k8s.io/apimachinery/pkg/api/errors, and their metav1.Status form.
import { StatusError } from "../api.ts";
import type { JsonObject } from "./json.ts";

/** What an error is about; `resource` is the plural. */
export interface Subject {
  group: string;
  resource: string;
  kind: string;
}

/** One finding of validation. `type` is Kubernetes' cause, such as FieldValueInvalid; `message` follows the field's name. */
export interface FieldError {
  field: string;
  type: string;
  message: string;
}

function qualified(subject: { group: string }, what: string): string {
  return subject.group === "" ? what : `${what}.${subject.group}`;
}

function detailsOf(subject: Subject, name: string): JsonObject {
  return { name, ...(subject.group === "" ? {} : { group: subject.group }), kind: subject.resource };
}

export function notFound(subject: Subject, name: string): StatusError {
  return new StatusError(
    404,
    "NotFound",
    `${qualified(subject, subject.resource)} "${name}" not found`,
    detailsOf(subject, name),
  );
}

export function alreadyExists(subject: Subject, name: string): StatusError {
  const message = `${qualified(subject, subject.resource)} "${name}" already exists`;
  return new StatusError(409, "AlreadyExists", message, detailsOf(subject, name));
}

export function conflict(subject: Subject, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(subject, subject.resource)} "${name}": ${why}`;
  return new StatusError(409, "Conflict", message, detailsOf(subject, name));
}

/** The answer to a stale resourceVersion. */
export function modified(subject: Subject, name: string): StatusError {
  return conflict(subject, name, "the object has been modified; please apply your changes to the latest version and try again");
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, "BadRequest", message);
}

export function forbidden(subject: Subject, name: string, why: string, causes?: JsonObject[]): StatusError {
  const message = `${qualified(subject, subject.resource)} "${name}" is forbidden: ${why}`;
  return new StatusError(403, "Forbidden", message, { ...detailsOf(subject, name), ...(causes === undefined ? {} : { causes }) });
}

export function invalid(subject: { group: string; kind: string }, name: string, errors: FieldError[]): StatusError {
  const causes = errors.map((error) => ({ reason: error.type, message: error.message, field: error.field }));
  const texts = errors.map((error) => `${error.field}: ${error.message}`);
  const list = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const message = `${qualified(subject, subject.kind)} "${name}" is invalid: ${list}`;
  const group = subject.group === "" ? {} : { group: subject.group };
  return new StatusError(422, "Invalid", message, { name, ...group, kind: subject.kind, causes });
}

/** Too old a resourceVersion for a list's continue token; for a watch the same Status comes as an ERROR event. */
export function expired(message: string): StatusError {
  return new StatusError(410, "Expired", message);
}

export function methodNotAllowed(): StatusError {
  return new StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

/** The answer to a path that no resource has. */
export function noSuchPath(): StatusError {
  return new StatusError(404, "NotFound", "the server could not find the requested resource");
}

/** An error of the server that is no metav1.Status of its own in Kubernetes (code 500, no reason). */
export function internal(message: string): StatusError {
  return new StatusError(500, "", message);
}

export function toStatus(error: StatusError): JsonObject {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: error.message,
    ...(error.reason === "" ? {} : { reason: error.reason }),
    ...(error.details === undefined ? {} : { details: error.details }),
    code: error.code,
  };
}

export function invalidValue(field: string, value: unknown, why: string): FieldError {
  return { field, type: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${why}` };
}

export function required(field: string, why = ""): FieldError {
  return { field, type: "FieldValueRequired", message: `Required value${why === "" ? "" : `: ${why}`}` };
}

export function fieldForbidden(field: string, why: string): FieldError {
  return { field, type: "FieldValueForbidden", message: `Forbidden: ${why}` };
}
