// Real processes behind real listeners: a Deployment answers through its Service, and no request fails while it moves.
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  DEPLOYMENTS,
  type Deployment,
  ENDPOINT_SLICES,
  type EndpointSlice,
  SERVICES,
} from "../../src/sandbox/controllers/kinds.ts";
import { type Sandbox, startSandbox } from "../../src/sandbox/sandbox.ts";
import {
  available,
  deployment,
  eventually,
  get,
  podsOf,
  serverContainer,
  service,
  shell,
  startClients,
  urlOf,
} from "./support.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.close());

test("a Deployment answers through its Service, by turns", async () => {
  const { api } = sandbox;
  api.create(DEPLOYMENTS, deployment("web", [serverContainer("one")]));
  api.create(SERVICES, service("web", { app: "web" }));
  await available(api, "web", 2);
  const url = await urlOf(api, "web");
  const answers = new Set(await Promise.all([1, 2, 3, 4].map(() => get(url))));
  expect([...answers].sort()).toEqual(podsOf(api, { app: "web" }).map((pod) => `one ${pod.metadata.name}`));
});

test("a rolling update fails no request, kept-alive or not", async () => {
  const { api } = sandbox;
  const clients = startClients(await urlOf(api, "web"));
  await eventually("answers of the old one", () => (clients.answers.get("one") ?? 0) > 20);
  const old = api.get(DEPLOYMENTS, "default", "web") as Deployment;
  const template = { ...old.spec.template, spec: { ...old.spec.template.spec, containers: [serverContainer("two")] } };
  api.update(DEPLOYMENTS, { ...old, spec: { ...old.spec, template } });
  await eventually("answers of the new one", () => (clients.answers.get("two") ?? 0) > 50);
  await available(api, "web", 2);
  await eventually("only new pods", () => podsOf(api, { app: "web" }).length === 2);
  const before = clients.answers.get("one") ?? 0;
  await eventually("more answers", () => (clients.answers.get("two") ?? 0) > 200);
  await clients.stop();
  expect(clients.failures).toEqual([]);
  expect(clients.answers.get("one")).toBe(before);
}, 30_000);

test("a selector that moves takes the new connections along, and fails no request", async () => {
  const { api } = sandbox;
  api.create(DEPLOYMENTS, deployment("blue", [serverContainer("blue")], { replicas: 1 }));
  api.create(DEPLOYMENTS, deployment("green", [serverContainer("green")], { replicas: 1 }));
  api.create(SERVICES, service("moving", { app: "blue" }, 8080));
  await Promise.all([available(api, "blue", 1), available(api, "green", 1)]);
  const url = await urlOf(api, "moving");
  const clients = startClients(url);
  await eventually("answers of blue", () => (clients.answers.get("blue") ?? 0) > 20);
  const moving = api.get(SERVICES, "default", "moving");
  if (!moving) throw new Error("the Service is gone");
  api.update(SERVICES, { ...moving, spec: { ...moving.spec, selector: { app: "green" } } });
  await eventually("answers of green", () => (clients.answers.get("green") ?? 0) > 50);
  expect((await get(url)).split(" ")[0]).toBe("green");
  // Kept connections stay with blue until it goes.
  const blue = api.get(DEPLOYMENTS, "default", "blue") as Deployment;
  api.update(DEPLOYMENTS, { ...blue, spec: { ...blue.spec, replicas: 0 } });
  await eventually("blue gone", () => podsOf(api, { app: "blue" }).length === 0);
  const before = clients.answers.get("green") ?? 0;
  await eventually("more answers", () => (clients.answers.get("green") ?? 0) > before + 50);
  await clients.stop();
  expect(clients.failures).toEqual([]);
}, 30_000);

test("a pod that is not ready gets no new connection, and none is left to refuse", async () => {
  const { api } = sandbox;
  const url = await urlOf(api, "moving");
  const [green] = podsOf(api, { app: "green" });
  await get(`http://${green?.status?.podIP}:8080/unready`);
  const endpoints = () =>
    (api.list(ENDPOINT_SLICES, "default", { "kubernetes.io/service-name": "moving" }) as EndpointSlice[])[0]?.endpoints;
  const [endpoint] = await eventually("not ready", () => endpoints()?.[0]?.conditions.ready === false && endpoints());
  expect(endpoint?.conditions).toEqual({ ready: false, serving: false, terminating: false });
  await expect(get(url)).rejects.toThrow(/ECONNRESET|hang up/);
});

test("an endpoint that refuses is passed over for another one", async () => {
  const { api } = sandbox;
  const labels = { app: "half" };
  // Ready without a probe, but nothing listens there.
  api.create(
    DEPLOYMENTS,
    deployment("deaf", [shell("main", "exec sleep 60", { ports: [{ name: "http", containerPort: 8080 }] })], {}, labels),
  );
  api.create(DEPLOYMENTS, deployment("hears", [serverContainer("half")], { replicas: 1 }, { ...labels, only: "hears" }));
  api.create(SERVICES, service("half", labels));
  await available(api, "hears", 1);
  await available(api, "deaf", 2);
  const url = await urlOf(api, "half");
  for (let i = 0; i < 6; i++) expect(await get(url)).toMatch(/^half /);
});

test("where 127.0.0.1 is the only address, pods and Services get ports of their own", async () => {
  const shared = await startSandbox({ sharedAddress: true });
  const { api } = shared;
  api.create(DEPLOYMENTS, deployment("web", [serverContainer("one")]));
  api.create(SERVICES, service("named", { app: "web" }));
  api.create(SERVICES, service("numbered", { app: "web" }, 8080));
  await available(api, "web", 2);
  const urls = [await urlOf(api, "named"), await urlOf(api, "numbered")];
  expect(new Set(urls).size).toBe(2);
  for (const url of urls) {
    expect(new URL(url).hostname).toBe("127.0.0.1");
    const answers = new Set(await Promise.all([1, 2, 3, 4].map(() => get(url))));
    expect([...answers].sort()).toEqual(podsOf(api, { app: "web" }).map((pod) => `one ${pod.metadata.name}`));
  }
  await shared.close();
});
