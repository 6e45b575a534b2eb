// ClusterRollbackPolicy: the same as a RollbackPolicy, for many namespaces, with limits that tenants can't loosen.
import { z } from "zod";
import { atomicList, digest, ObjectMetaSchema, rules, setList, text } from "./common.ts";
import { API_VERSION } from "./names.ts";
import { PolicyStatusSchema, policyFields } from "./rollbackpolicy.ts";

const labelValues = () => z.array(z.string().max(63)).max(32).meta(atomicList);

const LabelSelectorSchema = z.object({
  matchLabels: z
    .record(z.string(), z.string().max(63))
    .meta({ maxProperties: 32 })
    .optional()
    .describe("Labels that must be equal."),
  matchExpressions: z
    .array(
      z
        .object({
          key: text(317).describe("Key of the label."),
          operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]).describe("How the values are compared."),
          values: labelValues().optional().describe("For In and NotIn."),
        })
        .meta(
          rules({
            rule: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            message: "values must be set for In and NotIn, and only for them",
          }),
        ),
    )
    .max(32)
    .meta(atomicList)
    .optional()
    .describe("Further requirements, all of which must hold."),
});
/** metav1.LabelSelector. */
export type LabelSelector = z.infer<typeof LabelSelectorSchema>;

export const ClusterRollbackPolicySpecSchema = z.object({
  ...policyFields,
  namespaceSelector: LabelSelectorSchema.optional().describe("Namespaces by their labels. Default: all."),
  selector: LabelSelectorSchema.optional().describe("ModelDeployments by their labels. Default: all."),
  enforcement: z
    .enum(["Default", "Required"])
    .default("Default")
    .describe("`Default`: a lower layer may change it. `Required`: a lower layer may tighten it, and not loosen or remove."),
  revokedDigests: z
    .array(digest())
    .max(256)
    .meta(setList)
    .optional()
    .describe("Digests of weights that leave wherever they serve, whatever the metrics say."),
});

export const ClusterRollbackPolicySchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("ClusterRollbackPolicy"),
  metadata: ObjectMetaSchema,
  spec: ClusterRollbackPolicySpecSchema.describe("When to go back, and where that applies."),
  status: PolicyStatusSchema.optional(),
});
export type ClusterRollbackPolicy = z.infer<typeof ClusterRollbackPolicySchema>;
export type ClusterRollbackPolicySpec = z.infer<typeof ClusterRollbackPolicySpecSchema>;
export type ClusterRollbackPolicyStatus = z.infer<typeof PolicyStatusSchema>;
