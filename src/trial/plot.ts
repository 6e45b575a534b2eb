// A replay as a picture: each check's values over time with its limits, and marks where the policies would have acted. SVG for a
// page, blocks for a terminal.

import type { Reading } from "../core/window.ts";
import { escapeHtml } from "./matrix-pages.ts";
import type { Recording } from "./recording.ts";
import type { Replayed } from "./replay.ts";

const WIDTH = 960;
const PANEL = 140;
const LEFT = 70;
const RIGHT = 20;
const HEAD = 30;
const COLORS = ["#b3261e", "#1a56b0"];
const MAX_POINTS = 2000;

interface Scale {
  low: number;
  high: number;
}

function valuesOf(readings: readonly Reading[], { fromMs, toMs }: Replayed): { at: number; value: number }[] {
  return readings.flatMap(({ at, value, kind }) =>
    kind === "Value" && value !== undefined && at >= fromMs && at <= toMs ? [{ at, value }] : [],
  );
}

function scaleOf(values: readonly { value: number }[], limits: readonly number[]): Scale {
  const all = [...values.map((one) => one.value), ...limits];
  const low = all.reduce((least, one) => Math.min(least, one), Number.POSITIVE_INFINITY);
  const high = all.reduce((most, one) => Math.max(most, one), Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(low)) return { low: 0, high: 1 };
  const room = high === low ? Math.max(Math.abs(high), 1) * 0.1 : (high - low) * 0.08;
  return { low: low - room, high: high + room };
}

/** The largest value of each of at most `count` equal parts of the time: peaks are what a breach is made of. */
function thinned(values: readonly { at: number; value: number }[], { fromMs, toMs }: Replayed, count: number) {
  if (values.length <= count) return values;
  const parts = new Map<number, { at: number; value: number }>();
  for (const one of values) {
    const part = Math.min(Math.floor(((one.at - fromMs) / Math.max(toMs - fromMs, 1)) * count), count - 1);
    const known = parts.get(part);
    if (!known || one.value > known.value) parts.set(part, one);
  }
  return [...parts.values()];
}

const short = (value: number): string => String(Number(value.toPrecision(3)));
const round = (value: number): string => value.toFixed(1);

/** One picture for one replay, or for two of the same recording side by side. Without scripts or fonts from elsewhere. */
export function replaySvg(replays: readonly Replayed[], recording: Recording): string {
  const [first] = replays;
  if (!first) return "";
  const { fromMs, toMs } = first;
  const x = (at: number) => round(LEFT + ((at - fromMs) / Math.max(toMs - fromMs, 1)) * (WIDTH - LEFT - RIGHT));
  const checks = first.checks;
  const height = HEAD + checks.length * PANEL + 40;
  const panels = checks.map((check, index) => panel(check, index));
  const marks = replays.flatMap((one, which) =>
    one.incidents.map((incident) => {
      const color = COLORS[which % COLORS.length];
      const title = `${one.name}: ${incident.kind} at ${new Date(incident.at).toISOString()}: ${incident.message}`;
      const dash = incident.kind === "Returned" ? "" : ' stroke-dasharray="4 3"';
      return `<line x1="${x(incident.at)}" x2="${x(incident.at)}" y1="${HEAD}" y2="${height - 40}" stroke="${color}" stroke-width="1.5"${dash}><title>${escapeHtml(title)}</title></line>`;
    }),
  );
  const legend = replays.map(
    (one, which) =>
      `<text x="${LEFT + which * 400}" y="18" fill="${COLORS[which % COLORS.length]}">${escapeHtml(one.name)}: ${one.incidents.length} decisions</text>`,
  );
  const ends = `<text x="${LEFT}" y="${height - 15}">${new Date(fromMs).toISOString()}</text><text x="${WIDTH - RIGHT}" y="${height - 15}" text-anchor="end">${new Date(toMs).toISOString()}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui,sans-serif" font-size="12">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${[...legend, ...panels, ...marks, ends].join("\n")}
</svg>
`;

  function panel(check: Replayed["checks"][number], index: number): string {
    const limits = [check.threshold?.min, check.threshold?.max].filter((one) => one !== undefined);
    const values = valuesOf(recording.get(check.name) ?? [], first as Replayed);
    const { low, high } = scaleOf(values, limits);
    const top = HEAD + index * PANEL + 16;
    const y = (value: number) => round(top + (1 - (value - low) / (high - low)) * (PANEL - 32));
    const points = thinned(values, first as Replayed, MAX_POINTS).map((one) => `${x(one.at)},${y(one.value)}`);
    const lines = limits.map(
      (limit) =>
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(limit)}" y2="${y(limit)}" stroke="#8a6d00" stroke-dasharray="6 4"/><text x="${LEFT - 6}" y="${y(limit)}" text-anchor="end">${short(limit)}</text>`,
    );
    return `<text x="${LEFT}" y="${top - 4}">${escapeHtml(`${check.name} (${check.severity})`)}</text><rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - RIGHT}" height="${PANEL - 32}" fill="none" stroke="#d9dee3"/>${lines.join("")}<polyline fill="none" stroke="#3c4650" points="${points.join(" ")}"/>`;
  }
}

const BLOCKS = "▁▂▃▄▅▆▇█";

/** Lines for a terminal: a check's values as blocks (the highest of each column), then a line with the decisions below it. */
export function replayLines(replays: readonly Replayed[], recording: Recording, width: number): string[] {
  const [first] = replays;
  if (!first) return [];
  const label = Math.max(...first.checks.map(({ name }) => name.length), ...replays.map(({ name }) => name.length)) + 2;
  const columns = Math.max(width - label, 20);
  const column = (at: number) =>
    Math.min(Math.floor(((at - first.fromMs) / Math.max(first.toMs - first.fromMs, 1)) * columns), columns - 1);
  const lines = first.checks.map((check) => {
    const values = valuesOf(recording.get(check.name) ?? [], first);
    const limits = [check.threshold?.min, check.threshold?.max].filter((one) => one !== undefined);
    const { low, high } = scaleOf(values, limits);
    const cells: (number | undefined)[] = Array.from({ length: columns });
    for (const { at, value } of values) cells[column(at)] = Math.max(cells[column(at)] ?? Number.NEGATIVE_INFINITY, value);
    const text = cells.map((value) =>
      value === undefined ? " " : (BLOCKS[Math.min(Math.floor(((value - low) / (high - low)) * BLOCKS.length), 7)] ?? " "),
    );
    return `${check.name.padEnd(label)}${text.join("")}`;
  });
  const marks = replays.map((one) => {
    const cells = Array.from({ length: columns }, () => "·");
    for (const { at, kind } of one.incidents) cells[column(at)] = kind === "Returned" ? "▲" : "△";
    return `${one.name.padEnd(label)}${cells.join("")}`;
  });
  return [...lines, ...marks];
}
