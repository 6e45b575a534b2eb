// Watches: from a version, from now on, with selectors, bookmarks and ends.
import { expect, test } from "vitest";
import { type Api, MERGE } from "./client.ts";
import { configMap, GROUP, widget } from "./fixtures.ts";

export function watchTests(api: () => Api): void {
  const maps = (rest = "") => api().core(`configmaps${rest}`);
  const make = (name: string, labels: Record<string, string>) =>
    api().ok("POST", maps(), { body: configMap(name, {}, { labels }) });

  test("a watch from a version shows each later change once, in order", async () => {
    const { metadata } = await api().ok("GET", maps());
    const query = { resourceVersion: metadata.resourceVersion, labelSelector: "w=1" };
    await make("w-a", { w: "1" });
    await api().ok("PATCH", maps("/w-a"), { body: { data: { a: "1" } }, type: MERGE });
    const watch = await api().watch(maps(), query);
    expect(await watch.take(2)).toEqual(["ADDED w-a", "MODIFIED w-a"]);
    await make("w-b", { w: "1" });
    await api().ok("DELETE", maps("/w-a"));
    expect(await watch.take(2)).toEqual(["ADDED w-b", "DELETED w-a"]);
    watch.close();
  });

  test("a watch without a version begins with what is there", async () => {
    await make("w-there", { w: "2" });
    const watch = await api().watch(maps(), { labelSelector: "w=2" });
    expect(await watch.take(1)).toEqual(["ADDED w-there"]);
    watch.close();
  });

  test("the last state of a deleted object has the version of its deletion", async () => {
    const made = await make("w-gone", { w: "3" });
    const watch = await api().watch(maps(), { resourceVersion: made.metadata.resourceVersion, labelSelector: "w=3" });
    await api().ok("DELETE", maps("/w-gone"));
    const event = await watch.next();
    expect(event.type).toBe("DELETED");
    expect(Number(event.object.metadata.resourceVersion)).toBeGreaterThan(Number(made.metadata.resourceVersion));
    watch.close();
  });

  test("an object that enters a selection is ADDED, and one that leaves it DELETED", async () => {
    const made = await make("w-moves", { w: "no" });
    const watch = await api().watch(maps(), { resourceVersion: made.metadata.resourceVersion, labelSelector: "w=4" });
    await api().ok("PATCH", maps("/w-moves"), { body: { metadata: { labels: { w: "4" } } }, type: MERGE });
    await api().ok("PATCH", maps("/w-moves"), { body: { metadata: { labels: { w: "no" } } }, type: MERGE });
    expect(await watch.take(2)).toEqual(["ADDED w-moves", "DELETED w-moves"]);
    watch.close();
  });

  test("a watch of one name sees no other", async () => {
    const { metadata } = await api().ok("GET", maps());
    const query = { resourceVersion: metadata.resourceVersion, fieldSelector: "metadata.name=w-two" };
    const watch = await api().watch(maps(), query);
    await make("w-one", {});
    await make("w-two", {});
    expect(await watch.take(1)).toEqual(["ADDED w-two"]);
    watch.close();
  });

  test("a watch ends by itself after timeoutSeconds", async () => {
    const { metadata } = await api().ok("GET", maps());
    const watch = await api().watch(maps(), { resourceVersion: metadata.resourceVersion, timeoutSeconds: "1" });
    expect(await watch.next()).toBeUndefined();
  });

  test("initial events are followed by a bookmark that says so", async () => {
    await make("w-initial", { w: "5" });
    const watch = await api().watch(maps(), {
      labelSelector: "w=5",
      sendInitialEvents: "true",
      resourceVersionMatch: "NotOlderThan",
      allowWatchBookmarks: "true",
    });
    expect(await watch.take(1)).toEqual(["ADDED w-initial"]);
    const bookmark = await watch.next();
    expect(bookmark.type).toBe("BOOKMARK");
    expect(bookmark.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
    expect(Number(bookmark.object.metadata.resourceVersion)).toBeGreaterThan(0);
    watch.close();
    const wrong = await api().call("GET", maps(), { query: { watch: "true", sendInitialEvents: "true" } });
    expect(wrong.status).toBe(422);
  });

  test("a version that is too old is an ERROR event of 410", async ({ skip }) => {
    const { compact } = api().connection;
    if (compact === undefined) return skip("this server can't be told to forget");
    const made = await make("w-old", {});
    await make("w-newer", {});
    compact();
    const watch = await api().watch(maps(), { resourceVersion: made.metadata.resourceVersion });
    expect(watch.status).toBe(200);
    const event = await watch.next();
    expect(event).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } });
    expect(await watch.next()).toBeUndefined();
  });

  test("a watch of tables sends one row an event", async () => {
    const widgets = api().group(GROUP, "widgets");
    const { metadata } = await api().ok("GET", widgets);
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const watch = await api().watch(widgets, { resourceVersion: metadata.resourceVersion }, { accept });
    await api().ok("POST", widgets, { body: widget("w-row") });
    const event = await watch.next();
    expect(event.object.kind).toBe("Table");
    expect(event.object.rows).toHaveLength(1);
    expect(event.object.rows[0].cells[0]).toBe("w-row");
    watch.close();
  });
}
