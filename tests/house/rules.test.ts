// Rules of the house that are about one file each. A failure names the file.
import { load } from "js-yaml";
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

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}

test("no cluster-wide verb on secrets, no wildcard, nothing on RBAC or on specs of users", () => {
  const [role] = read("manifests/cluster-role.yaml")
    .split("\n---\n")
    .map((text) => load(text) as { rules: Rule[] });
  const rules = role?.rules ?? [];
  expect(rules.length).toBeGreaterThan(0);
  expect(JSON.stringify(rules)).not.toContain('"*"');
  expect(rules.flatMap((rule) => rule.resources)).not.toContain("secrets");
  expect(rules.flatMap((rule) => rule.apiGroups)).not.toContain("rbac.authorization.k8s.io");
  const specs = rules.filter((rule) => rule.apiGroups.includes("rollguard.dev") && rule.resources.includes("modeldeployments"));
  expect(specs.flatMap((rule) => rule.verbs).sort()).toEqual(["get", "list", "watch"]);
});

test("whatever the operator watches, its ClusterRole allows", () => {
  const rules = (load(read("manifests/cluster-role.yaml").split("\n---\n")[0] ?? "") as { rules: Rule[] }).rules;
  const readable = rules.filter((rule) => ["get", "list", "watch"].every((verb) => rule.verbs.includes(verb)));
  const watched = [...read("src/controllers/caches.ts").matchAll(/RESOURCES\.(\w+)/g)].map(([, name = ""]) => name.toLowerCase());
  expect(watched.length).toBeGreaterThan(8);
  expect(watched.filter((name) => !readable.some((rule) => rule.resources.includes(name)))).toEqual([]);
});

// The chart's templates are kept plain, so that this stands in for helm: values, the namespace, nothing else.
function render(template: string, values: Record<string, unknown>): string {
  return template.replace(/\{\{ \.([\w.]+) \}\}/g, (_all, path: string) => {
    const value = path.split(".").reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], values);
    if (value === undefined) throw new Error(`the chart has no value .${path}`);
    return String(value);
  });
}

test("the chart makes the same objects as the manifests", () => {
  const values = { Values: load(read("charts/rollguard/values.yaml")), Release: { Namespace: "rollguard-system" } };
  const objects = (text: string) => text.split("\n---\n").map((one) => load(one) as Record<string, unknown>);
  for (const name of ["service-account.yaml", "cluster-role.yaml", "role.yaml", "deployment.yaml"]) {
    const chart = objects(render(read(`charts/rollguard/templates/${name}`), values));
    const plain = objects(read(`manifests/${name}`));
    if (name === "deployment.yaml") withoutSettings(chart[0]);
    expect(chart, name).toEqual(plain);
  }
});

/** The chart sets two variables more, to what is the default anyway. */
function withoutSettings(deployment: Record<string, unknown> | undefined): void {
  const spec = deployment?.spec as { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } };
  const [container] = spec.template.spec.containers;
  if (!container) throw new Error("no container");
  const added = container.env.filter(({ name }) => name === "ROLLGUARD_ENVIRONMENT" || name === "ROLLGUARD_LOG_LEVEL");
  expect(added).toEqual([
    { name: "ROLLGUARD_ENVIRONMENT", value: "" },
    { name: "ROLLGUARD_LOG_LEVEL", value: "info" },
  ]);
  container.env = container.env.filter((one) => !added.includes(one));
}
