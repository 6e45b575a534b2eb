// A real HTTP server on loopback that gives one shape of answer, however broken.

import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { gzipSync } from "node:zlib";

/** An answer as data. */
export interface Shape {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** Instead of `body`: this many bytes of it, over and over. */
  bodyBytes?: number;
  gzip?: boolean;
  behaviour?: /** Takes the request and never answers. */
    | "hang"
    /** Answers the headers and half of the body, then nothing more. */
    | "stall"
    /** Closes the connection before an answer. */
    | "reset"
    /** Promises more bytes than it sends. */
    | "cut"
    /** Half of the gzip stream, properly ended. */
    | "cut gzip"
    /** Bytes that are not HTTP. */
    | "not http"
    /** One byte every 20 ms, for as long as it takes. */
    | "trickle";
}

export interface TestServer {
  url: string;
  port: number;
  requests: { method: string; url: string; headers: IncomingMessage["headers"]; body: string }[];
  close(): Promise<void>;
}

export async function serve(listener: RequestListener, tls?: { key: string; cert: string }): Promise<TestServer> {
  const requests: TestServer["requests"] = [];
  const sockets = new Set<Socket>();
  const handle: RequestListener = (req, res) => {
    let body = "";
    req.setEncoding("utf8");
    req.on("data", (chunk) => {
      body += chunk;
    });
    req.on("end", () => {
      requests.push({ method: req.method ?? "", url: req.url ?? "", headers: req.headers, body });
      listener(req, res);
    });
  };
  const server: Server = tls ? createTlsServer(tls, handle) : createServer(handle);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    port,
    requests,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers every request with the shape. */
export function answering(shape: Shape): RequestListener {
  return (_req, res) => {
    const plain = shape.bodyBytes === undefined ? (shape.body ?? "") : "1".repeat(shape.bodyBytes);
    const body = shape.gzip ? gzipSync(plain) : Buffer.from(plain);
    const half = body.subarray(0, Math.floor(body.length / 2));
    const headers = { ...(shape.gzip ? { "content-encoding": "gzip" } : {}), ...shape.headers };
    switch (shape.behaviour) {
      case "hang":
        return;
      case "reset":
        res.socket?.destroy();
        return;
      case "not http":
        res.socket?.end("HELO, this is not what you think\r\n\r\n");
        return;
      case "stall":
        res.writeHead(200, headers).write(half);
        return;
      case "cut":
        res.writeHead(200, { ...headers, "content-length": String(body.length) }).write(half, () => res.socket?.destroy());
        return;
      case "cut gzip":
        res.writeHead(200, headers).end(half);
        return;
      case "trickle": {
        res.writeHead(200, headers);
        const timer = setInterval(() => res.write(" "), 20);
        res.on("close", () => clearInterval(timer));
        return;
      }
      default:
        res.writeHead(shape.status ?? 200, headers).end(body);
    }
  };
}

const open: TestServer[] = [];

/** One that `closeServers` ends, which a test does after each of its cases. */
export async function started(...args: Parameters<typeof serve>): Promise<TestServer> {
  const server = await serve(...args);
  open.push(server);
  return server;
}

export async function closeServers(): Promise<void> {
  for (const server of open.splice(0)) await server.close();
}
