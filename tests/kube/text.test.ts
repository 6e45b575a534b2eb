// No secret, raw newline or terminal escape reaches a log, status, event or record: the part that is about characters.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sanitizeBytes, sanitizeLine } from "../../src/text.ts";

describe("a line of text from outside", () => {
  test.each([
    ["\u001b[31mred\u001b[0m", "red"],
    ["\u001b]0;title\u0007text", "text"],
    ["\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["\u009b31mred", "31mred"],
    ["a\r\nb\tc\u0000d", "a b c d"],
    ["a\u2028b\u202ec", "a b c"],
    ["  padded  ", "padded"],
    ["\ud800alone", "\ufffdalone"],
    ["", ""],
    ["grüße 漢字 🎉", "grüße 漢字 🎉"],
  ])("%j becomes %j", (text, line) => {
    expect(sanitizeLine(text)).toBe(line);
  });

  test("is cut with an ellipsis, never inside a character", () => {
    expect(sanitizeLine("abcdef", 4)).toBe("abc…");
    expect(sanitizeLine("ab🎉def", 4)).toBe("ab…");
    expect(sanitizeBytes("äöü".repeat(10), 10)).toBe("äöü…");
  });

  test("holds no control character, no line break and no more than its bound, whatever comes in", () => {
    const nasty = fc.string({ unit: "binary", maxLength: 200 });
    const sequence = fc.constantFrom("\u001b[", "\u001b]", "\u001b", "\u009b", "\r\n", "\u2029", "\u0007");
    const text = fc.array(fc.oneof(nasty, sequence), { maxLength: 8 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 300 }), (input, max) => {
        const line = sanitizeLine(input, max);
        expect(line.length).toBeLessThanOrEqual(max);
        expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
        expect(line.isWellFormed()).toBe(true);
        expect(Buffer.byteLength(sanitizeBytes(input, max + 3))).toBeLessThanOrEqual(max + 3);
      }),
    );
  });
});
