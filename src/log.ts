// What the parts below main ask of a logger. pino's Logger fits; so does a list in a test.

/** Structured fields first, then one constant line, as pino has it. Texts from outside go into fields, never into the line. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Says nothing. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
