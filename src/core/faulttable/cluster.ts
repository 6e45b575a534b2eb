// What scheduling, nodes, volumes, quota and admission show.

import { cluster, type FaultRow, failed, placed, refused, unscheduled, wait, waiting } from "./row.ts";

const UNSCHEDULABLE = "condition `PodScheduled=False`, `Unschedulable`";

export const CLUSTER_ROWS: readonly FaultRow[] = [
  cluster("no room on any node", UNSCHEDULABLE, "Unschedulable", unscheduled("0/3 nodes are available: 3 Insufficient memory.")),
  cluster(
    "no accelerator is free, or none is announced",
    UNSCHEDULABLE,
    "Unschedulable",
    unscheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
  ),
  cluster(
    "taints that are not tolerated",
    UNSCHEDULABLE,
    "Unschedulable",
    unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}."),
  ),
  cluster(
    "a volume in another zone",
    UNSCHEDULABLE,
    "Unschedulable",
    unscheduled("0/2 nodes are available: 2 node(s) had volume node affinity conflict."),
  ),
  cluster(
    "a claim that is not bound",
    UNSCHEDULABLE,
    "Unschedulable",
    unscheduled("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
  ),
  wait(
    "held by a scheduling gate",
    "condition `PodScheduled=False`, `SchedulingGated`",
    "SchedulingGated",
    unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated"),
    "it is queued on purpose; scaling it down would cost its place",
  ),
  cluster(
    "the node's device plugin is gone",
    "failed, `UnexpectedAdmissionError`",
    "NodeRejected",
    failed("UnexpectedAdmissionError", "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices"),
  ),
  cluster(
    "the node has less room than the scheduler thought",
    "failed, `OutOfcpu`, `OutOfmemory`, …",
    "NodeRejected",
    failed("OutOfcpu", "Node didn't have enough resource: cpu, requested: 4000, used: 6000, capacity: 8000"),
  ),
  cluster(
    "the node can't align its devices",
    "failed, `TopologyAffinityError`",
    "NodeRejected",
    failed("TopologyAffinityError", "Resources cannot be allocated with Topology locality"),
  ),
  wait(
    "a volume can't be mounted",
    "waiting `ContainerCreating`; event `FailedMount`",
    "PodNotStarted",
    waiting("ContainerCreating"),
    "slow and stuck look the same",
  ),
  wait("the network can't be set up", "waiting `ContainerCreating`; event `FailedCreatePodSandBox`", "PodNotStarted", {
    ...waiting("ContainerCreating"),
    conditions: [placed, { type: "PodReadyToStartContainers", status: "False" }],
  }),
  wait(
    "evicted: the node is short of something",
    "failed, `Evicted`",
    "Evicted",
    failed("Evicted", "The node was low on resource: memory."),
    "its successor is on its way",
  ),
  wait(
    "evicted: more ephemeral storage than allowed",
    "failed, `Evicted`",
    "Evicted",
    failed("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."),
  ),
  wait(
    "its node is shut down",
    "failed, `Terminated`",
    "ProgressDeadlineExceeded",
    failed("Terminated", "Pod was terminated in response to imminent node shutdown."),
  ),
  refused(
    "the quota is used up",
    "QuotaExceeded",
    'pods "m-r2-7c9d-x" is forbidden: exceeded quota: team, requested: requests.memory=8Gi, used: requests.memory=60Gi, limited: requests.memory=64Gi',
  ),
  refused(
    "a LimitRange forbids it",
    "AdmissionRefused",
    'pods "m-r2-7c9d-x" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
  ),
  refused(
    "Pod Security forbids it",
    "AdmissionRefused",
    'pods "m-r2-7c9d-x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
  ),
  refused(
    "an admission webhook refuses it, or can't be asked",
    "AdmissionRefused",
    'Internal error occurred: failed calling webhook "policy.example": context deadline exceeded',
  ),
  refused(
    "its service account is not there",
    "AdmissionRefused",
    'pods "m-r2-7c9d-" is forbidden: error looking up service account ns/m: serviceaccount "m" not found',
  ),
];
