// The part of a PodTemplateSpec that Rollguard reads. Everything else of a pod is kept as it is.
import { z } from "zod";
import { matching, text } from "./common.ts";

const ContainerSchema = z.looseObject({
  name: matching("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63, "must be the name of a container: lower-case letters, digits and '-'"),
  image: text(512).optional().describe("Image; the version's `serving.image` takes its place in the server container."),
  command: z.array(z.string().max(4096)).max(256).optional(),
  args: z.array(z.string().max(4096)).max(256).optional(),
  env: z
    .array(z.looseObject({ name: text(253), value: z.string().max(32768).optional() }))
    .max(256)
    .optional(),
  ports: z
    .array(z.looseObject({ name: text(15).optional(), containerPort: z.int().min(1).max(65535), protocol: text(15).optional() }))
    .max(64)
    .optional(),
  volumeMounts: z
    .array(z.looseObject({ name: text(63), mountPath: text(1024) }))
    .max(64)
    .optional(),
});
export type TemplateContainer = z.infer<typeof ContainerSchema>;

export const PodTemplateSchema = z.looseObject({
  metadata: z
    .looseObject({
      labels: z.record(z.string(), z.string().max(63)).meta({ maxProperties: 64 }).optional(),
      annotations: z.record(z.string(), z.string().max(65536)).meta({ maxProperties: 64 }).optional(),
    })
    .optional()
    .describe("Labels and annotations of the pods."),
  spec: z.looseObject({
    containers: z.array(ContainerSchema).min(1).max(16).describe("At least the server."),
    initContainers: z.array(ContainerSchema).max(16).optional(),
    volumes: z
      .array(z.looseObject({ name: text(63), configMap: z.looseObject({ name: text(253).optional() }).optional() }))
      .max(64)
      .optional(),
  }),
});
export type PodTemplate = z.infer<typeof PodTemplateSchema>;
