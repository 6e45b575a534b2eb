// One suite for the three sources: each shape of answer is one kind of Reading, said in one clean line.

import { describe, expect, it } from "vitest";
import { ANSWERS } from "./answers.ts";
import type { AnswerCase } from "./answers-transport.ts";
import { answering, serve } from "./server.ts";
import { pod, scalar, source } from "./support.ts";

const TYPES = ["Prometheus", "Web", "Pods"] as const;
const LIMITS = { maxBodyBytes: 65_536 };

async function read(type: (typeof TYPES)[number], entry: AnswerCase) {
  const shape = typeof entry.answer === "function" ? entry.answer(Date.now() / 1000) : entry.answer;
  const server = await serve(answering(shape ?? {}));
  if (!shape) await server.close();
  // Long enough for a busy machine; only what never ends takes so long.
  const spec = { type, timeout: "400ms", ...(type === "Pods" ? {} : { address: server.url }) };
  const asked = source(spec, LIMITS);
  try {
    return await asked.read(scalar(entry.query ?? (type === "Web" ? "/stats#$.score" : "score"), { pods: [pod(server.port)] }));
  } finally {
    asked.close();
    if (shape) await server.close();
  }
}

describe.each(TYPES)("each shape of answer has one documented kind: %s", (type) => {
  const cases = ANSWERS.filter((entry) => entry.source === type || entry.source === "Any");

  it.concurrent.each(cases.map((entry) => [entry.name, entry] as const))("%s", async (_name, entry) => {
    const reading = await read(type, entry);
    expect(reading.kind, reading.message).toBe(entry.kind);
    expect(reading.value).toBe(entry.value);
    if (entry.kind !== "Value") expect(reading.message).toBeTruthy();
    if (entry.says) expect(reading.message).toContain(entry.says);
    expect(reading.message ?? "").not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect((reading.message ?? "").length).toBeLessThanOrEqual(300);
    expect(Number.isSafeInteger(reading.at)).toBe(true);
  });
});

it("names every shape once, and at least forty of them", () => {
  const names = ANSWERS.map((entry) => `${entry.source}: ${entry.name}`);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(40);
});
