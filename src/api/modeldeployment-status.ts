// The status of a ModelDeployment: what is decided and what came of it. An empty status is valid.
import { z } from "zod";
import { atomicList, conditions, counter, listMap, message, reason, time } from "./common.ts";
import { REQUESTS } from "./names.ts";
import {
  ACTIONS,
  INITIATOR_SOURCES,
  OUTCOMES,
  PHASES,
  SEVERITIES,
  STANDINGS,
  STRATEGIES,
  TRIGGERS,
  VERDICTS,
} from "./reasons.ts";

const name = () => z.string().max(253);
const revisionNumber = () => counter().describe("Number of the revision.");

export const RevisionIdentitySchema = z.object({
  version: name().describe("Name of the ModelVersion."),
  revision: revisionNumber(),
  hash: z.string().max(128).describe("Hash of the revision's content."),
  artifactDigest: z.string().max(71).describe("Digest of the weights; for `files`, that of their list."),
});
/** What identifies a revision in history and records. */
export type RevisionIdentity = z.infer<typeof RevisionIdentitySchema>;

export const RevisionRefSchema = RevisionIdentitySchema.extend({
  since: time().describe("Since when it has this position."),
  standing: z.enum(STANDINGS).describe("What is known of it."),
  provenAt: time().optional().describe("When its latest proof ended."),
  arrivedAt: time().optional().describe("When the EndpointSlices held only its ready pods: the others drain from then."),
  settledAt: time().optional().describe("When it had all the traffic and its full size; it is judged from then."),
  tookBackAt: time()
    .optional()
    .describe("When it took back the share of a canary, until it has settled; its samples go on counting."),
  baking: z.boolean().optional().describe("It bakes, for the first time or again."),
  judgedFrom: time().optional().describe("Since when its samples are judged, less the warm-up; moves when a bake begins anew."),
  lostTrafficAt: time().optional().describe("Of a standby: when it lost the traffic; its pods are replaced after the drain."),
  promoted: z.boolean().optional().describe("A person promoted it while it baked."),
  breached: z
    .boolean()
    .optional()
    .describe("It breached while it baked and was not taken back; when that is over, its bake begins anew."),
  downSince: time().optional().describe("Since when it is scaled down to make room for its successor; only with `Recreate`."),
  asleepSince: time().optional().describe("Since when it is scaled to 0: it is not judged."),
  wokenAt: time().optional().describe("When it was scaled up from 0: it is judged again when it has its full size."),
  starved: z.boolean().optional().describe("It has baked for too long without enough data; a person was told."),
});
/** A revision in one of the positions of the status. */
export type RevisionRef = z.infer<typeof RevisionRefSchema>;

export const DesiredRefSchema = RevisionRefSchema.partial()
  .required({ version: true })
  .extend({
    deprecated: z.boolean().optional().describe("The version is deprecated; it was said once for this pin."),
    versionHash: z
      .string()
      .max(128)
      .optional()
      .describe("Hash of the weights and serving settings of the version as it was pinned."),
    remade: z.string().max(128).optional().describe("Made again under its name with this; until a retry or a new pin."),
  });
/** What the pin means; only `version` while it names no usable version. */
export type DesiredRef = z.infer<typeof DesiredRefSchema>;

export const BaselineSchema = z.object({
  name: z.string().max(63).describe("Name of the check."),
  value: z.number().describe("What the revision measured."),
  samples: counter().describe("How many conclusive samples it is of."),
  from: time().describe("Time of the first sample."),
  to: time().describe("Time of the last sample."),
  measures: z.string().max(16).optional().describe("Hash of source and query: a value of another query is no baseline."),
});
/** What a proven revision measured for one check. */
export type Baseline = z.infer<typeof BaselineSchema>;

export const LastHealthySchema = RevisionRefSchema.extend({
  baseline: z
    .array(BaselineSchema)
    .max(40)
    .meta(listMap("name"))
    .optional()
    .describe("What it measured while it was proven and healthy."),
});
/** The revision that was proven last. */
export type LastHealthy = z.infer<typeof LastHealthySchema>;

