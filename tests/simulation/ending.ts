// What must hold at the end, when nothing goes wrong any more and all that was waited for has come.

import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { ModelDeploymentStatus, RevisionIdentity } from "../../src/api/modeldeployment-status.ts";
import type { RolloutRecordSpec } from "../../src/api/rolloutrecord.ts";
import type { StoredObject } from "../../src/sandbox/api.ts";
import { type Checker, type Life, selectedBy } from "./checker.ts";
import { KEPT, type State } from "./state.ts";
import type { Truth } from "./truth.ts";

/** What is looked at. */
export interface End {
  state: State;
  truth: Truth;
  at: number;
  atRest: boolean;
}

type Record_ = StoredObject & { spec: RolloutRecordSpec };
type Kept = StoredObject & { revision: number };

/** A person, a policy or the evidence says that what is breached stays; each is said in a status of its own. */
const MAY_STAY = new Set(["CommonCause", "TargetBreached", "ReturnFailed", "BudgetSpent", "TargetNoBetter"]);

export function checkEnd(checker: Checker, { state, truth, at, atRest }: End): void {
  const live = state.list<StoredObject>(KEPT.deployments);
  checker.holds("in the end nothing is written any more", atRest, at, () =>
    live.map((one) => `${one.metadata.name}: ${(one.status as ModelDeploymentStatus | undefined)?.message}`).join("; "),
  );
  for (const life of checker.lives()) {
    const object = state.get<StoredObject>(KEPT.deployments, life.name) as unknown as ModelDeployment | undefined;
    if (!object || object.metadata.deletionTimestamp !== undefined) continue;
    records(checker, life, object, state, at);
    serves(checker, object, state, truth, at);
    breachedIsLeft(checker, object, state, truth, at);
    goodPinServes(checker, object, state, truth, at);
    told(checker, object, at);
  }
}

/** Exactly one record for each transition that ended. */
function records(checker: Checker, life: Life, { metadata }: ModelDeployment, state: State, at: number): void {
  const own = state.list<Record_>(KEPT.records).filter((one) => one.spec.deployment.uid === metadata.uid);
  const numbers = own.map((one) => one.spec.sequence).sort((a, b) => a - b);
  const wanted = [...life.finished.keys()].sort((a, b) => a - b);
  checker.holds(
    "every transition has exactly one record",
    String(numbers) === String(wanted),
    at,
    () => `${life.name}: records ${numbers} of ${wanted}`,
  );
}

/** The Service leads to what the status says is active, and what can run does. */
function serves(
  checker: Checker,
  { metadata, spec, status = {} }: ModelDeployment,
  state: State,
  truth: Truth,
  at: number,
): void {
  const { active, rollout, rollback } = status;
  const { name } = metadata;
  if (!active) return;
  const selected = selectedBy(state.get<StoredObject>(KEPT.services, name));
  const share = rollout?.step !== undefined && selected === 0;
  checker.holds(
    "in the end the Service leads to the active revision",
    selected === active.revision || share,
    at,
    () => `${name}: r${selected}, and active is r${active.revision}`,
  );
  checker.holds(
    "in the end no return is under way",
    rollback === undefined || rollback.outcome !== undefined || spec.replicas === 0,
    at,
    () => `${name}: ${status.message}`,
  );
  const fate = truth.fateOf(name, active.revision);
  if (spec.replicas === 0 || fate === "Crashing" || fate === "NeverReady") return;
  checker.holds(
    "in the end what serves is ready",
    checker.pods.ready(name, active.revision) >= Math.min(spec.replicas, 1),
    at,
    () => `${name}: r${active.revision} has no ready pod; ${status.message}`,
  );
}

function revokedVersions(state: State): Set<string> {
  const versions = state.list<StoredObject>(KEPT.versions);
  return new Set(
    versions.filter((one) => (one.spec as { lifecycle?: string }).lifecycle === "Revoked").map((one) => one.metadata.name),
  );
}

