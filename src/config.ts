// What the operator can be told, as one table: flag, environment variable, default, rule and help of each setting.
// The only file that reads the environment. A flag goes before its variable, the variable before the default.
import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["auto", "json", "pretty"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Where the HTTP server listens; port 0 is any free one. */
export interface HttpAddress {
  host: string;
  port: number;
}

export interface OperatorOptions {
  /** A kubeconfig file; absent: KUBECONFIG, ~/.kube/config, the pod's service account. */
  kubeconfig?: string | undefined;
  context?: string | undefined;
  /** Absent: all namespaces. */
  namespaces?: string[] | undefined;
  /** A file or folder of objects that belong to the cluster, in place of those of the API server. */
  clusterObjects?: string | undefined;
  /** Where the Lease, the credentials of metric sources and the operator itself live. */
  operatorNamespace: string;
  /** False only where nobody else can run: two operators without a lease would both act. */
  leaderElect: boolean;
  /** Who we are in the Lease; unique for each process. */
  identity: string;
  /** Absent: no HTTP server. */
  httpAddress?: HttpAddress | undefined;
  /** Named in history and records; empty where nobody said. */
  environment: string;
  /** The annotation pinned-by is written by an admission policy, so that nobody can forge it. */
  trustPinnedBy?: boolean | undefined;
  /** Passes at once. */
  workers: number;
  logLevel: LogLevel;
  logFormat: LogFormat;
  /** Image of the init container that fetches weights; absent: that of the pod we run in, else OWN_IMAGE. */
  fetchImage?: string | undefined;
  /** Its command in place of the image's own entry point. */
  fetchCommand?: string[] | undefined;
}

/** A setting that can't be used. `message` names the flag, the variable and the rule; the process should end with exit code 2. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** Where the Lease is kept by an operator that runs in no cluster. */
export const DEFAULT_OPERATOR_NAMESPACE = "rollguard-system";

/** The reserved image name that the sandbox's node maps to this very program. */
export const OWN_IMAGE = "rollguard";

type Environment = Readonly<Record<string, string | undefined>>;

export interface Setting {
  key: keyof OperatorOptions;
  /** As commander writes it, with its argument. */
  flag: string;
  env: string;
  help: string;
  /** What is in force when nobody says anything, in words. */
  fallback: string;
}

/** The settings in the order of `rollguard operator --help`. */
export const SETTINGS: readonly Setting[] = [
  {
    key: "kubeconfig",
    flag: "--kubeconfig <file>",
    env: "ROLLGUARD_KUBECONFIG",
    help: "kubeconfig of the cluster; needed only outside of one",
    fallback: "KUBECONFIG, then ~/.kube/config, then the pod's service account",
  },
  {
    key: "context",
    flag: "--context <name>",
    env: "ROLLGUARD_CONTEXT",
    help: "context of the kubeconfig",
    fallback: "its current one",
  },
  {
    key: "namespaces",
    flag: "--namespaces <names>",
    env: "ROLLGUARD_NAMESPACES",
    help: "namespaces to watch, separated by commas; with Roles instead of ClusterRoles the operator may see no others",
    fallback: "all",
  },
  {
    key: "clusterObjects",
    flag: "--cluster-objects <file>",
    env: "ROLLGUARD_CLUSTER_OBJECTS",
    help: "YAML file or folder with the MetricSources, ClusterRollbackPolicies and the RollguardConfig, read once; for an operator that may read nothing beyond its namespaces",
    fallback: "those of the API server",
  },
  {
    key: "operatorNamespace",
    flag: "--operator-namespace <name>",
    env: "POD_NAMESPACE",
    help: "namespace of the Lease and of the secrets that metric sources and the sinks of notifications name",
    fallback: "the one it runs in, else rollguard-system",
  },
  {
    key: "leaderElect",
    flag: "--leader-elect [boolean]",
    env: "ROLLGUARD_LEADER_ELECT",
    help: "act only while holding the Lease; turn it off only where no second operator can run",
    fallback: "true",
  },
  {
    key: "identity",
    flag: "--identity <name>",
    env: "POD_NAME",
    help: "name in the Lease; must differ between replicas",
    fallback: "<hostname>-<process id>",
  },
  {
    key: "httpAddress",
    flag: "--http-address <host:port>",
    env: "ROLLGUARD_HTTP_ADDRESS",
    help: "where /healthz, /readyz and /metrics are served: :8080, 127.0.0.1:9090, [::1]:8080, or off; port 0 takes a free one",
    fallback: ":8080",
  },
  {
    key: "environment",
    flag: "--environment <name>",
    env: "ROLLGUARD_ENVIRONMENT",
    help: "name of this environment, such as production; kept in the history and in records",
    fallback: "none",
  },
  {
    key: "trustPinnedBy",
    flag: "--trust-pinned-by [boolean]",
    env: "ROLLGUARD_TRUST_PINNED_BY",
    help: "take the annotation rollguard.dev/pinned-by for the authenticated name of who set the pin: only where the admission policy of manifests/admission writes it",
    fallback: "false",
  },
  {
    key: "workers",
    flag: "--workers <number>",
    env: "ROLLGUARD_WORKERS",
    help: "deployments that are worked on at once, 1 to 256; half as many more are kept free for rollbacks",
    fallback: "8",
  },
  {
    key: "logLevel",
    flag: "--log-level <level>",
    env: "ROLLGUARD_LOG_LEVEL",
    help: `one of ${LOG_LEVELS.join(", ")}`,
    fallback: "info",
  },
  {
    key: "logFormat",
    flag: "--log-format <format>",
    env: "ROLLGUARD_LOG_FORMAT",
    help: "json, pretty, or auto: pretty on a terminal, JSON elsewhere",
    fallback: "auto",
  },
  {
    key: "fetchImage",
    flag: "--fetch-image <image>",
    env: "ROLLGUARD_FETCH_IMAGE",
    help: "image of the init container that downloads and verifies weights",
    fallback: `the operator's own, in a cluster that of its pod, else ${OWN_IMAGE}`,
  },
  {
    key: "fetchCommand",
    flag: "--fetch-command <command>",
    env: "ROLLGUARD_FETCH_COMMAND",
    help: "command of that container, words separated by spaces, in place of the image's entry point",
    fallback: "the entry point",
  },
];

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const namespace = () => z.string().regex(LABEL, "must be the name of a namespace: lower-case letters, digits and '-'");
const word = (max: number) => z.string().trim().min(1, "must not be empty").max(max, `must have at most ${max} characters`);
const list = (separator: RegExp) => (value: unknown) =>
  typeof value === "string" ? value.split(separator).filter((part) => part !== "") : value;
const number = (value: unknown) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value);
const boolean = (value: unknown) => (value === "true" ? true : value === "false" ? false : value);

