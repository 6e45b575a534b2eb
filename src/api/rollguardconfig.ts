// RollguardConfig: what belongs to the whole installation. One object, named `cluster`.
import { z } from "zod";
import {
  atomicList,
  conditions,
  counter,
  duration,
  integer,
  listMap,
  matching,
  message,
  ObjectMetaSchema,
  objectName,
  percent,
  period,
  setList,
  text,
  time,
} from "./common.ts";
import { API_VERSION } from "./names.ts";
import { SinkSchema, SinkStatusSchema } from "./notifications.ts";

const StormBreakerSchema = z.object({
  enabled: z.boolean().default(true).describe("Whether it may hold anything."),
  share: percent(1, 100).default("30%").describe("Share of the guarded deployments above which it holds."),
  atLeast: integer(1, 10_000).default(5).describe("The least number of them."),
  within: duration("1s", "24h").default("10m").describe("Their first bad samples lie within so long a time."),
  resume: text(253).optional().describe("A new value is a person's word to go on; each is handled once."),
});

export const RollguardConfigSpecSchema = z.object({
  stormBreaker: StormBreakerSchema.prefault({}).describe("When much of the fleet breaches at once, the cause is not the model."),
  notifications: z.array(SinkSchema).max(16).meta(listMap("name")).optional().describe("Who is told."),
  artifacts: z
    .object({
      allowHosts: z
        .array(
          matching(
            "^([*][.])?[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?$",
            253,
            "must be a host such as models.example.com, *.example.com or host:8080",
          ),
        )
        .max(256)
        .meta(setList)
        .optional()
        .describe("Hosts from which weights may be fetched. Default: all."),
    })
    .optional()
    .describe("Where weights may come from."),
  records: z
    .object({
      keep: integer(1, 100_000).default(1000).describe("Records kept for each deployment; never fewer than its status shows."),
      maxAge: period().default("400d").describe("How long a record is kept; the last one of a deployment for good."),
    })
    .prefault({})
    .describe("How long the audit trail lasts."),
  defaults: z
    .object({
      policy: objectName().optional().describe("ClusterRollbackPolicy of deployments that name none."),
      fetchImage: text(512).optional().describe("Image of the init container."),
      environment: text(63)
        .optional()
        .describe("Environment that records name where the operator's `--environment` is not given."),
    })
    .optional()
    .describe("For what a deployment leaves open."),
});

export const RollguardConfigStatusSchema = z.object({
  observedGeneration: counter().optional().describe("The generation that this status describes."),
  storm: z
    .object({
      active: z.boolean().describe("Whether it holds now."),
      since: time().optional(),
      guarded: counter().optional().describe("Guarded deployments."),
      breached: counter().optional().describe("Those with a first bad sample within the window."),
      source: z.string().max(253).optional().describe("The source that they share, where there is one."),
      namespace: z.string().max(63).optional().describe("Nearly all are of this namespace, and only it is held."),
      resumedAt: time().optional().describe("When a person last said to go on: what was bad by then opens it no more."),
      message: message().optional(),
    })
    .optional()
    .describe("The storm breaker."),
  handledResume: z.string().max(253).optional().describe("The value of `resume` that was handled."),
  suspects: z
    .array(z.string().max(512))
    .max(64)
    .meta(atomicList)
    .optional()
    .describe("Deployments that are held, as `<namespace>/<name>`."),
  notifications: z.array(SinkStatusSchema).max(16).meta(listMap("name")).optional().describe("How each sink is doing."),
  conditions: conditions().optional(),
});

export const RollguardConfigSchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("RollguardConfig"),
  metadata: ObjectMetaSchema,
  spec: RollguardConfigSpecSchema.describe("What belongs to the whole installation."),
  status: RollguardConfigStatusSchema.optional(),
});
export type RollguardConfig = z.infer<typeof RollguardConfigSchema>;
export type RollguardConfigSpec = z.infer<typeof RollguardConfigSpecSchema>;
export type RollguardConfigStatus = z.infer<typeof RollguardConfigStatusSchema>;
