// ModelDeployments and records as an operator leaves them, for the tests of what people see.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { HistoryEntry, ModelDeploymentStatus, RevisionRef } from "../../src/api/modeldeployment-status.ts";
import type { RolloutRecord } from "../../src/api/rolloutrecord.ts";

export const NOW = Date.parse("2026-11-24T12:00:00Z");
/** A time so many seconds before NOW. */
export const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

const hash = (n: number) => String(n).repeat(16);
const digest = (n: number) => `sha256:${String(n).repeat(64)}`;

export const identity = (n: number) => ({
  version: `scorer-${n}.0.0`,
  revision: n,
  hash: hash(n),
  artifactDigest: digest(n),
});

export const ref = (n: number, more: Partial<RevisionRef> = {}): RevisionRef => ({
  ...identity(n),
  since: ago(3600),
  standing: "Unproven",
  ...more,
});

const condition = (type: string, status: "True" | "False" | "Unknown", reason: string, message = "") => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: ago(60),
  observedGeneration: 4,
});

export function deployment(name: string, status: ModelDeploymentStatus, version = "scorer-1.0.0"): ModelDeployment {
  return {
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "ModelDeployment",
    metadata: { name, namespace: "fraud", uid: "uid-1", generation: 4 },
    spec: {
      model: "scorer",
      version,
      replicas: 3,
      template: { spec: { containers: [{ name: "server", image: "scorer:1" }] } },
    } as unknown as ModelDeployment["spec"],
    status,
  };
}

/** The pinned version is proven and healthy. */
export const guarding = (): ModelDeployment =>
  deployment("scorer", {
    observedGeneration: 4,
    phase: "Guarding",
    reason: "Guarding",
    message: "r1 (scorer-1.0.0) is proven and guarded",
    desired: ref(1),
    active: ref(1, { standing: "Proven", provenAt: ago(3000) }),
    replicas: 3,
    readyReplicas: 3,
    policy: { names: ["RollbackPolicy/strict"], generations: [2] },
    checks: [
      {
        name: "error-ratio",
        revision: 1,
        source: "prometheus",
        severity: "Critical",
        verdict: "Healthy",
        value: 0.0012346,
        threshold: "≤ 0.02",
        since: ago(3000),
        message: "0.00123 within ≤ 0.02",
      },
    ],
    conditions: [
      condition("Ready", "True", "Guarding"),
      condition("Healthy", "True", "Healthy"),
      condition("RollbackReady", "False", "NoTarget", "there is no proven revision to return to"),
      condition("MetricsAvailable", "True", "Answering"),
    ],
  });

export const history = (): HistoryEntry[] => [
  {
    sequence: 1,
    action: "Rollout",
    to: identity(1),
    outcome: "Proven",
    trigger: "Pin",
    reason: "Proven",
    message: "every Critical check was healthy for 10 min",
    initiator: { name: "flux", source: "FieldManager" },
    startedAt: ago(5000),
    finishedAt: ago(4400),
  },
  {
    sequence: 2,
    action: "Rollout",
    from: identity(1),
    to: identity(2),
    outcome: "RolledBack",
    trigger: "Pin",
    reason: "Breached",
    message: "accuracy: 0.62 is not ≥ 0.85",
    changeCause: "retrained on October data",
    initiator: { name: "ada@example.com", source: "Authenticated" },
    startedAt: ago(400),
    finishedAt: ago(180),
    checks: [{ name: "accuracy", severity: "Critical", verdict: "Breached", value: 0.62, threshold: "≥ 0.85", baseline: 0.91 }],
  },
];

/** The pinned version breached and was taken back. */
export const rolledBack = (): ModelDeployment =>
  deployment(
    "scorer",
    {
      observedGeneration: 4,
      phase: "RolledBack",
      reason: "RolledBack",
      message: "scorer-2.0.0 is quarantined and is not rolled out again; r1 (scorer-1.0.0) serves",
      desired: ref(2, { standing: "Quarantined" }),
      active: ref(1, { standing: "Proven", provenAt: ago(4400), since: ago(179) }),
      lastHealthy: ref(1, { standing: "Proven", provenAt: ago(4400) }),
      replicas: 3,
      readyReplicas: 3,
      quarantine: [{ ...identity(2), reason: "Breached", message: "accuracy: 0.62 is not ≥ 0.85", since: ago(180) }],
      checks: [
        {
          name: "accuracy",
          revision: 1,
          severity: "Critical",
          verdict: "Healthy",
          value: 0.91,
          threshold: "≥ 0.85",
          baseline: 0.913,
          since: ago(100),
        },
        { name: "available", revision: 1, severity: "Critical", verdict: "Insufficient", since: ago(100), builtIn: true },
      ],
      rollback: {
        sequence: 3,
        from: identity(2),
        to: identity(1),
        trigger: "Breach",
        check: "accuracy",
        message: "0.62 is not ≥ 0.85",
        detectedAt: "2026-11-24T11:57:00.000Z",
        decidedAt: "2026-11-24T11:57:00.012Z",
        restoredAt: "2026-11-24T11:57:00.250Z",
        verifiedAt: "2026-11-24T11:58:20.250Z",
        warm: true,
        outcome: "Verified",
      },
      history: history(),
      conditions: [
        condition("Ready", "False", "RolledBack"),
        condition("Healthy", "True", "Healthy"),
        condition("RollbackReady", "False", "NoTarget", "there is no other proven revision"),
      ],
    },
    "scorer-2.0.0",
  );

export function record(sequence: number, more: Partial<RolloutRecord["spec"]> = {}): RolloutRecord {
  const entry = history().find((one) => one.sequence === sequence) ?? history()[0];
  return {
    apiVersion: "rollguard.dev/v1alpha1",
    kind: "RolloutRecord",
    metadata: { name: `scorer-${sequence}`, namespace: "fraud" },
    spec: { ...entry, sequence, deployment: { name: "scorer", uid: "uid-1" }, ...more } as RolloutRecord["spec"],
  };
}
