// The clients of the example: they send digits that no training saw, and the truth about each answer, some on connections that
// they keep and some on a new one each time. They try nothing twice: a failed request is a failed request.
import { Agent, type IncomingMessage, request } from "node:http";
import type { Digit } from "./data.ts";

export interface Answer {
  /** Wall-clock time of the answer or failure, ms epoch. */
  at: number;
  /** How long it took, ms. */
  ms: number;
  path: "/predict" | "/feedback";
  keepAlive: boolean;
  /** Why it failed: no connection, no answer within the limit, or a status of 400 or above. */
  failure?: string;
  /** Of a successful /predict. */
  prediction?: { digit: number; truth: number; score: number; version: string; revision: string; rejectBelow: number };
}

export interface RevisionCount {
  version: string;
  rejectBelow: number;
  answered: number;
  wrong: number;
  /** Wall-clock time of its first and newest answer, ms epoch. */
  firstAt: number;
  lastAt: number;
}

export interface ClientCounts {
  /** Requests of both kinds that were answered or failed. */
  sent: number;
  failed: number;
  /** Predictions that came, and those among them that were wrong. */
  answered: number;
  wrong: number;
  byRevision: Map<string, RevisionCount>;
  /** The first fifty failures. */
  failures: Answer[];
}

export interface ClientOptions {
  /** Of the Service, such as http://127.0.0.1:8080. */
  url: string;
  /** Clients that keep their connection. */
  keepAlive: number;
  /** Clients that connect anew for each digit; its feedback goes over the same connection. */
  fresh: number;
  /** Predictions a second, of all clients together; each is followed by its feedback. */
  ratePerSecond: number;
  /** What they send, from the beginning again when it is used up. */
  stream: readonly Digit[];
  onAnswer?: (answer: Answer) => void;
  /** Default 2 s. */
  timeoutMs?: number;
}

export interface Clients {
  counts(): ClientCounts;
  /** What they send from now on. */
  send(stream: readonly Digit[]): void;
  /** Lets requests under way end, then resolves with the final counts. */
  stop(): Promise<ClientCounts>;
}

interface Shared {
  options: ClientOptions;
  counts: ClientCounts;
  next: () => Digit;
  stopping: AbortController;
}

export function startClients(options: ClientOptions): Clients {
  let position = 0;
  let { stream } = options;
  const shared: Shared = {
    options,
    counts: emptyCounts(),
    next: () => stream[position++ % stream.length] as Digit,
    stopping: new AbortController(),
  };
  const all = options.keepAlive + options.fresh;
  const everyMs = (1000 * all) / options.ratePerSecond;
  const running = Array.from({ length: all }, (_, index) =>
    runClient(shared, index < options.keepAlive, everyMs, (everyMs * index) / all),
  );
  return {
    counts: () => shared.counts,
    send(other) {
      stream = other;
    },
    async stop() {
      shared.stopping.abort();
      await Promise.all(running);
      return shared.counts;
    },
  };
}

async function runClient(shared: Shared, keepAlive: boolean, everyMs: number, offsetMs: number): Promise<void> {
  const connect = () => new Agent({ keepAlive: true, maxSockets: 1 });
  const kept = keepAlive ? connect() : undefined;
  const { signal } = shared.stopping;
  const started = performance.now() + offsetMs;
  for (let turn = 0; ; turn++) {
    // By the plan, not after the last answer, so that a slow server gets no less to do; what it missed is not made up for.
    const due = started + turn * everyMs;
    const late = performance.now() - due;
    if (late > everyMs) turn += Math.floor(late / everyMs);
    await pause(due - performance.now(), signal);
    if (signal.aborted) break;
    const agent = kept ?? connect();
    await ask(shared, agent, keepAlive);
    if (!kept) agent.destroy();
  }
  kept?.destroy();
}

/** One digit and, as soon as there is an answer, the truth about it. */
async function ask(shared: Shared, agent: Agent, keepAlive: boolean): Promise<void> {
  const { pixels, label } = shared.next();
  const predicted = await call(shared, agent, keepAlive, "/predict", { pixels: Array.from(pixels) }, label);
  if (!predicted) return;
  const { digit, revision } = predicted;
  await call(shared, agent, keepAlive, "/feedback", { predicted: digit, truth: label, revision });
}

async function call(shared: Shared, agent: Agent, keepAlive: boolean, path: Answer["path"], body: object, truth?: number) {
  const { options, counts } = shared;
  const started = performance.now();
  const answer: Answer = { at: 0, ms: 0, path, keepAlive };
  try {
    const { status, text } = await post(new URL(path, options.url), agent, JSON.stringify(body), options.timeoutMs ?? 2000);
    if (status >= 400) answer.failure = `HTTP ${status}: ${text.slice(0, 100)}`;
    else if (truth !== undefined) answer.prediction = { ...(JSON.parse(text) as NonNullable<Answer["prediction"]>), truth };
  } catch (error) {
    answer.failure = error instanceof Error ? error.message || error.name : String(error);
  }
  answer.at = Date.now();
  answer.ms = performance.now() - started;
  tally(counts, answer);
  options.onAnswer?.(answer);
  return answer.prediction;
}

export function emptyCounts(): ClientCounts {
  return { sent: 0, failed: 0, answered: 0, wrong: 0, byRevision: new Map(), failures: [] };
}

/** Counts one answer. */
export function tally(counts: ClientCounts, answer: Answer): void {
  counts.sent++;
  if (answer.failure !== undefined) {
    counts.failed++;
    if (counts.failures.length < 50) counts.failures.push(answer);
  }
  if (!answer.prediction) return;
  const { digit, truth, version, revision, rejectBelow } = answer.prediction;
  const of = counts.byRevision.get(revision) ?? {
    version,
    rejectBelow,
    answered: 0,
    wrong: 0,
    firstAt: answer.at,
    lastAt: answer.at,
  };
  counts.byRevision.set(revision, of);
  for (const counter of [counts, of]) {
    counter.answered++;
    if (digit !== truth) counter.wrong++;
  }
  of.lastAt = answer.at;
}

function post(url: URL, agent: Agent, body: string, timeoutMs: number): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const outgoing = request(url, { method: "POST", agent, headers, signal: AbortSignal.timeout(timeoutMs) });
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      read(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
    });
    outgoing.end(body);
  });
}

async function read(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, Math.max(ms, 0));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
