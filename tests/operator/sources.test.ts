// Who may ask which source, and where its credentials come from: the operator's own namespace and nowhere else.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { crdOf } from "../../src/api/crd.ts";
import { KINDS } from "../../src/api/kinds.ts";
import { systemClock } from "../../src/clock.ts";
import { Caches } from "../../src/controllers/caches.ts";
import { Secrets } from "../../src/controllers/secrets.ts";
import { Sources } from "../../src/controllers/sources.ts";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { silentLogger } from "../../src/log.ts";
import { ApiServer } from "../../src/sandbox/apiserver/index.ts";
import type { Query } from "../../src/signals/types.ts";

let prometheus: Server;
let client: KubeClient;
let sources: Sources;
const seen: (string | undefined)[] = [];
const stop = new AbortController();

const source = (name: string, spec: object) => ({
  apiVersion: "rollguard.dev/v1alpha1",
  kind: "MetricSource",
  metadata: { name },
  spec: {
    type: "Prometheus",
    address: `http://127.0.0.1:${(prometheus.address() as AddressInfo).port}`,
    namespaces: ["fraud"],
    freeQueries: true,
    ...spec,
  },
});

const secret = (namespace: string, token: string) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "token", namespace },
  data: { token: Buffer.from(token).toString("base64") },
});

const query: Query = {
  kind: "scalar",
  query: "up",
  windowMs: 1000,
  pods: [],
  variables: { namespace: "fraud", name: "m", version: "v", revision: "1", window: "1s", workload: "m-r1" },
};

beforeAll(async () => {
  prometheus = createServer((request, response) => {
    seen.push(request.headers.authorization);
    request.resume();
    response.setHeader("content-type", "application/json");
    const value = [Date.now() / 1000, "1"];
    response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result: [{ metric: {}, value }] } }));
  });
  await new Promise<void>((resolve) => prometheus.listen(0, "127.0.0.1", resolve));
  const server = new ApiServer({ clock: systemClock });
  for (const kind of KINDS) server.installCrd(crdOf(kind));
  client = connect({ clock: systemClock, userAgent: "test", dispatcher: server.dispatcher() });
  for (const name of ["rollguard-system", "fraud"])
    await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  await client.create(secret("rollguard-system", "the-operators"));
  await client.create(secret("fraud", "the-tenants"));
  await client.create(source("with-auth", { auth: { secretRef: { name: "token", key: "token" } } }));
  await client.create(source("missing-key", { auth: { secretRef: { name: "token", key: "other" } } }));
  await client.create(source("closed", { freeQueries: false }));
  await client.create(source("web", { type: "Web" }));
  const caches = new Caches({ client, clock: systemClock, logger: silentLogger });
  await caches.start(stop.signal);
  const secrets = new Secrets(client, systemClock, "rollguard-system");
  sources = new Sources({ client, caches, clock: systemClock, secrets });
});

afterAll(async () => {
  sources.close();
  stop.abort(new Error("done"));
  await client.close();
  prometheus.closeAllConnections();
  prometheus.close();
});

test("a source's credential is read from the operator's own namespace, never from the tenant's", async () => {
  const found = sources.get("with-auth", "fraud");
  if (typeof found === "string") throw new Error(found);
  expect((await found.read(query)).kind).toBe("Value");
  expect(seen.at(-1)).toBe("Bearer the-operators");
});

test("a missing key is a source in error, in words without the secret", async () => {
  const found = sources.get("missing-key", "fraud");
  if (typeof found === "string") throw new Error(found);
  const reading = await found.read(query);
  expect(reading.kind).toBe("Error");
  expect(reading.message).not.toContain("the-operators");
});

test.each([
  ["a namespace that is not listed", "with-auth", "ranking", "may not be used in the namespace ranking"],
  ["a source that does not exist", "nobody", "fraud", "there is no MetricSource nobody"],
  ["free queries without a proxy that enforces the namespace", "closed", "fraud", "presets only"],
])("%s is refused in words", (_words, name, namespace, words) => {
  expect(sources.get(name, namespace)).toContain(words);
});

test("a source without a proxy and without free queries answers presets, and one of type Web does not", () => {
  expect(typeof sources.get("closed", "fraud", true)).toBe("object");
  expect(sources.get("closed", "ranking", true)).toContain("may not be used");
  expect(sources.get("web", "fraud", true)).toContain("presets are PromQL");
});

test("a source that was deleted is closed: it asks nothing more, and holds no connection", async () => {
  await client.create(source("going", {}));
  const waitFor = async (holds: () => boolean) => {
    for (let tries = 0; !holds() && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(holds()).toBe(true);
  };
  await waitFor(() => typeof sources.get("going", "fraud") === "object");
  const found = sources.get("going", "fraud");
  if (typeof found === "string") throw new Error(found);
  await client.delete(RESOURCES.metricSources, { name: "going" });
  await waitFor(() => typeof sources.get("going", "fraud") === "string");
  const before = seen.length;
  expect((await found.read(query)).kind).toBe("Error");
  expect(seen.length).toBe(before);
});
