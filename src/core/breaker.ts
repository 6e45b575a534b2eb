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

/** What is in doubt; what is absent limits it not: `{}` is everything. */
export interface Doubt {
  /** Only what this source measures. */
  source?: string;
  /** Only the deployments of this namespace. */
  namespace?: string;
}

export interface BreakerState extends Doubt {
  open: boolean;
  /** Since when it is open, or was closed, ms epoch. */
  since?: number;
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
/** So large a share of the bad ones in one namespace are nearly all. */
const NEARLY_ALL = 0.8;
/** So many bad ones in other namespaces are nothing in common with it, however few there are to be bad. */
const STRAY = 1;

const namespaceOf = (key: string) => key.slice(0, key.indexOf("/"));

/** Whether this deployment, `<namespace>/<name>`, is in doubt as far as its namespace says; its checks may still ask another source. */
export function concerns({ namespace }: Doubt, key: string): boolean {
  return namespace === undefined || namespaceOf(key) === namespace;
}

const membersOf = (doubt: Doubt, guarded: readonly Guarded[]) =>
  guarded.filter((one) => concerns(doubt, one.key) && (doubt.source === undefined || one.sources.includes(doubt.source)));

/** Those of them that went bad since then, ms epoch, and still are. */
const badOf = ({ source }: Doubt, members: readonly Guarded[], since = Number.NEGATIVE_INFINITY) =>
  members.filter((one) => one.runs.some((run) => (source === undefined || run.source === source) && run.since >= since));

/** What is in doubt when both are: only what they share limits it. */
export function wider(one: Doubt, other: Doubt): Doubt {
  return {
    ...(one.source !== undefined && one.source === other.source ? { source: one.source } : {}),
    ...(one.namespace !== undefined && one.namespace === other.namespace ? { namespace: one.namespace } : {}),
  };
}

/** More than so many bad ones open it: strictly more than the share, and `atLeast` of them. */
export function openingLimit(settings: BreakerSettings, guarded: number): number {
  return Math.max(settings.atLeast - 1, settings.share * guarded);
}

/** What went bad since then, whoever it belongs to: one source where it explains everything, otherwise the whole fleet. */
function stormOver(settings: BreakerSettings, guarded: readonly Guarded[], since: number): Doubt | undefined {
  const badIn = (doubt: Doubt) => badOf(doubt, membersOf(doubt, guarded), since);
  const isStorm = (doubt: Doubt) => badIn(doubt).length > openingLimit(settings, membersOf(doubt, guarded).length);
  const fleet = badIn({});
  const sources = [...new Set(fleet.flatMap((one) => one.runs.flatMap((run) => run.source ?? [])))].sort();
  const storms = sources.map((source) => ({ source })).filter(isStorm);
  const [first] = storms;
  if (storms.length === 1 && first && (badIn(first).length === fleet.length || !isStorm({}))) return first;
  return storms.length > 1 || isStorm({}) ? {} : undefined;
}

/**
 * A storm that is one namespace's is in doubt there only: whoever owns it must not keep the others from their returns. It is one
 * namespace's when nearly all the bad ones are there, no more than `share` of the others (or one of them) are bad, and without it
 * there is no storm.
 */
export function narrowed(settings: BreakerSettings, storm: Doubt, guarded: readonly Guarded[], since: number): Doubt {
  const bad = badOf(storm, membersOf(storm, guarded), since);
  const counts = new Map<string, number>();
  for (const { key } of bad) counts.set(namespaceOf(key), (counts.get(namespaceOf(key)) ?? 0) + 1);
  const [namespace, inside] = [...counts].reduce((most, one) => (one[1] > most[1] ? one : most), ["", 0]);
  const others = guarded.filter((one) => namespaceOf(one.key) !== namespace);
  const strays = Math.max(STRAY, settings.share * membersOf(storm, others).length);
  const isItsOwn =
    inside >= NEARLY_ALL * bad.length && bad.length - inside <= strays && stormOver(settings, others, since) === undefined;
  return isItsOwn ? { ...storm, namespace } : storm;
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
  const found = stormOver(settings, guarded, since);
  const storm = found && narrowed(settings, found, guarded, since);
  if (!before.open && !storm) return { state: { ...before }, guarded: guarded.length, bad: [] };
  // A second source or namespace, or the fleet: what is in doubt only grows while it is open.
  const doubt = before.open ? wider(before, storm ?? before) : (storm ?? {});
  const members = membersOf(doubt, guarded);
  if (!before.open || doubt.source !== before.source || doubt.namespace !== before.namespace) {
    const state = { open: true, since: before.open ? (before.since ?? now) : now, ...doubt, ...resumed };
    return { state, guarded: members.length, bad: badOf(doubt, members, since).map((one) => one.key) };
  }
  const bad = badOf(doubt, members);
  const unheard = now - startedAt < settings.withinMs ? members.filter((one) => !one.heard && !bad.includes(one)).length : 0;
  // What opens it for a namespace is the share of all that its source, or the fleet, has.
  const opening = openingLimit(settings, membersOf(doubt.source === undefined ? {} : { source: doubt.source }, guarded).length);
  const isCalm = bad.length + unheard <= CLOSE_SHARE * opening;
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
