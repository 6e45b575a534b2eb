// Numbers, times and names as a person reads them.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long, in at most two units: `850ms`, `12s`, `3m20s`, `5h2m`, `12d`. Negative spans (clocks differ) count as 0. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return "-";
  if (ms < SECOND) return `${Math.max(Math.round(ms), 0)}ms`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}s`;
  if (ms < HOUR) return two(ms, MINUTE, "m", SECOND, "s");
  if (ms < DAY) return two(ms, HOUR, "h", MINUTE, "m");
  return ms < 10 * DAY ? two(ms, DAY, "d", HOUR, "h") : `${Math.floor(ms / DAY)}d`;
}

function two(ms: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)}${largeUnit}${rest > 0 ? `${rest}${smallUnit}` : ""}`;
}

/** How long ago, in whole seconds at least; undefined where there is no time. */
export function age(time: string | undefined, now: number): string | undefined {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  if (Number.isNaN(at)) return undefined;
  return span(Math.max(Math.floor((now - at) / SECOND) * SECOND, 0)).replace("0ms", "0s");
}

/** From one time to another, as `+12ms`; undefined where either is missing. */
export function after(from: string | undefined, to: string | undefined): string | undefined {
  const ms = Date.parse(to ?? "") - Date.parse(from ?? "");
  return Number.isNaN(ms) ? undefined : `+${span(ms)}`;
}

/** `2026-11-24 10:00:05Z`. */
export function moment(time: string | undefined): string {
  const at = Date.parse(time ?? "");
  if (Number.isNaN(at)) return "-";
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** Four significant digits, no exponent where it can be helped. */
export function number(value: number | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const short = Number(value.toPrecision(4));
  return String(short);
}

/** `r3 (fraud-scorer-2.1.0)`. */
export function revision(ref: { revision: number; version: string } | undefined): string | undefined {
  return ref === undefined ? undefined : `r${ref.revision} (${ref.version})`;
}

/** The first twelve digits of a digest: enough to tell two apart, as image lists do. */
export function shortDigest(digest: string | undefined): string | undefined {
  return digest?.replace(/^sha256:/, "").slice(0, 12);
}
