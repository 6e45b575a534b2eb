// Why a deployment is as it is and what a person can do, as data: by phase, and within it by reason. `explain` prints it and
// docs may be made from it; a test holds it against the phases and reasons of src/api/reasons.ts and those that the rules use.
// In texts and commands {name}, {namespace}, {pin}, {active}, {candidate} and {target} stand for the names of the deployment at hand.
import type { Phase } from "../api/reasons.ts";

/** A thing to do: in words, and as a command where there is one. */
export interface Step {
  what: string;
  command?: string;
}

export interface Explanation {
  cause: string;
  next: readonly Step[];
}

const request = (command: string, target: string): string => `kubectl rollguard ${command} {name} ${target} -n {namespace}`;
const watch: Step = { what: "watch it", command: "kubectl rollguard status {name} -n {namespace} -w" };
const pinOther: Step = {
  what: "pin another version (in Git, where Git owns the object)",
  command: `kubectl patch mdep {name} -n {namespace} --type=merge -p '{"spec":{"version":"<version>"}}'`,
};
const versions: Step = { what: "see which versions there are", command: "kubectl get mv -n {namespace}" };
const retry: Step = { what: "try the pinned version again", command: request("retry", "{pin}") };
const approve: Step = { what: "do what is recommended", command: "kubectl rollguard approve {name} -n {namespace}" };
const goBack: Step = { what: "go back to an earlier revision yourself", command: request("rollback", "previous") };
const promote: Step = { what: "give the candidate the traffic yourself", command: request("promote", "{candidate}") };
const promoteActive: Step = { what: "declare it proven yourself; the record says so", command: request("promote", "{active}") };
const resume: Step = {
  what: "resume it, and set spec.paused to false where that is what holds it",
  command: "kubectl rollguard resume {name} -n {namespace}",
};
const pods: Step = {
  what: "look at the pods",
  command: "kubectl describe pods -n {namespace} -l rollguard.dev/deployment={name}",
};
const logs: Step = {
  what: "read the model server's log",
  command: "kubectl logs -n {namespace} -l rollguard.dev/deployment={name} --all-containers --prefix --tail=50",
};
const history: Step = { what: "see what happened before", command: "kubectl rollguard history {name} -n {namespace}" };
const sources: Step = { what: "look at the metric sources", command: "kubectl get metricsources" };
const services: Step = { what: "see who owns the Services", command: "kubectl get services -n {namespace} --show-labels" };
const policies: Step = {
  what: "look at the policy",
  command: "kubectl get rollbackpolicies,clusterrollbackpolicies -n {namespace}",
};
const wait: Step = { what: "nothing: it goes on by itself" };

/** What is true of a phase where its reason says no more. */
export const PHASE_EXPLANATIONS: Readonly<Record<Phase, Explanation>> = {
  Pending: {
    cause: "the pin names no version that can be used yet; what serves goes on and is guarded",
    next: [versions, pinOther],
  },
  Progressing: {
    cause: "a candidate is brought up and judged; the traffic is still where it was",
    next: [watch, pods],
  },
  Shifting: {
    cause: "a canary has part of the traffic and is compared step by step",
    next: [watch, promote],
  },
  Baking: {
    cause: "it has all the traffic and is not proven yet: healthy samples must cover the policy's bake time",
    next: [wait, watch, goBack],
  },
  Guarding: {
    cause: "the pinned version serves and is proven; its checks go on without end and a breach takes the traffic back",
    next: [wait],
  },
  RollingBack: {
    cause: "the traffic is returning to the last version that was proven healthy",
    next: [wait, watch],
  },
  Verifying: {
    cause: "the last healthy version has the traffic again, and it is checked that this helped",
    next: [wait, watch],
  },
  RolledBack: {
    cause:
      "the pinned version was taken back and its content is quarantined, so that syncing the same pin again changes nothing; the last healthy version serves",
    next: [history, pinOther, { what: "or try the same one again", command: request("retry", "{pin}") }],
  },
  Stalled: {
    cause: "it can't go on without a person; what serves goes on and is guarded",
    next: [history, pods, pinOther],
  },
};

