// Reads the project's own sources for the tests of the house: which files there are, what they import, what is code and what is not.
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");

/** Paths below the root, with forward slashes, sorted. */
export function files(...patterns: string[]): string[] {
  return globSync(patterns, { cwd: ROOT })
    .map((file) => file.replaceAll("\\", "/"))
    .sort();
}

export function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

export interface Import {
  /** As written. */
  specifier: string;
  /** Path below the root for a file of ours; undefined for a package. */
  target: string | undefined;
  typeOnly: boolean;
  dynamic: boolean;
}

const STATIC = /^(?:import|export)\s+(type\s+)?(?:[^;"']*?\sfrom\s+)?"([^"]+)"/gm;
const DYNAMIC = /\bimport\("([^"]+)"\)/g;

/** Each import and re-export of a file. An import of a module's types alone is marked: it is gone when the code runs. */
export function imports(file: string): Import[] {
  const text = code(file, true);
  const found = [
    ...[...text.matchAll(STATIC)].map(([, type, specifier = ""]) => ({
      specifier,
      typeOnly: type !== undefined,
      dynamic: false,
    })),
    ...[...text.matchAll(DYNAMIC)].map(([, specifier = ""]) => ({ specifier, typeOnly: false, dynamic: true })),
  ];
  return found.map((one) => ({
    ...one,
    target: one.specifier.startsWith(".")
      ? relative(ROOT, join(ROOT, dirname(file), one.specifier)).replaceAll("\\", "/")
      : undefined,
  }));
}

/** The file without comments and, unless `keepStrings`, without the content of strings: what is left is code. */
export function code(file: string, keepStrings = false): string {
  const pattern = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|(^|[^:\\/])\/\/[^\n]*/g;
  return read(file).replace(pattern, (_all, text: string | undefined, before: string | undefined) => {
    if (text !== undefined) return keepStrings ? text : '""';
    return before ?? "";
  });
}
