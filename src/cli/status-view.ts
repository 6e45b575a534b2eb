// What `status` shows, as data taken from a ModelDeployment and nothing else, and how it is laid out. Pure: object → text.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { CheckStatus, QuarantineEntry, RevisionRef, RollbackState } from "../api/modeldeployment-status.ts";
import type { Verdict } from "../api/reasons.ts";
import { sanitizeLine } from "../text.ts";
import { after, age, moment, number, revision, shortDigest } from "./format.ts";
import { type Cell, cell, facts, paint, type Style, type Tone, table } from "./output.ts";

type Status = NonNullable<ModelDeployment["status"]>;

/** How long a refused request is shown, ms. */
const REFUSAL_SHOWN_MS = 3_600_000;

/** The document of `status -o json|yaml`. Absent fields are absent in the status too. */
export interface StatusView {
  namespace: string;
  name: string;
  pin: string;
  phase: string;
  reason?: string | undefined;
  message?: string | undefined;
  paused: boolean;
  /** The status describes an older spec: the operator has not seen the newest one. */
  outdated: boolean;
  desired?: { version: string; revision?: number | undefined } | undefined;
  active?: RevisionRef | undefined;
  candidate?: RevisionRef | undefined;
  /** The canary's share of the traffic, while it has one. */
  canary?: CanaryView | undefined;
  standby?: RevisionRef | undefined;
  lastHealthy?: RevisionRef | undefined;
  replicas: { wanted: number; serving: number; ready: number };
  /** The condition Healthy: True, False or Unknown. */
  healthy: string;
  ready: string;
  rollbackReady?: { status: string; reason: string; message: string } | undefined;
  metricsAvailable?: { status: string; reason: string; message: string } | undefined;
  policy: string[];
  /** What there is to say about the policy: that it is not the current one, or what a layer was refused. */
  policyMessage?: string | undefined;
  rollback?: RollbackState | undefined;
  /** What would be done if it might. */
  recommendation?: Status["recommendation"] | undefined;
  freeze?: Status["freeze"] | undefined;
  missingData?: Status["missingData"] | undefined;
  /** The request that was refused last. */
  refused?: Status["refused"] | undefined;
  checks: CheckStatus[];
  quarantine: QuarantineEntry[];
}

/** Where a canary stands. */
export interface CanaryView {
  /** From 1; above `steps` it has passed the last one. */
  step: number;
  steps: number;
  /** Shares in percent: what is asked, and what is reached, once that is known. */
  weight?: number | undefined;
  share?: number | undefined;
  /** Since when the share is as the step says; absent: not yet. */
  since?: string | undefined;
}

function canaryView({ spec, status = {} }: ModelDeployment): CanaryView | undefined {
  const { rollout, candidate } = status;
  if (!candidate || rollout?.step === undefined) return undefined;
  const { weight, share, stepSince: since } = rollout;
  return { step: rollout.step + 1, steps: spec.strategy?.canary?.steps.length ?? 0, weight, share, since };
}

export function statusView(mdep: ModelDeployment): StatusView {
  const { metadata, spec, status = {} } = mdep;
  const condition = (type: string) => {
    const found = status.conditions?.find((one) => one.type === type);
    return found && { status: found.status, reason: found.reason, message: found.message };
  };
  const { names = [], generations = [] } = status.policy ?? {};
  return {
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    pin: spec.version,
    phase: status.phase ?? "Unknown",
    reason: status.reason ?? condition("Ready")?.reason,
    message: status.message ?? condition("Ready")?.message,
    paused: status.paused === true || spec.paused === true,
    outdated: status.observedGeneration !== undefined && status.observedGeneration < (metadata.generation ?? 0),
    desired: status.desired && { version: status.desired.version, revision: status.desired.revision },
    active: status.active,
    candidate: status.candidate,
    canary: canaryView(mdep),
    standby: status.standby,
    lastHealthy: status.lastHealthy,
    replicas: { wanted: spec.replicas ?? 1, serving: status.replicas ?? 0, ready: status.readyReplicas ?? 0 },
    healthy: condition("Healthy")?.status ?? "Unknown",
    ready: condition("Ready")?.status ?? "Unknown",
    rollbackReady: condition("RollbackReady"),
    metricsAvailable: condition("MetricsAvailable"),
    policy: names.map((name, i) => (generations[i] === undefined ? name : `${name} (generation ${generations[i]})`)),
    policyMessage: status.policy?.message,
    rollback: status.rollback,
    recommendation: status.recommendation,
    freeze: status.freeze,
    missingData: status.missingData,
    refused: status.refused,
    checks: status.checks ?? [],
    quarantine: status.quarantine ?? [],
  };
}

const VERDICT_TONES: Readonly<Record<Verdict, Tone>> = {
  Healthy: "good",
  Breached: "bad",
  Insufficient: "unsure",
  NoData: "unsure",
  ProviderError: "unsure",
};

