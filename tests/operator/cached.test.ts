// What the caches keep of objects, and what is taken for ours in objects of others.

import { expect, test } from "vitest";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { trimNode } from "../../src/controllers/cached.ts";
import { routeFacts, weightsPatch } from "../../src/controllers/routes.ts";
import type { HttpRoute, Node } from "../../src/kube/objects.ts";

test("of a node only its readiness is kept", () => {
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n", uid: "u", resourceVersion: "1", labels: { zone: "a" } },
    status: {
      conditions: [
        { type: "DiskPressure", status: "False" },
        { type: "Ready", status: "False" },
      ],
      images: [{ names: ["model:1"], sizeBytes: 1 }],
    },
  } as unknown as Node;
  expect(trimNode(node)).toEqual({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n", uid: "u", resourceVersion: "1" },
    status: { conditions: [{ type: "Ready", status: "False" }] },
  });
});

test("backends of the same names in another namespace are not weighed, nor taken for the deployment's", () => {
  const backends = (namespace: string) => [
    { name: "toy", namespace, port: 80, weight: 100 },
    { name: "toy-preview", namespace, port: 80, weight: 0 },
  ];
  const route = (namespace: string): HttpRoute =>
    ({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { name: "toy", namespace: "mine", resourceVersion: "7", annotations: { "rollguard.dev/adopt": "toy" } },
      spec: { parentRefs: [{ name: "gateway" }], rules: [{ backendRefs: backends(namespace) }] },
    }) as unknown as HttpRoute;
  const deployment = { metadata: { name: "toy", namespace: "mine", uid: "u" } } as unknown as ModelDeployment;
  const facts = (namespace: string) =>
    routeFacts(route(namespace), { name: "toy", uid: deployment.metadata.uid }, { main: 1, preview: 2 });
  expect(weightsPatch(route("mine"), "toy", 20, 3)).toHaveLength(5);
  expect(facts("mine").message ?? "").not.toContain("has both backends");
  expect(weightsPatch(route("theirs"), "toy", 20, 3)).toEqual([]);
  expect(facts("theirs")).toMatchObject({ accepted: "False", message: expect.stringContaining("has both backends") });
});
