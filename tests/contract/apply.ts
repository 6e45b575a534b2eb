// Server-side apply: who owns which field, conflicts, force, and the removal of what is no longer applied.
import { expect, test } from "vitest";
import { type Api, type Json, MERGE } from "./client.ts";
import { configMap, deployment, GROUP, widget } from "./fixtures.ts";

const bare = (name: string, spec: Json) => ({ apiVersion: `${GROUP}/v1`, kind: "Widget", metadata: { name }, spec });

/** The FieldsV1 of one manager. */
function fieldsOf(object: Json, manager: string, subresource?: string): Json {
  return object.metadata.managedFields?.find((entry: Json) => entry.manager === manager && entry.subresource === subresource)
    ?.fieldsV1;
}

export function applyTests(api: () => Api): void {
  const maps = (rest = "") => api().core(`configmaps${rest}`);
  const widgets = (rest = "") => api().group(GROUP, `widgets${rest}`);

  test("an apply creates what is not there, changes what is, and writes nothing the second time", async () => {
    const first = await api().apply(maps("/applied"), "alice", configMap("applied", { a: "1" }));
    expect(first.status).toBe(201);
    expect(first.body.metadata.managedFields).toEqual([
      expect.objectContaining({ manager: "alice", operation: "Apply", apiVersion: "v1", fieldsType: "FieldsV1" }),
    ]);
    expect(fieldsOf(first.body, "alice")).toEqual({ "f:data": { "f:a": {} } });
    const again = await api().apply(maps("/applied"), "alice", configMap("applied", { a: "1" }));
    expect([again.status, again.body.metadata.resourceVersion]).toEqual([200, first.body.metadata.resourceVersion]);
    const changed = await api().apply(maps("/applied"), "alice", configMap("applied", { a: "2" }));
    expect(changed.body.data).toEqual({ a: "2" });
  });

  test("an apply takes YAML, and needs a field manager", async () => {
    const text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: 'yes'\n";
    expect((await api().apply(maps("/yaml"), "alice", text)).body.data).toEqual({ a: "yes" });
    const anonymous = await api().call("PATCH", maps("/yaml"), { body: text, type: "application/apply-patch+yaml" });
    expect(anonymous.status).toBeGreaterThanOrEqual(400);
    expect(anonymous.body.message).toContain("fieldManager");
  });

  test("fields that are no longer applied go, unless someone else applies them too", async () => {
    await api().apply(maps("/shrunk"), "alice", configMap("shrunk", { a: "1", b: "2", c: "3" }));
    await api().apply(maps("/shrunk"), "bob", configMap("shrunk", { b: "2" }));
    const { body } = await api().apply(maps("/shrunk"), "alice", configMap("shrunk", { a: "1" }));
    expect(body.data).toEqual({ a: "1", b: "2" });
    const { body: last } = await api().apply(maps("/shrunk"), "bob", configMap("shrunk"));
    expect(last.data).toEqual({ a: "1" });
  });

  test("changing another manager's field is a conflict that names both, and writes nothing", async () => {
    await api().apply(maps("/fought"), "alice", configMap("fought", { a: "1" }));
    const { status, body } = await api().apply(maps("/fought"), "bob", configMap("fought", { a: "2", b: "1" }));
    expect([status, body.reason]).toEqual([409, "Conflict"]);
    expect(body.message).toBe('Apply failed with 1 conflict: conflict with "alice": .data.a');
    expect(body.details.causes).toEqual([{ reason: "FieldManagerConflict", message: 'conflict with "alice"', field: ".data.a" }]);
    expect((await api().ok("GET", maps("/fought"))).data).toEqual({ a: "1" });
  });

  test("an equal value is no conflict, and both own it", async () => {
    await api().apply(maps("/agreed"), "alice", configMap("agreed", { a: "1" }));
    const { status, body } = await api().apply(maps("/agreed"), "bob", configMap("agreed", { a: "1" }));
    expect(status).toBe(200);
    expect([fieldsOf(body, "alice"), fieldsOf(body, "bob")]).toEqual([{ "f:data": { "f:a": {} } }, { "f:data": { "f:a": {} } }]);
  });

  test("force takes the field over, and its former owner then removes nothing", async () => {
    await api().apply(maps("/forced"), "alice", configMap("forced", { a: "1", b: "1" }));
    const { body } = await api().apply(maps("/forced"), "bob", configMap("forced", { a: "2" }), { force: "true" });
    expect(body.data).toEqual({ a: "2", b: "1" });
    expect(fieldsOf(body, "alice")).toEqual({ "f:data": { "f:b": {} } });
    const { body: later } = await api().apply(maps("/forced"), "alice", configMap("forced", { b: "1" }));
    expect(later.data).toEqual({ a: "2", b: "1" });
  });

  test("an update takes fields from who applied them, and a later apply meets it as a conflict", async () => {
    await api().apply(maps("/mixed"), "alice", configMap("mixed", { a: "1" }));
    const patched = await api().ok("PATCH", maps("/mixed"), {
      body: { data: { a: "2" } },
      type: MERGE,
      query: { fieldManager: "eve" },
    });
    expect(fieldsOf(patched, "eve")).toMatchObject({ "f:data": { "f:a": {} } });
    const { status, body } = await api().apply(maps("/mixed"), "alice", configMap("mixed", { a: "1" }));
    expect(status).toBe(409);
    expect(body.message).toMatch(/^Apply failed with 1 conflict: conflict with "eve" using v1( at \S+)?: \.data\.a$/);
  });

  test("several conflicts are listed by manager", async () => {
    await api().apply(maps("/many"), "alice", configMap("many", { a: "1", b: "1" }));
    const { body } = await api().apply(maps("/many"), "bob", configMap("many", { a: "2", b: "2" }));
    expect(body.message).toBe('Apply failed with 2 conflicts: conflicts with "alice":\n- .data.a\n- .data.b');
  });

  test("list items are merged by their keys, and an item that its applier drops goes", async () => {
    await api().apply(
      widgets("/keyed"),
      "alice",
      bare("keyed", {
        size: 3,
        parts: [
          { name: "x", count: 1 },
          { name: "y", count: 1 },
        ],
      }),
    );
    const both = await api().apply(widgets("/keyed"), "bob", bare("keyed", { parts: [{ name: "x", note: "n" }, { name: "z" }] }));
    expect(both.body.spec.parts).toHaveLength(3);
    expect(both.body.spec.parts).toContainEqual({ name: "x", count: 1, note: "n" });
    const { body } = await api().apply(widgets("/keyed"), "alice", bare("keyed", { size: 3, parts: [{ name: "x", count: 2 }] }));
    expect(body.spec.parts).toHaveLength(2);
    expect(body.spec.parts).toContainEqual({ name: "x", count: 2, note: "n" });
    expect(body.spec.parts).toContainEqual({ name: "z" });
  });

  test("the items of a set belong to who applies them, and an atomic list is replaced as one", async () => {
    await api().apply(widgets("/lists"), "alice", bare("lists", { size: 3, tags: ["a", "b"], notes: ["1", "2"] }));
    const { body } = await api().apply(widgets("/lists"), "bob", bare("lists", { tags: ["b", "c"] }));
    expect([...body.spec.tags].sort()).toEqual(["a", "b", "c"]);
    const conflict = await api().apply(widgets("/lists"), "bob", bare("lists", { tags: ["b", "c"], notes: ["1"] }));
    expect(conflict.body.message).toBe('Apply failed with 1 conflict: conflict with "alice": .spec.notes');
    const { body: less } = await api().apply(widgets("/lists"), "alice", bare("lists", { size: 3, notes: ["3"] }));
    expect([...less.spec.tags].sort()).toEqual(["b", "c"]);
    expect(less.spec.notes).toEqual(["3"]);
  });

  test("containers are merged by name, ports by number and protocol, variables by name", async () => {
    const path = api().group("apps", "deployments/ssa");
    const only = (container: Json) => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "ssa" },
      spec: { template: { spec: { containers: [container] } } },
    });
    const created = await api().apply(path, "alice", deployment("ssa"));
    expect(created.status).toBe(201);
    const ports = await api().apply(path, "bob", only({ name: "main", ports: [{ containerPort: 80, name: "http" }] }));
    expect(ports.body.spec.template.spec.containers[0]).toMatchObject({
      image: "example.com/main:1",
      env: [{ name: "A", value: "1" }],
      ports: [{ containerPort: 80, protocol: "TCP", name: "http" }],
    });
    const image = await api().apply(path, "bob", only({ name: "main", image: "example.com/main:2" }));
    expect(image.body.message).toBe(
      'Apply failed with 1 conflict: conflict with "alice": .spec.template.spec.containers[name="main"].image',
    );
    const dropped = await api().apply(path, "bob", only({ name: "main" }));
    expect(dropped.body.spec.template.spec.containers[0].ports).toBeUndefined();
    expect(dropped.body.metadata.generation).toBe(3);
  });

  test("the status is applied through its subresource, by an owner of its own", async () => {
    await api().apply(widgets("/told"), "alice", { ...widget("told"), status: { replicas: 9 } });
    const status = { apiVersion: `${GROUP}/v1`, kind: "Widget", metadata: { name: "told" }, status: { replicas: 2 } };
    const { body } = await api().apply(widgets("/told/status"), "alice", status);
    expect([body.spec.size, body.status.replicas]).toEqual([3, 2]);
    expect(fieldsOf(body, "alice", "status")).toEqual({ "f:status": { "f:replicas": {} } });
    expect(fieldsOf(body, "alice")).toEqual({ "f:spec": { "f:size": {} } });
    const { body: main } = await api().apply(widgets("/told"), "alice", widget("told"));
    expect(main.status).toEqual({ replicas: 2 });
  });

  test("a field that the schema does not know is refused", async () => {
    const { status, body } = await api().apply(widgets("/odd"), "alice", widget("odd", { shape: "round" }));
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body.message).toContain(".spec.shape: field not declared in schema");
  });
}
