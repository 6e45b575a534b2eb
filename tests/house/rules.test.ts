// Rules of the house that are about one file each. A failure names the file.
import { expect, test } from "vitest";
import { code, files, read } from "./files.ts";

const SOURCES = files("src/**/*.ts");
// Tables of tests may be long, and their titles say what they are for.
const PROSE = files("{src,scripts,examples}/**/*.{ts,mjs}", "tests/support/*.ts");
const ALL = files("{src,tests,scripts,examples}/**/*.{ts,mjs}");
/** Offenders as `file: what`. */
const where = (list: readonly string[], pattern: RegExp, except: readonly string[] = []) =>
  list
    .filter((file) => !except.includes(file))
    .flatMap((file) => [...code(file).matchAll(pattern)].map(([found]) => `${file}: ${found.trim()}`));

test("files have at most 350 lines", () => {
  const long = PROSE.map((file) => ({ file, lines: read(file).trimEnd().split("\n").length })).filter(({ lines }) => lines > 350);
  expect(long.map(({ file, lines }) => `${file}: ${lines} lines`)).toEqual([]);
});

test("each file opens with what it is for", () => {
  const silent = PROSE.filter((file) => !/^(#!.*\n)?(\/\/|\/\*)/.test(read(file)));
  expect(silent).toEqual([]);
});

test("core/ is pure: no clock, no chance, no process, no log", () => {
  const pattern =
    /\b(Date\.now|new Date\(\)|performance\.|Math\.random|randomUUID|process\.|globalThis|setTimeout|setInterval|setImmediate|fetch\(|console\.)/g;
  expect(where(files("src/core/**/*.ts"), pattern)).toEqual([]);
});

test("time enters by the Clock: elsewhere nobody waits or asks for it", () => {
  const pattern = /\b(Date\.now\(|performance\.now\()/g;
  expect(where(files("src/{kube,workqueue,controllers,signals,artifacts,notify}/**/*.ts"), pattern)).toEqual([]);
});

test("only config.ts reads the environment", () => {
  // The sandbox's reaper is a program of its own, and the node hands a clean environment to its workloads.
  const sandbox = files("src/sandbox/**/*.ts");
  const pattern = /process\.env\b/g;
  expect(where(["src/config.ts"], pattern)).not.toEqual([]);
  expect(where(SOURCES, pattern, ["src/config.ts", ...sandbox])).toEqual([]);
});

test("only main.ts ends the process", () => {
  const reaper = ["src/sandbox/node/reaper.ts"];
  expect(where(SOURCES, /process\.(exit|abort|kill)\(/g, ["src/main.ts", ...reaper, ...files("src/sandbox/node/*.ts")])).toEqual(
    [],
  );
});

test("no default export, no state at module level", () => {
  expect(where(ALL, /^export default\b/gm, ["vitest.config.ts"])).toEqual([]);
  expect(where(SOURCES, /^(export )?let \w+/gm, ["src/main.ts"])).toEqual([]);
});

test("README names each page of the docs", () => {
  const named = read("README.md");
  const pages = files("docs/*.md");
  expect(pages.length).toBeGreaterThan(10);
  expect(pages.filter((page) => !named.includes(`](${page})`))).toEqual([]);
});

test("at most ten direct dependencies at run time", () => {
  const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
  expect(Object.keys(dependencies).length).toBeLessThanOrEqual(10);
});
