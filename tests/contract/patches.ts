// JSON patch, merge patch and strategic merge patch.
import { expect, test } from "vitest";
import { type Api, JSON_PATCH, MERGE, STRATEGIC } from "./client.ts";
import { configMap, deployment, GROUP, widget } from "./fixtures.ts";

export function patchTests(api: () => Api): void {
  const maps = (rest = "") => api().core(`configmaps${rest}`);
  const widgets = (rest = "") => api().group(GROUP, `widgets${rest}`);
  const deployments = (rest = "") => api().group("apps", `deployments${rest}`);

  test("a merge patch merges objects, replaces lists, and null removes", async () => {
    await api().ok("POST", widgets(), { body: widget("merged", { notes: ["a", "b"], settings: { x: "1", y: "2" } }) });
    const body = { spec: { notes: ["c"], settings: { x: null, z: "3" } } };
    const { spec } = await api().ok("PATCH", widgets("/merged"), { body, type: MERGE });
    expect(spec).toMatchObject({ notes: ["c"], settings: { y: "2", z: "3" } });
    expect(spec.settings.x).toBeUndefined();
  });

  test("a JSON patch changes by path, and one whose test fails changes nothing", async () => {
    await api().ok("POST", maps(), { body: configMap("ops", { a: "1" }) });
    const good = [
      { op: "test", path: "/data/a", value: "1" },
      { op: "replace", path: "/data/a", value: "2" },
      { op: "add", path: "/data/b", value: "3" },
    ];
    expect((await api().ok("PATCH", maps("/ops"), { body: good, type: JSON_PATCH })).data).toEqual({ a: "2", b: "3" });
    const { status, body } = await api().call("PATCH", maps("/ops"), { body: good, type: JSON_PATCH });
    expect([status, body.reason]).toEqual([422, "Invalid"]);
    expect((await api().ok("GET", maps("/ops"))).data).toEqual({ a: "2", b: "3" });
  });

  test("a resource version in a patch is a precondition", async () => {
    const made = await api().ok("POST", maps(), { body: configMap("exact") });
    await api().ok("PATCH", maps("/exact"), { body: { data: { a: "1" } }, type: MERGE });
    const body = { metadata: { resourceVersion: made.metadata.resourceVersion }, data: { a: "2" } };
    expect((await api().call("PATCH", maps("/exact"), { body, type: MERGE })).status).toBe(409);
  });

  test("a patch of what is not there is NotFound", async () => {
    expect((await api().call("PATCH", maps("/nothing"), { body: {}, type: MERGE })).status).toBe(404);
  });

  test("a strategic merge patch merges containers and variables by name, and deletes by directive", async () => {
    await api().ok("POST", deployments(), { body: deployment("strategic") });
    const patch = (containers: unknown) =>
      api().ok("PATCH", deployments("/strategic"), { body: { spec: { template: { spec: { containers } } } }, type: STRATEGIC });
    const added = await patch([
      { name: "main", env: [{ name: "B", value: "2" }] },
      { name: "side", image: "example.com/side:1" },
    ]);
    const [main, side] = added.spec.template.spec.containers;
    expect([main.image, side.name]).toEqual(["example.com/main:1", "side"]);
    expect(main.env.map((variable: { name: string }) => variable.name).sort()).toEqual(["A", "B"]);
    const removed = await patch([
      { name: "side", $patch: "delete" },
      { name: "main", env: [{ name: "A", $patch: "delete" }] },
    ]);
    expect(removed.spec.template.spec.containers).toHaveLength(1);
    expect(removed.spec.template.spec.containers[0].env).toEqual([{ name: "B", value: "2" }]);
  });

  test("custom resources take no strategic merge patch", async () => {
    await api().ok("POST", widgets(), { body: widget("unstrategic") });
    const { status, body } = await api().call("PATCH", widgets("/unstrategic"), { body: {}, type: STRATEGIC });
    expect([status, body.reason]).toEqual([415, "UnsupportedMediaType"]);
  });
}
