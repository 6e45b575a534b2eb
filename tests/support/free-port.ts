// A port for a program that must be told which one to listen at.

import { createServer } from "node:net";

/** One of 127.0.0.1 that nobody listens at just now; another process may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}
