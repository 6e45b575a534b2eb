// The closed sets of words in statuses, records and events: phases, outcomes, triggers, verdicts, conditions, reasons.
// behaviour: "Phases and transitions", "Three gates", "Verdicts".

export const PHASES = [
  "Pending",
  "Progressing",
  "Shifting",
  "Baking",
  "Guarding",
  "RollingBack",
  "Verifying",
  "RolledBack",
  "Stalled",
] as const;
export type Phase = (typeof PHASES)[number];

/** Where a revision stands in the traffic. */
export const POSITIONS = ["Active", "Candidate", "Standby", "None"] as const;
export type Position = (typeof POSITIONS)[number];

/** What is known of a revision. */
export const STANDINGS = ["Unproven", "Proven", "Quarantined"] as const;
export type Standing = (typeof STANDINGS)[number];

/** Only Breached may cause a rollback; only Healthy may prove. */
export const VERDICTS = ["Healthy", "Breached", "Insufficient", "NoData", "ProviderError"] as const;
export type Verdict = (typeof VERDICTS)[number];

export const SEVERITIES = ["Critical", "Warning", "Info"] as const;
export type Severity = (typeof SEVERITIES)[number];

export const MODES = ["Enforce", "Recommend", "Observe"] as const;
export type Mode = (typeof MODES)[number];

export const BREACH_ACTIONS = ["Rollback", "Hold", "Alert"] as const;
export type BreachAction = (typeof BREACH_ACTIONS)[number];

/** A transition is a rollout (forward) or a return. */
export const ACTIONS = ["Rollout", "Return"] as const;
export type Action = (typeof ACTIONS)[number];

