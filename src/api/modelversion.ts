// ModelVersion: what was trained. The spec is immutable, except `lifecycle`; the rules for that are made per field in crd.ts.
import { z } from "zod";
import { conditions, counter, digest, listMap, matching, ObjectMetaSchema, objectName, rules, text, time } from "./common.ts";
import { API_VERSION } from "./names.ts";
import { LIFECYCLES, POSITIONS, STANDINGS } from "./reasons.ts";

const URI_MESSAGE = "must be a URI such as https://host/path, without spaces";
const anyUri = () => matching("^[a-z][a-z0-9+.-]*://[^ ]+$", 2048, URI_MESSAGE);

const settings = (what: string) =>
  z
    .record(z.string(), z.string().max(1024))
    .meta({
      maxProperties: 64,
      ...rules({ rule: "self.all(key, size(key) > 0 && size(key) <= 128)", message: "keys must have 1 to 128 characters" }),
    })
    .describe(what);

const ArtifactFileSchema = z.object({
  path: matching(
    "^[A-Za-z0-9_][-A-Za-z0-9_.]*(/[A-Za-z0-9_][-A-Za-z0-9_.]*)*$",
    512,
    "must be a relative path of letters, digits, '-', '_', '.' and '/', without '..'",
  ).describe("Path below `artifact.uri` and below `modelPath`."),
  digest: digest().describe("SHA-256 of the file's content."),
  sizeBytes: z.int().min(0).max(1e15).optional().describe("Size in bytes; a longer or shorter file is refused."),
});
export type ArtifactFile = z.infer<typeof ArtifactFileSchema>;

const ArtifactSchema = z
  .object({
    uri: z
      .string()
      .min(1)
      .max(2048)
      .meta(
        rules(
          {
            rule: "self.matches('^(s3|gs|az|https?|hf|oci|pvc|file)://[^ ]+$')",
            message: "must be a URI of one of the schemes s3, gs, az, https, http, hf, oci, pvc or file, without spaces",
          },
          {
            rule: "!self.matches('^https?://[^/?]*@')",
            message: "must not contain a user name or password: give credentials to spec.fetch of the ModelDeployment",
          },
        ),
      )
      .describe("Where the weights are: `s3`, `gs`, `az`, `https`, `http`, `hf`, `oci`, `pvc` or `file`."),
    digest: digest().optional().describe("SHA-256 of the content. What is loaded must match it. Either this or `files`."),
    files: z
      .array(ArtifactFileSchema)
      .min(1)
      .max(256)
      .meta(listMap("path"))
      .optional()
      .describe("Instead of one digest, where the artifact is a directory (sharded weights, a Triton repository)."),
    format: text(63).optional().describe("Format of the weights, such as `onnx` or `safetensors`. For people and servers."),
    sizeBytes: z
      .int()
      .min(1)
      .max(1e15)
      .optional()
      .describe("Size of the whole artifact in bytes; a longer or shorter one is refused."),
    load: z
      .enum(["Fetch", "None"])
      .default("Fetch")
      .describe(
        "`Fetch`: the init container downloads and verifies the weights. `None`: the server loads them by itself; the digest is passed to it.",
      ),
  })
  .meta(
    rules({
      rule: "has(self.digest) != has(self.files)",
      message: "exactly one of digest and files must be set: digest for one file, files for a directory",
    }),
  );

const DatasetSchema = z.object({
  name: text(253).describe("Name of the data set."),
  version: text(128).optional().describe("Its version."),
  uri: anyUri().optional().describe("Where it is."),
  digest: digest().optional().describe("SHA-256 of its content or manifest."),
});

const TrainingSchema = z.object({
  dataset: DatasetSchema.optional().describe("What it was trained on."),
  source: z
    .object({
      repository: anyUri().optional().describe("Repository of the training code."),
      revision: text(128).optional().describe("Commit of the training code."),
    })
    .optional()
    .describe("What trained it."),
  run: z
    .object({ id: text(253).describe("Id of the run in the tracker."), uri: anyUri().optional().describe("Page of the run.") })
    .optional()
    .describe("The training run."),
  completedAt: time().optional().describe("When the training ended (RFC 3339)."),
});

