// The operator's metrics as data, by the conventions of Prometheus, and what is made of them: a registry for each process
// and the page docs/metrics.md. Labels hold closed sets or names that the platform team chose, never what a tenant can invent.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { buildInfo } from "./version.ts";

interface Definition {
  type: "counter" | "gauge" | "histogram";
  name: string;
  help: string;
  /** Each label with what it may hold. */
  labels: Readonly<Record<string, string>>;
  /** Upper bounds of a histogram, seconds. */
  buckets?: readonly number[];
}

const FAST = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const SLOW = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900] as const;

export const METRICS = {
  reconcileDuration: {
    type: "histogram",
    name: "rollguard_reconcile_duration_seconds",
    help: "How long one pass over a deployment took, from observing to the last write.",
    labels: { outcome: "`Done` or `Failed` (tried again with back-off)" },
    buckets: FAST,
  },
  reconcileWait: {
    type: "histogram",
    name: "rollguard_reconcile_wait_seconds",
    help: "How long a pass waited in the queue after it was due.",
    labels: { lane: "`urgent` (rollbacks) or `normal`" },
    buckets: FAST,
  },
  queueDepth: {
    type: "gauge",
    name: "rollguard_queue_depth",
    help: "Deployments whose pass is due and has not begun.",
    labels: { lane: "`urgent` or `normal`" },
  },
  decisions: {
    type: "counter",
    name: "rollguard_decisions_total",
    help: "Passes that decided something.",
    labels: { action: "the reason of the rule that acted, such as `RollingBack`, `Proven`, `Superseded`" },
  },
  held: {
    type: "counter",
    name: "rollguard_held_total",
    help: "Times that a deployment began to wait, by what holds it.",
    labels: { reason: "why, such as `Frozen`, `AwaitingApproval`, `StormBreaker`, `Cooldown`, `Paused`" },
  },
  stormBreakerOpen: {
    type: "gauge",
    name: "rollguard_storm_breaker_open",
    help: "1 while much of the fleet is bad at once and automatic returns of proven revisions are held, otherwise 0.",
    labels: {},
  },
  recordsPruned: {
    type: "counter",
    name: "rollguard_records_pruned_total",
    help: "RolloutRecords that were deleted because they were beyond the limits of the RollguardConfig.",
    labels: { reason: "`Count` or `Age`: the limit" },
  },
  rollbacks: {
    type: "counter",
    name: "rollguard_rollbacks_total",
    help: "Returns that were begun.",
    labels: { trigger: "`Breach`, `Person`, `Revoked` or `Fault`", warm: "`true` where the target had its pods ready" },
  },
  breachToRollback: {
    type: "histogram",
    name: "rollguard_breach_to_rollback_seconds",
    help: "From the sample that completed a breach to the return that was committed in the status.",
    labels: {},
    buckets: FAST,
  },
  restore: {
    type: "histogram",
    name: "rollguard_restore_seconds",
    help: "From the decision to return until only ready pods of the target had the traffic.",
    labels: { warm: "`true` where the target had its pods ready" },
    buckets: SLOW,
  },
  deployments: {
    type: "gauge",
    name: "rollguard_deployments",
    help: "ModelDeployments by phase.",
    labels: { phase: "a phase, such as `Guarding`" },
  },
  checks: {
    type: "gauge",
    name: "rollguard_checks",
    help: "Checks that are judged, by what they say now.",
    labels: { verdict: "`Healthy`, `Breached`, `Insufficient`, `NoData` or `ProviderError`" },
  },
  sourceRequests: {
    type: "counter",
    name: "rollguard_source_requests_total",
    help: "Readings taken from metric sources.",
    labels: { source: "name of the MetricSource", outcome: "the kind of the reading: `Value`, `Empty`, `NotFinite`, `Error`, …" },
  },
  sourceQueries: {
    type: "counter",
    name: "rollguard_source_queries_total",
    help: "Queries sent to metric sources over HTTP. Many readings share one; scrapes of pods are not counted.",
    labels: { source: "name of the MetricSource" },
  },
  sourceDuration: {
    type: "histogram",
    name: "rollguard_source_request_duration_seconds",
    help: "How long a metric source took to answer.",
    labels: { source: "name of the MetricSource" },
    buckets: FAST,
  },
  notifications: {
    type: "counter",
    name: "rollguard_notifications_total",
    help: "Messages to the sinks of RollguardConfig, by what became of them.",
    labels: {
      sink: "name of the sink",
      outcome: "`Sent`, `Retried` (a request failed; it is tried again), `Failed` (given up), `Dropped` (too many waited)",
    },
  },
  apiRequests: {
    type: "counter",
    name: "rollguard_api_requests_total",
    help: "Requests to the API server.",
    labels: {
      method: "HTTP method",
      resource: "plural name of the resource, with its subresource",
      outcome: "HTTP status, or where there was no answer the kind of the error: `Timeout`, `Network`, …",
    },
  },
  apiDuration: {
    type: "histogram",
    name: "rollguard_api_request_duration_seconds",
    help: "How long the API server took to answer; for a watch, until its headers came.",
    labels: { method: "HTTP method" },
    buckets: FAST,
  },
  leader: {
    type: "gauge",
    name: "rollguard_leader",
    help: "1 while this process holds the Lease and acts, 0 while it stands by.",
    labels: {},
  },
  buildInfo: {
    type: "gauge",
    name: "rollguard_build_info",
    help: "Always 1; what runs is in the labels.",
    labels: { version: "version of Rollguard", commit: "commit that it was built from", node: "version of Node" },
  },
} as const satisfies Record<string, Definition>;

