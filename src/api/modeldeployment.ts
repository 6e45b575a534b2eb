// ModelDeployment: what should serve. The status is in modeldeployment-status.ts.
import { z } from "zod";
import {
  amount,
  atomicList,
  duration,
  entryName,
  integer,
  matching,
  ObjectMetaSchema,
  objectName,
  port,
  rules,
  text,
} from "./common.ts";
import { ModelDeploymentStatusSchema } from "./modeldeployment-status.ts";
import { API_VERSION, MAX_VERSION_NAME } from "./names.ts";
import { PodTemplateSchema } from "./podtemplate.ts";
import { STRATEGIES } from "./reasons.ts";

const absolutePath = (max: number) => matching("^/[^ ]*$", max, "must be an absolute path without spaces, such as /models");

const FetchSchema = z.object({
  image: text(512).optional().describe("Image of the init container; the operator's own where absent."),
  resources: z.looseObject({}).optional().describe("Resource requests and limits of the init container, as in a pod."),
  envFrom: z
    .array(z.looseObject({}))
    .max(16)
    .meta(atomicList)
    .optional()
    .describe("Where the init container's environment comes from, such as a Secret with the credentials of a store."),
  volume: z
    .looseObject({})
    .optional()
    .describe("A volume source instead of the emptyDir at `modelPath`, such as a persistentVolumeClaim."),
  verify: z
    .enum(["Always", "Once"])
    .default("Always")
    .describe("`Always` reads the digest at each start of a pod; `Once` trusts a volume that was verified before."),
});

const StepSchema = z
  .object({
    weight: integer(1, 100).describe("Share of the traffic for the candidate, in percent."),
    hold: duration("1s", "720h").optional().describe("How long the step stays."),
    pause: z.boolean().optional().describe("Wait here for a person's `promote`."),
  })
  .meta(
    rules({
      rule: "has(self.hold) != (has(self.pause) && self.pause)",
      message: "exactly one of hold and pause: true must be set",
    }),
  );

const CanarySchema = z.object({
  steps: z
    .array(StepSchema)
    .min(1)
    .max(20)
    .meta({
      ...atomicList,
      ...rules({
        rule: "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19].all(i, i >= size(self) || self[i - 1].weight < self[i].weight)",
        message: "weights must rise from step to step",
      }),
    })
    .describe("Rising shares of the traffic. After the last one the candidate gets all of it."),
  route: z
    .object({
      parentRefs: z
        .array(z.looseObject({ name: text(253).describe("Name of the Gateway.") }))
        .min(1)
        .max(8)
        .meta(atomicList)
        .describe("Gateways, as in an HTTPRoute."),
      hostnames: z.array(text(253)).max(16).meta(atomicList).optional().describe("Host names, as in an HTTPRoute."),
      matches: z.array(z.looseObject({})).max(16).meta(atomicList).optional().describe("Matches, as in a rule of an HTTPRoute."),
    })
    .optional()
    .describe("The operator makes and owns the HTTPRoute `<name>`. Without it, traffic is shared by replicas."),
});

const StrategySchema = z
  .object({
    type: z
      .enum(STRATEGIES)
      .default("BlueGreen")
      .describe(
        "`BlueGreen` moves all traffic in one write; `Canary` in steps; `Recreate` ends the old pods first, for GPUs without room for two.",
      ),
    canary: CanarySchema.optional().describe("Only for `Canary`, and needed there."),
    standby: z
      .object({
        replicas: amount()
          .default("100%")
          .describe("How many pods the standby keeps: a number, or a share of `replicas` such as 50%."),
        for: duration("0s", "87600h").default("1h").describe("How long it is kept warm after the active one was proven."),
      })
      .prefault({})
      .describe("The last proven revision stays warm, so that traffic can return to it at once."),
    drain: duration("0s", "1h").default("30s").describe("How long pods live after they lost the traffic."),
    progressDeadline: duration("1s", "168h")
      .default("10m")
      .describe("How long pods may take to become ready. Counts only while pods are being waited for."),
  })
  .meta(
    rules(
      { rule: "self.type != 'Canary' || has(self.canary)", message: "canary must be set when type is Canary" },
      { rule: "self.type == 'Canary' || !has(self.canary)", message: "canary may be set only when type is Canary" },
    ),
  );

