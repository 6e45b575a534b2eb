// Durations mean the same to the operator, to zod and to the API server.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { duration, formatDuration, parseDuration, parsePercent, percent } from "../../src/api/common.ts";
import { compileSchema, type Schema } from "../../src/sandbox/apiserver/schema/compile.ts";

/** Whether the API server takes a value for a field with this schema. */
function serverTakes(field: z.ZodType): (value: unknown) => boolean {
  const { properties } = z.toJSONSchema(z.object({ value: field }), { target: "openapi-3.0", io: "input" });
  const compiled = compileSchema({ type: "object", properties } as Schema);
  return (value) => compiled.validate({ value }).length === 0;
}

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["15s", 15_000],
    ["10m", 600_000],
    ["1h30m", 5_400_000],
    ["1h2m3s4ms", 3_723_004],
    ["90d", 7_776_000_000],
    ["0s", 0],
  ])("%s is %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "15", "s", "1.5m", "-1s", "10 m", "30m1h", "1w", "1H", "100000h", " 1s", "1s\n", "NaN", "1e3s"])(
    "%j is none",
    (text) => {
      expect(() => parseDuration(text)).toThrow(RangeError);
    },
  );

  it("what is formatted is parsed to the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999 * 3_600_000 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });

  it("zod and the API server take the same ones, those between the bounds", () => {
    const field = duration("1s", "24h");
    const server = serverTakes(field);
    const part = (unit: string) =>
      fc.option(
        fc.nat(100_000).map((n) => `${n}${unit}`),
        { nil: "" },
      );
    const shaped = fc.tuple(part("h"), part("m"), part("s"), part("ms")).map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        fc.oneof(shaped, fc.string({ maxLength: 8 }), fc.constantFrom("1d", "999ms", "1s", "24h", "24h1ms", "1s1h")),
        (text) => {
          const zod = field.safeParse(text).success;
          expect(server(text)).toBe(zod);
          if (zod) {
            expect(parseDuration(text)).toBeGreaterThanOrEqual(1000);
            expect(parseDuration(text)).toBeLessThanOrEqual(86_400_000);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("percentages", () => {
  it("zod and the API server take the same ones, those between the bounds", () => {
    const field = percent(1, 100);
    const server = serverTakes(field);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.integer({ min: -5, max: 200 }).map((n) => `${n}%`),
          fc.string({ maxLength: 5 }),
          fc.constantFrom("07%", "50", "%"),
        ),
        (text) => {
          expect(server(text)).toBe(field.safeParse(text).success);
        },
      ),
    );
    expect(parsePercent("50%")).toBe(0.5);
    expect(() => parsePercent("50")).toThrow("50");
  });
});
