// What the tests on a cluster are made of: the demo's stage on the cluster that ROLLGUARD_E2E names, waiting for a status with its
// own words on failure, and the operator's refused requests.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import type { ClientCounts } from "../../examples/digits/client.ts";
import { type ClusterStage, raiseClusterStage, SYSTEM } from "../../examples/digits/cluster-stage.ts";
import { raiseSandboxStage } from "../../examples/digits/sandbox-stage.ts";
import type { Stage } from "../../examples/digits/stage.ts";
import { placeName } from "../../scripts/place.ts";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { KubeObject } from "../../src/kube/objects.ts";

export type Status = NonNullable<ModelDeployment["status"]>;
/** A manifest, as a test changes it before it is applied. */
export type Manifest = KubeObject & { spec?: Record<string, unknown> };

/** Where to run: sandbox, local, kind or current; undefined: nowhere, the tests are left out. */
export const WHERE = process.env.ROLLGUARD_E2E;

/** The stage; on a real cluster with its kubectl (the first time Kubernetes is built). */
export async function raise(): Promise<Stage & Partial<ClusterStage>> {
  if (WHERE === "sandbox") return raiseSandboxStage();
  const imagePrefix = process.env.ROLLGUARD_E2E_IMAGE_PREFIX;
  // Nobody can be asked here: scripts/e2e.ts did.
  return raiseClusterStage(placeName(WHERE ?? ""), { say: console.log, yes: true, ...(imagePrefix ? { imagePrefix } : {}) });
}

/** Polls the status until `done` gives something; fails with the status's own words. */
export async function until<T>(
  stage: Stage,
  what: string,
  done: (status: Status) => T | undefined | false,
  limitMs = 90_000,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const { status = {} } = await stage.deployment();
    const found = done(status);
    if (found) return found;
    const over = stage.operatorEnded();
    if (over !== undefined) throw new Error(over);
    if (Date.now() > end) throw new Error(`${what} did not happen in ${limitMs / 1000} s: ${status.phase}: ${status.message}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The operator's requests that the API server refused, by the kit's audit log: "verb resource: code". */
export function refused(auditLog: string): string[] {
  const lines = readFileSync(auditLog, "utf8").trim().split("\n");
  const wrong = lines
    .map((line) => JSON.parse(line))
    .filter(({ user, stage }) => user?.username === `system:serviceaccount:${SYSTEM}:rollguard` && stage === "ResponseComplete")
    .filter(({ responseStatus }) => [401, 403, 422].includes(responseStatus?.code));
  return [
    ...new Set(
      wrong.map(
        ({ verb, objectRef, responseStatus }) =>
          `${verb} ${objectRef?.resource}/${objectRef?.subresource ?? ""}: ${responseStatus.code} ${responseStatus.message}`,
      ),
    ),
  ];
}

/** For `apply`: the pin, and what else of the spec is to be different. */
export const pinned =
  (version: string, change: Record<string, unknown> = {}) =>
  (manifest: Manifest): void => {
    if (manifest.kind === "ModelDeployment") Object.assign(manifest.spec ?? {}, { version, ...change });
  };

/** Fails where a request failed; says how many there were. */
export const noneFailed = ({ sent, failed, failures }: ClientCounts) => {
  console.log(`requests so far: ${sent} sent, ${failed} failed`);
  expect({ failed, failures: failures.slice(0, 3) }).toEqual({ failed: 0, failures: [] });
};
