// Building blocks that all kinds share: bounded text, durations, percentages, times, references, conditions.
// Each helper carries the zod check and the CEL rule (`x-kubernetes-validations`) that says the same to the API server.
import { z } from "zod";

/** One entry of `x-kubernetes-validations`. `message` is what a person reads when the rule is broken. */
export interface CelRule {
  rule: string;
  message: string;
  /** JSON path below the node that the rule is on, so that the refusal names the field that is meant. */
  fieldPath?: string;
  reason?: "FieldValueInvalid" | "FieldValueForbidden" | "FieldValueRequired" | "FieldValueDuplicate";
}

/** The metadata of a node that carries CEL rules; spread it into `.meta()`. */
export const rules = (...list: CelRule[]): { "x-kubernetes-validations": CelRule[] } => ({ "x-kubernetes-validations": list });

/** Marks a list as a map by these keys: duplicates are refused and server-side apply merges entries. */
export const listMap = (...keys: string[]) => ({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys });
/** Marks a list whose entries are replaced as a whole. */
export const atomicList = { "x-kubernetes-list-type": "atomic" } as const;
/** Marks a list of scalars without duplicates. */
export const setList = { "x-kubernetes-list-type": "set" } as const;

/** Text of 1 to `max` characters. */
export const text = (max: number) => z.string().min(1).max(max);

/** Text that must match `pattern` (RE2, no backslashes) with a refusal in plain words. */
export function matching(pattern: string, max: number, message: string) {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(new RegExp(pattern), message)
    .meta(rules({ rule: `self.matches('${pattern}')`, message }));
}

/** A Kubernetes object name (DNS subdomain) of at most 253 characters. */
export const objectName = (max = 253) =>
  matching(
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    max,
    "must be the name of an object: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
  );

/** A name within one of our lists (checks, sinks): a DNS label. */
export const entryName = () =>
  matching(
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    63,
    "must be a short name: lower-case letters, digits and '-', beginning and ending with a letter or digit, such as error-ratio",
  );

// --- durations -------------------------------------------------------------------------------------------------------

/** Hours, minutes, seconds, milliseconds, largest first. The digits are bounded so that Go's duration can't overflow. */
export const DURATION_PATTERN = "^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?([0-9]{1,8}ms)?$";
const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const DURATION = /^(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?(?:(\d{1,8})ms)?$/;

/** Milliseconds of a duration such as `500ms`, `15s`, `1h30m`, `90d`. Throws a RangeError that names the text. */
export function parseDuration(duration: string): number {
  const match = DURATION.exec(duration);
  if (duration === "" || !match) {
    throw new RangeError(`${JSON.stringify(duration)} is not a duration such as 500ms, 15s, 10m, 1h30m or 90d`);
  }
  const [, d = "0", h = "0", m = "0", s = "0", ms = "0"] = match;
  return Number(d) * UNIT_MS.d + Number(h) * UNIT_MS.h + Number(m) * UNIT_MS.m + Number(s) * UNIT_MS.s + Number(ms);
}

/** The shortest text for a number of milliseconds (a whole number, 0 or more), in units that the API accepts. */
export function formatDuration(milliseconds: number): string {
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0) throw new RangeError(`${milliseconds} is not a duration in ms`);
  let rest = milliseconds;
  let out = "";
  for (const unit of ["h", "m", "s", "ms"] as const) {
    const count = Math.floor(rest / UNIT_MS[unit]);
    rest -= count * UNIT_MS[unit];
    if (count > 0) out += `${count}${unit}`;
  }
  return out === "" ? "0s" : out;
}

const isDuration = (value: string, min: string, max: string): boolean => {
  if (value === "" || value.includes("d") || !DURATION.test(value)) return false;
  const ms = parseDuration(value);
  return ms >= parseDuration(min) && ms <= parseDuration(max);
};

/** A duration between `min` and `max`, both inclusive. */
export function duration(min: string, max: string) {
  const message = `must be a duration from ${min} to ${max}, such as 500ms, 15s, 10m or 1h30m (units h, m, s and ms)`;
  return z
    .string()
    .min(2)
    .max(32)
    .refine((value) => isDuration(value, min, max), message)
    .meta(
      rules({
        rule: `self.matches('${DURATION_PATTERN}') && duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`,
        message,
      }),
    );
}

/** A long period: whole days, or hours. CEL's `duration()` knows no days, so only the form is checked. */
export const period = () =>
  matching("^([1-9][0-9]{0,3}d|[1-9][0-9]{0,4}h)$", 16, "must be a period of whole days or hours, such as 90d or 12h");

