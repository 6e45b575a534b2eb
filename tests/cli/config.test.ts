// Settings: flag before variable before default, and errors that name what has to be changed.
import { expect, test } from "vitest";
import { ConfigError, kubeconfigInUse, operatorOptions, SETTINGS, terminalHints } from "../../src/config.ts";

test("the defaults are usable", () => {
  const options = operatorOptions({}, {});
  expect(options).toMatchObject({
    operatorNamespace: "rollguard-system",
    leaderElect: true,
    httpAddress: { host: "0.0.0.0", port: 8080 },
    environment: "",
    workers: 8,
    logLevel: "info",
  });
  expect(options.namespaces).toBeUndefined();
  expect(options.identity).toContain(String(process.pid));
});

test("a flag goes before its variable, the variable before the default; an empty variable is none", () => {
  const env = { ROLLGUARD_WORKERS: "3", ROLLGUARD_ENVIRONMENT: "staging", ROLLGUARD_LOG_LEVEL: "", POD_NAME: "rollguard-0" };
  expect(operatorOptions({ workers: "5" }, env)).toMatchObject({
    workers: 5,
    environment: "staging",
    logLevel: "info",
    identity: "rollguard-0",
  });
});

test.each([
  ["off", undefined],
  [":9090", { host: "0.0.0.0", port: 9090 }],
  ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
  ["[::1]:8080", { host: "::1", port: 8080 }],
])("--http-address %s", (text, address) => {
  expect(operatorOptions({ httpAddress: text }, {}).httpAddress).toEqual(address);
});

test("lists, words and booleans", () => {
  const flags = { namespaces: "a, b,,c", fetchCommand: "node /app/x.js fetch", leaderElect: "false" };
  expect(operatorOptions(flags, {})).toMatchObject({
    namespaces: ["a", "b", "c"],
    fetchCommand: ["node", "/app/x.js", "fetch"],
    leaderElect: false,
  });
  expect(operatorOptions({ leaderElect: true }, {}).leaderElect).toBe(true);
});

test.each([
  [{ workers: "0" }, {}, "--workers"],
  [{ workers: "many" }, {}, "--workers"],
  [{ workers: "1.5" }, {}, "--workers"],
  [{ httpAddress: "8080" }, {}, "--http-address"],
  [{ httpAddress: ":99999" }, {}, "--http-address"],
  [{ namespaces: "Fraud" }, {}, "--namespaces"],
  [{ namespaces: "," }, {}, "--namespaces"],
  [{ logLevel: "loud" }, {}, "--log-level"],
  [{ leaderElect: "perhaps" }, {}, "--leader-elect"],
  [{ identity: "" }, {}, "--identity"],
  [{}, { ROLLGUARD_WORKERS: "-1" }, "--workers (from ROLLGUARD_WORKERS)"],
  [{}, { POD_NAMESPACE: "no such thing" }, "--operator-namespace (from POD_NAMESPACE)"],
])("%j with %j is refused by its name", (flags, env, name) => {
  expect(() => operatorOptions(flags, env)).toThrow(ConfigError);
  expect(() => operatorOptions(flags, env)).toThrow(`${name}: `);
});

test("all that is wrong is said at once", () => {
  expect(() => operatorOptions({ workers: "0", logLevel: "loud" }, {})).toThrow(/--workers.*\n.*--log-level/);
});

test("every setting has a variable and a help of its own", () => {
  for (const field of ["key", "env", "help", "flag"] as const)
    expect(new Set(SETTINGS.map((one) => one[field])).size).toBe(SETTINGS.length);
});

test("which kubeconfig was meant, and whether colours are wanted", () => {
  expect(kubeconfigInUse("x", { KUBECONFIG: "y" })).toBe("x (from --kubeconfig)");
  expect(kubeconfigInUse(undefined, { KUBECONFIG: "y" })).toBe("y (from KUBECONFIG)");
  expect(kubeconfigInUse(undefined, {})).toMatch(/\.kube.config$/);
  expect(terminalHints({ NO_COLOR: "1", FORCE_COLOR: "1" }).color).toBe(false);
  expect(terminalHints({ FORCE_COLOR: "1" }).color).toBe(true);
  expect(terminalHints({}).color).toBeUndefined();
});
