// One pass over a deployment: observe once → decide purely → write the status → act on it → record and tell.
// The loop knows keys only; whatever went wrong is tried again from what is true then.

import { formatDuration, parseDuration } from "../api/common.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { childName } from "../api/names.ts";
import type { Clock } from "../clock.ts";
import { hasShare } from "../core/canary.ts";
import { clockStep } from "../core/clockstep.ts";
import { type Decision, decide } from "../core/decide.ts";
import { checksFor, judgedFrom, judgingSince, stageOf } from "../core/evidence.ts";
import { plan } from "../core/plan.ts";
import type { RevisionRef, Snapshot } from "../core/snapshot.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../telemetry.ts";
import { sanitizeLine } from "../text.ts";
import { type Executor, NameTaken } from "./apply.ts";
import { type CachedDeployment, splitKey } from "./cached.ts";
import { ChildRefused, carryOut, eachStep, writeStatus } from "./execute.ts";
import { decisionOf, isControlledBy, type KeptRevision } from "./facts.ts";
import { type Observer, observe } from "./observe.ts";
import { keep } from "./pin.ts";
import type { Prober } from "./prober.ts";
import { Profiles } from "./profiles.ts";
import { writeRecords } from "./record.ts";
import { paced, type RevocationPace } from "./revocations.ts";
import type { Job } from "./sampler.ts";
import type { Teller } from "./teller.ts";

export interface ReconcilerDeps extends Observer, Executor {
  clock: Clock;
  prober: Prober;
  pace: RevocationPace;
  teller: Teller;
  metrics: Metrics;
  logger: Logger;
  fetch: { image: string; command?: string[] | undefined };
}

/** Rules that take traffic away: their status is written before other requests. */
const URGENT = new Set(["active-breached", "return-progress", "candidate-failed", "keep-apart", "person-rollback"]);

const NAME_TAKEN_RETRY_MS = 10_000;
const REFUSED_RETRY_MS = 30_000;
const LOST_RETRY_MS = 30_000;

