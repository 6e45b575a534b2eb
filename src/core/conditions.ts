// What the status tells people and tools: the phase, one message, and the conditions by the rules of kstatus.
// All of it is derived from the draft and the evidence; nothing here is remembered on its own.

import type { Condition } from "../api/common.ts";
import type { ModelDeploymentStatus } from "../api/modeldeployment-status.ts";
import { LABELS, revisionLabels } from "../api/names.ts";
import type { Phase } from "../api/reasons.ts";
import { available } from "./available.ts";
import { canaryOf, hasShare } from "./canary.ts";
import { type Context, iso, isQuarantined, returning, tell } from "./context.ts";
import type { Finding } from "./evidence.ts";
import { PHASES, stallRow } from "./phases.ts";
import { standbyUntil } from "./plan.ts";
import { strategyOf } from "./recreate.ts";
import { digest } from "./resolve.ts";
import { childOf, chooseTarget } from "./target.ts";
import { type Value, value } from "./value.ts";

/** The phase that a status is in; derived, so that it can't disagree with what it stands for. */
export function phaseOf(context: Context): Phase {
  const { status, snapshot } = context;
  if (returning(status)) return status.rollback?.restoredAt ? "Verifying" : "RollingBack";
  if (isStalled(status)) return "Stalled";
  if (status.candidate) return hasShare(status) ? "Shifting" : "Progressing";
  if (snapshot.pin.state !== "Usable") return "Pending";
  const { active } = status;
  if (active?.hash === snapshot.pin.hash && !isQuarantined(status, active.hash)) return active.baking ? "Baking" : "Guarding";
  if (isQuarantined(status, snapshot.pin.hash)) return active ? "RolledBack" : "Stalled";
  return "Progressing";
}

/**
 * A person is needed. What is wrong with what serves needs nobody any more while a candidate is under way that may mend it; for a
 * return that failed it must have come since.
 */
function isStalled({ stall, pending, candidate, rollout }: ModelDeploymentStatus): boolean {
  if (!stall || pending?.overdue) return pending?.overdue === true;
  const underWay = candidate !== undefined && rollout?.retryAt === undefined && rollout?.halted === undefined;
  const row = stallRow(stall.reason);
  return !(underWay && row?.about === "Serving" && (row.derived || Date.parse(candidate.since) > Date.parse(stall.since)));
}

/** Reasons of holds whose message counts up with every sample; their text stays out of the status, or each sample would be a write. */
const COUNTING = new Set(["Baking", "AwaitingData", "Verifying", "BakeStarved"]);

