// The queries of presets, as data: what each model server measures, by the names, types and units of its own documentation. Each
// query names one workload of one namespace and nothing else, and is understood by Prometheus and by the Pods source.

import type { PRESET_MEASURES_OF, PresetMeasure, PresetServer } from "../api/reasons.ts";

/** Exactly one of the two. */
export interface PresetQueries {
  query?: string;
  ratio?: { numerator: string; denominator: string };
}

export interface Preset extends PresetQueries {
  /** What the number is, and what has to be switched on for it. */
  note: string;
}

type Table = { [S in PresetServer]: Record<(typeof PRESET_MEASURES_OF)[S][number], Preset> };

const WORKLOAD = 'namespace="${namespace}",pod=~"${workload}-.+"';

const selector = (metric: string, more = "") => `${metric}{${WORKLOAD}${more === "" ? "" : `,${more}`}}`;

const grown = (metric: string, more = "") => `sum(increase(${selector(metric, more)}[\${window}]))`;

/** For a counter whose series a server shows only once there is something to count. */
const grownOrNone = (metric: string, more = "") => `(${grown(metric, more)} or vector(0))`;

/** A quantile of a classic histogram over all pods, divided by `unit` to give seconds. */
function quantile(q: number, histogram: string, unit = 1): string {
  const seconds = `histogram_quantile(${q}, sum by (le) (rate(${selector(`${histogram}_bucket`)}[\${window}])))`;
  return unit === 1 ? seconds : `${seconds} / ${unit}`;
}

/** A gauge of waiting requests: the mean of the pods, so that a limit holds at any number of replicas. */
const waiting = (gauge: string) => `avg(sum by (pod) (${selector(gauge)}))`;

/** The label of the status is called differently by libraries; "5xx" is how some group them. */
const HTTP_ERRORS = ['code=~"5.."', 'code="",status=~"5.."', 'code="",status="",status_code=~"5.."'];

// vLLM: docs.vllm.ai, "Production Metrics". Triton: docs.nvidia.com, "Metrics" of the user guide. TorchServe: pytorch.org/serve,
// "TorchServe Metrics" and "Metrics API". KServe: kserve.github.io, "Prometheus Metrics". HTTP: the names that the client
// libraries of Prometheus and their middlewares for Go, Python and Node use.
export const PRESETS: Table = {
  vLLM: {
    ErrorRatio: {
      note: "Requests that ended with `finished_reason` `error`, of all that ended. `abort` is a client that left. Versions that don't know that reason never show it: use the preset of HTTP beside it.",
      ratio: {
        numerator: grown("vllm:request_success_total", 'finished_reason="error"'),
        denominator: grown("vllm:request_success_total"),
      },
    },
    LatencyP95: { note: "Of whole requests.", query: quantile(0.95, "vllm:e2e_request_latency_seconds") },
    LatencyP99: { note: "Of whole requests.", query: quantile(0.99, "vllm:e2e_request_latency_seconds") },
    TimeToFirstTokenP95: { note: "", query: quantile(0.95, "vllm:time_to_first_token_seconds") },
    QueueLength: {
      note: "Requests that wait to be processed, the mean of the pods.",
      query: waiting("vllm:num_requests_waiting"),
    },
  },
  Triton: {
    ErrorRatio: {
      note: "Failed requests, those that clients cancelled left out, of all.",
      ratio: {
        numerator: grown("nv_inference_request_failure", 'reason!="CANCELED"'),
        denominator: `${grownOrNone("nv_inference_request_success")} + ${grownOrNone("nv_inference_request_failure", 'reason!="CANCELED"')}`,
      },
    },
    LatencyP95: {
      note: "The worst pod and model; over the server's own sliding time, not over `window`. Needs `--metrics-config summary_latencies=true`.",
      query: `max(${selector("nv_inference_request_summary_us", 'quantile="0.95"')}) / 1000000`,
    },
    LatencyP99: {
      note: "As LatencyP95.",
      query: `max(${selector("nv_inference_request_summary_us", 'quantile="0.99"')}) / 1000000`,
    },
    TimeToFirstTokenP95: {
      note: "Time to the first response of decoupled models, which is the first chunk where they stream. Needs `--metrics-config histogram_latencies=true`.",
      query: quantile(0.95, "nv_inference_first_response_histogram_ms", 1000),
    },
    QueueLength: {
      note: "Requests that wait for execution, the mean of the pods.",
      query: waiting("nv_inference_pending_request_count"),
    },
  },
  TorchServe: {
    ErrorRatio: {
      note: "Answers with a status of 500 or more, of all answers, of the whole host. Needs `metrics_mode=prometheus`, and a metrics address that can be reached.",
      ratio: {
        numerator: grown("Requests5XX"),
        denominator: ["Requests2XX", "Requests4XX", "Requests5XX"].map((metric) => grownOrNone(metric)).join(" + "),
      },
    },
  },
  KServe: {
    LatencyP95: { note: "Of the predict step of KServe's own model servers.", query: quantile(0.95, "request_predict_seconds") },
    LatencyP99: { note: "As LatencyP95.", query: quantile(0.99, "request_predict_seconds") },
  },
  HTTP: {
    ErrorRatio: {
      note: "Answers with a 5xx status by the label `code`, `status` or `status_code`, of all.",
      ratio: {
        numerator: HTTP_ERRORS.map((match) => grownOrNone("http_requests_total", match)).join(" + "),
        denominator: grown("http_requests_total"),
      },
    },
    LatencyP95: { note: "", query: quantile(0.95, "http_request_duration_seconds") },
    LatencyP99: { note: "", query: quantile(0.99, "http_request_duration_seconds") },
  },
};

/** The preset of a server's measure; undefined where the server has no such metric. */
export function presetOf(server: PresetServer, measure: PresetMeasure): Preset | undefined {
  const measures: Partial<Record<PresetMeasure, Preset>> = PRESETS[server];
  return measures[measure];
}

/** What is asked for a preset. The API refuses a measure that the server has not; should one be there, it is asked for in vain. */
export function presetQueries(server: PresetServer, measure: PresetMeasure): PresetQueries {
  const { query, ratio } = presetOf(server, measure) ?? { query: "" };
  return ratio ? { ratio } : { query: query ?? "" };
}
