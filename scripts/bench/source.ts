// A metric source whose answers the bench decides: it speaks Prometheus' HTTP API, answers 1 for revisions that it was told
// are bad and 0 for all others, and notes when it gave each bad answer.

import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface BenchSource {
  url: string;
  /** Makes a revision bad from now on, by its workload name. */
  spoil(workload: string): void;
  /** When each bad answer about it was given, performance.now() in ms. */
  badAnswers(workload: string): readonly number[];
  /** Queries answered so far. */
  asked(): number;
  close(): Promise<void>;
}

/** The query is the workload's name as a string that the source finds; any PromQL would do. */
export const BENCH_QUERY = 'bench_bad{workload="${workload}"}';

export async function startSource(): Promise<BenchSource> {
  const spoiled = new Map<string, number[]>();
  let asked = 0;
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      asked++;
      const query = new URLSearchParams(body).get("query") ?? "";
      // Several that are asked as one have a mark each.
      const result = [...query.matchAll(/workload="([^"]+)"\}(?:\s*,"rollguard_query","(\d+)")?/g)].map(([, workload, mark]) => {
        const bad = spoiled.get(workload ?? "");
        bad?.push(performance.now());
        return { metric: mark === undefined ? {} : { rollguard_query: mark }, value: [Date.now() / 1000, bad ? "1" : "0"] };
      });
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spoil: (workload) => void spoiled.set(workload, []),
    badAnswers: (workload) => spoiled.get(workload) ?? [],
    asked: () => asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