function explain(context: Context, phase: Phase): { reason: string; message: string } {
  const { status, snapshot, held } = context;
  const { active, rollback, stall, pending } = status;
  const who = active ? `r${active.revision} (${active.version})` : "nothing";
  const breach = held.find((one) => one.rule === "active-breached");
  switch (phase) {
    case "Stalled":
      if (stall) return { reason: stall.reason, message: `${stall.message}` };
      if (pending) return { reason: pending.reason, message: `${pending.message ?? ""}; ${who} serves` };
      return {
        reason: "Rejected",
        message: `${snapshot.pin.version} is quarantined and nothing serves; pin another version, or retry`,
      };
    case "RollingBack":
      return {
        reason: "RollingBack",
        message: `returning to r${rollback?.to?.revision} (${rollback?.to?.version}): ${rollback?.message ?? ""}`,
      };
    case "Verifying":
      return { reason: "Verifying", message: `${who} has the traffic back and is being verified` };
    case "RolledBack": {
      const entry =
        snapshot.pin.state === "Usable"
          ? (status.quarantine ?? []).find((one) => snapshot.pin.state === "Usable" && one.hash === snapshot.pin.hash)
          : undefined;
      return {
        reason: "RolledBack",
        message: `${snapshot.pin.version} is quarantined (${entry?.message ?? entry?.reason ?? "rolled back"}) and is not rolled out again; ${who} serves. Pin another version, or ask for a retry${breach ? `. ${breach.reason}: ${breach.message}` : ""}`,
      };
    }
    case "Guarding": {
      if (breach) return { reason: breach.reason, message: breach.message };
      return { reason: "Guarding", message: `${who} is proven and guarded` };
    }
    case "Baking":
      if (breach) return { reason: breach.reason, message: `${who} bakes: ${breach.message}` };
      if (active?.starved) {
        const message = `${who} has baked for long without enough data; promote it, or see which source is silent`;
        return { reason: "BakeStarved", message };
      }
      return {
        reason: "Baking",
        message: `${who} has all the traffic and bakes; ${Math.ceil(snapshot.policy.bakeMs / 1000)} s of healthy samples prove it`,
      };
    case "Pending":
      return { reason: pending?.reason ?? "Pending", message: `${pending?.message ?? ""}; ${who} serves` };
    default: {
      const candidate = status.candidate;
      // What the proof of the active one waits for says nothing about a candidate.
      const why = held.filter((one) => !candidate || one.rule !== "prove").at(-1);
      const counts = why !== undefined && why.rule !== "canary-step" && COUNTING.has(why.reason);
      const what = hasShare(status)
        ? shifting(context)
        : candidate
          ? `r${candidate.revision} (${candidate.version}) is brought up`
          : `waiting to roll out ${snapshot.pin.version}`;
      const meanwhile = stall ? `; meanwhile ${stall.reason}: ${stall.message}` : "";
      return {
        reason: why?.reason ?? "Progressing",
        message: `${why && !counts ? `${what}: ${why.message}` : what}${meanwhile}`,
      };
    }
  }
}

/** The explanation, with what is to be warned of. */
function said(context: Context, phase: Phase): { reason: string; message: string } {
  const { before } = context;
  // A breach that was held and is not known yet to be over, after a restart: what was said of it still stands.
  const standing = ["Guarding", "Baking", "RolledBack"].includes(phase) && phase === before.phase && stillBreached(context);
  if (standing && before.reason && before.message) return { reason: before.reason, message: before.message };
  const why = explain(context, phase);
  const { pin } = context.snapshot;
  if (pin.state !== "Usable" || !pin.deprecated) return why;
  return { ...why, message: `${why.message}; ${pin.version} is deprecated: pin another version` };
}

/** "r2 (v2) has step 1 of 3: 5 % asked, 25 % reached". */
function shifting({ status, snapshot }: Context): string {
  const { candidate, rollout } = status;
  const steps = canaryOf(snapshot.deployment, status)?.steps.length ?? 0;
  const reached = rollout?.share === undefined ? "" : `, ${rollout.share} % reached`;
  const where = (rollout?.step ?? 0) >= steps ? "is past its last step" : `has step ${(rollout?.step ?? 0) + 1} of ${steps}`;
  return `r${candidate?.revision} (${candidate?.version}) ${where}: ${rollout?.weight} % asked${reached}`;
}

function named(found: readonly Finding[]): string {
  return found.map((one) => one.check.name).join(", ");
}

/**
 * What the status said of a check and still stands: this process took the judging over and knows nothing yet, or a few bad samples
 * of a ratio are what chance brings. A status that followed each of them would be written many times a day for a healthy model.
 */
function remembered({ before, snapshot }: Context, { check, judgement, resumed }: Finding, revision: number) {
  const chance = judgement.reason === "Chance";
  if (!(resumed || chance) || before.policy?.hash !== snapshot.policy.hash) return undefined;
  const line = before.checks?.find(
    (one) => one.name === check.name && one.revision === revision && one.threshold === judgement.threshold,
  );
  return resumed || line?.verdict === "Healthy" ? line : undefined;
}

/** The findings of the active revision as people see them: a new process does not unsay what it does not know yet. */
function shown(context: Context): readonly Finding[] {
  const { active } = context;
  return (active?.findings ?? []).map((finding) => {
    const line = remembered(context, finding, active?.revision ?? 0);
    return line ? { ...finding, judgement: { ...finding.judgement, verdict: line.verdict } } : finding;
  });
}