export function phaseTone(phase: string): Tone {
  if (phase === "Guarding") return "good";
  return phase === "RolledBack" || phase === "Stalled" ? "bad" : "unsure";
}

const truthTone = (status: string): Tone => (status === "True" ? "good" : status === "False" ? "bad" : "unsure");

/** One line for each deployment, as `status` without a name prints. */
export function renderList(views: readonly StatusView[], now: number, style: Style & { namespaces: boolean }): string {
  const head = ["NAME", "PINNED", "SERVES", "SINCE", "PHASE", "HEALTHY", "RETURN", "READY"];
  if (style.namespaces) head.unshift("NAMESPACE");
  if (style.wide) head.push("REASON", "MESSAGE");
  const rows = views.map((view) => {
    const row = [
      cell(view.name),
      cell(view.pin),
      cell(view.active && `${revision(view.active)} ${view.active.standing}`),
      cell(age(view.active?.since, now)),
      cell(view.phase, phaseTone(view.phase)),
      cell(view.healthy, truthTone(view.healthy)),
      returnCell(view),
      cell(`${view.replicas.ready}/${view.replicas.wanted}`, view.replicas.ready < view.replicas.wanted ? "unsure" : "plain"),
    ];
    if (style.namespaces) row.unshift(cell(view.namespace));
    if (style.wide) row.push(cell(view.reason), cell(view.message));
    return row;
  });
  return table(head, rows, style);
}

function returnCell(view: StatusView): Cell {
  const ready = view.rollbackReady;
  if (!ready) return cell(undefined);
  return ready.status === "True" ? cell(ready.reason, "good") : cell(ready.reason, "unsure");
}

/** Everything about one deployment. */
export function renderStatus(view: StatusView, now: number, style: Style): string {
  const title = `${sanitizeLine(`${view.namespace}/${view.name}`)}   ${paint(sanitizeLine(view.phase), phaseTone(view.phase), style)}`;
  const parts = [`${title}${view.paused ? `   ${paint("paused", "unsure", style)}` : ""}\n`, facts(situation(view, now), style)];
  if (view.checks.length > 0) parts.push(`\n${checksTable(view, now, style)}`);
  if (view.quarantine.length > 0) parts.push(`\n${quarantineTable(view.quarantine, now, style)}`);
  return parts.join("");
}

function situation(view: StatusView, now: number): [string, Cell][] {
  const lines: [string, Cell][] = [];
  if (view.message) lines.push(["Why", cell(view.message)]);
  if (view.outdated)
    lines.push(["Note", cell("the operator has not seen the newest spec yet; this is about the one before", "unsure")]);
  const number = view.desired?.revision;
  lines.push(["Pinned", cell(number === undefined ? view.pin : `${view.pin} (r${number})`)]);
  lines.push(["Serves", view.active ? cell(activeText(view, now)) : cell("nothing", "bad")]);
  if (view.candidate) lines.push(["Candidate", cell(`${revision(view.candidate)}, ${standing(view.candidate, now)}`)]);
  if (view.canary) lines.push(["Canary", cell(canaryText(view.canary, now))]);
  if (view.standby) lines.push(["Standby", cell(`${revision(view.standby)}, ${standing(view.standby, now)}`)]);
  if (view.lastHealthy && view.lastHealthy.revision !== view.active?.revision) {
    lines.push(["Last healthy", cell(`${revision(view.lastHealthy)}, ${standing(view.lastHealthy, now)}`)]);
  }
  lines.push(["Return", readiness(view)]);
  if (view.metricsAvailable?.status === "False") lines.push(["Metrics", cell(view.metricsAvailable.message, "unsure")]);
  const policy = view.policy.join(", ") || "built-in";
  if (view.policyMessage !== undefined) lines.push(["Policy", cell(`${policy}: ${view.policyMessage}`, "unsure")]);
  else if (view.policy.length > 0) lines.push(["Policy", cell(policy)]);
  lines.push(...limits(view, now));
  if (view.rollback) lines.push([view.rollback.outcome ? "Last return" : "Returning", cell(rollbackText(view.rollback, now))]);
  return lines;
}

function canaryText({ step, steps, weight, share, since }: CanaryView, now: number): string {
  const where = step > steps ? "past its last step" : `step ${step} of ${steps}`;
  const reached = share === undefined ? "nothing known of what is reached" : `${share} % reached`;
  return `${where}, ${weight ?? 0} % asked, ${reached}${since === undefined ? "" : `, for ${age(since, now)}`}`;
}

