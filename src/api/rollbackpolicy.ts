// RollbackPolicy: when to go back. Fields that layers merge have no default here: what no layer says is in defaults.ts.
import { z } from "zod";
import {
  atomicList,
  conditions,
  counter,
  duration,
  entryName,
  integer,
  listMap,
  matching,
  ObjectMetaSchema,
  objectName,
  percent,
  period,
  rules,
  text,
} from "./common.ts";
import { API_VERSION } from "./names.ts";
import {
  BREACH_ACTIONS,
  MODES,
  PRESET_MEASURES,
  PRESET_MEASURES_OF,
  PRESET_SERVERS,
  presetRefusal,
  SEVERITIES,
} from "./reasons.ts";

const query = () => text(4096);

/** What a ratio is judged by; a preset that is a ratio has the same. */
const ratioFields = {
  minSamples: integer(1, 1_000_000_000)
    .default(50)
    .describe("Below this denominator a sample is Insufficient. Pooled over windows until reached."),
  confidence: z
    .number()
    .min(0.5)
    .max(0.9999)
    .optional()
    .describe(
      "Candidate and bake: the whole confidence sequence must lie beyond the threshold. Without it, the plain value is compared.",
    ),
  falseAlarm: z
    .object({
      atMost: integer(1, 1000).default(1).describe("False alarms that are tolerated."),
      per: period().default("90d").describe("In how long a time."),
    })
    .optional()
    .describe("Guard: how often the change detector may cry wolf. Without it: once in 90 days; each ratio is watched."),
};

const RatioSchema = z.object({
  numerator: query().describe("PromQL of the bad ones (increase over `${window}`)."),
  denominator: query().describe("PromQL of all of them."),
  ...ratioFields,
});

const PresetSchema = z
  .object({
    server: z.enum(PRESET_SERVERS).describe("What serves the model."),
    measure: z.enum(PRESET_MEASURES).describe("What is measured. Times are in seconds."),
    ...ratioFields,
  })
  .meta(
    rules(
      ...PRESET_SERVERS.filter((server) => PRESET_MEASURES_OF[server].length < PRESET_MEASURES.length).map((server) => ({
        rule: `self.server != '${server}' || self.measure in [${PRESET_MEASURES_OF[server].map((one) => `'${one}'`).join(", ")}]`,
        message: presetRefusal(server),
        fieldPath: ".measure",
      })),
      {
        rule: "self.measure == 'ErrorRatio' || !(has(self.confidence) || has(self.falseAlarm))",
        message: "confidence and falseAlarm are of a ratio: remove them, or measure ErrorRatio",
      },
    ),
  );

const ThresholdSchema = z
  .object({
    max: z.number().optional().describe("A value above it is a breach."),
    min: z.number().optional().describe("A value below it is a breach."),
  })
  .meta(
    rules(
      { rule: "has(self.max) || has(self.min)", message: "at least one of max and min must be set" },
      { rule: "!(has(self.min) && has(self.max)) || self.min <= self.max", message: "min must not be above max" },
    ),
  );

const CheckBaselineSchema = z
  .object({
    from: z
      .enum(["LastHealthy", "Active", "ValidationMetric"])
      .default("LastHealthy")
      .describe(
        "`LastHealthy`: what the last healthy revision measured. `Active`: the active revision, live, during a rollout. `ValidationMetric`: what the version scored before it was shipped.",
      ),
    metric: text(63).optional().describe("Name of the validation metric; only for `ValidationMetric`, and needed there."),
    maxIncreasePercent: z
      .number()
      .min(0)
      .max(100_000)
      .optional()
      .describe("How far the value may rise above the baseline, in percent of it."),
    maxDecreasePercent: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .describe("How far the value may fall below the baseline, in percent of it."),
    maxIncrease: z.number().min(0).optional().describe("How far the value may rise above the baseline, in the value's own unit."),
    maxDecrease: z.number().min(0).optional().describe("How far the value may fall below the baseline, in the value's own unit."),
    guard: z
      .enum(["Hold", "Rollback"])
      .default("Hold")
      .describe(
        "What a breach does once the revision is proven. `Rollback` acts only when the baseline covers at least 24 hours.",
      ),
  })
  .meta(
    rules(
      {
        rule: "has(self.maxIncreasePercent) || has(self.maxDecreasePercent) || has(self.maxIncrease) || has(self.maxDecrease)",
        message: "at least one of maxIncreasePercent, maxDecreasePercent, maxIncrease and maxDecrease must be set",
      },
      {
        rule: "(self.from == 'ValidationMetric') == has(self.metric)",
        message: "metric must be set when from is ValidationMetric, and only then",
      },
    ),
  );