/** Rollout: the first five; return: the last three. */
export const OUTCOMES = [
  "Proven",
  "Rejected",
  "RolledBack",
  "Superseded",
  "Cancelled",
  "Verified",
  "Unverified",
  "Failed",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What began a transition. */
export const TRIGGERS = ["Pin", "ConfigChange", "Retry", "Breach", "Person", "Revoked", "Fault"] as const;
export type Trigger = (typeof TRIGGERS)[number];

/** Model servers whose metrics are known. */
export const PRESET_SERVERS = ["vLLM", "Triton", "TorchServe", "KServe", "HTTP"] as const;
export type PresetServer = (typeof PRESET_SERVERS)[number];

/** What a preset measures. */
export const PRESET_MEASURES = ["ErrorRatio", "LatencyP95", "LatencyP99", "TimeToFirstTokenP95", "QueueLength"] as const;
export type PresetMeasure = (typeof PRESET_MEASURES)[number];

/** How the name of an initiator is known. */
export const INITIATOR_SOURCES = ["Authenticated", "Declared", "FieldManager", "Operator"] as const;
export type InitiatorSource = (typeof INITIATOR_SOURCES)[number];

export const STRATEGIES = ["BlueGreen", "Canary", "Recreate"] as const;
export type StrategyType = (typeof STRATEGIES)[number];

export const LIFECYCLES = ["Active", "Deprecated", "Revoked"] as const;
export type Lifecycle = (typeof LIFECYCLES)[number];

/** Types of the conditions of a ModelDeployment. */
export const CONDITIONS = [
  "Ready",
  "Reconciling",
  "Stalled",
  "Available",
  "Healthy",
  "RolledBack",
  "RollbackReady",
  "MetricsAvailable",
] as const;
export type ConditionType = (typeof CONDITIONS)[number];

/** Why a deployment waits for a person (`Stalled=True`). */
export const STALLED_REASONS = [
  /** The pinned version was rolled back or rejected; the last healthy one serves. */
  "RolledBack",
  /** The first candidate was rejected and nothing serves. */
  "Rejected",
  /** The pin has named a version that does not exist for 60 s. */
  "WaitingForVersion",
  /** The template has named a ConfigMap that does not exist for 60 s. */
  "WaitingForConfigMap",
  /** The pinned version is of another model. */
  "OtherModel",
  /** The pinned version is revoked. */
  "VersionRevoked",
  /** The version was made again under its name with other content. */
  "VersionContentChanged",
  /** A Service or child of this name belongs to somebody else. */
  "NameTaken",
  /** The API server refuses the child. */
  "InvalidTemplate",
  /** No node fits: resources, taints, affinity, a claim that is not bound. */
  "Unschedulable",
  "SchedulingGated",
  /** The kubelet would not run a pod that was scheduled to its node: a device plugin that is gone, no room after all. */
  "NodeRejected",
  "NodeLost",
  "Evicted",
  "QuotaExceeded",
  /** Admission refuses the pods: Pod Security, a LimitRange, a webhook, a missing service account. */
  "AdmissionRefused",
  /** Placed, and no container was made: a volume, the network, a device. */
  "PodNotStarted",
  /** A Secret, ConfigMap or key that a container needs is not there. */
  "CreateContainerConfigError",
  /** The runtime could not start a container, for reasons of its node. */
  "ContainerNotStarted",
  /** The image's registry can't be reached, or lets nobody in. */
  "ImageUnavailable",
  /** The artifact's server can't be reached. */
  "ArtifactUnavailable",
  /** The artifact's server lets nobody in. */
  "ArtifactUnauthorized",
  /** The volume for the weights has no room. */
  "DiskFull",
  /** The volume for the weights can't be read or written. */
  "VolumeUnavailable",
  "FetchInterrupted",
  "FetchMisconfigured",
  "ProgressDeadlineExceeded",
  /** Nothing proven to return to. */
  "NoTarget",
  /** Each target's own baseline lies beyond the threshold that is breached. */
  "TargetNoBetter",
  /** The return breached the same check: the cause is not the model. */
  "CommonCause",
  /** The return breached another check and `maxDepth` is used up. */
  "TargetBreached",
  /** No target started. */
  "ReturnFailed",
  "BudgetSpent",
  "RevokedNoTarget",
] as const;
export type StalledReason = (typeof STALLED_REASONS)[number];

/** Why a phase that moves is held, or a matching rule does not act. */
export const HELD_REASONS = [
  "Paused",
  "Frozen",
  /** A return is recommended and waits for a person. */
  "AwaitingApproval",
  /** A canary step waits for a person. */
  "AwaitingPromotion",
  "MissingData",
  "StormBreaker",
  "Cooldown",
  "BudgetSpent",
  /** A canary's step lasts for its hold. */
  "StepHolds",
  /** A canary's pods are ready, and the traffic is on its way to them. */
  "ShareNotReached",
  /** A canary by replica share needs the standby's place while the active revision is unproven. */
  "ActiveUnproven",
  /** A canary by replica share waits until the older standby's pods are gone. */
  "StandbyDraining",
  /** The API server is asked whether it would take the candidate's Deployment, before the old one makes room for it. */
  "DryRun",
  /** No Gateway has accepted the HTTPRoute. */
  "RouteNotAccepted",
  /** The replicas can't express the step's weight: the share would be more than double. */
  "ShareTooCoarse",
  "CommonCause",
  /** A Critical check is breached, and what the policy does on it is not to return. */
  "BreachHeld",
  /** More revocations than returns may begin at once over the fleet; or no target started, and it is tried again with back-off. */
  "RevocationPaced",
  "WarningBreached",
  /** What checks say is only recorded. */
  "Observe",
  /** Pods of the candidate are waited for, or the deployment is scaled to 0. */
  "PodsNotReady",
  "ProbeRunning",
  "CheckBreached",
  /** Active and candidate breach the same check: no fault of the candidate. */
  "CommonBreach",
  /** A new pin gets traffic when the return has ended. */
  "ReturnUnderWay",
  /** A source of a Critical check can't be asked. */
  "SourceUnavailable",
  /** A proof is written down before the next one. */
  "RecordingProof",
  "AwaitingData",
  "Baking",
  "BakeStarved",
  "RollingBack",
  "Verifying",
] as const;
export type HeldReason = (typeof HELD_REASONS)[number];

/** Faults of a candidate's own, which quarantine it, and breaches. */
export const FAULT_REASONS = [
  "CrashLoop",
  "OOMKilled",
  /** The weights are not what the version names. */
  "DigestMismatch",
  "SizeMismatch",
  "ArtifactNotFound",
  /** The fetch said that the weights can't be used, without a reason. */
  "ArtifactInvalid",
  "RedirectRefused",
  "BadUri",
  "BadDigest",
  "BadFiles",
  "UnsupportedScheme",
  "HostNotAllowed",
  "ImageNotFound",
  "InvalidImageName",
  /** The command or the image can't be run: not there, not executable, of another architecture. */
  "ContainerCannotRun",
  /** Its container runs and did not get ready within the progress deadline. */
  "NeverReady",
  "ProbeFailed",
  "CheckBreached",
  /** A Critical check of it was breached while it had the traffic. */
  "Breached",
  "RolledBackByPerson",
] as const;
export type FaultReason = (typeof FAULT_REASONS)[number];

/** What each server has metrics for; the queries are in core/presets.ts. */
export const PRESET_MEASURES_OF = {
  vLLM: ["ErrorRatio", "LatencyP95", "LatencyP99", "TimeToFirstTokenP95", "QueueLength"],
  Triton: ["ErrorRatio", "LatencyP95", "LatencyP99", "TimeToFirstTokenP95", "QueueLength"],
  TorchServe: ["ErrorRatio"],
  KServe: ["LatencyP95", "LatencyP99"],
  HTTP: ["ErrorRatio", "LatencyP95", "LatencyP99"],
} as const satisfies Record<PresetServer, readonly PresetMeasure[]>;

/** A combination that is not there, in words; undefined where it is. */
export function presetProblem(server: PresetServer, measure: PresetMeasure): string | undefined {
  const measures: readonly PresetMeasure[] = PRESET_MEASURES_OF[server];
  return measures.includes(measure) ? undefined : presetRefusal(server);
}

/** What is said of a measure that a server has no metric for. */
export function presetRefusal(server: PresetServer): string {
  return `${server} has metrics for ${PRESET_MEASURES_OF[server].join(", ")} only: choose one of these, or write a query`;
}
