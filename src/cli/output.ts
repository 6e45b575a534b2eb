// How a command's data reaches the screen: tables on a terminal, aligned lines in a pipe, JSON or YAML on request.
// Every cell and every document passes here, and nothing leaves with a terminal escape in it.
import Table from "cli-table3";
import { dump } from "js-yaml";
import picocolors from "picocolors";
import { sanitizeLine } from "../text.ts";

export const FORMATS = ["table", "wide", "json", "yaml"] as const;
export type Format = (typeof FORMATS)[number];

/** How texts are to be laid out. */
export interface Style {
  terminal: boolean;
  color: boolean;
  width: number;
  /** More columns and no shortening. */
  wide: boolean;
}

/** Of a cell, and nothing else in it: colours never carry what the words don't say. */
export type Tone = "good" | "bad" | "unsure" | "dim" | "plain";

export interface Cell {
  text: string;
  tone: Tone;
}

export const cell = (text: string | number | undefined, tone: Tone = "plain"): Cell => ({
  text: text === undefined || text === "" ? "-" : String(text),
  tone,
});

export function paint(text: string, tone: Tone, style: Style): string {
  const colors = picocolors.createColors(style.color);
  switch (tone) {
    case "good":
      return colors.green(text);
    case "bad":
      return colors.red(text);
    case "unsure":
      return colors.yellow(text);
    case "dim":
      return colors.dim(text);
    case "plain":
      return text;
  }
}

/** Rows under a head, with a line break at the end. The last column takes what is left of a terminal's width and is wrapped in it. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[], style: Style): string {
  const clean = rows.map((row) => row.map(({ text, tone }) => ({ text: sanitizeLine(text, 1024) || "-", tone })));
  const widths = head.map((title, column) => Math.max(title.length, ...clean.map((row) => row[column]?.text.length ?? 0)));
  if (!style.terminal) {
    const lines = [head.map((text): Cell => ({ text, tone: "plain" })), ...clean];
    return lines
      .map(
        (row) =>
          `${row
            .map((one, i) => one.text.padEnd(widths[i] ?? 0))
            .join("   ")
            .trimEnd()}\n`,
      )
      .join("");
  }
  const others = widths.slice(0, -1).reduce((sum, width) => sum + width + 3, 0);
  const last = Math.min(widths.at(-1) ?? 0, Math.max(style.width - others - 1, 16));
  const bare = { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "" };
  const sides = {
    "bottom-right": "",
    left: "",
    "left-mid": "",
    mid: "",
    "mid-mid": "",
    right: "",
    "right-mid": "",
    middle: "  ",
  };
  const made = new Table({
    chars: { ...bare, ...sides },
    style: { "padding-left": 0, "padding-right": 1, head: [], border: [] },
    colWidths: [...widths.slice(0, -1), last].map((width) => width + 1),
    wordWrap: true,
    wrapOnWordBoundary: true,
  });
  made.push(head.map((text) => paint(text, "dim", style)));
  for (const row of clean) made.push(row.map(({ text, tone }) => paint(text, tone, style)));
  const lines = made.toString().split("\n");
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

/** `label   text` lines; the labels are padded to one width, long texts are wrapped under themselves on a terminal. */
export function facts(pairs: readonly (readonly [label: string, value: Cell])[], style: Style): string {
  const width = Math.max(...pairs.map(([label]) => label.length)) + 3;
  return pairs
    .map(([label, value]) => {
      const text = sanitizeLine(value.text, 2048) || "-";
      const lines = style.terminal ? wrap(text, style.width - width) : [text];
      const painted = lines.map((line) => paint(line, value.tone, style)).join(`\n${" ".repeat(width)}`);
      return `${paint(label.padEnd(width), "dim", style)}${painted}\n`;
    })
    .join("");
}

/** Lines of at most `width` characters, broken at spaces; a longer word stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= Math.max(width, 20)) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

// What JSON and YAML would print raw: C1 controls, line separators, marks that reorder what a reader sees.
const INVISIBLE = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Data as a document. JSON loses nothing: what would do harm is written as \\u escapes. YAML leaves invisible marks out. */
export function document(data: unknown, format: "json" | "yaml", indent = 2): string {
  const json = JSON.stringify(data, null, indent).replace(INVISIBLE, escaped);
  if (format === "json") return `${json}\n`;
  const plain: unknown = JSON.parse(json, (_key, value: unknown) =>
    typeof value === "string" ? value.replace(INVISIBLE, "") : value,
  );
  return dump(plain, { lineWidth: 120, noRefs: true });
}

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
