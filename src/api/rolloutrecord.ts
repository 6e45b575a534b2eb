// RolloutRecord: the audit trail. One immutable object for every finished transition.
import { z } from "zod";
import { atomicList, counter, listMap, message, ObjectMetaSchema, reason, rules, time } from "./common.ts";
import { HistoryCheckSchema, InitiatorSchema, RevisionIdentitySchema } from "./modeldeployment-status.ts";
import { ModelVersionContentSchema } from "./modelversion.ts";
import { API_VERSION } from "./names.ts";
import { ACTIONS, MODES, OUTCOMES, STANDINGS, TRIGGERS } from "./reasons.ts";

export const RecordedRevisionSchema = RevisionIdentitySchema.extend({
  standing: z.enum(STANDINGS).optional().describe("What was known of it at the end."),
  content: ModelVersionContentSchema.optional().describe("The whole content of the version, so that the record outlives it."),
});
export type RecordedRevision = z.infer<typeof RecordedRevisionSchema>;

export const RecordedCheckSchema = HistoryCheckSchema.extend({
  source: z.string().max(253).optional().describe("The MetricSource."),
  query: z.string().max(9000).optional().describe("The query as it was asked; for a ratio `numerator / denominator`."),
  message: message().optional().describe("What there is to say about it."),
});

export const RolloutRecordSpecSchema = z
  .object({
    deployment: z
      .object({
        name: z.string().min(1).max(253).describe("Name of the ModelDeployment."),
        uid: z.string().min(1).max(128).describe("Its uid: a deployment that was deleted and made again is another one."),
      })
      .describe("Whose transition it was."),
    sequence: counter().describe("Number of the transition, without gaps."),
    action: z.enum(ACTIONS).describe("`Rollout` or `Return`."),
    outcome: z.enum(OUTCOMES).describe("How it ended."),
    trigger: z.enum(TRIGGERS).describe("What began it."),
    reason: reason().describe("Why, for machines."),
    message: message().optional().describe("Why, for people."),
    from: RecordedRevisionSchema.optional().describe("The revision that had the traffic; absent for the first one."),
    to: RecordedRevisionSchema.optional().describe("The revision that was to have it."),
    changes: z
      .array(
        z.object({
          path: z.string().min(1).max(512).describe("The field that changed."),
          from: z.string().max(2048).optional().describe("Its value before."),
          to: z.string().max(2048).optional().describe("Its value after."),
        }),
      )
      .max(100)
      .meta(atomicList)
      .optional()
      .describe("What changed in the configuration."),
    initiator: InitiatorSchema.optional().describe("Who, and how that is known."),
    changeCause: z.string().max(1024).optional().describe("Why, as declared."),
    environment: z.string().max(253).optional().describe("Where."),
    policy: z
      .object({
        names: z.array(z.string().max(512)).max(32).meta(atomicList).optional().describe("`<kind>/<name>` of each layer."),
        generations: z.array(counter()).max(32).meta(atomicList).optional().describe("Their generations, in the same order."),
        hash: z.string().max(128).optional().describe("Hash of the merged content."),
        mode: z.enum(MODES).optional().describe("Its mode."),
        origins: z
          .array(
            z.object({
              field: z.string().min(1).max(256).describe("Path of the field, such as `checks[error-ratio].threshold`."),
              layer: z.string().min(1).max(512).describe("`<kind>/<name>` of the layer that it comes from."),
            }),
          )
          .max(500)
          .meta(atomicList)
          .optional()
          .describe("Where each field that was not left to its default comes from."),
      })
      .optional()
      .describe("The policy in force."),
    checks: z.array(RecordedCheckSchema).max(40).meta(listMap("name")).optional().describe("What the checks said."),
    check: z.string().max(63).optional().describe("The check that was breached."),
    depth: counter().optional().describe("How many targets were tried in this incident."),
    passedOver: z.array(counter()).max(50).meta(atomicList).optional().describe("Revisions that were passed over."),
    startedAt: time().describe("When it began."),
    finishedAt: time().describe("When it ended."),
    detectedAt: time().optional().describe("Time of the sample that completed the breach."),
    decidedAt: time().optional().describe("When the return was decided."),
    restoredAt: time().optional().describe("When the EndpointSlices held only ready pods of the target."),
    verifiedAt: time().optional().describe("When the return was verified."),
    warm: z.boolean().optional().describe("Of a return: the target was warm, so that the traffic moved first."),
    leftProven: z
      .boolean()
      .optional()
      .describe(
        "Only of a return that nobody asked for: whether the revision that was left was proven. Cooldown and budget of a deployment that is made again under its name go on from it.",
      ),
    operatorVersion: z.string().max(63).optional().describe("Version of Rollguard that wrote it."),
  })
  .meta(rules({ rule: "self == oldSelf", message: "a record is immutable: it can be deleted, and not changed" }));

export const RolloutRecordSchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("RolloutRecord"),
  metadata: ObjectMetaSchema,
  spec: RolloutRecordSpecSchema.describe("What happened. Immutable."),
});
export type RolloutRecord = z.infer<typeof RolloutRecordSchema>;
export type RolloutRecordSpec = z.infer<typeof RolloutRecordSpecSchema>;