const ValidationMetricSchema = z.object({
  name: text(63).describe("Name of the metric, such as `accuracy`; a check's `baseline.metric` refers to it."),
  value: z.number().describe("What the version scored before it was shipped."),
  dataset: text(253).optional().describe("What it was measured on."),
});

const EnvVarSchema = z.object({
  name: matching("^[A-Za-z_][-._A-Za-z0-9]*$", 128, "must be the name of an environment variable, such as MAX_BATCH").describe(
    "Name of the variable.",
  ),
  value: z
    .string()
    .max(4096)
    .default("")
    .describe("Its value. No secrets: a version is readable by everyone who sees the namespace."),
});

/** The content of a version, without its rules; also kept in RolloutRecords. */
export const ModelVersionContentSchema = z.object({
  model: text(63).describe("The model that this is a version of."),
  version: text(63).describe("The version's own number or name, such as `2.1.0`."),
  artifact: ArtifactSchema.describe("The weights."),
  parameters: settings("Facts of the model, such as `count` and `precision`.").optional(),
  hyperparameters: settings("What it was trained with, such as `learningRate`.").optional(),
  training: TrainingSchema.optional().describe("Where it comes from."),
  validationMetrics: z
    .array(ValidationMetricSchema)
    .max(64)
    .meta(listMap("name"))
    .optional()
    .describe("What it scored before it was shipped."),
  owner: z
    .object({
      team: text(128).describe("Who answers for it."),
      contact: text(253).optional().describe("How they are reached."),
    })
    .optional()
    .describe("Who answers for the version."),
  description: text(4096).optional().describe("What is new in it, for people."),
  serving: z
    .object({
      image: text(512).optional().describe("Image of the server container; the deployment's own where absent."),
      args: z
        .array(z.string().max(1024))
        .max(64)
        .meta({ "x-kubernetes-list-type": "atomic" })
        .optional()
        .describe("Arguments of the server."),
      env: z.array(EnvVarSchema).max(64).meta(listMap("name")).optional().describe("Environment variables of the server."),
    })
    .optional()
    .describe("Settings that travel with the weights, and come back with them."),
  lifecycle: z
    .enum(LIFECYCLES)
    .default("Active")
    .describe(
      "`Active`; `Deprecated` warns on use; `Revoked` leaves wherever it serves in this namespace. The one field that may change.",
    ),
});

const UsedBySchema = z.object({
  name: objectName().describe("Name of the ModelDeployment."),
  revision: counter().describe("Its revision of this version."),
  position: z.enum(POSITIONS).describe("Where that revision stands in the traffic."),
  standing: z.enum(STANDINGS).describe("What is known of it."),
});

export const ModelVersionStatusSchema = z.object({
  observedGeneration: counter().optional().describe("The generation that this status describes."),
  digest: z.string().max(71).optional().describe("The artifact's digest; for `files`, that of their list."),
  inUse: counter().optional().describe("How many ModelDeployments have it active, as candidate or as standby."),
  deployments: z.array(UsedBySchema).max(256).meta(listMap("name", "revision")).optional().describe("Who uses it, and how."),
  conditions: conditions().optional(),
});

export const ModelVersionSchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("ModelVersion"),
  metadata: ObjectMetaSchema,
  spec: ModelVersionContentSchema.describe("What was trained. Immutable, except `lifecycle`."),
  status: ModelVersionStatusSchema.optional(),
});
export type ModelVersion = z.infer<typeof ModelVersionSchema>;
export type ModelVersionSpec = z.infer<typeof ModelVersionContentSchema>;
export type ModelVersionStatus = z.infer<typeof ModelVersionStatusSchema>;
