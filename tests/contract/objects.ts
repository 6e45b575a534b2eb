// Creating, reading, replacing and deleting: what the server sets, keeps and refuses.
import { expect, test } from "vitest";
import { type Api, eventually, JSON_PATCH, MERGE } from "./client.ts";
import { configMap, deployment, GROUP, widget } from "./fixtures.ts";

export function objectTests(api: () => Api): void {
  const maps = (rest = "") => api().core(`configmaps${rest}`);
  const widgets = (rest = "") => api().group(GROUP, `widgets${rest}`);

  test("a created object gets uid, creation time and resource version, and those the client sent are not taken", async () => {
    const { status, body } = await api().call("POST", maps(), { body: configMap("made", { a: "1" }, { uid: "mine" }) });
    expect(status).toBe(201);
    expect(body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(body.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0);
    expect(body.metadata.namespace).toBe(api().namespace);
    expect((await api().ok("GET", maps("/made"))).metadata.uid).toBe(body.metadata.uid);
  });

  test("a second object by the same name is refused as AlreadyExists", async () => {
    await api().ok("POST", maps(), { body: configMap("twice") });
    const { status, body } = await api().call("POST", maps(), { body: configMap("twice") });
    expect(status).toBe(409);
    expect(body).toMatchObject({ kind: "Status", status: "Failure", reason: "AlreadyExists", code: 409 });
    expect(body.message).toBe('configmaps "twice" already exists');
  });

  test("what is not there is NotFound, with the words of Kubernetes", async () => {
    const missing = await api().call("GET", maps("/nothing"));
    expect(missing.status).toBe(404);
    expect(missing.body).toMatchObject({ reason: "NotFound", message: 'configmaps "nothing" not found' });
    const custom = await api().call("GET", widgets("/nothing"));
    expect(custom.body.message).toBe(`widgets.${GROUP} "nothing" not found`);
    const nowhere = await api().call("POST", "/api/v1/namespaces/no-such-namespace/configmaps", { body: configMap("x") });
    expect([nowhere.status, nowhere.body.message]).toEqual([404, 'namespaces "no-such-namespace" not found']);
  });

  test("generateName makes distinct names", async () => {
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "gen-" } };
    const names = await Promise.all([0, 1].map(async () => (await api().ok("POST", maps(), { body })).metadata.name));
    expect(names[0]).toMatch(/^gen-[a-z0-9]{5}$/);
    expect(names[0]).not.toBe(names[1]);
  });

  test("names, labels and label values that Kubernetes does not allow are refused", async () => {
    const named = await api().call("POST", maps(), { body: configMap("Not_A_Name") });
    expect(named.status).toBe(422);
    expect(named.body.message).toContain('metadata.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain');
    const labelled = await api().call("POST", maps(), { body: configMap("labelled", {}, { labels: { a: "no spaces" } }) });
    expect(labelled.body.message).toContain('metadata.labels: Invalid value: "no spaces"');
  });

  test("a body of another kind, version or namespace than the path is a bad request", async () => {
    const kind = await api().call("POST", maps(), { body: { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } } });
    expect(kind.status).toBe(400);
    const namespace = await api().call("POST", maps(), { body: configMap("x", {}, { namespace: "default" }) });
    expect(namespace.status).toBe(400);
    expect(namespace.body.message).toContain("does not match the namespace");
  });

  test("a replace with a stale resource version is a Conflict, and changes nothing", async () => {
    const first = await api().ok("POST", maps(), { body: configMap("raced", { a: "1" }) });
    const second = await api().ok("PUT", maps("/raced"), { body: { ...first, data: { a: "2" } } });
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
    const { status, body } = await api().call("PUT", maps("/raced"), { body: { ...first, data: { a: "3" } } });
    expect([status, body.reason]).toEqual([409, "Conflict"]);
    expect(body.message).toBe(
      'Operation cannot be fulfilled on configmaps "raced": the object has been modified; please apply your changes to the latest version and try again',
    );
    expect((await api().ok("GET", maps("/raced"))).data).toEqual({ a: "2" });
  });

  test("a replace without a resource version works for ConfigMaps, not for custom resources", async () => {
    await api().ok("POST", maps(), { body: configMap("blind") });
    expect((await api().call("PUT", maps("/blind"), { body: configMap("blind", { a: "1" }) })).status).toBe(200);
    await api().ok("POST", widgets(), { body: widget("blind") });
    const { status, body } = await api().call("PUT", widgets("/blind"), { body: widget("blind") });
    expect(status).toBe(422);
    expect(body.message).toContain("metadata.resourceVersion: Invalid value: 0: must be specified for an update");
  });

  test("a write that changes nothing keeps the resource version", async () => {
    const made = await api().ok("POST", maps(), { body: configMap("still", { a: "1" }) });
    const put = await api().ok("PUT", maps("/still"), { body: made });
    const patched = await api().ok("PATCH", maps("/still"), { body: { data: { a: "1" } }, type: MERGE });
    expect([put, patched].map((object) => object.metadata.resourceVersion)).toEqual([
      made.metadata.resourceVersion,
      made.metadata.resourceVersion,
    ]);
  });

  test("the generation rises with the spec, not with labels or the status", async () => {
    const made = await api().ok("POST", widgets(), { body: widget("counted") });
    const patch = (body: unknown, sub = "") => api().ok("PATCH", widgets(`/counted${sub}`), { body, type: MERGE });
    expect(made.metadata.generation).toBe(1);
    expect((await patch({ metadata: { labels: { a: "b" } } })).metadata.generation).toBe(1);
    expect((await patch({ status: { replicas: 4 } }, "/status")).metadata.generation).toBe(1);
    expect((await patch({ spec: { replicas: 4 } })).metadata.generation).toBe(2);
  });

  test("the status is written only through its subresource, and nothing else is", async () => {
    const made = await api().ok("POST", widgets(), { body: { ...widget("halves"), status: { replicas: 9 } } });
    expect(made.status).toBeUndefined();
    const through = await api().ok("PUT", widgets("/halves/status"), {
      body: { ...made, spec: { size: 9 }, metadata: { ...made.metadata, labels: { a: "b" } }, status: { replicas: 2 } },
    });
    expect([through.spec.size, through.status.replicas]).toEqual([3, 2]);
    const main = await api().ok("PATCH", widgets("/halves"), {
      body: { spec: { replicas: 5 }, status: { replicas: 8 } },
      type: MERGE,
    });
    expect([main.spec.replicas, main.status.replicas]).toEqual([5, 2]);
  });

  test("the scale subresource reads and writes the replicas of Deployments and of custom resources", async () => {
    await api().ok("POST", api().group("apps", "deployments"), { body: deployment("scaled") });
    const path = api().group("apps", "deployments/scaled/scale");
    const scale = await api().ok("GET", path);
    expect(scale).toMatchObject({ kind: "Scale", apiVersion: "autoscaling/v1", spec: {}, status: { selector: "app=scaled" } });
    // Without a resource version, because a cluster's own controller writes to a new Deployment too.
    const metadata = { ...scale.metadata, resourceVersion: undefined };
    await api().ok("PUT", path, { body: { ...scale, metadata, spec: { replicas: 0 } } });

    await api().ok("POST", widgets(), { body: widget("scaled") });
    await api().ok("PATCH", widgets("/scaled/status"), { body: { status: { replicas: 1, selector: "a=b" } }, type: MERGE });
    expect(await api().ok("GET", widgets("/scaled/scale"))).toMatchObject({
      spec: { replicas: 1 },
      status: { replicas: 1, selector: "a=b" },
    });
    await api().ok("PATCH", widgets("/scaled/scale"), { body: { spec: { replicas: 7 } }, type: MERGE });
    expect((await api().ok("GET", widgets("/scaled"))).spec.replicas).toBe(7);
  });

  test("uid and resource version are preconditions of a delete", async () => {
    const made = await api().ok("POST", maps(), { body: configMap("guarded") });
    const wrong = await api().call("DELETE", maps("/guarded"), { body: { preconditions: { uid: "another" } } });
    expect([wrong.status, wrong.body.reason]).toEqual([409, "Conflict"]);
    const stale = await api().call("DELETE", maps("/guarded"), { body: { preconditions: { resourceVersion: "1" } } });
    expect(stale.status).toBe(409);
    const right = await api().call("DELETE", maps("/guarded"), { body: { preconditions: { uid: made.metadata.uid } } });
    expect(right.body).toMatchObject({ kind: "Status", status: "Success" });
    expect((await api().call("GET", maps("/guarded"))).status).toBe(404);
  });

  test("an object with finalizers is marked, takes no new ones, and goes when the last is removed", async () => {
    await api().ok("POST", maps(), { body: configMap("held", {}, { finalizers: ["rollguard.dev/test"] }) });
    const marked = await api().ok("DELETE", maps("/held"));
    expect(marked.metadata.deletionTimestamp).toBeDefined();
    const more = await api().call("PATCH", maps("/held"), {
      body: { metadata: { finalizers: ["rollguard.dev/test", "rollguard.dev/more"] } },
      type: MERGE,
    });
    expect([more.status, more.body.message]).toEqual([422, expect.stringContaining("no new finalizers can be added")]);
    expect((await api().call("GET", maps("/held"))).status).toBe(200);
    await api().ok("PATCH", maps("/held"), { body: [{ op: "remove", path: "/metadata/finalizers" }], type: JSON_PATCH });
    expect((await api().call("GET", maps("/held"))).status).toBe(404);
  });

  test("a pod on a node stays for its grace period, which can be shortened, until the node deletes it with none", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "graceful" },
      spec: {
        nodeName: "no-such-node",
        terminationGracePeriodSeconds: 20,
        automountServiceAccountToken: false,
        containers: [{ name: "main", image: "example.com/main:1" }],
      },
    };
    await api().ok("POST", api().core("pods"), { body: pod });
    const marked = await api().ok("DELETE", api().core("pods/graceful"));
    expect(marked.metadata.deletionGracePeriodSeconds).toBe(20);
    expect(marked.metadata.deletionTimestamp).toBeDefined();
    expect((await api().call("GET", api().core("pods/graceful"))).status).toBe(200);
    const shorter = await api().ok("DELETE", api().core("pods/graceful"), { body: { gracePeriodSeconds: 5 } });
    expect(shorter.metadata.deletionGracePeriodSeconds).toBe(5);
    expect(Date.parse(shorter.metadata.deletionTimestamp)).toBeLessThan(Date.parse(marked.metadata.deletionTimestamp));
    await api().ok("DELETE", api().core("pods/graceful"), { body: { gracePeriodSeconds: 0 } });
    expect((await api().call("GET", api().core("pods/graceful"))).status).toBe(404);
  });

  test("a dry run answers as the write would, and writes nothing", async () => {
    const query = { dryRun: "All" };
    expect((await api().call("POST", maps(), { body: configMap("dry"), query })).status).toBe(201);
    expect((await api().call("GET", maps("/dry"))).status).toBe(404);
    const made = await api().ok("POST", maps(), { body: configMap("dry") });
    const put = await api().ok("PUT", maps("/dry"), { body: { ...made, data: { a: "1" } }, query });
    expect(put.data).toEqual({ a: "1" });
    await api().ok("DELETE", maps("/dry"), { query });
    expect((await api().ok("GET", maps("/dry"))).data ?? {}).toEqual({});
  });

  test("a collection is deleted by labels", async () => {
    for (const [name, set] of Object.entries({ one: "x", two: "x", three: "y" })) {
      await api().ok("POST", maps(), { body: configMap(`set-${name}`, {}, { labels: { set } }) });
    }
    await api().ok("DELETE", maps(), { query: { labelSelector: "set=x" } });
    const left = await api().ok("GET", maps(), { query: { labelSelector: "set" } });
    expect(left.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(["set-three"]);
  });

  test("discovery names groups, versions, resources and their subresources", async () => {
    expect((await api().ok("GET", "/api")).versions).toEqual(["v1"]);
    const group = await api().ok("GET", `/apis/${GROUP}`);
    expect(group).toMatchObject({ kind: "APIGroup", preferredVersion: { groupVersion: `${GROUP}/v1` } });
    const list = await api().ok("GET", `/apis/${GROUP}/v1`);
    const names = list.resources.map((resource: { name: string }) => resource.name);
    expect(names.sort()).toEqual(["widgets", "widgets/scale", "widgets/status"]);
    expect(list.resources).toContainEqual(expect.objectContaining({ name: "widgets", kind: "Widget", shortNames: ["wdg"] }));
    expect((await api().call("GET", "/apis/no.such.group/v1/things")).status).toBe(404);
    // A real server publishes the schema of a new CRD a moment later, and calls this answer plain text.
    const index = async () => {
      const { body } = await api().call("GET", "/openapi/v3");
      return typeof body === "string" ? JSON.parse(body) : body;
    };
    const { paths } = await eventually(index, (answer) => answer.paths[`apis/${GROUP}/v1`] !== undefined);
    const document = await api().ok("GET", paths[`apis/${GROUP}/v1`].serverRelativeURL);
    expect(JSON.stringify(document)).toContain("How large it is.");
  });
}
