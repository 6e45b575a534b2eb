// What /healthz and /readyz answer from: named conditions that the parts of the operator report, each with a reason while it fails.

export interface HealthReport {
  ok: boolean;
  /** One line for each condition that fails; empty when all is well. */
  reasons: string[];
}

/**
 * Not ready until somebody reported and all that was reported is well: a pod that has not begun must not count as ready.
 * Alive unless something reported that only a restart can help.
 */
export class Health {
  #ready = new Map<string, string | undefined>();
  #dead = new Map<string, string>();

  /** `reason` is why it is not ready, on one line; undefined: it is. */
  ready(name: string, reason: string | undefined): void {
    this.#ready.set(name, reason);
  }

  /** Something that the process can't mend by itself, such as a loop that stands still; undefined: it is well again. */
  alive(name: string, reason: string | undefined): void {
    if (reason === undefined) this.#dead.delete(name);
    else this.#dead.set(name, reason);
  }

  liveness(): HealthReport {
    const reasons = [...this.#dead].map(([name, reason]) => `${name}: ${reason}`);
    return { ok: reasons.length === 0, reasons };
  }

  readiness(): HealthReport {
    const reasons = this.liveness().reasons;
    if (this.#ready.size === 0) reasons.push("operator: starting");
    for (const [name, reason] of this.#ready) if (reason !== undefined) reasons.push(`${name}: ${reason}`);
    return { ok: reasons.length === 0, reasons };
  }
}