/** What is breached does not serve where a better proven one is there. */
function breachedIsLeft(
  checker: Checker,
  { metadata, spec, status = {} }: ModelDeployment,
  state: State,
  truth: Truth,
  at: number,
): void {
  const { active, quarantine = [] } = status;
  const { name } = metadata;
  if (!active || spec.paused || status.paused || spec.replicas === 0 || active.asleepSince !== undefined) return;
  const policy = state.get<StoredObject>(KEPT.policies, name)?.spec as { mode?: string } | undefined;
  const asks = policy?.mode === "Recommend" && active.standing === "Proven" && !active.baking;
  if (asks || policy?.mode === "Observe") return;
  if (!truth.isBad(name, active.revision, at) || truth.badMs(name, active.revision, at - 60_000, at) < 60_000) return;
  const revoked = revokedVersions(state);
  const better = state
    .list<Kept>(KEPT.revisions)
    .filter(({ metadata: { annotations, ownerReferences = [] } }) => {
      const own = ownerReferences.some((one) => one.uid === metadata.uid);
      return own && annotations?.["rollguard.dev/proven-at"] !== undefined && annotations["rollguard.dev/revoked"] === undefined;
    })
    .map(({ revision }) => revision)
    .filter((revision) => revision !== active.revision && !quarantine.some((one) => one.revision === revision))
    .filter((revision) => !revoked.has(`${name}-${truth.contentOf(name, revision)?.version}`))
    .filter((revision) => truth.fateOf(name, revision) === "Good" && !truth.isBad(name, revision, at));
  const excused = MAY_STAY.has(status.stall?.reason ?? "");
  checker.holds(
    "in the end a breached revision with a better proven one behind it does not serve",
    better.length === 0 || excused,
    at,
    () => `${name}: r${active.revision} is bad, r${better} are not; ${status.phase}: ${status.message}`,
  );
}

/** What is pinned and good serves, and is proven. */
function goodPinServes(
  checker: Checker,
  { metadata, spec, status = {} }: ModelDeployment,
  state: State,
  truth: Truth,
  at: number,
): void {
  const { name } = metadata;
  const { active, quarantine = [] } = status;
  if (spec.paused || status.paused || spec.replicas === 0 || truth.troubled(name)) return;
  const version = state.get<StoredObject>(KEPT.versions, spec.version);
  if (!version || revokedVersions(state).has(spec.version)) return;
  const variant = spec.template.spec?.containers?.[0]?.env?.find((one: { name: string }) => one.name === "VARIANT")?.value ?? "";
  if (truth.fateOfContent(name, { version: (version.spec as { version: string }).version, variant }) !== "Good") return;
  const wanted = status.desired?.hash;
  if (quarantine.some((one) => one.hash === wanted)) return;
  // The same content under another name may have been revoked.
  if (status.stall?.reason === "VersionRevoked" || status.rollout?.halted) return;
  checker.holds(
    "in the end a good pin serves and is guarded",
    active?.hash === wanted && active?.version === spec.version && status.phase === "Guarding",
    at,
    () => `${name}: ${spec.version} is pinned; ${status.phase}: ${status.message}`,
  );
}

function told(checker: Checker, { metadata, status = {} }: ModelDeployment, at: number): void {
  const current = (status.conditions ?? []).every((one) => one.observedGeneration === metadata.generation);
  checker.holds(
    "in the end the status tells of the newest generation",
    status.observedGeneration === metadata.generation && current,
    at,
    () => `${metadata.name}: ${status.observedGeneration} of ${metadata.generation}`,
  );
}

const short = (ref: Pick<RevisionIdentity, "version" | "revision"> | undefined) => ref && `r${ref.revision} ${ref.version}`;

/** Where everything stands, without times: what must be equal for two runs whose end does not depend on timing. */
export function summary(state: State): string[] {
  const lines = state.list<StoredObject>(KEPT.deployments).flatMap((object) => {
    const status = (object.status ?? {}) as ModelDeploymentStatus;
    const refs = { active: status.active, candidate: status.candidate, standby: status.standby, lastHealthy: status.lastHealthy };
    return [
      `${object.metadata.name}: ${status.phase}/${status.reason} sequence ${status.sequence} decision ${status.decision}`,
      ...Object.entries(refs).map(([name, ref]) => `  ${name} ${short(ref)} ${ref?.standing} ${ref?.baking ? "baking" : ""}`),
      ...(status.quarantine ?? []).map((one) => `  quarantine ${short(one)} ${one.reason}`),
      ...(status.history ?? []).map(
        (one) => `  ${one.sequence} ${one.action} ${short(one.from)} to ${short(one.to)} ${one.outcome} ${one.trigger}`,
      ),
    ];
  });
  const named = (storage: string, text: (one: StoredObject) => string) =>
    state
      .list<StoredObject>(storage)
      .filter((one) => one.metadata.labels?.["rollguard.dev/deployment"] !== undefined)
      .map((one) => `${storage} ${one.metadata.name} ${text(one)}`)
      .sort();
  return [
    ...lines,
    ...named(KEPT.services, (one) => `r${selectedBy(one)}`),
    ...named(KEPT.children, (one) => String((one.spec as { replicas?: number }).replicas)),
    ...named(KEPT.records, (one) => (one.spec as RolloutRecordSpec).outcome),
    ...named(KEPT.revisions, () => ""),
  ];
}
