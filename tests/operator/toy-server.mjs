// A model server for tests: its requests and errors are counted by a timer of its own, so that no client is needed.
// BAD_RATIO: share of errors; CRASH_AFTER_MS: it ends by itself; SETTING: shown at /. It refuses weights that say "broken".
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const weights = process.env.ROLLGUARD_MODEL_FILE ? readFileSync(process.env.ROLLGUARD_MODEL_FILE, "utf8") : "";
const bad = Number(process.env.BAD_RATIO ?? 0);
let requests = 0;
let errors = 0;
setInterval(() => {
  requests += 10;
  errors += 10 * bad;
}, 50);
if (process.env.CRASH_AFTER_MS) setTimeout(() => process.exit(3), Number(process.env.CRASH_AFTER_MS));

const server = createServer((request, response) => {
  if (request.url === "/metrics") {
    response.end(
      `# TYPE toy_requests_total counter\ntoy_requests_total ${requests}\n# TYPE toy_errors_total counter\ntoy_errors_total ${errors}\n`,
    );
  } else
    response.end(
      JSON.stringify({ weights, setting: process.env.SETTING ?? "", score: 1, revision: process.env.ROLLGUARD_REVISION }),
    );
});
server.listen(8080, process.env.POD_IP);
process.once("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