export const QuarantineEntrySchema = z.object({
  hash: z.string().max(128).describe("Hash of the quarantined content."),
  revision: revisionNumber(),
  artifactDigest: z.string().max(71).describe("Digest of its weights."),
  version: name().describe("Name of the ModelVersion."),
  reason: reason().describe("Why: a fault of its own, a breach, or a person."),
  message: message().optional(),
  since: time().describe("Since when."),
});
/** Content that is not rolled out again until it changes or a person says retry. */
export type QuarantineEntry = z.infer<typeof QuarantineEntrySchema>;

export const CheckStatusSchema = z.object({
  name: z.string().max(63).describe("Name of the check."),
  source: z.string().max(253).optional().describe("The MetricSource that it is asked of."),
  severity: z.enum(SEVERITIES),
  verdict: z.enum(VERDICTS),
  value: z.number().optional().describe("The newest conclusive value."),
  baseline: z.number().optional().describe("What it is compared with."),
  threshold: z.string().max(128).optional().describe("The limit as text, such as `≤ 0.02`."),
  samples: counter().optional().describe("Samples in the window."),
  conclusive: counter().optional().describe("Conclusive samples since the revision is judged."),
  since: time().describe("Since when it has this verdict."),
  message: message().optional(),
  revision: revisionNumber().describe("The revision that is judged."),
  builtIn: z.boolean().optional().describe("One of the built-in checks `available` and `restarts`."),
});
/** What one check says of one revision, written when the verdict changes. */
export type CheckStatus = z.infer<typeof CheckStatusSchema>;

export const InitiatorSchema = z.object({
  name: z.string().max(253).describe("Who."),
  source: z.enum(INITIATOR_SOURCES).describe("How the name is known: authenticated, declared, or the field manager's."),
});
export type Initiator = z.infer<typeof InitiatorSchema>;

export const HistoryCheckSchema = z.object({
  name: z.string().max(63).describe("Name of the check."),
  severity: z.enum(SEVERITIES).optional().describe("Its severity."),
  verdict: z.enum(VERDICTS).describe("What it said."),
  value: z.number().optional().describe("The newest conclusive value."),
  baseline: z.number().optional().describe("What it was compared with."),
  threshold: z.string().max(128).optional().describe("The limit as text, such as `≤ 0.02`."),
  samples: counter().optional().describe("How many conclusive samples there were; of a ratio, how many were counted in all."),
});
/** What a check said when a transition ended. */
export type HistoryCheck = z.infer<typeof HistoryCheckSchema>;

export const RolloutStateSchema = z.object({
  sequence: counter().describe("Number of the transition."),
  revision: revisionNumber(),
  from: RevisionIdentitySchema.optional().describe("What served when it began."),
  to: RevisionIdentitySchema.optional().describe("What is rolled out."),
  trigger: z.enum(TRIGGERS).optional().describe("What began it."),
  strategy: z.enum(STRATEGIES).optional().describe("How it began, which it keeps when the spec changes meanwhile."),
  startedAt: time(),
  readyDeadlineSince: time().optional().describe("Since when pods are being waited for."),
  step: counter().optional().describe("Index of the canary step that is in force; absent before the first."),
  stepSince: time().optional().describe("Since when the traffic is shared as this step says."),
  weight: z.number().min(0).max(100).optional().describe("Share of the traffic that the step asks for, in percent."),
  share: z.number().min(0).max(100).optional().describe("Share of the traffic that is really reached, in percent."),
  attempt: counter().optional().describe("Which try this is, from 1."),
  retryAt: time().optional().describe("When the next try begins."),
  halted: z
    .object({ reason: reason(), message: message(), since: time() })
    .optional()
    .describe("Why it is not tried again by itself: with `Recreate` each try is an outage. Lifted by a retry."),
  promoted: z.boolean().optional().describe("A person promoted it."),
  promotedBy: InitiatorSchema.optional().describe("Who promoted it."),
  overrode: z.string().max(256).optional().describe("What the promotion went past, such as a freeze window."),
  switchedAt: time().optional().describe("When it was decided to give it all the traffic."),
  pinnedBy: InitiatorSchema.optional().describe("Who set the pin."),
  changeCause: z.string().max(1024).optional().describe("Why, as declared."),
});
/** The rollout that is under way. */
export type RolloutState = z.infer<typeof RolloutStateSchema>;

