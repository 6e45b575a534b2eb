// The values of the chart, once: values.yaml, values.schema.json and the table of its README are made from this.
import { z } from "zod";

const object = <T extends z.ZodRawShape>(shape: T, about: string) => {
  const inner = z.strictObject(shape);
  // Each member has a default, so that the whole has one.
  return inner.default(inner.parse({}) as never).describe(about);
};
const text = (fallback: string, about: string) => z.string().default(fallback).describe(about);
const flag = (fallback: boolean, about: string) => z.boolean().default(fallback).describe(about);
const strings = (about: string) => z.record(z.string(), z.string()).default({}).describe(about);
/** As Kubernetes has it; its API server checks it. */
const anyObject = (about: string) => z.record(z.string(), z.unknown()).default({}).describe(about);
const objects = (about: string) => z.array(z.record(z.string(), z.unknown())).default([]).describe(about);
const amounts = (fallback: Record<string, string>) => z.record(z.string(), z.union([z.string(), z.number()])).default(fallback);

const monitor = (kind: string, needs: string) =>
  object(
    {
      enabled: flag(false, `Make a ${kind} (needs the Prometheus Operator's CRDs).`),
      interval: text("15s", "Time between scrapes."),
      labels: strings("Its labels, by which your Prometheus selects it."),
    },
    needs,
  );

export const Values = z.strictObject({
  image: object(
    {
      repository: z.string().min(1).default("rollguard").describe("Where the image of the Dockerfile is."),
      tag: text("", "Default: the chart's appVersion."),
      digest: z
        .string()
        .regex(/^(sha256:[0-9a-f]{64})?$/)
        .default("")
        .describe("Goes before the tag."),
      pullPolicy: z.enum(["IfNotPresent", "Always", "Never"]).default("IfNotPresent").describe("Of the operator's container."),
      pullSecrets: objects("Names of Secrets, as `[{name: registry}]`, for the operator's pod."),
    },
    "The operator's image. It is also that of the init container that fetches weights in the pods of models.",
  ),
  replicas: z
    .int()
    .min(1)
    .max(9)
    .default(1)
    .describe(
      "One leads, the others stand by. From 2 on they are kept on different nodes where there are some, and have a PodDisruptionBudget.",
    ),
  scope: z
    .enum(["Cluster", "Namespace"])
    .default("Cluster")
    .describe("Namespace: guard the release's namespace only, with Roles in place of ClusterRoles, and `clusterObjects`."),
  namespaces: z
    .array(z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/))
    .default([])
    .describe("With scope Cluster: guard these namespaces only. Default: all."),
  clusterObjects: objects(
    "With scope Namespace: the MetricSources, ClusterRollbackPolicies and the RollguardConfig, which the operator may not read from the API server then.",
  ),
  environment: z.string().max(63).default("").describe("Kept in the history and in records, such as production."),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info").describe("How much is logged."),
  workers: z.int().min(1).max(256).default(8).describe("Deployments that are worked on at once."),
  resources: object(
    {
      requests: amounts({ cpu: "50m", memory: "128Mi" }).describe("What the scheduler keeps free."),
      limits: amounts({ memory: "512Mi" }).describe("Node keeps its heap below the memory limit."),
    },
    "Of the operator's container. docs/production.md says what to take for how many deployments.",
  ),
  priorityClassName: text("", "Of the operator's pods; `system-cluster-critical` where models matter more than what else runs."),
  nodeSelector: strings("Of the operator's pods."),
  tolerations: objects("Of the operator's pods."),
  affinity: anyObject("Of the operator's pods. Default: from 2 replicas on, apart from each other."),
  podLabels: strings("More labels of the operator's pods."),
  podAnnotations: strings("More annotations of the operator's pods."),
  serviceAccount: object({ annotations: strings("Its annotations.") }, "The operator's ServiceAccount."),
  crds: object(
    {
      install: flag(
        true,
        "Install the CustomResourceDefinitions and upgrade them with the chart. They stay when the release is uninstalled, and what users wrote with them.",
      ),
    },
    "The resources.",
  ),
  userRoles: object(
    { create: flag(true, "Make ClusterRoles that add Rollguard's resources to view, edit and admin, and `rollguard-platform`.") },
    "Rights of people.",
  ),
  networkPolicy: object(
    {
      enabled: flag(true, "Let only pods of this cluster connect to the operator, and to its metrics only."),
      egress: objects(
        "Rules of a NetworkPolicy for what the operator connects to: API server, DNS, metric sources, pods of models. Default: not limited.",
      ),
    },
    "Who may connect to the operator.",
  ),
  admission: object(
    {
      protectVersions: flag(
        false,
        "Deny deleting a ModelVersion that serves, and warn for one that is kept warm to return to (Kubernetes 1.30 or later).",
      ),
      recordPins: flag(
        false,
        "Record who set a pin, as the API server knows them, in histories and records (Kubernetes 1.36 or later).",
      ),
    },
    "Optional admission policies; they need no webhook.",
  ),
  metrics: object(
    {
      podMonitor: monitor("PodMonitor", "For the Prometheus Operator."),
      serviceMonitor: monitor(
        "Service and a ServiceMonitor",
        "For the Prometheus Operator, where yours selects ServiceMonitors only.",
      ),
      prometheusRule: object(
        {
          enabled: flag(
            false,
            "Make a PrometheusRule with the alerts of files/alerts.yaml (needs the Prometheus Operator's CRDs).",
          ),
          labels: strings("Its labels, by which your Prometheus selects it."),
        },
        "Alerts.",
      ),
      dashboard: object(
        {
          enabled: flag(false, "Make a ConfigMap with the dashboard of files/dashboard.json."),
          labels: z
            .record(z.string(), z.string())
            .default({ grafana_dashboard: "1" })
            .describe("Its labels, by which Grafana's sidecar finds it."),
        },
        "For Grafana.",
      ),
    },
    "How the operator is watched. Its pods bear the annotations prometheus.io/scrape and prometheus.io/port in any case.",
  ),
});