const ProbeSchema = z.object({
  path: absolutePath(1024).describe("Path of the request."),
  port: port().default("http").describe("Number or name of a container port."),
  method: z.enum(["GET", "POST", "PUT"]).default("POST").describe("Method of the request."),
  headers: z
    .array(
      z.object({
        name: matching("^[-A-Za-z0-9]+$", 128, "must be the name of an HTTP header").describe("Name of the header."),
        value: z.string().max(1024).describe("Its value. No secrets: everyone who sees the object can read it."),
      }),
    )
    .max(16)
    .meta(atomicList)
    .optional()
    .describe("Headers of the request."),
  body: z.string().max(65536).optional().describe("Body of the request."),
  timeout: duration("100ms", "10m").default("5s").describe("How long one attempt may take."),
  attempts: integer(1, 20).default(3).describe("How many attempts a pod gets."),
  expect: z
    .object({
      status: integer(100, 599).default(200).describe("The HTTP status that is expected."),
      jsonPath: matching("^[$].*$", 512, "must be a JSONPath that begins with $, such as $.score")
        .optional()
        .describe("JSONPath (RFC 9535) of one number in the answer."),
      min: z.number().optional().describe("The least that number may be."),
      max: z.number().optional().describe("The most that number may be."),
    })
    .meta(
      rules(
        { rule: "!(has(self.min) && has(self.max)) || self.min <= self.max", message: "min must not be above max" },
        {
          rule: "has(self.jsonPath) || !(has(self.min) || has(self.max))",
          message: "min and max need a jsonPath that says which number is meant",
        },
      ),
    )
    .prefault({})
    .describe("What the answer must be."),
});
export type InferenceProbe = z.infer<typeof ProbeSchema>;

export const ModelDeploymentSpecSchema = z.object({
  model: text(63)
    .meta(rules({ rule: "self == oldSelf", message: "model is immutable: make another ModelDeployment for another model" }))
    .describe("The model. Must equal the version's `model`. Immutable."),
  version: objectName(MAX_VERSION_NAME).describe("The pin: the name of the ModelVersion that should serve."),
  replicas: integer(0, 10_000)
    .default(1)
    .describe("Pods of the revision that receives the traffic. The scale subresource writes it."),
  template: PodTemplateSchema.describe("The pods, as in a Deployment. Unknown fields are kept."),
  container: entryName()
    .optional()
    .describe("The container that gets the version's image, args, env and model. Default: the first."),
  modelPath: absolutePath(512).default("/models").describe("Where the artifact is mounted."),
  fetch: FetchSchema.prefault({}).describe("The init container that downloads and verifies the weights."),
  service: z
    .object({
      port: integer(1, 65535).default(80).describe("Port of the Services."),
      targetPort: port().default("http").describe("Number or name of a container port."),
    })
    .prefault({})
    .describe("The Services `<name>` and `<name>-preview`."),
  strategy: StrategySchema.prefault({}).describe("How traffic moves to a new revision."),
  probe: ProbeSchema.optional().describe("A real inference that each pod of a candidate must answer before it gets traffic."),
  policy: z
    .object({
      // No default of the API server: it would stay behind, alone and invalid, when a server-side apply leaves the policy out.
      kind: z
        .enum(["RollbackPolicy", "ClusterRollbackPolicy"])
        .optional()
        .describe("Kind of the policy. Default RollbackPolicy."),
      name: objectName().describe("Its name."),
    })
    .optional()
    .describe("When to go back. Without one: the built-in checks with their defaults, `Enforce`."),
  podDisruptionBudget: z
    .object({
      minAvailable: amount().optional().describe("Pods that must stay: a number or a percentage."),
      maxUnavailable: amount().optional().describe("Pods that may be away: a number or a percentage."),
    })
    .meta(
      rules({
        rule: "has(self.minAvailable) != has(self.maxUnavailable)",
        message: "exactly one of minAvailable and maxUnavailable must be set",
      }),
    )
    .optional()
    .describe("A PodDisruptionBudget for the pods that receive the traffic. Default: none."),
  paused: z.boolean().default(false).describe("Stops rollouts and automatic rollbacks, and says what it would do."),
  historyLimit: integer(1, 100).default(50).describe("Entries kept in `status.history`. Older ones live on in RolloutRecords."),
});

export const ModelDeploymentSchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("ModelDeployment"),
  metadata: ObjectMetaSchema,
  spec: ModelDeploymentSpecSchema.describe("What should serve."),
  status: ModelDeploymentStatusSchema.optional(),
});
export type ModelDeployment = z.infer<typeof ModelDeploymentSchema>;
export type ModelDeploymentSpec = z.infer<typeof ModelDeploymentSpecSchema>;
