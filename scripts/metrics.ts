// Writes docs/metrics.md from the definitions in src/telemetry.ts; a test fails when it is stale.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { metricsPage } from "../src/telemetry.ts";

writeFileSync(join(import.meta.dirname, "../docs/metrics.md"), metricsPage());
