// The metrics keep to the conventions and to their page; the log holds no secret and no escape.
import { expect, test } from "vitest";
import { createLogger, type LoggerOptions } from "../../src/logger.ts";
import { createMetrics, METRICS, metricsPage, resourceOfPath } from "../../src/telemetry.ts";
import { read } from "../house/files.ts";

function logged(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", format: "json", write: (line) => lines.push(line), ...options });
  return { logger, lines };
}

test("docs/metrics.md is current (node scripts/metrics.ts writes it)", () => {
  expect(read("docs/metrics.md")).toBe(metricsPage());
});

test("names and units follow the conventions of Prometheus", () => {
  for (const { name, type, help } of Object.values(METRICS)) {
    expect(name).toMatch(/^rollguard_[a-z_]+$/);
    expect(help).toMatch(/\.$/);
    expect(name.endsWith("_total"), name).toBe(type === "counter");
    if (type === "histogram") expect(name).toMatch(/_seconds$/);
  }
});

test("each registry is its own", async () => {
  const [a, b] = [createMetrics(), createMetrics()];
  a.metrics.leader.set(1);
  expect(await a.registry.getSingleMetricAsString("rollguard_leader")).toContain("rollguard_leader 1");
  expect(await b.registry.getSingleMetricAsString("rollguard_leader")).toContain("rollguard_leader 0");
});

test.each([
  ["/apis/rollguard.dev/v1alpha1/namespaces/fraud/modeldeployments/scorer/status", "modeldeployments/status"],
  ["/apis/apps/v1/deployments?watch=true", "deployments"],
  ["/api/v1/namespaces/fraud/pods/scorer-r1-abc", "pods"],
  ["/api/v1/namespaces/fraud", "namespaces"],
  ["/api/v1/namespaces", "namespaces"],
  ["/version", "other"],
])("a request's path becomes a label without names: %s", (path, resource) => {
  expect(resourceOfPath(path)).toBe(resource);
});

test("no secret reaches the log, by name, by kind or by look", () => {
  const { logger, lines } = logged();
  const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
  logger.info(
    {
      headers: { Authorization: "Bearer abcdef123456", Cookie: "a=b", accept: "text/plain" },
      auth: { password: "hunter2" },
      apiToken: "tok-1",
      object: { kind: "Secret", metadata: { name: "prometheus" }, data: { anything: "aHVudGVyMg==" } },
      url: "https://user:hunter2@example.com/x?access_token=tok-2&page=2",
      text: `sent Bearer abcdef123456 and ${jwt}`,
      tokens: 3,
    },
    "asked",
  );
  logger.error(
    { err: new Error("401 for https://user:hunter2@example.com", { cause: new Error("token=tok-3; Basic aHVudGVyMg==") }) },
    "failed",
  );
  const text = lines.join("");
  expect(text).not.toMatch(/hunter2|abcdef123456|tok-\d|aHVudGVyMg|eyJhbGci|a=b/);
  expect(text).toContain("text/plain");
  expect(text).toContain("page=2");
  expect(text).toContain("prometheus");
  for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
});

test.each(["json", "pretty"] as const)(
  "no raw newline or terminal escape reaches a %s log, whatever a source answers",
  (format) => {
    const { logger, lines } = logged({ format });
    const text = "a\u001b[2Jb\nlevel=error\u0007\u009b31mc\u202e";
    logger.warn({ [text]: text, list: [text], err: Object.assign(new Error(text), { name: text, kind: text }) }, "said");
    expect(lines).toHaveLength(1);
    // Stack frames are lines of their own on a terminal, indented.
    const [first = "", ...frames] = (lines[0] ?? "").trimEnd().split("\n");
    expect(first + frames.join("")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    for (const frame of frames) expect(frame).toMatch(/^ {4}at /);
    expect(first).not.toContain("\\u001b");
  },
);

test("what can't be logged as it is does no harm: cycles, depth, bigints, sizes", () => {
  const { logger, lines } = logged();
  const cycle: Record<string, unknown> = { big: 12n, long: "x".repeat(100_000), many: Array.from({ length: 5000 }, (_, i) => i) };
  cycle.self = cycle;
  logger.info({ cycle, nothing: undefined, date: new Date(Number.NaN) }, "odd");
  expect(lines).toHaveLength(1);
  expect(lines[0]?.length).toBeLessThan(50_000);
});

test("a pretty line is short and in words", () => {
  const { logger, lines } = logged({ format: "pretty" });
  logger.info({ deployment: "fraud/scorer", why: "two words", n: 3 }, "decided");
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {2}decided {2}deployment=fraud\/scorer {2}why="two words" {2}n=3\n$/);
  logger.debug({}, "hidden");
  expect(logged({ level: "warn" }).lines).toEqual([]);
});
