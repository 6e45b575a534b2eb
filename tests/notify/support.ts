// What the tests of notify/ tell, and to whom.

import type { SinkSpec } from "../../src/api/notifications.ts";
import type { Announcement } from "../../src/notify/announcement.ts";

export const HASH = `sha256:${"a".repeat(64)}`;

/** A return that was verified, of fraud/scorer. */
export function announcement(more: Partial<Announcement> = {}): Announcement {
  return {
    id: "Verified-7",
    regarding: {
      apiVersion: "rollguard.dev/v1alpha1",
      kind: "ModelDeployment",
      metadata: { namespace: "fraud", name: "scorer", uid: "6f1d2c3a-0000-4000-8000-000000000001" },
    },
    type: "Normal",
    reason: "Verified",
    note: "the return to r2 (scorer-2) is verified: errors 0.5 > 0.02",
    at: "2026-11-24T10:00:00.000Z",
    outcome: "Verified",
    transition: {
      sequence: 7,
      action: "Return",
      outcome: "Verified",
      trigger: "Breach",
      from: { version: "scorer-3", revision: 3, hash: "h3", artifactDigest: HASH },
      to: { version: "scorer-2", revision: 2, hash: "h2", artifactDigest: HASH },
      startedAt: "2026-11-24T09:57:00.000Z",
      finishedAt: "2026-11-24T10:00:00.000Z",
      restoredAt: "2026-11-24T09:57:01.000Z",
    },
    ...more,
  };
}

export function sink(more: Partial<SinkSpec> & Pick<SinkSpec, "name">): SinkSpec {
  return { type: "CloudEvents", timeout: "2s", ...more };
}
