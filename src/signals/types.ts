// What a metric source is asked and what it answers. Structural on purpose: this folder knows neither the custom
// resources nor the deciding core, and `MetricSourceSpec` of the API fits `SourceSpec` as it is.

import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";

/** What a source's answer amounts to; exactly one for every shape of answer (see docs/sources.md). */
export type ReadingKind =
  /** One finite number. */
  | "Value"
  /** The source answered, with no series: nothing happened, or nothing is measured. Of a ratio: nothing to divide by. */
  | "Empty"
  /** NaN or ±Inf, such as the quantile of a histogram without observations. */
  | "NotFinite"
  /** More than one series (or JSON value) where one is meant. */
  | "TooManySeries"
  /** The newest sample is too old to say anything about now, or its age can't be told though it was asked for. */
  | "Stale"
  /** The sample is from the future: a clock is wrong. */
  | "Future"
  /** No answer, or none in the source's own language; also a query that can't be asked. */
  | "Error";

export interface Reading {
  /** The source's own time of the sample, milliseconds since the epoch; of an Error, the time of asking. */
  at: number;
  kind: ReadingKind;
  /** Present if and only if the kind is Value; of a ratio the quotient. */
  value?: number;
  /** Of a ratio with kind Value. */
  numerator?: number;
  /** Of a ratio with kind Value: its sample size. With kind Empty it is 0: asked, and nothing happened. */
  denominator?: number;
  /** One clean line: no control characters, no credentials, at most 300 characters. With a Value: what was left out. */
  message?: string;
}

/** The values of `${…}` in a query. */
export interface Variables {
  namespace: string;
  /** Of the ModelDeployment. */
  name: string;
  /** Of the ModelVersion. */
  version: string;
  /** The revision's number, such as "7". */
  revision: string;
  /** The check's window as a duration, such as "1m". */
  window: string;
  /** `<name>-r<revision>`: names one revision of one deployment. */
  workload: string;
}

/** A pod to scrape. Only its IP and port are ever connected to; both come from the operator, never from a query. */
export interface PodTarget {
  name: string;
  ip: string;
  /** Absent: the pod shows no port to scrape, and is left out. */
  port?: number;
  /** Default "/metrics". */
  path?: string;
}

export type Query = (
  | { kind: "scalar"; query: string }
  /** An empty numerator beside a denominator above zero counts as 0. */
  | { kind: "ratio"; numerator: string; denominator: string }
) & {
  /** The range of one sample, ms. */
  windowMs: number;
  /** How often this is going to be asked, ms; only the Pods source uses it, to know how long its history may be needed. */
  intervalMs?: number;
  /** A query whose value is the time of the newest sample, in seconds since the epoch. */
  freshness?: string;
  /** A newest sample older than this is Stale, ms. Default: twice the window, at least 15 s. Needs `freshness`. */
  maxAgeMs?: number;
  variables: Variables;
  /** For Pods: the pods of the revision. Other sources ignore it. */
  pods: readonly PodTarget[];
};

/** The times of a range: `fromMs`, `fromMs + stepMs`, … up to `toMs`, ms epoch. */
export interface RangeSpan {
  fromMs: number;
  toMs: number;
  stepMs: number;
}

export interface Source {
  /** Never rejects for what a server answers or fails to answer; rejects only with the signal's reason. */
  read(query: Query, signal?: AbortSignal): Promise<Reading>;
  /**
   * What `read` would have given at each time of the span, in order; a time without a point is Empty. Where that can't be
   * told, one reading that is no Value. Absent where the source has no history. Rejects only with the signal's reason.
   * A server that aligns ranges to their step shifts all times by the same part of a step; the readings say theirs.
   */
  readRange?(query: Query, span: RangeSpan, signal?: AbortSignal): Promise<Reading[]>;
  /** Ends connections, timers and requests under way (their readings become Error). Idempotent. */
  close(): void;
}

/** The part of MetricSource's spec that asking needs. Who may use a source is decided by the caller. */
export interface SourceSpec {
  type: "Prometheus" | "Web" | "Pods";
  /** http or https; a path is a prefix. Not for Pods. */
  address?: string;
  /** The secret's value is a token (Bearer) or `user:password` (Basic). Never sent to pods. */
  auth?: { type?: "Bearer" | "Basic"; secretRef: { name: string; key: string } };
  headers?: Record<string, string>;
  tls?: { caRef?: { name: string; key: string } };
  tenancy?: { queryParameter: string };
  /** A duration such as "5s" or "500ms"; default 5 s. */
  timeout?: string;
  /** Of a Web source: where in the answer the number is (default `$.value`), unless the query says, and where its time. */
  web?: { valuePath?: string; timePath?: string };
  /** Of a Pods source: the longest time between two scrapes, a duration; default 15 s. A short range shortens it. */
  pods?: { interval?: string };
}

export interface SourceDeps {
  /** A value of a Secret in the operator's own namespace; rejects where there is none. Asked for each request, so cache it. */
  secret(name: string, key: string): Promise<string>;
  clock: Clock;
  /**
   * The operator's best idea of the true time, ms epoch: the API server's. Default: the clock's wall time when the source
   * was created, carried on by its monotonic time, so that a step of the wall clock changes nothing.
   */
  now?: () => number;
  /** Makes the requests instead of a connection pool of the source's own (tests, simulation). Not closed by the source. */
  dispatcher?: Dispatcher;
  /** Largest answer, bytes after decompression. Default 1 MiB; 4 MiB for Pods. */
  maxBodyBytes?: number;
  /** Requests under way at once. Default 8; for Pods per revision. */
  concurrency?: number;
  /**
   * An identical query asked again within this time gets the same answer, ms. Default 200.
   * For Pods: a scrape this young is not repeated; default 50 to 1000, by the shortest range that is asked.
   */
  coalesceMs?: number;
  /** For Prometheus: how long queries are gathered to be asked as one, ms. Default 25. */
  gatherMs?: number;
  /** A query is sent: for counting. Scrapes of pods are no queries. */
  onQuery?: () => void;
}

/** `createSource(spec, deps): Source` in `createsource.ts`. Never throws: an impossible spec gives a source that answers Error. */
export type CreateSource = (spec: SourceSpec, deps: SourceDeps) => Source;
