// Grows what the active revision measures by the hour of the day while it is proven and healthy, and keeps it with the revision:
// in memory between passes, on its ControllerRevision four times a day. What an operator loses with its memory is a few hours.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import { ANNOTATIONS, FIELD_MANAGER } from "../api/names.ts";
import { isOf } from "../core/baseline.ts";
import { type CheckProfile, growProfile, writeProfiles } from "../core/profile.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Executor } from "./apply.ts";
import { isControlledBy, keptProfiles } from "./facts.ts";

const SAVE_MS = 6 * 3_600_000;
/** After a write that failed. */
const RETRY_MS = 600_000;

interface Growing {
  revision: number;
  uid: string | undefined;
  profiles: CheckProfile[];
  /** When it is written next, ms epoch. */
  dueAt: number;
}

/** The checks of the active revision that grow: those that ask a source. The built-in ones have no baseline. */
function grow(
  before: readonly CheckProfile[],
  snapshot: Snapshot,
  deployment: ModelDeployment,
  revision: number,
): CheckProfile[] {
  const lines = (deployment.status?.checks ?? []).filter((line) => line.revision === revision);
  return snapshot.policy.checks.flatMap((check) => {
    const known = before.find((one) => isOf({ ...one, name: one.check }, check));
    const window = snapshot.windows[revision]?.find((one) => one.check === check.name && one.fingerprint === check.fingerprint);
    if (check.source === undefined || !window) return known ?? [];
    const healthy = lines.find((line) => line.name === check.name)?.verdict === "Healthy";
    const grown = growProfile(known, window, healthy);
    return grown ? { ...grown, ...(check.measures === undefined ? {} : { measures: check.measures }) } : [];
  });
}

export class Profiles {
  #growing = new Map<string, Growing>();

  /**
   * Takes what was sampled since the last pass.
   *
   * @param deployment with the status that was just decided
   * @param now time of the API server, ms epoch
   */
  async note(executor: Executor, key: string, deployment: ModelDeployment, snapshot: Snapshot, now: number): Promise<void> {
    const { active } = deployment.status ?? {};
    const { uid } = deployment.metadata;
    if (!active || active.baking || active.standing !== "Proven") return this.forget(key);
    const object = executor.caches.revisions.of(key).find((one) => one.revision === active.revision && isControlledBy(one, uid));
    if (!object) return;
    let growing = this.#growing.get(key);
    if (growing?.revision !== active.revision || growing.uid !== uid) {
      const profiles = keptProfiles(object);
      // The newest sample that is kept was new when it was written.
      const written = Math.max(...profiles.map((one) => one.to), Date.parse(active.provenAt ?? active.since ?? ""));
      growing = { revision: active.revision, uid, profiles, dueAt: (Number.isFinite(written) ? written : now) + SAVE_MS };
      this.#growing.set(key, growing);
    }
    growing.profiles = grow(growing.profiles, snapshot, deployment, active.revision);
    if (now < growing.dueAt || growing.profiles.length === 0) return;
    growing.dueAt = now + RETRY_MS;
    executor.assertLeading();
    const { namespace, name, resourceVersion } = object.metadata;
    const annotations = { [ANNOTATIONS.baselineHours]: writeProfiles(growing.profiles) };
    await executor.client.patch(
      RESOURCES.controllerRevisions,
      { namespace, name },
      "merge",
      { metadata: { annotations, resourceVersion } },
      { fieldManager: FIELD_MANAGER },
    );
    growing.dueAt = now + SAVE_MS;
  }

  forget(key: string): void {
    this.#growing.delete(key);
  }
}