const OPTIONS = z.object({
  kubeconfig: word(4096).optional(),
  context: word(253).optional(),
  namespaces: z.preprocess(list(/[\s,]+/), z.array(namespace()).min(1, "must name at least one namespace").max(1000)).optional(),
  clusterObjects: word(4096).optional(),
  operatorNamespace: namespace(),
  leaderElect: z.preprocess(boolean, z.boolean("must be true or false")),
  identity: word(253),
  httpAddress: z.string().transform((text, context): HttpAddress | undefined => {
    const address = parseAddress(text);
    if (typeof address !== "string") return address;
    context.addIssue({ code: "custom", message: address });
    return z.NEVER;
  }),
  trustPinnedBy: z.preprocess(boolean, z.boolean("must be true or false")).optional(),
  environment: z.string().trim().max(63, "must have at most 63 characters"),
  workers: z.preprocess(number, z.int("must be a whole number").min(1, "must be at least 1").max(256, "must be at most 256")),
  logLevel: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`),
  logFormat: z.enum(LOG_FORMATS, `must be one of ${LOG_FORMATS.join(", ")}`),
  fetchImage: word(512).optional(),
  fetchCommand: z.preprocess(list(/\s+/), z.array(z.string()).min(1, "must not be empty").max(64)).optional(),
});

/** The address, undefined for `off`, or what is wrong with it. */
function parseAddress(text: string): HttpAddress | undefined | string {
  if (text === "off") return undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  if (!match || Number(match[3]) > 65_535) return "must be host:port, such as :8080 or 127.0.0.1:8080, or off";
  return { host: match[1] ?? (match[2] || "0.0.0.0"), port: Number(match[3]) };
}

/** Flags as commander gives them, by their key. */
export type OperatorFlags = Partial<Record<keyof OperatorOptions, string | boolean>>;

/** Throws a ConfigError that names each flag that can't be used. An empty variable counts as unset. */
export function operatorOptions(flags: OperatorFlags, env: Environment = process.env): OperatorOptions {
  const from = new Map<string, string>();
  const raw: Record<string, unknown> = {
    operatorNamespace: ownNamespace() ?? DEFAULT_OPERATOR_NAMESPACE,
    leaderElect: "true",
    identity: `${hostname()}-${process.pid}`,
    httpAddress: ":8080",
    environment: "",
    workers: "8",
    logLevel: "info",
    logFormat: "auto",
  };
  for (const setting of SETTINGS) {
    const flag = flags[setting.key];
    const variable = env[setting.env];
    if (flag !== undefined) raw[setting.key] = flag;
    else if (variable !== undefined && variable !== "") {
      raw[setting.key] = variable;
      from.set(setting.key, ` (from ${setting.env})`);
    }
  }
  const parsed = OPTIONS.safeParse(raw);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const setting = SETTINGS.find((one) => one.key === issue.path[0]);
    const name = setting?.flag.split(" ")[0] ?? String(issue.path[0]);
    return `${name}${from.get(setting?.key ?? "") ?? ""}: ${JSON.stringify(raw[String(issue.path[0])])} ${issue.message}`;
  });
  throw new ConfigError([...new Set(lines)].join("\n"));
}

/** The namespace of the pod that we run in; undefined outside of a cluster. */
function ownNamespace(): string | undefined {
  try {
    return readFileSync("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Which kubeconfig a command without a cluster would have used, in words for its error. */
export function kubeconfigInUse(flag: string | undefined, env: Environment = process.env): string {
  if (flag !== undefined) return `${flag} (from --kubeconfig)`;
  if (env.KUBECONFIG) return `${env.KUBECONFIG} (from KUBECONFIG)`;
  return join(homedir(), ".kube", "config");
}

/** What the terminal is said to be able to do. */
export interface TerminalHints {
  /** NO_COLOR (no-color.org), FORCE_COLOR and TERM=dumb; undefined: as the stream says. */
  color: boolean | undefined;
}

export function terminalHints(env: Environment = process.env): TerminalHints {
  if (env.NO_COLOR) return { color: false };
  if (env.FORCE_COLOR) return { color: env.FORCE_COLOR !== "0" };
  return { color: env.TERM === "dumb" ? false : undefined };
}

/** The environment of `rollguard fetch`, which is told everything by variables. */
export function fetchEnvironment(): Environment {
  return process.env;
}
