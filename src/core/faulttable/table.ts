// Whose fault it is, as data: states of pods and Deployments as Kubernetes writes them, each with its consequence. The tests hold the
// rules against every row, and docs/faults.md is made from it.

import { CLUSTER_ROWS } from "./cluster.ts";
import { CONTAINER_ROWS } from "./containers.ts";
import { IMAGE_ROWS } from "./images.ts";
import type { Consequence, FaultRow } from "./row.ts";

export const FAULT_TABLE: readonly FaultRow[] = [...CONTAINER_ROWS, ...IMAGE_ROWS, ...CLUSTER_ROWS];

const WORDS: Readonly<Record<Consequence, string>> = {
  Quarantine: "quarantined, as",
  Stalled: "`Stalled`, tried again with back-off, as",
  Wait: "waited for; when `progressDeadline` has passed, `Stalled` as",
};

/** docs/faults.md. */
export function faultsPage(): string {
  const rows = FAULT_TABLE.map(({ state, seen, consequence, reason, why }) => {
    const late = consequence === "Quarantine" && reason === "NeverReady" ? "quarantined at the deadline, as" : WORDS[consequence];
    return `| ${state} | ${seen} | ${late} \`${reason}\` | ${why ?? ""} |`;
  });
  return [
    "# What is the model's fault and what is the cluster's",
    "",
    "A candidate is quarantined for a fault of its own, and for nothing else: content that is quarantined is not rolled out again until it changes or a person says retry. What the cluster lacks is `Stalled` with the reason that the pods give, after a minute of it; the candidate is scaled down and tried again with back-off. With Recreate nothing is tried again by itself, since each try is an outage. What can't be told apart is the cluster's.",
    "",
    "An own fault goes before a cluster's, and pods that end, whose node is not ready, or that something outside ended, are no evidence. A pod that is ready has got over its restarts. The same table is held against the rules by the tests.",
    "",
    "| state | where it shows | consequence | why |",
    "|---|---|---|---|",
    ...rows,
    "| the probe inference is answered otherwise than expected | the operator asks it | quarantined, as `ProbeFailed` | no answer at all may be the network's: it is asked again |",
    "| a Critical check of the candidate is breached | `status.checks` | quarantined, as `CheckBreached` | unless the active revision breaches the same check |",
    "| the API server refuses the Deployment | the write, or the dry run | `Stalled`, tried again with back-off, as `InvalidTemplate` | a template with `activeDeadlineSeconds`, say |",
    "| preempted, drained, deleted, or its node is lost | ends | its successor is waited for | |",
    "| nothing of all that, and not ready in time | | `Stalled`, tried again with back-off, as `ProgressDeadlineExceeded` | while the fetch of the weights runs, the deadline begins anew |",
    "",
  ].join("\n");
}
