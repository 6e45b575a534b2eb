// The clients of client.ts in a pod, where a Service of a real cluster can be reached: node examples/digits/remote.ts reads
// commands from its standard input, one JSON object a line, and writes each answer so. `startRemoteClients` is the other end.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type Answer, type ClientOptions, type Clients, emptyCounts, startClients, tally } from "./client.ts";
import type { Digit } from "./data.ts";

/** A digit as it travels: pixels in base64. */
type Packed = [pixels: string, label: number];

type Command =
  | { do: "start"; options: Omit<ClientOptions, "stream" | "onAnswer">; stream: Packed[] }
  | { do: "send"; stream: Packed[] }
  | { do: "stop" };

type Report = { tell: "answer"; answer: Answer } | { tell: "stopped"; sent: number };

const pack = (stream: readonly Digit[]): Packed[] =>
  stream.map(({ pixels, label }) => [Buffer.from(pixels).toString("base64"), label]);
const unpack = (stream: readonly Packed[]): Digit[] =>
  stream.map(([pixels, label]) => ({ pixels: new Uint8Array(Buffer.from(pixels, "base64")), label }));

/**
 * @param command runs this file in the cluster with its streams connected, such as `kubectl exec -i …`
 * The answers' times are those of the machine that the pod runs on.
 */
export function startRemoteClients(command: readonly string[], { stream, onAnswer, ...options }: ClientOptions): Clients {
  const counts = emptyCounts();
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const tellIt = (order: Command) => child.stdin.write(`${JSON.stringify(order)}\n`);
  const ended = watch(child, (answer) => {
    tally(counts, answer);
    onAnswer?.(answer);
  });
  let broken: unknown;
  ended.catch((error: unknown) => {
    broken = error;
  });
  tellIt({ do: "start", options, stream: pack(stream) });
  return {
    // Silence is not success: whoever counts has to hear of it.
    counts() {
      if (broken) throw broken;
      return counts;
    },
    send: (other) => void tellIt({ do: "send", stream: pack(other) }),
    async stop() {
      if (child.stdin.writable) tellIt({ do: "stop" });
      const sent = await ended;
      if (sent !== counts.sent)
        throw new Error(`the clients' pod sent ${sent} requests, and ${counts.sent} of them were told of`);
      return counts;
    },
  };
}

/** Resolves with the number of requests that the pod sent. Rejects where the connection to it broke. */
function watch(child: ChildProcess, onAnswer: (answer: Answer) => void): Promise<number> {
  let sent: number | undefined;
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString("utf8")).slice(-2000);
  });
  // Written to after its end, it says so by its exit.
  child.stdin?.on("error", () => undefined);
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const report = JSON.parse(line) as Report;
    if (report.tell === "stopped") sent = report.sent;
    else onAnswer(report.answer);
  });
  return new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (sent === undefined) reject(new Error(`the clients in the cluster ended (${code}): ${said.trim()}`));
      else resolve(sent);
    });
  });
}

function serve(): void {
  const tellIt = (report: Report) => process.stdout.write(`${JSON.stringify(report)}\n`);
  let clients: Clients | undefined;
  const stop = async () => {
    const counts = await clients?.stop();
    tellIt({ tell: "stopped", sent: counts?.sent ?? 0 });
    process.exit(0);
  };
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const order = JSON.parse(line) as Command;
    if (order.do === "start") {
      const onAnswer = (answer: Answer) => tellIt({ tell: "answer", answer });
      clients = startClients({ ...order.options, stream: unpack(order.stream), onAnswer });
    } else if (order.do === "send") clients?.send(unpack(order.stream));
    else void stop();
  });
  // The other end is gone.
  lines.once("close", () => void stop());
}

if (import.meta.main) serve();