export class Reconciler {
  #deps: ReconcilerDeps;
  /** Records that were written and that the cache may not show yet. */
  #written = new Set<string>();
  #profiles = new Profiles();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** @returns in how many ms to look again at the latest */
  async reconcile(key: string): Promise<{ requeueAfterMs?: number }> {
    const { caches, memory, sampler, prober, pace, client, policies, teller, clock } = this.#deps;
    const { namespace, name } = splitKey(key);
    const known = memory.latest(key, caches.deployments.get(namespace, name)) as CachedDeployment | undefined;
    // One that is being deleted is left alone: nothing is created or scaled.
    if (!known || known.metadata.deletionTimestamp !== undefined) {
      sampler.forget(key);
      prober.forget(key);
      memory.forget(key);
      this.#profiles.forget(key);
      policies.forget(key);
      teller.forget(key);
      pace.release(key);
      return {};
    }
    const deployment = await this.#newest(key, known);
    const now = client.serverNow();
    const monotonic = clock.monotonic();
    const clockStepMs = clockStep(memory.decidedAt(key), now, monotonic);
    const seen = observe(this.#deps, key, deployment);
    const snapshot = paced(clockStepMs === 0 ? seen : { ...seen, clockStepMs }, key, pace, now);
    teller.review(key, deployment, snapshot.recorded);
    const decision = decide(snapshot, now);
    const after = decision.changed ? await this.#write(key, deployment, decision) : deployment;
    memory.decided(key, now, monotonic);
    // At once: an act that fails is tried again by the next pass, which has nothing to tell any more.
    teller.tell(key, after, decision.events);
    const status = after.status ?? {};
    const wanted = plan(snapshot, status, now);
    // Told and judged whatever becomes of the writes below: one refused object must not blind the guard.
    const policySince = policies.since(key, deployment.metadata.uid);
    sampler.follow(key, jobsOf(snapshot, status, policySince));
    prober.follow(key, { ...snapshot, deployment: after });
    let again: number | undefined;
    try {
      again = await this.#act(key, after, snapshot, wanted);
    } finally {
      await eachStep([
        () => policies.keep(this.#deps, key, after),
        () => writeRecords(this.#deps, key, after, snapshot, this.#written, (entry) => teller.wasTold(key, entry)),
      ]);
    }
    await this.#profiles.note(this.#deps, key, after, snapshot, now);
    if (decision.acted) return { requeueAfterMs: 1 };
    const wake = [decision.wakeAt, wanted.wakeAt].flatMap((time) => (time === undefined ? [] : [time - now]));
    const soonest = Math.min(...wake, again ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(soonest) ? { requeueAfterMs: Math.max(soonest, 1) } : {};
  }

  /** Where a child shows a later decision than the cached status, the status is read from the API server before anything is decided. */
  async #newest(key: string, known: CachedDeployment): Promise<CachedDeployment> {
    const { caches, client, memory } = this.#deps;
    const { namespace, name } = splitKey(key);
    const route = caches.routes.get(namespace, name);
    const ours = [...caches.children.of(key), ...caches.services.of(key), ...(route ? [route] : [])].filter((one) =>
      isControlledBy(one, known.metadata.uid),
    );
    if (Math.max(0, ...ours.map(decisionOf)) <= (known.status?.decision ?? 0)) return known;
    const fresh = (await client.get(RESOURCES.modelDeployments, splitKey(key))) as unknown as CachedDeployment;
    const withManager = { ...fresh, ...(known.pinManager === undefined ? {} : { pinManager: known.pinManager }) };
    memory.wrote(key, withManager);
    return withManager;
  }

  async #write(key: string, deployment: CachedDeployment, decision: Decision): Promise<CachedDeployment> {
    const { memory, metrics, client, logger } = this.#deps;
    const urgent = decision.acted !== undefined && URGENT.has(decision.acted.rule);
    const written = await writeStatus(this.#deps, deployment, decision.status, urgent);
    const kept = { ...written, ...(deployment.pinManager === undefined ? {} : { pinManager: deployment.pinManager }) };
    memory.wrote(key, kept);
    const { rollback } = decision.status;
    const began = rollback !== undefined && rollback.sequence !== deployment.status?.rollback?.sequence;
    const holding = decision.held.some((one) => one.reason === decision.status.reason);
    if (holding && decision.status.reason !== undefined && decision.status.reason !== deployment.status?.reason)
      metrics.held.inc({ reason: decision.status.reason });
    if (decision.acted) {
      metrics.decisions.inc({ action: decision.acted.reason });
      logger.info(
        {
          deployment: key,
          rule: decision.acted.rule,
          reason: decision.acted.reason,
          why: decision.acted.message,
          sequence: decision.status.sequence,
        },
        "decided",
      );
    }
    if (began) {
      metrics.rollbacks.inc({ trigger: rollback.trigger ?? "Breach", warm: String(rollback.warm ?? false) });
      metrics.breachToRollback.observe(Math.max(client.serverNow() - Date.parse(rollback.detectedAt ?? ""), 0) / 1000);
    }
    if (rollback?.restoredAt && !deployment.status?.rollback?.restoredAt && rollback.decidedAt) {
      metrics.restore.observe(
        { warm: String(rollback.warm ?? false) },
        (Date.parse(rollback.restoredAt) - Date.parse(rollback.decidedAt)) / 1000,
      );
    }
    return kept;
  }

  async #act(
    key: string,
    deployment: CachedDeployment,
    snapshot: Snapshot,
    wanted: ReturnType<typeof plan>,
  ): Promise<number | undefined> {
    const { caches, memory } = this.#deps;
    const render = (revision: number): KeptRevision | undefined => {
      const { candidate } = deployment.status ?? {};
      const { pin } = snapshot;
      const version = caches.versions.get(deployment.metadata.namespace, deployment.spec.version);
      // Content that is not the pin's any more can't be rendered; the next decision supersedes it.
      if (!version || pin.state !== "Usable" || candidate?.revision !== revision || candidate.hash !== pin.hash) return undefined;
      return keep(deployment, version, pin, revision, this.#deps.fetch);
    };
    try {
      const { tried, lost } = await carryOut(this.#deps, key, deployment, { ...snapshot, deployment }, wanted, render);
      memory.noteNameTaken(key, undefined);
      memory.noteRefused(key, undefined);
      const { rollout } = deployment.status ?? {};
      const changed = memory.noteLost(key, lost);
      if (changed) return 1;
      if (tried && wanted.dryRun && rollout) {
        // The API server would take it: the next pass may make room for it.
        memory.noteTried(key, { revision: wanted.dryRun.revision, sequence: rollout.sequence, attempt: rollout.attempt ?? 1 });
        return 1;
      }
      // Somebody may have what was lost, under a name that is not watched for this deployment.
      if (lost.size > 0) return LOST_RETRY_MS;
    } catch (error) {
      if (error instanceof ChildRefused) {
        const attempt = deployment.status?.rollout?.attempt ?? 1;
        const told = memory.refused(key);
        memory.noteRefused(key, { revision: error.revision, attempt, message: sanitizeLine(error.message, 512) });
        return told?.revision === error.revision && told.attempt === attempt ? REFUSED_RETRY_MS : 1;
      }
      if (!(error instanceof NameTaken)) throw error;
      const { name } = deployment.metadata;
      memory.noteNameTaken(
        key,
        `${error.message}; rename it, or annotate it with rollguard.dev/adopt: ${name} to let it be taken over`,
      );
      // Said in the status by the next pass; looked at again, since the name may become free without our hearing of it.
      return snapshot.nameTaken === undefined ? 1 : NAME_TAKEN_RETRY_MS;
    }
    return undefined;
  }
}

/**
 * What is to be asked from now on: the active revision always, the candidate once it has a ready pod to measure, and while it has
 * a share of the traffic.
 *
 * @param status that was just decided
 * @param policySince when the policy came into force, ms epoch, as far as it is known
 */
export function jobsOf(snapshot: Snapshot, status: ModelDeploymentStatus, policySince: number | undefined): Job[] {
  const { policy, deployment } = snapshot;
  const { active, candidate } = status;
  const ready = (ref: RevisionRef) => (snapshot.children.find((child) => child.revision === ref.revision)?.ready ?? 0) > 0;
  const asked = candidate && (hasShare(status) || ready(candidate)) ? candidate : undefined;
  const judged = [active, asked].filter((ref) => ref !== undefined);
  return judged.flatMap((ref) => {
    const stage = stageOf(status, ref.revision);
    const from = judgedFrom(ref, policy);
    return checksFor(policy, status, ref.revision).map((check) => ({
      check,
      revision: ref.revision,
      since: judgingSince(ref),
      judgedFrom: from,
      stage,
      // What was measured while another policy was in force is not judged by this one.
      ...(policySince === undefined ? {} : { countsFrom: Math.max(from, policySince) }),
      policy,
      graceMs: parseDuration(deployment.spec.strategy.progressDeadline),
      variables: {
        namespace: deployment.metadata.namespace ?? "",
        name: deployment.metadata.name,
        version: ref.version,
        revision: String(ref.revision),
        window: formatDuration(check.windowMs),
        workload: childName(deployment.metadata.name, ref.revision),
      },
    }));
  });
}