export const CheckSchema = z
  .object({
    name: entryName()
      .meta(
        rules(
          {
            rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            message:
              "must be a short name: lower-case letters, digits and '-', beginning and ending with a letter or digit, such as error-ratio",
          },
          {
            rule: "!(self in ['available', 'restarts'])",
            message: "available and restarts are the built-in checks: set spec.available or spec.restarts",
          },
        ),
      )
      .describe("Name of the check."),
    source: objectName().describe("Name of a MetricSource."),
    query: query().optional().describe("PromQL that gives one number. Either this, `ratio` or `preset`."),
    ratio: RatioSchema.optional().describe(
      "Two queries. A ratio knows its sample size, so little traffic is Insufficient, not Breached.",
    ),
    preset: PresetSchema.optional().describe(
      "The query for a common model server, so that none has to be written. See the page on presets.",
    ),
    window: duration("1s", "168h").default("1m").describe("The range of one sample: `${window}` in the query."),
    freshness: query().optional().describe("PromQL that gives the time (Unix seconds) of the newest sample."),
    interval: duration("1s", "24h").default("1m").describe("Time between samples."),
    overlapping: z
      .boolean()
      .default(false)
      .describe("Allows an interval shorter than the window. Overlapping samples count as one."),
    threshold: ThresholdSchema.optional().describe("Absolute limits."),
    baseline: CheckBaselineSchema.optional().describe("Limits relative to another measurement."),
    breach: z
      .object({
        count: integer(1, 100).default(3).describe("How many bad samples are a breach."),
        of: integer(1, 100).default(5).describe("Among how many of the last conclusive samples."),
      })
      .meta(rules({ rule: "self.count <= self.of", message: "count must not be above of" }))
      .prefault({})
      .describe("When bad samples are a breach."),
    severity: z.enum(SEVERITIES).default("Critical").describe("What a breach means; `actions` says what it does."),
  })
  .meta(
    rules(
      {
        rule: "[has(self.query), has(self.ratio), has(self.preset)].filter(set, set).size() == 1",
        message: "exactly one of query, ratio and preset must be set",
      },
      { rule: "has(self.threshold) || has(self.baseline)", message: "at least one of threshold and baseline must be set" },
      {
        rule: "self.overlapping || duration(self.window) <= duration(self.interval)",
        message: "window must not be longer than interval, unless overlapping is true",
        fieldPath: ".window",
      },
      {
        rule: "!(self.overlapping && (has(self.ratio) && has(self.ratio.confidence) || has(self.preset) && has(self.preset.confidence)))",
        message: "overlapping samples are not independent: remove the confidence or overlapping",
        fieldPath: ".overlapping",
      },
    ),
  );
export type Check = z.infer<typeof CheckSchema>;

const FreezeSchema = z.object({
  schedule: matching(
    "^[^ ]+( [^ ]+){4}$",
    128,
    "must be a cron expression of five fields: minute, hour, day of the month, month, day of the week, such as 0 18 * * 5",
  ).describe("When it begins, as cron: minute, hour, day of the month, month, day of the week."),
  duration: duration("1m", "8760h").describe("How long it lasts."),
  timeZone: matching("^[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+){0,2}$", 64, "must be a time zone such as Europe/Berlin")
    .default("UTC")
    .describe("IANA time zone of the schedule."),
});

