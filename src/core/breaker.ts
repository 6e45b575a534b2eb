// The storm breaker: when much of the fleet goes bad at once, the cause is not the model. From the runs of bad samples of the guarded
// deployments to open or closed; pure, so that the operator and tests see the same storm.

/** Its limits, from RollguardConfig. */
export interface BreakerSettings {
  enabled: boolean;
  /** Share of the guarded deployments above which it opens, as a fraction. */
  share: number;
  /** The least number of them. */
  atLeast: number;
  /** Their first bad samples lie within so long a time, ms. */
  withinMs: number;
}

/** Bad samples in a row of one check: it begins with the first one after a good one, and ends with the next good one. */
export interface BadRun {
  /** Time of the first bad one, ms epoch. */
  since: number;
  /** Absent: a built-in check, which reads the pods themselves. */
  source?: string;
}

/** A deployment whose active revision is proven. */
export interface Guarded {
  /** `<namespace>/<name>`. */
  key: string;
  /** The sources that its Critical checks ask. */
  sources: readonly string[];
  runs: readonly BadRun[];
  /** This operator has had a sample of it. */
  heard: boolean;
}

export interface BreakerState {
  open: boolean;
  /** Since when it is open, or was closed, ms epoch. */
  since?: number;
  /** The source that is in doubt; absent: everything. */
  source?: string;
  /** Since when it could close, ms epoch. */
  calmSince?: number;
  /** When a person last said to go on: what was bad by then opens it no more. */
  resumedAt?: number;
}

export interface Assessment {
  state: BreakerState;
  /** Guarded deployments in what is in doubt. */
  guarded: number;
  /** Those of them that are bad. */
  bad: string[];
}

/** It closes when no more than this share of what opens it is left. */
const CLOSE_SHARE = 0.5;
/** It closes when that has held for this share of `within`: a metric that swings must not make it swing. */
const CALM_SHARE = 0.1;

const inScope = (run: BadRun, source: string | undefined) => source === undefined || run.source === source;

/** More than so many bad ones open it: strictly more than the share, and `atLeast` of them. */
export function openingLimit(settings: BreakerSettings, guarded: number): number {
  return Math.max(settings.atLeast - 1, settings.share * guarded);
}

interface Scope {
  source: string | undefined;
  members: Guarded[];
  /** Went bad lately, and still are. */
  fresh: Guarded[];
}

function scopeOf(guarded: readonly Guarded[], source: string | undefined, since: number): Scope {
  const members = guarded.filter((one) => source === undefined || one.sources.includes(source));
  const fresh = members.filter((one) => one.runs.some((run) => inScope(run, source) && run.since >= since));
  return { source, members, fresh };
}

/** What is in doubt now: one source where it explains everything that went bad, otherwise the whole fleet; undefined: no storm. */
function stormAt(settings: BreakerSettings, guarded: readonly Guarded[], since: number): Scope | undefined {
  const isStorm = ({ members, fresh }: Scope) => fresh.length > openingLimit(settings, members.length);
  const fleet = scopeOf(guarded, undefined, since);
  const sources = [...new Set(fleet.fresh.flatMap((one) => one.runs.flatMap((run) => run.source ?? [])))].sort();
  const storms = sources.map((source) => scopeOf(guarded, source, since)).filter(isStorm);
  const [first] = storms;
  if (storms.length === 1 && first && (first.fresh.length === fleet.fresh.length || !isStorm(fleet))) return first;
  return storms.length > 1 || isStorm(fleet) ? fleet : undefined;
}

/**
 * Opens, keeps or closes the breaker.
 * @param startedAt when this operator began to listen, ms epoch: whom it has not heard since keeps an open one open for a while
 */
export function assess(
  settings: BreakerSettings,
  before: BreakerState,
  guarded: readonly Guarded[],
  now: number,
  startedAt: number,
): Assessment {
  const resumed = before.resumedAt === undefined ? {} : { resumedAt: before.resumedAt };
  const closed = (): BreakerState => ({ open: false, since: before.open ? now : (before.since ?? now), ...resumed });
  if (!settings.enabled) return { state: closed(), guarded: guarded.length, bad: [] };
  const since = Math.max(now - settings.withinMs, (before.resumedAt ?? Number.NEGATIVE_INFINITY) + 1);
  const storm = stormAt(settings, guarded, since);
  if (storm && (!before.open || (before.source !== undefined && before.source !== storm.source))) {
    // A second source, or the fleet: what is in doubt only grows while it is open.
    const source = before.open ? undefined : storm.source;
    const members = before.open ? guarded : storm.members;
    const bad = before.open ? scopeOf(guarded, undefined, since).fresh : storm.fresh;
    const began = before.open ? (before.since ?? now) : now;
    const state = { open: true, since: began, ...(source === undefined ? {} : { source }), ...resumed };
    return { state, guarded: members.length, bad: bad.map((one) => one.key) };
  }
  if (!before.open) return { state: { ...before }, guarded: guarded.length, bad: [] };
  const { source } = before;
  const members = guarded.filter((one) => source === undefined || one.sources.includes(source));
  const bad = members.filter((one) => one.runs.some((run) => inScope(run, source)));
  const unheard = now - startedAt < settings.withinMs ? members.filter((one) => !one.heard && !bad.includes(one)).length : 0;
  const isCalm = bad.length + unheard <= CLOSE_SHARE * openingLimit(settings, members.length);
  const keys = bad.map((one) => one.key);
  const { calmSince, ...rest } = before;
  if (!isCalm) return { state: rest, guarded: members.length, bad: keys };
  const calmFrom = calmSince ?? now;
  const calmed = now - calmFrom >= CALM_SHARE * settings.withinMs;
  return { state: calmed ? closed() : { ...before, calmSince: calmFrom }, guarded: members.length, bad: keys };
}

/** A person says to go on: closed, and what is bad already opens it no more. */
export function resumeBreaker(before: BreakerState, now: number): BreakerState {
  return { open: false, since: before.open ? now : (before.since ?? now), resumedAt: now };
}
