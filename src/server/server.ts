// The operator's HTTP server: /healthz, /readyz (with reasons) and /metrics. It reads nothing that a client sends but the path,
// holds few connections, and gives up on slow ones, since anything in the cluster may connect to it.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../log.ts";
import { sanitizeLine } from "../text.ts";
import type { Health, HealthReport } from "./health.ts";

export interface ServerOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  health: Health;
  /** The body of /metrics and its content type. */
  metrics(): Promise<{ contentType: string; body: string }>;
  logger: Logger;
}

export interface RunningServer {
  host: string;
  port: number;
  /** Stops listening, lets answers that run end for at most a second, then closes what is left. */
  close(): Promise<void>;
}

const MAX_HEADER_BYTES = 8 * 1024;
const MAX_CONNECTIONS = 64;
const CLOSE_MS = 1000;

/** Rejects with an Error that names the address where it can't listen. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port } = options;
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 30_000,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      answer(options, request, response).catch((error: unknown) => {
        options.logger.error({ err: error }, "an answer failed");
        if (!response.headersSent) send(response, 500, "internal error\n");
        else response.destroy();
      });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(new Error(`can't listen on ${host}:${port}: ${error.message}`, { cause: error })));
    server.listen(port, host, () => resolve());
  });
  server.on("error", (error) => options.logger.error({ err: error }, "the HTTP server failed"));
  const bound = server.address() as AddressInfo;
  return {
    host: bound.address,
    port: bound.port,
    close: () =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

async function answer(options: ServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // A body is never read: the connection is closed with the answer, so that what is left of it is not taken for another request.
  if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) {
    response.setHeader("connection", "close");
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return send(response, 405, "only GET and HEAD\n");
  }
  switch ((request.url ?? "").split("?")[0]) {
    case "/healthz":
      return report(response, options.health.liveness());
    case "/readyz":
      return report(response, options.health.readiness());
    case "/metrics": {
      const { contentType, body } = await options.metrics();
      return send(response, 200, body, contentType);
    }
    default:
      return send(response, 404, "there are /healthz, /readyz and /metrics\n");
  }
}

function report(response: ServerResponse, { ok, reasons }: HealthReport): void {
  send(response, ok ? 200 : 503, ok ? "ok\n" : `${reasons.map((reason) => sanitizeLine(reason)).join("\n")}\n`);
}

function send(response: ServerResponse, status: number, body: string, contentType = "text/plain; charset=utf-8"): void {
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}
