// The names that Rollguard gives and reads: group, labels, annotations, names of children.

export const GROUP = "rollguard.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}` as const;

/** Labels on children and their pods. */
export const LABELS = {
  /** Name of the ModelDeployment. */
  deployment: `${GROUP}/deployment`,
  /** Number of the revision, as text. */
  revision: `${GROUP}/revision`,
  /** On a ControllerRevision that is none of a revision: what it keeps, `policy`. */
  keeps: `${GROUP}/keeps`,
  /** On a namespace: the environment that history entries name. */
  environment: `${GROUP}/environment`,
} as const;

/** Annotations; the first seven are requests of a person with the value `<target>/<token>`. */
export const ANNOTATIONS = {
  retry: `${GROUP}/retry`,
  rollbackTo: `${GROUP}/rollback-to`,
  promote: `${GROUP}/promote`,
  approve: `${GROUP}/approve`,
  pause: `${GROUP}/pause`,
  resume: `${GROUP}/resume`,
  /** On a Service: the ModelDeployment that may take it over. On an HTTPRoute: the one that may change its weights. */
  adopt: `${GROUP}/adopt`,
  /** Why the pin was changed; counts only when it changed with the generation that it explains. */
  changeCause: `${GROUP}/change-cause`,
  /** Who set the pin, as the API server knows them; written by the admission policy where that is installed. */
  pinnedBy: `${GROUP}/pinned-by`,
  /** On children, Services and routes: the number of the decision about traffic that wrote them. */
  decision: `${GROUP}/decision`,
  /** On children and ControllerRevisions: the hash of the revision. */
  hash: `${GROUP}/hash`,
  /** On a ControllerRevision: what the revision measured while it baked (JSON). */
  baseline: `${GROUP}/baseline`,
  /** On a ControllerRevision: what it measured by the hour of the day while it was proven and healthy (JSON). */
  baselineHours: `${GROUP}/baseline-hours`,
  /** On a ControllerRevision: when its latest proof ended. */
  provenAt: `${GROUP}/proven-at`,
  /** On a ControllerRevision: the content of the ModelVersion (JSON), so that it outlives it. */
  versionContent: `${GROUP}/version-content`,
} as const;

/** The requests of a person, by their key in `status.handled`. */
export const REQUESTS = ["retry", "rollbackTo", "promote", "approve", "pause", "resume"] as const;
export type RequestKind = (typeof REQUESTS)[number];

/** The finalizer-free owner of server-side applied fields. */
export const FIELD_MANAGER = "rollguard";
/** The field manager of the command line, so that a person's requests are told from Git's. */
export const CLI_FIELD_MANAGER = "kubectl-rollguard";

/** The one RollguardConfig. */
export const CONFIG_NAME = "cluster";

/** A deployment's name leaves room for `-r<number>` and `-preview` within a DNS label of 63. */
export const MAX_DEPLOYMENT_NAME = 40;
export const MAX_VERSION_NAME = 63;

/** Name of a revision's Deployment and ControllerRevision; the `${workload}` of queries. */
export const childName = (deployment: string, revision: number): string => `${deployment}-r${revision}`;
/** Name of the Service that leads to the candidate. */
export const previewName = (deployment: string): string => `${deployment}-preview`;
/** Name of a revision's own copy of a ConfigMap. */
export const configMapCopyName = (deployment: string, revision: number, configMap: string): string =>
  `${childName(deployment, revision)}-${configMap}`;
/** Name of the ControllerRevision that keeps the layers of the policy in force. */
export const keptPolicyName = (deployment: string, hash: string): string => `${deployment}-policy-${hash.slice(0, 10)}`;
/** Name of a transition's RolloutRecord. */
export const recordName = (deployment: string, sequence: number): string => `${deployment}-${sequence}`;

/** The labels of a revision's pods, which a Service selects by. */
export const revisionLabels = (deployment: string, revision: number): Record<string, string> => ({
  [LABELS.deployment]: deployment,
  [LABELS.revision]: String(revision),
});