/** A Critical breach that this process only knows of from the status. */
function stillBreached(context: Context): boolean {
  return shown(context).some((one) => one.resumed && one.judgement.verdict === "Breached" && one.check.severity === "Critical");
}

function healthy(context: Context): Value {
  const findings = shown(context);
  const bad = findings.filter((one) => one.judgement.verdict === "Breached");
  if (bad.length > 0) return value(false, "Breached", `beyond their limits: ${named(bad)}`);
  const unknown = findings.filter((one) => one.judgement.verdict !== "Healthy" && one.judgement.reason !== "NoBaseline");
  if (findings.length === 0 || unknown.length > 0)
    return value(undefined, "Unknown", `not known yet: ${named(unknown) || "no checks"}`);
  return value(true, "Healthy", "every check is within its limits");
}

function metrics(context: Context): Value {
  const findings = shown(context);
  const dark = findings.filter(
    ({ judgement }) =>
      judgement.verdict === "ProviderError" || (judgement.verdict === "NoData" && judgement.reason !== "NoBaseline"),
  );
  if (dark.length === 0) return value(true, "Answering", "the sources answer");
  const reason = dark.some((one) => one.judgement.verdict === "ProviderError") ? "ProviderError" : "NoData";
  return value(false, reason, `no verdict from ${named(dark)}; nothing is rolled back and nothing is proven on unknown data`);
}

function rollbackReady(context: Context): Value {
  const { snapshot, status } = context;
  const choice = chooseTarget(snapshot, status, []);
  if (!choice.found) return value(false, choice.reason, choice.message);
  const { target, proven, warm } = choice;
  const name = `r${target.revision} (${target.version})${proven ? "" : ", unproven,"} is the target`;
  return value(true, warm ? "Warm" : "Cold", `${name}: ${whatItTakes(context, target.revision, warm)}`);
}

/** What a return would take now, before it is needed. */
function whatItTakes({ snapshot, status }: Context, target: number, warm: boolean): string {
  if (warm) {
    const until = standbyUntil(snapshot.deployment, status);
    const kept = until === undefined || status.standby?.revision !== target ? "" : `, kept warm until ${iso(until)}`;
    return `its pods are ready, the traffic moves at once${kept}`;
  }
  const recreate = strategyOf(snapshot.deployment, status) === "Recreate";
  const how = recreate ? "what serves is scaled down first, and then its pods start" : "its pods have to start first";
  const last = (status.history ?? []).findLast(
    (entry) => entry.action === "Return" && entry.to?.revision === target && entry.warm === false && entry.restoredAt,
  );
  if (!last?.restoredAt) return how;
  const took = Math.round((Date.parse(last.restoredAt) - Date.parse(last.startedAt)) / 1000);
  return `${how}; the last cold return to it took ${took} s`;
}

function wanted(context: Context, phase: Phase): Record<string, Value> {
  const why = said(context, phase);
  const row = PHASES[phase];
  const breached = shown(context).some((one) => one.judgement.verdict === "Breached" && one.check.severity === "Critical");
  // While a Critical breach is held the pinned version serves, but it is not ready, and something is still to come.
  const guardingBreach = phase === "Guarding" && breached;
  return {
    Ready: value(row.ready && !guardingBreach, why.reason, why.message),
    Reconciling: value(row.reconciling || guardingBreach, why.reason, why.message),
    Stalled: value(row.stalled, why.reason, row.stalled ? why.message : ""),
    Available: available(context),
    Healthy: healthy(context),
    RolledBack: value(
      phase === "RolledBack",
      phase === "RolledBack" ? "RolledBack" : "NotRolledBack",
      phase === "RolledBack" ? why.message : "",
    ),
    RollbackReady: rollbackReady(context),
    MetricsAvailable: metrics(context),
  };
}

function condition(previous: Condition | undefined, type: string, next: Value, context: Context): Condition {
  const since = previous && previous.status === next.status ? previous.lastTransitionTime : iso(context.now);
  return {
    type,
    status: next.status,
    reason: next.reason,
    message: next.message.slice(0, 1024),
    lastTransitionTime: since,
    observedGeneration: context.snapshot.deployment.metadata.generation ?? 0,
  };
}

