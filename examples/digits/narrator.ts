// How the demo speaks: chapters, lines and small tables; colours on a terminal, plain lines in a pipe.

import pc from "picocolors";

export class Narrator {
  #out: NodeJS.WriteStream;
  #started = Date.now();
  #color: ReturnType<typeof pc.createColors>;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#color = pc.createColors(out.isTTY === true);
  }

  #write(text: string): void {
    this.#out.write(`${text}\n`);
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
