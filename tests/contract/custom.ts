// Custom resources: pruning, defaults, validation and CEL as a CRD says, and what becomes of them with it.
import { expect, test } from "vitest";
import { type Api, eventually, type Json, MERGE } from "./client.ts";
import { GROUP, WIDGETS, widget } from "./fixtures.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

export function customTests(api: () => Api): void {
  const widgets = (rest = "") => api().group(GROUP, `widgets${rest}`);

  test("a CRD becomes Established, and its names accepted", async () => {
    const crd = await api().ok("GET", `${CRDS}/${WIDGETS.metadata.name}`);
    const states = crd.status.conditions.map((condition: Json) => `${condition.type}=${condition.status}`);
    expect(states).toContain("Established=True");
    expect(states).toContain("NamesAccepted=True");
    expect(crd.status.storedVersions).toEqual(["v1"]);
  });

  test("defaults are filled in", async () => {
    const { spec } = await api().ok("POST", widgets(), { body: widget("defaulted") });
    expect(spec).toEqual({ size: 3, replicas: 1, colour: "blue" });
  });

  test("what the schema forbids is refused, with each field and Kubernetes' words", async () => {
    const { status, body } = await api().call("POST", widgets(), { body: widget("bad", { size: 0, colour: "pink" }) });
    expect([status, body.reason]).toEqual([422, "Invalid"]);
    expect(body.message).toContain(`Widget.${GROUP} "bad" is invalid: [`);
    expect(body.message).toContain("spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1");
    expect(body.message).toContain('spec.colour: Unsupported value: "pink": supported values: "blue", "red"');
    expect(body.details.causes.map((cause: Json) => cause.field)).toEqual(expect.arrayContaining(["spec.size", "spec.colour"]));
    const missing = await api().call("POST", widgets(), { body: { ...widget("bad"), spec: {} } });
    expect(missing.body.message).toContain("spec.size: Required value");
  });

  test("a whole number is held against the whole part of a bound", async () => {
    const create = (weight: number) => api().call("POST", widgets(), { body: widget(`weight-${weight}`, { weight }) });
    expect((await create(0.4)).body.message).toContain("spec.weight in body should be greater than or equal to 0.5");
    expect((await create(0)).status).toBe(201);
    expect((await create(95)).body.message).toContain("spec.weight in body should be less than or equal to 0");
  });

  test("a null where none is allowed counts as absent", async () => {
    const { spec } = await api().ok("POST", widgets(), { body: widget("nulls", { weight: null, colour: null, replicas: null }) });
    expect(spec).toEqual({ size: 3, colour: "blue", replicas: 1 });
  });

  test("a CEL rule compares with the old object", async () => {
    await api().ok("POST", widgets(), { body: widget("fixed") });
    const { status, body } = await api().call("PATCH", widgets("/fixed"), { body: { spec: { size: 4 } }, type: MERGE });
    expect([status, body.message]).toEqual([
      422,
      `Widget.${GROUP} "fixed" is invalid: spec: Invalid value: size is fixed unless red`,
    ]);
    const red = await api().call("PATCH", widgets("/fixed"), { body: { spec: { size: 4, colour: "red" } }, type: MERGE });
    expect(red.status).toBe(200);
  });

  test("an unknown field is dropped: silently, with a warning, or refused", async () => {
    const body = (name: string) => widget(name, { shape: "round" });
    const ignored = await api().call("POST", widgets(), { body: body("ignored"), query: { fieldValidation: "Ignore" } });
    expect(ignored.body.spec.shape).toBeUndefined();
    expect(ignored.headers.warning).toBeUndefined();
    const warned = await api().call("POST", widgets(), { body: body("warned"), query: { fieldValidation: "Warn" } });
    expect(warned.status).toBe(201);
    expect(warned.headers.warning).toContain('299 - "unknown field \\"spec.shape\\""');
    const strict = await api().call("POST", widgets(), { body: body("strict"), query: { fieldValidation: "Strict" } });
    expect([strict.status, strict.body.reason]).toEqual([400, "BadRequest"]);
    expect(strict.body.message).toContain('strict decoding error: unknown field "spec.shape"');
  });

  test("the status is validated too", async () => {
    await api().ok("POST", widgets(), { body: widget("checked") });
    const { status, body } = await api().call("PATCH", widgets("/checked/status"), {
      body: { status: { conditions: [{ type: "Ready" }] } },
      type: MERGE,
    });
    expect([status, body.message]).toEqual([422, expect.stringContaining("status.conditions[0].status: Required value")]);
  });

  test("a CRD that is deleted takes its objects along, and is no longer served", async () => {
    const group = `gone.${GROUP}`;
    const spec = { ...WIDGETS.spec, group };
    await api().ok("POST", CRDS, { body: { ...WIDGETS, metadata: { name: `widgets.${group}` }, spec } });
    const path = api().group(group, "widgets");
    await eventually(
      () => api().call("GET", path),
      ({ status }) => status === 200,
    );
    await api().ok("POST", path, { body: { ...widget("short-lived"), apiVersion: `${group}/v1` } });
    await api().ok("DELETE", `${CRDS}/widgets.${group}`);
    await eventually(
      () => api().call("GET", `${CRDS}/widgets.${group}`),
      ({ status }) => status === 404,
    );
    await eventually(
      () => api().call("GET", path),
      ({ status }) => status === 404,
    );
  });
}
