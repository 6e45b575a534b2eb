// A web server on loopback that answers as each test says, and folders that are gone afterwards.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface TestServer {
  url: string;
  /** Paths asked for, in order. */
  asked: string[];
  /** Headers of each request. */
  headers: IncomingMessage["headers"][];
}

export async function serve(answer: Answer): Promise<TestServer> {
  const asked: string[] = [];
  const headers: IncomingMessage["headers"][] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    headers.push(request.headers);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, headers };
}

export async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), "rollguard-artifacts-"));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** All entries below a folder, sorted. */
export async function entries(of: string): Promise<string[]> {
  return (await readdir(of, { recursive: true })).sort();
}

export const sha256 = (content: string | Uint8Array): string => `sha256:${createHash("sha256").update(content).digest("hex")}`;
