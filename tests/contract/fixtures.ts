// Objects of the contract suite: small ones of built-in kinds, and a custom kind of its own.
import type { Json } from "./client.ts";

export const GROUP = "contract.rollguard.dev";

export function configMap(name: string, data: Record<string, string> = {}, metadata: Json = {}): Json {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, ...metadata }, data };
}

/** Without replicas, so that a real cluster starts nothing. */
export function deployment(name: string, spec: Json = {}): Json {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "main", image: "example.com/main:1", env: [{ name: "A", value: "1" }] }] },
      },
      ...spec,
    },
  };
}

export function widget(name: string, spec: Json = {}, metadata: Json = {}): Json {
  return { apiVersion: `${GROUP}/v1`, kind: "Widget", metadata: { name, ...metadata }, spec: { size: 3, ...spec } };
}

const CONDITION = {
  type: "object",
  required: ["type", "status"],
  properties: { type: { type: "string" }, status: { type: "string" }, reason: { type: "string" } },
};

export const WIDGETS: Json = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `widgets.${GROUP}` },
  spec: {
    group: GROUP,
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList", shortNames: ["wdg"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: {
            specReplicasPath: ".spec.replicas",
            statusReplicasPath: ".status.replicas",
            labelSelectorPath: ".status.selector",
          },
        },
        additionalPrinterColumns: [
          { name: "Size", type: "integer", jsonPath: ".spec.size" },
          { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
        ],
        schema: {
          openAPIV3Schema: {
            type: "object",
            description: "A widget.",
            required: ["spec"],
            properties: {
              spec: {
                type: "object",
                required: ["size"],
                "x-kubernetes-validations": [
                  { rule: "self.size == oldSelf.size || self.colour == 'red'", message: "size is fixed unless red" },
                ],
                properties: {
                  size: { type: "integer", minimum: 1, description: "How large it is." },
                  replicas: { type: "integer", default: 1 },
                  weight: { type: "number", minimum: 0.5, maximum: 0.9999 },
                  colour: { type: "string", default: "blue", enum: ["blue", "red"] },
                  parts: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    items: {
                      type: "object",
                      required: ["name"],
                      properties: { name: { type: "string" }, count: { type: "integer" }, note: { type: "string" } },
                    },
                  },
                  tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
                  notes: { type: "array", items: { type: "string" } },
                  settings: { type: "object", additionalProperties: { type: "string" } },
                },
              },
              status: {
                type: "object",
                properties: {
                  replicas: { type: "integer" },
                  selector: { type: "string" },
                  conditions: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    items: CONDITION,
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};
