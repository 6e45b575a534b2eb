// Lists: selectors, pages that show one moment, and tables.
import { expect, test } from "vitest";
import type { Api, Json } from "./client.ts";
import { configMap, GROUP, widget } from "./fixtures.ts";

const namesOf = (list: Json): string[] => list.items.map((item: Json) => item.metadata.name);
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };

export function listTests(api: () => Api): void {
  const maps = (rest = "") => api().core(`configmaps${rest}`);

  test("a list has the kind, a resource version and its items in order", async () => {
    await api().ok("POST", maps(), { body: configMap("list-b", {}, { labels: { list: "1", tier: "x" } }) });
    await api().ok("POST", maps(), { body: configMap("list-a", {}, { labels: { list: "1" } }) });
    const list = await api().ok("GET", maps(), { query: { labelSelector: "list" } });
    expect(list).toMatchObject({ kind: "ConfigMapList", apiVersion: "v1" });
    expect(Number(list.metadata.resourceVersion)).toBeGreaterThan(0);
    expect(namesOf(list)).toEqual(["list-a", "list-b"]);
    const everywhere = await api().ok("GET", "/api/v1/configmaps", { query: { labelSelector: "list" } });
    expect(namesOf(everywhere)).toEqual(["list-a", "list-b"]);
  });

  test.each([
    ["list=1,tier=x", ["list-b"]],
    ["list=1,tier!=x", ["list-a"]],
    ["list in (1,2),!tier", ["list-a"]],
    ["list,tier notin (x)", ["list-a"]],
  ])("the label selector %s is understood", async (labelSelector, expected) => {
    expect(namesOf(await api().ok("GET", maps(), { query: { labelSelector } }))).toEqual(expected);
  });

  test("fields can be selected by name; a field that can't be selected by is a bad request", async () => {
    const one = await api().ok("GET", maps(), { query: { fieldSelector: "metadata.name=list-a" } });
    expect(namesOf(one)).toEqual(["list-a"]);
    const bad = await api().call("GET", maps(), { query: { fieldSelector: "data.a=1" } });
    expect([bad.status, bad.body.reason]).toEqual([400, "BadRequest"]);
  });

  test("pages show one moment, whatever changes between them", async () => {
    for (const name of ["p1", "p2", "p3", "p4", "p5"]) {
      await api().ok("POST", maps(), { body: configMap(name, {}, { labels: { paged: "1" } }) });
    }
    const query = { labelSelector: "paged=1", limit: "2" };
    const first = await api().ok("GET", maps(), { query });
    expect(namesOf(first)).toEqual(["p1", "p2"]);
    await api().ok("DELETE", maps("/p4"));
    await api().ok("POST", maps(), { body: configMap("p3b", {}, { labels: { paged: "1" } }) });
    const second = await api().ok("GET", maps(), { query: { ...query, continue: first.metadata.continue } });
    const third = await api().ok("GET", maps(), { query: { ...query, continue: second.metadata.continue } });
    expect([...namesOf(second), ...namesOf(third)]).toEqual(["p3", "p4", "p5"]);
    expect(third.metadata.continue ?? "").toBe("");
    expect(third.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  test("a continue token that is none is a bad request", async () => {
    expect((await api().call("GET", maps(), { query: { limit: "1", continue: "nonsense" } })).status).toBe(400);
  });

  test("a continue token that is too old is Gone", async ({ skip }) => {
    const { compact } = api().connection;
    if (compact === undefined) return skip("this server can't be told to forget");
    const first = await api().ok("GET", maps(), { query: { limit: "1" } });
    await api().ok("POST", maps(), { body: configMap("after-the-first-page") });
    compact();
    const later = await api().call("GET", maps(), { query: { limit: "1", continue: first.metadata.continue } });
    expect([later.status, later.body.reason]).toEqual([410, "Expired"]);
  });

  test("a table has the columns of the CRD and a row an object", async () => {
    await api().ok("POST", api().group(GROUP, "widgets"), { body: widget("tabled") });
    await api().ok("PATCH", api().group(GROUP, "widgets/tabled/status"), {
      body: {
        status: {
          conditions: [
            { type: "Other", status: "x" },
            { type: "Ready", status: "True" },
          ],
        },
      },
      type: "application/merge-patch+json",
    });
    const table = await api().ok("GET", api().group(GROUP, "widgets/tabled"), { headers: TABLE });
    expect(table).toMatchObject({ kind: "Table", apiVersion: "meta.k8s.io/v1" });
    expect(table.columnDefinitions.map((column: Json) => column.name)).toEqual(["Name", "Size", "Ready", "Age"]);
    expect(table.rows[0].cells.slice(0, 3)).toEqual(["tabled", 3, "True"]);
    expect(table.rows[0].cells[3]).toMatch(/^\d+s$/);
    expect(table.rows[0].object.kind).toBe("PartialObjectMetadata");
  });
}
