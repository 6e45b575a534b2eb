// The table of docs/verdicts.md, judged row by row.

import { describe, expect, test } from "vitest";
import { judgeRow, VERDICTS } from "./verdict-table.ts";

const ROWS = Object.values(VERDICTS).flat();

describe.each(Object.entries(VERDICTS))("each shape of what was measured has its one verdict: %s", (_title, rows) => {
  test.each(rows.map((row) => [`${row.check}: ${row.shape}`, row] as const))("%s", (_name, row) => {
    const judged = judgeRow(row);
    expect([judged.verdict, judged.reason], judged.message).toEqual([row.verdict, row.reason]);
    expect(judged.message).toMatch(/^[^\n]{5,250}$/);
  });
});

test("there are at least forty shapes, each named once, and each verdict and reason is among them", () => {
  expect(ROWS.length).toBeGreaterThanOrEqual(40);
  expect(new Set(ROWS.map((row) => `${row.check} ${row.shape}`)).size).toBe(ROWS.length);
  expect([...new Set(ROWS.map((row) => row.verdict))].sort()).toEqual([
    "Breached",
    "Healthy",
    "Insufficient",
    "NoData",
    "ProviderError",
  ]);
  expect(new Set(ROWS.flatMap((row) => row.reason ?? [])).size).toBe(5);
});
