// Serves the committed weights over HTTP, as a model store would: node examples/digits/weights.ts [port]
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import path from "node:path";
import { RECIPES, WEIGHTS_PORT } from "./versions.ts";

/** 0 takes any free port. Rejects where the port is taken. The caller closes it. */
export async function startWeights(port: number = WEIGHTS_PORT, host = "127.0.0.1"): Promise<Server> {
  const files = new Map(
    RECIPES.map(({ name }) => [`/${name}.bin`, readFileSync(path.join(import.meta.dirname, "weights", `${name}.bin`))]),
  );
  const server = createServer((request, response) => {
    const file = request.method === "GET" ? files.get(request.url ?? "") : undefined;
    if (file) response.writeHead(200, { "content-type": "application/octet-stream", "content-length": file.length }).end(file);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return server;
}

if (import.meta.main) {
  const host = process.env.POD_IP ?? "127.0.0.1";
  const server = await startWeights(Number(process.argv[2] ?? WEIGHTS_PORT), host);
  console.log(`serving weights on http://${host}:${(server.address() as { port: number }).port}`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      server.close();
      server.closeAllConnections();
    });
  }
}
