// What goes with its owner or its namespace.
import { expect, test } from "vitest";
import { type Api, eventually, type Json } from "./client.ts";
import { configMap } from "./fixtures.ts";

export function garbageTests(api: () => Api): void {
  const maps = (rest = "") => api().core(`configmaps${rest}`);
  const owned = (name: string, ...owners: Json[]) =>
    configMap(
      name,
      {},
      {
        ownerReferences: owners.map(({ metadata }) => ({
          apiVersion: "v1",
          kind: "ConfigMap",
          name: metadata.name,
          uid: metadata.uid,
          blockOwnerDeletion: true,
        })),
      },
    );
  const gone = (path: string) =>
    eventually(
      () => api().call("GET", path),
      ({ status }) => status === 404,
    );

  test("dependents go with their owner, down the line", async () => {
    const owner = await api().ok("POST", maps(), { body: configMap("gc-owner") });
    const child = await api().ok("POST", maps(), { body: owned("gc-child", owner) });
    await api().ok("POST", maps(), { body: owned("gc-grandchild", child) });
    await api().ok("DELETE", maps("/gc-owner"), { query: { propagationPolicy: "Background" } });
    await gone(maps("/gc-child"));
    await gone(maps("/gc-grandchild"));
  });

  test("a dependent with two owners stays until both are gone", async () => {
    const [one, two] = [
      await api().ok("POST", maps(), { body: configMap("gc-one") }),
      await api().ok("POST", maps(), { body: configMap("gc-two") }),
    ];
    await api().ok("POST", maps(), { body: owned("gc-shared", one, two) });
    await api().ok("DELETE", maps("/gc-one"), { query: { propagationPolicy: "Background" } });
    const left = await eventually(
      () => api().ok("GET", maps("/gc-shared")),
      (object) => object.metadata.ownerReferences.length === 1,
    );
    expect(left.metadata.ownerReferences[0].name).toBe("gc-two");
    await api().ok("DELETE", maps("/gc-two"), { query: { propagationPolicy: "Background" } });
    await gone(maps("/gc-shared"));
  });

  test("an owner that is deleted in the foreground goes after its dependents", async () => {
    const owner = await api().ok("POST", maps(), { body: configMap("gc-front") });
    const child = owned("gc-behind", owner);
    child.metadata.finalizers = ["rollguard.dev/test"];
    await api().ok("POST", maps(), { body: child });
    const marked = await api().ok("DELETE", maps("/gc-front"), { body: { propagationPolicy: "Foreground" } });
    expect(marked.metadata.finalizers).toContain("foregroundDeletion");
    await eventually(
      () => api().ok("GET", maps("/gc-behind")),
      (object) => object.metadata.deletionTimestamp !== undefined,
    );
    expect((await api().call("GET", maps("/gc-front"))).status).toBe(200);
    const type = "application/merge-patch+json";
    await api().ok("PATCH", maps("/gc-behind"), { body: { metadata: { finalizers: null } }, type });
    await gone(maps("/gc-front"));
  });

  test("orphans lose the reference and stay", async () => {
    const owner = await api().ok("POST", maps(), { body: configMap("gc-parent") });
    await api().ok("POST", maps(), { body: owned("gc-orphan", owner) });
    await api().ok("DELETE", maps("/gc-parent"), { body: { propagationPolicy: "Orphan" } });
    await gone(maps("/gc-parent"));
    const orphan = await api().ok("GET", maps("/gc-orphan"));
    expect(orphan.metadata.ownerReferences ?? []).toEqual([]);
  });

  test("an object whose owner never was is collected", async () => {
    const nobody = { metadata: { name: "gc-nobody", uid: "00000000-0000-4000-8000-000000000000" } };
    await api().ok("POST", maps(), { body: owned("gc-astray", nobody) });
    await gone(maps("/gc-astray"));
  });

  test("a namespace takes its contents along, and takes nothing in meanwhile", async () => {
    const name = `${api().namespace}-gone`;
    await api().ok("POST", "/api/v1/namespaces", { body: { apiVersion: "v1", kind: "Namespace", metadata: { name } } });
    const inside = `/api/v1/namespaces/${name}/configmaps`;
    await api().ok("POST", inside, { body: configMap("inside", {}, { finalizers: ["rollguard.dev/test"] }) });
    await api().ok("DELETE", `/api/v1/namespaces/${name}`);
    const refused = await api().call("POST", inside, { body: configMap("late") });
    expect([refused.status, refused.body.reason]).toEqual([403, "Forbidden"]);
    expect(refused.body.message).toContain("because it is being terminated");
    expect((await api().ok("GET", `/api/v1/namespaces/${name}`)).status.phase).toBe("Terminating");
    await eventually(
      () => api().ok("GET", `${inside}/inside`),
      (object) => object.metadata.deletionTimestamp !== undefined,
    );
    const type = "application/merge-patch+json";
    await api().ok("PATCH", `${inside}/inside`, { body: { metadata: { finalizers: null } }, type });
    await gone(`/api/v1/namespaces/${name}`);
  });
}
