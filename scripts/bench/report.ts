// Numbers into words: percentiles and the table that is printed.

/** One line of the table. */
export interface Row {
  what: string;
  /** In words; absent where design sets none. */
  goal?: string;
  measured: string;
  /** To what it is compared with, named in `to`. */
  ratio?: string;
  /** Undefined where there is no goal. */
  met?: boolean;
}

/** The smallest value that at least `share` of the values do not exceed; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? Number.NaN;
}

export function ms(value: number): string {
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`;
}

export function spread(values: readonly number[]): string {
  return `p50 ${ms(percentile(values, 0.5))}, p99 ${ms(percentile(values, 0.99))} (n=${values.length})`;
}

/** How many times as long one took as the other, at the same percentile. */
export function times(values: readonly number[], base: readonly number[], share: number): string {
  return `${(percentile(values, share) / percentile(base, share)).toFixed(1)} ×`;
}

export function table(rows: readonly Row[]): string {
  const cells = [
    ["what", "goal", "measured", "ratio", ""],
    ...rows.map(({ what, goal = "–", measured, ratio = "–", met }) => [
      what,
      goal,
      measured,
      ratio,
      met === undefined ? "" : met ? "met" : "MISSED",
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width));
  return [line(cells[0] ?? []), line(rule), ...cells.slice(1).map(line)].join("\n");
}
