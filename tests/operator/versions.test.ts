// What a ModelVersion's status says of its use.

import { expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { ModelVersion } from "../../src/api/modelversion.ts";
import { versionStatus } from "../../src/controllers/versions.ts";

const NOW = "2026-11-24T10:00:00.000Z";
const ref = (version: string, revision: number) => ({
  version,
  revision,
  hash: `h${revision}`,
  artifactDigest: "d",
  since: NOW,
  standing: "Proven",
});
const version = (lifecycle = "Active") =>
  ({
    metadata: { name: "v1", generation: 3 },
    spec: { model: "m", version: "1", artifact: { uri: "https://x/y", digest: "sha256:a" }, lifecycle },
  }) as unknown as ModelVersion;
const deployment = (name: string, status: object) => ({ metadata: { name }, status }) as unknown as ModelDeployment;

test("it counts the deployments that have it in a position, and names those that quarantined it", () => {
  const status = versionStatus(
    version(),
    [
      deployment("b", { active: ref("v2", 2), standby: ref("v1", 1) }),
      deployment("a", { active: ref("v1", 4) }),
      deployment("c", { active: ref("v2", 1), quarantine: [{ ...ref("v1", 2), reason: "Breached" }] }),
    ],
    NOW,
  );
  expect(status.inUse).toBe(2);
  expect(status.deployments).toEqual([
    { name: "a", revision: 4, position: "Active", standing: "Proven" },
    { name: "b", revision: 1, position: "Standby", standing: "Proven" },
    { name: "c", revision: 2, position: "None", standing: "Quarantined" },
  ]);
});

test.each([
  ["Active", "True", "Valid"],
  ["Deprecated", "True", "Deprecated"],
  ["Revoked", "False", "Revoked"],
])("%s is Ready=%s, %s", (lifecycle, ready, reason) => {
  expect(versionStatus(version(lifecycle), [], NOW).conditions?.[0]).toMatchObject({
    type: "Ready",
    status: ready,
    reason,
    observedGeneration: 3,
  });
});
