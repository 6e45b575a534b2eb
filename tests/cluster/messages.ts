// What a cluster's keeper and the one that wants the cluster say to each other, over the channel of a forked Node process.
import type { Machine } from "./machine.ts";
import type { PartName } from "./parts.ts";

/** How the cluster is to be; everything may be left out. */
export interface ClusterOptions {
  /** 0 to 15; the first free one without it. Clusters in different slots run side by side. */
  slot?: number;
  /** Write an audit log (see `Cluster.auditLog`). */
  audit?: boolean;
  /** More flags for the API server, as `--name=value`. */
  apiServerFlags?: string[];
  /** Image archives to load before the cluster counts as ready. */
  images?: string[];
}

/** What is known of a running cluster; also kept as `cluster.json` in its folder. */
export interface ClusterFacts {
  slot: number;
  /** "1.36.3" */
  version: string;
  /** Reachable from the machine and from pods. */
  url: string;
  /** Of a member of system:masters, with its certificates inside. */
  kubeconfigPath: string;
  /** The program of the same version. */
  kubectl: string;
  /** The machine's address as pods reach it. */
  hostAddress: string;
  /** With the logs of the parts. */
  logs: string;
  /** Where `audit` was asked for. */
  auditLog?: string;
  /** The first process of its namespaces. */
  init: number;
  socket: string;
}

export type Request =
  | { do: "start"; options: ClusterOptions; machine: Machine; programs: string; version: string }
  /** From now on it runs until it is ended by SIGTERM. */
  | { do: "detach" }
  | { do: "part"; id: number; name: PartName; act: PartAct };

/** `kill` is SIGKILL, `stop` SIGTERM; both resolve when it is gone. */
export type PartAct = "start" | "stop" | "kill";

export type Report =
  | { tell: "progress"; text: string }
  | { tell: "ready"; facts: ClusterFacts }
  | { tell: "failed"; message: string }
  | { tell: "done"; id: number; error?: string };
