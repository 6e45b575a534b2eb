// `rollguard sandbox`: an embedded Kubernetes on this machine that stays up until Ctrl-C. It is a bundle of its own, loaded only
// here; esbuild leaves this one import as it is, pointing at the file beside it.
import { once } from "node:events";
import { resolve } from "node:path";
import { createLogger } from "../logger.ts";
import { buildInfo } from "../version.ts";
import { CliError, EXIT, type Io } from "./io.ts";

export interface SandboxFlags {
  dir?: string;
  port?: string;
}

export async function sandbox(flags: SandboxFlags, program: string, io: Io): Promise<number> {
  const port = flags.port === undefined ? 0 : Number(flags.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new CliError("--port must be from 0 to 65535", [], EXIT.usage);
  const { startSandbox } = await import("../sandbox/sandbox.ts").catch((error: unknown) => {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new CliError("the sandbox is not part of this build: images leave it out", [
      "use the npm package: npx rollguard sandbox",
    ]);
  });
  const logger = createLogger({ level: "warn", format: "pretty", color: io.color, write: (text) => io.err(text) });
  const running = await startSandbox({ port, logger, ...(flags.dir === undefined ? {} : { dir: resolve(flags.dir) }) });
  try {
    // A clone has no `rollguard` on the path.
    const command = buildInfo().bundled ? program : "npm run --silent rollguard --";
    const file = running.kubeconfigPath;
    io.out(`An embedded Kubernetes runs at ${running.url}; it ends with Ctrl-C, and nothing of it stays.

  kubeconfig   ${file}

In another terminal:
  export KUBECONFIG=${file}
  ${command} operator --http-address off   # the operator, outside of the cluster; it also needs a terminal of its own
  kubectl apply -f <your manifests>
  kubectl get rollguard -A
  ${command} status -A
`);
    if (!io.signal.aborted) await once(io.signal, "abort");
    io.err("ending …\n");
    return EXIT.ok;
  } finally {
    await running.close();
  }
}
