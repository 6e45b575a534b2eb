// How the demo speaks: chapters, lines and small tables; on a terminal with colours and one line in place that says what is
// being waited for, in a pipe plain lines only.

import pc from "picocolors";

/** Back to the first column, and erase the line: ECMA-48 CR and EL. */
const ERASE = "\r\u001b[2K";

export class Narrator {
  #out: NodeJS.WriteStream;
  #started = Date.now();
  #color: ReturnType<typeof pc.createColors>;
  /** What the line in place shows now; empty without one. */
  #shown = "";

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#color = pc.createColors(out.isTTY === true);
  }

  #write(text: string): void {
    this.clear();
    this.#out.write(`${text}\n`);
  }

  /** Says in place what is being waited for and since when (ms epoch); only on a terminal, and gone with the next line. */
  waiting(what: string, since: number): void {
    if (this.#out.isTTY !== true) return;
    const stamp = `${((Date.now() - this.#started) / 1000).toFixed(1).padStart(6)} s`;
    const text = `${stamp}  … waiting for ${what}, ${((Date.now() - since) / 1000).toFixed(1)} s`;
    // A line that wraps could not be erased.
    const fitting = text.slice(0, Math.max((this.#out.columns || 80) - 1, 0));
    if (fitting === this.#shown) return;
    this.#shown = fitting;
    this.#out.write(`${ERASE}${this.#color.dim(fitting)}`);
  }

  /** Takes the line in place away. */
  clear(): void {
    if (this.#shown !== "") this.#out.write(ERASE);
    this.#shown = "";
  }

  #stamp(): string {
    return this.#color.dim(`${((Date.now() - this.#started) / 1000).toFixed(1).padStart(6)} s`);
  }

  title(text: string, under: string): void {
    this.#write(`\n${this.#color.bold(text)}\n${this.#color.dim(under)}`);
  }

  chapter(text: string): void {
    this.#write(`\n${this.#stamp()}  ${this.#color.bold(text)}`);
  }

  line(text: string): void {
    this.#write(`${this.#stamp()}  ${text}`);
  }

  /** Aligned columns, indented below the time. */
  table(rows: readonly (readonly string[])[], head?: readonly string[]): void {
    const all = head ? [head, ...rows] : rows;
    const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
    for (const [index, row] of all.entries()) {
      const text = row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd();
      this.#write(`          ${head && index === 0 ? this.#color.dim(text) : text}`);
    }
  }

  done(text: string): void {
    this.#write(`\n${this.#stamp()}  ${this.#color.green("✓")} ${text}\n`);
  }

  failed(text: string, log: readonly string[]): void {
    this.#write(`\n${this.#stamp()}  ${this.#color.red("✗")} ${text}`);
    for (const line of log) this.#write(`          ${this.#color.dim(line)}`);
  }
}
