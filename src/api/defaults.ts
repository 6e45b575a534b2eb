// The policy that is in force where no layer says anything: the built-in checks, Enforce. api.md, "RollbackPolicy".
import type { z } from "zod";
import type { BreachAction, Mode, Severity } from "./reasons.ts";
import type { CheckSchema } from "./rollbackpolicy.ts";

/** A policy with every field decided; durations are still text, in the units of the API. */
export interface EffectivePolicy {
  mode: Mode;
  warmup: string;
  bake: string;
  checks: z.infer<typeof CheckSchema>[];
  /** Time between samples of the built-in checks. */
  builtInInterval: string;
  available: { unready: string; for: string };
  restarts: { failures: number; in: string; pods: string };
  actions: Record<Severity, BreachAction>;
  onMissingData: { after: string; action: "Alert" | "Hold" };
  rollback: {
    cooldown: string;
    budget: { limit: number; per: string };
    maxDepth: number;
    verify: string;
    deadline: string;
  };
  freeze: { schedule: string; duration: string; timeZone: string }[];
}

/** The effective policy without any user policy. */
export const DEFAULT_POLICY: EffectivePolicy = {
  mode: "Enforce",
  warmup: "60s",
  bake: "10m",
  checks: [],
  builtInInterval: "15s",
  available: { unready: "50%", for: "2m" },
  restarts: { failures: 3, in: "10m", pods: "50%" },
  actions: { Critical: "Rollback", Warning: "Hold", Info: "Alert" },
  onMissingData: { after: "10m", action: "Alert" },
  rollback: { cooldown: "10m", budget: { limit: 3, per: "1h" }, maxDepth: 1, verify: "2m", deadline: "15m" },
  freeze: [],
};

/** How long a pin may name a version that does not exist before it is Stalled: one commit may hold both. Milliseconds. */
export const VERSION_WAIT_MS = 60_000;
/** A target with at least this share of the active one's ready replicas is warm. */
export const WARM_SHARE = 0.8;
/** `BakeStarved` after this many times `bake` without enough conclusive samples. */
export const BAKE_STARVED_FACTOR = 3;
/** A relative check rolls a proven revision back only when its baseline covers this long. Milliseconds. */
export const GUARD_BASELINE_MS = 24 * 3_600_000;
/** How often the change detector of a ratio may cry wolf while guarding, where the ratio does not say. */
export const GUARD_FALSE_ALARM = { atMost: 1, perMs: 90 * 24 * 3_600_000 } as const;
/** A freeze window is shown this long before it begins. Milliseconds. */
export const FREEZE_SHOWN_MS = 24 * 3_600_000;
/** Proven revisions that keep their ControllerRevision. */
export const KEPT_PROVEN_REVISIONS = 10;