/** Check lines change with a verdict, not with every sample. */
function checkLines(context: Context): NonNullable<ModelDeploymentStatus["checks"]> {
  const { status } = context;
  // What has left both positions is judged no more.
  const judged = [status.active?.revision, status.candidate?.revision];
  const evidences = [context.active, context.candidate].filter((evidence) => judged.includes(evidence?.revision));
  const lines = evidences.flatMap((evidence) =>
    (evidence?.findings ?? []).map((finding) => ({ finding, revision: evidence?.revision ?? 0 })),
  );
  return lines.map(({ finding, revision }) => {
    const { check, judgement } = finding;
    const before = (status.checks ?? []).find((line) => line.name === check.name && line.revision === revision);
    // A policy may give the check another severity or source: nobody else would say so of a line that stands.
    const isSame = before?.severity === check.severity && before.source === check.source;
    if (before && isSame && before.verdict === judgement.verdict && before.threshold === judgement.threshold) return before;
    const standing = remembered(context, finding, revision);
    if (standing) return standing;
    return {
      name: check.name,
      revision,
      ...(check.source === undefined ? { builtIn: true } : { source: check.source }),
      severity: check.severity,
      verdict: judgement.verdict,
      ...(judgement.value === undefined ? {} : { value: judgement.value }),
      ...(judgement.baseline === undefined ? {} : { baseline: judgement.baseline }),
      ...(judgement.threshold === undefined ? {} : { threshold: judgement.threshold }),
      since: iso(context.now),
      message: judgement.message.slice(0, 256),
    };
  });
}

/** The policy in force; what there is to say about it is also told, once. */
function policyInForce(context: Context): NonNullable<ModelDeploymentStatus["policy"]> {
  const { names, generations, hash, current, notice } = context.snapshot.policy;
  if (notice !== undefined && context.before.policy?.message !== notice)
    tell(context, "Warning", current ? "PolicyRefused" : "PolicyNotCurrent", notice, digest(notice));
  return { names, generations, hash, current, ...(notice === undefined ? {} : { message: notice }) };
}

/** A label selector of the pods of these revisions, as text. */
function selectorOf(name: string, revisions: readonly number[]): string {
  const [first] = revisions;
  if (first === undefined) return "";
  if (revisions.length > 1) return `${LABELS.deployment}=${name},${LABELS.revision} in (${revisions.join(",")})`;
  return Object.entries(revisionLabels(name, first))
    .map(([key, label]) => `${key}=${label}`)
    .join(",");
}

/** Writes all that is derived into the draft. */
export function summarize(context: Context): void {
  const { status, snapshot } = context;
  const phase = phaseOf(context);
  status.phase = phase;
  const why = said(context, phase);
  status.reason = why.reason;
  status.message = why.message.slice(0, 1024);
  status.observedGeneration = snapshot.deployment.metadata.generation ?? 0;
  status.checks = checkLines(context);
  const before = new Map((status.conditions ?? []).map((one) => [one.type, one]));
  status.conditions = Object.entries(wanted(context, phase)).map(([type, next]) =>
    condition(before.get(type), type, next, context),
  );
  // An autoscaler must see the pods that have the traffic, and no others; while a canary has a share these are of two revisions,
  // so that `replicas` comes to what all the traffic needs: the active one alone has to carry it after a setback.
  const serving = [status.active, hasShare(status) && !returning(status) ? status.candidate : undefined].flatMap(
    (ref) => ref?.revision ?? [],
  );
  const children = serving.flatMap((revision) => childOf(snapshot, revision) ?? []);
  status.replicas = children.flatMap((child) => child.pods).filter((pod) => !pod.terminating).length;
  status.readyReplicas = children.reduce((sum, child) => sum + child.ready, 0);
  status.selector = selectorOf(snapshot.deployment.metadata.name, serving);
  status.policy = policyInForce(context);
}