type Definitions = typeof METRICS;
type Labels<D extends Definition> = Extract<keyof D["labels"], string>;
type Instance<D extends Definition> = D["type"] extends "counter"
  ? Counter<Labels<D>>
  : D["type"] extends "gauge"
    ? Gauge<Labels<D>>
    : Histogram<Labels<D>>;

/** One prom-client object for each entry of METRICS. */
export type Metrics = { readonly [K in keyof Definitions]: Instance<Definitions[K]> };

/** A registry of its own, so that several operators can run in one process. Without `process`, only our own metrics are in it. */
export function createMetrics(options: { process?: boolean } = {}): { registry: Registry; metrics: Metrics } {
  const registry = new Registry();
  if (options.process) collectDefaultMetrics({ register: registry });
  const made = Object.entries<Definition>(METRICS).map(([key, definition]) => [key, make(definition, registry)]);
  const metrics = Object.fromEntries(made) as Metrics;
  const { version, commit = "unknown", node } = buildInfo();
  metrics.buildInfo.set({ version, commit, node }, 1);
  metrics.leader.set(0);
  return { registry, metrics };
}

function make(definition: Definition, registry: Registry): Counter | Gauge | Histogram {
  const { type, name, help, labels, buckets } = definition;
  const common = { name, help, labelNames: Object.keys(labels), registers: [registry] };
  if (type === "counter") return new Counter(common);
  if (type === "gauge") return new Gauge(common);
  return new Histogram({ ...common, buckets: [...(buckets ?? FAST)] });
}

/** For `ConnectOptions.onCall`: counts the requests to the API server. */
export function countApiCalls(
  metrics: Metrics,
): (call: { method: string; path: string; outcome: string; seconds: number }) => void {
  return ({ method, path, outcome, seconds }) => {
    metrics.apiRequests.inc({ method, resource: resourceOfPath(path), outcome });
    metrics.apiDuration.observe({ method }, seconds);
  };
}

/** `modeldeployments/status` of `/apis/rollguard.dev/v1alpha1/namespaces/fraud/modeldeployments/scorer/status`: no name, so few series. */
export function resourceOfPath(path: string): string {
  const parts = (path.split("?")[0] ?? "").split("/").filter((part) => part !== "");
  const start = parts.findIndex((part) => part === "api" || part === "apis");
  const rest = parts.slice(start + (parts[start] === "apis" ? 3 : 2));
  if (start < 0 || rest.length === 0) return "other";
  if (rest[0] === "namespaces" && rest.length > 2) rest.splice(0, 2);
  return rest[2] === undefined ? (rest[0] ?? "other") : `${rest[0]}/${rest[2]}`;
}

/** The page docs/metrics.md. */
export function metricsPage(): string {
  const lines = [
    "# Metrics",
    "",
    "The operator serves these at `/metrics` (`--http-address`, default `:8080`), beside the process metrics of prom-client",
    "(`process_…`, `nodejs_…`). This page is generated from `src/telemetry.ts`; a test fails when it is stale.",
    "",
  ];
  for (const { type, name, help, labels, buckets } of Object.values<Definition>(METRICS)) {
    lines.push(`## ${name}`, "", `${type[0]?.toUpperCase()}${type.slice(1)}. ${help}`, "");
    for (const [label, meaning] of Object.entries(labels)) lines.push(`- \`${label}\`: ${meaning}`);
    if (buckets) lines.push(`- buckets (seconds): ${buckets.join(", ")}`);
    if (lines.at(-1) !== "") lines.push("");
  }
  return `${lines.join("\n").trimEnd()}\n`;
}
