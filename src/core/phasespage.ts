// docs/phases.md: the two tables of phases that the decisions themselves go by.

import type { Phase } from "../api/reasons.ts";
import { ALWAYS, PHASES, STALLS, type StallReason } from "./phases.ts";

const HEAD = `# Phases

\`status.phase\` says where a deployment stands; the conditions Ready, Reconciling and Stalled follow from it, as kstatus reads them:
exactly one of the three is true. While a Critical breach is held in Guarding, Ready is False and Reconciling True.
A phase leads to another, or stays; a transition (a rollout or a return) takes its number when it begins and its record is written when it ends.
`;

const STALLED = `
## Stalled, by reason

A person is needed; what serves goes on, guarded. Each reason leads to ${ALWAYS.join(" (a new pin, a retry) and to ")} (a person's rollback, or what serves is taken back by itself), and besides:
`;

const said = (is: boolean) => (is ? "True" : "False");
const cell = (text: string) => text.replaceAll("|", "\\|");

/** The whole page. */
export function phasesPage(): string {
  const phases = Object.entries(PHASES) as [Phase, (typeof PHASES)[Phase]][];
  const rows = phases.map(
    ([phase, { meaning, ready, reconciling, stalled, leadsTo }]) =>
      `| ${phase} | ${cell(meaning)} | ${said(ready)} · ${said(reconciling)} · ${said(stalled)} | ${leadsTo.join(", ")} |`,
  );
  // Reasons that are the same to every rule share a row.
  const stalls = [...new Set(Object.values(STALLS))].map((row) => {
    const reasons = (Object.keys(STALLS) as StallReason[]).filter((reason) => STALLS[reason] === row);
    return `| ${reasons.join(", ")} | ${row.leadsTo.join(", ") || "–"} | ${cell(row.by)} |`;
  });
  return [
    HEAD,
    "| phase | meaning | Ready · Reconciling · Stalled | leads to |",
    "|---|---|---|---|",
    ...rows,
    STALLED,
    "| reason | leads to | by |",
    "|---|---|---|",
    ...stalls,
    "",
  ].join("\n");
}
