// Everything that one decision looks at, gathered once before it. Nothing here is a handle: a snapshot is data,
// and a decision made from it depends on nothing else.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { Initiator, ModelDeploymentStatus, RevisionRef } from "../api/modeldeployment-status.ts";
import type { RequestKind } from "../api/names.ts";
import type { RevisionContent } from "./hash.ts";
import type { Policy } from "./policy.ts";
import type { CheckProfile } from "./profile.ts";
import type { CheckWindow } from "./window.ts";

/** What `spec.version` resolves to. */
export type Pin =
  /** It can be rolled out; its identity is the hash of what would run. */
  | {
      state: "Usable";
      version: string;
      hash: string;
      artifactDigest: string;
      content: RevisionContent;
      deprecated: boolean;
    }
  /** There is no such ModelVersion (yet); `known` are the versions of this model that do exist. */
  | { state: "Missing"; version: string; known: string[] }
  /** A ConfigMap that the template names isn't there (yet). */
  | { state: "ConfigMapMissing"; version: string; names: string[] }
  /** It is a version of another model. */
  | { state: "OtherModel"; version: string; model: string }
  /** It was revoked. */
  | { state: "Revoked"; version: string; by?: string };

/** What a revision measured while it baked, by check. */
export interface MeasuredBaseline {
  name: string;
  value: number;
  samples: number;
  from?: string;
  to?: string;
  /** See `Check.measures`; absent: kept before that was noted. */
  measures?: string;
}

/** A revision whose content is kept in a ControllerRevision. */
export interface KnownRevision {
  revision: number;
  hash: string;
  version: string;
  artifactDigest: string;
  /** End of its latest proof, RFC 3339; absent: it was never proven. */
  provenAt?: string;
  baseline: MeasuredBaseline[];
  /** What it measured by the hour of the day while it was proven and healthy. */
  profile?: CheckProfile[];
  /** The validation metrics of its version, by name. */
  validationMetrics: Record<string, number>;
  /** Its version was revoked, now or while its ModelVersion still existed. */
  revoked: boolean;
  /** Copies of ConfigMaps of its that are gone, and whose content is nowhere any more: its pods can't be started again. */
  lost?: string;
  /** What revoked it, such as `ModelVersion fraud-2.1.0` or `ClusterRollbackPolicy security`. */
  revokedBy?: string;
}

/** A container as the kubelet reports it. */
export interface ContainerFacts {
  name: string;
  init: boolean;
  restarts: number;
  running?: boolean;
  waiting?: { reason: string; message: string };
  /** The current or the last termination. */
  terminated?: { reason: string; exitCode: number; message: string; finishedAt?: string };
}

export interface PodFacts {
  name: string;
  ip?: string;
  ready: boolean;
  terminating: boolean;
  /** Its node is known to be not ready: nobody can tell whether it still runs. */
  lost?: boolean;
  /** Scheduled, started, and on a node that is ready: only then may its state be held against the model. */
  accountable: boolean;
  createdAt: string;
  reason?: string;
  /** The words that go with `reason`. */
  message?: string;
  unschedulable?: string;
  /** A scheduling gate holds it, in words. */
  gated?: string;
  /** It has a node. */
  placed?: boolean;
  containers: ContainerFacts[];
}

/** The Deployment of one revision. */
export interface Child {
  revision: number;
  /** Another controller's, or nobody's: not to be touched. */
  foreign: boolean;
  replicas: number;
  /** Pods that are ready and not being deleted. */
  ready: number;
  /** Replicas of the current template that are ready, once the controller has seen the current generation; else 0. */
  current: number;
  decision: number;
  /** The freshness mark in its pod template; see plan.ts. */
  fresh: string;
  pods: PodFacts[];
  /** Why its controller can't make pods (quota, admission), from the Deployment's conditions. */
  trouble?: { reason: string; message: string };
  /** Its controller has not looked at the newest generation: it may still make pods. */
  unseen?: boolean;
}

