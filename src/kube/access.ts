// Where the API server is and how to prove who we are: client-node's KubeConfig (kubeconfig files, exec plugins, OIDC, in-cluster
// tokens), with one shared pool of connections of our own in place of client-node's connection for every call.
import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { Agent, type Dispatcher, ProxyAgent } from "undici";
import type { Clock } from "../clock.ts";

/** What one request needs. */
export interface Credentials {
  headers: Record<string, string>;
  dispatcher: Dispatcher;
}

export interface Access {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path before `/api`, for servers behind a prefix; no slash at the end. */
  readonly prefix: string;
  /** The context's namespace. */
  readonly namespace: string | undefined;
  /** The context's name; empty without a kubeconfig. */
  readonly context: string;
  /** Asked for every request: tokens in files are read again, exec plugins run again when theirs expired. */
  authorize(): Promise<Credentials>;
  /** The server refused our credentials: load them afresh before the next request. */
  refused(): void;
  /** Closes the connections. A dispatcher that was given to us is left alone. */
  close(): Promise<void>;
}

export interface AccessOptions {
  /** A file; without one KUBECONFIG, ~/.kube/config and the pod's service account are tried in this order. */
  kubeconfig?: string | undefined;
  context?: string | undefined;
  /** Takes the place of the connection pool: for running without sockets. Then no kubeconfig is needed. */
  dispatcher?: Dispatcher | undefined;
  clock: Clock;
}

/** Throws with a helpful message where there is no usable configuration. */
export function openAccess(options: AccessOptions): Access {
  if (options.dispatcher !== undefined && options.kubeconfig === undefined) return inMemory(options.dispatcher);
  return new ConfiguredAccess(options);
}

function inMemory(dispatcher: Dispatcher): Access {
  return {
    origin: "http://in-memory",
    prefix: "",
    namespace: undefined,
    context: "",
    authorize: async () => ({ headers: {}, dispatcher }),
    refused() {},
    close: async () => {},
  };
}

// The parts of TLS that can change while we run: a client certificate from an exec plugin, a rotated CA file.
const TLS_FIELDS = ["ca", "cert", "key", "servername", "rejectUnauthorized"] as const;
type Tls = Pick<RequestOptions, (typeof TLS_FIELDS)[number]>;

/** At most one reload of refused credentials in this time, ms: an exec plugin may open a browser. */
const RELOAD_MS = 10_000;

class ConfiguredAccess implements Access {
  readonly origin: string;
  readonly prefix: string;
  readonly namespace: string | undefined;
  readonly context: string;
  #options: AccessOptions;
  #config: KubeConfig;
  #loadedAt: number;
  #stale = false;
  #pool: { tls: Tls; dispatcher: Dispatcher } | undefined;
  #closed = false;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#config = load(options);
    this.#loadedAt = options.clock.monotonic();
    const cluster = this.#config.getCurrentCluster();
    if (!cluster?.server || !URL.canParse(cluster.server)) {
      throw new Error(`context "${this.#config.getCurrentContext()}" names no cluster with a server; see kubectl config view`);
    }
    const url = new URL(cluster.server);
    if (url.protocol === "http:" && !cluster.skipTLSVerify) {
      throw new Error(`refusing plain HTTP to ${url.origin}; a kubeconfig must say insecure-skip-tls-verify: true to allow it`);
    }
    this.origin = url.origin;
    this.prefix = url.pathname.replace(/\/+$/, "");
    this.context = this.#config.getCurrentContext();
    this.namespace = this.#config.getContextObject(this.context)?.namespace || undefined;
  }

  async authorize(): Promise<Credentials> {
    if (this.#closed) throw new Error("the client is closed");
    if (this.#stale && this.#options.clock.monotonic() - this.#loadedAt >= RELOAD_MS) {
      this.#config = load(this.#options);
      this.#loadedAt = this.#options.clock.monotonic();
      this.#stale = false;
    }
    const https: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(https);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(https.headers ?? {})) {
      // A token file often ends with a line break, which no header may contain.
      headers[name.toLowerCase()] = String(value).trim();
    }
    if (https.auth) headers.authorization = `Basic ${Buffer.from(https.auth).toString("base64")}`;
    return { headers, dispatcher: this.#options.dispatcher ?? this.#poolFor(https) };
  }

  refused(): void {
    this.#stale = true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    // destroy, not close: a watch would hold a graceful close for minutes.
    await this.#pool?.dispatcher.destroy();
    this.#pool = undefined;
  }

  #poolFor(https: RequestOptions): Dispatcher {
    const tls: Tls = {};
    for (const field of TLS_FIELDS) if (https[field] !== undefined) Object.assign(tls, { [field]: https[field] });
    const old = this.#pool;
    if (old !== undefined && TLS_FIELDS.every((field) => sameMaterial(old.tls[field], tls[field]))) return old.dispatcher;
    const dispatcher = this.#open(tls);
    this.#pool = { tls, dispatcher };
    // Requests that run on the old one end in peace; new ones prove the new identity.
    old?.dispatcher.close().catch(() => {});
    return dispatcher;
  }

  #open(tls: Tls): Dispatcher {
    const cluster = this.#config.getCurrentCluster();
    const proxy = this.#config.createDispatcherOptions(cluster, tls);
    if (proxy.type === "socks") throw new Error(`the proxy ${proxy.uri} is a SOCKS proxy; use an HTTP proxy`);
    const pool = {
      // HTTP/1.1: on one shared HTTP/2 connection, a single half-open one would stall every watch and every write at once.
      allowH2: false,
      pipelining: 1,
      // Longer than the pause between two renewals of the lease, so that a rollback finds an open connection.
      keepAliveTimeout: 30_000,
    };
    if (proxy.type === "proxy") return new ProxyAgent({ ...pool, uri: proxy.uri, requestTls: proxy.requestTls });
    return new Agent({ ...pool, connect: { ...tls, timeout: 5_000, keepAlive: true, keepAliveInitialDelay: 30_000 } });
  }
}

function load(options: AccessOptions): KubeConfig {
  const config = new KubeConfig();
  if (options.kubeconfig !== undefined) config.loadFromFile(options.kubeconfig);
  else config.loadFromDefault();
  // What client-node falls back to when it found nothing at all.
  if (options.kubeconfig === undefined && config.getCurrentContext() === "loaded-context") {
    throw new Error("no cluster is configured: give --kubeconfig FILE, set KUBECONFIG, or run inside of a cluster");
  }
  if (options.context !== undefined) {
    if (config.getContextObject(options.context) === null) {
      const known = config.getContexts().map((context) => context.name);
      throw new Error(`no context "${options.context}" in the kubeconfig; it has: ${known.join(", ") || "none"}`);
    }
    config.setCurrentContext(options.context);
  }
  return config;
}

function sameMaterial(a: unknown, b: unknown): boolean {
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return a.equals(b);
  return a === b;
}
