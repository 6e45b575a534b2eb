// `rollguard operator`: options, log, metrics, health server, and then the operator until a signal or its end.
import { systemClock } from "../clock.ts";
import { type OperatorFlags, operatorOptions } from "../config.ts";
import { createLogger } from "../logger.ts";
import { Health } from "../server/health.ts";
import { type RunningServer, startServer } from "../server/server.ts";
import { createMetrics } from "../telemetry.ts";
import { buildInfo } from "../version.ts";
import { clusterObjectsOf } from "./clusterobjects.ts";
import { EXIT, type Io } from "./io.ts";
import { compact } from "./memory.ts";

/** The caches are filled by then, and nobody depends on us yet. */
const COMPACT_AFTER_MS = 2000;

/** Resolves with the exit code. Throws a ConfigError for flags that can't be used. */
export async function operator(flags: OperatorFlags, io: Io): Promise<number> {
  const options = operatorOptions(flags);
  const clusterObjects = options.clusterObjects === undefined ? undefined : clusterObjectsOf(options.clusterObjects);
  const pretty = options.logFormat === "pretty" || (options.logFormat === "auto" && io.terminal);
  const logger = createLogger({
    level: options.logLevel,
    format: pretty ? "pretty" : "json",
    color: io.color,
    write: (text) => io.out(text),
  });
  const { registry, metrics } = createMetrics({ process: true });
  const health = new Health();
  let server: RunningServer | undefined;
  try {
    if (options.httpAddress) {
      const content = async () => ({ contentType: registry.contentType, body: await registry.metrics() });
      server = await startServer({ ...options.httpAddress, health, metrics: content, logger });
    }
    const http = server ? `${server.host}:${server.port}` : "off";
    const { identity, namespaces = "all", environment } = options;
    logger.info({ ...buildInfo(), identity, namespaces, environment, http }, "rollguard begins");
    const { runOperator } = await import("../controllers/operator.ts");
    systemClock.after(COMPACT_AFTER_MS, compact);
    await runOperator(options, { logger, metrics, health, clock: systemClock, signal: io.signal, clusterObjects });
    logger.info({}, "rollguard ends");
    // Without a signal it is the lease that was lost: a fresh process begins anew.
    return io.signal.aborted ? EXIT.ok : EXIT.failed;
  } catch (error) {
    if (io.signal.aborted) return EXIT.ok;
    logger.error({ err: error }, "rollguard can't go on");
    return EXIT.failed;
  } finally {
    await server?.close();
  }
}
