// Text from outside (answers of servers, annotations, messages of libraries) on its way into a log, status, event or record.

// CSI, OSC, DCS/PM/APC/SOS strings and two-character escapes, in their 7-bit form; the 8-bit introducers are control characters and go below.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])/g;
// Other control characters, line separators, and the invisible marks that reorder what a reader sees (CVE-2021-42574).
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/g;

/**
 * One harmless line: no terminal escapes, control characters, line breaks or reordering marks; runs of them become one space.
 * At most `max` UTF-16 code units long, cut with an ellipsis and never inside a surrogate pair.
 */
export function sanitizeLine(text: string, max = 512): string {
  // Cutting first bounds the work: an answer may be megabytes long.
  const line = text
    .slice(0, max * 4)
    .replace(ESCAPES, "")
    .replace(CONTROLS, " ")
    .replace(/ {2,}/g, " ")
    .trim()
    .toWellFormed();
  if (line.length <= max) return line;
  return `${line.slice(0, Math.max(max - 1, 0)).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** As `sanitizeLine`, bounded in UTF-8 bytes, which is how Kubernetes bounds an event's note. */
export function sanitizeBytes(text: string, maxBytes: number): string {
  const line = sanitizeLine(text, maxBytes);
  if (Buffer.byteLength(line) <= maxBytes) return line;
  let bytes = Buffer.byteLength("…");
  let end = 0;
  for (const char of line) {
    bytes += Buffer.byteLength(char);
    if (bytes > maxBytes) break;
    end += char.length;
  }
  return `${line.slice(0, end)}…`;
}
