// docs/promises.md says the truth: each promise has a test of that name, in that file.
import { expect, test } from "vitest";
import { PROMISES } from "../promises.ts";
import { read } from "./files.ts";

/** Titles of tests and of groups, as they are written: the first text of a call of test, describe or of what their `each` gives. */
function titles(file: string): Set<string> {
  const calls = /(?:\b(?:test|describe)(?:\.\w+)*|\))\(\s*("(?:[^"\\]|\\.)*")/g;
  return new Set([...read(file).matchAll(calls)].map(([, title]) => JSON.parse(title ?? '""') as string));
}

test("each promise has a test of that name", () => {
  const missing = Object.values(PROMISES)
    .flat()
    .filter(({ file, test }) => !titles(`tests/${file}`).has(test))
    .map(({ file, test }) => `${file}: ${test}`);
  expect(missing).toEqual([]);
});

test("no promise is listed twice under one heading", () => {
  for (const [heading, promises] of Object.entries(PROMISES))
    expect(new Set(promises.map((one) => one.promise)).size, heading).toBe(promises.length);
});
