// The client against the sandbox's API server: the same calls without sockets and over one.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { connect, type KubeClient, PAGE_SIZE } from "../../src/kube/client.ts";
import type { ConfigMap, Deployment, KubeObject } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { ApiServer } from "../../src/sandbox/apiserver/server.ts";

type Connection = { server: ApiServer; client: KubeClient; [Symbol.asyncDispose](): Promise<void> };

async function inMemory(): Promise<Connection> {
  const server = new ApiServer({ clock: systemClock });
  const client = connect({ clock: systemClock, userAgent: "rollguard/test", dispatcher: server.dispatcher() });
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      server.close();
    },
  };
}

async function overSocket(): Promise<Connection> {
  const server = new ApiServer({ clock: systemClock });
  const listening = await server.listen();
  const dir = mkdtempSync(path.join(tmpdir(), "rollguard-kube-"));
  const file = path.join(dir, "kubeconfig");
  const cluster = { server: listening.url, "insecure-skip-tls-verify": true };
  const context = { cluster: "c", user: "u" };
  const config = { clusters: [{ name: "c", cluster }], users: [{ name: "u", user: {} }], contexts: [{ name: "x", context }] };
  writeFileSync(file, JSON.stringify({ ...config, "current-context": "x" }));
  const client = connect({ clock: systemClock, userAgent: "rollguard/test", kubeconfig: file });
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await listening.close();
      server.close();
      rmSync(dir, { recursive: true });
    },
  };
}

const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default", labels: { part: name.slice(0, 1) } },
  data,
});
const key = (name: string) => ({ namespace: "default", name });

describe.each([
  ["in memory", inMemory],
  ["over a socket", overSocket],
])("%s", (_name, open) => {
  test("an object is made, read, replaced, patched and deleted, with preconditions", async () => {
    await using at = await open();
    const { client } = at;
    const made = await client.create(configMap("a", { x: "1" }));
    await expect(client.create(configMap("a"))).rejects.toMatchObject({ kind: "AlreadyExists" });
    expect(await client.get(RESOURCES.configMaps, key("a"))).toEqual(made);
    const second = await client.replace({ ...made, data: { x: "2" } });
    await expect(client.replace({ ...made, data: { x: "3" } })).rejects.toMatchObject({ kind: "Conflict" });
    const merged = await client.patch<ConfigMap>(RESOURCES.configMaps, key("a"), "merge", { data: { x: null, y: "1" } });
    expect(merged.data).toEqual({ y: "1" });
    const operations = [
      { op: "test", path: "/data/y", value: "1" },
      { op: "add", path: "/data/z", value: "2" },
    ];
    expect((await client.patch<ConfigMap>(RESOURCES.configMaps, key("a"), "json", operations)).data).toEqual({ y: "1", z: "2" });
    const stale = { preconditions: { resourceVersion: second.metadata.resourceVersion ?? "" } };
    await expect(client.delete(RESOURCES.configMaps, key("a"), stale)).rejects.toMatchObject({ kind: "Conflict" });
    await client.delete(RESOURCES.configMaps, key("a"), { preconditions: { uid: made.metadata.uid ?? "" } });
    expect(await client.find(RESOURCES.configMaps, key("a"))).toBeUndefined();
    await expect(client.delete(RESOURCES.configMaps, key("a"))).rejects.toMatchObject({ kind: "NotFound" });
  });

  test("a list of more than two pages comes whole, and each item says what it is", async () => {
    await using at = await open();
    const total = 2 * PAGE_SIZE + 3;
    for (let i = 0; i < total; i++) {
      at.server.create({ group: "", version: "v1", resource: "configmaps" }, configMap(`${i % 2 ? "odd" : "even"}-${i}`));
    }
    const all = await at.client.listAll<ConfigMap>(RESOURCES.configMaps, { namespace: "default" });
    expect(all.items).toHaveLength(total);
    expect(new Set(all.items.map((item) => item.metadata.name)).size).toBe(total);
    expect(all.items[0]).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
    const odd = await at.client.listAll(RESOURCES.configMaps, { labelSelector: "part=o" });
    expect(odd.items).toHaveLength(Math.floor(total / 2));
  });

  test("server-side apply owns its fields, conflicts with others, forces, and takes back what it leaves out", async () => {
    await using at = await open();
    const { client } = at;
    const ours = { fieldManager: "rollguard" };
    await client.apply(configMap("s", { a: "1", b: "1" }), ours);
    await expect(client.apply(configMap("s", { a: "2" }), { fieldManager: "other" })).rejects.toMatchObject({ kind: "Conflict" });
    await client.apply(configMap("s", { a: "2" }), { fieldManager: "other", force: true });
    expect((await client.apply(configMap("s", {}), ours)).data).toEqual({ a: "2" });
  });

  test("status and spec are written apart, a dry run changes nothing, unknown fields are refused", async () => {
    await using at = await open();
    const { client } = at;
    const labels = { app: "d" };
    const made = await client.create<Deployment>({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d", namespace: "default" },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "i" }] } },
      },
    });
    const told = await client.replaceStatus<Deployment>({
      ...made,
      spec: { ...made.spec, replicas: 9 },
      status: { replicas: 1 },
    });
    expect(told).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 1 } });
    expect(await client.replace({ ...told, spec: { ...told.spec, replicas: 5 } }, { dryRun: true })).toMatchObject({
      spec: { replicas: 5 },
    });
    expect(await client.get(RESOURCES.deployments, key("d"))).toEqual(told);
    const odd = { ...configMap("odd"), dta: {} } as KubeObject;
    await expect(client.create(odd)).rejects.toMatchObject({ kind: "Invalid", message: expect.stringContaining("dta") });
  });

  test("a watch tells changes after a version, and ends by its signal or by leaving the loop", async () => {
    await using at = await open();
    const { client } = at;
    const { resourceVersion } = await client.listAll(RESOURCES.configMaps);
    const stop = new AbortController();
    const options = { resourceVersion, timeoutSeconds: 60, signal: stop.signal };
    const seen: string[] = [];
    const made = await client.create(configMap("w"));
    for await (const event of client.watch<ConfigMap>(RESOURCES.configMaps, options)) {
      if (event.type === "BOOKMARK") continue;
      seen.push(`${event.type} ${event.object.metadata.name} ${event.object.data?.x}`);
      if (event.type === "ADDED") await client.replace({ ...made, data: { x: "1" } });
      if (event.type === "MODIFIED") await client.delete(RESOURCES.configMaps, key("w"));
      if (event.type === "DELETED") break;
    }
    expect(seen).toEqual(["ADDED w undefined", "MODIFIED w 1", "DELETED w 1"]);
    const waiting = client.watch(RESOURCES.configMaps, { ...options, resourceVersion: at.server.revision }).next();
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });

  test("other paths can be asked for, and a kind that is not served is no absent object", async () => {
    await using at = await open();
    expect(await at.client.getPath("/version")).toHaveProperty("gitVersion");
    await expect(at.client.find(RESOURCES.modelDeployments, key("x"))).rejects.toMatchObject({ kind: "BadAnswer", status: 404 });
    expect(Math.abs(at.client.serverNow() - Date.now())).toBeLessThan(1500);
  });
});