export const RollbackStateSchema = z.object({
  sequence: counter().describe("Number of the transition."),
  from: RevisionIdentitySchema.optional().describe("The revision that is left."),
  to: RevisionIdentitySchema.optional().describe("The revision that is returned to."),
  trigger: z.enum(TRIGGERS).optional().describe("What began it."),
  check: z.string().max(63).optional().describe("The check that was breached."),
  checks: z.array(z.string().max(63)).max(40).meta(atomicList).optional().describe("All checks that were breached."),
  depth: counter().optional().describe("How many targets were tried in this incident."),
  passedOver: z
    .array(counter())
    .max(50)
    .meta(atomicList)
    .optional()
    .describe("Revisions that were passed over in this incident."),
  reason: reason().optional(),
  message: message().optional(),
  detectedAt: time().optional().describe("Time of the sample that completed the breach."),
  firstBadAt: time().optional().describe("Time of the first bad sample."),
  decidedAt: time().optional(),
  restoredAt: time().optional().describe("When the EndpointSlices held only ready pods of the target."),
  verifiedAt: time().optional(),
  targetStartedAt: time().optional().describe("When the present target was begun."),
  strategy: z.enum(STRATEGIES).optional().describe("How it began, which it keeps when the spec changes meanwhile."),
  clearingSince: time().optional().describe("Since when the pods of the others are awaited gone; only with `Recreate`."),
  warm: z.boolean().optional().describe("The target was warm: the traffic moved first."),
  deadlineTold: z.boolean().optional().describe("A person was told that the deadline is going to be missed."),
  outcome: z.enum(OUTCOMES).optional(),
  initiator: InitiatorSchema.optional().describe("Who began it."),
  healthyChecks: z
    .array(z.string().max(63))
    .max(40)
    .meta(atomicList)
    .optional()
    .describe("Of the breached checks, those on which the target was Healthy since: their later breach is no common cause."),
  evidence: z
    .array(HistoryCheckSchema)
    .max(40)
    .meta(listMap("name"))
    .optional()
    .describe("What the checks said when it was decided."),
});
/** The return that is under way, or the latest one. */
export type RollbackState = z.infer<typeof RollbackStateSchema>;

export const HistoryEntrySchema = z.object({
  sequence: counter().describe("Number of the transition, without gaps."),
  action: z.enum(ACTIONS),
  from: RevisionIdentitySchema.optional(),
  to: RevisionIdentitySchema.optional(),
  outcome: z.enum(OUTCOMES),
  trigger: z.enum(TRIGGERS),
  reason: reason(),
  message: message().optional(),
  initiator: InitiatorSchema.optional(),
  changeCause: z.string().max(1024).optional(),
  environment: z
    .string()
    .max(253)
    .optional()
    .describe("The operator's `--environment` and the namespace's label, joined by `/`."),
  startedAt: time(),
  finishedAt: time(),
  detectedAt: time().optional(),
  decidedAt: time().optional(),
  restoredAt: time().optional(),
  verifiedAt: time().optional(),
  warm: z.boolean().optional().describe("Of a return: the target was warm, so that the traffic moved first."),
  checks: z.array(HistoryCheckSchema).max(40).meta(listMap("name")).optional(),
});
/** One finished transition. */
export type HistoryEntry = z.infer<typeof HistoryEntrySchema>;

const token = () => z.string().max(512).optional();