/** The HTTPRoute of a canary by weights. */
export interface RouteFacts {
  owner: "Ours" | "Foreign";
  /** Whether every parent has looked at the newest generation. */
  generationSeen: boolean;
  /** False: a Gateway refuses it; Unknown: none has said anything yet. */
  accepted: "True" | "False" | "Unknown";
  message: string;
  /** Weight of the backend `<name>-preview` in percent of both. */
  preview: number;
  /** Weight in percent by revision, as the two Services select now. */
  weights: Readonly<Record<number, number>>;
  decision: number;
}

export interface ServiceFacts {
  /** Ours; somebody else's; or nobody's and adoptable by an annotation on it. */
  owner: "Ours" | "Foreign" | "Adoptable";
  /** The revision that its selector names; All: every pod of the deployment; undefined: it selects by other labels. */
  selects?: number | "All";
  decision: number;
  /** Ready endpoints by revision, from the EndpointSlices. */
  ready: Readonly<Record<number, number>>;
}

/** What the probe inference said of a revision in this operator's life. */
export interface ProbeFacts {
  revision: number;
  outcome: "Passed" | "Failed" | "Running";
  /** Failed: whose fault it is. An answer that is not as expected is the model's; no answer at all may be the network's. */
  message: string;
}

/** A request of a person, by annotation: `<target>/<token>`. */
export interface PersonRequest {
  target: string;
  token: string;
  raw: string;
}

/** The Deployment of a revision that the API server would not take as it is, in an attempt of its rollout. */
export interface RefusedChild {
  revision: number;
  attempt: number;
  message: string;
}

export interface TriedChild {
  revision: number;
  sequence: number;
  attempt: number;
}

export interface Snapshot {
  deployment: ModelDeployment;
  /** By how much the API server's clock was set on (or back, negative) since this process last decided, ms; absent: it was not. */
  clockStepMs?: number;
  pin: Pin;
  policy: Policy;
  revisions: readonly KnownRevision[];
  children: readonly Child[];
  /** Pods with the deployment's label by revision, those that end and those without a Deployment included; 0: without a revision. */
  pods?: Readonly<Record<number, number>>;
  active?: ServiceFacts;
  preview?: ServiceFacts;
  route?: RouteFacts;
  /** Whether the cluster has HTTPRoutes; undefined while that is not known, and where nothing asks for one. */
  routesServed?: boolean;
  /** The storm breaker holds automatic returns of proven revisions here now. */
  storm?: {
    message: string;
    /** Only what is measured by this source is in doubt; absent: everything. */
    source?: string;
  };
  /** So many revocations began returns over the fleet that the next one waits until then, ms epoch. */
  revocationFreeAt?: number;
  /** Names of the versions of this namespace that are revoked. */
  revokedVersions: ReadonlySet<string>;
  /** Samples by revision and check, since the judging of that revision began. */
  windows: Readonly<Record<number, readonly CheckWindow[]>>;
  probe?: ProbeFacts;
  /** The highest numbers that records of an earlier object of this name used: numbers are never used twice. */
  floor: { revision: number; sequence: number };
  /** Those of an earlier object of this name, as its records tell, oldest first: making it again is no way around cooldown and budget. */
  earlierReturns?: readonly AutomaticReturn[];
  /** Sequences of the history whose RolloutRecord is known to exist. */
  recorded: ReadonlySet<number>;
  requests: Partial<Record<RequestKind, PersonRequest>>;
  /** Who set the pin, as far as it is known, and why; see the promises on "who". */
  pinnedBy: Initiator;
  /** Who wrote a request, by kind. */
  requestedBy: Partial<Record<RequestKind, Initiator>>;
  changeCause?: string;
  environment: string;
  /** A Service or child of ours has a name that another owner has, in words; undefined: nothing is in the way. */
  nameTaken?: string;
  refused?: RefusedChild;
  /** The candidate whose Deployment the API server would take, as a dry run in this attempt of this rollout said. */
  tried?: TriedChild;
}

/** A return that nobody asked for. */
export type AutomaticReturn = NonNullable<ModelDeploymentStatus["returns"]>[number];

export type { RequestKind, RevisionRef };
