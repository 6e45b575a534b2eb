// MetricSource: where numbers come from. Cluster-wide, owned by the platform team: tenants name it, and never an address.
import { z } from "zod";
import { conditions, counter, duration, keyRef, matching, ObjectMetaSchema, port, rules, setList } from "./common.ts";
import { API_VERSION } from "./names.ts";

const jsonPath = () => matching("^[$].*$", 512, "must be a JSONPath that begins with $, such as $.value");

export const MetricSourceSpecSchema = z
  .object({
    type: z
      .enum(["Prometheus", "Web", "Pods"])
      .describe(
        "`Prometheus`: its HTTP API. `Web`: JSON over HTTP. `Pods`: scrapes the revision's pods itself, no server needed.",
      ),
    address: matching(
      "^https?://[^ /?#@]+(/[^ ?#]*)?$",
      2048,
      "must be an http or https URL without user, query and fragment, such as http://prometheus.monitoring:9090",
    )
      .optional()
      .describe("URL of the server. Needed for Prometheus and Web."),
    auth: z
      .object({
        type: z
          .enum(["Bearer", "Basic"])
          .default("Bearer")
          .describe("`Bearer`: the secret is the token. `Basic`: it is `user:password`."),
        secretRef: keyRef().describe("A Secret in the operator's own namespace."),
      })
      .optional()
      .describe("How the operator proves who it is."),
    headers: z
      .record(z.string(), z.string().max(1024))
      .meta({
        maxProperties: 16,
        ...rules(
          { rule: "self.all(key, size(key) > 0 && size(key) <= 128)", message: "keys must be names of HTTP headers" },
          {
            rule: "!['Authorization', 'authorization', 'Proxy-Authorization', 'proxy-authorization', 'Cookie', 'cookie', 'Host', 'host'].exists(name, name in self)",
            message: "Authorization, Proxy-Authorization, Cookie and Host can't be set here: use auth",
          },
        ),
      })
      .optional()
      .describe("Headers that are sent along. Not for secrets."),
    tls: z
      .object({
        caRef: keyRef().describe("A ConfigMap or Secret in the operator's own namespace with the CA's certificate (PEM)."),
      })
      .optional()
      .describe("How the server is known."),
    namespaces: z
      .array(matching("^([*]|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", 63, "must be the name of a namespace, or * for all"))
      .min(1)
      .max(256)
      .meta({
        ...setList,
        ...rules({ rule: "!('*' in self) || size(self) == 1", message: "* means all namespaces and must stand alone" }),
      })
      .describe('Who may use it. `["*"]` is everyone.'),
    tenancy: z
      .object({
        queryParameter: matching("^[A-Za-z_][-A-Za-z0-9_]*$", 63, "must be the name of a query parameter").describe(
          "The parameter in which the namespace is sent to a proxy that enforces it.",
        ),
      })
      .optional()
      .describe("Without it, tenants may use presets only, unless `freeQueries` is true."),
    freeQueries: z.boolean().default(false).describe("Tenants may ask any query although no proxy enforces the namespace."),
    timeout: duration("100ms", "2m").default("5s").describe("How long one query may take."),
    web: z
      .object({
        valuePath: jsonPath().default("$.value").describe("JSONPath (RFC 9535) of the number."),
        timePath: jsonPath().optional().describe("JSONPath of the time of the number (Unix seconds or RFC 3339)."),
      })
      .optional()
      .describe("How a Web answer is read."),
    pods: z
      .object({
        port: port()
          .optional()
          .describe("Port with the metrics. Default: the annotation prometheus.io/port, then the port named http."),
        path: matching("^/[^ ]*$", 512, "must be an absolute path, such as /metrics")
          .optional()
          .describe("Path of the metrics. Default: the annotation prometheus.io/path, then /metrics."),
        interval: duration("1s", "10m").default("15s").describe("Time between scrapes."),
      })
      .optional()
      .describe("How pods are scraped."),
  })
  .meta(
    rules(
      {
        rule: "self.type == 'Pods' ? !has(self.address) : has(self.address)",
        message: "address must be set for Prometheus and Web, and must not be set for Pods",
      },
      {
        rule: "self.type != 'Pods' || !(has(self.auth) || has(self.tls))",
        message: "auth and tls do not apply to Pods: remove them",
      },
      { rule: "self.type == 'Web' || !has(self.web)", message: "web may be set only when type is Web" },
      { rule: "self.type == 'Pods' || !has(self.pods)", message: "pods may be set only when type is Pods" },
    ),
  );

export const MetricSourceStatusSchema = z.object({
  observedGeneration: counter().optional().describe("The generation that this status describes."),
  conditions: conditions().optional(),
});

export const MetricSourceSchema = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("MetricSource"),
  metadata: ObjectMetaSchema,
  spec: MetricSourceSpecSchema.describe("Where numbers come from, and who may ask."),
  status: MetricSourceStatusSchema.optional(),
});
export type MetricSource = z.infer<typeof MetricSourceSchema>;
export type MetricSourceSpec = z.infer<typeof MetricSourceSpecSchema>;
export type MetricSourceStatus = z.infer<typeof MetricSourceStatusSchema>;