/** Reasons that mean the same in each phase: holds, gates, and what a person is needed for. */
export const REASON_EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  // The pin.
  WaitingForVersion: {
    cause: "the pinned ModelVersion does not exist (yet); after 60 s of this a person is called",
    next: [versions, { what: "apply the ModelVersion" }, pinOther],
  },
  WaitingForConfigMap: {
    cause: "the template names ConfigMaps that are not there",
    next: [{ what: "apply the ConfigMaps, or name others", command: "kubectl get configmaps -n {namespace}" }],
  },
  OtherModel: { cause: "the pinned version is a version of another model", next: [versions, pinOther] },
  VersionRevoked: { cause: "the pinned version is revoked and is never rolled out", next: [pinOther] },
  VersionContentChanged: {
    cause: "the pinned ModelVersion was deleted and made again with other content under the same name",
    next: [{ what: "accept the new content", command: request("retry", "{pin}") }, pinOther],
  },
  // Bringing pods up.
  PodsNotReady: { cause: "the candidate's pods are not ready yet; the progress deadline runs", next: [wait, pods, logs] },
  ProbeRunning: { cause: "a real inference is asked of the candidate before it gets traffic", next: [wait, logs] },
  CheckBreached: { cause: "a check of the candidate is beyond its limit, so it gets no more traffic", next: [watch, logs] },
  NameTaken: {
    cause: "a Service or a Deployment of the name that is needed belongs to somebody else, and is not touched",
    next: [
      services,
      {
        what: "let Rollguard take the Service over",
        command: "kubectl annotate service {name} -n {namespace} rollguard.dev/adopt={name}",
      },
    ],
  },
  InvalidTemplate: {
    cause: "the API server refuses the Deployment made from spec.template; the message says why",
    next: [{ what: "mend spec.template", command: "kubectl edit mdep {name} -n {namespace}" }],
  },
  Unschedulable: { cause: "no node has room for the candidate's pods; it is tried again with back-off", next: [pods, wait] },
  QuotaExceeded: {
    cause: "the namespace's quota allows no more pods; it is tried again with back-off",
    next: [{ what: "look at the quota", command: "kubectl describe quota -n {namespace}" }, wait],
  },
  SchedulingGated: {
    cause: "a scheduling gate (a queue, say) did not let the candidate's pods go in time; it is tried again with back-off",
    next: [pods, wait],
  },
  NodeRejected: {
    cause: "a node would not run a pod that was scheduled to it, for its devices or its room; it is tried again with back-off",
    next: [pods, { what: "look at the nodes and their device plugins", command: "kubectl get nodes" }, wait],
  },
  NodeLost: {
    cause: "the node of a candidate's pod is not ready; it is tried again with back-off",
    next: [{ what: "look at the nodes", command: "kubectl get nodes" }, wait],
  },
  Evicted: { cause: "the candidate's pods were evicted from their nodes; it is tried again with back-off", next: [pods, wait] },
  AdmissionRefused: {
    cause:
      "admission (Pod Security, a LimitRange, a webhook, a service account) refuses the candidate's pods; the message says why",
    next: [{ what: "see what is refused", command: "kubectl describe replicasets -n {namespace}" }, wait],
  },
  PodNotStarted: {
    cause: "the candidate's pods have a node and none of their containers was made: a volume, the network or a device",
    next: [pods, wait],
  },
  CreateContainerConfigError: {
    cause: "a Secret, a ConfigMap or a key that a container needs is not there; it is tried again with back-off",
    next: [pods, { what: "make what is missing" }, wait],
  },
  ContainerNotStarted: {
    cause: "a node could not start a container; it is tried again with back-off",
    next: [pods, wait],
  },
  ImageUnavailable: {
    cause: "the image's registry can't be reached, or lets nobody in; it is tried again with back-off",
    next: [pods, { what: "see that the pull secret is there and right" }, wait],
  },
  ArtifactUnavailable: {
    cause: "the server that holds the weights can't be reached; it is tried again with back-off",
    next: [logs, wait],
  },
  ArtifactUnauthorized: {
    cause: "the server that holds the weights lets nobody in; it is tried again with back-off",
    next: [logs, { what: "see that the Secret in spec.fetch.envFrom is there and right" }, wait],
  },
  DiskFull: {
    cause: "the volume for the weights has no room; it is tried again with back-off",
    next: [logs, { what: "set artifact.sizeBytes in the ModelVersion, or spec.fetch.volume" }],
  },
  VolumeUnavailable: { cause: "the volume for the weights can't be read or written", next: [logs, pods, wait] },
  FetchInterrupted: { cause: "the download of the weights was ended from outside; it is tried again", next: [pods, wait] },
  FetchMisconfigured: { cause: "the download of the weights was started without what it needs", next: [logs] },
  DryRun: { cause: "the API server is asked whether it would take the candidate's Deployment as it is", next: [wait] },
  ProgressDeadlineExceeded: {
    cause: "the pods were not ready within spec.strategy.progressDeadline, without a fault that is the version's own",
    next: [pods, logs, retry],
  },
  // Its own faults.
  CrashLoop: { cause: "a container of the candidate ends again and again", next: [logs, pinOther, retry] },
  OOMKilled: {
    cause: "a container of the candidate needs more memory than its limit",
    next: [pods, { what: "raise the limit in spec.template: that is new content, and tried" }, pinOther],
  },
  DigestMismatch: {
    cause: "the weights that were downloaded are not those that the ModelVersion names by its digest",
    next: [logs, { what: "publish the right weights, or a ModelVersion with the right digest" }, pinOther],
  },
  SizeMismatch: { cause: "the weights are longer or shorter than the ModelVersion says", next: [logs, pinOther] },
  ArtifactNotFound: { cause: "there are no weights at the artifact's URI", next: [logs, pinOther, retry] },
  ArtifactInvalid: { cause: "the weights can't be used; the log of the init container says why", next: [logs, pinOther] },
  RedirectRefused: { cause: "the server of the weights sends to a host that is not allowed", next: [logs, pinOther] },
  BadUri: { cause: "the artifact's URI can't be read, or has credentials in it", next: [pinOther] },
  BadDigest: { cause: "the artifact's digest is none", next: [pinOther] },
  BadFiles: { cause: "the artifact's list of files can't be used", next: [pinOther] },
  UnsupportedScheme: { cause: "weights can't be fetched by the scheme of the artifact's URI", next: [pinOther] },
  HostNotAllowed: { cause: "this installation does not fetch weights from that host", next: [pinOther] },
  ImageNotFound: { cause: "the registry answers that it has no such image", next: [pods, pinOther, retry] },
  InvalidImageName: { cause: "the image's name can't be read", next: [pinOther] },
  ContainerCannotRun: {
    cause: "the container's command can't be run: it is not there, not executable, or of another architecture",
    next: [pods, pinOther],
  },
  NeverReady: {
    cause: "its container runs and did not get ready within spec.strategy.progressDeadline",
    next: [logs, pinOther, retry],
  },
  ProbeFailed: { cause: "the probe inference was answered otherwise than expected", next: [logs, pinOther, retry] },
  RolledBackByPerson: { cause: "a person returned from it", next: [history, retry] },
  // Held.
  Paused: {
    cause: "it is paused: no rollout and no automatic rollback, except for revoked versions and Required policies",
    next: [resume],
  },
  Frozen: { cause: "a freeze window of the policy allows no more traffic to a candidate", next: [wait, policies, promote] },
  AwaitingApproval: {
    cause: "the active version breaches its policy, whose mode is Recommend: it says what it would do and waits for a person",
    next: [approve, goBack, policies],
  },
  BreachHeld: {
    cause: "a Critical check of the active version is beyond its limit, and the policy returns nothing for that",
    next: [watch, goBack, policies],
  },
  RevocationPaced: {
    cause:
      "the active version is revoked; over the fleet such returns are begun one after the other, and where no target started it is tried again, each time later",
    next: [wait, watch],
  },
  Observe: { cause: "the policy's mode is Observe: what would have happened is recorded and not done", next: [goBack, policies] },
  MissingData: {
    cause: "a check gives no data and the policy holds on that; missing data never rolls anything back",
    next: [sources, watch],
  },
  StormBreaker: {
    cause: "many deployments degraded at once, so the cause is not this model; proven versions are not taken back by themselves",
    next: [{ what: "see the state of the breaker", command: "kubectl describe rollguardconfig cluster" }, goBack],
  },
  Cooldown: {
    cause: "a proven version was taken back a short while ago; the policy's cooldown holds a second automatic rollback",
    next: [wait, goBack, policies],
  },
  BudgetSpent: {
    cause: "as many automatic rollbacks as the policy's budget allows were made; the next waits until one of them is old enough",
    next: [history, goBack, policies],
  },
  ActiveUnproven: {
    cause: "the active version is not proven yet, so the older healthy one is kept and the candidate waits",
    next: [wait, promoteActive],
  },
  StandbyDraining: {
    cause: "the traffic is shared by replicas, so the pods of every other revision are ended before the candidate gets its share",
    next: [wait, pods],
  },
  StepHolds: { cause: "the canary stays at this step for its hold, while its checks are judged", next: [wait, watch, promote] },
  ShareNotReached: { cause: "the candidate's pods are ready, and the traffic is on its way to them", next: [wait, watch] },
  AwaitingPromotion: {
    cause: "this step of the canary has pause: true, so a person says when it goes on",
    next: [watch, { what: "go one step on", command: request("promote", "{candidate}") }],
  },
  ShareTooCoarse: {
    cause: "by replicas the candidate would get more than double the share that the step asks for",
    next: [
      { what: "take the step all the same", command: request("promote", "{candidate}") },
      { what: "use more replicas, a larger first weight, or spec.strategy.canary.route" },
    ],
  },
  RouteNotAccepted: {
    cause: "the HTTPRoute that is to share the traffic is missing, or no Gateway has accepted it",
    next: [{ what: "see what the Gateway says", command: "kubectl describe httproute {name} -n {namespace}" }, wait],
  },
  WarningBreached: {
    cause: "a check of severity Warning is beyond its limit, and the policy holds on that",
    next: [watch, promote],
  },
  ReturnUnderWay: { cause: "a return is under way; the new pin gets traffic when it has ended", next: [wait] },
  SourceUnavailable: {
    cause: "a metric source can't be asked, so nobody can tell whether the candidate is well",
    next: [sources, promote],
  },
  CommonBreach: {
    cause: "the active version and the candidate breach the same check, so it is no fault of the candidate: it waits",
    next: [watch, { what: "look for a cause outside of the model: data, clients, a dependency" }],
  },
  RecordingProof: { cause: "the proof is being written down before anything else is done", next: [wait] },
  AwaitingData: { cause: "a Critical check has not given enough conclusive samples yet", next: [wait, watch, sources] },
  Warmup: { cause: "samples of the warm-up are not judged", next: [wait] },
  BakeStarved: {
    cause: "three times the bake time passed and the checks gave too few conclusive samples to prove it",
    next: [watch, sources, promoteActive],
  },
  // Bad, and nobody acts by himself.
  Breached: { cause: "a Critical check of the active version is beyond its limit", next: [watch, goBack] },
  NoTarget: {
    cause: "the active version breaches its policy and nothing proven is there to return to; it keeps serving",
    next: [logs, { what: "pin a version that is known to be good: that always goes ahead" }, pinOther],
  },
  TargetNoBetter: {
    cause: "what could be returned to was itself beyond the limit that is breached now; the active one keeps serving",
    next: [history, pinOther, policies],
  },
  CommonCause: {
    cause: "the return breached the same check as the version before it: the cause is not the model, so the walk ended",
    next: [
      { what: "look for a cause outside of the model: data, clients, a dependency" },
      watch,
      pinOther,
      { what: "it ends by itself when the check is Healthy again" },
    ],
  },
  TargetBreached: {
    cause: "the return breached another check, and the policy's rollback.maxDepth allows no further step back",
    next: [history, { what: "choose a revision yourself", command: request("rollback", "<version>") }, pinOther],
  },
  ReturnFailed: { cause: "none of the versions that could be returned to became ready in time", next: [pods, logs, pinOther] },
  RevokedNoTarget: {
    cause: "the active version is revoked and nothing is there to return to; it keeps serving",
    next: [pinOther],
  },
  Rejected: { cause: "the first version was rejected for a fault of its own, and nothing serves", next: [logs, pinOther, retry] },
};

/** Of a check that is not Healthy, by its verdict. */
export const VERDICT_EXPLANATIONS: Readonly<Record<string, string>> = {
  Breached: "beyond its limit in as many samples as the policy asks for",
  Insufficient: "too few samples to judge",
  NoData: "its source answered with nothing that can be judged",
  ProviderError: "its source can't be asked; nothing is decided on that",
};

/** The entry for a phase and its reason; the phase's own where the reason says no more. */
export function explanationOf(phase: Phase, reason: string | undefined): Explanation {
  return (reason === undefined ? undefined : REASON_EXPLANATIONS[reason]) ?? PHASE_EXPLANATIONS[phase];
}
