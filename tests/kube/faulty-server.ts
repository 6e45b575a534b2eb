// A real HTTP server on the loopback that answers as a test tells it to, also wrongly.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface FaultyServer {
  url: string;
  /** Replaces what is answered. */
  answer: Answer;
  /** `METHOD /path?query` of each request so far. */
  requests: string[];
  headers: IncomingMessage["headers"][];
  /** Connections that were opened so far. */
  connections: number;
  /** Connections that are open now. */
  open: ReadonlySet<Socket>;
  /** A kubeconfig for it; `user` is the user's entry. */
  kubeconfig(user?: object): string;
  close(): Promise<void>;
}

export async function faultyServer(answer: Answer): Promise<FaultyServer> {
  const dir = mkdtempSync(path.join(tmpdir(), "rollguard-kube-"));
  const open = new Set<Socket>();
  const http = createServer((request, response) => {
    faulty.requests.push(`${request.method} ${request.url}`);
    faulty.headers.push(request.headers);
    faulty.answer(request, response);
  });
  http.on("connection", (socket) => {
    faulty.connections++;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const faulty: FaultyServer = {
    url,
    answer,
    requests: [],
    headers: [],
    connections: 0,
    open,
    kubeconfig(user = {}) {
      const file = path.join(dir, "kubeconfig");
      const config = {
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "c", cluster: { server: url, "insecure-skip-tls-verify": true } }],
        users: [{ name: "u", user }],
        contexts: [{ name: "here", context: { cluster: "c", user: "u", namespace: "models" } }],
        "current-context": "here",
      };
      writeFileSync(file, JSON.stringify(config));
      return file;
    },
    close: () =>
      new Promise((resolve) => {
        rmSync(dir, { recursive: true, force: true });
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return faulty;
}

export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** An error as an API server gives it. */
export function status(response: ServerResponse, code: number, reason: string, headers: Record<string, string> = {}): void {
  json(
    response,
    code,
    { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message: `it is ${reason}` },
    headers,
  );
}

export function configMap(name: string, resourceVersion: string, data: Record<string, string> = {}): Record<string, unknown> {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "models", uid: `uid-${name}`, resourceVersion },
    data,
  };
}
