// The real kubectl against the sandbox. Without a kubectl on the PATH nothing here can run, and the file says so.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deployment, WIDGETS, widget } from "../contract/fixtures.ts";
import { hasKubectl, type Kubectl, startKubectl } from "./kubectl.ts";

if (!hasKubectl) console.warn("kubectl is not on the PATH: its tests are left out");

describe.runIf(hasKubectl)("kubectl against the sandbox", () => {
  let kubectl: Kubectl;
  beforeAll(async () => {
    kubectl = await startKubectl();
    kubectl.server.installCrd(WIDGETS);
    await kubectl.input(widget("one", { parts: [{ name: "x", count: 1 }] }), "apply", "-f", "-");
    await kubectl.input(deployment("web"), "apply", "-f", "-");
  });
  afterAll(() => kubectl.close());

  test("get shows the printer columns of a CRD, by its short name", async () => {
    const { output, code } = await kubectl("get", "wdg", "one");
    expect(code).toBe(0);
    expect(output).toMatch(/^NAME +SIZE +READY +AGE\none +3 +\d+s\n$/);
  });

  test("get all and get -o wide show built-in kinds", async () => {
    expect((await kubectl("get", "all")).output).toMatch(/deployment\.apps\/web +0\/0 +0 +0 +\d+s/);
    expect((await kubectl("get", "deploy", "-o", "wide")).output).toMatch(/web .* main +example\.com\/main:1 +app=web/);
  });

  test("get -o yaml shows the object with its defaults", async () => {
    const { output } = await kubectl("get", "wdg", "one", "-o", "yaml");
    expect(output).toContain("kind: Widget\n");
    expect(output).toContain("  colour: blue\n");
    expect(output).toContain("  generation: 1\n");
  });

  test("get -w follows changes", async () => {
    await kubectl.input(widget("watched"), "apply", "-f", "-");
    const watch = kubectl.start("get", "wdg", "watched", "-w");
    try {
      await watch.until("watched");
      const type = "--type=merge";
      await kubectl(
        "patch",
        "wdg",
        "watched",
        "--subresource=status",
        type,
        "-p",
        '{"status":{"conditions":[{"type":"Ready","status":"Unsure"}]}}',
      );
      expect(await watch.until("Unsure")).toMatch(/watched +3 +Unsure +\d+s/);
    } finally {
      await watch.stop();
    }
  });

  test("apply creates, leaves alone, and configures", async () => {
    const apply = (manifest: unknown) => kubectl.input(manifest, "apply", "-f", "-");
    expect((await apply(deployment("steps"))).output).toBe("deployment.apps/steps created\n");
    expect((await apply(deployment("steps"))).output).toBe("deployment.apps/steps unchanged\n");
    expect((await apply(deployment("steps", { revisionHistoryLimit: 3 }))).output).toBe("deployment.apps/steps configured\n");
    expect((await apply(widget("steps", { settings: { a: "1", b: "2" } }))).output).toContain("created");
    expect((await apply(widget("steps", { settings: { a: "1" } }))).output).toContain("configured");
    const { output } = await kubectl("get", "wdg", "steps", "-o", "jsonpath={.spec.settings}");
    expect(output).toBe('{"a":"1"}');
  });

  test("apply refuses a bad manifest, and names the field", async () => {
    const bad = await kubectl.input(widget("bad", { size: 0, colour: "pink" }), "apply", "-f", "-");
    expect(bad.code).toBe(1);
    expect(bad.output).toContain('The Widget "bad" is invalid: \n');
    expect(bad.output).toContain("* spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1");
    expect(bad.output).toContain('* spec.colour: Unsupported value: "pink"');
    const unknown = await kubectl.input(widget("bad", { shape: "round" }), "apply", "-f", "-");
    expect([unknown.code, unknown.output]).toEqual([
      1,
      expect.stringContaining('strict decoding error: unknown field "spec.shape"'),
    ]);
    const late = await kubectl.input(widget("one", { shape: "round" }), "apply", "-f", "-");
    expect([late.code, late.output]).toEqual([1, expect.stringContaining('unknown field "spec.shape"')]);
    const builtin = await kubectl.input(deployment("bad", { replica: 1 }), "apply", "-f", "-");
    expect([builtin.code, builtin.output]).toEqual([1, expect.stringContaining('unknown field "spec.replica"')]);
  });

  test("apply --server-side takes over what apply wrote, and shows conflicts", async () => {
    await kubectl.input(deployment("moved"), "apply", "-f", "-");
    const moved = await kubectl.input(deployment("moved"), "apply", "--server-side", "-f", "-");
    expect(moved).toEqual({ code: 0, output: "deployment.apps/moved serverside-applied\n" });
    const less = deployment("moved");
    delete less.spec.template.spec.containers[0].env;
    await kubectl.input(less, "apply", "--server-side", "-f", "-");
    const env = await kubectl("get", "deploy", "moved", "-o", "jsonpath={.spec.template.spec.containers[0].env}");
    expect(env.output).toBe("");
    const other = await kubectl.input(
      deployment("moved", { replicas: 1 }),
      "apply",
      "--server-side",
      "--field-manager=other",
      "-f",
      "-",
    );
    expect([other.code, other.output]).toEqual([1, expect.stringContaining('conflict with "kubectl": .spec.replicas')]);
  });

  test("patch works with merge and JSON patches", async () => {
    const read = async () => (await kubectl("get", "wdg", "one", "-o", "jsonpath={.spec.replicas}")).output;
    expect((await kubectl("patch", "wdg", "one", "--type=merge", "-p", '{"spec":{"replicas":5}}')).code).toBe(0);
    expect(await read()).toBe("5");
    const patch = '[{"op":"replace","path":"/spec/replicas","value":6}]';
    expect((await kubectl("patch", "wdg", "one", "--type=json", "-p", patch)).code).toBe(0);
    expect(await read()).toBe("6");
    expect((await kubectl("patch", "deploy", "web", "-p", '{"spec":{"paused":true}}')).output).toContain("patched");
  });

  test("annotate and label work on custom and built-in kinds", async () => {
    for (const object of ["wdg/one", "deploy/web"]) {
      expect((await kubectl("annotate", object, "rollguard.dev/test=yes")).output).toContain("annotated");
      expect((await kubectl("label", object, "tried=yes")).output).toContain("labeled");
      const again = await kubectl("annotate", object, "rollguard.dev/test=no");
      expect([again.code, again.output]).toEqual([1, expect.stringContaining("--overwrite is false")]);
    }
  });

  test("scale sets the replicas of custom and built-in kinds", async () => {
    expect((await kubectl("scale", "wdg/one", "--replicas=2")).output).toContain("scaled");
    expect((await kubectl("scale", "deploy/web", "--replicas=4")).output).toContain("scaled");
    const { output } = await kubectl("get", "wdg/one", "deploy/web", "-o", "jsonpath={.items[*].spec.replicas}");
    expect(output).toBe("2 4");
  });

  test("wait waits for a condition, and for deletion", async () => {
    await kubectl.input(widget("waited"), "apply", "-f", "-");
    const waiting = kubectl("wait", "--for=condition=Ready", "wdg/waited", "--timeout=10s");
    const status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}';
    await kubectl("patch", "wdg", "waited", "--subresource=status", "--type=merge", "-p", status);
    expect(await waiting).toEqual({ code: 0, output: "widget.contract.rollguard.dev/waited condition met\n" });
    const gone = kubectl("wait", "--for=delete", "wdg/waited", "--timeout=10s");
    await kubectl("delete", "wdg", "waited");
    expect((await gone).code).toBe(0);
    const never = await kubectl("wait", "--for=condition=Ready", "wdg/one", "--timeout=1s");
    expect([never.code, never.output]).toEqual([1, expect.stringContaining("timed out waiting for the condition")]);
  });

  test("describe shows the object and its events", async () => {
    const one = JSON.parse((await kubectl("get", "wdg", "one", "-o", "json")).output);
    kubectl.server.create(
      { group: "events.k8s.io", version: "v1", resource: "events" },
      {
        metadata: { name: "one.1", namespace: "default" },
        eventTime: "2026-11-24T10:00:00.000000Z",
        reportingController: "rollguard.dev/operator",
        reportingInstance: "test",
        action: "Test",
        reason: "Described",
        type: "Normal",
        note: "seen by describe",
        regarding: { apiVersion: one.apiVersion, kind: one.kind, name: "one", namespace: "default", uid: one.metadata.uid },
      },
    );
    const { output, code } = await kubectl("describe", "wdg", "one");
    expect(code).toBe(0);
    expect(output).toMatch(/Size: +3/);
    expect(output).toMatch(/Normal +Described .*seen by describe/);
    expect((await kubectl("describe", "deploy", "web")).output).toMatch(/Image: +example\.com\/main:1/);
    expect((await kubectl("get", "events")).output).toMatch(/Normal +Described +widget\/one +seen by describe/);
  });

  test("explain shows the fields of custom and built-in kinds", async () => {
    const custom = await kubectl("explain", "widget.spec.size");
    expect(custom.output).toContain("FIELD: size <integer>");
    expect(custom.output).toContain("How large it is.");
    const builtin = await kubectl("explain", "deployment.spec.template.spec.containers");
    expect(builtin.output).toContain("imagePullPolicy\t<string>");
  });

  test("logs shows what the node answers", async () => {
    const spec = { containers: [{ name: "main", image: "example.com/main:1" }] };
    kubectl.server.create(
      { group: "", version: "v1", resource: "pods" },
      { metadata: { name: "talks", namespace: "default" }, spec },
    );
    kubectl.server.logReader = (_, pod, container) => `hello from ${container} of ${pod}\n`;
    expect(await kubectl("logs", "talks")).toEqual({ code: 0, output: "hello from main of talks\n" });
    expect((await kubectl("get", "pods")).output).toMatch(/talks +0\/1 +Pending +0 +\d+s/);
  });

  test("create, use and delete a namespace", async () => {
    expect((await kubectl("create", "ns", "made")).output).toBe("namespace/made created\n");
    expect((await kubectl("create", "configmap", "map", "-n", "made", "--from-literal=a=b")).code).toBe(0);
    expect((await kubectl("get", "cm", "-n", "made")).output).toMatch(/map +1 +\d+s/);
    expect(await kubectl("delete", "ns", "made")).toEqual({ code: 0, output: 'namespace "made" deleted\n' });
    expect((await kubectl("get", "ns", "made")).output).toContain('namespaces "made" not found');
  });

  test("delete removes by name, by manifest and by selector", async () => {
    await kubectl.input(widget("by-name"), "apply", "-f", "-");
    expect((await kubectl("delete", "wdg", "by-name")).output).toContain('"by-name" deleted');
    await kubectl.input(widget("by-file"), "apply", "-f", "-");
    expect((await kubectl.input(widget("by-file"), "delete", "-f", "-")).code).toBe(0);
    await kubectl.input(widget("by-label", {}, { labels: { sweep: "1" } }), "apply", "-f", "-");
    expect((await kubectl("delete", "wdg", "-l", "sweep=1")).output).toContain('"by-label" deleted');
    expect((await kubectl("get", "wdg")).output).not.toContain("by-");
  });

  test("diff and a server's dry run change nothing", async () => {
    const changed = deployment("web", { replicas: 9 });
    const diff = await kubectl.input(changed, "diff", "-f", "-");
    expect([diff.code, diff.output]).toEqual([1, expect.stringContaining("+  replicas: 9")]);
    expect((await kubectl.input(changed, "apply", "--dry-run=server", "-f", "-")).output).toContain("server dry run");
    expect((await kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}")).output).not.toBe("9");
  });
});
