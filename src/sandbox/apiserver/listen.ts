// The API server over plain HTTP on the loopback, and the kubeconfig that leads to it.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectionReset } from "./faults.ts";
import type { ApiRequest, ApiResponse } from "./http.ts";

export interface Listening {
  url: string;
  /** Cuts open connections too. */
  close(): Promise<void>;
}

type Handle = (request: ApiRequest) => Promise<ApiResponse>;

/** Listens on 127.0.0.1; port 0 takes a free one. Rejects where the port is taken. */
export async function listen(handle: Handle, port: number): Promise<Listening> {
  const server = createServer((incoming, outgoing) => {
    serve(handle, incoming, outgoing).catch((error: unknown) => {
      if (!(error instanceof ConnectionReset) && !outgoing.headersSent) outgoing.writeHead(500).end(String(error));
      else outgoing.destroy();
    });
  });
  // Longer than clients keep a connection, so that none is closed under a request.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(handle: Handle, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(incoming.headers)) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  const response = await handle({
    method: incoming.method ?? "GET",
    url: incoming.url ?? "/",
    headers,
    body: Buffer.concat(chunks).toString(headers["content-type"]?.includes("protobuf") ? "latin1" : "utf8"),
    signal: gone.signal,
  });
  outgoing.writeHead(response.status, response.headers);
  if (typeof response.body === "string") {
    outgoing.end(response.body);
    return;
  }
  // The headers go at once: a watch may have nothing to say for long.
  outgoing.flushHeaders();
  for await (const text of response.body) {
    if (gone.signal.aborted) return;
    if (!outgoing.write(text)) await roomIn(outgoing);
  }
  outgoing.end();
}

/** Resolves when more may be written, or never will be; leaves no listener behind. */
function roomIn(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done).off("close", done);
      resolve();
    };
    outgoing.once("drain", done).once("close", done);
  });
}

/** A kubeconfig (JSON, which is YAML) for kubectl and client-node; the latter takes http:// only with insecure-skip-tls-verify. */
export function kubeconfig(url: string): string {
  const name = "rollguard-sandbox";
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name, cluster: { server: url, "insecure-skip-tls-verify": true } }],
      users: [{ name, user: {} }],
      contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
      "current-context": name,
    },
    undefined,
    2,
  )}\n`;
}