/** What limits it, and what waits for a person. */
function limits(view: StatusView, now: number): [string, Cell][] {
  const { recommendation, freeze, missingData, refused } = view;
  const lines: [string, Cell][] = [];
  if (recommendation) {
    const { action, from, to, mode, message, since } = recommendation;
    const what =
      action === "Return" ? `return from ${revision(from)} to ${revision(to) ?? "nothing"}` : `reject ${revision(from)}`;
    const how = mode === "Recommend" ? "recommended" : "would happen";
    lines.push(["Would", cell(`${what}, ${how} since ${moment(since)} (${age(since, now) ?? "-"}): ${message ?? ""}`, "bad")]);
  }
  if (freeze) {
    const when = freeze.active ? `until ${moment(freeze.until)}` : `from ${moment(freeze.from)} to ${moment(freeze.until)}`;
    lines.push(["Frozen", cell(`${when}, by ${freeze.schedule}`, freeze.active ? "unsure" : "plain")]);
  }
  if (missingData) {
    const { checks, since } = missingData;
    lines.push(["No data", cell(`of ${checks.join(", ")} since ${moment(since)} (${age(since, now) ?? "-"})`, "unsure")]);
  }
  // Of old ones the events and records tell.
  if (refused && now - Date.parse(refused.at) < REFUSAL_SHOWN_MS)
    lines.push(["Refused", cell(`${refused.kind} ${refused.request}: ${refused.message}`, "unsure")]);
  return lines;
}

function activeText(view: StatusView, now: number): string {
  const { active, replicas } = view;
  if (!active) return "nothing";
  const since = `since ${moment(active.since)} (${age(active.since, now) ?? "-"})`;
  const baking = active.baking ? ", baking" : "";
  return `${revision(active)}, ${since}, ${standing(active, now)}${baking}, ${replicas.ready} of ${replicas.wanted} pods ready`;
}

function standing(ref: RevisionRef, now: number): string {
  if (ref.standing !== "Proven") return ref.standing.toLowerCase();
  return ref.provenAt === undefined ? "proven" : `proven ${age(ref.provenAt, now)} ago`;
}

function readiness(view: StatusView): Cell {
  const ready = view.rollbackReady;
  if (!ready) return cell("not known yet", "unsure");
  if (ready.status === "True") return cell(`ready, ${ready.reason.toLowerCase()}: ${ready.message}`, "good");
  return cell(`not possible (${ready.reason}): ${ready.message}`, "unsure");
}

function rollbackText(rollback: RollbackState, now: number): string {
  const { from, to, decidedAt, restoredAt, verifiedAt, detectedAt, outcome } = rollback;
  const path = `${revision(from) ?? "nothing"} → ${revision(to) ?? "nothing"}`;
  const said = rollback.message ?? rollback.reason;
  // The message of a breach begins with the check's name already.
  const why = rollback.check && said?.startsWith(`${rollback.check} `) ? said : [rollback.check, said].filter(Boolean).join(": ");
  const times = [
    detectedAt && `detected ${moment(detectedAt)}`,
    decidedAt && `decided ${after(detectedAt, decidedAt) ?? moment(decidedAt)}`,
    restoredAt && `traffic restored ${after(decidedAt, restoredAt) ?? moment(restoredAt)}`,
    verifiedAt && `verified ${after(restoredAt, verifiedAt) ?? moment(verifiedAt)}`,
  ].filter(Boolean);
  const when = age(decidedAt, now);
  return [`${path}${when ? `, ${when} ago` : ""}${outcome ? `, ${outcome}` : ""}`, why, times.join(", ")]
    .filter(Boolean)
    .join("; ");
}

function checksTable(view: StatusView, now: number, style: Style): string {
  const several = new Set(view.checks.map((check) => check.revision)).size > 1;
  const head = ["CHECK", "VERDICT", "VALUE", "THRESHOLD", "BASELINE", "SEVERITY", "SINCE"];
  if (several || style.wide) head.splice(1, 0, "REVISION");
  if (style.wide) head.push("SOURCE");
  head.push("MESSAGE");
  const rows = view.checks.map((check) => {
    const row = [
      cell(check.name),
      cell(check.verdict, VERDICT_TONES[check.verdict] ?? "unsure"),
      cell(number(check.value)),
      cell(check.threshold),
      cell(number(check.baseline)),
      cell(check.severity),
      cell(age(check.since, now)),
    ];
    if (several || style.wide) row.splice(1, 0, cell(`r${check.revision}`));
    if (style.wide) row.push(cell(check.builtIn ? "built in" : check.source));
    return [...row, cell(check.message)];
  });
  return table(head, rows, style);
}

function quarantineTable(entries: readonly QuarantineEntry[], now: number, style: Style): string {
  const head = ["QUARANTINED", "REVISION", "REASON", "SINCE", "WEIGHTS", "MESSAGE"];
  const rows = entries.map((entry) => [
    cell(entry.version),
    cell(`r${entry.revision}`),
    cell(entry.reason, "bad"),
    cell(age(entry.since, now)),
    cell(shortDigest(entry.artifactDigest)),
    cell(entry.message),
  ]);
  return table(head, rows, style);
}