const ReturnLimitsSchema = z.object({
  cooldown: duration("0s", "168h")
    .optional()
    .describe("After a return, a proven active revision is not taken back by itself for so long. Default 10m."),
  budget: z
    .object({
      limit: integer(1, 50).default(3).describe("How many automatic returns from proven revisions there may be."),
      per: duration("1m", "720h").default("1h").describe("In how long a time."),
    })
    .optional()
    .describe("Default 3 per 1h."),
  maxDepth: integer(1, 10).optional().describe("How many targets one incident may try. Default 1."),
  verify: duration("1s", "24h").optional().describe("How long the target of a return is verified. Default 2m."),
  deadline: duration("10s", "15m")
    .optional()
    .describe(
      "From detection to verified, at most 15m. A target that is not ready within a third of it is passed over; a person is told as soon as it is going to be missed. Default 15m.",
    ),
});

/** The fields that a policy of either kind has. */
export const policyFields = {
  mode: z
    .enum(MODES)
    .optional()
    .describe("`Enforce`; `Recommend` says what it would do and waits for a person; `Observe` only records. Default Enforce."),
  warmup: duration("0s", "24h").optional().describe("Samples before this are not judged. Default 60s."),
  bake: duration("1s", "720h")
    .optional()
    .describe(
      "How long a revision must serve healthily before it is proven. Lengthened to warmup + interval × of of each Critical check. Default 10m.",
    ),
  checks: z.array(CheckSchema).max(32).meta(listMap("name")).optional().describe("What is measured."),
  builtInInterval: duration("1s", "10m").optional().describe("Time between samples of the built-in checks. Default 15s."),
  available: z
    .object({
      unready: percent(1, 100).default("50%").describe("Share of the scheduled and started pods that is not ready."),
      for: duration("1s", "24h").default("2m").describe("For how long."),
    })
    .optional()
    .describe("Built-in check, on by default."),
  restarts: z
    .object({
      failures: integer(1, 100).default(3).describe("How many failures of a container."),
      in: duration("1s", "24h").default("10m").describe("In how long a time."),
      pods: percent(1, 100).default("50%").describe("In what share of the pods."),
    })
    .optional()
    .describe("Built-in check, on by default: crashes and out-of-memory kills."),
  actions: z
    .object({
      Critical: z.enum(BREACH_ACTIONS).optional().describe("Default Rollback."),
      Warning: z.enum(BREACH_ACTIONS).optional().describe("Default Hold."),
      Info: z.enum(BREACH_ACTIONS).optional().describe("Default Alert."),
    })
    .optional()
    .describe("What a breach of each severity does: `Rollback`, `Hold` (stop promoting) or `Alert`."),
  onMissingData: z
    .object({
      after: duration("1s", "24h").default("10m").describe("How long there may be no conclusive sample."),
      action: z.enum(["Alert", "Hold"]).default("Alert").describe("What is done then. Missing data never rolls back."),
    })
    .optional()
    .describe("Default Alert after 10m."),
  rollback: ReturnLimitsSchema.optional().describe("Limits of automatic returns."),
  freeze: z
    .array(FreezeSchema)
    .max(16)
    .meta(atomicList)
    .optional()
    .describe("Times in which a candidate gets no more traffic. Never stops a safety rollback."),
};

export const RollbackPolicySpecSchema = z.object(policyFields);

export const PolicyStatusSchema = z.object({
  observedGeneration: counter().optional().describe("The generation that this status describes."),
  usedBy: counter().optional().describe("How many ModelDeployments it is in force for."),
  conditions: conditions().optional(),
});

export const RollbackPolicySchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("RollbackPolicy"),
  metadata: ObjectMetaSchema,
  spec: RollbackPolicySpecSchema.describe("When to go back."),
  status: PolicyStatusSchema.optional(),
});
export type RollbackPolicy = z.infer<typeof RollbackPolicySchema>;
export type RollbackPolicySpec = z.infer<typeof RollbackPolicySpecSchema>;
export type RollbackPolicyStatus = z.infer<typeof PolicyStatusSchema>;
