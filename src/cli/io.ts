// What a command may do to the outside: print, know its terminal, hear that it should end. Tests hand in their own.

export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Standard output is a terminal: tables, redrawn in place. Otherwise plain lines. */
  terminal: boolean;
  color: boolean;
  /** Columns of the terminal. */
  width: number;
  /** Aborts at Ctrl-C or SIGTERM. */
  signal: AbortSignal;
}

/** Exit codes, also in the help. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** An end that a person can do something about: `hints` are lines that say what. */
export class CliError extends Error {
  override name = "CliError";
  readonly exitCode: number;
  readonly hints: readonly string[];

  constructor(message: string, hints: readonly string[] = [], exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
    this.hints = hints;
  }
}
