// What the RollguardConfig's status says of the storm breaker. Pure.

import type { RollguardConfig, RollguardConfigStatus } from "../api/rollguardconfig.ts";
import type { Assessment, BreakerState } from "../core/breaker.ts";

/** As many as the API takes. */
const MAX_SUSPECTS = 64;

const time = (ms: number) => new Date(ms).toISOString();

const isResumed = ({ since, resumedAt }: BreakerState) => resumedAt !== undefined && resumedAt === since;

/** Why it holds, or does no longer. */
export function stormMessage(state: BreakerState): string {
  const { source, namespace } = state;
  const who = namespace === undefined ? "much of the fleet" : `many deployments of the namespace ${namespace}`;
  const whose = namespace === undefined ? "" : "its ";
  const where = source === undefined ? "" : ` at the source ${source}`;
  if (state.open)
    return `${who} went bad${where} at once: ${whose}automatic returns of proven revisions are held since ${time(state.since ?? 0)}`;
  if (isResumed(state)) return "a person said to go on: returns begin again";
  return "the share of bad deployments has fallen: returns begin again";
}

/** The whole status; what it does not know of is kept as it is. */
export function stormStatus(
  config: RollguardConfig,
  input: { state: BreakerState; last?: Assessment; handledResume?: string; now: number },
): RollguardConfigStatus {
  const { state, last, handledResume, now } = input;
  const { status, metadata } = config;
  const observedGeneration = metadata.generation ?? 0;
  const message = stormMessage(state);
  const condition = (type: string, value: "True" | "False", reason: string, words: string) => {
    const before = status?.conditions?.find((one) => one.type === type);
    const lastTransitionTime = before?.status === value ? before.lastTransitionTime : time(now);
    return { type, status: value, reason, message: words, lastTransitionTime, observedGeneration };
  };
  const own = [
    condition("Ready", "True", "InForce", "the settings are in force"),
    condition(
      "StormBreakerOpen",
      state.open ? "True" : "False",
      state.open ? "Storm" : isResumed(state) ? "Resumed" : "Calm",
      state.since === undefined ? "no storm" : message,
    ),
  ];
  const others = (status?.conditions ?? []).filter((one) => !own.some(({ type }) => type === one.type));
  const storm = {
    active: state.open,
    ...(state.since === undefined ? {} : { since: time(state.since) }),
    ...(last ? { guarded: last.guarded, breached: last.bad.length } : pick(status?.storm)),
    ...(state.source === undefined ? {} : { source: state.source }),
    ...(state.namespace === undefined ? {} : { namespace: state.namespace }),
    ...(state.resumedAt === undefined ? {} : { resumedAt: time(state.resumedAt) }),
    message,
  };
  return {
    ...status,
    observedGeneration,
    ...(state.since === undefined ? {} : { storm }),
    suspects: state.open ? (last?.bad ?? status?.suspects ?? []).slice(0, MAX_SUSPECTS) : [],
    ...(handledResume === undefined ? {} : { handledResume }),
    conditions: [...others, ...own],
  };
}

/** The numbers of the time before a restart. */
function pick(storm: RollguardConfigStatus["storm"]): { guarded?: number; breached?: number } {
  return {
    ...(storm?.guarded === undefined ? {} : { guarded: storm.guarded }),
    ...(storm?.breached === undefined ? {} : { breached: storm.breached }),
  };
}
