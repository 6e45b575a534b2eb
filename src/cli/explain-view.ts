// `explain`: the status of one deployment in plain words, with the commands that help now. Pure: object → data → text.
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { PHASES, type Phase } from "../api/reasons.ts";
import { sanitizeLine } from "../text.ts";
import { explanationOf, VERDICT_EXPLANATIONS } from "./explanations.ts";
import { number, revision } from "./format.ts";
import { paint, type Style, wrap } from "./output.ts";
import { phaseTone, type StatusView, statusView } from "./status-view.ts";

/** The document of `explain -o json|yaml`. */
export interface ExplainView {
  namespace: string;
  name: string;
  phase: string;
  reason?: string | undefined;
  /** Why it is so, for people. */
  cause: string;
  /** What the operator itself says. */
  message?: string | undefined;
  /** What else is worth knowing, a sentence each. */
  notes: string[];
  next: { what: string; command?: string }[];
}

export function explainView(mdep: ModelDeployment): ExplainView {
  const view = statusView(mdep);
  const base = { namespace: view.namespace, name: view.name, phase: view.phase, reason: view.reason, message: view.message };
  const phase = PHASES.find((one) => one === view.phase);
  if (phase === undefined) {
    const cause = "no operator has looked at it yet: it is not running, does not watch this namespace, or has only just begun";
    const command = "kubectl get pods -A -l app.kubernetes.io/name=rollguard";
    return { ...base, cause, notes: [], next: [{ what: "see whether the operator runs", command }] };
  }
  const { cause, next } = explanationOf(phase, view.reason);
  const fill = (text: string) => fillIn(text, view);
  const steps = next.map(({ what, command }) => (command === undefined ? { what } : { what, command: fill(command) }));
  return { ...base, cause: fill(cause), notes: notes(view, phase), next: steps };
}

function notes(view: StatusView, phase: Phase): string[] {
  const lines: string[] = [];
  if (view.outdated) lines.push("The operator has not seen the newest spec yet; all of this is about the one before.");
  if (view.paused) lines.push("It is paused.");
  lines.push(view.active ? `${revision(view.active)} serves.` : "Nothing serves.");
  for (const check of view.checks) {
    const meaning = VERDICT_EXPLANATIONS[check.verdict];
    if (meaning === undefined) continue;
    const values = [
      check.value === undefined ? undefined : `value ${number(check.value)}`,
      check.threshold && `limit ${check.threshold}`,
      check.baseline === undefined ? undefined : `baseline ${number(check.baseline)}`,
    ].filter(Boolean);
    const what = `Check ${check.name} (${check.severity}) of r${check.revision} is ${check.verdict}: ${meaning}`;
    lines.push(`${what}${values.length > 0 ? ` (${values.join(", ")})` : ""}.`);
  }
  const pinned = view.quarantine.find((entry) => entry.version === view.pin);
  if (pinned) {
    const why = `${pinned.reason}${pinned.message ? `: ${pinned.message}` : ""}`;
    lines.push(`${pinned.version} is quarantined by its content, as r${pinned.revision}, since ${pinned.since} (${why}).`);
  }
  if (view.metricsAvailable?.status === "False") lines.push(`Metrics are missing: ${view.metricsAvailable.message}.`);
  const target = view.rollbackReady;
  if (target && phase !== "RollingBack" && phase !== "Verifying") {
    lines.push(
      target.status === "True"
        ? `If it breaches now, ${target.message}.`
        : `If it breaches now, no return is possible: ${target.message}.`,
    );
  }
  return lines;
}

// Names are harmless where the API server checked them; this is for the day when they aren't, since people paste commands.
const quoted = (text: string): string => (/^[\w.:@/-]+$/.test(text) ? text : `'${sanitizeLine(text, 253).replaceAll("'", "")}'`);

function fillIn(text: string, view: StatusView): string {
  const values: Readonly<Record<string, string>> = {
    name: view.name,
    namespace: view.namespace || "default",
    pin: view.pin,
    active: view.active ? `r${view.active.revision}` : view.pin,
    candidate: view.candidate ? `r${view.candidate.revision}` : view.pin,
    target: view.rollback?.to ? `r${view.rollback.to.revision}` : "previous",
  };
  return text.replace(/\{(\w+)\}/g, (whole, key: string) => {
    const value = values[key];
    return value === undefined ? whole : quoted(value);
  });
}

export function renderExplain(view: ExplainView, style: Style): string {
  const width = style.terminal ? style.width : Number.POSITIVE_INFINITY;
  const indented = (text: string, indent: string) => wrap(sanitizeLine(text, 2048), width - indent.length).join(`\n${indent}`);
  const reason = view.reason && view.reason !== view.phase ? ` (${sanitizeLine(view.reason)})` : "";
  const out = [
    `${sanitizeLine(`${view.namespace}/${view.name}`)} is ${paint(sanitizeLine(view.phase), phaseTone(view.phase), style)}${reason}: ${indented(view.cause, "")}.\n`,
  ];
  if (view.message) out.push(`\nThe operator says\n  ${indented(view.message, "  ")}\n`);
  if (view.notes.length > 0) out.push(`\nAlso\n${view.notes.map((note) => `  - ${indented(note, "    ")}\n`).join("")}`);
  if (view.next.length > 0) out.push("\nWhat can be done now\n");
  for (const { what, command } of view.next) {
    out.push(`  - ${indented(what, "    ")}\n`);
    // Never wrapped: it is there to be copied.
    if (command !== undefined) out.push(`      ${sanitizeLine(command, 2048)}\n`);
  }
  return out.join("");
}
