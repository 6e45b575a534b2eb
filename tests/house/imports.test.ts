// Imports run one way, as docs/architecture.md lays down. A failure names the file and the import.
import { expect, test } from "vitest";
import { files, imports } from "./files.ts";

// Small files at the top that anybody may use.
const SHARED = ["backoff", "clock", "log", "text", "version"];

/** Folder (or file) of src/ → what it may import besides itself and SHARED. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  api: [],
  core: ["api"],
  kube: ["api"],
  workqueue: [],
  signals: ["api"],
  artifacts: ["api"],
  notify: ["api", "signals"],
  trial: ["api", "core", "signals"],
  controllers: ["api", "core", "kube", "signals", "artifacts", "notify", "workqueue", "config", "telemetry", "server"],
  server: [],
  sandbox: ["api"],
  config: [],
  logger: [],
  telemetry: [],
  cli: [
    "api",
    "artifacts",
    "config",
    "controllers",
    "core",
    "kube",
    "logger",
    "sandbox",
    "server",
    "signals",
    "telemetry",
    "trial",
  ],
  main: ["cli", "config"],
};

const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "@kubernetes/client-node": ["kube", "sandbox"],
  undici: ["kube", "signals", "artifacts", "sandbox"],
  commander: ["cli"],
  "cli-table3": ["cli"],
  picocolors: ["cli"],
  pino: ["logger"],
  "prom-client": ["telemetry"],
};

const SOURCES = files("src/**/*.ts");
const partOf = (path: string) =>
  path
    .replace(/^src\//, "")
    .replace(/\.ts$/, "")
    .split("/")[0] ?? "";

test("imports between the parts run one way", () => {
  const wrong: string[] = [];
  for (const file of SOURCES) {
    const part = partOf(file);
    if (SHARED.includes(part) || part === "backoff") continue;
    const allowed = MAY[part];
    if (!allowed) wrong.push(`${file}: a part that this test does not know`);
    for (const { specifier, target } of imports(file)) {
      if (target === undefined) continue;
      const other = partOf(target);
      const inside = target.startsWith("src/") && (other === part || SHARED.includes(other) || allowed?.includes(other));
      if (!inside) wrong.push(`${file}: import of ${specifier}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("what all parts share imports none of them", () => {
  const wrong = SOURCES.filter((file) => SHARED.includes(partOf(file))).flatMap((file) =>
    imports(file).flatMap(({ specifier, target }) =>
      target !== undefined && !SHARED.includes(partOf(target)) ? [`${file}: import of ${specifier}`] : [],
    ),
  );
  expect(wrong).toEqual([]);
});

test("nothing of the operator imports the sandbox; the command line loads it only when it is asked for", () => {
  const wrong: string[] = [];
  for (const file of SOURCES.filter((one) => partOf(one) !== "sandbox")) {
    for (const { specifier, target, dynamic } of imports(file)) {
      if (target === undefined || partOf(target) !== "sandbox") continue;
      if (file !== "src/cli/sandbox.ts" || !dynamic) wrong.push(`${file}: import of ${specifier}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("only kube/ imports the Kubernetes client; each package has its places", () => {
  const wrong: string[] = [];
  for (const file of SOURCES) {
    for (const { specifier, typeOnly } of imports(file)) {
      const places = PACKAGES[specifier];
      if (places && !typeOnly && !places.includes(partOf(file))) wrong.push(`${file}: import of ${specifier}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("core/ imports no input and no output: of Node only hashes and comparison", () => {
  const wrong = files("src/core/**/*.ts").flatMap((file) =>
    imports(file).flatMap(({ specifier }) =>
      specifier.startsWith("node:") && !["node:crypto", "node:util"].includes(specifier)
        ? [`${file}: import of ${specifier}`]
        : [],
    ),
  );
  expect(wrong).toEqual([]);
});

test("imports of our files name them with their ending, and packages of Node by node:", () => {
  const wrong = files("{src,tests,scripts,examples}/**/*.ts").flatMap((file) =>
    imports(file).flatMap(({ specifier }) => {
      const ours = specifier.startsWith(".");
      if (ours && !/\.(ts|json)$/.test(specifier)) return [`${file}: import of ${specifier}`];
      const bare = /^(fs|path|os|http|https|net|tls|url|util|crypto|events|stream|child_process|zlib|timers)(\/|$)/.test(
        specifier,
      );
      return bare ? [`${file}: import of ${specifier}`] : [];
    }),
  );
  expect(wrong).toEqual([]);
});

test("no files import each other in a circle, not even for types", () => {
  const targets = new Map(SOURCES.map((file) => [file, imports(file).flatMap(({ target }) => target ?? [])]));
  const done = new Set<string>();
  const circles: string[] = [];
  const walk = (file: string, path: readonly string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) circles.push([...path.slice(at), file].join(" → "));
    if (at >= 0 || done.has(file)) return;
    for (const target of targets.get(file) ?? []) walk(target, [...path, file]);
    done.add(file);
  };
  for (const file of SOURCES) walk(file, []);
  expect(circles).toEqual([]);
});
