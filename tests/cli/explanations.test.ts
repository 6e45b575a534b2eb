// The table behind `explain` is complete: whatever a deployment can be, a person is told why and what to do.
import { expect, test } from "vitest";
import { HELD_REASONS, PHASES, STALLED_REASONS, VERDICTS } from "../../src/api/reasons.ts";
import { explanationOf, PHASE_EXPLANATIONS, REASON_EXPLANATIONS, VERDICT_EXPLANATIONS } from "../../src/cli/explanations.ts";
import { files, read } from "../house/files.ts";

// Reasons that say no more than their phase.
const OF_PHASE = new Set<string>([...PHASES]);

test("every phase has a cause and something to do", () => {
  for (const phase of PHASES) {
    expect(explanationOf(phase, undefined).cause, phase).not.toBe("");
    expect(explanationOf(phase, undefined).next.length, phase).toBeGreaterThan(0);
    // An unknown reason, of a newer operator say, is explained by the phase.
    expect(explanationOf(phase, "SomethingNew")).toBe(PHASE_EXPLANATIONS[phase]);
  }
});

test("every reason to be stalled or held is explained", () => {
  const missing = [...STALLED_REASONS, ...HELD_REASONS].filter(
    (reason) => !OF_PHASE.has(reason) && !(reason in REASON_EXPLANATIONS),
  );
  expect(missing).toEqual([]);
});

test("every reason that the rules give for a hold or a stall is explained", () => {
  const used = new Set<string>();
  for (const file of files("src/core/**/*.ts")) {
    for (const [, reason = ""] of read(file).matchAll(/\b(?:held|stall|endFailed)\((?:context,\s*)?"([A-Za-z]+)"/g))
      used.add(reason);
  }
  expect(used.size).toBeGreaterThan(8);
  expect([...used].filter((reason) => !OF_PHASE.has(reason) && !(reason in REASON_EXPLANATIONS))).toEqual([]);
});

test("every verdict but Healthy is explained", () => {
  expect(VERDICTS.filter((verdict) => verdict !== "Healthy" && !(verdict in VERDICT_EXPLANATIONS))).toEqual([]);
});

test("commands name only what can be filled in", () => {
  const known = ["name", "namespace", "pin", "active", "candidate", "target"];
  const all = [...Object.values(PHASE_EXPLANATIONS), ...Object.values(REASON_EXPLANATIONS)];
  for (const { cause, next } of all) {
    for (const text of [cause, ...next.map(({ command }) => command ?? "")]) {
      for (const [, key = ""] of text.matchAll(/\{(\w+)\}/g)) expect(known).toContain(key);
    }
  }
});