// --- numbers ---------------------------------------------------------------------------------------------------------

/** A whole percentage as text, such as `50%`. */
export function percent(min: number, max: number) {
  const message = `must be a percentage from ${min}% to ${max}%, such as 50%`;
  const pattern = "^(0|[1-9][0-9]{0,3})%$";
  return z
    .string()
    .min(2)
    .max(5)
    .refine(
      (value) => /^(0|[1-9][0-9]{0,3})%$/.test(value) && parsePercent(value) >= min / 100 && parsePercent(value) <= max / 100,
    )
    .meta(
      rules({
        rule: `self.matches('${pattern}') && int(self.substring(0, size(self) - 1)) >= ${min} && int(self.substring(0, size(self) - 1)) <= ${max}`,
        message,
      }),
    );
}

/** The share (0.5) of a percentage (`50%`). Throws a RangeError that names the text. */
export function parsePercent(value: string): number {
  const match = /^(\d{1,4})%$/.exec(value);
  if (!match) throw new RangeError(`${JSON.stringify(value)} is not a percentage such as 50%`);
  return Number(match[1]) / 100;
}

/** A whole number between two bounds. */
export const integer = (min: number, max: number) => z.int().min(min).max(max);
/** A counter of the status: a whole number from 0. */
export const counter = () => z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** The number or the name of a port. */
export const port = () =>
  z.union([z.int().min(1).max(65535), z.string().min(1).max(15)]).meta({
    "x-kubernetes-int-or-string": true,
    ...rules({
      rule: "type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$')",
      message: "must be a port number from 1 to 65535 or the name of a container port (at most 15 of a-z, 0-9 and '-')",
    }),
  });

/** A number of pods (0 to 10,000), or a share of them from 0% to 100%. */
export const amount = () =>
  z
    .union([
      z.int().min(0).max(10_000),
      z
        .string()
        .regex(/^(100|[1-9]?[0-9])%$/)
        .max(4),
    ])
    .meta({
      "x-kubernetes-int-or-string": true,
      ...rules({
        rule: "type(self) == int ? self >= 0 && self <= 10000 : self.matches('^(100|[1-9]?[0-9])%$')",
        message: "must be a number from 0 to 10000 or a percentage from 0% to 100%, such as 50%",
      }),
    });

// --- times and content -----------------------------------------------------------------------------------------------

/** An RFC 3339 time. The operator writes milliseconds. */
export const time = () => z.string().max(64).meta({ format: "date-time" });

/** A SHA-256 digest, the one algorithm that is taken. */
export const digest = () => matching("^sha256:[a-f0-9]{64}$", 71, "must be sha256: followed by 64 lower-case hexadecimal digits");

/** One line that a person reads, in a status or record. */
export const message = () => z.string().max(4096);
/** A reason: CamelCase, for machines. */
export const reason = () => z.string().max(128);

/** A key of a Secret or ConfigMap in the operator's own namespace. */
export const keyRef = () =>
  z.object({
    name: objectName().describe("Name of the object."),
    key: matching("^[-._a-zA-Z0-9]+$", 253, "must be a key of a Secret or ConfigMap: letters, digits, '-', '_' and '.'").describe(
      "Key in its data.",
    ),
  });

// --- metadata and conditions -----------------------------------------------------------------------------------------

/** metav1.ObjectMeta, as far as the operator reads it. The API server validates it; the CRDs leave it to that. */
export const ObjectMetaSchema = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.number().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  finalizers: z.array(z.string()).optional(),
  ownerReferences: z
    .array(
      z.looseObject({
        apiVersion: z.string(),
        kind: z.string(),
        name: z.string(),
        uid: z.string(),
        controller: z.boolean().optional(),
        blockOwnerDeletion: z.boolean().optional(),
      }),
    )
    .optional(),
});
export type ObjectMeta = z.infer<typeof ObjectMetaSchema>;

export const ConditionSchema = z.object({
  type: matching("^[A-Za-z][A-Za-z0-9]*$", 63, "must be a CamelCase name"),
  status: z.enum(["True", "False", "Unknown"]),
  reason: matching("^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9_])?$", 128, "must be a CamelCase word"),
  message: z.string().max(4096),
  lastTransitionTime: time(),
  observedGeneration: counter().optional(),
});
/** metav1.Condition. */
export type Condition = z.infer<typeof ConditionSchema>;
export type ConditionStatus = Condition["status"];

/** The list of conditions of a status. */
export const conditions = () =>
  z
    .array(ConditionSchema)
    .max(16)
    .meta(listMap("type"))
    .describe("What is true of the object now, by the conventions of Kubernetes and kstatus.");