export const ModelDeploymentStatusSchema = z.object({
  observedGeneration: counter().optional().describe("The generation that this status describes."),
  phase: z.enum(PHASES).optional().describe("Where the deployment stands; see the table of phases."),
  reason: reason().optional().describe("Why it is in this phase, or what holds it."),
  message: message().optional().describe("The same for people."),
  sequence: counter().optional().describe("Number of the latest transition that began."),
  revisions: counter().optional().describe("The highest revision number that was ever given; numbers are never used twice."),
  paused: z.boolean().optional().describe("Paused by the spec or by a person."),
  desired: DesiredRefSchema.optional().describe("What the pin means."),
  active: RevisionRefSchema.optional().describe("The revision that receives the traffic."),
  candidate: RevisionRefSchema.optional().describe("The revision that is brought up and judged."),
  standby: RevisionRefSchema.optional().describe("The last proven revision, kept warm."),
  lastHealthy: LastHealthySchema.optional().describe("The revision that was proven last."),
  quarantine: z
    .array(QuarantineEntrySchema)
    .max(100)
    .meta(listMap("hash"))
    .optional()
    .describe("Content that is not rolled out again."),
  checks: z.array(CheckStatusSchema).max(80).meta(listMap("name", "revision")).optional().describe("What the checks say."),
  decision: counter().optional().describe("Rises with every decision about traffic; written on Services, routes and children."),
  policy: z
    .object({
      names: z.array(z.string().max(512)).max(32).meta(atomicList).optional().describe("`<kind>/<name>` of each layer."),
      generations: z.array(counter()).max(32).meta(atomicList).optional().describe("Their generations, in the same order."),
      hash: z.string().max(128).optional().describe("Hash of the merged content."),
      current: z.boolean().optional().describe("False: what is written can't be used, and the last valid one is in force."),
      message: message().optional().describe("Why it is not the current one, or what a layer was refused."),
    })
    .optional()
    .describe("The policy in force."),
  rollout: RolloutStateSchema.optional().describe("The rollout that is under way."),
  rollback: RollbackStateSchema.optional().describe("The return that is under way, or the latest one."),
  returns: z
    .array(
      z.object({
        at: time(),
        check: z.string().max(63).optional(),
        proven: z.boolean().describe("The revision that was left was proven; only such returns count for the budget."),
      }),
    )
    .max(50)
    .meta(atomicList)
    .optional()
    .describe("Automatic returns, for cooldown and budget."),
  recommendation: z
    .object({
      action: z.enum(["Return", "Reject"]).describe("What would be done: `Reject` is of a candidate, and only observed."),
      mode: z.enum(["Recommend", "Observe"]).describe("`Recommend` waits for `rollguard.dev/approve`; `Observe` only says so."),
      from: RevisionIdentitySchema.describe("The revision that would be left."),
      to: RevisionIdentitySchema.optional().describe("The revision that would have the traffic; absent: there is none."),
      check: z.string().max(63).optional().describe("The check that is breached."),
      reason: reason(),
      message: message().optional(),
      since: time().describe("Since when."),
    })
    .optional()
    .describe("What Rollguard would do if it might. Gone when its reason is."),
  freeze: z
    .object({
      active: z.boolean().describe("Whether it holds more traffic to a candidate now."),
      from: time().describe("When it began or begins."),
      until: time().describe("When it ends."),
      schedule: z.string().max(256).describe("The schedule and time zone that it is of."),
    })
    .optional()
    .describe("The freeze window that is in force, or the next one within a day."),
  missingData: z
    .object({
      since: time().describe("Since when."),
      checks: z.array(z.string().max(63)).max(40).meta(atomicList).describe("The checks without a conclusive sample."),
      alerted: z.boolean().optional().describe("A person was told."),
    })
    .optional()
    .describe("Checks that nothing is known of."),
  stall: z
    .object({ reason: reason(), message: message(), since: time(), check: z.string().max(63).optional() })
    .optional()
    .describe("Why a person is needed."),
  pending: z
    .object({
      reason: reason(),
      version: name().describe("The pin."),
      message: message(),
      since: time(),
      overdue: z.boolean().optional().describe("It has waited too long for a version on its way."),
    })
    .optional()
    .describe("Why the pin names no usable version."),
  changeCauseSeen: z.string().max(1024).optional().describe("The change-cause that was last counted."),
  history: z.array(HistoryEntrySchema).max(100).meta(atomicList).optional().describe("Finished transitions, oldest first."),
  replicas: counter().optional().describe("Pods that receive traffic."),
  readyReplicas: counter().optional().describe("Ready pods that receive traffic."),
  selector: z.string().max(1024).optional().describe("Label selector of the pods that receive traffic."),
  handled: z
    .object({ retry: token(), rollbackTo: token(), promote: token(), approve: token(), pause: token(), resume: token() })
    .optional()
    .describe("The requests of a person that were handled."),
  refused: z
    .object({
      kind: z.enum(REQUESTS).describe("Which request."),
      request: z.string().max(512).describe("Its value."),
      message: message(),
      at: time(),
    })
    .optional()
    .describe("The request of a person that was refused last, and why."),
  conditions: conditions().optional(),
});
export type ModelDeploymentStatus = z.infer<typeof ModelDeploymentStatusSchema>;
