// What was tried: each kind of fault in each phase. What was never tried says nothing.

import { PHASES } from "../../src/api/reasons.ts";
import { FAULTS, type FaultKind } from "./faults.ts";
import { KEPT, type State } from "./state.ts";
import type { Witness } from "./world.ts";

export type Counts = Record<string, Record<string, number>>;

export class Coverage implements Witness {
  /** Fault kind → phase → how often it acted. */
  readonly counts: Counts = {};
  #state!: State;

  watch({ state }: { state: State }): void {
    this.#state = state;
  }

  fault(_at: number, kind: FaultKind, deployment: string | undefined): void {
    const live = this.#state.list(KEPT.deployments);
    const concerned = deployment === undefined ? live : live.filter((one) => one.metadata.name === deployment);
    const phases = concerned.map((one) => (one.status as { phase?: string } | undefined)?.phase ?? "New");
    const row = this.counts[kind] ?? {};
    this.counts[kind] = row;
    for (const phase of new Set(phases.length > 0 ? phases : ["None"])) row[phase] = (row[phase] ?? 0) + 1;
  }
}

export function add(into: Counts, more: Counts): void {
  for (const [kind, row] of Object.entries(more)) {
    const known = into[kind] ?? {};
    into[kind] = known;
    for (const [phase, count] of Object.entries(row)) known[phase] = (known[phase] ?? 0) + count;
  }
}

/** Fault kinds with the phases in which they never acted. */
export function untried(counts: Counts): string[] {
  return Object.keys(FAULTS).flatMap((kind) =>
    PHASES.filter((phase) => !counts[kind]?.[phase]).map((phase) => `${kind} × ${phase}`),
  );
}

export function table(counts: Counts): string {
  const width = Math.max(...Object.keys(FAULTS).map((kind) => kind.length));
  const head = `${"".padEnd(width)}${PHASES.map((phase) => phase.slice(0, 11).padStart(12)).join("")}`;
  const rows = Object.keys(FAULTS).map(
    (kind) => `${kind.padEnd(width)}${PHASES.map((phase) => String(counts[kind]?.[phase] ?? 0).padStart(12)).join("")}`,
  );
  return [head, ...rows].join("\n");
}
