// What single built-in kinds do: defaults, immutability, addresses, and Events under two groups.
import { expect, test } from "vitest";
import { type Api, MERGE } from "./client.ts";
import { configMap, deployment } from "./fixtures.ts";

export function kindTests(api: () => Api): void {
  test("a Deployment is completed with the defaults of Kubernetes", async () => {
    const { spec } = await api().ok("POST", api().group("apps", "deployments"), { body: deployment("defaults") });
    expect(spec).toMatchObject({
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
      template: { spec: { restartPolicy: "Always", terminationGracePeriodSeconds: 30, dnsPolicy: "ClusterFirst" } },
    });
    expect(spec.template.spec.containers[0]).toMatchObject({ imagePullPolicy: "IfNotPresent", terminationMessagePolicy: "File" });
  });

  test("a Deployment's selector is immutable, and must select its own template", async () => {
    await api().ok("POST", api().group("apps", "deployments"), { body: deployment("selector") });
    const { body } = await api().call("PATCH", api().group("apps", "deployments/selector"), {
      body: { spec: { selector: { matchLabels: { other: "x" } }, template: { metadata: { labels: { other: "x" } } } } },
      type: MERGE,
    });
    expect(body.message).toContain("field is immutable");
    const selector = { matchLabels: { app: "another" } };
    const astray = await api().call("POST", api().group("apps", "deployments"), { body: deployment("astray", { selector }) });
    expect([astray.status, astray.body.message]).toEqual([
      422,
      expect.stringContaining("`selector` does not match template `labels`"),
    ]);
  });

  test("a wrong type, an unknown field and a missing image in a Deployment are refused", async () => {
    const create = (spec: unknown, query = {}) =>
      api().call("POST", api().group("apps", "deployments"), { body: deployment("broken", spec), query });
    expect((await create({ replicas: "two" })).status).toBe(400);
    const strict = await create({ replica: 2 }, { fieldValidation: "Strict" });
    expect([strict.status, strict.body.message]).toEqual([400, expect.stringContaining('unknown field "spec.replica"')]);
    const template = { metadata: { labels: { app: "broken" } }, spec: { containers: [{ name: "main" }] } };
    const imageless = await create({ template });
    expect(imageless.body.message).toContain("spec.template.spec.containers[0].image: Required value");
  });

  test("annotations and the template raise a Deployment's generation, labels do not", async () => {
    await api().ok("POST", api().group("apps", "deployments"), { body: deployment("generations") });
    const patch = async (metadata: unknown) =>
      (await api().ok("PATCH", api().group("apps", "deployments/generations"), { body: { metadata }, type: MERGE })).metadata
        .generation;
    expect(await patch({ labels: { a: "b" } })).toBe(1);
    expect(await patch({ annotations: { a: "b" } })).toBe(2);
  });

  test("a Service gets an address, keeps it, and completes its ports", async () => {
    const body = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "addressed" },
      spec: { selector: { app: "x" }, ports: [{ port: 80 }] },
    };
    const made = await api().ok("POST", api().core("services"), { body });
    expect(made.spec.clusterIP).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(made.spec.ports[0]).toMatchObject({ port: 80, targetPort: 80, protocol: "TCP" });
    const put = { ...body, metadata: { ...body.metadata, resourceVersion: made.metadata.resourceVersion } };
    const next = await api().ok("PUT", api().core("services/addressed"), {
      body: { ...put, spec: { ...body.spec, selector: { app: "y" } } },
    });
    expect(next.spec.clusterIP).toBe(made.spec.clusterIP);
    const moved = await api().call("PATCH", api().core("services/addressed"), {
      body: { spec: { clusterIP: "10.1.2.3" } },
      type: MERGE,
    });
    expect(moved.status).toBe(422);
  });

  test("the data of a ControllerRevision never changes; its labels may", async () => {
    const path = api().group("apps", "controllerrevisions");
    const body = {
      apiVersion: "apps/v1",
      kind: "ControllerRevision",
      metadata: { name: "kept" },
      revision: 1,
      data: { spec: { deep: ["as", { it: "is" }] } },
    };
    expect((await api().ok("POST", path, { body })).data).toEqual(body.data);
    const change = await api().call("PATCH", `${path}/kept`, { body: { data: { spec: { deep: [] } } }, type: MERGE });
    expect([change.status, change.body.message]).toEqual([422, expect.stringContaining("field is immutable")]);
    expect((await api().call("PATCH", `${path}/kept`, { body: { metadata: { labels: { a: "b" } } }, type: MERGE })).status).toBe(
      200,
    );
  });

  test("an immutable ConfigMap stays as it is", async () => {
    await api().ok("POST", api().core("configmaps"), { body: { ...configMap("frozen", { a: "1" }), immutable: true } });
    const { status } = await api().call("PATCH", api().core("configmaps/frozen"), { body: { data: { a: "2" } }, type: MERGE });
    expect(status).toBe(422);
  });

  test("a Secret's stringData becomes base64", async () => {
    const body = { apiVersion: "v1", kind: "Secret", metadata: { name: "folded" }, stringData: { token: "abc" } };
    const made = await api().ok("POST", api().core("secrets"), { body });
    expect(made).toMatchObject({ type: "Opaque", data: { token: "YWJj" } });
    expect(made.stringData).toBeUndefined();
  });

  test("an Event of events.k8s.io is an Event of core too", async () => {
    const regarding = { apiVersion: "v1", kind: "ConfigMap", name: "subject", namespace: api().namespace };
    const body = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "told.1" },
      eventTime: "2026-11-24T10:00:00.123456Z",
      reportingController: "rollguard.dev/operator",
      reportingInstance: "one",
      action: "RollBack",
      reason: "RolledBack",
      type: "Warning",
      note: "went back",
      regarding,
    };
    await api().ok("POST", api().group("events.k8s.io", "events"), { body });
    const core = await api().ok("GET", api().core("events"), { query: { fieldSelector: "involvedObject.name=subject" } });
    expect(core.items).toHaveLength(1);
    expect(core.items[0]).toMatchObject({
      message: "went back",
      reportingComponent: "rollguard.dev/operator",
      involvedObject: { name: "subject" },
      eventTime: "2026-11-24T10:00:00.123456Z",
    });
    const again = await api().ok("GET", api().group("events.k8s.io", "events/told.1"));
    expect(again).toMatchObject({ apiVersion: "events.k8s.io/v1", note: "went back", regarding: { name: "subject" } });
  });

  test("a Lease is written by compare and swap", async () => {
    const path = api().group("coordination.k8s.io", "leases");
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "led" },
      spec: { holderIdentity: "a", leaseDurationSeconds: 10, renewTime: "2026-11-24T10:00:00.000000Z" },
    };
    const made = await api().ok("POST", path, { body });
    await api().ok("PUT", `${path}/led`, { body: { ...made, spec: { ...made.spec, holderIdentity: "b" } } });
    const late = await api().call("PUT", `${path}/led`, { body: { ...made, spec: { ...made.spec, holderIdentity: "c" } } });
    expect(late.status).toBe(409);
    expect((await api().call("PUT", `${path}/led`, { body })).status).toBe(422);
  });
}
