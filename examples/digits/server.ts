// The model server of the example: loads the weights it was given, recognises digits at POST /predict, hears the truth at
// POST /feedback, shows /metrics, and drains politely: node examples/digits/server.ts
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { CLASSES, PIXELS } from "./data.ts";
import { createMetrics, type Metrics, type Path } from "./metrics.ts";
import { decodeModel, type Model, predict } from "./model.ts";

export interface Settings {
  model: Model;
  /** Name of the ModelVersion. */
  version: string;
  revision: string;
  rejectBelow: number;
}

class BadRequest extends Error {}

const MAX_BODY = 64 * 1024;

/** From the variables that Rollguard sets, and the version's own. Throws where the weights can't be used. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const rejectBelow = Number(env.REJECT_BELOW ?? "0");
  if (!(rejectBelow >= 0 && rejectBelow <= 1)) throw new Error(`REJECT_BELOW must be from 0 to 1, not ${env.REJECT_BELOW}`);
  if (!env.ROLLGUARD_MODEL_FILE) throw new Error("ROLLGUARD_MODEL_FILE is not set");
  return {
    model: decodeModel(readFileSync(env.ROLLGUARD_MODEL_FILE)),
    version: env.ROLLGUARD_VERSION ?? "unknown",
    revision: env.ROLLGUARD_REVISION ?? "0",
    rejectBelow,
  };
}

export interface ModelServer {
  server: Server;
  /**
   * Not ready at once; each answer from now on closes its connection, and new connections are still taken, since others may
   * learn of it later. Resolves when no connection is left, but not before `leastMs`, or after `limitMs`.
   */
  drain(limitMs: number, leastMs?: number): Promise<void>;
}

export function createModelServer(settings: Settings): ModelServer {
  const metrics = createMetrics(settings);
  const connections = new Set<Socket>();
  let draining = false;
  const server = createServer((request, response) => {
    if (draining) response.setHeader("connection", "close");
    const started = performance.now();
    const path = (request.url ?? "").split("?")[0] ?? "";
    const known: Path = path === "/predict" || path === "/feedback" ? path : "other";
    response.once("finish", () => metrics.request(known, response.statusCode, (performance.now() - started) / 1000));
    answer(request, response, path, { settings, metrics, draining: () => draining }).catch((error: unknown) => {
      const code = error instanceof BadRequest ? 400 : 500;
      if (!response.headersSent) send(response, code, { error: error instanceof Error ? error.message : String(error) });
      else response.destroy();
    });
  });
  // Longer than any client keeps an idle connection: closing one just when a request is sent would lose that request.
  server.keepAliveTimeout = 75_000;
  server.on("connection", (socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  return {
    server,
    async drain(limitMs, leastMs = 0) {
      draining = true;
      const [end, least] = [performance.now() + limitMs, performance.now() + leastMs];
      // Three looks in a row without a connection: then nobody sends any more.
      for (
        let quiet = 0;
        (quiet < 3 || performance.now() < least) && performance.now() < end;
        quiet = connections.size === 0 ? quiet + 1 : 0
      ) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Context {
  settings: Settings;
  metrics: Metrics;
  draining: () => boolean;
}

async function answer(request: IncomingMessage, response: ServerResponse, path: string, context: Context): Promise<void> {
  const { settings, metrics } = context;
  switch (`${request.method} ${path}`) {
    case "POST /predict":
      return send(response, 200, recognise(await readJson(request), context));
    case "POST /feedback":
      return send(response, 200, { counted: learn(await readJson(request), context) });
    case "GET /info": {
      const { version, revision, rejectBelow } = settings;
      return send(response, 200, { version, revision, rejectBelow });
    }
    case "GET /metrics": {
      response.writeHead(200, { "content-type": metrics.contentType }).end(await metrics.text());
      return;
    }
    case "GET /healthz":
      return send(response, 200, { ok: true });
    case "GET /readyz":
      return send(response, context.draining() ? 503 : 200, { ready: !context.draining() });
    default:
      return send(response, 404, { error: "there is /predict, /feedback, /info, /metrics, /healthz and /readyz" });
  }
}

function recognise(body: Record<string, unknown>, { settings, metrics }: Context): object {
  const { digit, score, probabilities } = predict(settings.model, readPixels(body.pixels));
  const certain = score >= settings.rejectBelow;
  if (!certain) metrics.uncertain();
  const { version, revision, rejectBelow } = settings;
  return { digit, score, certain, probabilities: Array.from(probabilities), version, revision, rejectBelow };
}

/** Whether it was counted: only what this revision answered says something about it. */
function learn({ predicted, truth, revision }: Record<string, unknown>, { settings, metrics }: Context): boolean {
  if (!isDigit(predicted) || !isDigit(truth)) throw new BadRequest("predicted and truth must be digits");
  if (String(revision) !== settings.revision) {
    metrics.ignored();
    return false;
  }
  metrics.feedback(predicted === truth);
  return true;
}

const isDigit = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0 && Number(value) < CLASSES;

/** A list of 784 numbers from 0 to 255, or the same bytes in base64. */
function readPixels(value: unknown): Uint8Array {
  const pixels = typeof value === "string" ? Buffer.from(value, "base64") : value;
  const bytes = pixels instanceof Uint8Array || Array.isArray(pixels) ? pixels : [];
  if (bytes.length !== PIXELS) throw new BadRequest(`pixels must be ${PIXELS} numbers from 0 to 255, or these bytes in base64`);
  if (!bytes.every((pixel: unknown) => Number.isInteger(pixel) && Number(pixel) >= 0 && Number(pixel) <= 255)) {
    throw new BadRequest("a pixel is a whole number from 0 to 255");
  }
  return Uint8Array.from(bytes);
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_BODY) throw new BadRequest(`a request has at most ${MAX_BODY} bytes`);
    pieces.push(piece);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(pieces).toString("utf8"));
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new BadRequest("the request must be a JSON object");
}

function send(response: ServerResponse, code: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(code, { "content-type": "application/json", "content-length": Buffer.byteLength(text) }).end(text);
}

if (import.meta.main) {
  const settings = readSettings(process.env);
  const { server, drain } = createModelServer(settings);
  const port = Number(process.env.PORT ?? "8080");
  server.listen(port, process.env.POD_IP ?? "127.0.0.1", () => {
    const { address, port: bound } = server.address() as AddressInfo;
    console.log(JSON.stringify({ msg: "serving", version: settings.version, revision: settings.revision, address, port: bound }));
  });
  // Longer than clients wait between two requests, and shorter than the pod's grace period.
  // kube-proxy learns of it up to some seconds later, and what it still sends must find an open port.
  const seconds = (text: string | undefined, fallback: number) => Number(text ?? fallback) * 1000;
  const { DRAIN_LIMIT_SECONDS, DRAIN_LEAST_SECONDS } = process.env;
  process.once("SIGTERM", () => void drain(seconds(DRAIN_LIMIT_SECONDS, 10), seconds(DRAIN_LEAST_SECONDS, 3)));
  process.once("SIGINT", () => void drain(0));
}
